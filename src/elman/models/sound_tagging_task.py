"""The tagger of sound as a task to train: pieces of recordings, made a little different each time, cross-entropy a step."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from elman.data.bad_rows import BadRows
from elman.data.buckets import Buckets
from elman.data.examples import Clip, Event, Reading, Recording
from elman.data.frames import SoundFrames, fit_scale
from elman.data.sound_labels import labels_of, numbered_steps
from elman.data.sounds import group_of, read_recordings
from elman.data.text import Source
from elman.errors import DataError
from elman.models.options import TrainOptions
from elman.models.parts import Parts, budget_note, count_note, most_frequent, read_parts
from elman.models.sound_network import augmentation_of, sound_sizes
from elman.models.sound_tagging import SoundTaggingConfig, SoundTaggingModel, check_labels, whole

_SHOWN = 3
# Seconds of a recording that are learnt from at a time.
_PIECE = 10.0
# What no label is: beyond the end of a piece.
_PADDING = -100


class SoundTaggingKind:
    """How a sound tagger's training begins."""

    def read(self, sources: Sequence[Source] | None, options: TrainOptions) -> Parts[Recording]:
        if sources is None:
            raise DataError(
                "there is nothing to tag: give DATA, a table with paths of sound files, start, end and label."
            )

        def read(part: Sequence[Source], bad: BadRows, **columns: Any) -> Reading[Recording]:
            chosen = {name: getattr(options, name) for name in ("path", "start", "end", "label")}
            group = options.group if part is sources else None
            return read_recordings(part, **{**chosen, **columns, "group": group}, encoding=options.encoding, bad=bad)

        return read_parts(sources, options, read, tags_of=_labels, group_of=group_of)

    def fit(self, data: Parts[Recording], options: TrainOptions) -> SoundTaggingModel:
        labels = labels_of(data.train)
        config = SoundTaggingConfig(classes=len(labels), **sound_sizes(options, [item.path for item in data.train]))
        seconds = config.step_seconds
        counts_V = sum(
            np.bincount(
                numbered_steps(item.events or (), int(item.seconds / seconds), seconds, labels), minlength=len(labels)
            )
            for item in data.train
        )
        usual = most_frequent(labels[number] for number in np.repeat(np.arange(len(labels)), counts_V))
        torch.manual_seed(options.seed)
        return SoundTaggingModel(config, labels, usual, fit_scale(whole(data.train), config.log_mel), options.engine)

    def task(self, data: Parts[Recording], network: SoundTaggingModel, options: TrainOptions) -> "SoundTaggingTask":
        return SoundTaggingTask(data, network, options)


def _labels(recording: Recording) -> list[str]:
    return [event.label for event in recording.events or ()]


class SoundTaggingTask:
    """Each epoch hears every piece once, in batches of like length; no state is carried from one to another."""

    def __init__(self, data: Parts[Recording], network: SoundTaggingModel, options: TrainOptions) -> None:
        self.network = network
        self._data, self._options = data, options
        # A label of another part that the training part hasn't is an error now, not after hours.
        for part in (data.train, data.valid, data.test or []):
            check_labels(part, network.labels)
        self._events, pieces = _pieces(data.train, network.config.step_seconds)
        self._train = SoundFrames(pieces, network.log_mel)
        self._valid = SoundFrames(whole(data.valid), network.log_mel)
        self._augmentation = augmentation_of(options)
        lengths = [-(-length // network.config.stack) for length in self._train.lengths()]
        self._buckets = Buckets(lengths, options.batch_tokens, options.seed)
        self.steps_per_epoch = len(self._buckets)
        self.fingerprint = data.fingerprint
        seconds = sum(item.seconds for item in data.train)
        named = ", ".join(network.labels[:10]) + (", …" if len(network.labels) > 10 else "")
        self.notes = [
            *data.notes,
            count_note("sounds", data, f"; {seconds / 60:,.1f} minutes to train on, in {len(pieces):,} pieces"),
            f"labels: {named}",
            budget_note(options, "steps", self.steps_per_epoch),
        ]

    def batch(self, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """Frames (T, B, D), their lengths (B), and labels (S, B)."""
        places, network = self._buckets[step], self.network
        generator = np.random.default_rng((self._options.seed, step))
        heard = [self._train.augmented(place, network.scale, self._augmentation, generator) for place in places]
        x_TBD, lengths_B = network.batch(heard)
        stack, seconds = network.config.stack, network.config.step_seconds
        labels_SB = np.full((-(-len(x_TBD) // stack), len(places)), _PADDING, np.int64)
        for row, (place, frames_TD) in enumerate(zip(places, heard, strict=True)):
            steps = -(-len(frames_TD) // stack)
            start = self._train.clips[place].start
            labels_SB[:steps, row] = numbered_steps(self._events[place], steps, seconds, network.labels, start)
        return x_TBD, lengths_B, torch.from_numpy(labels_SB).to(network.device)

    def carries_state(self, step: int) -> bool:  # noqa: ARG002
        return False

    def loss(self, batch: tuple[Tensor, Tensor, Tensor], state: Any) -> tuple[Tensor, Any]:  # noqa: ARG002
        x_TBD, lengths_B, labels_SB = batch
        logits_SBV, _ = self.network(x_TBD, lengths_B)
        loss = cross_entropy(logits_SBV.float().flatten(0, 1), labels_SB.flatten(), ignore_index=_PADDING)
        return loss, None

    def size(self, batch: tuple[Tensor, Tensor, Tensor]) -> int:
        """Steps of all pieces."""
        return int((batch[2] != _PADDING).sum())

    def validate(self) -> dict[str, float]:
        return self.network.score(self._data.valid, self._valid).to_dict()

    def final_scores(self) -> tuple[dict[str, float], dict[str, float] | None]:
        test = self._data.test
        if test is None:
            return self.validate(), None
        return self.validate(), self.network.score(
            test, SoundFrames(whole(test), self.network.log_mel, room=0)
        ).to_dict()

    def sample(self) -> str:
        """The events that were found in a few sounds that were held out, and those that are right below."""
        lines = []
        for recording in (self._data.test or self._data.valid)[:_SHOWN]:
            sounds = SoundFrames(whole([recording]), self.network.log_mel, room=0)
            found = [event for event, _ in self.network.tag(sounds.samples(0))]
            lines.append(f"{recording.path}\n  → {_shown(found)}\n  = {_shown(recording.events or ())}\n")
        return "".join(lines)

    def draw(self, folder: Path) -> list[Path]:  # noqa: ARG002
        return []


def _pieces(recordings: Sequence[Recording], step: float) -> tuple[list[tuple[Event, ...]], list[Clip]]:
    """Recordings in pieces of equal length, at most some seconds each and whole steps; the events of each, and the clips."""
    events, clips = [], []
    for recording in recordings:
        count = max(1, -int(-recording.seconds // _PIECE))
        length = max(1, round(recording.seconds / count / step)) * step
        for number in range(count):
            start, end = number * length, None if number == count - 1 else (number + 1) * length
            seconds = recording.seconds - start if end is None else length
            clips.append(Clip(recording.path, None, recording.where, start, end, seconds=seconds))
            events.append(recording.events or ())
    return events, clips


def _shown(events: Sequence[Event]) -> str:
    return ", ".join(f"{event.label} {event.start:.2f}-{event.end:.2f}" for event in events) or "nothing"
