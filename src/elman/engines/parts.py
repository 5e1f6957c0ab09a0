"""A sequence in pieces, pieces in a row, a product over all steps: `split`, `cat` and `linear`, in memory that the core uses
again and again.

An output, or the gradient of an input, may be hundreds of megabytes: fresh memory takes several times as long to come by as to
fill, and lies in so many small pages that to find them takes as long as to read them.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from elman.engines import native

if native.instruction_set() is not None:
    from elman.engines.memory import empty


def cut(x_TBD: Tensor, size: int) -> Sequence[Tensor]:
    """Pieces of `size` steps, the last of what is left."""
    if native.reuses_memory([x_TBD]):
        pieces: tuple[Tensor, ...] = _Cut.apply(x_TBD, size)
        return pieces
    return x_TBD.split(size)


def join(pieces: Sequence[Tensor]) -> Tensor:
    """Pieces (t, B, H) one after the other, (T, B, H)."""
    if native.reuses_memory(pieces):
        whole: Tensor = _Join.apply(*pieces)
        return whole
    return torch.cat(list(pieces))


def linear(x_TBD: Tensor, weight_GD: Tensor, bias_G: Tensor | None) -> Tensor:
    """x Wᵀ + b, (T, B, G)."""
    leaves = [x_TBD, weight_GD] if bias_G is None else [x_TBD, weight_GD, bias_G]
    if native.reuses_memory(leaves) and not torch.is_autocast_enabled("cpu"):
        u_TBG: Tensor = _Linear.apply(*leaves)
        return u_TBG
    return functional.linear(x_TBD, weight_GD, bias_G)


class _Cut(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x_TBD: Tensor, size: int) -> tuple[Tensor, ...]:  # noqa: ARG004
        return x_TBD.split(size)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:  # noqa: ARG004
        # With a graph of its own, for second derivatives, it is PyTorch's.
        return torch.cat(gradients) if torch.is_grad_enabled() else _joined(gradients), None


class _Join(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *pieces: Tensor) -> Tensor:
        ctx.steps = [piece.shape[0] for piece in pieces]
        return _joined(pieces)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        return gradients[0].split(ctx.steps)


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x_TBD: Tensor, weight_GD: Tensor, *bias_G: Tensor) -> Tensor:
        ctx.save_for_backward(x_TBD, weight_GD)
        ctx.with_bias = bool(bias_G)
        return _product(x_TBD, weight_GD.T, *bias_G)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x_TBD, weight_GD = ctx.saved_tensors
        (du_TBG,) = gradients
        du_NG = du_TBG.flatten(0, 1)
        dx_TBD = dweight_GD = None
        if ctx.needs_input_grad[0]:
            # With a graph of its own, for second derivatives, it is PyTorch's.
            dx_TBD = du_TBG @ weight_GD if torch.is_grad_enabled() else _product(du_TBG, weight_GD)
        if ctx.needs_input_grad[1]:
            dweight_GD = du_NG.T @ x_TBD.flatten(0, 1)
        return dx_TBD, dweight_GD, *([du_NG.sum(0)] if ctx.with_bias else [])


def _product(x_TBD: Tensor, matrix_DG: Tensor, *bias_G: Tensor) -> Tensor:
    steps, batch, columns = x_TBD.shape[0], x_TBD.shape[1], matrix_DG.shape[1]
    out = empty(x_TBD, steps * batch, columns)
    rows_ND = x_TBD.flatten(0, 1)
    if bias_G:
        torch.addmm(bias_G[0], rows_ND, matrix_DG, out=out)
    else:
        torch.mm(rows_ND, matrix_DG, out=out)
    return out.view(steps, batch, columns)


def _joined(pieces: Sequence[Tensor]) -> Tensor:
    steps = sum(piece.shape[0] for piece in pieces)
    batch, columns = pieces[0].shape[1:]
    whole = empty(pieces[0], steps * batch, columns).view(steps, batch, columns)
    return torch.cat(list(pieces), out=whole)
