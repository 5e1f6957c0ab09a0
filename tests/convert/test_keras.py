"""To and from Keras 3: gate by gate, from states that are not zero, and back bit by bit."""

import os
from typing import Any

import numpy
import pytest
import stacks
import torch
from stacks import assert_close, assert_equal_layers, every_bias, every_direction, every_kind

import elman
from elman.convert import KerasLayer, from_keras, to_keras, to_keras_objects
from elman.errors import ConvertError

os.environ["KERAS_BACKEND"] = "torch"

import keras

# Keras's torch backend gives numpy tensors of torch, which have no `copy` in their `__array__`.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

CLASSES = {"tanh": "SimpleRNN", "relu": "SimpleRNN", "lstm": "LSTM", "gru": "GRU", "gru_reset_before": "GRU"}


def keras_layers(kind: str, num_layers: int, bidirectional: bool, bias: bool) -> list[Any]:
    """Layers of Keras's that give their states, every weight and bias drawn."""
    options: dict[str, Any] = {"use_bias": bias, "return_sequences": True, "return_state": True}
    options |= {"activation": "relu"} if kind == "relu" else {}
    options |= {"reset_after": kind == "gru"} if "gru" in kind else {}
    made, width = [], stacks.INPUT_SIZE
    for _ in range(num_layers):
        layer = getattr(keras.layers, CLASSES[kind])(stacks.HIDDEN_SIZE, **options)
        if bidirectional:
            layer = keras.layers.Bidirectional(layer)
        layer.build((None, None, width))
        generator = numpy.random.default_rng(len(made))
        layer.set_weights([generator.uniform(-0.5, 0.5, w.shape).astype("float32") for w in layer.get_weights()])
        made.append(layer)
        width = stacks.HIDDEN_SIZE * (1 + bidirectional)
    return made


@torch.no_grad()
def theirs(layers: list[Any], x: torch.Tensor, before: list[torch.Tensor]) -> list[torch.Tensor]:
    """Outputs and final states, in elman's form, of layers that give their states."""
    after: list[list[torch.Tensor]] = [[] for _ in before]
    place = 0
    for layer in layers:
        directions = 2 if isinstance(layer, keras.layers.Bidirectional) else 1
        given = [state[place + d] for d in range(directions) for state in before]
        x, *final = layer(x, initial_state=given)
        for k, state in enumerate(final):
            after[k % len(before)].append(state)
        place += directions
    return [x, *map(torch.stack, after)]


@every_kind
@every_bias
@every_direction
def test_keras_layers_become_layers_that_compute_the_same(kind, bias, bidirectional) -> None:
    given = keras_layers(kind, 2, bidirectional, bias)
    (ours,) = from_keras(given)
    x, before = stacks.sequence(batch_first=True), stacks.states(ours)

    assert (ours.num_layers, ours.bidirectional, ours.cell.bias) == (2, bidirectional, bias)
    assert_close(stacks.outputs(ours, x, before), theirs(given, x, before))
    for layer, back in zip(given, to_keras(ours), strict=True):
        assert len(layer.get_weights()) == len(back.weights)
        assert all(numpy.array_equal(a, b) for a, b in zip(layer.get_weights(), back.weights, strict=True))


@every_kind
@every_bias
@every_direction
def test_layers_become_keras_layers_that_compute_the_same(kind, bias, bidirectional) -> None:
    ours = stacks.layers(kind, num_layers=2, bidirectional=bidirectional, bias=bias, batch_first=True)
    made = keras_layers(kind, 2, bidirectional, bias)
    for layer, converted in zip(made, to_keras(ours), strict=True):
        layer.set_weights(converted.weights)
    x, before = stacks.sequence(batch_first=True), stacks.states(ours)

    assert_close(stacks.outputs(ours, x, before), theirs(made, x, before))


@every_kind
@every_direction
def test_keras_makes_the_layers_from_what_is_written(kind, bidirectional) -> None:
    ours = stacks.layers(kind, bidirectional=bidirectional, batch_first=True)
    x = y = stacks.sequence(batch_first=True)
    with torch.no_grad():
        for layer in to_keras_objects(ours):
            y = layer(y)
    assert_close([ours(x)[0].detach()], [y])


def test_each_gate_goes_where_it_belongs() -> None:
    """One gate at a time has weights: a permutation of gates that is its own inverse would pass a round trip."""
    for kind, gates in (("lstm", "ifgo"), ("gru", "rzn")):
        for gate in range(len(gates)):
            ours = stacks.layers(kind, num_layers=1, batch_first=True)
            with torch.no_grad():
                for parameter in ours.parameters():
                    for k, rows in enumerate(parameter.chunk(len(gates))):
                        rows.mul_(k == gate)
            made = keras_layers(kind, 1, False, True)
            made[0].set_weights(to_keras(ours)[0].weights)
            x, before = stacks.sequence(batch_first=True), stacks.states(ours)
            assert_close(stacks.outputs(ours, x, before), theirs(made, x, before))


def test_where_sizes_or_cells_change_a_new_stack_begins() -> None:
    narrow, gru = keras_layers("lstm", 1, False, True), keras_layers("gru", 1, False, True)
    wide = keras.layers.LSTM(6, return_sequences=True)
    wide.build((None, None, stacks.HIDDEN_SIZE))
    other = keras.layers.GRU(5)
    other.build((None, None, 6))

    found = from_keras([*narrow, wide, other])
    assert [(type(layers).__name__, layers.input_size, layers.hidden_size) for layers in found] == [
        ("LSTM", 3, 5),
        ("LSTM", 5, 6),
        ("GRU", 6, 5),
    ]
    assert len(from_keras(gru[0])) == 1


def lstm(name: str = "x", **config: Any) -> KerasLayer:
    weights = [numpy.zeros(shape, "float32") for shape in ((3, 20), (5, 20), (20,))]
    return KerasLayer("LSTM", {"name": name, **config}, weights)


def both(**config: Any) -> KerasLayer:
    inner = {"class_name": "LSTM", "config": {}}
    return KerasLayer("Bidirectional", {"name": "x", "layer": inner, **config}, [*lstm().weights, *lstm().weights])


BAD_LAYERS: dict[str, tuple[Any, str]] = {
    "none": ([], "no Keras layers"),
    "another_class": (KerasLayer("Dense", {"name": "d"}, lstm().weights), "'d' is of the class 'Dense'"),
    "activation": (lstm(activation="relu"), "activation='relu'"),
    "recurrent_activation": (lstm(recurrent_activation="hard_sigmoid"), "recurrent_activation='hard_sigmoid'"),
    "plain_activation": (
        KerasLayer("SimpleRNN", {"activation": "selu"}, [numpy.zeros(s, "float32") for s in ((3, 5), (5, 5), (5,))]),
        "activation='selu'",
    ),
    "backwards": (lstm(go_backwards=True), "goes backwards alone"),
    "merge": (both(merge_mode="sum"), "merge_mode='sum'"),
    "no_inner": (both(layer=None), "which layer it is around"),
    "two_kinds": (
        both(backward_layer={"class_name": "LSTM", "config": {"use_bias": False}}),
        "has 3 weights a direction: with use_bias=False there are 2",
    ),
    "bias_said_and_missing": (lstm(use_bias=False), "use_bias=False there are 2"),
    "units": (lstm(units=4), "units=4, but weights for 5"),
    "kernel": (
        KerasLayer("LSTM", {}, [numpy.zeros(s, "float32") for s in ((3, 15), (5, 20), (20,))]),
        r"kernel .*\(3, 15\)",
    ),
    "bias": (
        KerasLayer("LSTM", {}, [numpy.zeros(s, "float32") for s in ((3, 20), (5, 20), (2, 20))]),
        r"bias .*\(2, 20\)",
    ),
    "integers": (KerasLayer("LSTM", {}, [numpy.zeros(s, "int32") for s in ((3, 20), (5, 20), (20,))]), "int32"),
}


@pytest.mark.parametrize("name", BAD_LAYERS)
def test_what_elman_does_not_have_is_refused(name) -> None:
    layer, says = BAD_LAYERS[name]
    with pytest.raises(ConvertError, match=says):
        from_keras(layer)


def test_a_layer_without_weights_is_refused() -> None:
    with pytest.raises(ConvertError, match="'fresh' has no weights yet"):
        from_keras(keras.layers.LSTM(5, name="fresh"))


@pytest.mark.parametrize(
    ("ours", "says"),
    [
        (elman.LSTM(3, 5, proj_size=2), "projection_size=2"),
        (elman.RNN(3, 5, nonlinearity="softplus"), "nonlinearity='softplus'"),
        (elman.RNN(3, 5, dtype=torch.bfloat16), "bfloat16"),
    ],
)
def test_what_keras_does_not_have_is_refused(ours, says) -> None:
    with pytest.raises(ConvertError, match=says):
        to_keras(ours)


@every_kind
@every_bias
def test_written_and_read_again_is_the_same_layer(kind, bias) -> None:
    """One bias in Keras: it comes back as b_ih, and the sum stays."""
    once = from_keras(to_keras(stacks.layers(kind, bias=bias, bidirectional=True)))[0]
    assert_equal_layers(from_keras(to_keras(once))[0], once)
