"""Dropout, with masks that cost little."""

import torch
from torch import Tensor, nn

from elman.errors import OptionError

# Resolution of a probability: a unit's fate takes 16 random bits.
_LEVELS = 1 << 16


def dropout(x: Tensor, probability: float, training: bool = True) -> Tensor:
    """In training, each element becomes 0 with `probability`, and those that stay are scaled up to keep the mean.

    As `torch.nn.functional.dropout` (Srivastava et al., JMLR 15, 2014), drawn from torch's global generator. On a CPU the
    generator is what dropout costs there (a tenth of an LSTM's training step), so one 64-bit draw serves four elements here;
    the probability is rounded to a multiple of 2⁻¹⁶.
    """
    if not training or probability == 0:
        return x
    dropped = round(probability * _LEVELS)
    if x.device.type != "cpu" or dropped == _LEVELS:
        return nn.functional.dropout(x, probability)
    words = torch.empty((x.numel() + 3) // 4, dtype=torch.int64).random_(-(1 << 63), None)
    bits = words.view(torch.int16)[: x.numel()].view(x.shape)
    keep = bits >= dropped - _LEVELS // 2
    return x * keep.to(x.dtype).mul_(_LEVELS / (_LEVELS - dropped))


class Dropout(nn.Module):
    """`dropout` as a module."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        if not 0 <= probability <= 1:
            raise OptionError(f"dropout={probability} must be a probability, a number from 0 to 1.")
        self.probability = probability

    def forward(self, x: Tensor) -> Tensor:
        return dropout(x, self.probability, self.training)

    def extra_repr(self) -> str:
        return f"{self.probability:g}"
