"""To and from ONNX: ONNX Runtime gives the same numbers as elman, from any state, for any lengths."""

from pathlib import Path
from typing import Any

import numpy
import onnx
import onnxruntime
import pytest
import stacks
import torch
from onnx import TensorProto, helper, numpy_helper
from stacks import BATCH, STEPS, assert_close, assert_equal_layers, every_bias, every_depth, every_direction, every_kind
from torch import nn

import elman
from elman.convert import from_onnx, to_onnx
from elman.convert.onnx_graph import Graph
from elman.convert.onnx_import import stacks_in
from elman.errors import ConvertError

# A row without steps, one with all, in no order.
LENGTHS = [4, 0, STEPS, 1]
OPERATORS = {"lstm": "LSTM", "gru": "GRU", "gru_reset_before": "GRU", "tanh": "RNN", "relu": "RNN"}


def run(
    model: Any, x: torch.Tensor, before: list[torch.Tensor], lengths: list[int] | None = None
) -> list[numpy.ndarray]:
    """Outputs and final states by ONNX Runtime."""
    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    feeds = {"input": x.numpy(), **{f"{name}_0": s.numpy() for name, s in zip("hc", before, strict=False)}}
    if lengths is not None:
        feeds["lengths"] = numpy.array(lengths, "int32")
    return session.run(["output", *(f"{name}_n" for name, _ in zip("hc", before, strict=False))], feeds)


@every_kind
@every_bias
@every_direction
@every_depth
def test_onnx_runtime_computes_the_same(kind, bias, bidirectional, num_layers) -> None:
    ours = stacks.layers(kind, bias=bias, bidirectional=bidirectional, num_layers=num_layers)
    x, before = stacks.sequence(), stacks.states(ours)

    assert_close(stacks.outputs(ours, x, before), run(to_onnx(ours), x, before))
    model = to_onnx(ours, lengths=True)
    assert_close(stacks.outputs(ours, x, before, LENGTHS), run(model, x, before, LENGTHS))
    (back,) = from_onnx(model)
    assert_equal_layers(back, ours)


@every_direction
def test_time_and_batch_are_free_and_batch_may_come_first(bidirectional) -> None:
    ours = stacks.layers("lstm", bidirectional=bidirectional, batch_first=True)
    model = to_onnx(ours, lengths=True)
    for steps in (1, 5):
        x, before = stacks.sequence(batch_first=True, steps=steps), stacks.states(ours)
        lengths = [steps, 1, 0, steps]
        assert_close(stacks.outputs(ours, x, before, lengths), run(model, x, before, lengths))
    single = [state[:, :1] for state in before]
    assert_close(stacks.outputs(ours, x[:1], single, [3]), run(model, x[:1], single, [3]))


def test_what_is_beyond_a_length_is_not_read() -> None:
    ours = stacks.layers("gru", bidirectional=True)
    x, before = stacks.sequence(), stacks.states(ours)
    x[4:, 0] = float("nan")
    assert_close(stacks.outputs(ours, x, before, LENGTHS), run(to_onnx(ours, lengths=True), x, before, LENGTHS))


def test_each_gate_goes_where_it_belongs() -> None:
    """One gate at a time has weights: a permutation of gates that is its own inverse would pass a round trip."""
    for kind, gates in (("lstm", 4), ("gru", 3), ("gru_reset_before", 3)):
        for gate in range(gates):
            ours = stacks.layers(kind, num_layers=1)
            with torch.no_grad():
                for parameter in ours.parameters():
                    for k, rows in enumerate(parameter.chunk(gates)):
                        rows.mul_(k == gate)
            x, before = stacks.sequence(), stacks.states(ours)
            assert_close(stacks.outputs(ours, x, before), run(to_onnx(ours), x, before))


@pytest.mark.parametrize("name", ["lstm", "gru", "rnn"])
@every_direction
@every_bias
# The exporter that writes these nodes is PyTorch's older one, and says so, as do parts of it.
@pytest.mark.filterwarnings("ignore:You are using the legacy TorchScript-based ONNX export:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:The feature will be removed:DeprecationWarning")
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.filterwarnings("ignore:Exporting a model to ONNX with a batch_size other than 1:UserWarning")
def test_what_pytorch_exports_is_read(name, bidirectional, bias, tmp_path: Path) -> None:
    made = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}[name]
    theirs = made(3, 5, 2, bidirectional=bidirectional, bias=bias, batch_first=True).eval()
    path = tmp_path / "theirs.onnx"
    x = torch.randn(BATCH, STEPS, 3)
    torch.onnx.export(
        theirs, (x,), path, dynamo=False, opset_version=17, input_names=["x"], dynamic_axes={"x": {0: "B", 1: "T"}}
    )

    (ours,) = from_onnx(path)
    before = stacks.states(ours)
    with torch.no_grad():
        y, after = theirs(x, tuple(before) if name == "lstm" else before[0])
    found = stacks.outputs(ours, x.transpose(0, 1), before)
    assert_close([found[0].transpose(0, 1), *found[1:]], [y, *(after if name == "lstm" else [after])])


# ---- graphs made by hand ------------------------------------------------------------------------------------------------


def arrays(operator: str, width: int = 3, hidden: int = 5, directions: int = 1) -> dict[str, numpy.ndarray]:
    """Weights for one node."""
    rows = {"LSTM": 4, "GRU": 3, "RNN": 1}[operator] * hidden
    generator = numpy.random.default_rng(width)
    shapes = {"W": (directions, rows, width), "R": (directions, rows, hidden), "B": (directions, 2 * rows)}
    return {name: generator.uniform(-0.5, 0.5, shape).astype("float32") for name, shape in shapes.items()}


class Made:
    """A graph made node by node."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.tensors: dict[str, numpy.ndarray] = {}

    def add(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def constant(self, name: str, array: Any) -> str:
        self.tensors[name] = numpy.asarray(array)
        return name

    def recurrent(
        self, name: str, operator: str, x: str, width: int = 3, more: tuple[str, ...] = (), **attributes: Any
    ) -> str:
        directions = 2 if attributes.get("direction") == "bidirectional" else 1
        weights = arrays(operator, width, directions=directions)
        inputs = [x, *(self.constant(f"{name}_{key}", array) for key, array in weights.items()), *more]
        self.nodes.append(
            helper.make_node(operator, inputs, [name, f"{name}_h"], name=name, hidden_size=5, **attributes)
        )
        return name

    def squeezed(self, y: str, name: str) -> str:
        return self.add("Squeeze", [y, self.constant("axis", numpy.array([1]))], name)

    def model(self, opset: int = 17, axes: tuple[Any, Any] = ("T", "B")) -> Any:
        graph = helper.make_graph(
            self.nodes,
            "made",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [*axes, 3])],
            [helper.make_tensor_value_info(self.nodes[-1].output[0], TensorProto.FLOAT, None)],
            [numpy_helper.from_array(array, name) for name, array in self.tensors.items()],
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])


def one_node(operator: str = "LSTM", more: tuple[str, ...] = (), **attributes: Any) -> Any:
    made = Made()
    made.recurrent("node", operator, "x", more=more, **attributes)
    return made.model()


def test_nodes_that_fit_are_layers_of_one_stack_and_others_begin_a_new_one() -> None:
    made = Made()
    x = made.squeezed(made.recurrent("a", "LSTM", "x"), "a_flat")
    x = made.add("Identity", [x], "a_same")
    x = made.squeezed(made.recurrent("b", "LSTM", x, 5), "b_flat")
    x = made.squeezed(made.recurrent("c", "GRU", x, 5), "c_flat")
    x = made.add("Relu", [x], "c_changed")
    made.squeezed(made.recurrent("d", "GRU", x, 5), "d_flat")

    found = stacks_in(Graph(made.model()))
    assert {name: (stack.cell.name, stack.num_layers) for name, stack in found.items()} == {
        "a": ("lstm", 2),
        "c": ("gru", 1),
        "d": ("gru", 1),
    }


def test_layers_beside_each_other_are_no_stack() -> None:
    made = Made()
    x = made.squeezed(made.recurrent("a", "GRU", "x"), "a_flat")
    for name in ("b", "c"):
        made.squeezed(made.recurrent(name, "GRU", x, 5), f"{name}_flat")
    assert {name: stack.num_layers for name, stack in stacks_in(Graph(made.model())).items()} == {"a": 2, "c": 1}


def test_nodes_of_other_lengths_are_no_stack() -> None:
    made = Made()
    made.constant("lengths", numpy.array([1, 2], "int32"))
    x = made.squeezed(made.recurrent("a", "GRU", "x", more=("lengths",)), "a_flat")
    made.recurrent("b", "GRU", x, 5)
    assert list(stacks_in(Graph(made.model()))) == ["a", "b"]


def test_nodes_without_names_go_by_what_they_make() -> None:
    made = Made()
    x = made.squeezed(made.recurrent("a", "GRU", "x"), "a_flat")
    made.recurrent("b", "LSTM", x, 5)
    for node in made.nodes:
        node.name = "same"
    assert list(stacks_in(Graph(made.model()))) == ["a", "b"]


def test_weights_may_be_computed_from_constants() -> None:
    made = Made()
    weights = arrays("GRU")
    turned = made.add("Transpose", [made.constant("turned_W", weights["W"].transpose(0, 2, 1))], "W", perm=[0, 2, 1])
    joined = made.add(
        "Concat",
        [made.constant("b_ih", weights["B"][:, :15]), made.constant("b_hh", weights["B"][:, 15:])],
        "B",
        axis=1,
    )
    made.add("GRU", ["x", turned, made.constant("R", weights["R"]), joined], "y", hidden_size=5)

    (ours,) = from_onnx(made.model())
    (plain,) = from_onnx(one_node("GRU"))
    assert_equal_layers(ours, plain)


def test_a_state_of_zeros_is_no_state_of_its_own() -> None:
    made = Made()
    zeros = made.constant("zeros", numpy.zeros((1, 2, 5), "float32"))
    made.recurrent("node", "GRU", "x", more=("", zeros))
    assert len(from_onnx(made.model())) == 1


def test_a_reshape_to_sizes_that_are_known_joins_layers() -> None:
    """What PyTorch's newer exporter writes for inputs of a fixed size."""
    made = Made()
    y = made.recurrent("a", "GRU", "x", direction="bidirectional")
    y = made.add("Transpose", [y], "a_turned", perm=[0, 2, 1, 3])
    x = made.add("Reshape", [y, made.constant("sizes", numpy.array([7, 2, 10]))], "a_flat")
    made.recurrent("b", "GRU", x, 10, direction="bidirectional")

    (ours,) = from_onnx(made.model(axes=(7, 2)))
    assert (ours.num_layers, ours.bidirectional) == (2, True)
    with pytest.raises(ConvertError, match=r"'a_flat' .Reshape. stands between"):
        from_onnx(made.model(axes=(2, 7)))


def _weights_from_inputs() -> Any:
    made = Made()
    made.add("GRU", ["x", made.add("Relu", ["x"], "W"), made.constant("R", arrays("GRU")["R"])], "y", hidden_size=5)
    return made.model()


def _own_state() -> Any:
    made = Made()
    made.recurrent("node", "GRU", "x", more=("", made.constant("start", numpy.ones((1, 2, 5), "float32"))))
    return made.model()


def _wrong_bias() -> Any:
    made = Made()
    made.recurrent("node", "GRU", "x")
    made.tensors["node_B"] = numpy.zeros((1, 15), "float32")
    return made.model()


def _between(operator: str, *constants: Any, **attributes: Any) -> Any:
    made = Made()
    x = made.recurrent("a", "GRU", "x")
    given = [made.constant(f"given_{k}", numpy.array(value)) for k, value in enumerate(constants)]
    made.recurrent("b", "GRU", made.add(operator, [x, *given], "between", **attributes), 5)
    return made.model()


def _inside() -> Any:
    made = Made()
    made.recurrent("inner", "GRU", "x")
    body = made.model().graph
    outer = Made()
    condition = outer.constant("condition", numpy.array(True))
    outer.add("If", [condition], "chosen", then_branch=body, else_branch=body)
    return outer.model()


def _old() -> Any:
    made = Made()
    made.recurrent("node", "GRU", "x")
    return made.model(opset=11)


def _nothing() -> Any:
    made = Made()
    made.add("Relu", ["x"], "y")
    return made.model()


BAD_MODELS: dict[str, tuple[Any, str]] = {
    "layout": (one_node(layout=1), "node 'node' .LSTM. has layout 1: elman reads layout 0"),
    "clip": (one_node(clip=3.0), "attribute clip"),
    "activation_alpha": (one_node(activation_alpha=[0.1]), "attribute activation_alpha"),
    "activations": (one_node(activations=["Sigmoid", "Relu", "Tanh"]), "activations sigmoid, relu, tanh"),
    "plain_activation": (one_node("RNN", activations=["Elu"]), "activations elu"),
    "two_activations": (
        one_node("RNN", direction="bidirectional", activations=["Tanh", "Relu"]),
        "the same one in both",
    ),
    "direction": (one_node(direction="sideways"), "direction 'sideways'"),
    "weights_from_inputs": (_weights_from_inputs(), "W of .* is computed from the model's inputs"),
    "own_state": (_own_state(), "initial_h of its own"),
    "wrong_bias": (_wrong_bias(), r"B of .* \(1, 15\)"),
    "time_and_batch_swapped": (
        _between("Transpose", perm=[2, 1, 0, 3]),
        r"reads the output of 'a' as \(batch, 1, time, units\)",
    ),
    "no_squeeze_of_directions": (_between("Identity"), r"as \(time, 1, batch, units\)"),
    "squeeze_of_anything": (_between("Squeeze"), "'between' .Squeeze. stands between"),
    "squeeze_of_time": (_between("Squeeze", [0]), "'between' .Squeeze. stands between"),
    "fixed_shape": (_between("Reshape", [7, 2, 5]), "'between' .Reshape. stands between"),
    "inside_a_branch": (_inside(), "'chosen' .If. has recurrent nodes inside"),
    "old_opset": (_old(), "opset 11"),
    "nothing": (_nothing(), "no node RNN, LSTM or GRU"),
    "empty": (onnx.ModelProto(), "says no opset"),
}


@pytest.mark.parametrize("name", BAD_MODELS)
def test_what_can_not_be_understood_is_refused_by_name(name) -> None:
    model, says = BAD_MODELS[name]
    with pytest.raises(ConvertError, match=says):
        from_onnx(model)


@pytest.mark.parametrize("content", [b"", b"no model", b"\x08\x08\x12"], ids=["empty", "text", "cut"])
def test_a_damaged_file_is_refused(content, tmp_path: Path) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(content)
    with pytest.raises(ConvertError, match="no ONNX model, or is damaged"):
        from_onnx(path)


@pytest.mark.parametrize(
    ("ours", "says"),
    [
        (elman.LSTM(3, 5, proj_size=2), "projection_size=2"),
        (elman.RNN(3, 5, nonlinearity="softplus"), "nonlinearity='softplus'"),
        (elman.GRU(3, 5, dtype=torch.bfloat16), "bfloat16"),
    ],
)
def test_what_onnx_has_no_form_for_is_refused(ours, says) -> None:
    with pytest.raises(ConvertError, match=says):
        to_onnx(ours)
