"""A recurrent transcriber: what is said in a sound, by connectionist temporal classification.

sound → frames → recurrent layers → P(unit or blank | step)      see `elman.models.sound_network`
text = the likeliest by greedy or prefix beam search                   see `elman.models.ctc`
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from elman.data.bad_rows import BadRows
from elman.data.examples import Clip
from elman.data.frames import FrameScale, SoundFrames
from elman.data.sound import resampled
from elman.data.sounds import find_clips, read_clips
from elman.data.text import Source
from elman.data.units import Units
from elman.engines import Engine
from elman.errors import DataError, ModelFolderError, OptionError
from elman.files import write_atomically
from elman.models.ctc import ctc_nats, decode, search, steps_needed
from elman.models.folder import CONFIG, build, entry, existing, read_network_config
from elman.models.sound_network import SoundConfig, SoundNetwork, read_sounds, scale_of
from elman.models.transcription_scores import TranscriptionScores, score_texts

UNITS = "units.json"


@dataclass(frozen=True)
class TranscriptionConfig(SoundConfig):
    """A transcriber's sizes and options: what `config.json` holds under "network". `beam`: see `elman.models.ctc.search`."""

    beam: int = 1


class TranscriptionModel(SoundNetwork):
    """Frames in, logits of units and the blank out: see `SoundNetwork`. `usual`: the most frequent text, a trivial baseline."""

    task: ClassVar[str] = "transcribe"
    lower_is_better: ClassVar[bool] = True

    def __init__(
        self,
        config: TranscriptionConfig,
        units: Units,
        scale: FrameScale,
        usual: str,
        engine: Engine | str = Engine.AUTO,
    ) -> None:
        super().__init__(config, scale, engine)
        self.units = units
        self.usual = usual

    def transcribe(self, samples_N: np.ndarray, beam: int | None = None) -> str:
        """What is said in a sound at the model's rate; `beam` in place of the model's own."""
        logits_SV = self.logits(samples_N)
        found = decode(logits_SV[:, None], torch.tensor([len(logits_SV)]), beam or self.config.beam)
        return self.units.decode(found[0])

    def listen(self, rate: int, blocks: Iterator[np.ndarray], beam: int | None = None) -> Iterator[dict[str, Any]]:
        """What is said, as it is heard: each time that the text which is settled grows, and at the end.

        Sound arrives block by block, `rate` samples a second. A model that reads from both ends hears all of it first.
        """
        if not self.causal:
            samples_N = resampled(blocks, rate, self.config.rate)
            seconds = round(len(samples_N) / self.config.rate, 3)
            yield {"seconds": seconds, "text": self.transcribe(samples_N, beam), "final": True}
            return
        stream, found, seconds, said = self.stream(rate), search(beam or self.config.beam), 0.0, 0
        for block_N in blocks:
            seconds += len(block_N) / rate
            found.accept(stream.accept(block_N).log_softmax(-1).numpy())
            settled = found.settled()
            if len(settled) > said:
                said = len(settled)
                yield {"seconds": round(seconds, 3), "text": self.units.decode(settled), "final": False}
        found.accept(stream.finish().log_softmax(-1).numpy())
        yield {"seconds": round(seconds, 3), "text": self.units.decode(found.best()), "final": True}

    def read_inputs(
        self, source: Source, *, column: str | None, encoding: str, bad: BadRows
    ) -> Iterator[tuple[str, tuple[Clip, np.ndarray]]]:
        """What `elman predict` transcribes: sound files, those of a folder, or of a table; one that can't be read is bad."""
        return read_sounds(find_clips([source], path=column, encoding=encoding, bad=bad), self.config.rate, bad)

    def answer(self, sounds: Sequence[tuple[Clip, np.ndarray]]) -> list[dict[str, Any]]:
        """What `elman predict` says of each sound."""
        return [{**place_of(clip), "text": self.transcribe(samples_N)} for clip, samples_N in sounds]

    def evaluate(
        self,
        data: Source | Sequence[Source],
        encoding: str = "utf-8",
        *,
        bad: BadRows | None = None,
        watch: Callable[[float], None] | None = None,
        **columns: Any,
    ) -> TranscriptionScores:
        """Scores on sounds with their texts. `columns`: path, text, start, end.

        Raises `DataError` for what can't be read. Bad rows, and texts that can't be written in the model's units, go into
        `bad`; without it the first is an error.
        """
        bad = bad or BadRows(strict=True)
        sources = [data] if isinstance(data, Source) else list(data)
        clips = read_clips(sources, spoken=True, encoding=encoding, bad=bad, **columns).items
        kept = keep_sayable(clips, self.units, self.config, bad)
        return self.score(SoundFrames(kept, self.log_mel, room=0), watch)

    @torch.no_grad()
    def score(self, sounds: SoundFrames, watch: Callable[[float], None] | None = None) -> TranscriptionScores:
        """Scores on clips whose texts are known."""
        right = [self.units.read(str(clip.label)) for clip in sounds.clips]
        found, total, done = [""] * len(sounds), 0.0, 0
        units = [self.units.encode(text) for text in right]
        for places, logits_SBV, lengths_B in self.each(sounds, sounds.lengths()):
            targets_N, target_lengths_B = flat([units[place] for place in places])
            total += float(ctc_nats(logits_SBV, lengths_B, targets_N, target_lengths_B).double().sum())
            for place, numbers in zip(places, decode(logits_SBV, lengths_B, self.config.beam), strict=True):
                found[place] = self.units.decode(numbers)
            done += len(places)
            if watch is not None:
                watch(done / len(sounds))
        return score_texts(found, right, total, sum(map(len, units)), self.usual)

    @classmethod
    def from_folder(
        cls, folder: Path, config: dict[str, Any], engine: Engine | str = Engine.AUTO
    ) -> "TranscriptionModel":
        """The network that a folder describes, without its weights. Raises `ModelFolderError`."""
        network = read_network_config(folder, TranscriptionConfig, config["network"])
        path = existing(folder, UNITS)
        try:
            units = Units.from_dict(json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, DataError, OptionError) as error:
            raise ModelFolderError(f"{path} is damaged: {error}.") from error
        if len(units) != network.classes:
            raise ModelFolderError(f"{path} and {folder / CONFIG} belong to different models.")
        usual = entry(folder, config, "usual", str)
        return build(folder, lambda: cls(network, units, scale_of(folder, config, network.mels), usual, engine))

    def save_vocabularies(self, folder: Path) -> dict[str, Any]:
        """Write `units.json`; gives what `config.json` says of the frames and the usual text."""
        write_atomically(folder / UNITS, json.dumps(self.units.to_dict(), ensure_ascii=False))
        return {"frames": self.scale.to_dict(), "usual": self.usual}

    def description(self) -> dict[str, str]:
        """The parts of the network in words."""
        units = self.units.units.tokens
        shown = " ".join(units[:20]) + (" …" if len(units) > 20 else "")
        found = "greedy" if self.config.beam == 1 else f"prefix beam of {self.config.beam}"
        return {"units": f"{len(units)} of {self.units.kind}: {shown}", **self.sound_description(), "search": found}

    @staticmethod
    def headline(scores: dict[str, float]) -> str:
        """Scores as a person reads them."""
        return (
            f"character error {scores['cer']:.2%}, word error {scores['wer']:.2%} (most frequent text "
            f"{scores['baseline_cer']:.2%}), without an error {scores['exact']:.2%}, {scores['loss_nats']:.4f} nats a unit "
            f"over {scores['examples']:,} sounds"
        )

    def loss_in_words(self, loss_nats: float) -> str:  # noqa: ARG002
        """Nothing: the loss is all that there is to say."""
        return ""

    @staticmethod
    def selection(scores: dict[str, float]) -> float:
        """The weights of the lowest character error are kept; of those equal in it, those of the lowest loss."""
        return scores["cer"] + 1e-6 * min(scores["loss_nats"], 1e3)


def place_of(clip: Clip) -> dict[str, Any]:
    """Where a clip is, as an answer says it."""
    part = {} if clip.start == 0 and clip.end is None else {"start": clip.start, "end": clip.end}
    return {"path": clip.path, **part}


def flat(rows: Sequence[np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows of numbers one after another, and their lengths."""
    return torch.from_numpy(np.concatenate(rows)), torch.tensor([len(row) for row in rows])


def keep_sayable(clips: Sequence[Clip], units: Units, config: SoundConfig, bad: BadRows) -> list[Clip]:
    """The clips whose text can be written in these units, and said in the steps that there are; the others are bad rows.

    Raises `DataError` if none is left.
    """
    kept = []
    for clip in clips:
        text = str(clip.label)
        if unknown := units.unknown(text):
            named = ", ".join(map(repr, unknown[:5]))
            bad.skip(
                clip.where, f"its text has {named}, which the transcriber doesn't know: the training part hasn't got it"
            )
            continue
        # Another rate may come to a sample less.
        steps = -(-config.log_mel.count(round(clip.seconds * config.rate) - 1) // config.stack)
        needed = steps_needed(units.encode(text))
        if needed > steps:
            wrong = (
                f"its text needs {needed} steps but {clip.seconds:.2f} s of sound have {steps}: is it the right text?"
            )
            bad.skip(clip.where, f"{wrong} A smaller --stack or --hop gives more")
        else:
            kept.append(clip)
    if not kept:
        raise DataError(" ".join(["no text can be written in the transcriber's units.", *bad.notes()]))
    return kept
