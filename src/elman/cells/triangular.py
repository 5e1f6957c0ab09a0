"""The inverse of many small triangular matrices, by products: libraries solve them one after the other.

With T_1 and T_2 the inverses of two blocks on the diagonal and X the block below the first, that of the whole is

    [ T_1            0   ]
    [ -T_2 X T_1     T_2 ]

so from blocks of one number on, whose inverse is 1, they double. No number is larger on the way than in the inverse.
"""

from typing import Any

import torch
from torch.nn import functional

from elman.axes import Tensor


def unit_lower_inverse(lower: Tensor) -> Tensor:
    """(I + L)⁻¹ of (..., S, S), where of `lower`, which is L, only what is below the diagonal is read."""
    return _Inverse.apply(lower)


class _Inverse(torch.autograd.Function):
    """Its derivative is d T = -T dL T: two products, whose own derivatives autograd knows."""

    generate_vmap_rule = True

    @staticmethod
    def forward(lower: Tensor) -> Tensor:
        steps = lower.shape[-1]
        size = 1 << (steps - 1).bit_length()
        below = functional.pad(lower, (0, size - steps, 0, size - steps))
        inverse = torch.eye(size, dtype=lower.dtype, device=lower.device).expand_as(below).clone()
        half = 1
        while half < size:
            here, there = _blocks(inverse, 2 * half), _blocks(below, 2 * half)
            last, first = here[..., half:, half:], here[..., :half, :half]
            here[..., half:, :half] = -(last @ there[..., half:, :half] @ first)
            half *= 2
        return inverse[..., :steps, :steps].contiguous()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:  # noqa: ARG004
        ctx.save_for_backward(output)
        ctx.save_for_forward(output)

    @staticmethod
    def jvp(ctx: Any, *tangents: Tensor) -> Tensor:
        (inverse,) = ctx.saved_tensors
        return -(inverse @ tangents[0].tril(-1) @ inverse)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (inverse,) = ctx.saved_tensors
        turned = inverse.mT
        return -(turned @ gradients[0] @ turned).tril(-1)


def _blocks(matrices: Tensor, size: int) -> Tensor:
    """A view of the blocks on the diagonal: (..., count, size, size)."""
    count = matrices.shape[-1] // size
    parts = matrices.unflatten(-1, (count, size)).unflatten(-3, (count, size))
    return parts.diagonal(dim1=-4, dim2=-2).movedim(-1, -3)
