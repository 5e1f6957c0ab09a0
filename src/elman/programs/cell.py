"""All programs of a cell: forwards for training and for inference, and backwards; and what an engine needs to run them.

Array names, for a state S: `u` input projection · `y` outputs · `before S`, `after S` before and after each step ·
`carry S out` what is carried on · `kept` · `weight W` a vector. Backwards: `dy` · `carried S`, `dcarry S out` the gradient that
is carried · `d S` that of a sequence which is a result · `du` · `dproduct K`. A state whose value is y shares y's sequence.
"""

import json
from dataclasses import asdict, dataclass
from functools import cache

from elman.cells import Cell
from elman.errors import TraceError
from elman.programs.code import ArrayKind, Program, WeightUse
from elman.programs.derivative import Reverse, is_state, reverse
from elman.programs.derived import Derived, Rows
from elman.programs.graph import Graph, Node
from elman.programs.schedule import Scheduler
from elman.programs.trace import TracedStep, trace


@dataclass
class ProductPlan:
    """Where the gradient of a product's weights comes from: dW = (gradient array)ᵀ (source array), or, for a product with the
    matrix as it stands, (source array)ᵀ (gradient array)."""

    weight: str
    # Its first row in the weight.
    first: int
    # "before S", or the columns of "kept" from `column` on.
    source: str
    column: int
    inner: int
    # "du" or "dproduct K".
    gradient: str
    width: int
    transposed: bool


@dataclass
class SumPlan:
    """A gradient that is a sum over rows and steps: columns of a vector (or bias), and where they stand in the accumulators."""

    weight: str
    column: int
    width: int
    accumulator: int
    # Whether the gradient is that of one number: the sum of all columns.
    of_number: bool = False


@dataclass
class CellPrograms:
    """Everything about a cell that the native engine needs. It is plain data, and travels as text."""

    projected: bool
    u_width: int
    y_width: int
    # (name, width)
    states: list[tuple[str, int]]
    # Names of the states whose value is y.
    y_states: list[str]
    weights: list[str]
    # Of every weight of the cell but `weight_ih`, whose columns are the input's, and of what is derived from them.
    weight_shapes: dict[str, tuple[int, ...]]
    # By its name what is made of weights alone, in order.
    derived: list[tuple[str, Derived]]
    kept_width: int
    # How many columns of it, the last ones, no step writes.
    kept_padding: int
    training: Program
    inference: Program
    backward: Program
    products: list[ProductPlan]
    sums: list[SumPlan]
    input_bias: bool
    # Whether the sequences of states that are not y are results too.
    all_states: bool
    # Name, width, and whether there is one for each step.
    masks: list[tuple[str, int, bool]]

    @property
    def keeps_u(self) -> bool:
        """Whether what is kept is u. (If x is u, it is there anyway.)"""
        return self.projected and "u" in self.backward.arrays

    @property
    def sequences(self) -> list[tuple[str, int]]:
        """The states that have a sequence of their own."""
        return [(name, width) for name, width in self.states if name not in self.y_states]

    def to_text(self) -> str:
        return json.dumps(asdict(self), separators=(",", ":"))

    @staticmethod
    def from_text(text: str) -> "CellPrograms":
        data = json.loads(text)
        for name in ("training", "inference", "backward"):
            data[name] = Program(**data[name])
            data[name].weights = [WeightUse(**use) for use in data[name].weights]
        data["products"] = [ProductPlan(**plan) for plan in data["products"]]
        data["sums"] = [SumPlan(**plan) for plan in data["sums"]]
        data["derived"] = [
            (name, Derived(operation, tuple(Rows(*x) if isinstance(x, list) else x for x in operands), width))
            for name, (operation, operands, width) in data["derived"]
        ]
        data["states"] = [tuple(state) for state in data["states"]]
        data["masks"] = [tuple(mask) for mask in data["masks"]]
        return CellPrograms(**data)


@cache
def programs_of(cell: Cell, all_states: bool = False, masked: bool = False) -> CellPrograms:
    """The programs of `cell`; with `all_states`, every state's sequence has a gradient; `masked`, the step gets its masks.

    Raises `TraceError`.
    """
    step = trace(cell, masked)
    y_states = [name for (name, _), nodes in zip(step.states, step.after, strict=True) if nodes == step.y]
    sequences = tuple(name for name, _ in step.states if name not in y_states) if all_states else ()
    back = reverse(step, sequences)
    plan = _Plan(cell, step, back, y_states)
    training, inference = plan.forward(keep=True), plan.forward(keep=False)
    backward, products, sums = plan.backward()
    return CellPrograms(
        projected=_is_projected(cell),
        u_width=step.u_width,
        y_width=_width(step.y),
        states=list(step.states),
        y_states=y_states,
        weights=list(step.weights),
        weight_shapes={
            name: shape
            for name, shape in cell.weight_shapes(cell.input_size or 1).items()
            if name != "weight_ih" or not _is_projected(cell)
        }
        | {name: (derived.width,) for name, derived in step.derived.items()},
        derived=list(step.derived.items()),
        kept_width=step.u_width if _is_projected(cell) and "u" in backward.arrays else back.kept_width,
        kept_padding=back.kept_padding,
        training=training,
        inference=inference,
        backward=backward,
        products=products,
        sums=sums,
        input_bias=_has_input_bias(cell),
        all_states=all_states,
        masks=[(name, mask.size, mask.every_step) for name, mask in cell.masks.items()] if masked else [],
    )


def _is_projected(cell: Cell) -> bool:
    """Whether u is W x, which the engine makes."""
    return type(cell).project is Cell.project


def _has_input_bias(cell: Cell) -> bool:
    """Whether that product has a bias."""
    return _is_projected(cell) and cell.projects_bias


@dataclass
class _Plan:
    cell: Cell
    step: TracedStep
    back: Reverse
    y_states: list[str]

    def forward(self, keep: bool) -> Program:
        """Forwards. To train, states have sequences and what the reverse needs is kept; else only y has a sequence."""
        plan = Scheduler()
        plan.array("u", ArrayKind.SEQUENCE, self.step.u_width)
        self._masks(plan)
        plan.array("y", ArrayKind.SEQUENCE, _width(self.step.y))
        plan.write("y", self.step.y)
        for (name, width), nodes in zip(self.step.states, self.step.after, strict=True):
            if name in self.y_states:
                plan.array(f"before {name}", ArrayKind.BEFORE, width)
            elif keep:
                plan.array(f"before {name}", ArrayKind.BEFORE, width)
                plan.array(f"after {name}", ArrayKind.SEQUENCE, width)
                plan.write(f"after {name}", nodes)
            else:
                # The scheduler knows leaves by their array's name.
                plan.array(f"before {name}", ArrayKind.CARRY_IN, width)
                plan.array(f"carry {name} out", ArrayKind.CARRY_OUT, width)
                plan.write(f"carry {name} out", nodes)
        self._vectors(plan, self.step.graph)
        if keep and self.back.kept:
            plan.array("kept", ArrayKind.SEQUENCE, self.back.kept_width)
            for node, column in self.back.kept.items():
                plan.write("kept", [node], column)
        return plan.program()

    def backward(self) -> tuple[Program, list[ProductPlan], list[SumPlan]]:
        back, plan = self.back, Scheduler()
        plan.array("dy", ArrayKind.SEQUENCE, _width(self.step.y))
        self._masks(plan)
        used = {node.data.array for node in back.graph if node.operation == "leaf"}
        for name, width in self.step.states:
            plan.array(f"carried {name}", ArrayKind.CARRY_IN, width)
            plan.array(f"dcarry {name} out", ArrayKind.CARRY_OUT, width)
            for array, kind in (
                (f"before {name}", ArrayKind.BEFORE),
                (f"after {name}", ArrayKind.SEQUENCE),
                (f"d {name}", ArrayKind.SEQUENCE),
            ):
                if array in used:
                    plan.array(array, kind, width)
        if "kept" in used:
            plan.array("kept", ArrayKind.SEQUENCE, back.kept_width)
        if "u" in used:
            plan.array("u", ArrayKind.SEQUENCE, self.step.u_width)
        self._vectors(plan, back.graph)
        plan.array("du", ArrayKind.SEQUENCE, self.step.u_width)
        plan.write("du", back.du)
        for (name, _), nodes in zip(self.step.states, back.dbefore, strict=True):
            plan.write(f"dcarry {name} out", nodes)

        products: list[ProductPlan] = []
        for product in back.products:
            gradient = "du"
            if product.pieces != back.du:
                gradient = f"dproduct {len(products)}"
                plan.array(gradient, ArrayKind.SEQUENCE, _width(product.pieces))
                plan.write(gradient, product.pieces)
            source, column = self._source(product.source)
            products.append(
                ProductPlan(
                    product.matrix.weight,
                    product.matrix.first,
                    source,
                    column,
                    _width(product.source),
                    gradient,
                    _width(product.pieces),
                    product.transposed,
                )
            )
        sums = self._sums(plan)
        return plan.program(), products, sums

    def _sums(self, plan: Scheduler) -> list[SumPlan]:
        sums: list[SumPlan] = []

        def add(weight: str, column: int, nodes: tuple[Node, ...]) -> None:
            for node in nodes:
                sums.append(SumPlan(weight, column, node.width, plan.accumulate(node)))
                column += node.width

        if _has_input_bias(self.cell):
            add("bias_ih", 0, self.back.du)
        for product in self.back.products:
            if product.matrix.bias is not None:
                add(product.matrix.bias, product.matrix.bias_first, product.pieces)
        for name, column, node, of_number in self.back.vectors:
            sums.append(SumPlan(name, column, node.width, plan.accumulate(node), of_number))
        return sums

    def _source(self, source: tuple[Node, ...]) -> tuple[str, int]:
        if is_state(source):
            return source[0].data.array, source[0].data.column
        columns = [self.back.kept[node] for node in source]
        expected = [columns[0] + sum(node.width for node in source[:i]) for i in range(len(source))]
        if columns != expected:
            raise TraceError(f"the step of {self.cell.name!r} has products whose inputs overlap.")
        return "kept", columns[0]

    def _masks(self, plan: Scheduler) -> None:
        for name, mask in self.step.masks.items():
            plan.array(name, ArrayKind.SEQUENCE if mask.every_step else ArrayKind.FIXED, mask.size)

    def _vectors(self, plan: Scheduler, graph: Graph) -> None:
        """Declare the weights that are read element by element."""
        used = {node.data.array for node in graph if node.operation == "leaf"}
        widths = {name: shape[0] for name, shape in self.cell.weight_shapes(self.cell.input_size or 1).items()}
        widths |= {name: derived.width for name, derived in self.step.derived.items()}
        for name, width in widths.items():
            if f"weight {name}" in used:
                plan.array(f"weight {name}", ArrayKind.SHARED, width)


def _width(nodes: tuple[Node, ...]) -> int:
    return sum(node.width for node in nodes)
