"""Frames of many sounds: read when they are asked for, kept while there is room, standardised, side by side."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from elman.data.augment_sound import SoundAugmentation
from elman.data.examples import Clip
from elman.data.log_mel import LogMel
from elman.data.sound import read_blocks
from elman.errors import DataError

# Bytes of frames that are kept.
ROOM = 1 << 28
# So many clips tell what frames are like.
_ENOUGH = 500
# Less than this much deviation is none: a band that is always the same tells nothing.
_LEAST_DEVIATION = 1e-3


@dataclass(frozen=True)
class FrameScale:
    """What frames are standardised by: (y - mean) / deviation, band by band. Fitted on the training part alone."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    @classmethod
    def fit(cls, sequences: Iterable[np.ndarray]) -> "FrameScale":
        """Mean and deviation over all frames of these sequences (T, D). Raises `DataError` if there is none."""
        count, sums = 0, None
        for frames_TD in sequences:
            each = frames_TD.astype(np.float64)
            found = np.stack([each.sum(0), np.square(each).sum(0)])
            sums = found if sums is None else sums + found
            count += len(frames_TD)
        if sums is None or not count:
            raise DataError("there are no frames to learn from: give sounds that last a moment.")
        mean_D, square_D = sums / count
        deviation_D = np.sqrt(np.maximum(square_D - mean_D**2, 0))
        deviation_D[deviation_D < _LEAST_DEVIATION] = 1.0
        return cls(tuple(map(float, mean_D)), tuple(map(float, deviation_D)))

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any], size: int) -> "FrameScale":
        """What `to_dict` gave. Raises `DataError` for what is no scale of so many bands."""
        try:
            scale = cls(*(tuple(map(float, stored[name])) for name in ("mean", "deviation")))
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"the scale of the frames is no pair of lists of numbers ({error}).") from error
        sizes_fit = len(scale.mean) == len(scale.deviation) == size
        if not (sizes_fit and np.isfinite(scale.mean).all() and all(0 < value < np.inf for value in scale.deviation)):
            raise DataError(f"the scale of the frames is none of {size} bands.")
        return scale

    def to_dict(self) -> dict[str, list[float]]:
        """As JSON holds it."""
        return {"mean": list(self.mean), "deviation": list(self.deviation)}

    def __call__(self, frames_TD: np.ndarray) -> np.ndarray:
        """The frames, standardised, float32."""
        return ((frames_TD - np.asarray(self.mean)) / np.asarray(self.deviation)).astype(np.float32)


class SoundFrames:
    """The frames of clips by their places in a list: read when they are wanted, and kept while there is room."""

    def __init__(self, clips: Sequence[Clip], log_mel: LogMel, room: int = ROOM) -> None:
        self.clips = list(clips)
        self.log_mel = log_mel
        self._room = room
        self._kept: dict[int, np.ndarray] = {}

    def __len__(self) -> int:
        return len(self.clips)

    def lengths(self) -> list[int]:
        """How many frames each clip has, or one more or less."""
        return [self.log_mel.count(round(clip.seconds * self.log_mel.rate)) for clip in self.clips]

    def samples(self, place: int) -> np.ndarray:
        """The samples (N,) of a clip. Raises `DataError` if its file can't be read any more."""
        clip = self.clips[place]
        return np.concatenate([*read_blocks(clip.path, self.log_mel.rate, clip.start, clip.end)])

    def __getitem__(self, place: int) -> np.ndarray:
        """The frames (T, D) of a clip, as they are."""
        frames_TD = self._kept.get(place)
        if frames_TD is None:
            frames_TD = self.log_mel.frames(self.samples(place))
            if frames_TD.nbytes <= self._room:
                self._room -= frames_TD.nbytes
                self._kept[place] = frames_TD
        return frames_TD

    def standardised(self, place: int, scale: FrameScale) -> np.ndarray:
        """The frames (T, D) of a clip, standardised."""
        return scale(self[place])

    def augmented(
        self, place: int, scale: FrameScale, augmentation: SoundAugmentation, generator: np.random.Generator
    ) -> np.ndarray:
        """Standardised frames (T, D) of a clip that was made a little different."""
        if augmentation.changes_samples:
            samples_N = augmentation.samples(self.samples(place), self.log_mel.rate, generator)
            frames_TD = self.log_mel.frames(samples_N)
        else:
            frames_TD = self[place]
        return augmentation.frames(scale(frames_TD), np.asarray(scale.deviation), self.log_mel.hop_seconds, generator)


def fit_scale(clips: Sequence[Clip], log_mel: LogMel) -> FrameScale:
    """The scale of the frames of clips, of every so manieth where there are many."""
    heard = SoundFrames(clips[:: -(-len(clips) // _ENOUGH)], log_mel, room=0)
    return FrameScale.fit(heard[place] for place in range(len(heard)))


def pad_frames(sequences: Sequence[np.ndarray], joined: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Sequences (T, D) side by side (T, B, D), zeros below each, and their lengths (B), int64.

    T is a multiple of `joined`, the number of frames that become a step.
    """
    lengths_B = np.array([len(frames_TD) for frames_TD in sequences], dtype=np.int64)
    steps = max(-(-int(lengths_B.max()) // joined), 1)
    x_TBD = np.zeros((steps * joined, len(sequences), sequences[0].shape[1]), np.float32)
    for place, frames_TD in enumerate(sequences):
        x_TBD[: len(frames_TD), place] = frames_TD
    return x_TBD, lengths_B
