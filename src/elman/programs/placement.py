"""Where each value of a graph stands, and in which stage it is computed.

What reads a whole row, a product's input or a row sum, ends a stage. A value that a later stage reads is written to an array.
"""

from elman.programs.code import ArrayKind
from elman.programs.graph import NUMBER, POINTWISE, ROW_SUMS, Node

# Level and width: stages run in this order. Numbers a row have no stage of their own: they are computed where they are used.
StageKey = tuple[int, int]
# Array and column.
Place = tuple[str, int]


class Placement:
    """`arrays` are there already; `targets` says where values have to be written; `sums` what is summed over all rows."""

    def __init__(
        self, arrays: dict[str, tuple[ArrayKind, int]], targets: dict[Node, list[Place]], sums: list[tuple[Node, int]]
    ) -> None:
        self.arrays = dict(arrays)
        self.sums = sums
        self._targets = {node: list(places) for node, places in targets.items()}
        self.nodes = _reachable([*targets, *(node for node, _ in sums)])
        self._levels = _levels(self.nodes)
        self.row_sums: dict[Node, Place] = {}
        self._place_sources()
        self._place_what_later_stages_read()
        self._place_row_sums()

    def targets(self, node: Node) -> list[Place]:
        """Where a value has to be written."""
        return self._targets.get(node, [])

    def places(self, node: Node) -> list[Place]:
        """Where a value can be read."""
        if node.operation == "leaf":
            return [(node.data.array, node.data.column)]
        return self.targets(node)

    def row_of(self, source: tuple[Node, ...]) -> Place | None:
        """Where these values stand side by side, if they do."""
        for array, column in self.places(source[0]):
            expected = column
            for node in source:
                if (array, expected) not in self.places(node):
                    break
                expected += node.width
            else:
                return array, column
        return None

    def number(self, array: str) -> int:
        """An array's number in the program."""
        return list(self.arrays).index(array)

    def is_result(self, node: Node) -> bool:
        """Whether a value is asked for itself, not only by other values."""
        return bool(self.targets(node)) or any(summed is node for summed, _ in self.sums)

    def is_there_before(self, node: Node, other: Node) -> bool:
        """Whether a value stands in an array before the stage of `other` begins."""
        return node.operation == "leaf" or (is_computed(node) and self._key(node) < self._key(other))

    def stages(self) -> dict[StageKey, list[Node]]:
        """What each stage computes, sums or writes, in order."""
        stages: dict[StageKey, list[Node]] = {}
        for node in self.nodes:
            if node.operation in ROW_SUMS:
                stages.setdefault(self._key(node.operands[0]), []).append(node)
            elif is_computed(node) and node.width != NUMBER:
                stages.setdefault(self._key(node), []).append(node)
        for node in dict.fromkeys([*self._targets, *(node for node, _ in self.sums)]):
            if not is_computed(node):
                stages.setdefault(self._key(node), []).append(node)
        return stages

    def _key(self, node: Node) -> StageKey:
        return self._levels[node], node.width

    def _new_array(self, columns: int) -> str:
        name = f"rows {sum(kind is ArrayKind.ROWS for kind, _ in self.arrays.values())}"
        self.arrays[name] = (ArrayKind.ROWS, columns)
        return name

    def _place_sources(self) -> None:
        """A product reads one row: the pieces of its input stand side by side."""
        sources = dict.fromkeys(node.operands for node in self.nodes if node.operation == "product")
        for source in sources:
            if self.row_of(source) is None:
                name, column = self._new_array(sum(node.width for node in source)), 0
                for node in source:
                    self._targets.setdefault(node, []).append((name, column))
                    column += node.width

    def _place_what_later_stages_read(self) -> None:
        for node in self.nodes:
            if node.operation == "product" or node.operation in ROW_SUMS:
                continue
            for operand in node.operands:
                elsewhere = is_computed(operand) and operand.width != NUMBER and self._key(operand) != self._key(node)
                if elsewhere and operand not in self._targets:
                    self._targets[operand] = [(self._new_array(operand.width), 0)]

    def _place_row_sums(self) -> None:
        for node in self.nodes:
            if node.operation in ROW_SUMS:
                places = self._targets.pop(node, None) or [(self._new_array(1), 0)]
                assert len(places) == 1, "a row sum is written to one place"
                self.row_sums[node] = places[0]


def is_computed(node: Node) -> bool:
    """Whether instructions make the value: else it is there, or is a row sum."""
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
        elif node.operation == "row_deviation":
            # It is made together with the mean.
            levels[node] = levels[node.operands[0]]
        elif node.operation == "product":
            levels[node] = 1 + max(levels[source] for source in node.operands)
        else:
            levels[node] = max((levels[x] + (x.operation in ROW_SUMS) for x in node.operands), default=0)
    return levels
