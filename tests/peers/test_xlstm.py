"""The sLSTM against the plain-PyTorch part of the package xlstm, which `make test-peers` installs."""

from typing import Any

import pytest
import torch
from laws import Case, Results, assert_same, random_case, values_and_gradients
from xlstm.blocks.slstm.src.vanilla import slstm_forward, slstm_pointwise_function_registry

from elman.cells.slstm import SLSTMCell
from elman.engines import Engine, scan


@pytest.mark.parametrize("heads", [1, 3])
def test_slstm_equals_xlstms_from_a_state_that_is_not_zero(heads: int) -> None:
    """Values of all four states, and all gradients. Its one bias is ours beside W x."""
    case = _positive(random_case(SLSTMCell(6, heads=heads, recurrent_bias=False), 7, 3, 4, 1, "cpu"))

    assert_same(values_and_gradients(case, _by_elman), values_and_gradients(case, _by_xlstm), 1e-10)


def test_outputs_equal_xlstms_from_the_zero_state() -> None:
    """There its m differs in the first step, and with it the scale of c and n: not what comes out, nor c / n."""
    case = random_case(SLSTMCell(6, heads=2, recurrent_bias=False), 7, 3, 4, 2, "cpu")
    case = Case(case.cell, case.weights, case.x_TBD, case.cell.initial_state(3, case.x_TBD))

    ours, theirs = _by_elman(case), _by_xlstm(case)

    assert_same({"y": ours["y"]}, {"y": theirs["y"]}, 1e-12)
    assert_same({"c / n": ours["c"] / ours["n"]}, {"c / n": theirs["c"] / theirs["n"]}, 1e-12)


def _positive(case: Case) -> Case:
    state = case.state._replace(n=(case.state.n.detach().abs() + 0.5).requires_grad_())
    return Case(case.cell, case.weights, case.x_TBD, state)


def _by_elman(case: Case) -> Results:
    y, last = scan(case.cell, case.weights, case.x_TBD, case.state, engine=Engine.REFERENCE)
    return _results(y, last)


def _by_xlstm(case: Case) -> Results:
    """Its recurrent kernel is (heads, 4 H/heads, H/heads); its states are stacked, h c n m, for all steps from the first."""
    states, last, _ = slstm_forward(
        case.x_TBD @ case.weights["weight_ih"].T,
        torch.stack(tuple(case.state)),
        case.weights["weight_hh"].reshape(case.cell.heads, -1, case.cell.piece_size),
        case.weights["bias_ih"],
        slstm_pointwise_function_registry["slstm"],
    )
    return _results(states[0, 1:], last.unbind())


def _results(y: torch.Tensor, last: Any) -> Results:
    return {"y": y, **dict(zip("hcnm", last, strict=True))}
