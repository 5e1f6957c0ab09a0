"""Engines run a cell over time. `scan` is the one door: the same call for every engine, cell and option."""

from elman.axes import Bool, Float, Int, Tensor
from elman.cells import Cell, State, Weights
from elman.engines.choose import Engine, module_of, resolve

__all__ = ["Engine", "resolve", "scan"]


def scan(
    cell: Cell,
    weights: Weights,
    x_TBD: Float[Tensor, "T B D"],
    state: State,
    lengths_B: Int[Tensor, "B"] | None = None,
    reset_TB: Bool[Tensor, "T B"] | None = None,
    *,
    engine: Engine | str = Engine.AUTO,
) -> tuple[Float[Tensor, "T B H"], State]:
    """Run `cell` over a whole sequence: (inputs, state before) -> (outputs y of every step, state after the last).

    lengths_B  row b has lengths_B[b] valid steps, in any order, 0 to T. Beyond them y is 0, the state stays as it was after
               the last valid step, and neither values nor gradients depend on what stands there.
    reset_TB   where true, the step starts from the cell's initial state, whatever was carried to it.
    engine     which engine: see `elman.engines.choose`. Raises `EngineError` if it is named and can't serve.
    """
    return module_of(resolve(engine, cell)).scan(cell, weights, x_TBD, state, lengths_B, reset_TB)
