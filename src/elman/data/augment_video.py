"""Clips made a little different each time that training sees them. All draws come from a generator that is handed in.

pictures   x'(p) = x(A p + b), bilinear, one A and b a clip: turned by up to `turn` degrees, each side scaled by up to
           1 ± `zoom`, moved by up to `shift` of it, and mirrored half of the time if `flip`; beyond the edge is the edge
time       played up to 1 + `stretch` times faster or slower: pictures are left out, or seen twice
"""

from dataclasses import dataclass

import numpy as np

from elman.errors import OptionError


@dataclass(frozen=True)
class VideoAugmentation:
    """What is changed, and how much at most; see above. Raises `OptionError` for values that make no sense."""

    shift: float = 0.0
    zoom: float = 0.0
    turn: float = 0.0
    stretch: float = 0.0
    flip: bool = False

    def __post_init__(self) -> None:
        for name, most in (("shift", 1), ("zoom", 0.9), ("turn", 180), ("stretch", 9)):
            if not 0 <= getattr(self, name) <= most:
                raise OptionError(f"{name}={getattr(self, name)!r} must lie between 0 and {most} for video.")

    def __call__(self, frames: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """The pictures (T, C, height, width) of a clip, uint8, changed; those given stay as they are."""
        if self.stretch:
            frames = frames[stretched(len(frames), self.stretch, generator)]
        if self.shift or self.zoom or self.turn:
            frames = self._moved(frames, generator)
        if self.flip and generator.random() < 0.5:
            frames = frames[..., ::-1]
        return frames

    def _moved(self, frames: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        height, width = frames.shape[-2:]
        angle = np.deg2rad(generator.uniform(-self.turn, self.turn))
        scale_y, scale_x = 1 + generator.uniform(-self.zoom, self.zoom, 2)
        move_y, move_x = generator.uniform(-self.shift, self.shift, 2) * (height, width)
        y, x = np.mgrid[:height, :width] - np.array([height - 1, width - 1]).reshape(2, 1, 1) / 2
        from_y = (np.cos(angle) * y + np.sin(angle) * x) / scale_y + (height - 1) / 2 + move_y
        from_x = (np.cos(angle) * x - np.sin(angle) * y) / scale_x + (width - 1) / 2 + move_x
        return sampled(frames, from_y, from_x)


def sampled(frames: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Every picture read at the places (y, x), each an array of a picture's shape, bilinearly; uint8."""
    height, width = frames.shape[-2:]
    y, x = y.clip(0, height - 1).ravel(), x.clip(0, width - 1).ravel()
    top, left = np.minimum(y.astype(np.intp), height - 2), np.minimum(x.astype(np.intp), width - 2)
    down, right = (y - top).astype(np.float32), (x - left).astype(np.float32)
    flat = frames.reshape(-1, height * width)
    place = top * width + left
    upper = flat[:, place] * (1 - right) + flat[:, place + 1] * right
    lower = flat[:, place + width] * (1 - right) + flat[:, place + width + 1] * right
    mixed = upper * (1 - down) + lower * down
    return np.rint(mixed).astype(np.uint8).reshape(frames.shape)


def stretched(steps: int, most: float, generator: np.random.Generator) -> np.ndarray:
    """Which of so many steps are seen, in order, when time goes up to 1 + `most` times faster or slower."""
    speed = np.exp(generator.uniform(-1, 1) * np.log1p(most))
    count = max(1, round(steps / speed))
    return np.rint(np.linspace(0, steps - 1, count)).astype(np.intp)
