"""Cells with a matrix for a state by the core: what their scans do in a hundred operations of PyTorch, in one, forwards and
backwards.

Their chunks are too small, and the operations too many, for PyTorch to be near the machine's limits. The product with the
input is PyTorch's. What the core has no derivative for goes through the cell's own scan.
"""

from collections.abc import Sequence
from typing import Any

import torch

from elman.axes import Bool, Float, Int, Tensor
from elman.cells import Cell, State, Weights
from elman.cells.chunks import Chunks
from elman.cells.gated_deltanet import GatedDeltaNetCell
from elman.cells.mamba2 import Mamba2Cell
from elman.cells.matrix import MatrixCell
from elman.cells.mlstm import MLSTMCell
from elman.engines import native
from elman.engines.parts import linear

_has_core = native.instruction_set() is not None
if _has_core:
    from elman.engines import matrix_operator

_DTYPES = (torch.float32, torch.float64)
# In the order of their numbers. Cells made from these may be others: they aren't served.
_CELLS: tuple[type[MatrixCell], ...] = (GatedDeltaNetCell, MLSTMCell, Mamba2Cell)


def serves(cell: Cell, weights: Weights, x_TBD: Tensor, state: State, fresh: State) -> bool:
    """Whether the core can run `cell` on these."""
    if not _has_core or type(cell) not in _CELLS:
        return False
    leaves = [x_TBD, *weights.values(), *state, *fresh]
    if any(leaf.device.type not in {"cpu", "meta"} for leaf in leaves) or state[0].dtype not in _DTYPES:
        return False
    return torch.compiler.is_compiling() or not native.beyond_the_core(leaves)


def scan(
    cell: MatrixCell,
    weights: Weights,
    x_TBD: Float[Tensor, "T B D"],
    state: State,
    lengths_B: Int[Tensor, "B"] | None,
    reset_TB: Bool[Tensor, "T B"] | None,
    fresh: State,
) -> tuple[Float[Tensor, "T B H"], State]:
    """`cell.scan` by the core."""
    dtype = state[0].dtype
    arguments = (
        linear(x_TBD, weights["weight_ih"], weights.get("bias_ih")).to(dtype),
        cell.parameters(weights).to(dtype),
        _side_by_side(state),
        None if reset_TB is None else _side_by_side(fresh).squeeze(0).to(dtype),
        lengths_B,
        reset_TB,
        _form(cell),
    )
    leaves = [leaf for leaf in arguments if isinstance(leaf, Tensor)]
    keep = torch.is_grad_enabled() and any(leaf.requires_grad for leaf in leaves)
    if not native.plain(leaves):
        y_TBH, last, _ = torch.ops.elman.chunks(*arguments, keep)
    elif keep:
        y_TBH, last, _ = _Chunks.apply(*arguments, keep)
    else:
        y_TBH, last, _ = matrix_operator.chunks(*arguments, keep)
    return y_TBH, _parted(cell, last)


def _form(cell: MatrixCell) -> list[int]:
    option = cell.forget_gate == "exp" if isinstance(cell, MLSTMCell) else cell.output_gate  # type: ignore[attr-defined]
    return [_CELLS.index(type(cell)), int(option), cell.heads, cell.keys, cell.value_size, cell.chunk_size]


def _cell(form: Sequence[int]) -> MatrixCell:
    """The cell of a form."""
    number, option, heads, keys, values, chunk = form
    kind = _CELLS[number]
    options: dict[str, Any] = {"heads": heads, "chunk_size": chunk}
    options["state_size" if kind is Mamba2Cell else "key_size"] = keys
    if kind is MLSTMCell:
        options["forget_gate"] = "exp" if option else "sigmoid"
    else:
        options["output_gate"] = bool(option)
    return kind(heads * values, **options)


def _side_by_side(state: State) -> Tensor:
    return torch.cat(list(state), dim=1) if len(state) > 1 else state[0]


def _parted(cell: Cell, state: Float[Tensor, "B S"]) -> State:
    if len(cell.state_sizes) == 1:
        return cell.state_type(state)
    return cell.state_type(*(part.contiguous() for part in state.split(list(cell.state_sizes), dim=1)))


def _save(ctx: Any, inputs: tuple, output: tuple) -> None:
    u, parameters, state, fresh, lengths, reset, form, _ = inputs
    borders = output[2]
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(borders)
    ctx.form = list(form)
    ctx.save_for_backward(u, parameters, state, fresh, lengths, reset, borders)


def _backward(ctx: Any, dy: Tensor | None, dlast: Tensor | None, _: Any) -> tuple:
    u, parameters, state, fresh, lengths, reset, borders = ctx.saved_tensors
    found: Sequence[Tensor | None]
    if torch.is_grad_enabled() and not torch.compiler.is_compiling():
        found = _differentiable_backward(ctx.form, dy, dlast, u, parameters, state, fresh, lengths, reset)
    else:
        found = torch.ops.elman.chunks_backward(
            dy, dlast, u, parameters, state, fresh, lengths, reset, borders, ctx.form
        )
    du, dparameters, dstate, dfresh = found
    none = (None, None, None, None)
    return du, dparameters, dstate, None if fresh is None else dfresh, *none


def _differentiable_backward(
    form: Sequence[int],
    dy: Tensor | None,
    dlast: Tensor | None,
    u: Tensor,
    parameters: Tensor,
    state: Tensor,
    fresh: Tensor | None,
    lengths: Tensor | None,
    reset: Tensor | None,
) -> list[Tensor | None]:
    """The same gradients by operations of PyTorch, with a graph of their own: for second derivatives."""
    cell = _cell(form)
    chunks = Chunks.of(u, cell.chunk_size, lengths, reset)
    start = state.new_zeros(1, state.shape[1]) if fresh is None else fresh.unsqueeze(0)
    y, last = cell.by_chunks(chunks, chunks.cut(u), parameters, _parted(cell, state), _parted(cell, start))
    pairs = [(output, gradient) for output, gradient in ((y, dy), (_side_by_side(last), dlast)) if gradient is not None]
    inputs = (u, parameters, state, fresh)
    found = iter(
        torch.autograd.grad(
            [output for output, _ in pairs],
            [leaf for leaf in inputs if leaf is not None and leaf.requires_grad],
            [gradient for _, gradient in pairs],
            create_graph=True,
            allow_unused=True,
        )
    )
    return [next(found) if leaf is not None and leaf.requires_grad else None for leaf in inputs]


class _Chunks(torch.autograd.Function):
    """The operator and its derivative as autograd takes them with the least ado."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Any:
        outputs = matrix_operator.chunks(*inputs)
        _save(ctx, inputs, outputs)
        return outputs

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple:
        return _backward(ctx, *gradients)


if _has_core:
    torch.library.register_autograd("elman::chunks", _backward, setup_context=_save, lib=matrix_operator.LIBRARY)
