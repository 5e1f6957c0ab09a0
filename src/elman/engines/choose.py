"""Which engine runs a cell: decided here and nowhere else."""

from enum import StrEnum

from elman.axes import Tensor
from elman.cells import Cell
from elman.engines import fused, native, own
from elman.errors import EngineError


class Engine(StrEnum):
    """`AUTO` takes the fastest that can serve; a name that can't serve is an error."""

    AUTO = "auto"
    REFERENCE = "reference"
    SCAN = "scan"
    TORCH = "torch"
    NATIVE = "native"


def resolve(engine: Engine | str, cell: Cell, like: Tensor | None = None, all_states: bool = False) -> Engine:
    """The engine that will run `cell` with weights such as `like`; `all_states`: every state of every step is asked for.

    By itself it takes a scan that the cell has of its own, else the native engine where that can serve (a CPU, float32 or
    float64), else PyTorch's fused layers, else the reference. Raises `EngineError` for an unknown name, or a named engine that
    can't serve.
    """
    try:
        wanted = Engine(engine)
    except ValueError:
        raise EngineError(f"engine={str(engine)!r} is not known: choose from {', '.join(Engine)}.") from None
    if wanted is Engine.REFERENCE:
        return wanted
    refusals = {
        Engine.SCAN: own.why_not(cell, all_states),
        Engine.NATIVE: native.why_not(cell, like),
        Engine.TORCH: fused.why_not(cell, all_states),
    }
    if wanted is Engine.AUTO:
        native.say_once_if_missing()
        return next((able for able, refusal in refusals.items() if refusal is None), Engine.REFERENCE)
    if refusals[wanted]:
        raise EngineError(f"engine={str(wanted)!r} can't serve: {refusals[wanted]}. Use engine='auto' or 'reference'.")
    return wanted
