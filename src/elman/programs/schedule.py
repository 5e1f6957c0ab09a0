"""From a graph to a program: stages, instructions, registers."""

from collections.abc import Iterable

from elman.errors import TraceError
from elman.programs.code import NOTHING, OPERATIONS, ArrayKind, Instruction, Operand, OperandKind, Program, WeightUse
from elman.programs.graph import NUMBER, ROW_SUMS, Node
from elman.programs.placement import Place, Placement, is_computed

_REGISTERS = (OperandKind.REGISTER, OperandKind.NUMBER)


class Scheduler:
    """Arrays are declared first, then values to be written are asked for, then `program` does it all."""

    def __init__(self) -> None:
        self._arrays: dict[str, tuple[ArrayKind, int]] = {}
        self._targets: dict[Node, list[Place]] = {}
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
        placement = Placement(self._arrays, self._targets, self._sums)
        pool = _Pool()
        stages = placement.stages()
        bodies = [_StageBody(placement, pool, key[1], stages[key]) for key in sorted(stages)]
        registers = max((body.registers for body in bodies), default=0)
        sums = placement.row_sums.values()
        code = [len(placement.arrays), registers, len(sums), self._accumulators, len(pool.constants), len(bodies)]
        for kind, columns in placement.arrays.values():
            code += [int(kind), columns]
        for array, column in sums:
            code += [placement.number(array), column]
        for body in bodies:
            code += body.code()
        return Program(list(placement.arrays), pool.weights, code, pool.constants, self._accumulators)


class _Pool:
    """What the stages of a program share: weights and constants, each once."""

    def __init__(self) -> None:
        self.weights: list[WeightUse] = []
        self.constants: list[float] = []

    def weight(self, product: Node) -> int:
        matrix = product.data.matrix
        use = WeightUse(
            matrix.weight, matrix.first, matrix.rows, matrix.bias, matrix.bias_first, product.data.transposed
        )
        if use not in self.weights:
            self.weights.append(use)
        return self.weights.index(use)

    def constant(self, value: float) -> int:
        if value not in self.constants:
            self.constants.append(value)
        return self.constants.index(value)


class _StageBody:
    """Instructions of one stage, first with a register for each value, then with as few as needed."""

    def __init__(self, placement: Placement, pool: _Pool, width: int, nodes: list[Node]) -> None:
        self._placement = placement
        self._pool = pool
        self._width = width
        self._products: list[tuple[int, ...]] = []
        self._instructions: list[Instruction] = []
        self._operands: dict[Node, Operand] = {}
        self._numbers: dict[Node, Operand] = {}
        self._next = 0
        self._product_registers: list[tuple[int, int]] = []
        for node in nodes:
            self._add(node)
        self.registers = self._share_registers()

    def code(self) -> list[int]:
        """The stage as the core reads it."""
        code = [self._width, len(self._products), len(self._instructions)]
        for product in self._products:
            code += product
        for number, target, a, b in self._instructions:
            code += [number, *target, *a, *b]
        return [int(part) for part in code]

    def _add(self, node: Node) -> None:
        placement = self._placement
        if node.operation in ROW_SUMS:
            self._row_sum(node)
            return
        if node.operation == "product":
            if node not in self._operands:
                self._product(node)
            for place in placement.targets(node):
                self._emit("copy", self._array(place), self._operands[node])
        elif is_computed(node):
            if self._accumulate_product(node):
                return
            if node not in self._operands:
                self._compute(node)
        else:
            for place in placement.targets(node):
                self._emit("copy", self._array(place), self._operand(node))
        for summed, column in placement.sums:
            if summed is node:
                self._emit("accumulate", (OperandKind.NONE, 0, column), self._operand(node))

    def _row_sum(self, node: Node) -> None:
        target = (OperandKind.SUM, list(self._placement.row_sums).index(node), 0)
        operands = [self._operand(x) for x in node.operands if x.width != NUMBER]
        if node.operation == "row_mean":
            epsilon = (OperandKind.CONSTANT, self._pool.constant(node.data), 0)
            self._emit("row_moments", target, operands[0], epsilon)
        elif node.operation != "row_deviation":
            self._emit("row_sum", target, *operands)

    def _accumulate_product(self, node: Node) -> bool:
        """Sum a product of two arrays that nothing else reads, without making it."""
        placement = self._placement
        read = any(node in other.operands for other in placement.nodes) or placement.targets(node)
        if node.operation != "mul" or read or any(x.width != node.width for x in node.operands):
            return False
        for summed, column in placement.sums:
            if summed is node:
                self._emit("accumulate", (OperandKind.NONE, 0, column), *(self._operand(x) for x in node.operands))
        return True

    def _product(self, first: Node) -> None:
        """All pieces of the product that `first` is one of: those that nobody reads too, as the core gives them together."""
        placement = self._placement
        pieces = [
            n
            for n in placement.nodes
            if n.operation == "product"
            and n.operands == first.operands
            and (n.data.matrix, n.data.transposed) == (first.data.matrix, first.data.transposed)
        ]
        row = placement.row_of(first.operands)
        if row is None:
            raise TraceError(
                "a product reads values joined from several states or inputs, which don't stand side by side in memory: "
                "give each a matrix of its own, and add the products."
            )
        inner = sum(node.width for node in first.operands)
        count = max(piece.data.index for piece in pieces) + 1
        register = self._next
        self._next += count
        for piece in pieces:
            self._operands[piece] = (OperandKind.REGISTER, register + piece.data.index, 0)
        bias = 0 if first.data.matrix.bias is None else 1
        self._product_registers.append((register, count))
        addend, column = self._fuse_addition(pieces, count)
        self._products.append(
            (self._pool.weight(first), placement.number(row[0]), row[1], inner, count, register, bias, addend, column)
        )

    def _fuse_addition(self, pieces: list[Node], count: int) -> tuple[int, int]:
        """Where every piece is only ever added to something that stands in an array, side by side: array and column.

        Then the product begins with it, and its registers hold the sums. Else -1.
        """
        placement = self._placement
        additions: list[Node] = []
        addends: list[Node] = []
        for piece in pieces:
            users = [node for node in placement.nodes if piece in node.operands]
            if len(users) != 1 or users[0].operation != "add" or placement.is_result(piece):
                return -1, 0
            first, second = users[0].operands
            additions.append(users[0])
            addends.append(second if first is piece else first)
        there = all(node.width == self._width and placement.is_there_before(node, pieces[0]) for node in addends)
        place = placement.row_of(tuple(addends)) if there and len(pieces) == count else None
        if place is None:
            return -1, 0
        for piece, addition in zip(pieces, additions, strict=True):
            self._operands[addition] = self._operands[piece]
            for target in placement.targets(addition):
                self._emit("copy", self._array(target), self._operands[addition])
        return placement.number(place[0]), place[1]

    def _compute(self, node: Node) -> None:
        if node.operation in {"normalise", "d_normalise"}:
            self._norm(node)
            return
        operands = self._operands_of(node)
        a, b = operands[0], operands[1] if len(operands) > 1 else NOTHING
        places = list(self._placement.targets(node))
        if node.operation == "spread":
            self._operands[node] = a
        elif places:
            self._operands[node] = self._array(places.pop(0))
            self._emit(node.operation, self._operands[node], a, b)
        else:
            self._operands[node] = self._register()
            self._emit(node.operation, self._operands[node], a, b)
        for place in places:
            self._emit("copy", self._array(place), self._operands[node])

    def _norm(self, node: Node) -> None:
        placement = self._placement
        array, *others = node.operands
        first, second = (placement.row_sums.get(n) or placement.places(n)[0] for n in others[-2:])
        assert second == (first[0], first[1] + 1), "the numbers of a norm stand side by side"
        a = self._operand(array)
        target = self._array(placement.targets(node)[0]) if placement.targets(node) else self._register()
        if node.operation == "d_normalise":
            # Of the normalised array it takes the place.
            self._emit("copy", target, self._operand(others[0]))
        self._operands[node] = target
        self._emit(node.operation, target, a, self._array(first))
        for place in placement.targets(node)[1:]:
            self._emit("copy", self._array(place), target)

    def _operands_of(self, node: Node) -> list[Operand]:
        """Where an operation's operands can be read; a number that goes with an array stands second, if it may."""
        first, *rest = node.operands
        if node.operation in {"add", "mul"} and first.width == NUMBER:
            first, rest = rest[0], [first]
        takes_number = node.operation in {"add", "sub", "mul", "div"} and first.width != NUMBER
        others = [
            self._number(x) if takes_number and x.width == NUMBER and x.operation != "constant" else self._operand(x)
            for x in rest
        ]
        return [self._operand(first), *others]

    def _operand(self, node: Node) -> Operand:
        """Where a value can be read, column by column, in this stage; a number a row is computed here and spread."""
        if node in self._operands:
            return self._operands[node]
        placement = self._placement
        operand: Operand
        if node.operation == "constant":
            operand = (OperandKind.CONSTANT, self._pool.constant(node.data), 0)
        elif node.width == NUMBER:
            number = self._number(node)
            operand = self._register()
            self._emit("spread", operand, number)
        else:
            operand = self._array(placement.places(node)[0])
        self._operands[node] = operand
        return operand

    def _number(self, node: Node) -> Operand:
        """A number a row, as a register of numbers; a constant as it is."""
        if node.operation == "constant":
            return self._operand(node)
        if node not in self._numbers:
            parts: list[Operand] = []
            operation = "numbers"
            if node.operation in ROW_SUMS or node.operation == "leaf":
                place = self._placement.row_sums.get(node) or self._placement.places(node)[0]
                parts.append(self._array(place))
            else:
                operation = node.operation
                parts += [self._number(x) for x in node.operands]
            self._numbers[node] = (OperandKind.NUMBER, self._register()[1], 0)
            self._emit(operation, self._numbers[node], *parts)
        return self._numbers[node]

    def _array(self, place: tuple[str, int]) -> Operand:
        return (OperandKind.ARRAY, self._placement.number(place[0]), place[1])

    def _register(self) -> Operand:
        self._next += 1
        return (OperandKind.REGISTER, self._next - 1, 0)

    def _emit(self, operation: str, target: Operand, a: Operand, b: Operand = NOTHING) -> None:
        self._instructions.append((OPERATIONS[operation], target, a, b))

    def _share_registers(self) -> int:
        """Let values share registers once the earlier one has been read for the last time; how many are needed."""
        last_read: dict[int, int] = {}
        for place, (number, target, a, b) in enumerate(self._instructions):
            # A norm's derivative reads its target.
            for operand in (a, b, target) if number == OPERATIONS["d_normalise"] else (a, b):
                if operand[0] in _REGISTERS:
                    last_read[operand[1]] = place
        # A product's registers stand in a row and are full from the start.
        fixed = sum(count for _, count in self._product_registers)
        renamed: dict[int, int] = {}
        at = 0
        products = []
        for (register, count), product in zip(self._product_registers, self._products, strict=True):
            for i in range(count):
                renamed[register + i] = at + i
            products.append((*product[:5], at, *product[6:]))
            at += count
        self._products[:] = products
        free: list[int] = []
        most = fixed
        instructions = []
        for place, (number, target, a, b) in enumerate(self._instructions):
            read = [(o[0], renamed[o[1]], o[2]) if o[0] in _REGISTERS else o for o in (a, b)]
            for old in {o[1] for o in (a, b) if o[0] in _REGISTERS and last_read[o[1]] == place}:
                free.append(renamed[old])
            if target[0] in _REGISTERS:
                if target[1] not in renamed:
                    renamed[target[1]] = free.pop() if free else most
                    most = max(most, renamed[target[1]] + 1)
                target = (target[0], renamed[target[1]], 0)  # noqa: PLW2901
            instructions.append((number, target, read[0], read[1]))
        self._instructions[:] = instructions
        return most
