"""What is read of a whole sequence: one vector, made of the outputs of its valid steps.

    last        h_T, of each direction the output after the whole sequence: forwards at its end, backwards at its start
    mean        (1/T) Σ_t h_t
    max         max_t h_t, element by element                      (Collobert et al., arXiv 1103.0398)
    attention   Σ_t a_t h_t,  a = softmax_t(v · tanh(W h_t + b))     (Yang et al., NAACL 2016)

A sequence of length zero gives zero. What stands in the padding is never read.
"""

import torch
from torch import nn

from elman.axes import Bool, Float, Int, Tensor
from elman.errors import OptionError

POOLINGS = ("last", "mean", "max", "attention")


class Pooling(nn.Module):
    """Outputs (T, B, H) and lengths (B) in, vectors (B, H) out. `directions`: how many stand side by side in H.

    Raises `OptionError` for a `kind` that isn't known.
    """

    def __init__(self, kind: str, size: int, directions: int = 1) -> None:
        super().__init__()
        if kind not in POOLINGS:
            raise OptionError(f"pooling={kind!r} is not known: choose from {', '.join(POOLINGS)}.")
        self.kind = kind
        self.directions = directions
        self.key = nn.Linear(size, size) if kind == "attention" else None
        self.query = nn.Linear(size, 1, bias=False) if kind == "attention" else None

    def forward(self, h_TBH: Float[Tensor, "T B H"], lengths_B: Int[Tensor, "B"]) -> Float[Tensor, "B H"]:
        if not len(h_TBH):
            return h_TBH.new_zeros(h_TBH.shape[1:])
        steps = torch.arange(len(h_TBH), device=h_TBH.device)
        valid_TB = steps[:, None] < lengths_B
        empty_B1 = (lengths_B == 0)[:, None]
        if self.kind == "last":
            return self._last(h_TBH, lengths_B).masked_fill(empty_B1, 0)
        if self.kind == "mean":
            return self._zeroed(h_TBH, valid_TB).sum(0) / lengths_B.clamp(min=1)[:, None]
        if self.kind == "max":
            lowest = torch.finfo(h_TBH.dtype).min
            return h_TBH.masked_fill(~valid_TB[..., None], lowest).amax(0).masked_fill(empty_B1, 0)
        return self._attended(self._zeroed(h_TBH, valid_TB), valid_TB)

    def _last(self, h_TBH: Float[Tensor, "T B H"], lengths_B: Int[Tensor, "B"]) -> Float[Tensor, "B H"]:
        rows = torch.arange(h_TBH.shape[1], device=h_TBH.device)
        last_BH = h_TBH[(lengths_B - 1).clamp(min=0), rows]
        if self.directions == 1:
            return last_BH
        half = h_TBH.shape[-1] // 2
        return torch.cat([last_BH[:, :half], h_TBH[0, :, half:]], dim=-1)

    def _attended(self, h_TBH: Float[Tensor, "T B H"], valid_TB: Bool[Tensor, "T B"]) -> Float[Tensor, "B H"]:
        assert self.key is not None and self.query is not None  # noqa: PT018
        energy_TB = self.query(torch.tanh(self.key(h_TBH))).squeeze(-1)
        # A finite minimum: a row without a valid step weighs its zeros alike, and has no NaN.
        weight_TB = energy_TB.masked_fill(~valid_TB, torch.finfo(energy_TB.dtype).min).softmax(0)
        return (weight_TB[..., None] * h_TBH).sum(0)

    @staticmethod
    def _zeroed(h_TBH: Float[Tensor, "T B H"], valid_TB: Bool[Tensor, "T B"]) -> Float[Tensor, "T B H"]:
        return h_TBH.masked_fill(~valid_TB[..., None], 0)

    def extra_repr(self) -> str:
        return self.kind
