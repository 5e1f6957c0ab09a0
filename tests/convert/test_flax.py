"""To and from Flax's parameter trees, against its equations; `tests/peers` has the package itself."""

from typing import Any

import flax_equations
import numpy
import pytest
import stacks
import torch
from stacks import assert_close, assert_equal_layers, every_bias, every_depth, every_direction

import elman
from elman.convert import from_flax, to_flax
from elman.errors import ConvertError

every_kind = pytest.mark.parametrize("kind", ["tanh", "relu", "lstm", "gru"])
TELLS = {"tanh": {"nonlinearity": "tanh"}, "relu": {"nonlinearity": "relu"}}
PARTS = {
    "lstm": {"ii": 0, "if": 0, "ig": 0, "io": 0, "hi": 1, "hf": 1, "hg": 1, "ho": 1},
    "gru": {"ir": 1, "iz": 1, "in": 1, "hr": 0, "hz": 0, "hn": 1},
    "tanh": {"i": 1, "h": 0},
}


def cell(kind: str, width: int = stacks.INPUT_SIZE, hidden: int = stacks.HIDDEN_SIZE) -> dict[str, Any]:
    """The tree of one cell, drawn."""
    generator = numpy.random.default_rng(width)
    tree: dict[str, Any] = {}
    for part, has_bias in PARTS.get(kind, PARTS["tanh"]).items():
        tree[part] = {
            "kernel": generator.uniform(-0.5, 0.5, (width if part[0] == "i" else hidden, hidden)).astype("float32")
        }
        if has_bias:
            tree[part]["bias"] = generator.uniform(-0.5, 0.5, hidden).astype("float32")
    return tree


def trees(kind: str, num_layers: int, bidirectional: bool) -> list[dict[str, Any]]:
    directions = 1 + bidirectional
    widths = [stacks.INPUT_SIZE] + [stacks.HIDDEN_SIZE * directions] * (num_layers - 1)
    return [cell(kind, width) for width in widths for _ in range(directions)]


def theirs(
    cells: list[dict[str, Any]], x: torch.Tensor, before: list[torch.Tensor], bidirectional: bool, kind: str
) -> Any:
    return flax_equations.layers(cells, x.numpy(), [s.numpy() for s in before], bidirectional, kind)


@every_kind
@every_direction
@every_depth
def test_cells_become_layers_that_compute_the_same_and_go_back(kind, bidirectional, num_layers) -> None:
    given = trees(kind, num_layers, bidirectional)
    ours = from_flax(given, bidirectional=bidirectional, **TELLS.get(kind, {}))
    x, before = stacks.sequence(batch_first=True), stacks.states(ours)

    assert (ours.num_layers, ours.bidirectional, ours.batch_first) == (num_layers, bidirectional, True)
    assert_close(stacks.outputs(ours, x, before), theirs(given, x, before, bidirectional, kind))
    for tree, back in zip(given, to_flax(ours).values(), strict=True):
        assert tree.keys() == back.keys()
        for part, arrays in tree.items():
            assert arrays.keys() == back[part].keys()
            assert all(numpy.array_equal(array, back[part][name]) for name, array in arrays.items())


@every_kind
@every_direction
@every_bias
def test_layers_become_cells_that_compute_the_same(kind, bidirectional, bias) -> None:
    ours = stacks.layers(kind, bidirectional=bidirectional, bias=bias, batch_first=True)
    tree = to_flax(ours)
    x, before = stacks.sequence(batch_first=True), stacks.states(ours)

    assert_close(stacks.outputs(ours, x, before), theirs(list(tree.values()), x, before, bidirectional, kind))
    # Two biases became one: from then on nothing changes.
    once = from_flax(tree, bidirectional=bidirectional, **TELLS.get(kind, {}))
    assert_equal_layers(from_flax(to_flax(once), bidirectional=bidirectional, **TELLS.get(kind, {})), once)


def test_the_ways_that_flax_names_cells() -> None:
    two = {"LSTMCell_10": cell("lstm", 5), "LSTMCell_9": cell("lstm", 3), "Dense_0": {"kernel": numpy.ones((5, 2))}}
    assert from_flax({"params": two}).input_size == 3
    assert from_flax({"rnn": {"cell": cell("gru")}}).num_layers == 1
    assert from_flax(cell("gru")).num_layers == 1

    forward, backward = cell("gru"), cell("gru", 3)
    backward["hn"]["bias"] = forward["hn"]["bias"] + 1
    both = {"backward_rnn": {"cell": backward}, "forward_rnn": {"cell": forward}}
    ours = from_flax({"params": both})
    assert (ours.bidirectional, ours.num_layers) == (True, 1)
    assert torch.equal(ours.bias_hh_l0_reverse[10:], ours.bias_hh_l0[10:] + 1)
    stacked = {"layers_0": both, "layers_1": {name: {"cell": cell("gru", 10)} for name in both}}
    assert from_flax(stacked).num_layers == 2


def test_sizes_say_which_cells_are_two_directions_unless_they_fit_both_ways() -> None:
    assert from_flax([cell("gru", 3), cell("gru", 3), cell("gru", 10), cell("gru", 10)]).bidirectional
    assert not from_flax([cell("gru", 3), cell("gru", 5)]).bidirectional
    alike = [cell("gru", 5), cell("gru", 5)]
    with pytest.raises(ConvertError, match="two layers or the two directions of one"):
        from_flax(alike)
    assert from_flax(alike, bidirectional=True).bidirectional
    assert from_flax(alike, bidirectional=False).num_layers == 2


def _changed(kind: str, part: str, **arrays: Any) -> dict[str, Any]:
    tree = cell(kind)
    return {**tree, part: {**tree[part], **arrays}}


BAD_TREES: dict[str, tuple[Any, str]] = {
    "none": ([], "no cells in the list"),
    "nothing": ({"Dense_0": {"kernel": numpy.ones((2, 2))}}, "holds no cell"),
    "two_stacks": ({"encoder": cell("gru"), "decoder": cell("gru")}, "2 stacks of recurrent cells .encoder, decoder"),
    "another_cell": ([{"ii": {}}], "'cell 0' has the parts ii"),
    "simple_without_nonlinearity": (cell("tanh"), "tanh or ReLU"),
    "bias_too_many": (
        _changed("lstm", "ii", bias=numpy.ones(5, "float32")),
        "'ii' of .* must hold kernel, and nothing else",
    ),
    "kernel_shape": (_changed("gru", "iz", kernel=numpy.ones((4, 5), "float32")), r"'iz' .*\(4, 5\), .* \(3, 5\)"),
    "recurrent_shape": (_changed("gru", "hr", kernel=numpy.ones((3, 5), "float32")), r"'hr' .*\(3, 5\), .* \(5, 5\)"),
    "bias_shape": (_changed("gru", "hn", bias=numpy.ones(4, "float32")), r"'hn' .*\(4,\), .* \(5,\)"),
    "integers": (_changed("gru", "hn", bias=numpy.ones(5, "int32")), "int32"),
    "sizes": ([cell("gru", 3), cell("gru", 4)], "the cells read 3, 4 features and give 5"),
    "one_direction": (
        {"l_0": {"forward_rnn": {"cell": cell("gru")}}, "l_1": {"cell": cell("gru", 5)}},
        "'l' are not all in both directions",
    ),
}


@pytest.mark.parametrize("name", BAD_TREES)
def test_what_is_no_stack_of_cells_is_refused(name) -> None:
    tree, says = BAD_TREES[name]
    with pytest.raises(ConvertError, match=says):
        from_flax(tree)


@pytest.mark.parametrize(
    ("ours", "says"),
    [
        (elman.GRU(3, 5, reset_after=False), "reset_after=False"),
        (elman.LSTM(3, 5, proj_size=2), "projection_size=2"),
    ],
)
def test_what_flax_does_not_have_is_refused(ours, says) -> None:
    with pytest.raises(ConvertError, match=says):
        to_flax(ours)
