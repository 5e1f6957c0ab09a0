"""Which engine runs a cell: decided here and nowhere else."""

from enum import StrEnum
from types import ModuleType

from elman.cells import Cell
from elman.engines import fused, reference
from elman.errors import EngineError


class Engine(StrEnum):
    """`AUTO` takes the fastest that can serve; a name that can't serve is an error."""

    AUTO = "auto"
    REFERENCE = "reference"
    TORCH = "torch"


def resolve(engine: Engine | str, cell: Cell) -> Engine:
    """The engine that will run `cell`. Raises `EngineError` for an unknown name, or a named engine that can't serve."""
    try:
        wanted = Engine(engine)
    except ValueError:
        raise EngineError(f"engine={str(engine)!r} is not known: choose from {', '.join(Engine)}.") from None
    refusal = fused.why_not(cell)
    if wanted is Engine.AUTO:
        return Engine.REFERENCE if refusal else Engine.TORCH
    if wanted is Engine.TORCH and refusal:
        raise EngineError(f"engine='torch' can't serve: {refusal}. Use engine='auto' or 'reference'.")
    return wanted


def module_of(engine: Engine) -> ModuleType:
    """The module whose `scan` is that of a resolved engine."""
    return {Engine.REFERENCE: reference, Engine.TORCH: fused}[engine]
