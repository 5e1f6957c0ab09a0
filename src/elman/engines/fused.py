"""The torch engine: PyTorch's own fused layers (oneDNN for LSTM on a CPU, cuDNN on CUDA) for the cells that it has.

The fused calls know neither resets nor, at full speed, lengths. So time is cut at every *event*, a step at which a row
ends or starts afresh; between two events the rows at work are a dense batch, which is one fused call. Rows are sorted by
length first, so that those at work are always the first ones. Nothing is computed for padding.
"""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch.nn.functional import pad

from elman.axes import Bool, Float, Int, Tensor
from elman.cells import Cell, ElmanCell, GRUCell, LSTMCell, State, Weights, map_state
from elman.engines.direction import in_reverse

_FUSED_CELLS: dict[type[Cell], Callable[[Cell], Callable]] = {
    ElmanCell: lambda cell: torch.rnn_relu if cell.nonlinearity == "relu" else torch.rnn_tanh,  # type: ignore[attr-defined]
    LSTMCell: lambda _: torch.lstm,
    GRUCell: lambda _: torch.gru,
}


# To torch.compile it is a constant: it can't look into the fields of a cell's class.
@torch.compiler.assume_constant_result
def why_not(cell: Cell, all_states: bool = False) -> str | None:
    """The reason why this engine can't run `cell`, or give all of its states; None if it can."""
    if isinstance(cell, GRUCell) and not cell.reset_after:
        return "PyTorch's GRU resets after the recurrent product, and this one before it"
    if type(cell) in _FUSED_CELLS and (
        cell.has_options or getattr(cell, "nonlinearity", "tanh") not in {"tanh", "relu"}
    ):
        return f"PyTorch's fused layers have none of the options of this cell, {cell!r}"
    if type(cell) in _FUSED_CELLS:
        return "PyTorch's fused layers give the outputs of every step, but not every state" if all_states else None
    known = ", ".join(kind.name for kind in _FUSED_CELLS)
    return f"PyTorch has no fused layer for the cell {cell.name!r}, only for {known}"


def scan(
    cell: Cell,
    weights: Weights,
    x_TBD: Float[Tensor, "T B D"],
    state: State,
    lengths_B: Int[Tensor, "B"] | None = None,
    reset_TB: Bool[Tensor, "T B"] | None = None,
    *,
    fresh: State | None = None,
    reverse: bool = False,
) -> tuple[Float[Tensor, "T B H"], State]:
    """Run `cell` by fused calls: see `elman.engines.scan` for the meaning of each argument."""
    if reverse:
        return in_reverse(scan, cell, weights, x_TBD, state, lengths_B, reset_TB, fresh=fresh)
    steps, batch = x_TBD.shape[:2]
    if steps == 0:
        return x_TBD.new_zeros(0, batch, cell.output_size), state
    if lengths_B is None and reset_TB is None:
        return _dense(cell, weights, x_TBD, state)
    if fresh is None:
        fresh = cell.initial_state(1, like=next(iter(weights.values())))
    if lengths_B is None:
        return _scan_rows(cell, weights, x_TBD, state, [steps] * batch, reset_TB, fresh)

    order_B = torch.argsort(lengths_B.to(x_TBD.device), descending=True, stable=True)
    back_B = torch.argsort(order_B)
    y_TBH, last = _scan_rows(
        cell,
        weights,
        x_TBD.index_select(1, order_B),
        map_state(lambda s: s.index_select(0, order_B), state),
        sorted(lengths_B.tolist(), reverse=True),
        None if reset_TB is None else reset_TB.index_select(1, order_B),
        fresh,
    )
    return y_TBH.index_select(1, back_B), map_state(lambda s: s.index_select(0, back_B), last)


def _scan_rows(
    cell: Cell,
    weights: Weights,
    x_TBD: Float[Tensor, "T B D"],
    state: State,
    lengths: list[int],
    reset_TB: Bool[Tensor, "T B"] | None,
    fresh: State,
) -> tuple[Float[Tensor, "T B H"], State]:
    """The rows stand in order of falling length. One dense call between each event and the next."""
    steps, batch = x_TBD.shape[:2]
    reset_times = set() if reset_TB is None else set(reset_TB.any(1).nonzero().flatten().tolist())
    cuts = sorted({0, *lengths, *(t for t in reset_times if lengths and t < lengths[0])})

    outputs = []
    ended = []
    rows = batch
    for start, stop in pairwise(cuts):
        at_work = sum(length > start for length in lengths[:rows])
        ended.append(_rows(state, slice(at_work, rows)))
        state = _rows(state, slice(0, at_work))
        rows = at_work
        if start in reset_times:
            keep_B1 = ~reset_TB[start, :rows].unsqueeze(-1)  # type: ignore[index]
            state = map_state(lambda s, new: torch.where(keep_B1, s, new), state, fresh)  # noqa: B023
        y_tbH, state = _dense(cell, weights, x_TBD[start:stop, :rows], state)
        outputs.append(pad(y_tbH, (0, 0, 0, batch - rows)))
    ended.append(state)

    dtype = outputs[0].dtype if outputs else x_TBD.dtype
    outputs.append(x_TBD.new_zeros(steps - cuts[-1], batch, cell.output_size, dtype=dtype))
    # The longest rows ended last: putting the groups back to front restores the order of falling length.
    last = map_state(lambda *groups: torch.cat(groups), *reversed(ended))
    return torch.cat(outputs), last


def _rows(state: State, rows: slice) -> State:
    return map_state(lambda s: s[rows], state)


def _dense(
    cell: Cell, weights: Weights, x_TBD: Float[Tensor, "T B D"], state: State
) -> tuple[Float[Tensor, "T B H"], State]:
    """One fused call. The state comes back in the dtype that it had, whatever autocast made of it in between."""
    hx = tuple(s.unsqueeze(0).contiguous() for s in state)
    y_TBH, *last = _FUSED_CELLS[type(cell)](cell)(
        x_TBD.contiguous(),
        hx if isinstance(cell, LSTMCell) else hx[0],
        [weights[name] for name in cell.weight_shapes(x_TBD.shape[-1])],
        cell.bias,
        1,  # layers
        0.0,  # dropout
        # cuDNN keeps what a backward pass needs only "in training": gradients are wanted in evaluation mode too.
        torch.is_grad_enabled(),
        False,  # bidirectional
        False,  # batch_first
    )
    return y_TBH, type(state)(*(new.squeeze(0).to(old.dtype) for new, old in zip(last, state, strict=True)))
