"""What a stack of layers is made of, before there are any numbers: for each layer a cell, sizes, and shapes of parameters."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from elman.cells import Cell, Mask
from elman.layers.connections import connection_shapes

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class LayerPlan:
    """One layer: a cell for its width, what it reads, and what it gives, both directions together."""

    cell: Cell
    input_size: int
    output_size: int
    # What training draws for the cell.
    masks: dict[str, Mask]
    # Of one direction.
    weights: Shapes
    connection: Shapes

    @property
    def initial_state(self) -> Shapes:
        """The parameters of an initial state that is learnt."""
        names = (f"initial_{name}" for name in self.cell.state_type._fields)
        return {name: (size,) for name, size in zip(names, self.cell.state_sizes, strict=True)}


def plan_layers(
    cell: Cell, input_size: int, widths: Sequence[int], outputs_joined: int, connections: str
) -> Iterator[LayerPlan]:
    """A layer for each width; of `outputs_joined` directions the outputs stand side by side."""
    for width in widths:
        own = (cell if width == cell.hidden_size else replace(cell, hidden_size=width)).for_input(input_size)
        output_size = own.output_size * outputs_joined
        shapes = connection_shapes(connections, input_size, output_size)
        yield LayerPlan(own, input_size, output_size, own.masks, own.weight_shapes(input_size), shapes)
        input_size = input_size + output_size if connections == "dense" else output_size
