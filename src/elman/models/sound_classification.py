"""The classifier of sound, by its log-mel frames: see `elman.models.signal_classification` for the network."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from elman.data.bad_rows import BadRows
from elman.data.examples import Clip, Reading
from elman.data.log_mel import LogMel
from elman.data.media_inputs import media_inputs
from elman.data.signals import Cache
from elman.data.sound import is_sound, read_blocks, read_sound
from elman.data.sounds import read_clips
from elman.data.text import Source
from elman.errors import DataError, ModelFolderError, OptionError
from elman.models.folder import CONFIG, entry
from elman.models.signal_classification import SignalClassifier


class SoundSignal:
    """The log-mel frames of a clip, read when they are asked for, and kept if there is room."""

    def __init__(self, clip: Clip, log_mel: LogMel, cache: Cache) -> None:
        self.clip, self.log_mel = clip, log_mel
        self._cache = cache

    def __len__(self) -> int:
        return self.log_mel.count(round(self.clip.seconds * self.log_mel.rate))

    @property
    def _key(self) -> tuple[str, float, float | None]:
        return self.clip.path, self.clip.start, self.clip.end

    def samples(self) -> np.ndarray:
        """The samples (N,). Raises `DataError` if the file can't be read any more."""
        return self._cache.get(("samples", *self._key), self._read)

    def frames(self) -> np.ndarray:
        """The frames (T, D). Raises `DataError` if the file can't be read any more."""
        return self._cache.get(("frames", *self._key), lambda: self.log_mel.frames(self._read()))

    def _read(self) -> np.ndarray:
        clip = self.clip
        return np.concatenate([*read_blocks(clip.path, self.log_mel.rate, clip.start, clip.end)])


class SoundClassifier(SignalClassifier):
    """Log-mel frames (T, B, D) in, logits (B, V) out; `front` is the `LogMel` that makes them."""

    task: ClassVar[str] = "classify-sound"
    front: LogMel

    def sequences(self, inputs: Sequence[Any]) -> list[SoundSignal]:
        """Clips, or paths of sound files, as signals. Raises `DataError` for what can't be read."""
        return self.sequences_of([each if isinstance(each, Clip) else self._clip(str(each)) for each in inputs])

    def sequences_of(self, examples: Sequence[Clip]) -> list[SoundSignal]:
        return [SoundSignal(clip, self.front, self.cache) for clip in examples]

    def _clip(self, path: str, where: str = "") -> Clip:
        samples_N = read_sound(path, self.front.rate)
        return Clip(path, None, where or path, seconds=len(samples_N) / self.front.rate)

    def read(
        self, sources: Sequence[Source], encoding: str, bad: BadRows, labelled: bool, **columns: Any
    ) -> Reading[Clip]:
        return read_clips(sources, **columns, encoding=encoding, bad=bad, labelled=labelled)

    def read_inputs(
        self, source: Source, *, column: str | None = None, encoding: str = "utf-8", bad: BadRows | None = None
    ) -> Iterator[tuple[str, Clip]]:
        """(where, clip) of each sound: see `elman.data.media_inputs`."""
        bad = bad or BadRows(strict=True)
        for where, path in media_inputs(source, is_sound, "sound", column=column, encoding=encoding, bad=bad):
            try:
                yield where, self._clip(path, where)
            except DataError as error:
                bad.skip(where, str(error).rstrip(".").removeprefix(f"{where} "))

    def answer(self, inputs: Sequence[Clip]) -> list[dict[str, Any]]:
        """What `elman predict` says of each sound."""
        return [
            {"path": item.path, "label": p.label, "probability": p.probability, "probabilities": p.probabilities}
            for item, p in zip(inputs, self.predict_batch(inputs), strict=True)
        ]

    @classmethod
    def front_from_folder(cls, folder: Path, config: dict[str, Any]) -> LogMel:
        stored = entry(folder, config, "sound", dict)
        try:
            return LogMel(**stored)
        except (TypeError, OptionError) as error:
            raise ModelFolderError(f"{folder / CONFIG} is damaged: in 'sound', {str(error).rstrip('.')}.") from error

    def front_for_folder(self) -> dict[str, Any]:
        names = ("rate", "mels", "window", "hop")
        return {"sound": {name: getattr(self.front, name) for name in names}}

    def input_in_words(self) -> dict[str, str]:
        front = self.front
        return {"sound": f"{front.rate:,} samples a second, {front.mels} bands every {front.hop:g} ms"}
