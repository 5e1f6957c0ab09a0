r"""The input layer of networks over frames: neighbours joined, then a projection.

    e_s = relu(W [x_{ns}; x_{ns+1}; …; x_{ns+n-1}] + b)          n: `stack`

n frames joined make one step, so that what recurs does so n times less often (Sak et al., Interspeech 2015). Beyond the end of
a sequence frames are zero, which is their mean if they were standardised.
"""

import torch
from torch import nn

from elman.axes import Float, Int, Tensor
from elman.errors import OptionError


class FrameInput(nn.Module):
    """Frames (T, B, D) and lengths (B) in; (⌈T / n⌉, B, E) and lengths ⌈length / n⌉ out.

    Initialiser: as `torch.nn.Linear`. Raises `OptionError` if fewer than one frame makes a step.
    """

    def __init__(self, bands: int, stack: int, size: int) -> None:
        super().__init__()
        if stack < 1:
            raise OptionError(f"stack={stack} is the number of frames that are joined: give 1 or more.")
        self.stack = stack
        self.project = nn.Linear(stack * bands, size)

    def forward(
        self, x_TBD: Float[Tensor, "T B D"], lengths_B: Int[Tensor, "B"]
    ) -> tuple[Float[Tensor, "S B E"], Int[Tensor, "B"]]:
        stacked_SBD, lengths_B = stack_frames(x_TBD, lengths_B, self.stack)
        return torch.relu(self.project(stacked_SBD)), lengths_B

    def extra_repr(self) -> str:
        return f"stack={self.stack}"


def stack_frames(
    x_TBD: Float[Tensor, "T B D"], lengths_B: Int[Tensor, "B"], stack: int
) -> tuple[Float[Tensor, "S B nD"], Int[Tensor, "B"]]:
    """`stack` frames joined to one, and lengths in these; what is beyond a sequence's end is zero."""
    steps, batch, size = x_TBD.shape
    missing = -steps % stack
    x_TBD = nn.functional.pad(x_TBD, (0, 0, 0, 0, 0, missing))
    valid_TB = torch.arange(steps + missing, device=x_TBD.device)[:, None] < lengths_B
    x_TBD = x_TBD.masked_fill(~valid_TB[..., None], 0)
    stacked_SBD = x_TBD.unflatten(0, (-1, stack)).transpose(1, 2).reshape(-1, batch, stack * size)
    return stacked_SBD, (lengths_B + stack - 1) // stack
