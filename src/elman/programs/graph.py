"""The graph of a step: what is computed from what, before anything says when or where.

A node is a row vector of some width for each row of a batch. A width of 0 (`NUMBER`) is a number a row, or for all rows,
which goes with every width. Equal nodes are one node: a graph holds no expression twice.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

NUMBER = 0

# One operand or two, element by element. `d_*` (a, y) is a times the derivative of the function whose value is y;
# `at_least` is 1 where the first is not less than the second, else 0.
POINTWISE = {
    "copy": 1,
    "add": 2,
    "sub": 2,
    "mul": 2,
    "div": 2,
    "neg": 1,
    "sigmoid": 1,
    "tanh": 1,
    "relu": 1,
    "exp": 1,
    "sqrt": 1,
    "log": 1,
    "softplus": 1,
    "max": 2,
    "min": 2,
    "at_least": 2,
    "d_sigmoid": 2,
    "d_tanh": 2,
    "d_relu": 2,
    # With two numbers a row that stand side by side.
    "normalise": 3,
    "d_normalise": 4,
}


# What is made of all columns of a row.
ROW_SUMS = frozenset({"row_sum", "row_mean", "row_deviation", "row_total", "row_along"})
# Of these the second comes right behind the first, in the next column.
PAIRS = {"row_deviation": "row_mean", "row_along": "row_total"}


@dataclass(frozen=True)
class Leaf:
    """`width` columns of an array of the step, from `column` on."""

    array: str
    column: int


@dataclass(frozen=True)
class Matrix:
    """`rows` rows of a weight from `first` on, and as many of a bias from `bias_first` on, if there is one."""

    weight: str
    first: int
    rows: int
    bias: str | None = None
    bias_first: int = 0


@dataclass(frozen=True)
class Piece:
    """Piece `index` of a product: `width` columns of  in Wᵀ + bias,  or of  in W  if transposed. `in` is the node's operands,
    side by side."""

    matrix: Matrix
    transposed: bool
    index: int


@dataclass(frozen=True, eq=False)
class Node:
    """One value. `operation` is of `POINTWISE` or of `ROW_SUMS`, or leaf, constant, product, spread."""

    index: int
    operation: str
    operands: tuple["Node", ...]
    width: int
    # A Leaf, a Piece, a constant's value, or a layer norm's ε.
    data: Any = None

    def __repr__(self) -> str:
        return f"{self.index}:{self.operation}"


@dataclass
class Graph:
    """Nodes in the order in which they were made: operands come first."""

    nodes: list[Node] = field(default_factory=list)
    _known: dict[tuple, Node] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def leaf(self, array: str, column: int, width: int) -> Node:
        return self._node("leaf", (), width, Leaf(array, column))

    def constant(self, value: float) -> Node:
        return self._node("constant", (), NUMBER, float(value))

    def product(self, source: tuple[Node, ...], matrix: Matrix, transposed: bool, widths: list[int]) -> list[Node]:
        """The pieces of a product, all of one width."""
        pieces = [Piece(matrix, transposed, index) for index in range(len(widths))]
        return [self._node("product", source, width, piece) for piece, width in zip(pieces, widths, strict=True)]

    def row_sum(self, x: Node) -> Node:
        """The sum over a row's columns."""
        return self._node("row_sum", (x,), NUMBER)

    def normalised(self, x: Node, epsilon: float) -> Node:
        """(x - mean) / √(variance + ε) over a row's columns."""
        mean = self._node("row_mean", (x,), NUMBER, epsilon)
        inverse = self._node("row_deviation", (x, mean), NUMBER, epsilon)
        return self._node("normalise", (x, mean, inverse), x.width)

    def d_normalise(self, g: Node, y: Node) -> Node:
        """The gradient of what gave y = `normalise`(x) for that of y, but for the factor 1 / √(variance + ε)."""
        total = self._node("row_total", (g,), NUMBER)
        along = self._node("row_along", (g, y, total), NUMBER)
        return self._node("d_normalise", (g, y, total, along), g.width)

    def spread(self, x: Node, width: int) -> Node:
        """A number a row, in every one of `width` columns."""
        return self._node("spread", (x,), width) if x.width == NUMBER else x

    def pointwise(self, operation: str, *operands: Node) -> Node:
        """Element by element; constants are folded, what adds zero or multiplies by one is left out, and what adds a
        negative subtracts."""
        assert POINTWISE[operation] == len(operands), f"{operation} takes {POINTWISE[operation]} operands"
        simpler = _simplified(operation, operands)
        if simpler is not None:
            return simpler
        for one, other in (operands, operands[::-1]) if operation == "add" else ():
            if other.operation == "neg":
                return self.pointwise("sub", one, other.operands[0])
        return self._node(operation, operands, max(node.width for node in operands))

    def _node(self, operation: str, operands: tuple[Node, ...], width: int, data: Any = None) -> Node:
        key = (operation, tuple(node.index for node in operands), width, data)
        if key not in self._known:
            self._known[key] = Node(len(self.nodes), operation, operands, width, data)
            self.nodes.append(self._known[key])
        return self._known[key]


def is_shared(node: Node) -> bool:
    """Whether a number is the same for all rows: made of constants and numbers among the weights."""
    if node.operation == "leaf":
        return node.width == NUMBER and node.data.array.startswith("weight ")
    return node.operation == "constant" or (node.operation in POINTWISE and all(map(is_shared, node.operands)))


def is_constant(node: Node, value: float) -> bool:
    """Whether the node is this constant."""
    return node.operation == "constant" and node.data == value


def _simplified(operation: str, operands: tuple[Node, ...]) -> Node | None:
    """The operand that the result equals bit for bit, if there is one."""
    first, last = operands[0], operands[-1]
    wide = max(node.width for node in operands)
    if operation == "add" and is_constant(first, 0) and last.width == wide:
        return last
    if operation in {"add", "sub"} and is_constant(last, 0) and first.width == wide:
        return first
    if operation == "mul" and is_constant(first, 1) and last.width == wide:
        return last
    if operation in {"mul", "div"} and is_constant(last, 1) and first.width == wide:
        return first
    return None
