"""elman's layers as an ONNX model: one node a layer, any number of steps and sequences.

    input    (T, B, D), or (B, T, D) if the layers are batch_first
    lengths  (B) int32, if asked for: what is beyond a sequence's length is zero in the output and isn't read
    h_0      (L·directions, B, H); for the LSTM c_0 too: the state to start from
    output   (T, B, directions·H), or batch first
    h_n      like h_0, and c_n: the state after each sequence's last step

Needs the library onnx (`pip install 'elman[onnx]'`). ONNX Runtime runs such nodes in float32.
"""

from typing import Any

import torch

from elman import __version__
from elman.cells import ElmanCell, GRUCell, LSTMCell
from elman.convert.onnx_weights import ACTIVATIONS, OPERATORS, tensors_of
from elman.convert.optional import needed
from elman.convert.stack import Stack, as_array
from elman.errors import ConvertError
from elman.layers import RecurrentLayers

# The opset has every form used here; the version of the file's own format is the one that came with it.
OPSET, IR_VERSION = 17, 8


def to_onnx(layers: RecurrentLayers, *, lengths: bool = False) -> Any:
    """An `onnx.ModelProto` that computes what these layers do, from any state; with `lengths`, for sequences of mixed lengths.

    Raises `ConvertError` for a cell, an option or a dtype that ONNX has no form for.
    """
    needed("onnx", "onnx")
    options = ("nonlinearity", "reset_after", "peepholes", "coupled", "reverse")
    return _Graph(Stack.of(layers, "ONNX", options), layers.batch_first, lengths).model()


class _Graph:
    """A graph in the making: nodes and tensors are added in the order of the data."""

    def __init__(self, stack: Stack, batch_first: bool, lengths: bool) -> None:
        if stack.places[0]["weight_ih"].dtype == torch.bfloat16:
            raise ConvertError(
                "the layers have dtype torch.bfloat16, which ONNX's nodes don't: convert them by .float() first."
            )
        self.stack, self.batch_first = stack, batch_first
        self.lengths = "lengths" if lengths else ""
        self.helper, self.numpy_helper = needed("onnx.helper", "onnx"), needed("onnx.numpy_helper", "onnx")
        self.states = list(stack.cell.state_type._fields)
        self.nodes: list[Any] = []
        self.initialisers: list[Any] = []

    def model(self) -> Any:
        x = "input"
        if self.batch_first:
            x = self.node("Transpose", [x], "input_time_first", perm=[1, 0, 2])
        before = {state: self._split(f"{state}_0") for state in self.states}
        after: dict[str, list[str]] = {state: [] for state in self.states}
        for k in range(self.stack.num_layers):
            is_last = k == self.stack.num_layers - 1
            y = self._layer(k, x, {state: parts[k] for state, parts in before.items()}, after)
            x = self._flat(y, k, "output" if is_last and not self.batch_first else f"output_l{k}")
        if self.batch_first:
            self.node("Transpose", [x], "output", perm=[1, 0, 2])
        for state, parts in after.items():
            self._join(state, parts)
        return self._finished()

    def node(self, operator: str, inputs: list[str], *outputs: str, **attributes: Any) -> str:
        while inputs and not inputs[-1]:
            inputs = inputs[:-1]
        named = {"name": f"{operator}_{outputs[0]}", **attributes}
        self.nodes.append(self.helper.make_node(operator, inputs, list(outputs), **named))
        return outputs[0]

    def constant(self, name: str, array: Any) -> str:
        self.initialisers.append(self.numpy_helper.from_array(array, name))
        return name

    def _layer(self, k: int, x: str, state: dict[str, str], after: dict[str, list[str]]) -> str:
        cell, directions = self.stack.cell, self.stack.directions
        attributes: dict[str, Any] = {
            "hidden_size": cell.hidden_size,
            "direction": "bidirectional" if directions == 2 else "reverse" if self.stack.reverse else "forward",
        }
        if isinstance(cell, GRUCell):
            attributes["linear_before_reset"] = int(cell.reset_after)
        if isinstance(cell, LSTMCell) and cell.coupled:
            attributes["input_forget"] = 1
        if isinstance(cell, ElmanCell):
            if cell.nonlinearity not in ACTIVATIONS:
                raise ConvertError(
                    f"nonlinearity={cell.nonlinearity!r} has no place in ONNX: it has {', '.join(ACTIVATIONS)}."
                )
            attributes["activations"] = [ACTIVATIONS[cell.nonlinearity]] * directions
        tensors = {
            name: self.constant(f"{name}_l{k}", as_array(tensor))
            for name, tensor in tensors_of(cell, self.stack.layers[k]).items()
        }
        inputs = [x, tensors["W"], tensors["R"], tensors.get("B", ""), self.lengths, state["h"]]
        if isinstance(cell, LSTMCell):
            inputs += [state["c"], tensors.get("P", "")]
        outputs = [f"{name}_n_l{k}" for name in self.states]
        for name, output in zip(self.states, outputs, strict=True):
            after[name].append(output)
        return self.node(OPERATORS[cell.name], inputs, f"Y_l{k}", *outputs, **attributes)

    def _flat(self, y: str, k: int, name: str) -> str:
        """(T, directions, B, H) as (T, B, directions·H)."""
        if self.stack.directions == 1:
            return self.node("Squeeze", [y, self._integers("direction_axis", [1])], name)
        turned = self.node("Transpose", [y], f"Y_l{k}_batch_second", perm=[0, 2, 1, 3])
        return self.node("Reshape", [turned, self._integers("flat_shape", [0, 0, -1])], name)

    def _split(self, state: str) -> list[str]:
        """The part of an initial state for each layer."""
        layers = self.stack.num_layers
        if layers == 1:
            return [state]
        parts = [f"{state}_l{k}" for k in range(layers)]
        self.node("Split", [state, self._integers("places_a_layer", [self.stack.directions] * layers)], *parts, axis=0)
        return parts

    def _join(self, state: str, parts: list[str]) -> None:
        """The final states of all layers; a sequence without steps ends in the state that it began with."""
        final = f"{state}_n"
        joined = self.node("Concat", parts, f"{final}_all" if self.lengths else final, axis=0)
        if not self.lengths:
            return
        if state == self.states[0]:
            none = self.node("Equal", [self.lengths, self._integers("no_steps", 0, "int32")], "is_empty_flat")
            self.node("Unsqueeze", [none, self._integers("around_batch", [0, 2])], "is_empty")
        self.node("Where", ["is_empty", f"{state}_0", joined], final)

    def _integers(self, name: str, values: Any, dtype: str = "int64") -> str:
        if all(known.name != name for known in self.initialisers):
            self.constant(name, torch.tensor(values, dtype=getattr(torch, dtype)).numpy())
        return name

    def _finished(self) -> Any:
        stack, helper = self.stack, self.helper
        dtype = self.numpy_helper.from_array(as_array(stack.places[0]["weight_ih"])).data_type
        integers = self.numpy_helper.from_array(torch.zeros(1, dtype=torch.int32).numpy()).data_type

        def sequence(name: str, width: int) -> Any:
            axes = ["batch", "time"] if self.batch_first else ["time", "batch"]
            return helper.make_tensor_value_info(name, dtype, [*axes, width])

        def states(end: str) -> list[Any]:
            return [
                helper.make_tensor_value_info(f"{name}_{end}", dtype, [len(stack.places), "batch", size])
                for name, size in zip(self.states, stack.cell.state_sizes, strict=True)
            ]

        lengths = [helper.make_tensor_value_info("lengths", integers, ["batch"])] if self.lengths else []
        graph = helper.make_graph(
            self.nodes,
            "elman",
            [sequence("input", stack.input_size), *lengths, *states("0")],
            [sequence("output", stack.width), *states("n")],
            self.initialisers,
        )
        return helper.make_model(
            graph,
            producer_name="elman",
            producer_version=__version__,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
        )
