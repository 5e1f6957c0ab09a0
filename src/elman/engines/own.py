"""The engine of cells that have a scan of their own (`Cell.scan`): any device, any dtype, derivatives of any order.

What is the same for all of them is here: padding, resets in it, directions, precision.
"""

from collections.abc import Callable
from typing import Any

from elman.axes import Bool, Float, Int, Tensor
from elman.cells import Cell, Masks, State, Weights, map_state
from elman.engines import matrix, reference
from elman.engines.direction import in_reverse
from elman.engines.padding import valid_steps, without_padding


def why_not(cell: Cell, all_states: bool = False) -> str | None:
    """The reason why this engine can't run `cell`, or None if it can."""
    if type(cell).scan is Cell.scan:
        return f"the cell {cell.name!r} has no scan of its own"
    if any(cell.zoneout_rates) or cell.clip_state is not None or cell.clip_gradient is not None or cell.masks:
        return "zoneout, dropout inside a step and clipping need every step by itself"
    if all_states:
        return "it doesn't give the states of every step"
    return None


def scan(
    cell: Cell,
    weights: Weights,
    x_TBD: Float[Tensor, "T B D"],
    state: State,
    lengths_B: Int[Tensor, "B"] | None = None,
    reset_TB: Bool[Tensor, "T B"] | None = None,
    *,
    masks: Masks | None = None,
    fresh: State | None = None,
    reverse: bool = False,
    run: Callable[..., Any],
) -> tuple[Float[Tensor, "T B H"], State]:
    """Run `cell.scan`: see `elman.engines.scan`, which is `run`, for the meaning of each argument."""
    if x_TBD.shape[0] < 2:
        # A step by itself, as in a stream, is soonest done as one.
        return reference.scan(
            cell, weights, x_TBD, state, lengths_B, reset_TB, masks=masks, fresh=fresh, reverse=reverse
        )  # type: ignore[return-value]
    if reverse:
        return in_reverse(scan, cell, weights, x_TBD, state, lengths_B, reset_TB, masks=masks, fresh=fresh, run=run)
    fresh = fresh or cell.initial_state(1, next(iter(weights.values())))
    dtype = state[0].dtype
    if dtype.itemsize < 4:
        # Sums over many steps are made in float32, and by what is made for it.
        x_TBD, weights = x_TBD.float(), {name: weight.float() for name, weight in weights.items()}
        state, fresh = map_state(Tensor.float, state), map_state(Tensor.float, fresh)
    if lengths_B is not None:
        x_TBD = without_padding(x_TBD, lengths_B)
        reset_TB = None if reset_TB is None else reset_TB & valid_steps(x_TBD.shape[0], lengths_B)
    if matrix.serves(cell, weights, x_TBD, state, fresh):
        y_TBH, last = matrix.scan(cell, weights, x_TBD, state, lengths_B, reset_TB, fresh)  # type: ignore[arg-type]
    else:
        y_TBH, last = cell.scan(run, weights, x_TBD, state, lengths_B, reset_TB, fresh=fresh)
        y_TBH = without_padding(y_TBH, lengths_B)
    return y_TBH.to(dtype), map_state(lambda array: array.to(dtype), last)
