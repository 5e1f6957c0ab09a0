"""Each cell against its equations stated again: plain loops over numbers, in NumPy's float64, gate by gate."""

import math

import numpy as np
import pytest
import torch
from laws import Case, random_case

from elman.cells import ElmanCell, GRUCell, LSTMCell
from elman.engines import Engine, scan

Array = np.ndarray


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def _sum(case: dict[str, Array], kind: str, gate: int, unit: int, size: int, values: Array) -> float:
    """Row `unit` of gate `gate`: W values + b, where kind is "ih" or "hh"."""
    row = gate * size + unit
    total = float(case[f"bias_{kind}"][row]) if f"bias_{kind}" in case else 0.0
    for column, value in enumerate(values):
        total += float(case[f"weight_{kind}"][row, column]) * float(value)
    return total


def _elman(w: dict[str, Array], x: Array, h: Array, f) -> tuple[Array]:
    size = len(h)
    return (np.array([f(_sum(w, "ih", 0, k, size, x) + _sum(w, "hh", 0, k, size, h)) for k in range(size)]),)


def _gru(w: dict[str, Array], x: Array, h: Array) -> tuple[Array]:
    size = len(h)
    new = np.zeros(size)
    for k in range(size):
        r = _sigmoid(_sum(w, "ih", 0, k, size, x) + _sum(w, "hh", 0, k, size, h))
        z = _sigmoid(_sum(w, "ih", 1, k, size, x) + _sum(w, "hh", 1, k, size, h))
        n = math.tanh(_sum(w, "ih", 2, k, size, x) + r * _sum(w, "hh", 2, k, size, h))
        new[k] = (1 - z) * n + z * h[k]
    return (new,)


def _lstm(w: dict[str, Array], x: Array, h: Array, c: Array) -> tuple[Array, Array]:
    size = len(c)
    new_h, new_c = np.zeros(size), np.zeros(size)
    for k in range(size):
        i, f, g, o = (_sum(w, "ih", gate, k, size, x) + _sum(w, "hh", gate, k, size, h) for gate in range(4))
        new_c[k] = _sigmoid(f) * c[k] + _sigmoid(i) * math.tanh(g)
        new_h[k] = _sigmoid(o) * math.tanh(new_c[k])
    if "weight_hr" in w:
        rows = w["weight_hr"].shape[0]
        new_h = np.array([sum(w["weight_hr"][p, k] * new_h[k] for k in range(size)) for p in range(rows)])
    return new_h, new_c


_EQUATIONS = {
    "elman_tanh": (lambda bias: ElmanCell(4, bias), lambda w, x, h: _elman(w, x, h, math.tanh)),
    "elman_relu": (
        lambda bias: ElmanCell(4, bias, "relu"),
        lambda w, x, h: _elman(w, x, h, lambda value: max(value, 0.0)),
    ),
    "lstm": (lambda bias: LSTMCell(4, bias), _lstm),
    "lstm_projected": (lambda bias: LSTMCell(4, bias, 3), _lstm),
    "gru": (lambda bias: GRUCell(4, bias), _gru),
}


def _expected(case: Case, equations) -> tuple[Array, list[Array]]:
    """Outputs (T, B, H) and final states, by one number after another."""
    weights = {name: value.detach().numpy() for name, value in case.weights.items()}
    x_TBD = case.x_TBD.detach().numpy()
    y_TBH = np.zeros((case.steps, case.batch, case.cell.output_size))
    finals = [np.zeros(s.shape) for s in case.state]
    for b in range(case.batch):
        state = tuple(s[b].detach().numpy() for s in case.state)
        for t in range(case.steps):
            state = equations(weights, x_TBD[t, b], *state)
            y_TBH[t, b] = state[0]
        for final, value in zip(finals, state, strict=True):
            final[b] = value
    return y_TBH, finals


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no_bias"])
@pytest.mark.parametrize("name", _EQUATIONS)
def test_one_step_equals_the_equations(name: str, bias: bool) -> None:
    """From a state that is not zero, with a bias of its own in each of the two sums."""
    make_cell, equations = _EQUATIONS[name]
    case = random_case(make_cell(bias), steps=1, batch=3, features=2, seed=1, device="cpu")
    y_TBH, finals = _expected(case, equations)

    y_BH, state = case.cell.step(case.weights, case.cell.project(case.weights, case.x_TBD[0]), case.state)

    np.testing.assert_allclose(y_BH.detach().numpy(), y_TBH[0], rtol=1e-12, atol=1e-12)
    for value, expected in zip(state, finals, strict=True):
        np.testing.assert_allclose(value.detach().numpy(), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("engine", [Engine.REFERENCE, Engine.TORCH], ids=str)
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no_bias"])
@pytest.mark.parametrize("name", _EQUATIONS)
def test_a_scan_equals_the_equations(name: str, bias: bool, engine: Engine) -> None:
    """Several steps, so that the recurrent product counts in every gate."""
    make_cell, equations = _EQUATIONS[name]
    case = random_case(make_cell(bias), steps=6, batch=2, features=3, seed=2, device="cpu")
    y_expected, finals = _expected(case, equations)

    y_TBH, state = scan(case.cell, case.weights, case.x_TBD, case.state, engine=engine)

    np.testing.assert_allclose(y_TBH.detach().numpy(), y_expected, rtol=1e-12, atol=1e-12)
    for value, expected in zip(state, finals, strict=True):
        np.testing.assert_allclose(value.detach().numpy(), expected, rtol=1e-12, atol=1e-12)


_GATES = {"elman": (ElmanCell, "h"), "lstm": (LSTMCell, "ifgo"), "gru": (GRUCell, "rzn")}


@pytest.mark.parametrize("name", _GATES)
def test_gates_stand_in_the_documented_order(name: str) -> None:
    kind, gates = _GATES[name]

    assert kind.name == name
    assert kind.gates == tuple(gates)


@pytest.mark.parametrize("gate", range(4), ids=list("ifgo"))
def test_each_lstm_gate_does_what_its_name_says(gate: int) -> None:
    """Open or shut one gate by its bias rows alone and see that gate's effect, with all weights zero."""
    cell = LSTMCell(2)
    weights = {name: torch.zeros(shape, dtype=torch.float64) for name, shape in cell.weight_shapes(1).items()}
    # Saturated: i = f = g = o = 1, but the gate in question is shut (g: zero).
    weights["bias_ih"] += 40
    weights["bias_ih"][2 * gate : 2 * gate + 2] = 0 if gate == 2 else -40
    c_before = torch.tensor([[0.25, -0.5]], dtype=torch.float64)
    state = cell.state_type(torch.zeros_like(c_before), c_before)

    y, after = cell.step(weights, cell.project(weights, torch.ones(1, 1, dtype=torch.float64)), state)

    c_expected = {0: c_before, 1: torch.ones_like(c_before), 2: c_before, 3: c_before + 1}[gate]
    h_expected = torch.zeros_like(c_before) if gate == 3 else torch.tanh(c_expected)
    torch.testing.assert_close(after.c, c_expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(y, h_expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("z_bias", "keeps"), [(40.0, True), (-40.0, False)], ids=["z_one", "z_zero"])
def test_gru_update_gate_keeps_the_old_state(z_bias: float, keeps: bool) -> None:
    """z = 1 keeps h, z = 0 takes the new one: PyTorch's sense, the opposite of some papers'."""
    cell = GRUCell(2)
    weights = {name: torch.zeros(shape, dtype=torch.float64) for name, shape in cell.weight_shapes(1).items()}
    weights["bias_ih"][2:4] = z_bias
    weights["bias_ih"][4:6] = 0.75
    h = torch.tensor([[0.25, -0.5]], dtype=torch.float64)

    y, _ = cell.step(weights, cell.project(weights, torch.ones(1, 1, dtype=torch.float64)), cell.state_type(h))

    expected = h if keeps else torch.full_like(h, math.tanh(0.75))
    torch.testing.assert_close(y, expected, rtol=1e-12, atol=1e-12)


def test_gru_reset_gate_acts_after_the_recurrent_product() -> None:
    """With r = 0 neither U_n h nor b_hn counts: the published other form would keep b_hn."""
    cell = GRUCell(2)
    weights = {name: torch.ones(shape, dtype=torch.float64) for name, shape in cell.weight_shapes(1).items()}
    weights["bias_ih"][0:2] = -60
    weights["bias_ih"][2:4] = -60
    h = torch.tensor([[0.25, -0.5]], dtype=torch.float64)

    y, _ = cell.step(weights, cell.project(weights, torch.zeros(1, 1, dtype=torch.float64)), cell.state_type(h))

    torch.testing.assert_close(y, torch.full_like(h, math.tanh(1.0)), rtol=1e-12, atol=1e-12)
