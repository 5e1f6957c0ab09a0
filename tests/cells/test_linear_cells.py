"""Cells that are linear in their state, or element by element: each against its published equations, stated again in NumPy.

minGRU, minLSTM, QRNN, SRU, HGRN, LRU, RG-LRU: from states that are not zero, on every engine that can serve. For minGRU and
minLSTM the parallel form of their paper, in logarithms, too.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from laws import Case, assert_same, random_case
from torch.nn import functional

from elman.cells import Cell
from elman.cells.hgrn import HGRNCell
from elman.cells.lru import LRUCell
from elman.cells.mingru import MinGRUCell, MinLSTMCell
from elman.cells.qrnn import QRNNCell
from elman.cells.rglru import RGLRUCell
from elman.cells.sru import SRUCell
from elman.engines import Engine, native, own, scan
from elman.errors import OptionError
from elman.layers import layers_of

Array = np.ndarray
Weights = dict[str, Array]
H, D, T, B = 5, 3, 7, 2


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def g(v: Array) -> Array:
    return np.where(v >= 0, v + 0.5, sigmoid(v))


def affine(w: Weights, x: Array, kind: str = "ih") -> Array:
    product = w[f"weight_{kind}"] @ x
    return product + w[f"bias_{kind}"] if f"bias_{kind}" in w else product


# Each yields y, and its state, for every step of one row x (T, D).
Equations = Callable[..., Iterator[tuple[Array, tuple[Array, ...]]]]


def mingru(w: Weights, xs: Array, h: Array, phi=lambda v: v) -> Iterator:
    for x in xs:
        z, v = np.split(affine(w, x), 2)
        h = (1 - sigmoid(z)) * h + sigmoid(z) * phi(v)
        yield h, (h,)


def minlstm(w: Weights, xs: Array, h: Array, phi=lambda v: v, normalised: bool = True) -> Iterator:
    for x in xs:
        f, i, v = np.split(affine(w, x), 3)
        f, i = sigmoid(f), sigmoid(i)
        total = f + i if normalised else 1
        h = f / total * h + i / total * phi(v)
        yield h, (h,)


def hgrn(w: Weights, xs: Array, h: Array, bound: float = 0.0) -> Iterator:
    for x in xs:
        f, i, o = np.split(affine(w, x), 3)
        f = bound + (1 - bound) * sigmoid(f)
        h = f * h + (1 - f) * i * sigmoid(i)
        yield sigmoid(o) * h, (h,)


def qrnn(w: Weights, xs: Array, c: Array, pooling: str = "fo") -> Iterator:
    for x in xs:
        z, f, *others = np.split(affine(w, x), 2 + len(pooling) - 1)
        f, others = sigmoid(f), [sigmoid(gate) for gate in others]
        c = f * c + (others[1] if pooling == "ifo" else 1 - f) * np.tanh(z)
        yield (others[0] * c if others else c), (c,)


def sru(w: Weights, xs: Array, c: Array, phi=lambda v: v, alpha: float = 1.0) -> Iterator:
    v_f, v_r = np.split(w.get("weight_ph", np.zeros(2 * H)), 2)
    for x in xs:
        z, f, r, *highway = np.split(w["weight_ih"] @ x, len(w["weight_ih"]) // H)
        b_z, b_f, b_r = np.split(w.get("bias_ih", np.zeros(3 * H)), 3)
        f, r = sigmoid(f + v_f * c + b_f), sigmoid(r + v_r * c + b_r)
        c = f * c + (1 - f) * (z + b_z)
        yield r * phi(c) + (1 - r) * (highway[0] if highway else alpha * x), (c,)


def lru(w: Weights, xs: Array, re: Array, im: Array) -> Iterator:
    """In complex numbers."""
    eigenvalues = np.exp(-np.exp(w["nu"]) + 1j * np.exp(w["theta"]))
    b_matrix = w["weight_ih"][:H] + 1j * w["weight_ih"][H:]
    c_matrix = w["weight_hy"][:, :H] + 1j * w["weight_hy"][:, H:]
    bias = w["bias_ih"][:H] + 1j * w["bias_ih"][H:] if "bias_ih" in w else 0
    h = re + 1j * im
    for x in xs:
        h = eigenvalues * h + np.exp(w["gamma"]) * (b_matrix @ x + bias)
        direct = w["weight_d"] * x if w["weight_d"].ndim == 1 else w["weight_d"] @ x
        yield (c_matrix @ h).real + direct, (h.real, h.imag)


def rglru(w: Weights, xs: Array, h: Array, past: Array | None = None) -> Iterator:
    former = [] if past is None else np.split(past, len(past) // H)
    taps = np.ones((1, H)) if past is None else w["weight_conv"].reshape(-1, H)
    for x in xs:
        former = [affine(w, x), *former][: len(taps)]
        x_conv = sum(tap * v for tap, v in zip(taps, former, strict=True)) + w.get("bias_conv", 0)
        r, i = np.split(sigmoid(affine(w, x_conv, "gates")), 2)
        # The paper's a = σ(Λ')^{c r}; its Λ' is our -Λ.
        a = sigmoid(-w["decay"]) ** (8 * r)
        h = a * h + np.sqrt(1 - a**2) * i * x_conv
        rest = former[: len(taps) - 1]
        yield h, (h,) if past is None else (h, np.concatenate(rest))


@dataclass(frozen=True)
class Published:
    """A cell, its equations with their settings, and the size of its input."""

    cell: Cell
    equations: Equations
    settings: dict[str, Any]
    features: int = D


CASES: dict[str, Published] = {
    "mingru": Published(MinGRUCell(H), mingru, {}),
    "mingru_positive": Published(MinGRUCell(H, nonlinearity="positive"), mingru, {"phi": g}),
    "minlstm": Published(MinLSTMCell(H), minlstm, {}),
    "minlstm_positive": Published(MinLSTMCell(H, nonlinearity="positive"), minlstm, {"phi": g}),
    "minlstm_tanh_plain": Published(
        MinLSTMCell(H, nonlinearity="tanh", normalised=False), minlstm, {"phi": np.tanh, "normalised": False}
    ),
    "hgrn": Published(HGRNCell(H), hgrn, {}),
    "hgrn_bound": Published(HGRNCell(H, lower_bound=0.6), hgrn, {"bound": 0.6}),
    "qrnn": Published(QRNNCell(H), qrnn, {}),
    "qrnn_f": Published(QRNNCell(H, pooling="f"), qrnn, {"pooling": "f"}),
    "qrnn_ifo": Published(QRNNCell(H, pooling="ifo"), qrnn, {"pooling": "ifo"}),
    "sru": Published(SRUCell(H), sru, {}),
    "sru_highway": Published(SRUCell(H), sru, {}, H),
    "sru_rescaled": Published(
        SRUCell(H, rescale=True, highway_bias=-1.5), sru, {"alpha": np.sqrt(1 + 2 * np.exp(-1.5))}, H
    ),
    "sru_first": Published(SRUCell(H, peepholes=False, nonlinearity="tanh"), sru, {"phi": np.tanh}, H),
    "lru": Published(LRUCell(H), lru, {}),
    "lru_square": Published(LRUCell(H), lru, {}, H),
    "rglru": Published(RGLRUCell(H), rglru, {}),
    "rglru_pairs": Published(RGLRUCell(H, conv_width=2), rglru, {}),
    "rglru_alone": Published(RGLRUCell(H, conv_width=1), rglru, {}),
}
every_case = pytest.mark.parametrize("name", CASES)


def case_of(cell: Cell, features: int = D) -> Case:
    return random_case(cell, T, B, features, 3, "cpu")


def arrays(case: Case) -> Weights:
    return {name: weight.detach().numpy() for name, weight in case.weights.items()}


def engines_of(cell: Cell) -> list[Engine]:
    able = {Engine.REFERENCE: None, Engine.NATIVE: native.why_not(cell), Engine.SCAN: own.why_not(cell)}
    return [engine for engine, refusal in able.items() if refusal is None]


@pytest.mark.parametrize("bias", [True, False])
@every_case
def test_a_scan_equals_the_published_equations(name: str, bias: bool) -> None:
    """Outputs and the final state, from a state that is not zero."""
    published = CASES[name]
    case = case_of(replace(published.cell, bias=bias), published.features)
    assert any(weight.startswith("bias") for weight in case.weights) == bias
    expected, finals = np.zeros((T, B, H)), []
    for b in range(B):
        state = [s[b].detach().numpy() for s in case.state]
        xs = case.x_TBD[:, b].detach().numpy()
        steps = list(published.equations(arrays(case), xs, *state, **published.settings))
        expected[:, b] = [y for y, _ in steps]
        finals.append(steps[-1][1])
    wanted = dict(zip(case.state._fields, map(np.stack, zip(*finals, strict=True)), strict=True)) | {"y": expected}

    engines = engines_of(case.cell)
    assert len(engines) > 1
    for engine in engines:
        y_TBH, last = scan(case.cell, case.weights, case.x_TBD, case.state, engine=engine)

        assert_same(
            {**last._asdict(), "y": y_TBH}, {key: torch.from_numpy(value) for key, value in wanted.items()}, 1e-12
        )


def in_logarithms(log_keep: Array, log_added: Array, h: Array) -> Array:
    """The paper's parallel form, for rows (T, H): log h_t = A_t + log(h_0 + Σ_{s≤t} e^{b_s - A_s}), where A sums log f."""
    with np.errstate(divide="ignore"):
        start = np.log(h)[None]
    sums = np.concatenate([np.zeros_like(start), np.cumsum(log_keep, axis=0)])
    terms = np.concatenate([start, log_added]) - sums
    return np.exp(sums + np.logaddexp.accumulate(terms, axis=0))[1:]


def log_sigmoid(x: Array) -> Array:
    return -np.logaddexp(0, -x)


def log_g(v: Array) -> Array:
    return np.where(v >= 0, np.log(np.maximum(v, 0) + 0.5), log_sigmoid(v))


@pytest.mark.parametrize("start", [0.0, 1.0], ids=["zero", "positive"])
@pytest.mark.parametrize("kind", [MinGRUCell, MinLSTMCell])
def test_a_scan_equals_the_parallel_form_in_logarithms(kind: type[MinGRUCell | MinLSTMCell], start: float) -> None:
    case = case_of(kind(H, nonlinearity="positive"))
    state = case.state._replace(h=start * (case.state.h.detach().abs() + 0.1))
    w = arrays(case)
    expected = np.zeros((T, B, H))
    for b in range(B):
        sums = case.x_TBD[:, b].detach().numpy() @ w["weight_ih"].T + w["bias_ih"]
        if kind is MinGRUCell:
            z, v = np.split(sums, 2, axis=1)
            keep, add = log_sigmoid(-z), log_sigmoid(z)
        else:
            f, i, v = np.split(sums, 3, axis=1)
            apart = log_sigmoid(f) - log_sigmoid(i)
            keep, add = log_sigmoid(apart), log_sigmoid(-apart)
        expected[:, b] = in_logarithms(keep, add + log_g(v), state.h[b].numpy())

    for engine in engines_of(case.cell):
        y_TBH, _ = scan(case.cell, case.weights, case.x_TBD, state, engine=engine)

        assert_same({"y": y_TBH}, {"y": torch.from_numpy(expected)}, 1e-10)


@pytest.mark.parametrize("pooling", ["f", "fo", "ifo"])
@pytest.mark.parametrize("window", [2, 4])
def test_a_window_is_a_convolution_over_the_inputs(window: int, pooling: str) -> None:
    """Of former inputs that the state carries as their products."""
    case = case_of(QRNNCell(H, pooling=pooling, window=window))
    w = arrays(case)
    lags = np.split(w["weight_past"], window - 1)
    generator = np.random.default_rng(0)
    former_BTD = generator.normal(size=(B, window, D))

    def known(xs: Array) -> Array:
        """What the next steps have of inputs that end with xs."""
        return np.concatenate(
            [sum(lags[m - 1] @ xs[j - m - 1] for m in range(j, window)) for j in range(1, window)], dtype=np.float64
        )

    p = torch.from_numpy(np.stack([known(xs) for xs in former_BTD]))
    y_TBH, last = scan(case.cell, case.weights, case.x_TBD, case.state._replace(p=p), engine=Engine.REFERENCE)

    matrix = np.concatenate([w["weight_ih"], *lags], axis=1)
    for b in range(B):
        xs = np.concatenate([former_BTD[b], case.x_TBD[:, b].detach().numpy()])
        wide = np.stack([np.concatenate([xs[t - m] for m in range(window)]) for t in range(window, window + T)])
        steps = qrnn(w | {"weight_ih": matrix}, wide, case.state.c[b].detach().numpy(), pooling)
        found = list(steps)
        np.testing.assert_allclose(y_TBH[:, b].detach(), [y for y, _ in found], rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(last.c[b].detach(), found[-1][1][0], rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(last.p[b].detach(), known(xs), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("engine", [Engine.REFERENCE, Engine.NATIVE])
def test_the_convolution_of_the_rglru_is_pytorchs(engine: Engine) -> None:
    """Seen where both gates are open and the decay is so fast that h is x'."""
    case = case_of(RGLRUCell(H))
    w = case.weights | {
        "weight_gates": torch.zeros(2 * H, H, dtype=torch.float64),
        "bias_gates": torch.full((2 * H,), 40.0, dtype=torch.float64),
        "decay": torch.full((H,), 40.0, dtype=torch.float64),
    }
    v_BHT = functional.linear(case.x_TBD, w["weight_ih"], w["bias_ih"]).permute(1, 2, 0)
    # conv1d takes the oldest first.
    taps = w["weight_conv"].view(4, H).flip(0).T.unsqueeze(1)
    before = case.state.past.view(B, 3, H).flip(1).transpose(1, 2)
    zero = case.state._replace(past=torch.zeros_like(case.state.past))

    for state, past in ((zero, torch.zeros_like(before)), (case.state, before)):
        y_TBH, last = scan(case.cell, w, case.x_TBD, state, engine=engine)
        expected = functional.conv1d(torch.cat([past, v_BHT], dim=2), taps, w["bias_conv"], groups=H)

        assert_same({"y": y_TBH}, {"y": expected.permute(2, 0, 1)}, 1e-12)
        newest = torch.cat([v_BHT[:, :, -1 - lag] for lag in range(3)], dim=1)
        assert_same({"past": last.past}, {"past": newest}, 1e-12)


@pytest.mark.parametrize("name", ["mingru", "minlstm", "hgrn", "qrnn_ifo"])
def test_layer_norm_takes_each_gate_of_the_input(name: str) -> None:
    published = CASES[name]
    case = case_of(replace(published.cell, layer_norm=True))
    gates = len(case.cell.gate_names)
    sums = functional.linear(case.x_TBD, case.weights["weight_ih"]).unflatten(-1, (gates, H))
    normed = functional.layer_norm(sums, (H,)).flatten(-2) * case.weights["norm_ih"] + case.weights["bias_ih"]
    # The gates themselves as inputs.
    plain = {**case.weights, "weight_ih": torch.eye(gates * H, dtype=torch.float64), "bias_ih": torch.zeros(gates * H)}
    plain = {key: weight.double() for key, weight in plain.items() if key != "norm_ih"}

    for engine in (Engine.REFERENCE, Engine.NATIVE):
        y_TBH, _ = scan(case.cell, case.weights, case.x_TBD, case.state, engine=engine)
        expected, _ = scan(published.cell, plain, normed, case.state, engine=Engine.REFERENCE)

        assert_same({"y": y_TBH}, {"y": expected}, 1e-12)
    assert "norm_hh" not in case.weights


def test_a_minlstm_whose_gates_are_both_shut_is_a_mean() -> None:
    """f / (f + i) would be 0 / 0 in float32."""
    case = case_of(MinLSTMCell(H)).to(torch.float32)
    shut = case.weights["bias_ih"].detach().clone()
    shut[: 2 * H] = -200.0
    weights = case.weights | {"bias_ih": shut, "weight_ih": torch.zeros(3 * H, D)}

    y_TBH, _ = scan(case.cell, weights, case.x_TBD[:1], case.state, engine=Engine.REFERENCE)

    torch.testing.assert_close(y_TBH[0], (case.state.h + shut[2 * H :]) / 2)


@pytest.mark.parametrize("engine", [Engine.REFERENCE, Engine.NATIVE])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_shut_gate_of_the_rglru_keeps_the_state_and_has_gradients(engine: Engine, dtype: torch.dtype) -> None:
    case = case_of(RGLRUCell(H)).to(dtype)
    shut = torch.cat([torch.full((H,), -1000.0), torch.zeros(H)]).to(dtype)
    weights = case.weights | {"bias_gates": shut.requires_grad_()}

    y_TBH, last = scan(case.cell, weights, case.x_TBD, case.state, engine=engine)
    found = torch.autograd.grad(y_TBH.sum(), [*weights.values(), case.x_TBD, *case.state])

    torch.testing.assert_close(last.h, case.state.h, rtol=0, atol=1e-4)
    assert all(gradient.isfinite().all() for gradient in found)


def test_the_part_of_a_scan_of_its_own_is_run_by_the_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not step by step: the reference is out of order."""
    monkeypatch.setattr("elman.engines.reference.scan", None)
    case, ran = case_of(LRUCell(H)), []

    def counted(*given: Any, **options: Any) -> Any:
        ran.append(given[0])
        return scan(*given, **options)

    own.scan(case.cell, case.weights, case.x_TBD, case.state, run=counted)

    assert len(ran) == 1


@pytest.mark.usefixtures("unchecked_types")
def test_a_scan_of_its_own_has_second_derivatives() -> None:
    cell = LRUCell(3)
    case = random_case(cell, 3, 2, 2, 1, "cpu")
    leaves = case.leaves()

    def run(*values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        given = case.with_leaves(dict(zip(leaves, values, strict=True)))
        y_TBH, last = scan(cell, given.weights, given.x_TBD, given.state, engine=Engine.SCAN)
        return y_TBH, *last

    assert torch.autograd.gradgradcheck(run, tuple(leaves.values()))


@pytest.mark.usefixtures("unchecked_types")
def test_a_layer_with_a_scan_of_its_own_is_exported() -> None:
    layer, x_TBD = layers_of("lru", D, H), torch.randn(T, B, D)
    assert layer.engine is Engine.SCAN

    exported, _ = torch.export.export(layer, (x_TBD,)).module()(x_TBD)

    torch.testing.assert_close(exported, layer(x_TBD)[0])


def initialised(cell: Cell, features: int = D, dtype: torch.dtype = torch.float64) -> dict[str, torch.Tensor]:
    weights = {name: torch.full(shape, torch.nan, dtype=dtype) for name, shape in cell.weight_shapes(features).items()}
    cell.initialise(weights)
    return weights


@pytest.mark.parametrize("ring", [(0.9, 0.999, 2 * np.pi), (0.5, 0.5, 0.1), (0.0, 1.0, 6.28)], ids=str)
def test_the_lru_starts_on_its_ring(ring: tuple[float, float, float]) -> None:
    r_min, r_max, most = ring
    w = initialised(LRUCell(2000, r_min=r_min, r_max=r_max, max_phase=most))
    radius, phase = torch.exp(-torch.exp(w["nu"])), torch.exp(w["theta"])

    assert r_min - 1e-12 <= radius.min() <= radius.max() <= r_max
    assert 0 < phase.min() < 0.01 * most < 0.99 * most < phase.max() <= most + 1e-12
    # By area: the mean of |λ|² is that of its limits.
    torch.testing.assert_close(radius.square().mean().item(), (r_min**2 + r_max**2) / 2, rtol=0.05, atol=0)
    torch.testing.assert_close(torch.exp(w["gamma"]), torch.sqrt(1 - radius**2), rtol=1e-6, atol=0)
    assert not w["bias_ih"].any()


@pytest.mark.parametrize(("features", "shape", "deviation"), [(D, (2000, D), D**-0.5), (2000, (2000,), 1.0)])
def test_matrices_of_the_lru_keep_the_size_of_what_they_read(features: int, shape: tuple, deviation: float) -> None:
    w = initialised(LRUCell(2000), features, torch.float32)

    assert w["weight_d"].shape == shape
    for name, wanted in {"weight_ih": (2 * features) ** -0.5, "weight_hy": 2000**-0.5, "weight_d": deviation}.items():
        torch.testing.assert_close(w[name].std().item(), wanted, rtol=0.06, atol=0)


def test_the_decay_of_the_rglru_is_uniform_between_its_limits() -> None:
    w = initialised(RGLRUCell(2000))
    fastest = torch.exp(-8 * functional.softplus(w["decay"]))

    assert 0.9 <= fastest.min() < 0.901
    assert 0.998 < fastest.max() <= 0.999
    torch.testing.assert_close(fastest.mean().item(), 0.9495, rtol=0, atol=0.003)
    for name in ("weight_conv", "bias_conv"):
        assert 0.45 < w[name].abs().max() <= 0.5


def test_the_highway_of_the_sru_starts_with_its_bias() -> None:
    b_z, b_f, b_r = initialised(SRUCell(H, highway_bias=-2.0))["bias_ih"].chunk(3)

    assert not b_z.any()
    assert not b_f.any()
    assert (b_r == -2).all()


@pytest.mark.parametrize(
    ("name", "kept"),
    [("mingru", {"z": -3.0}), ("minlstm", {"f": 3.0}), ("qrnn", {"f": 3.0}), ("sru", {"f": 3.0}), ("hgrn", {"f": 3.0})],
)
def test_gates_can_be_opened_for_long_memory(name: str, kept: dict[str, float]) -> None:
    opened, lasting = layers_of(name, D, H, forget_bias=3.0), layers_of(name, D, H, chrono=50.0)

    for gate, value in kept.items():
        place = opened.cell.gate_names.index(gate)
        assert (opened.bias_ih_l0.chunk(len(opened.cell.gate_names))[place] == value).all()
        biases = lasting.bias_ih_l0.chunk(len(opened.cell.gate_names))[place] * np.sign(value)
        assert ((biases >= 0) & (biases <= np.log(49))).all()
    if name == "minlstm":
        f, i, _ = lasting.bias_ih_l0.chunk(3)
        assert torch.equal(f, -i)


@pytest.mark.parametrize("name", ["lru", "rglru"])
def test_what_has_no_such_gate_says_so(name: str) -> None:
    with pytest.raises(OptionError, match=f"the cell '{name}' has no gate that keeps its state"):
        layers_of(name, D, H, forget_bias=1.0)
    with pytest.raises(OptionError, match=f"the cell '{name}' has no recurrent weights"):
        layers_of(name, D, H, init="orthogonal")


def test_records_of_inputs_are_zoned_out_only_if_asked() -> None:
    for cell in (QRNNCell(H, window=2, zoneout=0.25), RGLRUCell(H, zoneout=0.25)):
        assert cell.zoneout_rates == (0.25, 0.0)
        assert replace(cell, zoneout=(0.25, 0.5)).zoneout_rates == (0.25, 0.5)
    for cell in (QRNNCell(H, zoneout=0.25), RGLRUCell(H, conv_width=1, zoneout=0.25)):
        assert cell.zoneout_rates == (0.25,)


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (MinGRUCell, {"nonlinearity": "sine"}, "nonlinearity='sine' is not known"),
        (MinLSTMCell, {"nonlinearity": "sine"}, "nonlinearity='sine' is not known"),
        (HGRNCell, {"lower_bound": 1.0}, "lower_bound=1.0 must be a probability"),
        (QRNNCell, {"pooling": "of"}, "pooling='of' is not known: choose from f, fo, ifo"),
        (QRNNCell, {"window": 0}, "window=0 must be a whole number of at least 1"),
        (SRUCell, {"nonlinearity": "sine"}, "nonlinearity='sine' is not known"),
        (SRUCell, {"highway_bias": float("nan")}, "highway_bias=nan must be a finite number"),
        (LRUCell, {"r_min": -0.1}, "r_min=-0.1 must be a number of at least 0"),
        (LRUCell, {"r_max": 1.1}, "r_max=1.1 must be a number of at most 1"),
        (LRUCell, {"r_min": 0.5, "r_max": 0.4}, "r_min=0.5 must be at most r_max=0.4"),
        (LRUCell, {"max_phase": 0.0}, "max_phase=0.0 must be a number above 0"),
        (RGLRUCell, {"conv_width": 0}, "conv_width=0 must be a whole number of at least 1"),
        (RGLRUCell, {"layer_norm": True}, "layer_norm=True: the cell 'rglru' has no place for it"),
    ],
)
@pytest.mark.usefixtures("unchecked_types")
def test_options_that_make_no_sense_are_named(kind: type[Cell], options: dict, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        kind(H, **options)
