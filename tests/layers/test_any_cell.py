"""`elman.Recurrent`: layers of any cell, by name or as it is; and what a layer says of its options."""

import copy
import pickle
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import pytest
import torch
from laws import LeakyCell, LeakyState, assert_same
from twins import random, run

import elman
from elman.cells import CELLS, Cell, ElmanCell, GRUCell, LSTMCell
from elman.cells.operations import affine, concat, tanh
from elman.errors import EngineError, OptionError, ShapeError
from elman.layers import CELL_NAMES, Recurrent, layers_of

DROP_INS = {"elman": elman.RNN, "lstm": elman.LSTM, "gru": elman.GRU}


@pytest.mark.parametrize("name", DROP_INS)
@pytest.mark.parametrize("form", ["name", "cell"])
def test_by_name_or_as_a_cell_it_is_the_drop_in(name, form) -> None:
    """The same draws, names, state and numbers."""
    options = {"num_layers": 2, "bidirectional": True, "dtype": torch.float64}
    torch.manual_seed(5)
    ours = Recurrent(name if form == "name" else CELLS[name](4), 3, 4 if form == "name" else None, **options)
    torch.manual_seed(5)
    theirs = DROP_INS[name](3, 4, **options)
    x = random(5, 2, 3)

    assert_same(ours.state_dict(), theirs.state_dict(), tolerance=0)
    assert_same(run(ours, lambda m: m(x), [x]), run(theirs, lambda m: m(x), [x]), tolerance=0)


def test_options_of_the_cell_go_to_the_cell() -> None:
    """By keyword, beside a name or a cell; what is given wins."""
    assert Recurrent("gru", 3, 4, layer_norm=True, reset_after=False, bias=False).cell == GRUCell(
        4, False, reset_after=False, layer_norm=True
    )
    assert Recurrent(LSTMCell(4, zoneout=0.1, clip_state=2.0), 3, zoneout=0.2).cell == LSTMCell(
        4, zoneout=0.2, clip_state=2.0
    )
    assert elman.RNN(3, 4, clip_gradient=1.0).cell == ElmanCell(4, clip_gradient=1.0)
    assert elman.LSTM(3, 4, peepholes=True, proj_size=2, engine="reference").cell == LSTMCell(4, True, 2, True)
    assert elman.LSTM(3, 4, projection_size=2).proj_size == 2
    assert [cell.hidden_size for cell in Recurrent(GRUCell(4), 3, [5, 2], 2).cells] == [5, 2]
    assert Recurrent(GRUCell(4), 3, 7).hidden_size == 7


@pytest.mark.parametrize("hidden_size", [None, [5, 3]], ids=["one_width", "widths"])
def test_a_cell_of_ones_own_with_two_states_has_layers_directions_and_a_tuple_of_states(hidden_size) -> None:
    layer = Recurrent(LeakyCell(4), 3, hidden_size, 2, bidirectional=True, dtype=torch.float64)
    x = random(6, 2, 3)

    y, state, states = layer(x, return_all_states=True)
    first, middle = layer(x[:0])
    again, _ = layer(x, state)

    assert isinstance(state, tuple)
    assert len(state) == 2
    assert all(isinstance(place, LeakyState) for place in states)
    assert y.shape == (6, 2, layer.output_size)
    assert first.shape == (0, 2, layer.output_size)
    assert not torch.equal(again, y)
    assert torch.equal(layer(x, middle)[0], y)


@pytest.mark.parametrize("name", CELL_NAMES)
def test_every_cell_there_is_has_layers_by_its_name(name) -> None:
    layer = layers_of(name, 3, 4, num_layers=2)

    assert type(layer) is DROP_INS.get(name, Recurrent)
    assert type(layer.cell) is CELLS[name]
    assert tuple(CELLS) == CELL_NAMES


@pytest.mark.usefixtures("unchecked_types")
@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Recurrent("grü", 3, 4), r"cell='grü' is not known: did you mean 'gru'\? Choose from elman, irnn, "),
        (lambda: Recurrent("gru", 3), r"cell='gru' is a name, which has no size: give hidden_size too"),
        (lambda: Recurrent(GRUCell, 3), r"cell=<class .*GRUCell'> is a \w+: give a Cell, or the name of one"),
        (
            lambda: Recurrent("gru", 3, 4, peepholes=True),
            r"no option peepholes: the cell 'gru' has bias, .*reset_after",
        ),
        (lambda: Recurrent(LeakyCell(4), 3, layer_norm=True), r"layer_norm=True: the cell 'leaky' has no place for it"),
        (lambda: elman.LSTM(3, 4, proj_size=2, projection_size=3), r"proj_size=2 and projection_size=3 are two names"),
        (lambda: elman.LSTM(3, [4, 2], 2, proj_size=3), r"proj_size=3 must be 0 .* less than hidden_size=2"),
        (lambda: elman.GRU(3, 4, weight_drop=1.5), r"weight_drop=1.5 must be a probability"),
        (lambda: elman.GRU(3, 4, zoneout=1.0), r"zoneout=1.0 must be a probability"),
    ],
)
def test_what_makes_no_sense_is_said(make, says) -> None:
    with pytest.raises(OptionError, match=says):
        make()


def test_a_state_has_the_form_that_the_cell_has() -> None:
    x = torch.zeros(5, 2, 3)
    with pytest.raises(ShapeError, match=r"the state of this layer is a tuple \(h, m\): one tensor was given"):
        Recurrent(LeakyCell(4), 3)(x, torch.zeros(1, 2, 4))
    with pytest.raises(ShapeError, match=r"the state of this layer is one tensor h: tuple was given"):
        Recurrent("gru", 3, 4)(x, (torch.zeros(1, 2, 4),))


class JoinedState(NamedTuple):
    h: torch.Tensor
    c: torch.Tensor


@dataclass(frozen=True)
class JoinedCell(Cell):
    """One product reads both states, which stand apart in memory."""

    name: ClassVar[str] = "joined"
    gates: ClassVar[tuple[str, ...]] = ("h",)
    state_type: ClassVar = JoinedState

    def weight_shapes(self, input_size):
        return {**super().weight_shapes(input_size), "mix": (self.hidden_size, 2 * self.hidden_size)}

    def step(self, weights, u_BG, state):
        h = tanh(self.inputs(weights, u_BG) + affine(concat([state.c, state.h]), weights["mix"]))
        return h, JoinedState(h, 0.5 * state.c + h)


def test_what_the_native_engine_can_not_say_runs_by_the_reference_and_says_why() -> None:
    layers = Recurrent(JoinedCell(4), 3)
    assert layers.engine == "reference"
    layers(torch.randn(5, 2, 3))[0].sum().backward()
    assert layers.mix_l0.grad.abs().sum() > 0
    with pytest.raises(EngineError, match=r"values joined from several states .* give each a matrix of its own"):
        Recurrent(JoinedCell(4), 3, engine="native")


OPTIONS: dict[str, Any] = {
    "merge": "sum",
    "connections": "highway",
    "locked_dropout": True,
    "weight_drop": 0.25,
    "learn_initial_state": True,
    "init": "orthogonal",
    "forget_bias": 1.0,
    "layer_norm": True,
    "zoneout": (0.1, 0.2),
    "peepholes": True,
    "recompute": True,
}


def test_repr_shows_every_option_that_is_not_the_default() -> None:
    shown = repr(elman.LSTM(3, [4, 5], 2, bidirectional=True, dropout=0.5, **OPTIONS))

    assert shown.startswith("LSTM(3, (4, 5), num_layers=2, dropout=0.5, bidirectional=True, merge=sum, ")
    for name, value in OPTIONS.items():
        assert f"{name}={value}" in shown
    assert repr(elman.GRU(3, 4, reverse=True, chrono=9)) == "GRU(3, 4, reverse=True, chrono=9)"
    assert repr(Recurrent("lstm", 3, 4, projection_size=2)) == "Recurrent(lstm, 3, 4, projection_size=2)"
    assert repr(Recurrent(LeakyCell(4), 3)) == "Recurrent(leaky, 3, 4)"


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))], ids=["deepcopy", "pickle"]
)
def test_a_copy_has_every_option_and_shares_nothing(copied) -> None:
    layer = elman.LSTM(3, [4, 5], 2, bidirectional=True, dropout=0.5, engine="reference", **OPTIONS)
    x = torch.randn(5, 2, 3)

    twin = copied(layer)

    assert repr(twin) == repr(layer)
    assert twin.cells == layer.cells
    outputs = [m(x, generator=torch.Generator().manual_seed(1))[0] for m in (layer, twin)]
    assert torch.equal(*outputs)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.zero_()
    assert layer.weight_hh_l0.ne(0).any()


@pytest.mark.parametrize("name", DROP_INS)
def test_a_sequence_model_takes_every_option(name) -> None:
    """And reads as many numbers as the layers give."""
    options: dict[str, Any] = {"num_layers": 2, "bidirectional": True, "merge": "sum", "connections": "dense"}
    model = elman.SequenceModel(3, 4, 2, name, **options, layer_norm=True, engine="reference")
    by_layer = elman.SequenceModel(3, [4, 5], 2, name, num_layers=2, bidirectional=True)

    assert model(torch.randn(5, 6, 3)).y.shape == (5, 6, 2)
    assert model.output.in_features == 4
    assert by_layer.output.in_features == 10
    assert by_layer(torch.randn(5, 6, 3)).h.shape == (5, 6, 10)
