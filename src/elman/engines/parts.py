"""A sequence in pieces, and pieces in a row: `split` and `cat`, in memory that the core uses again and again.

The whole, an output or the gradient of an input, may be hundreds of megabytes: fresh memory takes several times as long to come
by as to fill.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

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


def _joined(pieces: Sequence[Tensor]) -> Tensor:
    steps = sum(piece.shape[0] for piece in pieces)
    batch, columns = pieces[0].shape[1:]
    whole = empty(pieces[0], steps * batch, columns).view(steps, batch, columns)
    return torch.cat(list(pieces), out=whole)
