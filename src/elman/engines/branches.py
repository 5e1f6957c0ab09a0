"""One step from one state for many inputs: what doesn't depend on the input, as U h, is computed once for all of them.

It is the cell's own step (`Cell.advance`), mapped over the inputs by `torch.func.vmap`: so it holds for any cell.
"""

import torch

from elman.axes import Float, Int, Tensor
from elman.cells import Cell, Masks, State, Weights, map_state


def branch(
    cell: Cell,
    weights: Weights,
    x_NMD: Float[Tensor, "N M D"],
    state: State,
    kinds_B: Int[Tensor, "B"] | None = None,
    *,
    masks: Masks | None = None,
) -> tuple[Float[Tensor, "N B H"], State]:
    """Each of N inputs as the next step after `state`: (y, the state after it), N of each.

    kinds_B  which of the M inputs is a row's: rows with the same one share its product. None: M is B
    masks    as in `elman.engines.scan`, with N for T
    """
    u_NBG = cell.project(weights, x_NMD)
    if kinds_B is not None:
        u_NBG = u_NBG.index_select(1, kinds_B)
    each = {name: mask for name, mask in (masks or {}).items() if mask.dim() == 3}
    given = {**weights, **(masks or {})}

    def advance(u_BG: Tensor, drawn: Masks) -> tuple[Tensor, State]:
        return cell.advance({**given, **drawn}, u_BG, state)

    y_NBH, after = torch.func.vmap(advance)(u_NBG, each)
    return y_NBH, map_state(lambda new, old: new.to(old.dtype), after, state)
