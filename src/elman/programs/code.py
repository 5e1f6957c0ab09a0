"""The form of a program, as the core reads it: `native/include/elman.h` has the words for it."""

from dataclasses import dataclass
from enum import IntEnum

from elman.programs.graph import POINTWISE


class ArrayKind(IntEnum):
    """What an array's rows are."""

    SEQUENCE = 0
    BEFORE = 1
    CARRY_IN = 2
    CARRY_OUT = 3
    SHARED = 4
    ROWS = 5
    FIXED = 6


class OperandKind(IntEnum):
    """Where an operand stands."""

    NONE = 0
    REGISTER = 1
    ARRAY = 2
    CONSTANT = 3
    SUM = 4
    NUMBER = 5


# kind, index, column
Operand = tuple[int, int, int]
NOTHING: Operand = (OperandKind.NONE, 0, 0)
# number, target, two operands
Instruction = tuple[int, Operand, Operand, Operand]
OPERATIONS = {
    name: number
    for number, name in enumerate([*POINTWISE, "numbers", "spread", "row_sum", "row_moments", "accumulate"])
}


@dataclass
class WeightUse:
    """Rows of a weight, and of a bias if there is one, that a product reads."""

    weight: str
    first: int
    rows: int
    bias: str | None
    bias_first: int
    transposed: bool


@dataclass
class Program:
    """Code for the core. `arrays` and `weights` say by name what has to stand in the places of the same number."""

    arrays: list[str]
    weights: list[WeightUse]
    code: list[int]
    constants: list[float]
    accumulators: int
