"""The reverse of a step: its vector-Jacobian product, node by node, as another step.

Which values of the forward step are kept follows from what the reverse reads: the states are there anyway, a value that
can be computed from them, from parameters and from kept values is computed again, and the rest is kept. Of a step that goes
element by element all values are computed again, from u: there it is memory that takes the time.
"""

from dataclasses import dataclass, field

from elman.errors import TraceError
from elman.programs.graph import NUMBER, POINTWISE, Graph, Matrix, Node, is_shared
from elman.programs.trace import TracedStep


@dataclass(frozen=True)
class ProductGradient:
    """A product of the forward step: its source, and the gradient of what it gives, piece by piece."""

    matrix: Matrix
    # Whether the product is  source W  instead of  source Wᵀ.
    transposed: bool
    source: tuple[Node, ...]
    pieces: tuple[Node, ...]


@dataclass
class Reverse:
    """The reverse step. Its leaves: `dy`, `carried NAME` (gradient of each state after the step), `d NAME` (gradient of a
    state's whole sequence, if it is given out), `before NAME`, `after NAME`, `kept`, vectors among the weights, and `u` where
    nothing is kept."""

    graph: Graph
    du: tuple[Node, ...]
    # Gradient of each state before the step.
    dbefore: list[tuple[Node, ...]]
    products: list[ProductGradient]
    # Gradient of each vector or number, before it is summed over rows and steps: name, column, node, whether it is a number.
    vectors: list[tuple[str, int, Node, bool]]
    # Forward nodes to keep, and the column of each.
    kept: dict[Node, int] = field(default_factory=dict)
    kept_width: int = 0
    # How many columns of it, the last ones, nobody writes.
    kept_padding: int = 0


# Columns of what is kept are rounded up to so many where numbers stand among them: a line of a cache in float32.
_LINE = 16


def reverse(step: TracedStep, sequences: tuple[str, ...]) -> Reverse:
    """The reverse of `step`; `sequences` names the states whose every value is a result with a gradient of its own."""
    found = _reverse(step, sequences, {})
    numbers = [node for node in found.kept if node.width == NUMBER]
    if not numbers:
        return found
    # Once more, with numbers behind all arrays: a vector that lies across two lines takes twice as long to read.
    columns: dict[Node, int] = {}
    width = 0
    for node in [node for node in found.kept if node.width != NUMBER] + numbers:
        columns[node] = width
        width += max(node.width, 1)
    found = _reverse(step, sequences, columns)
    found.kept_padding = -width % _LINE
    found.kept_width = width + found.kept_padding
    return found


def _reverse(step: TracedStep, sequences: tuple[str, ...], columns: dict[Node, int]) -> Reverse:
    graph = Graph()
    keeper = _Keeper(step, graph, columns)
    adjoints = _Adjoints(graph)

    column = 0
    for node in step.y:
        adjoints.add(node, graph.leaf("dy", column, node.width))
        column += node.width
    for (name, _), nodes in zip(step.states, step.after, strict=True):
        column = 0
        for node in nodes:
            adjoints.add(node, graph.leaf(f"carried {name}", column, node.width))
            if name in sequences:
                adjoints.add(node, graph.leaf(f"d {name}", column, node.width))
            column += node.width

    # A product's input that is not a state has to be there for the gradient of its weights, side by side.
    for node in step.graph:
        if node.operation == "product":
            keeper.keep_source(node.operands)

    products: list[ProductGradient] = []
    for node in reversed(step.graph.nodes):
        if node.operation == "product":
            if node.data.index == 0:
                _product(step, node, graph, adjoints, products)
        elif node in adjoints:
            _pointwise(node, adjoints[node], graph, adjoints, keeper)

    def gradients(array: str) -> tuple[Node, ...]:
        leaves = [n for n in step.graph if n.operation == "leaf" and n.data.array == array]
        return tuple(adjoints.or_zero(n) for n in sorted(leaves, key=lambda n: n.data.column))

    vectors = [
        (n.data.array.removeprefix("weight "), n.data.column, adjoints.or_zero(n), n.width == NUMBER)
        for n in step.graph
        if n.operation == "leaf" and n.data.array.startswith("weight ")
    ]
    dbefore = [
        tuple(_limited(graph, node, step.gradient_limit) for node in gradients(f"before {name}"))
        for name, _ in step.states
    ]
    du = gradients("u")
    return Reverse(graph, du, dbefore, products, vectors, keeper.kept, keeper.width)


def is_state(source: tuple[Node, ...]) -> bool:
    """Whether these are columns of one state before the step, side by side as they stand in it."""
    if any(node.operation != "leaf" for node in source):
        return False
    column = source[0].data.column
    for node in source:
        if node.data.array != source[0].data.array or node.data.column != column:
            return False
        column += node.width
    return source[0].data.array.startswith("before ")


def _limited(graph: Graph, gradient: Node, limit: float | None) -> Node:
    if limit is None or gradient.operation == "spread":
        return gradient
    low = graph.pointwise("max", gradient, graph.constant(-limit))
    return graph.pointwise("min", low, graph.constant(limit))


class _Adjoints:
    """Sums of gradients by forward node."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._of: dict[Node, Node] = {}

    def __contains__(self, node: Node) -> bool:
        return node in self._of

    def __getitem__(self, node: Node) -> Node:
        return self._of[node]

    def add(self, node: Node, gradient: Node) -> None:
        if node.operation == "constant":
            return
        # What is the same for all rows is summed over rows and columns in the end: not row by row on the way.
        if node.width == NUMBER and gradient.width != NUMBER and not is_shared(node):
            gradient = self._graph.row_sum(gradient)
        if node in self._of and len({self._of[node].width, gradient.width} - {NUMBER}) > 1:
            raise TraceError("a number among the weights goes with arrays of different widths.")
        self._of[node] = self._graph.pointwise("add", self._of[node], gradient) if node in self._of else gradient

    def or_zero(self, node: Node) -> Node:
        gradient = self._of.get(node, self._graph.constant(0))
        # A number is summed as a column.
        return self._graph.spread(gradient, max(node.width, 1))


class _Keeper:
    """Forward values in the reverse graph."""

    def __init__(self, step: TracedStep, graph: Graph, columns: dict[Node, int]) -> None:
        """`columns` says where to keep a value; else it comes behind those before it."""
        self._graph = graph
        self._columns = columns
        self._found: dict[Node, Node] = {}
        self.kept: dict[Node, int] = {}
        self.width = 0
        self._has_u = all(node.operation in POINTWISE or not node.operands for node in step.graph)
        for (name, _), nodes in zip(step.states, step.after, strict=True):
            column = 0
            for node in nodes:
                self._found.setdefault(node, graph.leaf(f"after {name}", column, node.width))
                column += node.width

    def keep_source(self, source: tuple[Node, ...]) -> None:
        """Keep the input of a product, whole and in order, unless it is a state."""
        if is_state(source) or all(node in self.kept for node in source):
            return
        for node in source:
            self._keep(node)

    def __call__(self, node: Node) -> Node:
        """The forward value `node`."""
        for missing in self._missing(node):
            self._keep(missing)
        return self._again(node)

    def _missing(self, node: Node) -> list[Node]:
        """What has to be kept for it: the value itself, or the row sums that a number is made of."""
        if self._can(node):
            return []
        if node.width == NUMBER and node.operation in POINTWISE:
            return [missing for operand in node.operands for missing in self._missing(operand)]
        return [node]

    def _can(self, node: Node) -> bool:
        """Whether the value is there or can be computed from what is there."""
        if node in self._found or node.operation == "constant":
            return True
        if node.operation == "leaf":
            return self._has_u or node.data.array != "u"
        return node.operation in POINTWISE and all(self._can(operand) for operand in node.operands)

    def _again(self, node: Node) -> Node:
        if node not in self._found:
            if node.operation == "constant":
                self._found[node] = self._graph.constant(node.data)
            elif node.operation == "leaf":
                self._found[node] = self._graph.leaf(node.data.array, node.data.column, node.width)
            else:
                self._found[node] = self._graph.pointwise(node.operation, *(self._again(x) for x in node.operands))
        return self._found[node]

    def _keep(self, node: Node) -> None:
        if node not in self.kept:
            self.kept[node] = self._columns.get(node, self.width)
            self._found[node] = self._graph.leaf("kept", self.kept[node], node.width)
            self.width += max(node.width, 1)


def _product(step: TracedStep, first: Node, graph: Graph, adjoints: _Adjoints, products: list[ProductGradient]) -> None:
    """All pieces of a product at once: the gradient of its source is the product with the weight as it stands."""
    pieces = [
        n
        for n in step.graph
        if n.operation == "product"
        and (n.operands, n.data.matrix, n.data.transposed) == (first.operands, first.data.matrix, first.data.transposed)
    ]
    if not any(piece in adjoints for piece in pieces):
        return
    gradients = tuple(adjoints.or_zero(piece) for piece in pieces)
    transposed = first.data.transposed
    products.append(ProductGradient(first.data.matrix, transposed, first.operands, gradients))
    widths = [node.width for node in first.operands]
    matrix = Matrix(first.data.matrix.weight, first.data.matrix.first, first.data.matrix.rows)
    for node, gradient in zip(first.operands, graph.product(gradients, matrix, not transposed, widths), strict=True):
        adjoints.add(node, gradient)


def _pointwise(node: Node, g: Node, graph: Graph, adjoints: _Adjoints, value: _Keeper) -> None:
    """The vector-Jacobian product of one operation: gradient `g` of its result to those of its operands."""

    def op(name: str, *operands: Node) -> Node:
        return graph.pointwise(name, *operands)

    match node.operation, node.operands:
        case "copy", (x,):
            adjoints.add(x, g)
        case "add", (a, b):
            adjoints.add(a, g)
            adjoints.add(b, g)
        case "sub", (a, b):
            adjoints.add(a, g)
            adjoints.add(b, op("neg", g))
        case "normalise", (x, mean, inverse):
            # Side by side in what is kept, as the forward step writes them.
            value(mean)
            scale = value(inverse)
            adjoints.add(x, op("mul", graph.d_normalise(g, value(node)), scale))
        case "mul", (a, b):
            _add_unless_constant(adjoints, a, lambda: op("mul", g, value(b)))
            _add_unless_constant(adjoints, b, lambda: op("mul", g, value(a)))
        case "div", (a, b):
            _add_unless_constant(adjoints, a, lambda: op("div", g, value(b)))
            _add_unless_constant(adjoints, b, lambda: op("neg", op("mul", g, op("div", value(node), value(b)))))
        case "neg", (x,):
            adjoints.add(x, op("neg", g))
        case (("sigmoid" | "tanh" | "relu"), (x,)):
            adjoints.add(x, op(f"d_{node.operation}", g, value(node)))
        case "log", (x,):
            adjoints.add(x, op("div", g, value(x)))
        case "softplus", (x,):
            adjoints.add(x, op("mul", g, op("sigmoid", value(x))))
        case (("max" | "min"), _):
            _extreme(node, g, graph, adjoints, value)
        case "at_least", _:
            pass
        case "exp", (x,):
            adjoints.add(x, op("mul", g, value(node)))
        case "sqrt", (x,):
            adjoints.add(x, op("div", op("mul", g, graph.constant(0.5)), value(node)))
        case "row_sum", (x,):
            adjoints.add(x, graph.spread(g, x.width))
        case (("leaf" | "constant"), ()):
            pass
        case _:
            raise AssertionError(f"no derivative of {node.operation}")


def _extreme(node: Node, g: Node, graph: Graph, adjoints: _Adjoints, value: _Keeper) -> None:
    """Of max and min. A limit that is a constant leaves the gradient where the value is at it, as PyTorch's clamp; two arrays
    that are equal get half of it each."""
    a, b = node.operands
    larger, smaller = (a, b) if node.operation == "max" else (b, a)
    first = graph.pointwise("at_least", value(larger), value(smaller))
    if b.operation == "constant":
        adjoints.add(a, graph.pointwise("mul", g, first))
        return
    half = graph.pointwise("mul", g, graph.constant(0.5))
    second = graph.pointwise("at_least", value(smaller), value(larger))
    share = graph.pointwise("mul", half, graph.pointwise("sub", first, second))
    adjoints.add(larger, graph.pointwise("add", half, share))
    adjoints.add(smaller, graph.pointwise("sub", half, share))


def _add_unless_constant(adjoints: _Adjoints, node: Node, gradient) -> None:
    """Not even its value is asked for where it is not needed: it might have to be kept."""
    if node.operation != "constant":
        adjoints.add(node, gradient())
