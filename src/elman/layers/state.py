"""The state of a stack of layers, as callers hold it, and as the cells take it.

A caller holds one array for each state of the cell, (L, B, size), L layers times directions, layer by layer. Where layers have
states of their own size, a tuple of arrays stands in its place, (directions, B, size) for each layer. If the input has no
batch axis, B is left out. A cell takes its own state of (B, size), one for each *place*: a layer in one direction.
"""

from collections.abc import Sequence
from typing import Any

import torch

from elman.axes import Tensor
from elman.cells import Cell, State, map_state
from elman.errors import ShapeError
from elman.layers.layout import check_dtype

# For each state of the cell (L, B, size), or (directions, B, size) for each layer.
LayerState = tuple[Tensor | tuple[Tensor, ...], ...]


class StateForm:
    """The form of the state of layers of these cells, each in one direction or two; `by_layer`, arrays of their own."""

    def __init__(self, cells: Sequence[Cell], directions: int, by_layer: bool) -> None:
        self.directions = directions
        self.by_layer = by_layer
        self._kind = cells[0].state_type
        self._owner = cells[0].name
        self._sizes = [cell.state_sizes for cell in cells]

    def split(self, state: Any, batch: int, batched: bool, dtype: torch.dtype) -> list[State]:
        """The state of each place. Raises `ShapeError`."""
        names = self._kind._fields
        if len(state) != len(names):
            raise ShapeError(f"the state has {len(state)} arrays: the cell {self._owner!r} has {', '.join(names)}.")
        rows = (batch,) if batched else ()
        by_name = []
        for index, (name, value) in enumerate(zip(names, state, strict=True)):
            sizes = [layer[index] for layer in self._sizes]
            if self.by_layer:
                if not isinstance(value, (list, tuple)) or len(value) != len(sizes):
                    raise ShapeError(
                        f"the state {name} is not a tuple of {len(sizes)} tensors: each layer has a size of its own, "
                        f"so give one for each layer, (directions, {'batch, ' if batched else ''}size)."
                    )
                arrays = [
                    self._check(f"{name} of layer {k}", array, (self.directions, *rows, size), "directions", dtype)
                    for k, (array, size) in enumerate(zip(value, sizes, strict=True))
                ]
            else:
                shape = (self.directions * len(sizes), *rows, sizes[0])
                arrays = [self._check(name, value, shape, "layers times directions", dtype)]
            by_name.append([place if batched else place.unsqueeze(0) for array in arrays for place in array.unbind()])
        return [self._kind(*place) for place in zip(*by_name, strict=True)]

    def join(self, places: Sequence[State], batched: bool = True) -> LayerState:
        """The inverse of `split`."""

        def joined(*arrays: Tensor) -> Any:
            rows = arrays if batched else [array.squeeze(0) for array in arrays]
            if not self.by_layer:
                return torch.stack(list(rows))
            return tuple(
                torch.stack(list(rows[first : first + self.directions]))
                for first in range(0, len(rows), self.directions)
            )

        return tuple(map_state(joined, *places))

    def _check(self, name: str, array: Any, expected: tuple[int, ...], first: str, dtype: torch.dtype) -> Tensor:
        if not isinstance(array, Tensor):
            raise ShapeError(f"the state {name} is a {type(array).__name__}: give a tensor of shape {expected}.")
        if tuple(array.shape) != expected:
            raise ShapeError(
                f"the state {name} has shape {tuple(array.shape)}: give {expected}, that is "
                f"({first}, {'batch, ' if len(expected) == 3 else ''}size), whatever batch_first says."
            )
        check_dtype(f"the state {name}", array, dtype)
        return array
