"""Dropout, and all other masks of training, drawn at little cost.

A mask is a function of the generator alone, whatever the number of threads.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from elman.errors import OptionError

# Resolution of a probability: a unit's fate takes 16 random bits.
_LEVELS = 1 << 16


def draw_mask(
    shape: Sequence[int], zero: float, like: Tensor, generator: torch.Generator | None = None, scaled: bool = True
) -> Tensor:
    """Zeros with probability `zero`, elsewhere 1, or 1 / (1 - zero) if `scaled`; of the dtype and device of `like`.

    Drawn from `generator`, or from torch's global one. On a CPU the generator is what a mask costs there (a tenth of an
    LSTM's training step), so one 64-bit draw serves four elements; the probability is rounded to a multiple of 2⁻¹⁶.
    """
    dropped = round(zero * _LEVELS)
    if dropped == _LEVELS:
        return like.new_zeros(shape)
    if like.device.type == "cpu":
        size = torch.Size(shape).numel()
        words = torch.empty((size + 3) // 4, dtype=torch.int64).random_(-(1 << 63), None, generator=generator)
        keep = words.view(torch.int16)[:size].view(shape) >= dropped - _LEVELS // 2
        mask = keep.to(like.dtype)
    else:
        mask = torch.empty(shape, dtype=like.dtype, device=like.device)
        mask.bernoulli_(1 - dropped / _LEVELS, generator=generator)
    return mask.mul_(_LEVELS / (_LEVELS - dropped)) if scaled else mask


def dropout(
    x: Tensor,
    probability: float,
    training: bool = True,
    generator: torch.Generator | None = None,
    locked: bool = False,
) -> Tensor:
    """In training, each element becomes 0 with `probability`, and those that stay are scaled up to keep the mean.

    As `torch.nn.functional.dropout` (Srivastava et al., JMLR 15, 2014), by the mask that `draw_mask` gives. If `locked`, one
    mask serves all of the first axis, which is time (Merity et al., arXiv 1708.02182).
    """
    if not training or probability == 0:
        return x
    return x * draw_mask(x.shape[1:] if locked else x.shape, probability, x, generator)


class Dropout(nn.Module):
    """`dropout` as a module."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        if not 0 <= probability <= 1:
            raise OptionError(f"dropout={probability} must be a probability, a number from 0 to 1.")
        self.probability = probability

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        return dropout(x, self.probability, self.training, generator)

    def extra_repr(self) -> str:
        return f"{self.probability:g}"
