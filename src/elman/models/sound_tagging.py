"""A recurrent tagger of sound: what is heard when, a label a step.

sound → frames → recurrent layers → P(label | step) = softmax(V h_s + c)      see `elman.models.sound_network`
events: runs of the likeliest label                                                see `elman.data.sound_labels`
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from elman.data.bad_rows import BadRows
from elman.data.examples import Clip, Event, Recording
from elman.data.frames import FrameScale, SoundFrames
from elman.data.sound import resampled
from elman.data.sound_labels import NOTHING, EventReader, events_of, numbered_steps
from elman.data.sounds import find_clips, read_recordings
from elman.data.text import Source
from elman.engines import Engine
from elman.errors import DataError, ModelFolderError
from elman.models.event_scores import EventScores, score_events
from elman.models.folder import CONFIG, build, entry, read_network_config
from elman.models.sound_network import SoundConfig, SoundNetwork, read_sounds, scale_of

# Samples that are answered at a time.
_BLOCK = 1 << 16


@dataclass(frozen=True)
class SoundTaggingConfig(SoundConfig):
    """A tagger's sizes and options: what `config.json` holds under "network"."""


class SoundTaggingModel(SoundNetwork):
    """Frames in, logits of labels out, the first of which is that nothing is heard: see `SoundNetwork`.

    `most_frequent` is that label of the training part's steps: to say it always is the trivial baseline.
    """

    task: ClassVar[str] = "tag-sound"

    def __init__(
        self,
        config: SoundTaggingConfig,
        labels: Sequence[str],
        most_frequent: str,
        scale: FrameScale,
        engine: Engine | str = Engine.AUTO,
    ) -> None:
        super().__init__(config, scale, engine)
        self.labels = list(labels)
        self.most_frequent = most_frequent

    def hear(self, rate: int, blocks: Iterator[np.ndarray]) -> Iterator[tuple[Event, float]]:
        """Events as soon as they are over, each with the mean probability of its label.

        Sound arrives block by block, `rate` samples a second. Raises `DataError` if the model isn't causal.
        """
        stream, reader = self.stream(rate), EventReader(self.labels, self.config.step_seconds)
        for block_N in blocks:
            yield from reader.accept(stream.accept(block_N).log_softmax(-1).numpy())
        yield from reader.accept(stream.finish().log_softmax(-1).numpy())
        yield from reader.finish()

    def tag(self, samples_N: np.ndarray) -> list[tuple[Event, float]]:
        """The events of a whole sound at the model's rate, each with the mean probability of its label."""
        if self.causal:
            return list(self.hear(self.config.rate, iter(np.split(samples_N, range(_BLOCK, len(samples_N), _BLOCK)))))
        reader = EventReader(self.labels, self.config.step_seconds)
        return [*reader.accept(self.logits(samples_N).log_softmax(-1).cpu().numpy()), *reader.finish()]

    def listen(self, rate: int, blocks: Iterator[np.ndarray]) -> Iterator[dict[str, Any]]:
        """What `elman predict` says of sound on standard input: each event as soon as it is over.

        A model that reads from both ends hears all of it first.
        """
        heard = self.hear(rate, blocks) if self.causal else self.tag(resampled(blocks, rate, self.config.rate))
        return (_answer("-", 0.0, event, probability) for event, probability in heard)

    def read_inputs(
        self, source: Source, *, column: str | None, encoding: str, bad: BadRows
    ) -> Iterator[tuple[str, tuple[Clip, np.ndarray]]]:
        """What `elman predict` tags: sound files, those of a folder, or of a table; one that can't be read is bad."""
        return read_sounds(find_clips([source], path=column, encoding=encoding, bad=bad), self.config.rate, bad)

    def answer(self, sounds: Sequence[tuple[Clip, np.ndarray]]) -> list[dict[str, Any]]:
        """What `elman predict` says of each sound: its events, one after another."""
        return [
            _answer(clip.path, clip.start, event, probability)
            for clip, samples_N in sounds
            for event, probability in self.tag(samples_N)
        ]

    def evaluate(
        self,
        data: Source | Sequence[Source],
        encoding: str = "utf-8",
        *,
        bad: BadRows | None = None,
        watch: Callable[[float], None] | None = None,
        **columns: Any,
    ) -> EventScores:
        """Scores on sounds with their events. `columns`: path, start, end, label.

        Raises `DataError` for what can't be read, and for a label that the model doesn't know. Bad rows go into `bad`; without
        it the first is an error.
        """
        sources = [data] if isinstance(data, Source) else list(data)
        recordings = read_recordings(sources, encoding=encoding, bad=bad or BadRows(strict=True), **columns).items
        return self.score(recordings, SoundFrames(whole(recordings), self.log_mel, room=0), watch)

    @torch.no_grad()
    def score(
        self, recordings: Sequence[Recording], sounds: SoundFrames, watch: Callable[[float], None] | None = None
    ) -> EventScores:
        """Scores on recordings, whose frames `sounds` has. Raises `DataError` for a label that the model doesn't know."""
        check_labels(recordings, self.labels)
        seconds, done = self.config.step_seconds, 0
        log_ps: list[np.ndarray] = [np.zeros((0, 0))] * len(recordings)
        for places, logits_SBV, lengths_B in self.each(sounds, sounds.lengths()):
            log_ps_SBV = logits_SBV.float().log_softmax(-1).cpu().numpy()
            for row, place in enumerate(places):
                log_ps[place] = log_ps_SBV[: int(lengths_B[row]), row]
            done += len(places)
            if watch is not None:
                watch(done / len(recordings))
        right = [recording.events or () for recording in recordings]
        labels = [
            numbered_steps(events, len(log_p_SV), seconds, self.labels)
            for events, log_p_SV in zip(right, log_ps, strict=True)
        ]
        found = [events_of(log_p_SV, self.labels, seconds) for log_p_SV in log_ps]
        always = [
            [] if self.most_frequent == NOTHING else [Event(0.0, len(log_p_SV) * seconds, self.most_frequent)]
            for log_p_SV in log_ps
        ]
        named = [[event for event in events if event.label != NOTHING] for events in right]
        return score_events(labels, log_ps, named, found, self.labels.index(self.most_frequent), always)

    @classmethod
    def from_folder(
        cls, folder: Path, config: dict[str, Any], engine: Engine | str = Engine.AUTO
    ) -> "SoundTaggingModel":
        """The network that a folder describes, without its weights. Raises `ModelFolderError`."""
        network = read_network_config(folder, SoundTaggingConfig, config["network"])
        labels, usual = entry(folder, config, "labels", list), entry(folder, config, "most_frequent", str)
        if len(labels) != network.classes or usual not in labels:
            raise ModelFolderError(
                f"{folder / CONFIG} has {network.classes} labels in 'network', but {len(labels)} are named: it is damaged."
            )
        return build(folder, lambda: cls(network, labels, usual, scale_of(folder, config, network.mels), engine))

    def save_vocabularies(self, folder: Path) -> dict[str, Any]:  # noqa: ARG002
        """What `config.json` says of the labels and the frames."""
        return {"labels": self.labels, "most_frequent": self.most_frequent, "frames": self.scale.to_dict()}

    def description(self) -> dict[str, str]:
        """The parts of the network in words."""
        shown = ", ".join(self.labels[:10]) + (", …" if len(self.labels) > 10 else "")
        return {"labels": f"{len(self.labels)}: {shown}", **self.sound_description()}

    @staticmethod
    def headline(scores: dict[str, float]) -> str:
        """Scores as a person reads them."""
        return (
            f"accuracy {scores['accuracy']:.2%} (most frequent label {scores['baseline_accuracy']:.2%}), event F1 "
            f"{scores['event_f1']:.2%}, {scores['loss_nats']:.4f} nats over {scores['steps']:,} steps, "
            f"{scores['events']:,} events of {scores['recordings']:,} sounds"
        )

    def loss_in_words(self, loss_nats: float) -> str:  # noqa: ARG002
        """Nothing: the loss is all that there is to say."""
        return ""

    @staticmethod
    def selection(scores: dict[str, float]) -> float:
        """The weights of the highest accuracy are kept; of those equal in it, those of the lowest loss."""
        return -scores["accuracy"] + 1e-6 * min(scores["loss_nats"], 1e3)


def whole(recordings: Sequence[Recording]) -> list[Clip]:
    """Recordings as clips of all of their files."""
    return [Clip(recording.path, None, recording.where, seconds=recording.seconds) for recording in recordings]


def check_labels(recordings: Sequence[Recording], labels: Sequence[str]) -> None:
    """Raise `DataError` for an event whose label isn't among these."""
    for recording in recordings:
        for event in recording.events or ():
            if event.label not in labels:
                shown = ", ".join(labels[:20]) + (", …" if len(labels) > 20 else "")
                raise DataError(
                    f"{recording.path}: the label {event.label!r} is not among those of the training part ({shown}): correct "
                    "it, or train with examples of it."
                )


def _answer(path: str, start: float, event: Event, probability: float) -> dict[str, Any]:
    return {
        "path": path,
        "start": round(start + event.start, 3),
        "end": round(start + event.end, 3),
        "label": event.label,
        "probability": probability,
    }
