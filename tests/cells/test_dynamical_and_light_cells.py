"""The cells that are dynamical systems and those with few gates: against their equations, and against torchrecurrent.

The equations are stated again in NumPy's float64, with the letters of the papers; every bias may be missing.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torchrecurrent
from laws import Case, Results, assert_same, by_folding, random_case, values_and_gradients

from elman.cells import Cell
from elman.cells.antisymmetric import AntisymmetricCell, GatedAntisymmetricCell
from elman.cells.atr import ATRCell
from elman.cells.bistable import BRCCell, NBRCCell
from elman.cells.cell import ALL_INNER_OPTIONS
from elman.cells.cfn import CFNCell
from elman.cells.fast import FastGRNNCell, FastRNNCell
from elman.cells.independent import IndRNNCell
from elman.cells.irnn import IRNNCell
from elman.cells.jordan import JordanCell
from elman.cells.lem import LEMCell
from elman.cells.light import LightRUCell, LiGRUCell
from elman.cells.oscillators import CoRNNCell, UnICORNNCell
from elman.engines import Engine, scan
from elman.errors import OptionError

Array = np.ndarray


def _sigmoid(z: Array) -> Array:
    return 1 / (1 + np.exp(-z))


def _relu(z: Array) -> Array:
    return np.maximum(z, 0)


class _Numbers:
    """The weights of a case by name, cut into gates; a bias that isn't there is 0."""

    def __init__(self, case: Case) -> None:
        self.weights = {name: value.detach().numpy() for name, value in case.weights.items()}

    def W(self, kind: str, gates: int = 1) -> Any:
        return self._cut(self.weights[f"weight_{kind}"], gates)

    def b(self, kind: str, gates: int = 1) -> Any:
        name = f"bias_{kind}"
        if name in self.weights:
            return self._cut(self.weights[name], gates)
        return 0.0 if gates == 1 else (0.0,) * gates

    @staticmethod
    def _cut(value: Array, gates: int) -> Any:
        return value if gates == 1 else np.split(value, gates)


def _atr(w: _Numbers, x: Array, h: Array) -> tuple[Array, ...]:
    p = w.W("ih") @ x + w.b("ih")
    q = w.W("hh") @ h + w.b("hh")
    return (_sigmoid(p + q) * p + _sigmoid(p - q) * h,)


def _antisymmetric(w: _Numbers, x: Array, h: Array, epsilon: float, gamma: float) -> tuple[Array, ...]:
    M = w.W("hh") - w.W("hh").T - gamma * np.eye(len(h))
    return (h + epsilon * np.tanh(M @ h + w.W("ih") @ x + w.b("ih") + w.b("hh")),)


def _gated_antisymmetric(w: _Numbers, x: Array, h: Array, epsilon: float, gamma: float) -> tuple[Array, ...]:
    (V_z, V_h), (b_z, b_h) = w.W("ih", 2), w.b("ih", 2)
    M = w.W("hh") - w.W("hh").T - gamma * np.eye(len(h))
    z = _sigmoid(M @ h + V_z @ x + b_z)
    return (h + epsilon * z * np.tanh(M @ h + V_h @ x + b_h + w.b("hh")),)


def _bistable(w: _Numbers, x: Array, h: Array) -> tuple[Array, ...]:
    (W_a, W_c, W_h), (b_ia, b_ic, b_ih) = w.W("ih", 3), w.b("ih", 3)
    (U_a, U_c), (b_ha, b_hc) = w.W("hh", 2), w.b("hh", 2)
    if U_a.ndim == 1:
        U_a, U_c = np.diag(U_a), np.diag(U_c)
    a = 1 + np.tanh(W_a @ x + b_ia + U_a @ h + b_ha)
    c = _sigmoid(W_c @ x + b_ic + U_c @ h + b_hc)
    return (c * h + (1 - c) * np.tanh(W_h @ x + b_ih + a * h),)


def _cfn(w: _Numbers, x: Array, h: Array) -> tuple[Array, ...]:
    (V_theta, V_eta, W), (b_theta, b_eta, b) = w.W("ih", 3), w.b("ih", 3)
    (U_theta, U_eta), (d_theta, d_eta) = w.W("hh", 2), w.b("hh", 2)
    theta = _sigmoid(U_theta @ h + d_theta + V_theta @ x + b_theta)
    eta = _sigmoid(U_eta @ h + d_eta + V_eta @ x + b_eta)
    return (theta * np.tanh(h) + eta * np.tanh(W @ x + b),)


def _cornn(w: _Numbers, x: Array, y: Array, z: Array, dt: float, gamma: float, epsilon: float) -> tuple[Array, ...]:
    drive = w.W("hh") @ y + w.b("hh") + w.W("ch") @ z + w.b("ch") + w.W("ih") @ x + w.b("ih")
    z_new = z + dt * np.tanh(drive) - dt * gamma * y - dt * epsilon * z
    return y + dt * z_new, z_new


def _unicornn(w: _Numbers, x: Array, y: Array, z: Array, dt: float, alpha: float) -> tuple[Array, ...]:
    # The paper writes the logistic function so.
    scale = 0.5 + 0.5 * np.tanh(w.W("ch") / 2)
    drive = np.diag(w.W("hh")) @ y + w.b("hh") + w.W("ih") @ x + w.b("ih")
    z_new = z - dt * scale * (np.tanh(drive) + alpha * y)
    return y + dt * scale * z_new, z_new


def _fastrnn(w: _Numbers, x: Array, h: Array) -> tuple[Array, ...]:
    new = np.tanh(w.W("ih") @ x + w.b("ih") + w.W("hh") @ h + w.b("hh"))
    return (_sigmoid(w.weights["alpha"]) * new + _sigmoid(w.weights["beta"]) * h,)


def _fastgrnn(w: _Numbers, x: Array, h: Array, gate: Callable[[Array], Array]) -> tuple[Array, ...]:
    (b_iz, b_ih), (b_hz, b_hh) = w.b("ih", 2), w.b("hh", 2)
    z = gate(w.W("ih") @ x + w.W("hh") @ h + b_iz + b_hz)
    new = np.tanh(w.W("ih") @ x + w.W("hh") @ h + b_ih + b_hh)
    return ((_sigmoid(w.weights["zeta"]) * (1 - z) + _sigmoid(w.weights["nu"])) * new + z * h,)


def _indrnn(w: _Numbers, x: Array, h: Array, f: Callable[[Array], Array]) -> tuple[Array, ...]:
    return (f(w.W("ih") @ x + w.b("ih") + np.diag(w.W("hh")) @ h + w.b("hh")),)


def _irnn(w: _Numbers, x: Array, h: Array) -> tuple[Array, ...]:
    return (_relu(w.W("ih") @ x + w.b("ih") + w.W("hh") @ h + w.b("hh")),)


def _jordan(w: _Numbers, x: Array, y: Array, g: Callable[[Array], Array]) -> tuple[Array, ...]:
    n = np.tanh(w.W("ih") @ x + w.b("ih") + w.W("hh") @ y + w.b("hh"))
    return (g(w.W("hy") @ n + w.b("hy")),)


def _lem(w: _Numbers, x: Array, y: Array, z: Array, dt: float, former: bool) -> tuple[Array, ...]:
    (V_bar, V_dt, V_z, V_y), (b_bar, b_dt, b_z, b_y) = w.W("ih", 4), w.b("ih", 4)
    (U_bar, U_dt, U_z), (d_bar, d_dt, d_z) = w.W("hh", 3), w.b("hh", 3)
    dt_bar = dt * _sigmoid(U_bar @ y + d_bar + V_bar @ x + b_bar)
    dt_n = dt * _sigmoid(U_dt @ y + d_dt + V_dt @ x + b_dt)
    z_new = (1 - dt_n) * z + dt_n * np.tanh(U_z @ y + d_z + V_z @ x + b_z)
    read = w.W("ch") @ (z if former else z_new) + w.b("ch")
    return (1 - dt_bar) * y + dt_bar * np.tanh(read + V_y @ x + b_y), z_new


def _ligru(
    w: _Numbers, x: Array, h: Array, f: Callable[[Array], Array], g: Callable[[Array], Array]
) -> tuple[Array, ...]:
    (W_z, W_h), (b_z, b_h) = w.W("ih", 2), w.b("ih", 2)
    (U_z, U_h), (d_z, d_h) = w.W("hh", 2), w.b("hh", 2)
    z = g(W_z @ x + b_z + U_z @ h + d_z)
    return (z * h + (1 - z) * f(W_h @ x + b_h + U_h @ h + d_h),)


def _lightru(w: _Numbers, x: Array, h: Array) -> tuple[Array, ...]:
    (W_h, W_f), (b_h, b_f) = w.W("ih", 2), w.b("ih", 2)
    f = _sigmoid(W_f @ x + b_f + w.W("hh") @ h + w.b("hh"))
    return ((1 - f) * h + f * np.tanh(W_h @ x + b_h),)


_EQUATIONS: dict[str, tuple[Callable[..., Cell], Callable[..., tuple[Array, ...]]]] = {
    "atr": (lambda **o: ATRCell(5, **o), _atr),
    "antisymmetric": (
        lambda **o: AntisymmetricCell(5, epsilon=0.3, gamma=0.2, **o),
        lambda *a: _antisymmetric(*a, 0.3, 0.2),
    ),
    "antisymmetric_undamped": (lambda **o: AntisymmetricCell(5, **o), lambda *a: _antisymmetric(*a, 1.0, 0.0)),
    "gated_antisymmetric": (
        lambda **o: GatedAntisymmetricCell(5, epsilon=0.3, gamma=0.2, **o),
        lambda *a: _gated_antisymmetric(*a, 0.3, 0.2),
    ),
    "brc": (lambda **o: BRCCell(5, **o), _bistable),
    "nbrc": (lambda **o: NBRCCell(5, **o), _bistable),
    "cfn": (lambda **o: CFNCell(5, **o), _cfn),
    "cornn": (
        lambda **o: CoRNNCell(5, dt=0.3, gamma=1.5, epsilon=0.7, **o),
        lambda *a: _cornn(*a, 0.3, 1.5, 0.7),
    ),
    "unicornn": (lambda **o: UnICORNNCell(5, dt=0.3, alpha=0.6, **o), lambda *a: _unicornn(*a, 0.3, 0.6)),
    "fastrnn": (lambda **o: FastRNNCell(5, **o), _fastrnn),
    "fastgrnn": (lambda **o: FastGRNNCell(5, **o), lambda *a: _fastgrnn(*a, _sigmoid)),
    "fastgrnn_tanh": (
        lambda **o: FastGRNNCell(5, gate_nonlinearity="tanh", **o),
        lambda *a: _fastgrnn(*a, np.tanh),
    ),
    "indrnn": (lambda **o: IndRNNCell(5, **o), lambda *a: _indrnn(*a, np.tanh)),
    "indrnn_relu": (lambda **o: IndRNNCell(5, nonlinearity="relu", **o), lambda *a: _indrnn(*a, _relu)),
    "irnn": (lambda **o: IRNNCell(5, **o), _irnn),
    "jordan": (lambda **o: JordanCell(5, **o), lambda *a: _jordan(*a, np.tanh)),
    "jordan_wide": (
        lambda **o: JordanCell(5, output_nonlinearity="sigmoid", outputs=7, **o),
        lambda *a: _jordan(*a, _sigmoid),
    ),
    "lem": (lambda **o: LEMCell(5, dt=0.7, **o), lambda *a: _lem(*a, 0.7, False)),
    "lem_former_memory": (
        lambda **o: LEMCell(5, former_memory=True, **o),
        lambda *a: _lem(*a, 1.0, True),
    ),
    "ligru": (lambda **o: LiGRUCell(5, **o), lambda *a: _ligru(*a, _relu, _sigmoid)),
    "ligru_tanh": (
        lambda **o: LiGRUCell(5, nonlinearity="tanh", gate_nonlinearity="relu", **o),
        lambda *a: _ligru(*a, np.tanh, _relu),
    ),
    "lightru": (lambda **o: LightRUCell(5, **o), _lightru),
}
_KINDS = {make().name: type(make()) for make, _ in _EQUATIONS.values()}


def _case(cell: Cell, seed: int = 3) -> Case:
    return random_case(cell, steps=6, batch=3, features=4, seed=seed, device="cpu")


@pytest.mark.parametrize(
    ("bias", "recurrent_bias"), [(True, True), (True, False), (False, True)], ids=["biases", "one_bias", "no_bias"]
)
@pytest.mark.parametrize("name", _EQUATIONS)
def test_a_scan_equals_the_equations(name: str, bias: bool, recurrent_bias: bool) -> None:
    """Outputs and all states, from states that are not zero; a bias that is left out isn't there."""
    make_cell, equations = _EQUATIONS[name]
    case = _case(make_cell(bias=bias, recurrent_bias=recurrent_bias))
    assert ("bias_ih" in case.weights, "bias_hh" in case.weights) == (bias, bias and recurrent_bias)
    numbers, x_TBD = _Numbers(case), case.x_TBD.detach().numpy()
    expected = [np.zeros((case.steps, case.batch, size)) for size in case.cell.state_sizes]
    for b in range(case.batch):
        state = tuple(s[b].detach().numpy() for s in case.state)
        for t in range(case.steps):
            state = equations(numbers, x_TBD[t, b], *state)
            for all_steps, value in zip(expected, state, strict=True):
                all_steps[t, b] = value

    y_TBH, last, states = scan(
        case.cell, case.weights, case.x_TBD, case.state, engine=Engine.REFERENCE, all_states=True
    )

    np.testing.assert_allclose(y_TBH.detach().numpy(), expected[0], rtol=1e-12, atol=1e-12)
    for every, final, values in zip(states, last, expected, strict=True):
        np.testing.assert_allclose(every.detach().numpy(), values, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(final.detach().numpy(), values[-1], rtol=1e-12, atol=1e-12)


# The package's cell with the options that make it the one of the same name above.
_PEERS: dict[str, Callable[[int, int], torch.nn.Module]] = {
    "atr": torchrecurrent.ATRCell,
    "antisymmetric": lambda d, h: torchrecurrent.AntisymmetricRNNCell(d, h, epsilon=0.3, gamma=0.2),
    "antisymmetric_undamped": torchrecurrent.AntisymmetricRNNCell,
    "gated_antisymmetric": lambda d, h: torchrecurrent.GatedAntisymmetricRNNCell(d, h, epsilon=0.3, gamma=0.2),
    "brc": torchrecurrent.BRCell,
    "nbrc": torchrecurrent.NBRCell,
    "cfn": torchrecurrent.CFNCell,
    "cornn": lambda d, h: torchrecurrent.coRNNCell(d, h, dt=0.3, gamma=1.5, epsilon=0.7),
    "unicornn": lambda d, h: torchrecurrent.UnICORNNCell(d, h, recurrent_bias=True, dt=0.3, alpha=0.6),
    "fastrnn": torchrecurrent.FastRNNCell,
    "fastgrnn": lambda d, h: torchrecurrent.FastGRNNCell(d, h, nonlinearity="sigmoid"),
    "fastgrnn_tanh": torchrecurrent.FastGRNNCell,
    "indrnn": torchrecurrent.IndRNNCell,
    "indrnn_relu": lambda d, h: torchrecurrent.IndRNNCell(d, h, nonlinearity="relu"),
    "lem_former_memory": torchrecurrent.LEMCell,
    "ligru": torchrecurrent.LiGRUCell,
    "ligru_tanh": lambda d, h: torchrecurrent.LiGRUCell(d, h, nonlinearity="tanh", gate_nonlinearity="relu"),
    "lightru": torchrecurrent.LightRUCell,
}


def _by_peer(peer: torch.nn.Module) -> Callable[[Case], Results]:
    """The package's cell, step after step, with the weights and from the state of the case."""
    names = {"vector_u": "weight_hh"}

    def compute(case: Case) -> Results:
        weights = {name: case.weights[names.get(name, name)] for name, _ in peer.named_parameters()}
        assert {name: tuple(w.shape) for name, w in weights.items()} == {
            name: tuple(parameter.shape) for name, parameter in peer.named_parameters()
        }
        assert len(weights) == len(case.weights)
        fields = case.state._fields
        state = case.state.h if len(fields) == 1 else tuple(case.state)
        outputs = []
        for x_BD in case.x_TBD:
            state = torch.func.functional_call(peer, weights, (x_BD, state))
            outputs.append(state if len(fields) == 1 else state[0])
        finals = (state,) if len(fields) == 1 else state
        return {"y": torch.stack(outputs), **{f"final {n}": s for n, s in zip(fields, finals, strict=True)}}

    return compute


@pytest.mark.parametrize("name", _PEERS)
def test_a_cell_agrees_with_torchrecurrent(name: str) -> None:
    """Values and gradients, with the package's names and shapes of weights."""
    case = _case(_EQUATIONS[name][0](), seed=4)
    peer = _PEERS[name](4, 5).double()

    assert_same(values_and_gradients(case, by_folding), values_and_gradients(case, _by_peer(peer)), 1e-10)


def test_every_cell_that_torchrecurrent_has_is_compared() -> None:
    """The only ones without a peer are those that it lacks."""
    assert {_EQUATIONS[name][0]().name for name in _PEERS} == _KINDS.keys() - {"irnn", "jordan"}


@pytest.mark.parametrize(
    ("kind", "options"), [(LEMCell, {"former_memory": True}), (FastGRNNCell, {"gate_nonlinearity": "tanh"})]
)
def test_where_torchrecurrent_departs_from_the_paper_the_default_is_the_papers(
    kind: type[Cell], options: dict[str, Any]
) -> None:
    case = _case(kind(5))
    peer = {"lem": torchrecurrent.LEMCell, "fastgrnn": torchrecurrent.FastGRNNCell}[kind.name](4, 5).double()
    theirs = _by_peer(peer)(case)

    assert (by_folding(case)["y"] - theirs["y"]).abs().max() > 1e-3
    same = Case(kind(5, **options), case.weights, case.x_TBD, case.state)
    assert_same(by_folding(same), theirs, 1e-10)


_OPTIONS = [(name, option) for name in _KINDS for option in sorted(ALL_INNER_OPTIONS)]


@pytest.mark.parametrize(("name", "option"), _OPTIONS)
def test_an_option_acts_inside_the_step_or_is_refused(name: str, option: str) -> None:
    """A mask of ones changes nothing, one with zeros and a layer norm do."""
    kind = _KINDS[name]
    value = True if option == "layer_norm" else 0.5
    if option not in kind.inner_options:
        with pytest.raises(OptionError, match=f"{option}.*{name}"):
            kind(5, **{option: value})
        return
    case = _case(kind(5, **{option: value}))
    plain = Case(kind(5), {n: w for n, w in case.weights.items() if not n.startswith("norm_")}, case.x_TBD, case.state)
    expected = by_folding(plain)["y"]

    def outputs(masks: dict[str, torch.Tensor]) -> torch.Tensor:
        return scan(case.cell, case.weights, case.x_TBD, case.state, masks=masks, engine=Engine.REFERENCE)[0]

    if option == "layer_norm":
        assert (outputs({}) - expected).abs().max() > 1e-3
        return
    ((mask, drawn),) = case.cell.masks.items()
    ones = torch.ones((case.steps, case.batch, drawn.size)[not drawn.every_step :], dtype=torch.float64)
    torch.testing.assert_close(outputs({mask: ones}), expected, rtol=1e-12, atol=1e-12)
    assert (outputs({mask: (torch.rand_like(ones) > 0.5) * 2.0}) - expected).abs().max() > 1e-3


@pytest.mark.parametrize("name", ["atr", "brc", "indrnn", "lightru"])
def test_layer_norm_takes_each_gate_by_itself(name: str) -> None:
    """A cell that has it equals the plain one on products that were normalised before."""
    cell = _KINDS[name](5, layer_norm=True, bias=False)
    case = random_case(cell, steps=1, batch=3, features=4, seed=5, device="cpu")
    w = {n: value.detach().numpy() for n, value in case.weights.items()}
    x, h = case.x_TBD[0].detach().numpy(), case.state.h.detach().numpy()

    def normed(products: Array, gain: Array) -> Array:
        gates = products.reshape(3, -1, 5)
        gates = (gates - gates.mean(-1, keepdims=True)) / np.sqrt(gates.var(-1, keepdims=True) + 1e-5)
        return gates.reshape(products.shape) * gain

    u = normed(x @ w["weight_ih"].T, w["norm_ih"])
    vector = w["weight_hh"].ndim == 1
    v = np.tile(h, len(w["weight_hh"]) // 5) * w["weight_hh"] if vector else h @ w["weight_hh"].T
    v = normed(v, w["norm_hh"])
    # The plain cell's products, replaced one by one: W x by a bias, U h by another, with all matrices zero.
    zeros = {n: torch.zeros(shape, dtype=torch.float64) for n, shape in _KINDS[name](5).weight_shapes(4).items()}
    rows = []
    for b in range(3):
        biases = {"bias_ih": torch.from_numpy(u[b]), "bias_hh": torch.from_numpy(v[b])}
        row = type(case.state)(case.state.h[b : b + 1])
        plain = _KINDS[name](5)
        rows.append(plain.step(zeros | biases, plain.project(zeros | biases, case.x_TBD[0, b : b + 1]), row)[0])

    y_BH, _ = cell.step(case.weights, cell.project(case.weights, case.x_TBD[0]), case.state)

    torch.testing.assert_close(y_BH, torch.cat(rows), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", _KINDS.values(), ids=_KINDS)
def test_gates_name_the_rows_of_the_weights(kind: type[Cell]) -> None:
    cell = kind(5)
    shapes = cell.weight_shapes(4)

    assert shapes["weight_ih"] == (5 * len(cell.gate_names), 4)
    assert shapes["weight_hh"] == (5 * len(cell.recurrent_gate_names), *(() if cell.diagonal else (5,)))
    assert {*cell.keep_gates, *cell.write_gates, *cell.recurrent_gate_names} <= set(cell.gate_names)
    assert cell.title
    assert cell.citation


@pytest.mark.parametrize("name", [name for name, kind in _KINDS.items() if kind.keep_gates])
def test_keep_gates_keep_the_state(name: str) -> None:
    """Saturated by their biases, the keep gates hold every state for a step; write gates are shut as well."""
    cell = _KINDS[name](5)
    case = _case(cell)
    bias = case.weights["bias_ih"].detach().clone()
    shut = {**dict.fromkeys(cell.write_gates, -1), **cell.keep_gates}
    for gate, direction in shut.items():
        rows = cell.gate_names.index(gate) * 5
        bias[rows : rows + 5] = 80.0 * direction
    weights = case.weights | {"bias_ih": bias}

    _, after = cell.step(weights, cell.project(weights, case.x_TBD[0]), case.state)

    for new, old in zip(after, case.state, strict=True):
        expected = torch.tanh(old) if name == "cfn" else old
        torch.testing.assert_close(new, expected, rtol=1e-12, atol=1e-12)


def _initialised(cell: Cell) -> dict[str, torch.Tensor]:
    weights = {name: torch.full(shape, torch.nan) for name, shape in cell.weight_shapes(400).items()}
    cell.initialise(weights)
    return weights


@pytest.mark.parametrize("kind", _KINDS.values(), ids=_KINDS)
def test_all_weights_are_initialised(kind: type[Cell]) -> None:
    """Uniform in ±1/√H, but for what the docstrings say."""
    cell = kind(100)
    special = {
        "indrnn": ["weight_hh"],
        "unicornn": ["weight_hh", "weight_ch"],
        "irnn": ["weight_ih", "weight_hh", "bias_ih", "bias_hh"],
        "fastrnn": ["alpha", "beta"],
        "fastgrnn": ["zeta", "nu"],
    }
    for name, weight in _initialised(cell).items():
        assert torch.isfinite(weight).all()
        if name not in special.get(cell.name, []):
            assert 0.08 < weight.abs().max() <= 0.1


def test_published_initial_values() -> None:
    irnn = _initialised(IRNNCell(100))
    torch.testing.assert_close(irnn["weight_hh"], torch.eye(100), rtol=0, atol=0)
    assert not irnn["bias_ih"].any()
    assert not irnn["bias_hh"].any()
    assert 0.0009 < irnn["weight_ih"].std() < 0.0011
    assert set(_initialised(IRNNCell(3, bias=False))) == {"weight_ih", "weight_hh"}

    oscillators = _initialised(UnICORNNCell(100))
    assert oscillators["weight_ch"].abs().max() <= 0.1
    for vector in (oscillators["weight_hh"], _initialised(IndRNNCell(100))["weight_hh"]):
        assert 0 <= vector.min() < 0.1
        assert 0.9 < vector.max() <= 1

    fast, gated = _initialised(FastRNNCell(3, beta_init=2.0)), _initialised(FastGRNNCell(3, nu_init=-4.0))
    assert (fast["alpha"].item(), fast["beta"].item()) == (3, 2)
    assert (gated["zeta"].item(), gated["nu"].item()) == (3, -4)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (AntisymmetricCell, {"epsilon": 0.0}),
        (AntisymmetricCell, {"nonlinearity": "cube"}),
        (GatedAntisymmetricCell, {"gamma": -0.1}),
        (CoRNNCell, {"dt": float("nan")}),
        (CoRNNCell, {"gamma": -1.0}),
        (CoRNNCell, {"epsilon": -1.0}),
        (UnICORNNCell, {"dt": -0.1}),
        (UnICORNNCell, {"alpha": -0.1}),
        (FastRNNCell, {"nonlinearity": "cube"}),
        (FastRNNCell, {"alpha_init": float("inf")}),
        (FastRNNCell, {"beta_init": float("nan")}),
        (FastGRNNCell, {"gate_nonlinearity": "cube"}),
        (FastGRNNCell, {"zeta_init": float("inf")}),
        (FastGRNNCell, {"nu_init": float("inf")}),
        (IndRNNCell, {"nonlinearity": "cube"}),
        (IRNNCell, {"nonlinearity": "cube"}),
        (JordanCell, {"nonlinearity": "cube"}),
        (JordanCell, {"output_nonlinearity": "cube"}),
        (JordanCell, {"outputs": -1}),
        (LEMCell, {"dt": 0.0}),
        (LiGRUCell, {"nonlinearity": "cube"}),
        (LiGRUCell, {"gate_nonlinearity": "cube"}),
    ],
)
def test_an_option_that_makes_no_sense_is_an_error_that_names_it(kind: type[Cell], options: dict[str, Any]) -> None:
    ((option, _),) = options.items()
    with pytest.raises(OptionError, match=f"^{option}="):
        kind(5, **options)
