r"""Sounds made a little different each time that training hears them. All draws come from a generator that is handed in.

noise    x_n + σ g_n                  g white and normal, σ such that the sound is `noise` to `noise` + 30 dB louder
shift    x_{n-m}                      moved later or earlier by up to `shift` seconds; what is moved in is zero
gain     a x_n                        20 log₁₀ a uniform in ± `gain` dB: added to log frames, a is 2 ln a
masks    y_td = 0 for a run of t, and for a run of d: SpecAugment without warping (Park et al., Interspeech 2019), on
         standardised frames, whose mean is 0
"""

from dataclasses import dataclass

import numpy as np

from elman.errors import OptionError

# Masks of each kind, as in Park et al.'s policies LD and SM.
_MASKS = 2
# At most this part of a sound is masked at a time, so that the short ones stay what they are.
_MOST_MASKED = 0.2
_LOUDEST = 30.0


@dataclass(frozen=True)
class SoundAugmentation:
    """What is changed, and how much at most. Raises `OptionError` for values that make no sense.

    noise            decibels that a sound is louder than the noise, at least; None is no noise
    shift            seconds
    gain             decibels
    time_mask        seconds that a mask lasts at most     frequency_mask   part of the bands that one takes at most
    """

    noise: float | None = None
    shift: float = 0.0
    gain: float = 0.0
    time_mask: float = 0.0
    frequency_mask: float = 0.0

    def __post_init__(self) -> None:
        for name in ("shift", "gain", "time_mask"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise OptionError(f"{name}={getattr(self, name)!r} must be 0 or more.")
        if not 0 <= self.frequency_mask <= 1:
            raise OptionError(f"frequency_mask={self.frequency_mask!r} is a part of the bands: give 0 to 1.")

    @property
    def changes_samples(self) -> bool:
        """Whether frames must be made anew each time."""
        return self.noise is not None or self.shift > 0

    def samples(self, samples_N: np.ndarray, rate: int, generator: np.random.Generator) -> np.ndarray:
        """A sound with noise, moved; of the same length."""
        if self.shift:
            samples_N = moved(samples_N, round(generator.uniform(-self.shift, self.shift) * rate))
        if self.noise is not None:
            decibels = generator.uniform(self.noise, self.noise + _LOUDEST)
            samples_N = with_noise(samples_N, decibels, generator)
        return samples_N

    def frames(
        self, frames_TD: np.ndarray, deviation_D: np.ndarray, hop: float, generator: np.random.Generator
    ) -> np.ndarray:
        """Standardised frames, `hop` seconds apart, at another loudness and with masks; those given stay as they are."""
        frames_TD = frames_TD.copy()
        if self.gain:
            decibels = generator.uniform(-self.gain, self.gain)
            frames_TD += (decibels * np.log(10) / 10 / deviation_D).astype(frames_TD.dtype)
        steps, bands = frames_TD.shape
        longest = min(round(self.time_mask / hop), int(_MOST_MASKED * steps))
        for start, stop in _masks(steps, longest, generator):
            frames_TD[start:stop] = 0
        for start, stop in _masks(bands, round(self.frequency_mask * bands), generator):
            frames_TD[:, start:stop] = 0
        return frames_TD


def with_noise(samples_N: np.ndarray, decibels: float, generator: np.random.Generator) -> np.ndarray:
    """The samples with white noise, than which they are louder by so many decibels on average."""
    power = float(np.mean(np.square(samples_N, dtype=np.float64))) if len(samples_N) else 0.0
    deviation = np.sqrt(power * 10 ** (-decibels / 10))
    return samples_N + (deviation * generator.standard_normal(len(samples_N), np.float32)).astype(np.float32)


def moved(samples_N: np.ndarray, later: int) -> np.ndarray:
    """The samples moved by so many places, earlier if negative; zeros where they were."""
    moved_N = np.zeros_like(samples_N)
    if later >= 0:
        moved_N[later:] = samples_N[: max(len(samples_N) - later, 0)]
    else:
        moved_N[:later] = samples_N[-later:]
    return moved_N


def _masks(size: int, longest: int, generator: np.random.Generator) -> list[tuple[int, int]]:
    """Where masks begin and end, each of a width from 0 to `longest`."""
    found = []
    for _ in range(_MASKS if longest else 0):
        width = int(generator.integers(0, longest + 1))
        start = int(generator.integers(0, size - width + 1))
        found.append((start, start + width))
    return found
