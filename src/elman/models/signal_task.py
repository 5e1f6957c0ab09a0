"""Classifiers of series, sound and video as tasks to train: how each reads its data, and what training changes in it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from elman.data.augment_series import SeriesAugmentation
from elman.data.augment_sound import SoundAugmentation
from elman.data.augment_video import VideoAugmentation
from elman.data.bad_rows import BadRows
from elman.data.examples import Reading
from elman.data.frames import FrameScale
from elman.data.labelled_series import Series
from elman.data.log_mel import LogMel
from elman.data.series_examples import read_series
from elman.data.signals import Cache, rows_of
from elman.data.sounds import group_of, read_clips
from elman.data.text import Source
from elman.data.video import FrameForm
from elman.data.videos import Film, read_films
from elman.errors import DataError
from elman.models.classifier_task import ClassifierTask
from elman.models.options import TrainOptions
from elman.models.parts import Parts, most_frequent, read_parts
from elman.models.series_classification import SeriesClassifier, SeriesFront
from elman.models.signal_classification import SignalClassifier, SignalConfig
from elman.models.sound_classification import SoundClassifier, SoundSignal
from elman.models.sound_network import sound_sizes
from elman.models.video_classification import VideoClassifier

Change = Callable[[Any, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class Changed:
    """A signal as one step of training sees it: `change` of it, drawn by the seed, the step and its place."""

    signal: Any
    change: Change
    seed: tuple[int, int, int]

    def frames(self) -> np.ndarray:
        return self.change(self.signal, np.random.default_rng(self.seed))


class SignalKind:
    """How the training of a classifier of signals begins; each kind of signal is a kind of this."""

    network: ClassVar[type[SignalClassifier]]
    what: ClassVar[str]

    def __init__(self) -> None:
        self._understood: dict[str, Any] = {}

    def read(self, sources: Sequence[Source] | None, options: TrainOptions) -> Parts[Any]:
        if sources is None:
            raise DataError(f"there is nothing to classify: give DATA, {self.what} with labels.")

        def read(part: Sequence[Source], bad: BadRows, **columns: Any) -> Reading[Any]:
            training = part is sources
            reading = self.read_part(part, options, bad, training, columns)
            if training:
                self._understood = dict(reading.columns)
            return reading

        return read_parts(sources, options, read, label_of=_label, group_of=self.group_of)

    def fit(self, data: Parts[Any], options: TrainOptions) -> SignalClassifier:
        front = self.front(data.train, options)
        signals = self.signals(data.train, front, options)
        scale = FrameScale.fit(rows_of(signal.frames()) for signal in signals)
        height, width = self.picture(options)
        labels = [_label(item) for item in data.train]
        config = SignalConfig.of(options, len(scale.mean), len(set(labels)), height, width)
        torch.manual_seed(options.seed)
        return self.network(config, sorted(set(labels)), most_frequent(labels), scale, front, options.engine)

    def task(self, data: Parts[Any], network: SignalClassifier, options: TrainOptions) -> "SignalTask":
        network.cache = Cache(options.cache << 20)
        return SignalTask(data, network, options, self.change(network, options))

    def read_part(
        self, part: Sequence[Source], options: TrainOptions, bad: BadRows, training: bool, columns: dict[str, Any]
    ) -> Reading[Any]:
        raise NotImplementedError

    def front(self, items: Sequence[Any], options: TrainOptions) -> Any:
        """What of the reading the model keeps: see `SignalClassifier.front_for_folder`."""
        raise NotImplementedError

    def signals(self, items: Sequence[Any], front: Any, options: TrainOptions) -> Sequence[Any]:  # noqa: ARG002
        """The signals of the training part: what the scale is fitted on."""
        return items

    def picture(self, options: TrainOptions) -> tuple[int, int]:  # noqa: ARG002
        """Height and width of a frame; zeros if it is a row of features."""
        return 0, 0

    def change(self, network: SignalClassifier, options: TrainOptions) -> Change | None:
        """What training changes in a signal; None for nothing."""
        raise NotImplementedError

    @staticmethod
    def group_of(item: Any) -> str:
        """What is kept together in a split; each by itself, where no column says otherwise."""
        return item.group or item.where


def _label(item: Any) -> str:
    return str(item.label)


class SeriesKind(SignalKind):
    """Series of numbers."""

    network = SeriesClassifier
    what = ".ts files, arrays or a table of series"

    def read_part(
        self, part: Sequence[Source], options: TrainOptions, bad: BadRows, training: bool, columns: dict[str, Any]
    ) -> Reading[Series]:
        chosen = {"id": options.id, "time": options.time, "label": options.label, **columns}
        group = options.group if training else None
        return read_series(
            part, **chosen, group=group, missing=options.missing, encoding=options.encoding, bad=bad, training=training
        )

    def front(self, items: Sequence[Any], options: TrainOptions) -> SeriesFront:  # noqa: ARG002
        return SeriesFront(self._understood, options.missing)

    def change(self, network: SignalClassifier, options: TrainOptions) -> Change | None:  # noqa: ARG002
        augmentation = SeriesAugmentation(options.shift, options.stretch)
        if augmentation == SeriesAugmentation():
            return None
        return lambda signal, generator: augmentation(signal.frames(), generator)


class SoundKind(SignalKind):
    """Sounds, as log-mel frames."""

    network = SoundClassifier
    what = "a folder a class, or a table of paths,"
    group_of = staticmethod(group_of)

    def read_part(
        self, part: Sequence[Source], options: TrainOptions, bad: BadRows, training: bool, columns: dict[str, Any]
    ) -> Reading[Any]:
        names = ("path", "label", "start", "end", *(["group"] if training else []))
        chosen: dict[str, Any] = {name: getattr(options, name) for name in names} | columns
        return read_clips(part, **chosen, encoding=options.encoding, bad=bad)

    def front(self, items: Sequence[Any], options: TrainOptions) -> LogMel:
        rate = sound_sizes(options, (item.path for item in items))["rate"]
        return LogMel(rate, options.mels, options.window, options.hop)

    def signals(self, items: Sequence[Any], front: LogMel, options: TrainOptions) -> list[SoundSignal]:
        cache = Cache(options.cache << 20)
        return [SoundSignal(item, front, cache) for item in items]

    def change(self, network: SignalClassifier, options: TrainOptions) -> Change | None:
        names = ("noise", "shift", "gain", "time_mask", "frequency_mask")
        augmentation = SoundAugmentation(**{name: getattr(options, name) for name in names})
        if augmentation == SoundAugmentation():
            return None
        log_mel, scale = network.front, network.scale
        mean_D, deviation_D = np.asarray(scale.mean), np.asarray(scale.deviation)

        def change(signal: SoundSignal, generator: np.random.Generator) -> np.ndarray:
            if augmentation.changes_samples:
                frames_TD = log_mel.frames(augmentation.samples(signal.samples(), log_mel.rate, generator))
            else:
                frames_TD = signal.frames()
            # Masks stand for the mean, which is zero of what is standardised.
            changed_TD = augmentation.frames(scale(frames_TD), deviation_D, log_mel.hop_seconds, generator)
            return (changed_TD * deviation_D + mean_D).astype(np.float32)

        return change


class VideoKind(SignalKind):
    """Clips of video."""

    network = VideoClassifier
    what = "a folder a class, or a table of paths,"
    _form: FrameForm | None = None

    def read(self, sources: Sequence[Source] | None, options: TrainOptions) -> Parts[Any]:
        # All parts share the room that there is, and the form of the first.
        self._cache, self._form = Cache(options.cache << 20), None
        return super().read(sources, options)

    def read_part(
        self, part: Sequence[Source], options: TrainOptions, bad: BadRows, training: bool, columns: dict[str, Any]
    ) -> Reading[Film]:
        chosen: dict[str, Any] = {"path": options.path, "label": options.label, **columns}
        group = options.group if training else None
        given = {"grey": True, "rgb": False}.get(options.colour)
        reading = read_films(
            part,
            form=self._form or FrameForm(options.frame_size, options.frame_rate, given),
            cache=self._cache,
            **chosen,
            group=group,
            encoding=options.encoding,
            bad=bad,
            training=training,
        )
        self._form = reading.items[0].form
        return reading

    def front(self, items: Sequence[Film], options: TrainOptions) -> FrameForm:  # noqa: ARG002
        return items[0].form

    def picture(self, options: TrainOptions) -> tuple[int, int]:
        return options.frame_size, options.frame_size

    def change(self, network: SignalClassifier, options: TrainOptions) -> Change | None:  # noqa: ARG002
        augmentation = VideoAugmentation(options.shift, options.zoom, options.turn, options.stretch, options.flip)
        if augmentation == VideoAugmentation():
            return None
        return lambda film, generator: augmentation(film.frames(), generator)


class SignalTask(ClassifierTask):
    """Each epoch reads every signal once, changed as `change` says."""

    unit = "frames"

    def __init__(
        self, data: Parts[Any], network: SignalClassifier, options: TrainOptions, change: Change | None
    ) -> None:
        super().__init__(data, network, options)
        self._change = change

    def _chosen(self, places: np.ndarray, step: int) -> Sequence[Any]:
        signals = super()._chosen(places, step)
        if self._change is None:
            return signals
        seed = self._options.seed
        return [
            Changed(signal, self._change, (seed, step, int(place)))
            for signal, place in zip(signals, places, strict=True)
        ]

    def _told(self) -> list[str]:
        words = self.network.input_in_words()
        return [f"{name}: {told}; {sum(self._lengths):,} frames" for name, told in words.items()]
