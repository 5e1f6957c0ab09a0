"""Gradient by lag is what automatic differentiation says, for every cell and option."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from elman.cells import CELLS, cell_kind, cell_options
from elman.layers import Recurrent
from elman.probe.gradients import Scored, gradient_by_lag
from elman.probe.tap import find_stacks, tapped, undisturbed

STEPS, BATCH, FEATURES = 6, 3, 4
# Two channels on frames of 1 x 2, in and out; what has no place in a convolution it refuses.
_FRAME = (1, 2)
_REFUSED = {"conv_lstm": {"projection_size"}}


def options_of(name: str) -> list[dict[str, Any]]:
    """The cell without options, and with each that changes what a step computes when nothing is drawn."""
    values: dict[str, Any] = {
        "bias": False, "recurrent_bias": False, "layer_norm": True, "zoneout": 0.3, "clip_state": 0.4, "clip_gradient": 0.01,
        "nonlinearity": "relu", "gate_nonlinearity": "hard_sigmoid", "peepholes": True, "coupled": True,
        "projection_size": 2, "reset_after": False,
    }  # fmt: skip
    known = cell_options(cell_kind(name))
    return [
        {},
        *({option: value} for option, value in values.items() if option in known.keys() - _REFUSED.get(name, set())),
    ]


def every_option() -> list[Any]:
    return [
        pytest.param(name, options, id="-".join([name, *options])) for name in CELLS for options in options_of(name)
    ]


def layers_of(name: str, options: Mapping[str, Any], **layers: Any) -> Recurrent:
    frame = {"frame": _FRAME} if name == "conv_lstm" else {}
    made = Recurrent(name, FEATURES, 4, dtype=torch.float64, **frame, **options, **layers)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return made


def losses_at(y_TBH: Tensor, at_B: Tensor) -> Tensor:
    """A loss a row that is not linear in what the row's step gives."""
    y_BH = y_TBH[at_B, torch.arange(y_TBH.shape[1])]
    return (y_BH * torch.arange(1, 1 + y_BH.shape[-1])).sin().sum(-1)


def by_hand(layers: Recurrent, x_TBD: Tensor, at_B: Tensor) -> dict[tuple[int, str], Tensor]:
    """∂ℓ_t/∂s_τ of every step and layer, by folding each cell's step and asking for one row and one τ at a time."""
    h_TBD, states = x_TBD.requires_grad_(), []
    for layer in range(layers.num_layers):
        cell = layers.cells[layer]
        weights = {name: getattr(layers, f"{name}_l{layer}") for name in cell.weight_shapes(h_TBD.shape[-1])}
        state = cell.state_type(*(s.requires_grad_() for s in cell.initial_state(BATCH, x_TBD)))
        outputs, own = [], []
        for u_BG in cell.project(weights, h_TBD).unbind():
            y_BH, state = cell.advance(weights, u_BG, state)
            outputs.append(y_BH)
            own.append(state)
        h_TBD = torch.stack(outputs)
        states.append(own)
    losses_B = losses_at(h_TBD, at_B)
    found = {}
    for layer, own in enumerate(states):
        for name in own[0]._fields:
            norms = torch.zeros(STEPS, BATCH, dtype=torch.float64)
            for row, loss in enumerate(losses_B):
                for step in range(STEPS):
                    array = getattr(own[step], name)
                    if array.requires_grad:
                        (gradient,) = torch.autograd.grad(loss, array, retain_graph=True, allow_unused=True)
                        norms[step, row] = 0.0 if gradient is None else gradient[row].norm()
            found[layer, name] = norms
    return found


@pytest.mark.parametrize(("name", "options"), every_option())
def test_it_equals_brute_force_for_every_cell_and_option(name: str, options: dict[str, Any]) -> None:
    layers = layers_of(name, options, num_layers=2)
    x_TBD, at_B = torch.randn(STEPS, BATCH, FEATURES, dtype=torch.float64), torch.tensor([5, 3, 0])
    expected = by_hand(layers, x_TBD.clone(), at_B)
    with undisturbed(layers), tapped(find_stacks(layers), graph=True) as passages:
        y_TBH, _ = layers(x_TBD)
        found = gradient_by_lag(passages, Scored(losses_at(y_TBH, at_B), at_B), lags=STEPS - 1)
    assert {(one.passage.layer, one.state) for one in found} == set(expected)
    for one in found:
        norms_TB = expected[one.passage.layer, one.state]
        for row, at in enumerate(at_B.tolist()):
            for lag in range(STEPS):
                value = one.norms_KB[lag, row]
                if lag > at:
                    assert value.isnan()
                else:
                    assert abs(value - norms_TB[at - lag, row]) <= 1e-10 * max(1, norms_TB.max())


def test_a_direction_that_runs_backwards_has_lags_of_its_own() -> None:
    """It counts steps after the scored one, and is what the same layer finds forwards in the sequence turned round."""
    both = Recurrent("gru", FEATURES, 4, bidirectional=True, dtype=torch.float64)
    alone = Recurrent("gru", FEATURES, 4, dtype=torch.float64)
    alone.load_state_dict({name: getattr(both, f"{name}_reverse") for name in alone.state_dict()})
    x_TBD, lengths_B, at_B = (
        torch.randn(5, 2, FEATURES, dtype=torch.float64),
        torch.tensor([5, 4]),
        torch.tensor([1, 3]),
    )
    turned = torch.zeros_like(x_TBD)
    turned[:, 0], turned[:4, 1] = x_TBD[:, 0].flip(0), x_TBD[:4, 1].flip(0)
    own_B = lengths_B - 1 - at_B
    with undisturbed(both), tapped(find_stacks(both), graph=True) as passages:
        y_TBH, _ = both(x_TBD, lengths=lengths_B)
        ahead, back = gradient_by_lag(passages, Scored(losses_at(y_TBH[..., 4:], at_B), at_B), lags=4)
    with undisturbed(alone), tapped(find_stacks(alone), graph=True) as passages:
        y_TBH, _ = alone(turned, lengths=lengths_B)
        (expected,) = gradient_by_lag(passages, Scored(losses_at(y_TBH, own_B), own_B), lags=4)
    torch.testing.assert_close(back.norms_KB, expected.norms_KB, rtol=0, atol=1e-12, equal_nan=True)
    assert back.norms_KB.isnan().sum(0).tolist() == [1, 4]
    # The other direction isn't read by this loss.
    assert not ahead.norms_KB.nan_to_num().any()


def test_of_a_whole_sequence_lags_count_from_its_own_last_step() -> None:
    layers, lengths_B = Recurrent("lstm", FEATURES, 4, dtype=torch.float64), torch.tensor([5, 2])
    x_TBD = torch.randn(5, 2, FEATURES, dtype=torch.float64)
    with undisturbed(layers), tapped(find_stacks(layers), graph=True) as passages:
        y_TBH, _ = layers(x_TBD, lengths=lengths_B)
        whole = gradient_by_lag(passages, Scored(losses_at(y_TBH, lengths_B - 1), None), lags=4)
    with undisturbed(layers), tapped(find_stacks(layers), graph=True) as passages:
        y_TBH, _ = layers(x_TBD)
        at_last = gradient_by_lag(passages, Scored(losses_at(y_TBH, lengths_B - 1), lengths_B - 1), lags=4)
    for found, expected in zip(whole, at_last, strict=True):
        torch.testing.assert_close(found.norms_KB, expected.norms_KB, rtol=0, atol=1e-12, equal_nan=True)
        assert found.norms_KB.isnan().sum(0).tolist() == [0, 3]


def test_lags_beyond_a_reset_are_not_counted() -> None:
    layers, at_B = Recurrent("gru", FEATURES, 4, dtype=torch.float64), torch.tensor([5, 5])
    reset_TB = torch.zeros(6, 2, dtype=torch.bool)
    reset_TB[3, 0] = reset_TB[0, 1] = True
    with undisturbed(layers), tapped(find_stacks(layers), graph=True) as passages:
        y_TBH, _ = layers(torch.randn(6, 2, FEATURES, dtype=torch.float64), reset=reset_TB)
        (found,) = gradient_by_lag(passages, Scored(losses_at(y_TBH, at_B), at_B), lags=5)
    assert found.norms_KB.isnan().int().T.tolist() == [[0, 0, 0, 1, 1, 1], [0] * 6]
    assert found.quartiles()[1][4] == pytest.approx(float(found.norms_KB[4, 1]))


def test_where_no_row_has_a_lag_there_is_no_quartile() -> None:
    layers, at_B = Recurrent("gru", FEATURES, 4), torch.tensor([1, 0])
    with undisturbed(layers), tapped(find_stacks(layers), graph=True) as passages:
        y_TBH, _ = layers(torch.randn(4, 2, FEATURES))
        (found,) = gradient_by_lag(passages, Scored(losses_at(y_TBH, at_B), at_B), lags=3)
    assert [value is None for value in found.quartiles()[1]] == [False, False, True, True]


def test_what_it_finds_at_lags_of_h_is_the_gradient_by_a_carried_state() -> None:
    """By another way: the rest of the sequence, run by any engine from the state of k steps before."""
    layers = Recurrent("lstm", FEATURES, 4, dtype=torch.float64)
    x_TBD, at_B = torch.randn(STEPS, BATCH, FEATURES, dtype=torch.float64), torch.full((BATCH,), STEPS - 1)
    with undisturbed(layers), tapped(find_stacks(layers), graph=True) as passages:
        y_TBH, _ = layers(x_TBD)
        found = {one.state: one for one in gradient_by_lag(passages, Scored(losses_at(y_TBH, at_B), at_B), lags=5)}
    for lag in range(1, STEPS):
        with torch.no_grad():
            _, state = layers(x_TBD[:-lag])
        state = tuple(s.requires_grad_() for s in state)
        y_TBH, _ = layers(x_TBD[-lag:], state)
        loss = losses_at(y_TBH, torch.full((BATCH,), lag - 1)).sum()
        norms_B = torch.autograd.grad(loss, state[0])[0][0].norm(dim=-1)
        torch.testing.assert_close(found["h"].norms_KB[lag], norms_B, rtol=0, atol=1e-10)
