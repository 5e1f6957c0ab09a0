"""Small sounds that tests make: tones, and files of them."""

from pathlib import Path

import numpy as np


def tone(seconds: float, hertz: float = 440.0, rate: int = 8000, loud: float = 0.3) -> np.ndarray:
    """A sine, float32 (N,)."""
    time_N = np.arange(round(seconds * rate)) / rate
    return (loud * np.sin(2 * np.pi * hertz * time_N)).astype(np.float32)


def noise(samples: int, seed: int = 0, loud: float = 0.1) -> np.ndarray:
    """White noise, float32 (N,)."""
    return (loud * np.random.default_rng(seed).standard_normal(samples)).astype(np.float32)


def write(path: Path, samples: np.ndarray, rate: int = 8000) -> Path:
    """Write samples (N,) or (N, channels) as the path's ending says."""
    import soundfile

    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate)
    return path
