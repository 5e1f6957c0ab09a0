"""The transcriber as a task to train: batches of sounds of like length, made a little different each time, CTC."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from elman.data.bad_rows import BadRows
from elman.data.buckets import Buckets
from elman.data.examples import Clip, Reading
from elman.data.frames import SoundFrames, fit_scale
from elman.data.sounds import group_of, read_clips
from elman.data.text import Source
from elman.data.units import Units
from elman.errors import DataError
from elman.models.ctc import ctc_nats
from elman.models.options import TrainOptions
from elman.models.parts import Parts, budget_note, count_note, most_frequent, read_parts
from elman.models.sound_network import augmentation_of, sound_sizes
from elman.models.transcription import TranscriptionConfig, TranscriptionModel, flat, keep_sayable

_SHOWN = 5
# Frames (T, B, D) and their lengths (B), units one after another and their lengths (B).
Batch = tuple[Tensor, Tensor, Tensor, Tensor]


class TranscriptionKind:
    """How a transcriber's training begins."""

    def read(self, sources: Sequence[Source] | None, options: TrainOptions) -> Parts[Clip]:
        if sources is None:
            raise DataError("there is nothing to transcribe: give DATA, a table with paths of sound files and texts.")

        def read(part: Sequence[Source], bad: BadRows, **columns: Any) -> Reading[Clip]:
            chosen = {name: getattr(options, name) for name in ("path", "text", "start", "end")}
            group = options.group if part is sources else None
            given = {**chosen, **columns, "group": group}
            return read_clips(part, spoken=True, encoding=options.encoding, bad=bad, **given)

        return read_parts(sources, options, read, group_of=group_of)

    def fit(self, data: Parts[Clip], options: TrainOptions) -> TranscriptionModel:
        units = Units.fit(
            options.tokenizer,
            [str(clip.label) for clip in data.train],
            normalisation=options.normalisation,
            lowercase=options.lowercase,
        )
        sizes = sound_sizes(options, [clip.path for clip in data.train])
        config = TranscriptionConfig(classes=len(units), beam=options.beam, **sizes)
        scale = fit_scale(data.train, config.log_mel)
        usual = most_frequent(units.read(str(clip.label)) for clip in data.train)
        torch.manual_seed(options.seed)
        return TranscriptionModel(config, units, scale, usual, options.engine)

    def task(self, data: Parts[Clip], network: TranscriptionModel, options: TrainOptions) -> "TranscriptionTask":
        return TranscriptionTask(data, network, options)


class TranscriptionTask:
    """Each epoch hears every sound once, in batches of like length; no state is carried from one to another."""

    def __init__(self, data: Parts[Clip], network: TranscriptionModel, options: TrainOptions) -> None:
        self.network = network
        self._options = options
        bad = BadRows(options.strict)
        train, valid, test = (
            None
            if part is None
            else SoundFrames(keep_sayable(part, network.units, network.config, bad), network.log_mel)
            for part in (data.train, data.valid, data.test)
        )
        assert train is not None and valid is not None  # noqa: PT018
        self._train, self._valid, self._test = train, valid, test
        self._units = [network.units.encode(str(clip.label)) for clip in self._train.clips]
        self._augmentation = augmentation_of(options)
        lengths = [-(-length // network.config.stack) for length in self._train.lengths()]
        self._buckets = Buckets(lengths, options.batch_tokens, options.seed)
        self.steps_per_epoch = len(self._buckets)
        self.fingerprint = data.fingerprint
        seconds = sum(clip.seconds for clip in self._train.clips)
        self.notes = [
            *data.notes,
            *bad.notes(),
            count_note("sounds", data, f"; {seconds / 60:,.1f} minutes to train on"),
            f"units: {len(network.units) - 1} of {network.units.kind}, {sum(map(len, self._units)):,} in the training part",
            budget_note(options, "steps", self.steps_per_epoch),
        ]

    def batch(self, step: int) -> Batch:
        places, network = self._buckets[step], self.network
        generator = np.random.default_rng((self._options.seed, step))
        heard = [self._train.augmented(place, network.scale, self._augmentation, generator) for place in places]
        x_TBD, lengths_B = network.batch(heard)
        targets_N, target_lengths_B = flat([self._units[place] for place in places])
        return x_TBD, lengths_B, targets_N, target_lengths_B

    def carries_state(self, step: int) -> bool:  # noqa: ARG002
        return False

    def loss(self, batch: Batch, state: Any) -> tuple[Tensor, Any]:  # noqa: ARG002
        """Nats a unit of the texts."""
        x_TBD, lengths_B, targets_N, target_lengths_B = batch
        logits_SBV, lengths_B = self.network(x_TBD, lengths_B)
        nats_B = ctc_nats(logits_SBV, lengths_B, targets_N, target_lengths_B)
        return nats_B.sum() / len(targets_N), None

    def size(self, batch: Batch) -> int:
        """Steps of all sounds."""
        return int(batch[1].sum()) // self.network.config.stack

    def validate(self) -> dict[str, float]:
        return self.network.score(self._valid).to_dict()

    def final_scores(self) -> tuple[dict[str, float], dict[str, float] | None]:
        test = None if self._test is None else self.network.score(self._test).to_dict()
        return self.validate(), test

    def sample(self) -> str:
        """A few sounds that were held out: what was heard, and what was said where that differs."""
        sounds = self._test or self._valid
        lines = []
        for place, clip in enumerate(sounds.clips[:_SHOWN]):
            found, right = self.network.transcribe(sounds.samples(place)), self.network.units.read(str(clip.label))
            lines.append(f"{found}" + ("" if found == right else f"  (said: {right})") + "\n")
        return "".join(lines)

    def draw(self, folder: Path) -> list[Path]:  # noqa: ARG002
        return []
