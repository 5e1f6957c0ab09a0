"""The identity, forwards; backwards, a gradient that is held within limits: `Cell.clip_gradient`."""

from typing import Any

import torch
from torch import Tensor


class _ClipGradient(torch.autograd.Function):
    """The identity, whose gradient is held between -limit and limit."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, limit: float) -> Tensor:  # noqa: ARG004
        return x.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, float], output: Tensor) -> None:  # noqa: ARG004
        ctx.limit = inputs[1]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0].clamp(-ctx.limit, ctx.limit), None

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:  # noqa: ARG004
        return tangents[0].clone()


def clip_gradient(x: Tensor, limit: float) -> Tensor:
    """X itself; each element of its gradient is held between -limit and limit (A. Graves, arXiv 1308.0850)."""
    return _ClipGradient.apply(x, limit)
