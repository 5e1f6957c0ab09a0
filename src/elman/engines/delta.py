"""A gated DeltaNet by the core: what its scan does in a hundred operations of PyTorch, in one, forwards and backwards.

Its chunks are too small, and its operations too many, for PyTorch to be near the machine's limits. The product with the
input is PyTorch's. What the core has no derivative for goes through the cell's own scan.
"""

from typing import Any

import torch

from elman.axes import Bool, Float, Int, Tensor
from elman.cells import Cell, Weights
from elman.cells.chunks import Chunks
from elman.cells.gated_deltanet import GatedDeltaNetCell, GatedDeltaNetState
from elman.engines import native

_has_core = native.instruction_set() is not None
if _has_core:
    from elman.engines import delta_operator

_DTYPES = (torch.float32, torch.float64)


def serves(cell: Cell, weights: Weights, x_TBD: Tensor, state: Any, fresh: Any) -> bool:
    """Whether the core can run `cell` on these."""
    if type(cell) is not GatedDeltaNetCell or not _has_core:
        return False
    leaves = [x_TBD, *weights.values(), *state, *fresh]
    if any(leaf.device.type not in {"cpu", "meta"} for leaf in leaves) or state[0].dtype not in _DTYPES:
        return False
    return torch.compiler.is_compiling() or not native.beyond_the_core(leaves)


def scan(
    cell: GatedDeltaNetCell,
    weights: Weights,
    x_TBD: Float[Tensor, "T B D"],
    state: GatedDeltaNetState,
    lengths_B: Int[Tensor, "B"] | None,
    reset_TB: Bool[Tensor, "T B"] | None,
    fresh: GatedDeltaNetState,
) -> tuple[Float[Tensor, "T B H"], GatedDeltaNetState]:
    """`GatedDeltaNetCell.scan` by the core."""
    dtype = state.S.dtype
    arguments = (
        cell.inputs_of_gates(weights, x_TBD).to(dtype),
        cell.decay(weights).to(dtype),
        state.S,
        None if reset_TB is None else fresh.S.squeeze(0).to(dtype),
        lengths_B,
        reset_TB,
        cell.heads,
        cell.keys,
        cell.chunk_size,
    )
    leaves = [leaf for leaf in arguments if isinstance(leaf, Tensor)]
    keep = torch.is_grad_enabled() and any(leaf.requires_grad for leaf in leaves)
    if not native.plain(leaves):
        y_TBH, last, _ = torch.ops.elman.delta(*arguments, keep)
    elif keep:
        y_TBH, last, _ = _Delta.apply(*arguments, keep)
    else:
        y_TBH, last, _ = delta_operator.delta(*arguments, keep)
    return y_TBH, GatedDeltaNetState(last)


def _save(ctx: Any, inputs: tuple, output: tuple) -> None:
    u, decay, state, fresh, lengths, reset, heads, keys, chunk, _ = inputs
    borders = output[2]
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(borders)
    ctx.sizes = (heads, keys, chunk)
    ctx.save_for_backward(u, decay, state, fresh, lengths, reset, borders)


def _backward(ctx: Any, dy: Tensor | None, dlast: Tensor | None, _: Any) -> tuple:
    u, decay, state, fresh, lengths, reset, borders = ctx.saved_tensors
    if torch.is_grad_enabled() and not torch.compiler.is_compiling():
        found = _differentiable_backward(ctx.sizes, dy, dlast, u, decay, state, fresh, lengths, reset)
    else:
        found = torch.ops.elman.delta_backward(dy, dlast, u, decay, state, fresh, lengths, reset, borders, *ctx.sizes)
    du, ddecay, dstate, dfresh = found
    return du, ddecay, dstate, None if fresh is None else dfresh, None, None, None, None, None, None


def _differentiable_backward(
    sizes: tuple[int, int, int],
    dy: Tensor | None,
    dlast: Tensor | None,
    u: Tensor,
    decay: Tensor,
    state: Tensor,
    fresh: Tensor | None,
    lengths: Tensor | None,
    reset: Tensor | None,
) -> list[Tensor | None]:
    """The same gradients by operations of PyTorch, with a graph of their own: for second derivatives."""
    heads, keys, chunk = sizes
    hidden = state.shape[1] // keys
    gated = u.shape[2] > heads * (2 * keys + 2) + hidden
    cell = GatedDeltaNetCell(hidden, heads=heads, key_size=keys, chunk_size=chunk, output_gate=gated)
    chunks = Chunks.of(u, chunk, lengths, reset)
    start = state.new_zeros(1, state.shape[1]) if fresh is None else fresh.unsqueeze(0)
    y, last = cell.by_chunks(chunks, chunks.cut(u), decay, GatedDeltaNetState(state), GatedDeltaNetState(start))
    pairs = [(output, gradient) for output, gradient in ((y, dy), (last.S, dlast)) if gradient is not None]
    inputs = [leaf for leaf in (u, decay, state, fresh) if leaf is not None and leaf.requires_grad]
    found = iter(
        torch.autograd.grad(
            [output for output, _ in pairs],
            inputs,
            [gradient for _, gradient in pairs],
            create_graph=True,
            allow_unused=True,
        )
    )
    return [next(found) if leaf is not None and leaf.requires_grad else None for leaf in (u, decay, state, fresh)]


class _Delta(torch.autograd.Function):
    """The operator and its derivative as autograd takes them with the least ado."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Any:
        outputs = delta_operator.delta(*inputs)
        _save(ctx, inputs, outputs)
        return outputs

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple:
        return _backward(ctx, *gradients)


if _has_core:
    torch.library.register_autograd("elman::delta", _backward, setup_context=_save, lib=delta_operator.LIBRARY)
