"""Horizons of scalar recurrences are known, and the use of context ends where nothing older matters."""

import math

import pytest
import torch
from torch import Tensor, nn

import elman
from elman.cells import LSTMCell
from elman.layers import Recurrent
from elman.probe.horizon import fallen_to, half_saved_by, use_of_context


@pytest.mark.parametrize("factor", [0.5, 0.9, 0.99])
def test_of_a_geometric_curve_the_horizon_is_that_of_its_logarithm(factor: float) -> None:
    curve = [3 * factor**lag for lag in range(600)]
    assert fallen_to(curve, math.exp(-1)) == pytest.approx(-1 / math.log(factor))
    assert fallen_to(curve, 0.01) == pytest.approx(math.log(0.01) / math.log(factor))


def test_a_horizon_beyond_what_was_looked_at_is_none() -> None:
    assert fallen_to([1.0, 0.9, 0.8], 0.01) is None


def test_a_state_that_is_not_read_in_its_own_step_begins_at_the_first_lag_where_it_is() -> None:
    assert fallen_to([0.0, 1.0, 0.1, 0.0], 0.1) == 2


def test_a_gradient_that_ends_at_once_ends_at_its_lag() -> None:
    assert fallen_to([1.0, 0.0, 0.0], 0.01) == 1


def gated(forget: float) -> Recurrent:
    """An LSTM of one unit whose gates don't listen: c_t = f c_{t-1} + x_t / 2, nearly linear in x."""
    layers = Recurrent(LSTMCell(1), 1, dtype=torch.float64)
    with torch.no_grad():
        for parameter in layers.parameters():
            parameter.zero_()
        layers.bias_ih_l0[1] = math.log(forget / (1 - forget))
        layers.weight_ih_l0[2] = 1e-3
    return layers


@pytest.mark.parametrize("forget", [0.7, 0.95])
def test_a_known_forget_gate_has_its_horizon(forget: float) -> None:
    """h_t = tanh(c_t) / 2, so that ∂h_t/∂c_{t-k} is f^k times a slope that hardly differs from 1/2."""
    lags = 150
    found = elman.probe(gated(forget), torch.randn(lags + 1, 8, 1, dtype=torch.float64), lags=lags)
    horizon = next(one for one in found.horizons if one["state"] == "c")
    assert horizon["lag_1_e"] == pytest.approx(-1 / math.log(forget), rel=1e-4)
    assert horizon["lag_1_percent"] == pytest.approx(math.log(0.01) / math.log(forget), rel=1e-4)
    assert any("forgets after" in sentence for sentence in found.verdict)


class Copying(nn.Module):
    """h_t holds the last three inputs, in a shift register that a linear recurrence is: nothing older."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = Recurrent("elman", 1, 4, nonlinearity="identity", dtype=torch.float64)
        with torch.no_grad():
            for parameter in self.layers.parameters():
                parameter.zero_()
            self.layers.weight_ih_l0[0] = 1
            self.layers.weight_hh_l0.copy_(torch.diag(torch.ones(3, dtype=torch.float64), -1))

    def forward(self, x_TBD: Tensor) -> Tensor:
        return self.layers(x_TBD)[0]


def miss(module: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    """How far the register's last place is from the input of three steps before; of each row, (B)."""
    x_TBD, whole_TBD = batch
    return (module(x_TBD)[-1, :, 3] - whole_TBD[-4, :, 0]) ** 2


def test_context_is_of_no_use_beyond_what_matters() -> None:
    x_TBD = torch.randn(32, 50, 1, dtype=torch.float64)
    # What is to be said stays whole while the inputs are cut: it is longer by a step.
    whole_TBD = torch.cat([x_TBD.new_zeros(1, 50, 1), x_TBD])
    found = elman.probe(Copying(), (x_TBD, whole_TBD), loss=miss, lags=31)
    by_steps = dict(zip(found.context["steps"], found.context["loss_nats"], strict=True))
    assert by_steps[1] > 0.5
    assert by_steps[2] > 0.5
    assert by_steps[4] == by_steps[8] == by_steps[16] == by_steps[32] == 0


def test_the_gradient_of_a_shift_register_ends_where_it_does() -> None:
    """At lag k it is where the input of k steps before still is to be shifted on: up to three steps."""
    x_TBD = torch.randn(32, 50, 1, dtype=torch.float64)
    whole_TBD = torch.cat([x_TBD.new_zeros(1, 50, 1), x_TBD])
    module = Copying()
    with torch.no_grad():
        module.layers.weight_hh_l0.mul_(0.9)
    (curve,) = elman.probe(module, (x_TBD, whole_TBD), loss=miss, lags=31).gradient
    assert all(value > 0 for value in curve["median"][:4])
    assert not any(curve["median"][4:])


def test_half_of_what_context_saves_is_found_between_two_measurements() -> None:
    assert half_saved_by({"steps": [1, 2, 4], "loss_nats": [3.0, 2.5, 1.0]}) == pytest.approx(2 + 2 / 3)
    assert half_saved_by({"steps": [1, 2], "loss_nats": [1.0, 0.995]}) is None


def test_steps_double_up_to_the_longest() -> None:
    seen = use_of_context(lambda steps: torch.full((3,), 1 / steps), 11)
    assert seen == {"steps": [1, 2, 4, 8, 11], "loss_nats": pytest.approx([1, 1 / 2, 1 / 4, 1 / 8, 1 / 11])}
