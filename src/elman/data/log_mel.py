r"""Log-mel frames of sound: how loud each band of frequencies is, `hop` milliseconds after `hop` milliseconds.

    frame t   samples of `window` ms around (t + ½) hop, the mean subtracted, x_n - 0.97 x_{n-1}, times Povey's window
    P_k       |DFT|²
    y_d       max(0, ln Σ_k M_dk P_k)        M: triangles, of equal width on the mel scale, 1127 ln(1 + f / 700)

These are Kaldi's filter-bank features (Povey et al., ASRU 2011), computed by kaldi-native-fbank, without dither, of samples
from -32768 to 32767. What is fainter than one such step is 0, so that silence made by a computer is no outlier. Sound of N
samples has round(N / hop) frames, one at least: at both ends it is mirrored. So frame t tells of the time from t hop to
(t + 1) hop, and can be told half a window after its middle.

Whole and streaming are the same code: `frames` accepts all samples at once.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from elman.data.sound import Resampler, check_libraries
from elman.errors import OptionError

# Kaldi's numbers are those of 16-bit samples; its floor under the logarithm is made for them.
_FULL_SCALE = 32768.0


@dataclass(frozen=True)
class LogMel:
    """Which frames are made of sound.

    rate     samples a second                   mels     bands, from `lowest` Hz to half the rate
    window   milliseconds that a frame looks at  hop      milliseconds from a frame to the next
    dither   noise that is added, of 16-bit samples: 0 is none, and the only one that makes frames repeatable

    Raises `OptionError` for values that make no sense together.
    """

    rate: int = 16000
    mels: int = 40
    window: float = 25.0
    hop: float = 10.0
    lowest: float = 20.0
    dither: float = 0.0

    def __post_init__(self) -> None:
        if self.rate < 1000:
            raise OptionError(f"rate={self.rate} is the number of samples a second: give 1000 or more.")
        if not 0 <= self.lowest < self.rate / 2:
            raise OptionError(f"lowest={self.lowest:g} Hz must lie between 0 and {self.rate / 2:g}, half the rate.")
        if not (self.window >= 2 and 0.5 <= self.hop <= self.window):
            raise OptionError(
                f"window={self.window:g} and hop={self.hop:g} are milliseconds: give a window of 2 or more, and a hop of 0.5 "
                "or more, not longer than the window."
            )
        if self.mels < 3:
            raise OptionError(f"mels={self.mels} is the number of bands: give 3 or more.")

    @property
    def hop_samples(self) -> int:
        """Samples from a frame to the next."""
        return int(self.rate * self.hop / 1000)

    @property
    def hop_seconds(self) -> float:
        """Seconds from a frame to the next."""
        return self.hop_samples / self.rate

    def count(self, samples: int) -> int:
        """How many frames so many samples have."""
        return max((samples + self.hop_samples // 2) // self.hop_samples, min(samples, 1))

    def frames(self, samples_N: np.ndarray) -> np.ndarray:
        """The frames (T, D) of a whole sound at this rate, float32."""
        stream = self.stream()
        return np.concatenate([stream.accept(samples_N), stream.finish()])

    def stream(self, rate: int | None = None) -> "LogMelStream":
        """What makes frames of sound as it arrives, `rate` samples a second, resampled if that isn't its own."""
        return LogMelStream(self, self.rate if rate is None else rate)


class LogMelStream:
    """Samples in, frames out, as soon as they can be told; however the sound is cut, the same numbers."""

    def __init__(self, config: LogMel, rate: int) -> None:
        check_libraries()
        self._config = config
        self._resampler = Resampler(rate, config.rate)
        self._bank: Any = _bank(config)
        self._samples = self._given = 0

    def accept(self, samples_N: np.ndarray) -> np.ndarray:
        """The frames (t, D) that can be told after these samples, and were not yet given."""
        self._put(self._resampler.accept(samples_N))
        return self._ready()

    def finish(self) -> np.ndarray:
        """The rest of the frames (t, D). Nothing may be accepted afterwards."""
        self._put(self._resampler.finish())
        # The shortest sound has a frame too.
        missing = self._config.hop_samples - self._config.hop_samples // 2 - self._samples
        if self._samples and missing > 0:
            self._put(np.zeros(missing, np.float32))
        self._bank.input_finished()
        return self._ready()

    def _put(self, samples_N: np.ndarray) -> None:
        if len(samples_N):
            self._samples += len(samples_N)
            self._bank.accept_waveform(self._config.rate, np.asarray(samples_N, np.float32) * np.float32(_FULL_SCALE))

    def _ready(self) -> np.ndarray:
        places = range(self._given, self._bank.num_frames_ready)
        frames_TD = np.empty((len(places), self._config.mels), np.float32)
        for row, place in zip(frames_TD, places, strict=True):
            np.maximum(self._bank.get_frame(place), 0.0, out=row)
        self._given += len(places)
        self._bank.pop(len(places))
        return frames_TD


def _bank(config: LogMel) -> Any:
    import kaldi_native_fbank  # type: ignore[import-untyped] # noqa: PLC0415

    options = kaldi_native_fbank.FbankOptions()
    options.frame_opts.samp_freq = config.rate
    options.frame_opts.frame_length_ms = config.window
    options.frame_opts.frame_shift_ms = config.hop
    options.frame_opts.dither = config.dither
    options.frame_opts.snip_edges = False
    options.mel_opts.num_bins = config.mels
    options.mel_opts.low_freq = config.lowest
    try:
        return kaldi_native_fbank.OnlineFbank(options)
    except ValueError as error:
        # Bands so narrow that there is no frequency of the transform within one of them.
        raise OptionError(
            f"mels={config.mels} bands are too many for {config.rate} samples a second and a window of {config.window:g} ms: "
            "give fewer, or a higher rate."
        ) from error
