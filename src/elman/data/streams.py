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
    """`tokens_SB` (S + 1, B): B streams of S steps, each with the token that follows its last step."""

    tokens_SB: Int[Tensor, "S B"]
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
        length = steps // batch
        starts_B = np.arange(batch) * length
        grid_SB = tokens[starts_B + np.arange(length + 1)[:, None]]
        return cls(torch.from_numpy(grid_SB.astype(np.int32)), window)

    @property
    def batch(self) -> int:
        return int(self.tokens_SB.shape[1])

    def __len__(self) -> int:
        """Windows in one pass; the last may be shorter."""
        return (self.tokens_SB.shape[0] - 2 + self.window) // self.window

    def __getitem__(self, index: int) -> tuple[Int[Tensor, "T B"], Int[Tensor, "T B"]]:
        """(inputs, targets) of window `index`: the targets are the inputs one step later."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        piece = self.tokens_SB[index * self.window : (index + 1) * self.window + 1].long()
        return piece[:-1], piece[1:]
