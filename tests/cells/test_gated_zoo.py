"""Cells with gates from the papers: each against its equations stated again in NumPy, and against torchrecurrent's cell.

MGU, MiRU, MinimalRNN, MUT, JANET, RAN, SCRN, SGRN, SGU, STAR, UGRNN, τ-GRU.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
import torchrecurrent
from laws import Case, Results, assert_same, random_case, values_and_gradients
from torch import Tensor

from elman.cells.cell import ALL_INNER_OPTIONS, Cell, Mask
from elman.cells.delayed import TauGRUCell
from elman.cells.janet import JANETCell
from elman.cells.mgu import MGUCell, MiRU1Cell, MiRU2Cell
from elman.cells.minimal import MinimalRNNCell
from elman.cells.mut import MUT1Cell, MUT2Cell, MUT3Cell
from elman.cells.ran import RANCell
from elman.cells.scrn import SCRNCell
from elman.cells.sgrn import SGRNCell
from elman.cells.sgu import DSGUCell, SGUCell
from elman.cells.star import STARCell
from elman.cells.ugrnn import UGRNNCell
from elman.engines import Engine, scan
from elman.errors import OptionError

Array = np.ndarray
HIDDEN, FEATURES, BATCH, STEPS = 5, 3, 2, 7


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def relu(x: Array) -> Array:
    return np.maximum(x, 0)


def hard_sigmoid(x: Array) -> Array:
    return np.minimum(np.maximum(x / 6 + 0.5, 0), 1)


class Sums:
    """W_k x + b_k and U_k h + b_k of single gates, from arrays."""

    def __init__(self, weights: dict[str, Array]) -> None:
        self.weights = weights

    def of(self, kind: str, gate: int, values: Array) -> Array:
        """Gate number `gate` of `weight_KIND` and `bias_KIND`; without a bias where there is none."""
        size = HIDDEN
        rows = slice(gate * size, (gate + 1) * size)
        total = self.weights[f"weight_{kind}"][rows] @ values
        return total + self.weights[f"bias_{kind}"][rows] if f"bias_{kind}" in self.weights else total

    def x(self, gate: int, values: Array) -> Array:
        return self.of("ih", gate, values)

    def h(self, gate: int, values: Array) -> Array:
        return self.of("hh", gate, values)


def mgu(s: Sums, x: Array, h: Array, phi=np.tanh, gate=sigmoid) -> tuple[Array]:
    f = gate(s.x(0, x) + s.h(0, h))
    return ((1 - f) * h + f * phi(s.x(1, x) + s.h(1, f * h)),)


def miru1(s: Sums, x: Array, h: Array, update: float = 0.5) -> tuple[Array]:
    r = sigmoid(s.x(0, x) + s.h(0, h))
    return (update * h + (1 - update) * np.tanh(s.x(1, x) + s.h(1, r * h)),)


def miru2(s: Sums, x: Array, h: Array, update: float = 0.5, reset: float = 0.5) -> tuple[Array]:
    return (update * h + (1 - update) * np.tanh(s.x(0, x) + s.h(0, reset * h)),)


def minimalrnn(s: Sums, x: Array, h: Array) -> tuple[Array]:
    z = np.tanh(s.x(0, x))
    u = sigmoid(s.h(0, h) + s.weights["weight_mm"] @ z)
    return (u * h + (1 - u) * z,)


def mut1(s: Sums, x: Array, h: Array) -> tuple[Array]:
    z = sigmoid(s.x(0, x))
    r = sigmoid(s.x(1, x) + s.h(0, h))
    return (np.tanh(s.h(1, r * h) + np.tanh(s.x(2, x))) * z + h * (1 - z),)


def mut2(s: Sums, x: Array, h: Array, seen: Callable[[Array], Array] = lambda h: h) -> tuple[Array]:
    z = sigmoid(s.x(0, x) + s.h(0, seen(h)))
    r = sigmoid(s.x(1, x) + s.h(1, h))
    return (np.tanh(s.h(2, r * h) + s.x(2, x)) * z + h * (1 - z),)


def janet(s: Sums, x: Array, h: Array) -> tuple[Array]:
    pre = s.x(0, x) + s.h(0, h)
    g = np.tanh(s.x(1, x) + s.h(1, h))
    return (sigmoid(pre) * h + (1 - sigmoid(pre - s.weights["beta"][0])) * g,)


def ran(s: Sums, x: Array, h: Array, c: Array, phi=np.tanh) -> tuple[Array, Array]:
    i = sigmoid(s.x(1, x) + s.h(0, h))
    f = sigmoid(s.x(2, x) + s.h(1, h))
    c = i * s.x(0, x) + f * c
    return phi(c), c


def scrn(s: Sums, x: Array, h: Array, context: Array) -> tuple[Array, Array]:
    alpha = s.weights["alpha"][0]
    context = (1 - alpha) * s.x(0, x) + alpha * context
    g = sigmoid(s.of("ch", 0, context) + s.x(1, x) + s.h(0, h))
    return np.tanh(s.h(1, g) + s.of("ch", 1, context)), context


def sgrn(s: Sums, x: Array, h: Array) -> tuple[Array]:
    f = sigmoid(s.x(0, x) + s.h(0, h))
    return (np.tanh((1 - f) * s.x(0, x) + f * h),)


def sgu(s: Sums, x: Array, h: Array, psi=lambda x: np.log1p(np.exp(x)), gate=hard_sigmoid) -> tuple[Array]:
    o = np.tanh(s.h(0, s.x(0, x) * h)) * h
    o = psi(s.weights["weight_ho"] @ o if "weight_ho" in s.weights else o)
    z = gate(s.x(1, x) + s.h(1, h))
    return ((1 - z) * h + z * o,)


def star(s: Sums, x: Array, h: Array) -> tuple[Array]:
    k = sigmoid(s.x(1, x) + s.h(0, h))
    return (np.tanh((1 - k) * h + k * np.tanh(s.x(0, x))),)


def ugrnn(s: Sums, x: Array, h: Array) -> tuple[Array]:
    c = np.tanh(s.x(0, x) + s.h(0, h))
    g = sigmoid(s.x(1, x) + s.h(1, h))
    return (g * h + (1 - g) * c,)


def taugru(s: Sums, x: Array, h: Array, past: Array, phi=np.tanh, gate=sigmoid) -> tuple[Array, Array]:
    delayed = past[: len(h)]
    u, z = phi(s.x(0, x) + s.h(0, h)), phi(s.x(1, x) + s.h(1, delayed))
    g, a = gate(s.x(2, x) + s.h(2, h)), gate(s.x(3, x) + s.h(3, h))
    return (1 - g) * h + g * (u + a * z), np.concatenate([past[len(h) :], h])


# Name of a case: (cell, its equations, torchrecurrent's class and options).
CASES: dict[str, tuple[Cell, Callable, str, dict]] = {
    "mgu": (MGUCell(HIDDEN), mgu, "MGUCell", {}),
    "mgu_relu": (
        MGUCell(HIDDEN, nonlinearity="relu", gate_nonlinearity="hard_sigmoid"),
        lambda s, x, h: mgu(s, x, h, relu, hard_sigmoid),
        "MGUCell",
        {"nonlinearity": "relu", "gate_nonlinearity": "hard_sigmoid"},
    ),
    "miru1": (MiRU1Cell(HIDDEN), miru1, "MiRU1Cell", {}),
    "miru1_0.8": (
        MiRU1Cell(HIDDEN, update_coefficient=0.8),
        lambda s, x, h: miru1(s, x, h, 0.8),
        "MiRU1Cell",
        {"update_coefficient": 0.8},
    ),
    "miru2": (MiRU2Cell(HIDDEN), miru2, "MiRU2Cell", {}),
    "miru2_0.8_0.3": (
        MiRU2Cell(HIDDEN, update_coefficient=0.8, reset_coefficient=0.3),
        lambda s, x, h: miru2(s, x, h, 0.8, 0.3),
        "MiRU2Cell",
        {"update_coefficient": 0.8, "reset_coefficient": 0.3},
    ),
    "minimalrnn": (MinimalRNNCell(HIDDEN), minimalrnn, "MinimalRNNCell", {}),
    "mut1": (MUT1Cell(HIDDEN), mut1, "MUT1Cell", {}),
    "mut2": (MUT2Cell(HIDDEN), mut2, "MUT2Cell", {}),
    "mut3": (MUT3Cell(HIDDEN), lambda s, x, h: mut2(s, x, h, np.tanh), "MUT3Cell", {}),
    "janet": (JANETCell(HIDDEN), janet, "JANETCell", {}),
    "ran": (RANCell(HIDDEN), ran, "RANCell", {}),
    "scrn": (SCRNCell(HIDDEN), scrn, "SCRNCell", {}),
    "sgrn": (SGRNCell(HIDDEN), sgrn, "SGRNCell", {}),
    "sgu": (SGUCell(HIDDEN), sgu, "SGUCell", {}),
    "sgu_sigmoid": (
        SGUCell(HIDDEN, output_nonlinearity="tanh", gate_nonlinearity="sigmoid"),
        lambda s, x, h: sgu(s, x, h, np.tanh, sigmoid),
        "SGUCell",
        {"output_nonlinearity": "tanh", "gate_nonlinearity": "sigmoid"},
    ),
    "dsgu": (DSGUCell(HIDDEN), lambda s, x, h: sgu(s, x, h, sigmoid), "DSGUCell", {}),
    "dsgu_sigmoid": (
        DSGUCell(HIDDEN, gate_nonlinearity="sigmoid"),
        lambda s, x, h: sgu(s, x, h, sigmoid, sigmoid),
        "DSGUCell",
        {"gate_nonlinearity": "sigmoid"},
    ),
    "star": (STARCell(HIDDEN), star, "STARCell", {}),
    "ugrnn": (UGRNNCell(HIDDEN), ugrnn, "UGRNNCell", {}),
    "taugru": (TauGRUCell(HIDDEN, delay=3), taugru, "tauGRUCell", {}),
    "taugru_1": (
        TauGRUCell(HIDDEN, delay=1, nonlinearity="relu", gate_nonlinearity="hard_sigmoid"),
        lambda s, x, h, past: taugru(s, x, h, past, relu, hard_sigmoid),
        "tauGRUCell",
        {"nonlinearity": "relu", "gate_nonlinearity": "hard_sigmoid"},
    ),
}
every_case = pytest.mark.parametrize("name", CASES)
PLAIN = tuple(name for name, (cell, *_) in CASES.items() if name == cell.name)
every_cell = pytest.mark.parametrize("name", PLAIN)


def case_of(cell: Cell, seed: int = 3) -> Case:
    return random_case(cell, STEPS, BATCH, FEATURES, seed, "cpu")


def results(y: Tensor, state: tuple) -> Results:
    return {"y": y, **{f"final {field}": value for field, value in state._asdict().items()}}


def by_reference(case: Case, **options) -> Results:
    return results(
        *scan(case.cell, case.weights, case.x_TBD, case.state, engine=Engine.REFERENCE, **options),
    )


def by_equations(case: Case, equations: Callable) -> Results:
    """Step by step and row by row, in NumPy."""
    sums = Sums({name: value.detach().numpy() for name, value in case.weights.items()})
    y_TBH = np.zeros((STEPS, BATCH, case.cell.output_size))
    finals = [np.zeros(s.shape) for s in case.state]
    for b in range(BATCH):
        state = tuple(s[b].detach().numpy() for s in case.state)
        for t in range(STEPS):
            state = equations(sums, case.x_TBD[t, b].detach().numpy(), *state)
            y_TBH[t, b] = state[0]
        for final, value in zip(finals, state, strict=True):
            final[b] = value
    return results(torch.from_numpy(y_TBH), case.cell.state_type(*map(torch.from_numpy, finals)))


@pytest.mark.parametrize("biases", [(True, True), (True, False), (False, False)], ids=["two", "one", "none"])
@every_case
def test_a_scan_equals_the_equations(name: str, biases: tuple[bool, bool]) -> None:
    """From a state that is not zero, with a bias of its own in each sum."""
    cell, equations, *_ = CASES[name]
    case = case_of(replace(cell, bias=biases[0], recurrent_bias=biases[1]))

    assert ("bias_ih" in case.weights, "bias_hh" in case.weights) == biases
    assert_same(by_reference(case), by_equations(case, equations), 1e-12)


def test_the_additive_network_may_show_its_cell_state_as_it_is() -> None:
    case = case_of(RANCell(HIDDEN, nonlinearity="identity"))

    assert_same(
        by_reference(case), by_equations(case, lambda s, x, h, c: ran(s, x, h, c, phi=lambda value: value)), 1e-12
    )


def content_without_bias(case: Case) -> Case:
    """The RAN's bias of the content is one that torchrecurrent doesn't have: zero."""
    bias = torch.cat([torch.zeros(HIDDEN, dtype=torch.float64), case.weights["bias_ih"][HIDDEN:]])
    return replace(case, weights=case.weights | {"bias_ih": bias})


def by_torchrecurrent(case: Case, kind: str, options: dict) -> Results:
    """The package's cell, with our weights under its names and in its shapes."""
    peer = getattr(torchrecurrent, kind)(FEATURES, HIDDEN, **options, dtype=torch.float64)
    ours = {name: w[HIDDEN:] if kind == "RANCell" and name == "bias_ih" else w for name, w in case.weights.items()}
    weights = {name: ours[name].reshape(p.shape) for name, p in peer.named_parameters()}
    assert weights.keys() == case.weights.keys()
    h, *others = case.state
    past = list(others.pop().chunk(case.cell.delay, dim=-1)) if kind == "tauGRUCell" else []
    outputs = []
    for x_BD in case.x_TBD:
        if past:
            oldest, *past = [*past, h]
            h = torch.func.functional_call(peer, weights, (x_BD, h, oldest))
        elif kind == "JANETCell":
            h, c = torch.func.functional_call(peer, weights, (x_BD, (h, h)))
            assert torch.equal(h, c)
        elif others:
            h, *others = torch.func.functional_call(peer, weights, (x_BD, (h, *others)))
        else:
            h = torch.func.functional_call(peer, weights, (x_BD, h))
        outputs.append(h)
    others = [torch.cat(past, dim=-1)] if past else others
    return results(torch.stack(outputs), case.cell.state_type(h, *others))


@every_case
def test_a_scan_equals_torchrecurrent(name: str) -> None:
    """Values, and gradients of every weight, the inputs and the state."""
    cell, _, kind, options = CASES[name]
    adapt = content_without_bias if isinstance(cell, RANCell) else lambda case: case
    case = case_of(cell)

    ours = values_and_gradients(case, lambda case: by_reference(adapt(case)))
    theirs = values_and_gradients(case, lambda case: by_torchrecurrent(adapt(case), kind, options))

    # PyTorch's own hard sigmoid has its slope, 1/6, in float32 whatever the dtype; ours has it in float64.
    tolerance = 1e-6 if "hard_sigmoid" in vars(cell).values() else 1e-10
    assert_same(ours, theirs, tolerance)
    for leaf in case.leaves():
        assert ours[f"gradient of {leaf}"].any(), leaf


def test_the_delay_counts_as_in_torchrecurrents_layer() -> None:
    """From zeros, which its layer always starts from."""
    layer = torchrecurrent.tauGRU(FEATURES, HIDDEN, delay=3, dtype=torch.float64)
    case = case_of(TauGRUCell(HIDDEN, delay=3))
    with torch.no_grad():
        for name, value in layer.cells[0].named_parameters():
            value.copy_(case.weights[name])
    zero = case.cell.initial_state(BATCH, like=case.x_TBD)

    y_TBH, _ = scan(case.cell, case.weights, case.x_TBD, zero, engine=Engine.REFERENCE)

    torch.testing.assert_close(y_TBH, layer(case.x_TBD)[0], rtol=1e-12, atol=1e-12)


def test_the_delayed_states_are_those_that_were_shown() -> None:
    case = case_of(TauGRUCell(HIDDEN, delay=3))

    y_TBH, state = scan(case.cell, case.weights, case.x_TBD, case.state, engine=Engine.REFERENCE)

    assert torch.equal(state.past, torch.cat([*y_TBH[-4:-1]], dim=-1))


@pytest.mark.parametrize(
    ("zoneout", "rates"), [(0.25, (0.25, 0.0)), ((0.25, 0.5), (0.25, 0.5))], ids=["one", "for_each"]
)
def test_the_record_of_states_is_zoned_out_only_if_asked(zoneout, rates: tuple[float, float]) -> None:
    assert TauGRUCell(HIDDEN, zoneout=zoneout).zoneout_rates == rates


def drawn(mask: Mask, seed: int = 4) -> Tensor:
    shape = (STEPS, BATCH, mask.size) if mask.every_step else (BATCH, mask.size)
    kept = torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) >= mask.zero
    return kept / (1 - mask.zero)


@pytest.mark.parametrize("option", ["variational_dropout", "recurrent_dropout"])
@every_cell
def test_dropout_changes_what_training_sees_and_nothing_else(name: str, option: str) -> None:
    case = case_of(CASES[name][0])
    dropped = replace(case, cell=replace(case.cell, **{option: 0.5}))
    masks = {name: drawn(mask) for name, mask in dropped.cell.masks.items()}

    assert case.cell.inner_options == ALL_INNER_OPTIONS
    assert (by_reference(dropped, masks=masks)["y"] != by_reference(case)["y"]).any(dim=-1).all()
    assert_same(by_reference(dropped), by_reference(case), 0)
    ones = {name: torch.ones_like(mask) for name, mask in masks.items()}
    assert_same(by_reference(dropped, masks=ones), by_reference(case), 0)


@every_cell
def test_with_layer_norm_the_size_of_the_products_does_not_count(name: str) -> None:
    """Without biases: twice the matrices, the same result; a gain counts as a row's size did."""
    case = case_of(replace(CASES[name][0], bias=False, layer_norm=True))
    gains = {name: torch.ones_like(case.weights[name]) for name in ("norm_ih", "norm_hh")}
    # Large, so that the ε under the root is too small to see.
    large = {name: 1e4 * case.weights[name] for name in ("weight_ih", "weight_hh")}

    def run(others: dict[str, Tensor]) -> Results:
        return by_reference(replace(case, weights={**case.weights, **gains, **large, **others}))

    first = run({})

    assert_same(run({name: 2 * weight for name, weight in large.items()}), first, 1e-9)
    for called, gain in gains.items():
        assert not torch.allclose(run({called: 2 * gain})["y"], first["y"]), called


@every_cell
def test_options_around_the_step_are_had(name: str) -> None:
    case = case_of(CASES[name][0])
    clipped = by_reference(replace(case, cell=replace(case.cell, clip_state=0.1)))
    zoned = by_reference(replace(case, cell=replace(case.cell, zoneout=0.25)))

    assert clipped["y"].abs().max() == 0.1
    assert not torch.allclose(zoned["y"], by_reference(case)["y"])


def initialised(cell: Cell) -> dict[str, Tensor]:
    weights = {name: torch.full(shape, 9.0) for name, shape in cell.weight_shapes(FEATURES).items()}
    cell.initialise(weights)
    return weights


@every_cell
def test_initial_weights_are_within_their_bound(name: str) -> None:
    weights = initialised(CASES[name][0])

    for called, weight in weights.items():
        if called not in {"alpha", "beta"}:
            assert weight.abs().max() <= HIDDEN**-0.5, called
            assert weight.std() > 0, called


@pytest.mark.parametrize(
    ("cell", "name", "value"),
    [
        (JANETCell(HIDDEN), "beta", 1.0),
        (JANETCell(HIDDEN, beta=2.5), "beta", 2.5),
        (SCRNCell(HIDDEN), "alpha", 0.5),
        (SCRNCell(HIDDEN, alpha=0.95), "alpha", 0.95),
    ],
)
def test_learned_numbers_start_from_their_options(cell: Cell, name: str, value: float) -> None:
    torch.testing.assert_close(initialised(cell)[name], torch.tensor([value]))


def test_the_content_of_the_additive_network_starts_without_a_bias() -> None:
    content, *gates = initialised(RANCell(HIDDEN))["bias_ih"].chunk(3)

    assert not content.any()
    assert all(gate.all() for gate in gates)
    assert "bias_ih" not in initialised(RANCell(HIDDEN, bias=False))


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (MGUCell, {"nonlinearity": "sine"}, "nonlinearity='sine' is not known"),
        (MGUCell, {"gate_nonlinearity": "sine"}, "gate_nonlinearity='sine' is not known"),
        (MiRU1Cell, {"update_coefficient": 1.5}, r"update_coefficient=1.5 must be a finite number from 0 to 1"),
        (MiRU1Cell, {"gate_nonlinearity": "sine"}, "gate_nonlinearity='sine' is not known"),
        (MiRU2Cell, {"update_coefficient": -0.1}, r"update_coefficient=-0.1 must be a finite number from 0 to 1"),
        (MiRU2Cell, {"reset_coefficient": float("nan")}, r"reset_coefficient=nan must be a finite number from 0 to 1"),
        (MiRU2Cell, {"nonlinearity": "sine"}, "nonlinearity='sine' is not known"),
        (MinimalRNNCell, {"gate_nonlinearity": "sine"}, "gate_nonlinearity='sine' is not known"),
        (JANETCell, {"beta": float("inf")}, r"beta=inf must be a finite number\."),
        (RANCell, {"nonlinearity": "sine"}, "nonlinearity='sine' is not known"),
        (SCRNCell, {"alpha": True}, r"alpha=True must be a finite number from 0 to 1"),
        (SGUCell, {"output_nonlinearity": "sine"}, "output_nonlinearity='sine' is not known"),
        (DSGUCell, {"gate_nonlinearity": "sine"}, "gate_nonlinearity='sine' is not known"),
        (TauGRUCell, {"delay": 0}, "delay=0 must be a whole number of at least 1"),
        (TauGRUCell, {"nonlinearity": "sine"}, "nonlinearity='sine' is not known"),
    ],
)
@pytest.mark.usefixtures("unchecked_types")
def test_options_that_make_no_sense_are_named(kind: type[Cell], options: dict, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        kind(HIDDEN, **options)
