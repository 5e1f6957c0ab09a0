"""What the layers of every format come to: one cell, and the weights of each layer and direction.

A `Stack` stands between elman's layers and another library's. A converter reads that library's names, gate orders and bias
conventions into a `Stack`, or writes one out in them; it knows nothing of the layers, and no converter knows another.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy
import torch

from elman.axes import Tensor
from elman.cells import Cell, ElmanCell, GRUCell, LSTMCell
from elman.errors import ConvertError
from elman.layers import RecurrentLayers, layers_of

# The weights of one layer and direction, by the cell's own names, on the CPU and without a gradient.
Weights = dict[str, Tensor]
# Options that act in training alone: what is computed afterwards is the same without them.
_TRAINING_ONLY = {"variational_dropout", "recurrent_dropout", "clip_gradient"}
# A format with two biases says the same by a second one of zeros, one with one bias by that alone.
_ALWAYS_SAID = {"hidden_size", "input_size", "bias", "recurrent_bias"}
# What of the layers around the cells other formats have in one form only.
_PLAIN_LAYERS = {"merge": "concat", "connections": "plain"}
# Fields of cells that the layers call otherwise, as `torch.nn` does.
LAYER_NAMES = {"projection_size": "proj_size"}


@dataclass(frozen=True)
class Told:
    """What the caller says of weights whose file or names don't; None is: nothing. Then what isn't known is an error.

    nonlinearity    of a plain recurrent layer, which has weights of the same shapes whatever it is
    reset_after     of a GRU without biases in Keras's form
    bidirectional   of Flax's cells, where the backward direction of one layer can look as a second layer does
    """

    nonlinearity: str | None = None
    reset_after: bool | None = None
    bidirectional: bool | None = None

    def plain_cell(self, hidden_size: int, bias: bool, what: str) -> ElmanCell:
        """The plain recurrent cell, whose nonlinearity only the caller can say. Raises `ConvertError` if that wasn't done."""
        if self.nonlinearity is None:
            raise ConvertError(
                f"{what} is a plain recurrent layer, and nothing says whether with tanh or ReLU: say it by "
                "nonlinearity='tanh' or 'relu' (on the command line --nonlinearity)."
            )
        return ElmanCell(hidden_size, bias, self.nonlinearity)


@dataclass(frozen=True)
class Stack:
    """Layers of one cell. `places` holds the weights layer by layer, in each layer forwards before backwards.

    `reverse`: the one direction that there is goes backwards in time.

    Raises `ConvertError` for weights that are not those of this cell and these sizes, or of several dtypes.
    """

    cell: Cell
    input_size: int
    bidirectional: bool
    places: tuple[Weights, ...]
    reverse: bool = False

    def __post_init__(self) -> None:
        if not self.places or len(self.places) % self.directions:
            raise ConvertError(
                f"there are weights of {len(self.places)} cells: layers of {self.directions} directions need a multiple."
            )
        dtypes = {str(weight.dtype) for place in self.places for weight in place.values()}
        if len(dtypes) > 1:
            raise ConvertError(f"the weights have dtypes {', '.join(sorted(dtypes))}: convert them to one of them.")
        for index, place in enumerate(self.places):
            layer, direction = divmod(index, self.directions)
            where = f"layer {layer}" + (", backwards" if direction else "")
            expected = self.cell.weight_shapes(self.input_size if layer == 0 else self.width)
            if set(expected) != set(place):
                raise ConvertError(
                    f"{where} has the weights {', '.join(sorted(place))}; "
                    f"a layer of this kind has {', '.join(sorted(expected))}."
                )
            for name, shape in expected.items():
                if tuple(place[name].shape) != shape:
                    raise ConvertError(
                        f"{name} of {where} has shape {tuple(place[name].shape)}, but its sizes call for {shape}."
                    )

    @property
    def directions(self) -> int:
        return 1 + self.bidirectional

    @property
    def num_layers(self) -> int:
        return len(self.places) // self.directions

    @property
    def width(self) -> int:
        """Size of what a step of a layer gives, all directions together."""
        return self.cell.output_size * self.directions

    @property
    def layers(self) -> list[tuple[Weights, ...]]:
        """The weights of each layer, one for each direction."""
        return [self.places[k : k + self.directions] for k in range(0, len(self.places), self.directions)]

    @classmethod
    def of(cls, layers: RecurrentLayers, target: str, options: Iterable[str] = ()) -> "Stack":
        """What elman's layers hold, for a format called `target` in which the cell's `options` have a place.

        Raises `ConvertError` for a cell or an option without one.
        """
        cell = layers.cell
        if type(cell) not in (ElmanCell, LSTMCell, GRUCell):
            raise ConvertError(f"the cell {cell.name!r} has no place in {target}: it has the plain one, LSTM and GRU.")
        for name in changed_options(cell):
            if name not in {*options, *_TRAINING_ONLY, *_ALWAYS_SAID}:
                raise ConvertError(
                    f"{name}={getattr(cell, name)!r} of the cell {cell.name!r} has no place in {target}."
                )
        for name, plain in _PLAIN_LAYERS.items():
            if getattr(layers, name, plain) != plain:
                raise ConvertError(f"{name}={getattr(layers, name)!r} of the layers has no place in {target}.")
        if getattr(layers, "learn_initial_state", False):
            raise ConvertError(f"a learnt initial state has no place in {target}: give it with each call there.")
        if not isinstance(layers.hidden_size, int):
            raise ConvertError(f"hidden_size={layers.hidden_size!r}, a width for each layer, has no place in {target}.")
        reverse = getattr(layers, "reverse", False)
        if reverse and "reverse" not in options:
            raise ConvertError(f"reverse=True of the layers has no place in {target}.")
        state = {name: value.detach().cpu() for name, value in layers.state_dict().items()}
        places = places_of(state, cell, layers.num_layers, layers.bidirectional)
        return cls(cell, layers.input_size, layers.bidirectional, places, reverse)

    def to_layers(self, **options: Any) -> RecurrentLayers:
        """elman's layers with copies of these weights; `options` such as `batch_first` go to them."""
        cell = self.cell
        chosen = {LAYER_NAMES.get(name, name): getattr(cell, name) for name in changed_options(cell)}
        layers = layers_of(
            cell.name,
            self.input_size,
            cell.hidden_size,
            num_layers=self.num_layers,
            bidirectional=self.bidirectional,
            dtype=next(iter(self.places[0].values())).dtype,
            **({"reverse": True} if self.reverse else {}),
            **chosen,
            **options,
        )
        layers.load_state_dict(
            {
                f"{name}_l{k}" + ("_reverse" if direction else ""): weight
                for k, layer in enumerate(self.layers)
                for direction, place in enumerate(layer)
                for name, weight in place.items()
            }
        )
        return layers

    def follows(self, before: "Stack") -> bool:
        """Whether these can be further layers on top of `before`, in one stack."""
        return (
            (self.cell, self.bidirectional, self.reverse) == (before.cell, before.bidirectional, before.reverse)
            and self.input_size == before.width
            and self.places[0]["weight_ih"].dtype == before.places[0]["weight_ih"].dtype
        )

    def then(self, above: "Stack") -> "Stack":
        """One stack of these layers and those above them."""
        return replace(self, places=self.places + above.places)


def join(items: Iterable[tuple[str, Stack, str | None]]) -> dict[str, Stack]:
    """Stacks as few as can be, by the name of their first layer: of (name, stack, name of what it reads, if that is known).

    Where a stack reads the top of another, and fits, they become one. Names must differ.
    """
    stacks: dict[str, Stack] = {}
    # The name of the layer at the top of each stack -> the name of the stack.
    tops: dict[str | None, str] = {}
    for name, stack, source in items:
        below = tops.get(source)
        if below is not None and stack.follows(stacks[below]):
            stacks[below] = stacks[below].then(stack)
            tops[name] = below
            del tops[source]
        else:
            stacks[name] = stack
            tops[name] = name
    return stacks


def in_sequence(stacks: Sequence[Stack]) -> list[Stack]:
    """Stacks of which each reads the one before, as few as can be."""
    return list(join((str(k), stack, str(k - 1)) for k, stack in enumerate(stacks)).values())


def places_of(state: Mapping[str, Tensor], cell: Cell, num_layers: int, bidirectional: bool) -> tuple[Weights, ...]:
    """The weights of each layer and direction, of all of a layer's. Raises `ConvertError` if there are more or fewer."""
    names = [
        {name: f"{name}_l{k}" + ("_reverse" if direction else "") for name in cell.weight_shapes(1)}
        for k in range(num_layers)
        for direction in range(1 + bidirectional)
    ]
    expected = {full for place in names for full in place.values()}
    if expected != set(state):
        raise ConvertError(
            f"the weights of these layers are {', '.join(sorted(expected))}; there are others or fewer, differing in "
            f"{', '.join(sorted(expected ^ set(state)))}."
        )
    return tuple({name: state[full] for name, full in place.items()} for place in names)


def changed_options(cell: Cell) -> list[str]:
    """The names of the cell's options that are not at their defaults; sizes are none."""
    return [
        field.name
        for field in fields(cell)
        if field.name not in ("hidden_size", "input_size") and getattr(cell, field.name) != field.default
    ]


def reorder(rows: Tensor, present: str, wanted: str) -> Tensor:
    """Rows that stand gate by gate, in another order of gates; a letter is a gate."""
    blocks = dict(zip(present, rows.chunk(len(present)), strict=True))
    return torch.cat([blocks[gate] for gate in wanted])


def both_biases(place: Weights) -> tuple[Tensor, Tensor]:
    """b_ih and b_hh of a cell; zeros for one that it doesn't have."""
    zeros = torch.zeros_like(place["weight_ih"][:, 0])
    return place.get("bias_ih", zeros), place.get("bias_hh", zeros)


def as_tensor(what: str, array: Any) -> Tensor:
    """A copy of another library's array, with its dtype. Raises `ConvertError` if it holds no floating-point numbers."""
    array = numpy.asarray(array)
    if array.dtype not in (numpy.float16, numpy.float32, numpy.float64):
        raise ConvertError(f"{what} has dtype {array.dtype}: give weights of float16, float32 or float64.")
    return torch.from_numpy(numpy.array(array, dtype=array.dtype.newbyteorder("="), order="C"))


def as_array(tensor: Tensor) -> numpy.ndarray:
    """A copy of a weight for another library. Raises `ConvertError` for a dtype that numpy doesn't have."""
    if tensor.dtype == torch.bfloat16:
        raise ConvertError(
            "the layers have dtype torch.bfloat16, which numpy doesn't have: convert them by .float() first."
        )
    return tensor.contiguous().numpy().copy()


def expect_shape(what: str, array: Tensor, shape: tuple[int, ...]) -> None:
    """Raise `ConvertError` unless the array has this shape."""
    if tuple(array.shape) != shape:
        raise ConvertError(f"{what} has shape {tuple(array.shape)}, but the sizes of its layer call for {shape}.")
