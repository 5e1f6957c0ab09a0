"""What the sLSTM's stabiliser, heads and initial biases have to be, beside its equations (`test_lstm_zoo.py`)."""

import math

import pytest
import torch
from laws import Case, random_case
from torch import Tensor

from elman.cells.slstm import SLSTMCell, SLSTMState
from elman.engines import Engine, scan
from elman.errors import OptionError


def _scan(case: Case, state: SLSTMState) -> tuple[Tensor, SLSTMState]:
    return scan(case.cell, case.weights, case.x_TBD, state, engine=Engine.REFERENCE)


@pytest.mark.parametrize("forget_gate", ["sigmoid", "exp"])
def test_without_a_stabiliser_the_outputs_are_the_same(forget_gate: str) -> None:
    """The paper's own equations, without m: i = exp(ĩ), c and n as they are."""
    case = random_case(SLSTMCell(5, forget_gate=forget_gate), 6, 3, 4, 1, "cpu")
    state = case.state._replace(n=case.state.n.abs() + 0.5)
    scale = state.m.exp()
    h, c, n = state.h, state.c * scale, state.n * scale
    outputs = []
    for x in case.x_TBD:
        sums = x @ case.weights["weight_ih"].T + h @ case.weights["weight_hh"].T
        i, f, z, o = (sums + case.weights["bias_ih"] + case.weights["bias_hh"]).chunk(4, -1)
        f = torch.exp(f) if forget_gate == "exp" else torch.sigmoid(f)
        c = f * c + torch.exp(i) * torch.tanh(z)
        n = f * n + torch.exp(i)
        h = torch.sigmoid(o) * c / n
        outputs.append(h)

    y, last = _scan(case, state)

    torch.testing.assert_close(y, torch.stack(outputs), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(last.c * last.m.exp(), c, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(last.n * last.m.exp(), n, rtol=1e-12, atol=1e-12)


def test_gates_that_overflow_without_a_stabiliser_are_finite_with_it() -> None:
    case = random_case(SLSTMCell(3, forget_gate="exp"), 8, 2, 2, 2, "cpu")
    case.weights["bias_ih"].data[:6] += 400

    y, last = _scan(case, case.cell.initial_state(2, case.x_TBD))
    (gradient,) = torch.autograd.grad(y.sum(), case.weights["bias_ih"])

    assert all(torch.isfinite(value).all() for value in (y, gradient, *last))
    assert last.m.min() > math.log(torch.finfo(torch.float64).max)


def test_heads_keep_to_themselves() -> None:
    case = random_case(SLSTMCell(6, heads=3), 5, 2, 2, 3, "cpu")
    state = case.state._replace(n=case.state.n.abs() + 0.5)
    h = state.h.detach().clone()
    h[:, 2:4] += 1

    y, _ = _scan(case, state)
    moved, _ = _scan(case, state._replace(h=h))

    same = (y == moved).all(dim=(0, 1))
    assert same.tolist() == [True, True, False, False, True, True]


@pytest.mark.parametrize("heads", [4, 0, True])
def test_heads_divide_the_units(heads: object) -> None:
    with pytest.raises(OptionError, match="heads="):
        SLSTMCell(6, heads=heads)


@pytest.mark.parametrize("heads", [1, 2, 6])
def test_forget_gates_are_open_to_all_degrees_at_first(heads: int) -> None:
    cell = SLSTMCell(6, heads=heads)
    weights = {name: torch.full(shape, torch.nan) for name, shape in cell.weight_shapes(2).items()}

    cell.initialise(weights)

    i, f, z, o = weights["bias_ih"].chunk(4)
    size = 6 // heads
    expected = [5 - 12 * (k / (size - 1)) ** 0.3 if size > 1 else 5.0 for k in range(size)] * heads
    torch.testing.assert_close(f, torch.tensor(expected))
    assert all(bias.eq(0).all() for bias in (i, z, o, weights["bias_hh"]))
    for name in ("weight_ih", "weight_hh"):
        assert 0 < weights[name].abs().max() <= 6**-0.5
