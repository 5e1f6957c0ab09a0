"""The classifier of video: see `elman.models.signal_classification` for the network."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar

from elman.data.bad_rows import BadRows
from elman.data.examples import Reading
from elman.data.media_inputs import media_inputs
from elman.data.signals import Cache
from elman.data.text import Source
from elman.data.video import FrameForm, is_video
from elman.data.videos import Film, read_film, read_films
from elman.errors import DataError, ModelFolderError, OptionError
from elman.models.folder import CONFIG, entry
from elman.models.signal_classification import SignalClassifier

# Bytes of a clip that stays in memory while it waits for its answer.
_SHORT = 1 << 22


class VideoClassifier(SignalClassifier):
    """Pictures (T, B, C, height, width), bytes, in, logits (B, V) out; `front` is the `FrameForm` that they have."""

    task: ClassVar[str] = "classify-video"
    steps_at_once = 1 << 10
    front: FrameForm

    def sequences(self, inputs: Sequence[Any]) -> list[Film]:
        """Films, or paths of video files, as signals. Raises `DataError` for what can't be read."""
        return [each if isinstance(each, Film) else self._film(str(each)) for each in inputs]

    def sequences_of(self, examples: Sequence[Film]) -> Sequence[Film]:
        return examples

    def _film(self, path: str, where: str = "") -> Film:
        # A clip that isn't long is decoded once: what was read to see whether it can be is what is answered on.
        return read_film(Film(path, None, where or path, form=self.front, cache=Cache(_SHORT)))

    def read(
        self, sources: Sequence[Source], encoding: str, bad: BadRows, labelled: bool, **columns: Any
    ) -> Reading[Film]:
        chosen: dict[str, Any] = {**columns, "form": self.front, "cache": self.cache}
        return read_films(sources, **chosen, encoding=encoding, bad=bad, labelled=labelled, training=False)

    def read_inputs(
        self, source: Source, *, column: str | None = None, encoding: str = "utf-8", bad: BadRows | None = None
    ) -> Iterator[tuple[str, Film]]:
        """(where, film) of each clip: see `elman.data.media_inputs`."""
        bad = bad or BadRows(strict=True)
        for where, path in media_inputs(source, is_video, "video", column=column, encoding=encoding, bad=bad):
            try:
                yield where, self._film(path, where)
            except DataError as error:
                bad.skip(where, str(error).rstrip(".").removeprefix(f"{where} "))

    def answer(self, inputs: Sequence[Film]) -> list[dict[str, Any]]:
        """What `elman predict` says of each clip."""
        return [
            {"path": item.path, "label": p.label, "probability": p.probability, "probabilities": p.probabilities}
            for item, p in zip(inputs, self.predict_batch(inputs), strict=True)
        ]

    @classmethod
    def front_from_folder(cls, folder: Path, config: dict[str, Any]) -> FrameForm:
        stored = entry(folder, config, "video", dict)
        try:
            return FrameForm(**stored)
        except (TypeError, OptionError) as error:
            raise ModelFolderError(f"{folder / CONFIG} is damaged: in 'video', {str(error).rstrip('.')}.") from error

    def front_for_folder(self) -> dict[str, Any]:
        return {"video": asdict(self.front)}

    def input_in_words(self) -> dict[str, str]:
        form = self.front
        rate = f", {form.rate:g} a second" if form.rate else ""
        return {"video": f"{form.size} x {form.size} pixels, {'grey' if form.grey else 'in colour'}{rate}"}
