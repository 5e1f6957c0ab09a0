"""Contiguous streams for truncated back-propagation through time.

One long sequence of tokens is cut into B streams of equal length, side by side; a window is the next T steps of all of
them. Window k + 1 goes on exactly where window k ended, so the state carried from one to the other is the true one.
"""

from dataclasses import dataclass

import numpy as np
import torch

from elman.axes import Int, Tensor
from elman.errors import DataError


@dataclass(frozen=True)
class Streams:
    """B streams of S steps side by side in `tokens` (N,), which may lie on disk: only the window asked for is read."""

    tokens: np.ndarray
    batch: int
    steps: int
    window: int

    @classmethod
    def cut(cls, tokens: np.ndarray, batch: int, window: int) -> "Streams":
        """Cut tokens (N,) into at most `batch` streams: fewer where each would be shorter than one window.

        At most B - 1 tokens at the end are left out. Raises `DataError` if there isn't enough for one window.
        """
        steps = len(tokens) - 1
        if steps < window:
            raise DataError(
                f"the training text has {len(tokens)} tokens, which is shorter than one window (bptt={window}): "
                "give more text or a smaller --bptt."
            )
        batch = min(batch, steps // window)
        return cls(tokens, batch, steps // batch, window)

    def __len__(self) -> int:
        """Windows in one pass; the last may be shorter."""
        return (self.steps - 1 + self.window) // self.window

    def __getitem__(self, index: int) -> tuple[Int[Tensor, "T B"], Int[Tensor, "T B"]]:
        """(inputs, targets) of window `index`: the targets are the inputs one step later."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        first = index * self.window
        last = min(first + self.window, self.steps)
        starts = [stream * self.steps for stream in range(self.batch)]
        rows_BT = np.stack([self.tokens[start + first : start + last + 1] for start in starts])
        window_TB = torch.from_numpy(rows_BT.T.astype(np.int64))
        return window_TB[:-1], window_TB[1:]
