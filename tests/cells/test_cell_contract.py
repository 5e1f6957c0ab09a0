"""What every cell says of itself: weights, states, projection, options."""

import dataclasses

import pytest
import torch
from laws import MakeCell, every_cell, plain_cells, random_case

from elman.cells import ElmanCell, ElmanState, GRUCell, LSTMCell, LSTMState, map_state
from elman.errors import OptionError

_WEIGHTS = {
    "elman": (ElmanCell(3), {"weight_ih": (3, 2), "weight_hh": (3, 3), "bias_ih": (3,), "bias_hh": (3,)}),
    "elman_no_bias": (ElmanCell(3, False), {"weight_ih": (3, 2), "weight_hh": (3, 3)}),
    "lstm": (LSTMCell(3), {"weight_ih": (12, 2), "weight_hh": (12, 3), "bias_ih": (12,), "bias_hh": (12,)}),
    "lstm_projected": (
        LSTMCell(3, projection_size=1),
        {"weight_ih": (12, 2), "weight_hh": (12, 1), "bias_ih": (12,), "bias_hh": (12,), "weight_hr": (1, 3)},
    ),
    "lstm_projected_no_bias": (
        LSTMCell(3, False, 2),
        {"weight_ih": (12, 2), "weight_hh": (12, 2), "weight_hr": (2, 3)},
    ),
    "gru": (GRUCell(3), {"weight_ih": (9, 2), "weight_hh": (9, 3), "bias_ih": (9,), "bias_hh": (9,)}),
    "gru_no_bias": (GRUCell(3, False), {"weight_ih": (9, 2), "weight_hh": (9, 3)}),
}


@pytest.mark.parametrize("name", _WEIGHTS)
def test_weights_have_torchs_names_shapes_and_order(name: str) -> None:
    cell, expected = _WEIGHTS[name]

    assert list(cell.weight_shapes(2).items()) == list(expected.items())


@every_cell
def test_initial_state_is_zero_like_the_weight(make_cell: MakeCell) -> None:
    cell = make_cell(3)

    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        state = cell.initial_state(5, like=torch.ones(1, dtype=dtype))
        assert type(state) is cell.state_type
        assert [tuple(s.shape) for s in state] == [(5, size) for size in cell.state_sizes]
        assert all(s.dtype == dtype and s.eq(0).all() for s in state)


@every_cell
def test_projection_of_a_sequence_is_that_of_each_step(make_cell: MakeCell) -> None:
    """One product for all steps; any axes may stand in front of the features."""
    case = random_case(make_cell(3), steps=4, batch=2, features=3, seed=1, device="cpu")
    cell, weights, x_TBD = case.cell, case.weights, case.x_TBD

    u_TBG = cell.project(weights, x_TBD)

    expected = x_TBD @ weights["weight_ih"].T + weights.get("bias_ih", 0)
    torch.testing.assert_close(u_TBG, expected, rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(cell.project(weights, x_TBD[0]), expected[0], rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(cell.project(weights, x_TBD[0, 0]), expected[0, 0], rtol=1e-13, atol=1e-13)


@plain_cells
def test_the_first_state_is_the_output(make_cell: MakeCell) -> None:
    case = random_case(make_cell(3), steps=1, batch=2, features=3, seed=2, device="cpu")

    y, state = case.cell.step(case.weights, case.cell.project(case.weights, case.x_TBD[0]), case.state)

    assert torch.equal(y, state[0])
    assert y.shape[-1] == case.cell.output_size


@every_cell
def test_a_cell_is_a_frozen_value(make_cell: MakeCell) -> None:
    cell = make_cell(3)

    assert cell == make_cell(3)
    assert hash(cell) == hash(make_cell(3))
    with pytest.raises(dataclasses.FrozenInstanceError):
        cell.hidden_size = 4


def test_map_state_keeps_the_states_type() -> None:
    state = LSTMState(torch.ones(1, 2), torch.zeros(1, 3))

    doubled = map_state(lambda a, b: a + b, state, state)

    assert type(doubled) is LSTMState
    assert torch.equal(doubled.h, torch.full((1, 2), 2.0))
    assert map_state(lambda a: a + 1, (torch.zeros(1),))[0].item() == 1


def test_map_state_refuses_states_of_different_cells() -> None:
    with pytest.raises(ValueError, match="zip"):
        map_state(lambda a, b: a + b, LSTMState(torch.ones(1), torch.ones(1)), ElmanState(torch.ones(1)))


def test_unknown_nonlinearity_is_named_with_the_known_ones() -> None:
    with pytest.raises(OptionError, match=r"nonlinearity='sine' is not known: choose from tanh, relu"):
        ElmanCell(3, nonlinearity="sine")


@pytest.mark.parametrize("size", [3, 4, -1])
def test_projection_must_be_smaller_than_the_cell(size: int) -> None:
    with pytest.raises(OptionError, match=rf"proj_size={size} must be 0 .* or less than hidden_size=3"):
        LSTMCell(3, projection_size=size)
