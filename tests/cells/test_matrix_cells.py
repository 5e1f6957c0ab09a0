"""Cells with a matrix for a state: their published equations, and that a scan in chunks is nothing else."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from laws import assert_same, by_engine, random_case, values_and_gradients
from torch import Tensor

import elman
from elman.cells import Cell, cell_named
from elman.cells.chunks import Chunks
from elman.cells.gated_deltanet import GatedDeltaNetCell
from elman.cells.mamba2 import Mamba2Cell
from elman.cells.mlstm import MLSTMCell
from elman.cells.triangular import unit_lower_inverse
from elman.engines import Engine, matrix, resolve, scan
from elman.errors import OptionError
from elman.testing import check_cell

CELLS: list[Cell] = [
    MLSTMCell(6, heads=2),
    MLSTMCell(6, heads=3, key_size=4, forget_gate="exp"),
    GatedDeltaNetCell(6, heads=2),
    GatedDeltaNetCell(6, heads=3, key_size=4, output_gate=False),
    Mamba2Cell(6, heads=2, state_size=5),
    Mamba2Cell(6, False, heads=3, state_size=2, output_gate=False),
]
every_cell = pytest.mark.parametrize("cell", CELLS, ids=lambda cell: f"{cell.name}_{cell.heads}")
Numbers = dict[str, np.ndarray]


@pytest.fixture(params=["core", "operations"])
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A scan by the core, or by PyTorch's operations, as where there is no core, or a GPU."""
    if request.param == "operations":
        monkeypatch.setattr(matrix, "serves", lambda *_: False)
    return str(request.param)


both_forms = pytest.mark.usefixtures("form")


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def _silu(x: Any) -> Any:
    return x * _sigmoid(x)


def _softplus(x: Any) -> Any:
    return np.log1p(np.exp(x))


def _by_mlstm(cell: MLSTMCell, w: Numbers, x_TD: np.ndarray, state: Numbers) -> tuple[np.ndarray, Numbers]:
    """Beck et al., equations 19 to 27, with the stabiliser of the appendix, one row, head by head."""
    A, P = cell.heads, cell.hidden_size // cell.heads
    K = cell.key_size or P
    cuts = np.cumsum([A * K, A * K, A * P, A, A])
    C, n, m = (state["C"].reshape(A, K, P).copy(), state["n"].reshape(A, K).copy(), state["m"].copy())
    outputs = []
    for x in x_TD:
        q, k, v, i, f, o = np.split(w["weight_ih"] @ x + w["bias_ih"], cuts)
        h = []
        for a in range(A):
            q_a, k_a, v_a = q[a * K : a * K + K], k[a * K : a * K + K] / math.sqrt(K), v[a * P : a * P + P]
            log_f = f[a] if cell.forget_gate == "exp" else np.log(_sigmoid(f[a]))
            new = max(log_f + m[a], i[a])
            i_a, f_a = np.exp(i[a] - new), np.exp(log_f + m[a] - new)
            C[a] = f_a * C[a] + i_a * np.outer(k_a, v_a)
            n[a] = f_a * n[a] + i_a * k_a
            m[a] = new
            h.append(C[a].T @ q_a / max(abs(n[a] @ q_a), np.exp(-new)))
        outputs.append(_sigmoid(o) * np.concatenate(h))
    return np.array(outputs), {"C": C.flatten(), "n": n.flatten(), "m": m}


def _by_gated_deltanet(
    cell: GatedDeltaNetCell, w: Numbers, x_TD: np.ndarray, state: Numbers
) -> tuple[np.ndarray, Numbers]:
    """Yang et al., equation 10: S, values by keys, times α (I - β k kᵀ), plus β v kᵀ."""
    A, P = cell.heads, cell.hidden_size // cell.heads
    K = cell.key_size or P
    cuts = np.cumsum([A * K, A * K, A * P, A, A])
    S = [part.T for part in state["S"].reshape(A, K, P)]
    outputs = []
    for x in x_TD:
        q, k, v, a, b, z = np.split(w["weight_ih"] @ x + w["bias_ih"], cuts)
        o = []
        for h in range(A):
            q_h, k_h = (_silu(part[h * K : h * K + K]) for part in (q, k))
            q_h, k_h = (part / np.sqrt(part @ part + 1e-6) for part in (q_h, k_h))
            v_h = _silu(v[h * P : h * P + P])
            alpha = np.exp(-np.exp(w["a_log"][h]) * _softplus(a[h]))
            beta = _sigmoid(b[h])
            S[h] = alpha * S[h] @ (np.eye(K) - beta * np.outer(k_h, k_h)) + beta * np.outer(v_h, k_h)
            o.append(S[h] @ q_h / math.sqrt(K))
        outputs.append(np.concatenate(o) * (_silu(z) if cell.output_gate else 1))
    return np.array(outputs), {"S": np.array([part.T for part in S]).flatten()}


def _by_mamba2(cell: Mamba2Cell, w: Numbers, x_TD: np.ndarray, state: Numbers) -> tuple[np.ndarray, Numbers]:
    """Dao and Gu: a state (units, K) for each head, S = a S + Δ x Bᵀ, y = S C + D x."""
    A, P, K = cell.heads, cell.hidden_size // cell.heads, cell.state_size
    cuts = np.cumsum([A * P if cell.output_gate else 0, A * P, K, K])
    S = [part.T for part in state["S"].reshape(A, K, P)]
    outputs = []
    for u in x_TD:
        z, x, B, C, d = np.split(w["weight_ih"] @ u + w.get("bias_ih", 0), cuts)
        x, B, C = _silu(x), _silu(B), _silu(C)
        y = []
        for h in range(A):
            step, x_h = _softplus(d[h]), x[h * P : h * P + P]
            S[h] = np.exp(-np.exp(w["a_log"][h]) * step) * S[h] + step * np.outer(x_h, B)
            y.append(S[h] @ C + w["skip"][h] * x_h)
        outputs.append(np.concatenate(y) * (_silu(z) if cell.output_gate else 1))
    return np.array(outputs), {"S": np.array([part.T for part in S]).flatten()}


_PUBLISHED = {"mlstm": _by_mlstm, "gated_deltanet": _by_gated_deltanet, "mamba2": _by_mamba2}


@both_forms
@every_cell
@pytest.mark.parametrize("engine", [Engine.REFERENCE, Engine.SCAN])
def test_cells_are_their_published_equations_from_a_state_that_is_not_zero(cell: Cell, engine: Engine) -> None:
    case = random_case(replace(cell, chunk_size=3), 11, 2, 4, 1, "cpu")

    with torch.no_grad():
        y, last = scan(case.cell, case.weights, case.x_TBD, case.state, engine=engine)

    weights = {name: weight.detach().numpy() for name, weight in case.weights.items()}
    for row in range(2):
        before = {name: value[row].detach().numpy() for name, value in case.state._asdict().items()}
        outputs, after = _PUBLISHED[cell.name](cell, weights, case.x_TBD[:, row].detach().numpy(), before)
        np.testing.assert_allclose(y[:, row].numpy(), outputs, rtol=1e-11, atol=1e-11)
        for name, value in last._asdict().items():
            np.testing.assert_allclose(value[row].numpy(), after[name], rtol=1e-11, atol=1e-11)


@both_forms
@every_cell
@pytest.mark.parametrize("steps", [1, 2, 15, 64, 65, 150])
def test_chunks_of_any_size_give_the_same_values_and_gradients(cell: Cell, steps: int) -> None:
    case = random_case(cell, steps, 2, 4, 2, "cpu")
    expected = values_and_gradients(case, by_engine(Engine.REFERENCE))

    for size in (1, 3, 16, 64, 200):
        chunked = replace(case, cell=replace(cell, chunk_size=size))
        assert_same(values_and_gradients(chunked, by_engine(Engine.SCAN)), expected, 1e-10)


def _resets(steps: int, batch: int, every: int) -> Tensor:
    """At the first step and at others, in each row elsewhere, about one in `every`."""
    generator = torch.Generator().manual_seed(every)
    flags = torch.rand(steps, batch, generator=generator) < 1 / every
    flags[0, 0] = True
    return flags


@both_forms
@every_cell
@pytest.mark.parametrize("every", [1, 2, 7, 40])
@pytest.mark.parametrize("lengths", [None, [45, 0, 17, 44]], ids=["whole", "padded"])
def test_chunks_with_resets_and_lengths_are_the_fold(cell: Cell, every: int, lengths: list[int] | None) -> None:
    """From a state that is not zero, to a fresh one that isn't either; both have gradients."""
    case = random_case(cell, 45, 4, 3, 3, "cpu")
    fresh = random_case(cell, 1, 1, 3, 4, "cpu").state
    case = replace(case, fresh=fresh)
    flags = _resets(45, 4, every)

    for reverse in (False, True):
        compute = by_engine(Engine.REFERENCE, lengths, flags, reverse)
        expected = values_and_gradients(case, compute)
        assert expected["gradient of fresh " + case.state._fields[0]].ne(0).any()
        for size in (1, 3, 16, 64):
            chunked = replace(case, cell=replace(cell, chunk_size=size))
            assert_same(values_and_gradients(chunked, by_engine(Engine.SCAN, lengths, flags, reverse)), expected, 1e-10)


@both_forms
@every_cell
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scale", [1e2, 1e4])
def test_extreme_gates_give_finite_values_and_gradients(cell: Cell, dtype: torch.dtype, scale: float) -> None:
    """Decays that are 0 or 1, input gates that would overflow: inputs far from those of training."""
    case = random_case(cell, 70, 2, 3, 5, "cpu")
    case = case.with_leaves({**case.leaves(), "x": (case.x_TBD.detach() * scale).requires_grad_()}).to(dtype)

    for engine in (Engine.REFERENCE, Engine.SCAN):
        y, last = scan(case.cell, case.weights, case.x_TBD, case.state, engine=engine)
        gradients = torch.autograd.grad(y.sum() + sum(s.sum() for s in last), list(case.leaves().values()))

        assert all(value.isfinite().all() for value in (y, *last, *gradients))


@both_forms
@every_cell
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_weights_of_16_bits_give_what_float32_gives_rounded(cell: Cell, dtype: torch.dtype) -> None:
    rounded = random_case(cell, 70, 2, 3, 5, "cpu").to(dtype)
    flags = _resets(70, 2, 30)
    y, last = scan(rounded.cell, rounded.weights, rounded.x_TBD, rounded.state, reset_TB=flags)
    exact = rounded.to(torch.float32)
    y_exact, last_exact = scan(exact.cell, exact.weights, exact.x_TBD, exact.state, reset_TB=flags)
    gradients = torch.autograd.grad(y.sum(), list(rounded.weights.values()))
    gradients_exact = torch.autograd.grad(y_exact.sum(), list(exact.weights.values()))

    for given, right in zip((y, *last, *gradients), (y_exact, *last_exact, *gradients_exact), strict=True):
        assert torch.equal(given, right.to(dtype))


@both_forms
def test_gates_that_forget_all_leave_what_was_written_last() -> None:
    """ln f = -200 and ĩ = -200, so that e^{-m} is beyond float32: the outputs are all but zero, and have gradients."""
    case = random_case(MLSTMCell(4, heads=2, forget_gate="exp"), 9, 2, 3, 6, "cpu").to(torch.float32)
    _, _, _, i, f, _ = case.cell.split_gates(case.weights["bias_ih"].data)
    i.fill_(-200)
    f.fill_(-200)

    y, last = scan(case.cell, case.weights, case.x_TBD, case.state, engine=Engine.SCAN)
    gradients = torch.autograd.grad(y.sum(), list(case.weights.values()))

    assert y[1:].abs().max() < 1e-30
    assert last.m.max() < -190
    assert all(gradient.isfinite().all() for gradient in gradients)


@both_forms
@every_cell
def test_nothing_not_even_a_nan_crosses_a_reset_within_a_chunk(cell: Cell) -> None:
    case = random_case(cell, 40, 2, 3, 7, "cpu")
    flags = torch.zeros(40, 2, dtype=torch.bool)
    flags[21] = True
    poisoned = case.x_TBD.detach().clone()
    poisoned[:21] = torch.nan

    with torch.no_grad():
        clean, dirty = (
            scan(cell, case.weights, x, case.state, reset_TB=flags, engine=Engine.SCAN)
            for x in (case.x_TBD.detach(), poisoned)
        )

    assert dirty[0][:21].isnan().all()
    assert torch.equal(dirty[0][21:], clean[0][21:])
    assert all(torch.equal(a, b) for a, b in zip(dirty[1], clean[1], strict=True))


@pytest.mark.parametrize(("every", "size"), [(1, 1), (10, 16), (400, 64)])
def test_chunks_get_shorter_where_resets_are_many(every: int, size: int) -> None:
    flags = torch.zeros(400, 3, dtype=torch.bool)
    flags[::every] = True

    chunks = Chunks.of(torch.zeros(400, 3, 2), 64, None, flags)

    assert chunks.size == size
    assert chunks.count == -(-400 // every) * -(-every // size)


def test_cutting_and_joining_a_sequence_gives_it_back() -> None:
    x_TBD = torch.randn(29, 3, 2)
    for flags in (None, _resets(29, 3, 5)):
        for size in (1, 4, 29, 64):
            chunks = Chunks.of(x_TBD, size, torch.tensor([29, 4, 0]), flags)
            assert torch.equal(chunks.join(chunks.cut(x_TBD)), x_TBD)
            assert chunks.valid_NBS is not None
            assert chunks.valid_NBS.sum((0, 2)).tolist() == [29, 4, 0]


# PyTorch itself makes its rules of forward mode by torch.jit.script.
@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")
@pytest.mark.parametrize("size", [1, 2, 3, 7, 16, 33])
def test_triangular_matrices_are_inverted_with_derivatives_of_any_order(size: int) -> None:
    lower = torch.randn(2, 3, size, size, dtype=torch.float64, requires_grad=True)

    inverse = unit_lower_inverse(lower / size)

    whole = (lower / size).tril(-1) + torch.eye(size, dtype=torch.float64)
    torch.testing.assert_close(inverse @ whole, torch.eye(size, dtype=torch.float64).expand_as(whole))
    if size < 8:
        small = lower[:1, :1]
        assert torch.autograd.gradcheck(unit_lower_inverse, small)
        assert torch.autograd.gradgradcheck(unit_lower_inverse, small)
        assert torch.autograd.gradcheck(unit_lower_inverse, small, check_forward_ad=True, check_batched_grad=True)


@both_forms
@pytest.mark.parametrize("cell", [MLSTMCell, GatedDeltaNetCell, Mamba2Cell])
@pytest.mark.parametrize("chunk_size", [1, 2, 4])
def test_chunks_keep_the_laws(cell: type[Cell], chunk_size: int) -> None:
    size = {"state_size": 5} if cell is Mamba2Cell else {"key_size": 3}
    report = check_cell(cell(8, heads=2, chunk_size=chunk_size, **size))

    assert report.engines == (Engine.REFERENCE, Engine.SCAN)


@every_cell
def test_a_scan_is_what_is_taken_unless_an_option_wants_each_step(cell: Cell) -> None:
    assert resolve("auto", cell) is Engine.SCAN
    assert resolve("auto", replace(cell, zoneout=0.1)) is Engine.REFERENCE


@pytest.mark.parametrize("name", ["mlstm", "gated_deltanet", "mamba2"])
@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"heads": 4}, "heads=4 must divide hidden_size=6"),
        ({"heads": 0}, "heads=0 must be a whole number"),
        ({"chunk_size": 0}, "chunk_size=0 must be a whole number"),
        ({"layer_norm": True}, "'layer_norm' is no option"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(name: str, options: dict[str, Any], says: str) -> None:
    with pytest.raises(OptionError, match=says):
        cell_named(name, 6, **options)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: MLSTMCell(6, key_size=-1), "key_size=-1 must be a whole number"),
        (lambda: GatedDeltaNetCell(6, key_size=True), "key_size=True must be a whole number"),
        (lambda: MLSTMCell(6, forget_gate="relu"), "forget_gate='relu' is not known"),
        (lambda: Mamba2Cell(6, state_size=0), "state_size=0 must be a whole number"),
        (lambda: elman.Recurrent("mlstm", 3, 6, init="orthogonal"), "'mlstm' has no recurrent weights"),
        (lambda: elman.Recurrent("mamba2", 3, 6, bias=False, forget_bias=1.0), "has no biases"),
    ],
)
def test_values_of_options_are_checked(make: Any, says: str) -> None:
    with pytest.raises(OptionError, match=says):
        make()


@pytest.mark.parametrize(
    ("name", "gate", "sign"), [("mlstm", "f", 1), ("gated_deltanet", "a", -1), ("mamba2", "d", -1)]
)
def test_biases_for_long_memory_are_those_of_the_gate_that_keeps(name: str, gate: str, sign: int) -> None:
    """It has a row for each head, and no other gate's rows change."""
    plain, set_to, chrono = (
        elman.Recurrent(name, 3, 6, heads=3, **options) for options in ({}, {"forget_bias": 2.5}, {"chrono": 50})
    )
    index = plain.cell.gate_names.index(gate)
    parts = [layer.cell.split_gates(layer.bias_ih_l0) for layer in (plain, set_to, chrono)]

    assert [len(part) for part in parts[0]] == list(plain.cell.gate_sizes)
    assert parts[1][index].tolist() == [sign * 2.5] * 3
    assert (sign * parts[2][index]).min() >= 0
    assert parts[2][index].unique().numel() == 3
    for other in set(range(len(parts[0]))) - {index, 3}:
        assert torch.equal(parts[1][other], parts[0][other])


@pytest.mark.parametrize(("kind", "gate"), [(GatedDeltaNetCell, 3), (Mamba2Cell, 4)])
def test_decays_are_the_published_ones_at_first(kind: Any, gate: int) -> None:
    cell = kind(4000, heads=2000)
    weights = {name: torch.full(shape, torch.nan) for name, shape in cell.weight_shapes(2).items()}
    cell.initialise(weights)

    rates = weights["a_log"].exp()
    sizes = torch.nn.functional.softplus(cell.split_gates(weights["bias_ih"])[gate].double())

    assert 1 <= rates.min() <= rates.max() <= 16.001
    assert abs(rates.mean().item() - 8.5) < 5 * 15 / math.sqrt(12 * 2000)
    assert 0.000999 <= sizes.min() <= sizes.max() <= 0.1001
    assert abs(sizes.log().mean().item() - math.log(0.01)) < 5 * math.log(100) / math.sqrt(12 * 2000)
    assert weights["bias_ih"].ne(0).sum() == 2000


def test_heads_of_an_mlstm_forget_less_and_less_at_first() -> None:
    cell = MLSTMCell(8, heads=4)
    weights = {name: torch.full(shape, torch.nan) for name, shape in cell.weight_shapes(2).items()}
    cell.initialise(weights)

    *_, i, f, o = cell.split_gates(weights["bias_ih"])
    torch.testing.assert_close(f, torch.tensor([3.0, 4.0, 5.0, 6.0]))
    assert 0 < i.abs().max() < 1
    assert o.eq(0).all()
    assert [bool(rows.eq(0).all()) for rows in cell.split_gates(weights["weight_ih"])] == [False] * 3 + [True] * 2 + [
        False
    ]


@both_forms
@every_cell
def test_under_autocast_a_state_stays_as_precise_as_it_was(cell: Cell) -> None:
    """From zero, where the quotient of the mLSTM is no small difference."""
    case = random_case(replace(cell, chunk_size=4), 10, 2, 3, 8, "cpu").to(torch.float32)
    zero = cell.initial_state(2, case.x_TBD)
    with torch.no_grad():
        full, _ = scan(case.cell, case.weights, case.x_TBD, zero, engine=Engine.SCAN)
        with torch.autocast("cpu", torch.bfloat16):
            half, last = scan(case.cell, case.weights, case.x_TBD, zero, engine=Engine.SCAN)

    assert all(value.dtype == torch.float32 for value in last)
    torch.testing.assert_close(half.float(), full, rtol=0.1, atol=0.1)
