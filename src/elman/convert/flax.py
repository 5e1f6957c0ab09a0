"""Weights of Flax's cells: `flax.linen`'s `LSTMCell`, `OptimizedLSTMCell`, `GRUCell`, `SimpleCell`.

Flax keeps a matrix for each gate, kernels of (inputs, units). A parameter tree is a nested dict of arrays, with or without the
"params" on top. What stands at a cell (i, f, g, o and r, z, n as in elman):

    LSTM     ii if ig io: kernel;   hi hf hg ho: kernel and bias      bias_hh; bias_ih is 0. Back: b_ih + b_hh
    GRU      ir iz in: kernel and bias;   hr hz: kernel;   hn: kernel and bias
                                                                      r, z: bias_ih, back b_ih + b_hh; n: one each
    Simple   i: kernel and bias;   h: kernel                          bias_ih; back b_ih + b_hh

A layer without biases goes out with biases of zeros. Cells of one module are layers in the order of the numbers in their names
(`LSTMCell_0`, `LSTMCell_1`, …); in both directions forwards before backwards, as `nn.Bidirectional` makes them.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from elman.axes import Tensor
from elman.cells import Cell, GRUCell, LSTMCell
from elman.convert.stack import Stack, Told, Weights, as_array, as_tensor, both_biases, expect_shape
from elman.errors import ConvertError
from elman.layers import RecurrentLayers

Tree = Mapping[str, Any]
_CLASSES = {"lstm": "LSTMCell", "gru": "GRUCell", "elman": "SimpleCell"}
# The parts of a cell, and whether they have a bias, in the order of elman's gates.
_PARTS: dict[str, dict[str, bool]] = {
    "lstm": {"ii": False, "if": False, "ig": False, "io": False, "hi": True, "hf": True, "hg": True, "ho": True},
    "gru": {"ir": True, "iz": True, "in": True, "hr": False, "hz": False, "hn": True},
    "elman": {"i": True, "h": False},
}
_DIRECTIONS = ("forward_rnn", "backward_rnn")


def from_flax(
    params: Tree | Sequence[Tree], *, bidirectional: bool | None = None, nonlinearity: str | None = None
) -> RecurrentLayers:
    """elman's layers with the weights of Flax's cells: a parameter tree that holds one stack, or a list of cells' trees.

    A list goes layer by layer, in each layer forwards before backwards. `bidirectional` says which of them belong together
    where sizes don't; `nonlinearity` what a `SimpleCell` has, which its weights don't say. They are `batch_first`, as Flax's
    are. Raises `ConvertError` for what can't be read, and for a tree of several stacks: give a part of it.
    """
    told = Told(nonlinearity=nonlinearity, bidirectional=bidirectional)
    if not isinstance(params, Mapping):
        return stack_of_cells([(f"cell {k}", tree) for k, tree in enumerate(params)], told).to_layers(batch_first=True)
    stacks = stacks_in(params, told)
    if len(stacks) != 1:
        raise ConvertError(
            f"the tree holds {len(stacks)} stacks of recurrent cells ({', '.join(stacks)}): give the part of the tree with one."
        )
    return next(iter(stacks.values())).to_layers(batch_first=True)


def to_flax(layers: RecurrentLayers) -> dict[str, Any]:
    """The parameter tree of a module that makes one Flax cell for each layer and direction, in their order.

    Raises `ConvertError` for a cell or an option that Flax doesn't have.
    """
    stack = Stack.of(layers, "Flax", ("nonlinearity", "reset_after"))
    if isinstance(stack.cell, GRUCell) and not stack.cell.reset_after:
        raise ConvertError(
            "reset_after=False of the cell 'gru' has no place in Flax: its GRU resets after the product."
        )
    return {f"{_CLASSES[stack.cell.name]}_{k}": _tree(stack.cell, place) for k, place in enumerate(stack.places)}


def stacks_in(tree: Tree, told: Told, part: str | None = None) -> dict[str, Stack]:
    """The stacks of cells in a tree, by the names that they go by in it; or that `part`."""
    groups: dict[str, dict[tuple[int, int], tuple[str, Tree]]] = {}
    directions: dict[str, set[bool]] = {}
    for path, cell in _cells(tree.get("params", tree), ()):
        group, number, direction = _place(path)
        groups.setdefault(group, {})[number, direction or 0] = ("/".join(path), cell)
        directions.setdefault(group, set()).add(direction is not None)
    if not groups:
        raise ConvertError(
            "the tree holds no cell of Flax's: an LSTM, GRU or SimpleCell has parts such as 'ii', 'hr' or 'h'."
        )
    stacks = {}
    for group in [part] if part in groups else list(groups):
        members, said = groups[group], told
        if True in directions[group]:
            numbers = {number for number, _ in members}
            if directions[group] != {True} or len(members) != 2 * len(numbers):
                raise ConvertError(
                    f"the cells of {group!r} are not all in both directions: give them one by one, as a list."
                )
            said = Told(nonlinearity=told.nonlinearity, bidirectional=True)
        stacks[group] = stack_of_cells([members[at] for at in sorted(members)], said)
    return stacks


def stack_of_cells(cells: Sequence[tuple[str, Tree]], told: Told) -> Stack:
    """The stack of these cells, each with the name that errors call it by."""
    if not cells:
        raise ConvertError("there are no cells in the list: give at least one.")
    places = [_weights_in(name, tree) for name, tree in cells]
    cell = _cell(cells[0][0], cells[0][1], places[0], told)
    inputs = [place["weight_ih"].shape[1] for place in places]
    bidirectional = _is_bidirectional(inputs, cell.hidden_size, told)
    return Stack(cell, inputs[0], bidirectional, tuple(places))


def _is_bidirectional(inputs: Sequence[int], hidden: int, told: Told) -> bool:
    """Which reading the sizes of the cells' inputs allow. Raises `ConvertError` if both, and nobody said which."""
    if told.bidirectional is not None:
        return told.bidirectional
    forwards = all(size == hidden for size in inputs[1:])
    both_ways = not len(inputs) % 2 and inputs[:1] == inputs[1:2] and all(size == 2 * hidden for size in inputs[2:])
    if forwards and both_ways:
        raise ConvertError(
            "the two cells can be two layers or the two directions of one: say which by bidirectional=True or False (on the "
            "command line --bidirectional or --one-direction)."
        )
    if not forwards and not both_ways:
        raise ConvertError(
            f"the cells read {', '.join(map(str, inputs))} features and give {hidden}: neither as layers nor as layers of two "
            "directions does one read what another gives."
        )
    return both_ways


def _cells(tree: Tree, path: tuple[str, ...]) -> list[tuple[tuple[str, ...], Tree]]:
    """Each cell in a tree, with its path."""
    if _kind(tree) is not None:
        return [(path, tree)]
    return [
        found
        for name, branch in tree.items()
        if isinstance(branch, Mapping)
        for found in _cells(branch, (*path, str(name)))
    ]


def _kind(tree: Tree) -> str | None:
    """The cell that a tree is of, by the names of its parts."""
    return next((name for name, parts in _PARTS.items() if set(parts) == set(tree)), None)


def _place(path: tuple[str, ...]) -> tuple[str, int, int | None]:
    """To what a cell belongs, its number in it, and its direction if its path says one."""
    parts = list(path)
    if parts and parts[-1] == "cell":
        parts.pop()
    direction = _DIRECTIONS.index(parts.pop()) if parts and parts[-1] in _DIRECTIONS else None
    match = re.fullmatch(r"(.+)_(\d+)", parts[-1]) if parts else None
    if match is None:
        return "/".join(parts), 0, direction
    return "/".join([*parts[:-1], match[1]]), int(match[2]), direction


def _cell(name: str, tree: Tree, place: Weights, told: Told) -> Cell:
    hidden = place["weight_hh"].shape[1]
    kind = _kind(tree)
    if kind == "elman":
        return told.plain_cell(hidden, True, f"the Flax cell {name!r}")
    return LSTMCell(hidden) if kind == "lstm" else GRUCell(hidden)


def _weights_in(name: str, tree: Tree) -> Weights:
    kind = _kind(tree)
    if kind is None:
        raise ConvertError(
            f"{name!r} has the parts {', '.join(map(str, tree))}: a cell of Flax's has those of an LSTM "
            f"({', '.join(_PARTS['lstm'])}), a GRU ({', '.join(_PARTS['gru'])}) or a SimpleCell ({', '.join(_PARTS['elman'])})."
        )
    kernels, biases = {}, {}
    for part, has_bias in _PARTS[kind].items():
        branch, what = tree[part], f"{part!r} of the Flax cell {name!r}"
        expected = {"kernel", "bias"} if has_bias else {"kernel"}
        if not isinstance(branch, Mapping) or set(branch) != expected:
            raise ConvertError(f"{what} must hold {' and '.join(sorted(expected))}, and nothing else.")
        kernel = kernels[part] = as_tensor(f"the kernel {what}", branch["kernel"])
        first = next(iter(kernels.values()))
        rows = first.shape[:1] if part[0] == "i" else first.shape[1:]
        expect_shape(f"the kernel {what}", kernel, (*rows, *first.shape[1:]))
        bias = as_tensor(f"the bias {what}", branch["bias"]) if has_bias else torch.zeros_like(kernel[0])
        expect_shape(f"the bias {what}", bias, tuple(first.shape[1:]))
        biases[part] = bias
    place = {}
    for letter, end in (("i", "ih"), ("h", "hh")):
        parts = [part for part in kernels if part[0] == letter]
        place[f"weight_{end}"] = torch.cat([kernels[part].t() for part in parts])
        place[f"bias_{end}"] = torch.cat([biases[part] for part in parts])
    return place


def _tree(cell: Cell, place: Weights) -> dict[str, Any]:
    parts = _PARTS[cell.name]
    gates = len(cell.gate_names)
    kernels = [*place["weight_ih"].chunk(gates), *place["weight_hh"].chunk(gates)]
    b_ih, b_hh = (bias.chunk(gates) for bias in both_biases(place))
    tree: dict[str, Any] = {}
    for index, ((part, has_bias), kernel) in enumerate(zip(parts.items(), kernels, strict=True)):
        tree[part] = {"kernel": as_array(kernel.t())}
        if has_bias:
            tree[part]["bias"] = as_array(_bias_out(part, index, gates, b_ih, b_hh))
    return tree


def _bias_out(part: str, index: int, gates: int, b_ih: Sequence[Tensor], b_hh: Sequence[Tensor]) -> Tensor:
    """The new state of a GRU has both biases; of every other gate the one part with a bias takes their sum."""
    gate = index % gates
    if part in ("in", "hn"):
        return (b_ih if part == "in" else b_hh)[gate]
    return b_ih[gate] + b_hh[gate]
