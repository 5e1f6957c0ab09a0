"""Recurrent nodes of an ONNX model as elman's layers.

The graph is followed along its data: where a node reads another's whole output, they are layers of one stack, if they are of
one cell and fit. Between them stand the `Squeeze`, `Transpose` and `Reshape` that bring (T, directions, B, H) to
(T, B, directions·H). What lies before, between other nodes and after stays behind, and so do states that are passed in.

What can't be understood is an error that names the node: another layout, activations, a clip, weights that are computed from
inputs, an initial state of its own, nodes inside loops.
"""

from pathlib import Path
from typing import Any

from elman.axes import Tensor
from elman.cells import Cell, ElmanCell, GRUCell, LSTMCell
from elman.convert.onnx_graph import Graph, read_model
from elman.convert.onnx_weights import ACTIVATIONS, OPERATORS, weights_of
from elman.convert.stack import Stack, as_tensor, join
from elman.errors import ConvertError
from elman.layers import RecurrentLayers

_KNOWN = {"direction", "hidden_size", "activations", "layout", "linear_before_reset", "input_forget"}
_DIRECTIONS = {"forward": 1, "reverse": 1, "bidirectional": 2}
_DEFAULTS = {"LSTM": ["sigmoid", "tanh", "tanh"], "GRU": ["sigmoid", "tanh"], "RNN": ["tanh"]}
# Where a node's inputs stand.
_LENGTHS, _STATES, _PEEPHOLES = 4, {5: "initial_h", 6: "initial_c"}, 7


def from_onnx(model: Any) -> list[RecurrentLayers]:
    """elman's layers with the weights of the recurrent nodes of a model: a file, or an `onnx.ModelProto`.

    There is one for each run of nodes that fit, in the order of the data; they read (T, B, D), as ONNX's nodes do. Raises
    `ConvertError` for what can't be understood. Needs the library onnx.
    """
    graph = read_model(model) if isinstance(model, (str, Path)) else Graph(model)
    return [stack.to_layers() for stack in stacks_in(graph).values()]


def stacks_in(graph: Graph) -> dict[str, Stack]:
    """The stacks of recurrent nodes in a graph, by the name of their first node."""
    items = []
    for node in graph.nodes(OPERATORS.values()):
        source = graph.source_of(node, OPERATORS.values())
        # Layers of one stack have the same lengths.
        is_above = source is not None and _lengths(source) == _lengths(node)
        items.append((graph.name_of(node), stack_of_node(graph, node), graph.name_of(source) if is_above else None))
    stacks = join(items)
    if not stacks:
        raise ConvertError(
            "the model has no node RNN, LSTM or GRU. Some exporters write each step out: export it by one that doesn't, "
            "such as torch.onnx.export with dynamo=False."
        )
    return stacks


def stack_of_node(graph: Graph, node: Any) -> Stack:
    """One node as a stack of one layer. Raises `ConvertError` for what elman doesn't have."""
    what = f"the node {graph.name_of(node)!r} ({node.op_type})"
    attributes = graph.attributes(node)
    unknown = sorted(set(attributes) - _KNOWN)
    if unknown:
        raise ConvertError(f"{what} has the attribute {unknown[0]}, which elman's layers have no place for.")
    if attributes.get("layout", 0) != 0:
        raise ConvertError(
            f"{what} has layout {attributes['layout']}: elman reads layout 0, (T, B, D). Export it with that."
        )
    direction = attributes.get("direction", "forward")
    if direction not in _DIRECTIONS:
        raise ConvertError(f"{what} has direction {direction!r}: ONNX has {', '.join(_DIRECTIONS)}.")
    _refuse_states(graph, node, what)
    names = {"W": 1, "R": 2, "B": 3, **({"P": _PEEPHOLES} if node.op_type == "LSTM" else {})}
    tensors = {
        name: _constant(graph, node.input[at], f"{name} of {what}")
        for name, at in names.items()
        if at < len(node.input) and node.input[at]
    }
    directions = _DIRECTIONS[direction]
    cell = _cell(node.op_type, attributes, tensors, directions, what)
    places = weights_of(cell, tensors, what, directions)
    return Stack(cell, places[0]["weight_ih"].shape[1], directions == 2, places, direction == "reverse")


def _cell(operator: str, attributes: dict[str, Any], tensors: dict[str, Tensor], directions: int, what: str) -> Cell:
    hidden = tensors["R"].shape[-1]
    if attributes.get("hidden_size", hidden) != hidden:
        raise ConvertError(f"{what} has hidden_size {attributes['hidden_size']}, but weights for {hidden}.")
    default = _DEFAULTS[operator] * directions
    activations = [name.lower() for name in attributes.get("activations", default)]
    bias = "B" in tensors
    if operator == "RNN":
        names = {theirs.lower(): ours for ours, theirs in ACTIVATIONS.items()}
        if len(activations) != directions or len(set(activations)) != 1 or activations[0] not in names:
            raise ConvertError(
                f"{what} has activations {', '.join(activations)}: elman has {', '.join(ACTIVATIONS.values())}, "
                "the same one in both directions."
            )
        return ElmanCell(hidden, bias, names[activations[0]])
    if activations != default:
        raise ConvertError(
            f"{what} has activations {', '.join(activations)}: elman's {operator} has {', '.join(default)}."
        )
    if operator == "GRU":
        return GRUCell(hidden, bias, bool(attributes.get("linear_before_reset", 0)))
    return LSTMCell(hidden, bias, peepholes="P" in tensors, coupled=bool(attributes.get("input_forget", 0)))


def _constant(graph: Graph, name: str, what: str) -> Tensor:
    array = graph.constant(name)
    if array is None:
        raise ConvertError(
            f"{what} is computed from the model's inputs: elman's layers hold weights that are constant."
        )
    return as_tensor(what, array)


def _refuse_states(graph: Graph, node: Any, what: str) -> None:
    """A state of zeros is what a layer starts from anyway, and one that is passed in is the caller's; any other is lost."""
    for at, name in _STATES.items():
        if at < len(node.input) and node.input[at]:
            array = graph.constant(node.input[at])
            if array is not None and array.any():
                raise ConvertError(
                    f"{what} has an {name} of its own, which elman's layers take only when they are called."
                )


def _lengths(node: Any) -> str:
    return node.input[_LENGTHS] if len(node.input) > _LENGTHS else ""
