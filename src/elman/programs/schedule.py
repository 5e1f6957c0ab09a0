"""From a graph to a program: in which stage each value is computed, where it stands, and the instructions.

A stage works column block by column block, so what reads a whole row (a product's input, a row sum) ends one. A value that
a later stage reads is written to an array; within a stage values are in registers. The form of the program is that of
`native/include/elman.h`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum

from elman.programs.graph import NUMBER, POINTWISE, Node


class ArrayKind(IntEnum):
    """What an array's rows are, as in elman.h."""

    SEQUENCE = 0
    BEFORE = 1
    CARRY_IN = 2
    CARRY_OUT = 3
    SHARED = 4
    ROWS = 5


_NONE, _REGISTER, _ARRAY, _CONSTANT, _SUM = range(5)
_OPERATIONS = {name: number for number, name in enumerate(POINTWISE)}
_SPREAD, _ROW_SUM, _ACCUMULATE = range(len(POINTWISE), len(POINTWISE) + 3)

_Operand = tuple[int, int, int]
_NOTHING: _Operand = (_NONE, 0, 0)


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


@dataclass
class _Stage:
    level: int
    width: int
    products: list[tuple[int, ...]] = field(default_factory=list)
    instructions: list[tuple[int, _Operand, _Operand, _Operand]] = field(default_factory=list)


class Scheduler:
    """Arrays are declared first, then values to be written are asked for, then `program` does it all."""

    def __init__(self) -> None:
        self._arrays: dict[str, tuple[ArrayKind, int]] = {}
        self._targets: dict[Node, list[tuple[str, int]]] = {}
        self._sums: list[tuple[Node, int]] = []
        self._accumulators = 0

    def array(self, name: str, kind: ArrayKind, columns: int) -> None:
        """Declare an array. A carry is declared twice, CARRY_IN and right after it CARRY_OUT."""
        self._arrays[name] = (kind, columns)

    def write(self, array: str, nodes: Iterable[Node], column: int = 0) -> None:
        """Write these values to an array, side by side from `column` on."""
        for node in nodes:
            self._targets.setdefault(node, []).append((array, column))
            column += node.width

    def accumulate(self, node: Node) -> int:
        """Sum this value over rows and steps; the column where its sum stands."""
        for known, column in self._sums:
            if known is node:
                return column
        self._sums.append((node, self._accumulators))
        self._accumulators += node.width
        return self._accumulators - node.width

    def program(self) -> Program:
        """The program for all that was asked for."""
        return _Compilation(self._arrays, self._targets, self._sums, self._accumulators).program()


class _Compilation:
    def __init__(
        self,
        arrays: dict[str, tuple[ArrayKind, int]],
        targets: dict[Node, list[tuple[str, int]]],
        sums: list[tuple[Node, int]],
        accumulators: int,
    ) -> None:
        self._arrays = dict(arrays)
        self._targets = {node: list(places) for node, places in targets.items()}
        self._sums = sums
        self._accumulators = accumulators
        self._nodes = _reachable([*targets, *(node for node, _ in sums)])
        self._levels = _levels(self._nodes)
        self._stages: dict[tuple[int, int], _Stage] = {}
        self._weights: list[WeightUse] = []
        self._constants: list[float] = []
        self._row_sums: dict[Node, tuple[str, int]] = {}
        self._registers = 0

    def program(self) -> Program:
        self._materialise()
        # What is written although nothing computes it: a leaf or a constant goes by a copy.
        for key, nodes in self._by_stage().items():
            self._stages[key] = self._compile_stage(key, nodes)
        names = list(self._arrays)
        code = [len(names), self._registers, len(self._row_sums), self._accumulators, len(self._constants), len(self._stages)]
        for kind, columns in self._arrays.values():
            code += [int(kind), columns]
        for array, column in self._row_sums.values():
            code += [names.index(array), column]
        for key in sorted(self._stages):
            stage = self._stages[key]
            code += [stage.width, len(stage.products), len(stage.instructions)]
            for product in stage.products:
                code += product
            for number, target, a, b in stage.instructions:
                code += [number, *target, *a, *b]
        return Program(names, self._weights, code, self._constants, self._accumulators)

    def _key(self, node: Node) -> tuple[int, int]:
        return self._levels[node], node.width

    def _by_stage(self) -> dict[tuple[int, int], list[Node]]:
        """The wide nodes that a stage computes or writes, in order. Numbers a row are computed where they are used."""
        stages: dict[tuple[int, int], list[Node]] = {}
        for node in self._nodes:
            if node.operation == "row_sum":
                stages.setdefault(self._key(node.operands[0]), []).append(node)
            elif _is_computed(node) and node.width != NUMBER:
                stages.setdefault(self._key(node), []).append(node)
        for node in dict.fromkeys([*self._targets, *(n for n, _ in self._sums)]):
            if not _is_computed(node):
                stages.setdefault(self._key(node), []).append(node)
        return stages

    def _materialise(self) -> None:
        """Give an array to each value that another stage reads, and to each row sum."""
        scratch = 0
        users: dict[Node, set[tuple[int, int]]] = {}
        sources: list[tuple[Node, ...]] = []
        for node in self._nodes:
            if node.operation == "product":
                sources.append(node.operands)
            elif node.operation == "row_sum":
                users.setdefault(node.operands[0], set()).add(self._key(node.operands[0]))
            else:
                for operand in node.operands:
                    if _is_computed(operand) and operand.width != NUMBER:
                        users.setdefault(operand, set()).add(self._key(node))
        for source in dict.fromkeys(sources):
            if self._row_of(source) is None:
                name = f"rows {scratch}"
                scratch += 1
                self.declare_rows(name, sum(node.width for node in source))
                column = 0
                for node in source:
                    self._targets.setdefault(node, []).append((name, column))
                    column += node.width
        for node, keys in users.items():
            if keys - {self._key(node)} and node not in self._targets:
                name = f"rows {scratch}"
                scratch += 1
                self.declare_rows(name, node.width)
                self._targets[node] = [(name, 0)]
        for node in self._nodes:
            if node.operation != "row_sum":
                continue
            places = self._targets.pop(node, [])
            if not places:
                name = f"rows {scratch}"
                scratch += 1
                self.declare_rows(name, 1)
                places = [(name, 0)]
            assert len(places) == 1, "a row sum is written to one place"
            self._row_sums[node] = places[0]

    def declare_rows(self, name: str, columns: int) -> None:
        self._arrays[name] = (ArrayKind.ROWS, columns)

    def _row_of(self, source: tuple[Node, ...]) -> tuple[str, int] | None:
        """Array and column where these values stand side by side, if they do."""
        choices = [self._places(node) for node in source]
        for array, column in choices[0]:
            expected, found = column, True
            for node, places in zip(source, choices, strict=True):
                found = found and (array, expected) in places
                expected += node.width
            if found:
                return array, column
        return None

    def _places(self, node: Node) -> list[tuple[str, int]]:
        if node.operation == "leaf":
            return [(node.data.array, node.data.column)]
        return self._targets.get(node, [])

    def _compile_stage(self, key: tuple[int, int], nodes: list[Node]) -> _Stage:
        stage = _Stage(*key)
        body = _StageBody(self, stage)
        for node in nodes:
            body.add(node)
        self._registers = max(self._registers, body.finish())
        return stage

    def weight(self, node: Node) -> int:
        matrix = node.data.matrix
        entry = WeightUse(matrix.weight, matrix.first, matrix.rows, matrix.bias, matrix.bias_first, node.data.transposed)
        if entry not in self._weights:
            self._weights.append(entry)
        return self._weights.index(entry)

    def array_number(self, name: str) -> int:
        return list(self._arrays).index(name)

    def constant(self, value: float) -> int:
        if value not in self._constants:
            self._constants.append(value)
        return self._constants.index(value)


class _StageBody:
    """Instructions of one stage, first with a register for each value, then with as few as needed."""

    def __init__(self, whole: _Compilation, stage: _Stage) -> None:
        self._whole = whole
        self._stage = stage
        self._operands: dict[Node, _Operand] = {}
        self._next = 0
        self._product_registers: list[tuple[int, int]] = []

    def add(self, node: Node) -> None:
        whole, stage = self._whole, self._stage
        if node.operation == "row_sum":
            number = list(whole._row_sums).index(node)
            self._emit(_ROW_SUM, (_SUM, number, 0), self._operand(node.operands[0]), _NOTHING)
            return
        if node.operation == "product":
            if node not in self._operands:
                self._product(node)
            for place in whole._targets.get(node, []):
                self._emit(_OPERATIONS["copy"], self._array(place), self._operands[node], _NOTHING)
        elif _is_computed(node):
            if node not in self._operands:
                self._compute(node)
        else:
            for place in whole._targets.get(node, []):
                self._emit(_OPERATIONS["copy"], self._array(place), self._operand(node), _NOTHING)
        for summed, column in whole._sums:
            if summed is node:
                self._emit(_ACCUMULATE, (_NONE, 0, column), self._operand(node), _NOTHING)

    def _product(self, first: Node) -> None:
        """All pieces of the product that `first` is one of: those that nobody reads too, as the core gives them together."""
        whole = self._whole
        pieces = [
            n
            for n in whole._nodes
            if n.operation == "product"
            and n.operands == first.operands
            and (n.data.matrix, n.data.transposed) == (first.data.matrix, first.data.transposed)
        ]
        row = whole._row_of(first.operands)
        assert row is not None
        inner = sum(node.width for node in first.operands)
        count = max(piece.data.index for piece in pieces) + 1
        register = self._next
        self._next += count
        for piece in pieces:
            self._operands[piece] = (_REGISTER, register + piece.data.index, 0)
        bias = 0 if first.data.matrix.bias is None else 1
        self._product_registers.append((register, count))
        self._stage.products.append(
            (whole.weight(first), whole.array_number(row[0]), row[1], inner, count, register, bias)
        )

    def _compute(self, node: Node) -> None:
        operands = [self._operand(operand) for operand in node.operands]
        a, b = operands[0], operands[1] if len(operands) > 1 else _NOTHING
        places = list(self._whole._targets.get(node, []))
        if node.operation == "spread":
            self._operands[node] = a
        elif places:
            self._operands[node] = self._array(places.pop(0))
            self._emit(_OPERATIONS[node.operation], self._operands[node], a, b)
        else:
            self._operands[node] = self._register()
            self._emit(_OPERATIONS[node.operation], self._operands[node], a, b)
        for place in places:
            self._emit(_OPERATIONS["copy"], self._array(place), self._operands[node], _NOTHING)

    def _operand(self, node: Node) -> _Operand:
        """Where a value can be read in this stage; a number a row is computed here, for all columns."""
        if node in self._operands:
            return self._operands[node]
        whole = self._whole
        if node.operation == "constant":
            operand = (_CONSTANT, whole.constant(node.data), 0)
        elif node.width == NUMBER and node.operation in {"row_sum", "leaf"}:
            place = whole._row_sums[node] if node.operation == "row_sum" else whole._places(node)[0]
            operand = self._register()
            self._emit(_SPREAD, operand, self._array(place), _NOTHING)
        elif node.width == NUMBER:
            parts = [self._operand(x) for x in node.operands]
            operand = self._register()
            self._emit(_OPERATIONS[node.operation], operand, parts[0], parts[1] if len(parts) > 1 else _NOTHING)
        else:
            operand = self._array(whole._places(node)[0])
        self._operands[node] = operand
        return operand

    def _array(self, place: tuple[str, int]) -> _Operand:
        return (_ARRAY, self._whole.array_number(place[0]), place[1])

    def _register(self) -> _Operand:
        self._next += 1
        return (_REGISTER, self._next - 1, 0)

    def _emit(self, number: int, target: _Operand, a: _Operand, b: _Operand) -> None:
        self._stage.instructions.append((number, target, a, b))

    def finish(self) -> int:
        """Let values share registers once the earlier one has been read for the last time; how many are needed."""
        last_read: dict[int, int] = {}
        for place, (_, _, a, b) in enumerate(self._stage.instructions):
            for operand in (a, b):
                if operand[0] == _REGISTER:
                    last_read[operand[1]] = place
        # A product's registers stand in a row and are full from the start.
        fixed = sum(count for _, count in self._product_registers)
        renamed: dict[int, int] = {}
        at = 0
        products = []
        for (register, count), product in zip(self._product_registers, self._stage.products, strict=True):
            for i in range(count):
                renamed[register + i] = at + i
            products.append((*product[:5], at, product[6]))
            at += count
        self._stage.products[:] = products
        free: list[int] = []
        most = fixed
        instructions = []
        for place, (number, target, a, b) in enumerate(self._stage.instructions):
            read = [(o[0], renamed[o[1]], o[2]) if o[0] == _REGISTER else o for o in (a, b)]
            for old in {o[1] for o in (a, b) if o[0] == _REGISTER and last_read[o[1]] == place}:
                free.append(renamed[old])
            if target[0] == _REGISTER:
                if target[1] not in renamed:
                    renamed[target[1]] = free.pop() if free else most
                    most = max(most, renamed[target[1]] + 1)
                target = (_REGISTER, renamed[target[1]], 0)  # noqa: PLW2901
            instructions.append((number, target, read[0], read[1]))
        self._stage.instructions[:] = instructions
        return most


def _is_computed(node: Node) -> bool:
    return node.operation in POINTWISE or node.operation in {"product", "spread"}


def _reachable(wanted: list[Node]) -> list[Node]:
    seen: dict[Node, None] = {}
    pending = list(wanted)
    while pending:
        node = pending.pop()
        if node not in seen:
            seen[node] = None
            pending += node.operands
    return sorted(seen, key=lambda node: node.index)


def _levels(nodes: list[Node]) -> dict[Node, int]:
    """How many stages come before the one that computes a node. Numbers a row carry the level of what they are made of."""
    levels: dict[Node, int] = {}
    for node in nodes:
        if node.operation == "product" and all(source.operation == "leaf" for source in node.operands):
            levels[node] = 0
        elif node.operation == "product":
            levels[node] = 1 + max(levels[source] for source in node.operands)
        else:
            levels[node] = max((levels[x] + (x.operation == "row_sum") for x in node.operands), default=0)
    return levels


__all__ = ["ArrayKind", "Program", "Scheduler", "WeightUse"]
