"""The reference engine: a cell's own step (`Cell.advance`), folded over time in operations of PyTorch.

It runs any cell on any device in any dtype, and has derivatives of every order and mode. Other engines are held to it.
"""

import torch

from elman.axes import Bool, Float, Int, Tensor
from elman.cells import Cell, Masks, State, Weights, map_state
from elman.engines.direction import in_reverse
from elman.engines.padding import valid_steps


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
    all_states: bool = False,
) -> tuple[Float[Tensor, "T B H"], State] | tuple[Float[Tensor, "T B H"], State, State]:
    """Fold `cell.advance` over time: see `elman.engines.scan` for the meaning of each argument."""
    if reverse:
        return in_reverse(
            scan, cell, weights, x_TBD, state, lengths_B, reset_TB, masks=masks, fresh=fresh, all_states=all_states
        )
    steps, batch = x_TBD.shape[:2]
    valid_TB1 = None
    if lengths_B is not None:
        valid_TB1 = valid_steps(steps, lengths_B.to(x_TBD.device)).unsqueeze(-1)
        # Padding is cleared before the product, so that not even a NaN in it reaches a gradient.
        x_TBD = torch.where(valid_TB1, x_TBD, 0)
        reset_TB = None if reset_TB is None else reset_TB & valid_TB1.squeeze(-1)
    if steps == 0:
        none = x_TBD.new_zeros(0, batch, cell.output_size)
        return (none, state, map_state(lambda s: s.new_zeros(0, *s.shape), state)) if all_states else (none, state)

    if fresh is None:
        fresh = cell.initial_state(1, like=next(iter(weights.values())))
    each_step = {name: mask for name, mask in (masks or {}).items() if mask.dim() == 3}
    given = {**weights, **(masks or {})}
    outputs, states = [], []
    # unbind, not indexing: its backward is one stack, where T indexings would each fill an array of T steps.
    for t, u_BG in enumerate(cell.project(weights, x_TBD).unbind(0)):
        if reset_TB is not None:
            state = _select(reset_TB[t].unsqueeze(-1), fresh, state)
        given |= {name: mask_TBH[t] for name, mask_TBH in each_step.items()}
        y_BH, following = cell.advance(given, u_BG, state)
        if valid_TB1 is not None:
            y_BH = torch.where(valid_TB1[t], y_BH, 0)
            following = _select(valid_TB1[t], following, state)
        outputs.append(y_BH)
        # Autocast may have made a step's result a half: the state is carried in the precision that it came in.
        state = map_state(lambda new, old: new.to(old.dtype), following, state)
        if all_states:
            # As in y, there is nothing where a row has ended.
            states.append(state if valid_TB1 is None else map_state(lambda s: torch.where(valid_TB1[t], s, 0), state))  # noqa: B023
    if all_states:
        return torch.stack(outputs), state, map_state(lambda *steps: torch.stack(steps), *states)
    return torch.stack(outputs), state


def _select(condition_B1: Bool[Tensor, "B 1"], chosen: State, otherwise: State) -> State:
    """Row by row: `chosen` where the condition holds, else `otherwise`."""
    return map_state(lambda a, b: torch.where(condition_B1, a, b), chosen, otherwise)
