"""Engines run a cell over time. `scan` is the one door: the same call for every engine, cell and option.

`branch` is for a step that has many next ones.
"""

from typing import Any

import torch

from elman.axes import Bool, Float, Int, Tensor
from elman.cells import Cell, Masks, State, Weights
from elman.engines import fused, native, own, reference
from elman.engines.branches import branch
from elman.engines.choose import Engine, resolve
from elman.engines.pieces import fitting_steps, recomputed_steps, scan_in_pieces

__all__ = ["Engine", "branch", "resolve", "scan"]


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
    engine: Engine | str = Engine.AUTO,
    reverse: bool = False,
    all_states: bool = False,
    recompute: bool = False,
) -> Any:
    """Run `cell` over a whole sequence: (inputs, state before) -> (outputs y of every step, state after the last).

    lengths_B  row b has lengths_B[b] valid steps, in any order, 0 to T. Beyond them y is 0, the state stays as it was after
               the last valid step, and neither values nor gradients depend on what stands there.
    reset_TB   where true, the step starts from `fresh`, whatever was carried to it.
    masks      what training drew for `cell.masks`: (T, B, size) for each step, or (B, size) for a whole sequence. None, as in
               evaluation, draws nothing. They have no gradient.
    fresh      the state that a reset starts from, arrays of (1, size), which have a gradient. None: the cell's initial state.
    reverse    from each row's last valid step to its first; a reset at t separates t from t - 1 all the same.
    all_states a third result: the states after every step, (T, B, size) each, 0 beyond a row's length.
    recompute  keep for the backward pass only the state here and there, and compute the rest again: less memory, more time.
    engine     which engine: see `elman.engines.choose`. Raises `EngineError` if it is named and can't serve.
    """
    chosen = resolve(engine, cell, next(iter(weights.values())), all_states)
    options: dict[str, Any] = {"reverse": reverse}
    if all_states:
        options["all_states"] = True
    # Without a reset nothing starts from it.
    if fresh is not None and reset_TB is not None:
        options["fresh"] = fresh
    if masks:
        options["masks"] = masks
    if chosen is Engine.SCAN:
        options["run"] = scan
    module = {Engine.REFERENCE: reference, Engine.SCAN: own, Engine.TORCH: fused, Engine.NATIVE: native}[chosen]
    steps = x_TBD.shape[0]
    recompute = recompute and torch.is_grad_enabled()
    size = recomputed_steps(steps) if recompute else fitting_steps(x_TBD) if chosen is Engine.SCAN else steps
    if recompute or size < steps:
        return scan_in_pieces(module.scan, size, recompute, cell, weights, x_TBD, state, lengths_B, reset_TB, **options)
    return module.scan(cell, weights, x_TBD, state, lengths_B, reset_TB, **options)
