"""Variants of the LSTM and their kin: each against its equations stated again in NumPy, and against torchrecurrent's cell.

Original, peephole, MCLSTM, WMCLSTM, multiplicative, residual, intersection, NAS, strongly typed, Mogrifier, sLSTM.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
import torchrecurrent
from laws import Case, Results, assert_same, random_case, values_and_gradients
from torch import Tensor
from torch.func import functional_call

from elman.cells import Cell, LSTMCell, State
from elman.cells.cell import ALL_INNER_OPTIONS
from elman.cells.intersection import IntersectionRNNCell
from elman.cells.lstm_variants import (
    MCLSTMCell,
    MultiplicativeLSTMCell,
    OriginalLSTMCell,
    PeepholeLSTMCell,
    ResLSTMCell,
    WMCLSTMCell,
)
from elman.cells.mogrifier import MogrifierLSTMCell
from elman.cells.nas import NASCell
from elman.cells.slstm import SLSTMCell
from elman.cells.typed import TGRUCell, TLSTMCell, TRNNCell
from elman.engines import Engine, scan
from elman.errors import OptionError

Array = np.ndarray
HIDDEN, FEATURES, BATCH, STEPS = 6, 3, 2, 5


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def _sums(w: dict[str, Array], kind: str, values: Array, gates: int) -> list[Array]:
    """W_k values + b_k of each gate; without a bias where there is none."""
    biases = np.split(w[f"bias_{kind}"], gates) if f"bias_{kind}" in w else [0.0] * gates
    return [W @ values + b for W, b in zip(np.split(w[f"weight_{kind}"], gates), biases, strict=True)]


def _gates(w: dict[str, Array], x: Array, h: Array, gates: int) -> list[Array]:
    return [a + b for a, b in zip(_sums(w, "ih", x, gates), _sums(w, "hh", h, gates), strict=True)]


def _original(w: dict[str, Array], x: Array, h: Array, c: Array) -> tuple[Array, ...]:
    i, g, o = _gates(w, x, h, 3)
    c = c + _sigmoid(i) * np.tanh(g)
    h = _sigmoid(o) * np.tanh(c)
    return h, h, c


def _peephole(w: dict[str, Array], x: Array, h: Array, c: Array) -> tuple[Array, ...]:
    i, f, g, o = _gates(w, x, h, 4)
    p_i, p_f, p_o = np.split(w["weight_ph"], 3)
    c_new = _sigmoid(f + p_f * c) * c + _sigmoid(i + p_i * c) * np.tanh(g)
    h = _sigmoid(o + p_o * c_new) * np.tanh(c_new)
    return h, h, c_new


def _mclstm(w: dict[str, Array], x: Array, k: Array, c: Array) -> tuple[Array, ...]:
    f, i, o, m, n = _gates(w, x, k, 5)
    c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(n)
    return _sigmoid(o) * np.tanh(c), _sigmoid(m) * np.tanh(c), c


def _wmclstm(w: dict[str, Array], x: Array, h: Array, c: Array) -> tuple[Array, ...]:
    i, f, g, o = _gates(w, x, h, 4)
    M_i, M_f, _ = _sums(w, "mh", c, 3)
    c = _sigmoid(f + np.tanh(M_f)) * c + _sigmoid(i + np.tanh(M_i)) * np.tanh(g)
    h = _sigmoid(o + np.tanh(_sums(w, "mh", c, 3)[2])) * np.tanh(c)
    return h, h, c


def _multiplicative(w: dict[str, Array], x: Array, h: Array, c: Array) -> tuple[Array, ...]:
    u_m, u_i, u_f, u_g, u_o = _sums(w, "ih", x, 5)
    m = u_m * _sums(w, "hh", h, 1)[0]
    v_i, v_f, v_g, v_o = _sums(w, "mh", m, 4)
    c = _sigmoid(u_f + v_f) * c + _sigmoid(u_i + v_i) * np.tanh(u_g + v_g)
    h = np.tanh(c) * _sigmoid(u_o + v_o)
    return h, h, c


def _residual(w: dict[str, Array], x: Array, h: Array, c: Array) -> tuple[Array, ...]:
    i, f, g, o = _gates(w, x, h, 4)
    p_i, p_f, p_o = np.split(w["weight_ph"], 3)
    c_new = _sigmoid(f + p_f * c) * c + _sigmoid(i + p_i * c) * np.tanh(g)
    h = _sigmoid(o + p_o * c_new) * (w["weight_proj"] @ np.tanh(c_new) + w["weight_res"] @ x)
    return h, h, c_new


def _intersection(w: dict[str, Array], x: Array, h: Array) -> tuple[Array, ...]:
    y_in, h_in, g_y, g_h = _gates(w, x, h, 4)
    g_y, g_h = _sigmoid(g_y), _sigmoid(g_h)
    return g_y * x + (1 - g_y) * np.maximum(y_in, 0), g_h * h + (1 - g_h) * np.tanh(h_in)


def _nas(w: dict[str, Array], x: Array, h: Array, c: Array) -> tuple[Array, ...]:
    g = _gates(w, x, h, 8)
    left = np.tanh(np.tanh(_sigmoid(g[0]) * np.maximum(g[1], 0)) + c)
    c = left * np.tanh(_sigmoid(g[2]) + np.maximum(g[3], 0))
    right = np.tanh(np.tanh(np.tanh(g[4]) * _sigmoid(g[5])) + _sigmoid(np.tanh(g[6]) + _sigmoid(g[7])))
    h = np.tanh(c * right)
    return h, h, c


def _trnn(w: dict[str, Array], x: Array, h: Array) -> tuple[Array, ...]:
    z, f = _sums(w, "ih", x, 2)
    h = _sigmoid(f) * h + (1 - _sigmoid(f)) * z
    return h, h


def _tgru(w: dict[str, Array], x: Array, h: Array, x_before: Array) -> tuple[Array, ...]:
    z, f, o = _gates(w, x, x_before, 3)
    h = _sigmoid(f) * h + z * np.tanh(o)
    return h, h, x


def _tlstm(w: dict[str, Array], x: Array, c: Array, x_before: Array) -> tuple[Array, ...]:
    z, f, o = _gates(w, x, x_before, 3)
    c = _sigmoid(f) * c + (1 - _sigmoid(f)) * z
    return c * np.tanh(o), c, x


def _mogrifier(w: dict[str, Array], x: Array, h: Array, c: Array) -> tuple[Array, ...]:
    Q, R = np.split(w["weight_q"], 3), np.split(w["weight_r"], 2)
    x = 2 * _sigmoid(Q[0] @ h) * x
    h = 2 * _sigmoid(R[0] @ x) * h
    x = 2 * _sigmoid(Q[1] @ h) * x
    h = 2 * _sigmoid(R[1] @ x) * h
    x = 2 * _sigmoid(Q[2] @ h) * x
    i, f, g, o = _gates(w, x, h, 4)
    c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
    h = _sigmoid(o) * np.tanh(c)
    return h, h, c


def _slstm(heads: int, exponential: bool) -> Callable:
    def step(w: dict[str, Array], x: Array, h: Array, c: Array, n: Array, m: Array) -> tuple[Array, ...]:
        size, d = len(h), len(h) // heads
        U = np.zeros((4, size, size))
        for head, block in enumerate(np.split(w["weight_hh"], heads)):
            units = slice(head * d, (head + 1) * d)
            for gate in range(4):
                U[gate, units, units] = block[gate * d : (gate + 1) * d]
        i, f, z, o = _gates(w | {"weight_hh": U.reshape(4 * size, size)}, x, h, 4)
        log_f = f if exponential else np.log(_sigmoid(f))
        m_new = np.maximum(log_f + m, i)
        i, f = np.exp(i - m_new), np.exp(log_f + m - m_new)
        c, n = f * c + i * np.tanh(z), f * n + i
        h = _sigmoid(o) * c / n
        return h, h, c, n, m_new

    return step


@dataclass(frozen=True)
class _Subject:
    """A cell, its equations, and torchrecurrent's cell where it has one, whose forward gives (y, states)."""

    cell: Cell
    equations: Callable[..., tuple[Array, ...]] | None
    peer: type[torch.nn.Module] | None = None
    unpack: Callable[[Any], tuple[Tensor, tuple[Tensor, ...]]] = lambda pair: (pair[0], pair)
    options: Any = None


def _one_state(h: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
    return h, (h,)


def _apart(result: tuple[Tensor, tuple[Tensor, ...]]) -> tuple[Tensor, tuple[Tensor, ...]]:
    return result


def _apart_single(result: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, ...]]:
    return result[0], (result[1],)


_OTHER_GATES = {"gate_nonlinearity": "tanh"}
_TYPED = {"gate_nonlinearity": "tanh", "output_nonlinearity": "softplus"}
_MC = {"gate_nonlinearity": "tanh", "cell_nonlinearity": "relu"}
_RES = {"gate_nonlinearity": "tanh", "nonlinearity": "softplus"}
_CROSS = {"depth_nonlinearity": "tanh", "recurrent_nonlinearity": "softplus", "gate_nonlinearity": "tanh"}
H = HIDDEN
_SUBJECTS = {
    "original": _Subject(OriginalLSTMCell(H), _original, torchrecurrent.OriginalLSTMCell),
    "peephole": _Subject(PeepholeLSTMCell(H), _peephole, torchrecurrent.PeepholeLSTMCell),
    "mclstm": _Subject(MCLSTMCell(H), _mclstm, torchrecurrent.MCLSTMCell, _apart),
    "mclstm_other": _Subject(MCLSTMCell(H, **_MC), None, torchrecurrent.MCLSTMCell, _apart, _MC),
    "wmclstm": _Subject(WMCLSTMCell(H), _wmclstm, torchrecurrent.WMCLSTMCell),
    "multiplicative": _Subject(MultiplicativeLSTMCell(H), _multiplicative, torchrecurrent.MultiplicativeLSTMCell),
    "residual": _Subject(ResLSTMCell(H), _residual, torchrecurrent.ResLSTMCell),
    "residual_other": _Subject(ResLSTMCell(H, **_RES), None, torchrecurrent.ResLSTMCell, options=_RES),
    "intersection": _Subject(IntersectionRNNCell(H), _intersection, torchrecurrent.IntersectionRNNCell, _apart_single),
    "intersection_other": _Subject(
        IntersectionRNNCell(H, **_CROSS), None, torchrecurrent.IntersectionRNNCell, _apart_single, _CROSS
    ),
    "nas": _Subject(NASCell(H), _nas, torchrecurrent.NASCell),
    "trnn": _Subject(TRNNCell(H), _trnn, torchrecurrent.TRNNCell, _one_state),
    "trnn_other": _Subject(TRNNCell(H, **_OTHER_GATES), None, torchrecurrent.TRNNCell, _one_state, _OTHER_GATES),
    "tgru": _Subject(TGRUCell(H), _tgru, torchrecurrent.TGRUCell),
    "tgru_other": _Subject(TGRUCell(H, **_TYPED), None, torchrecurrent.TGRUCell, options=_TYPED),
    "tlstm": _Subject(TLSTMCell(H), _tlstm, torchrecurrent.TLSTMCell, _apart),
    "tlstm_other": _Subject(TLSTMCell(H, **_TYPED), None, torchrecurrent.TLSTMCell, _apart, _TYPED),
    "mogrifier": _Subject(MogrifierLSTMCell(H), _mogrifier),
    "slstm": _Subject(SLSTMCell(H), _slstm(1, exponential=False)),
    "slstm_heads": _Subject(SLSTMCell(H, heads=3, forget_gate="exp"), _slstm(3, exponential=True)),
}
_WITH_EQUATIONS = [name for name, subject in _SUBJECTS.items() if subject.equations]
_WITH_PEER = [name for name, subject in _SUBJECTS.items() if subject.peer]


def _case(cell: Cell, seed: int) -> Case:
    """A random case; of a strongly typed cell the state holds x_{t-1}, as the papers have it."""
    features = HIDDEN if isinstance(cell, IntersectionRNNCell) else FEATURES
    case = random_case(cell.for_input(features), STEPS, BATCH, features, seed, "cpu")
    state = case.state
    if isinstance(cell, (TGRUCell, TLSTMCell)):
        state = state._replace(v=state.v.detach()[:, :features].clone().requires_grad_())
    if isinstance(cell, SLSTMCell):
        # A normaliser is a sum of what is positive.
        state = state._replace(n=(state.n.detach().abs() + 0.5).requires_grad_())
    return replace(case, state=state)


def _carried(case: Case, state: State) -> State:
    """The state that the cell carries: V x_{t-1} in the place of x_{t-1}."""
    return state._replace(v=state.v @ case.weights["weight_hh"].T) if "v" in state._fields else state


def _by_elman(case: Case) -> Results:
    y, last = scan(case.cell, case.weights, case.x_TBD, _carried(case, case.state), engine=Engine.REFERENCE)
    return {"y": y, **dict(zip(last._fields, last, strict=True))}


def _by_equations(case: Case, equations: Callable[..., tuple[Array, ...]]) -> Results:
    """Row after row, step after step."""
    w = {name: value.detach().numpy() for name, value in case.weights.items()}
    ys, finals = [], []
    for b in range(case.batch):
        state = [s[b].detach().numpy() for s in case.state]
        rows = []
        for x in case.x_TBD[:, b].detach().numpy():
            y, *state = equations(w, x, *state)
            rows.append(torch.from_numpy(y))
        ys.append(torch.stack(rows))
        finals.append([torch.from_numpy(s) for s in state])
    last = _carried(case, case.cell.state_type(*(torch.stack(rows) for rows in zip(*finals, strict=True))))
    return {"y": torch.stack(ys, 1), **dict(zip(last._fields, last, strict=True))}


@pytest.mark.parametrize("biases", ["both", "one", "none"])
@pytest.mark.parametrize("name", _WITH_EQUATIONS)
def test_a_scan_equals_the_papers_equations(name: str, biases: str) -> None:
    subject = _SUBJECTS[name]
    cell = replace(subject.cell, bias=biases != "none", recurrent_bias=biases == "both")
    assert any("bias" in weight for weight in cell.weight_shapes(FEATURES)) == (biases != "none")
    assert "bias_hh" not in cell.weight_shapes(FEATURES) or biases == "both"
    case = _case(cell, seed=1)

    assert_same(_by_elman(case), _by_equations(case, subject.equations), 1e-12)


@pytest.mark.parametrize("name", _WITH_PEER)
def test_a_scan_equals_torchrecurrents_cell(name: str) -> None:
    """Its names and shapes, values and all gradients; where it has none, our second bias is absent."""
    subject = _SUBJECTS[name]
    case = _case(subject.cell, seed=2)
    peer = subject.peer(case.x_TBD.shape[-1], HIDDEN, dtype=torch.float64, **(subject.options or {}))
    assert {n: tuple(p.shape) for n, p in peer.named_parameters()} == case.cell.weight_shapes(case.x_TBD.shape[-1])

    def by_peer(case: Case) -> Results:
        state: Any = tuple(case.state)
        ys = []
        for x_BD in case.x_TBD:
            given = state if len(state) > 1 else state[0]
            y, state = subject.unpack(functional_call(peer, case.weights, (x_BD, given)))
            ys.append(y)
        last = _carried(case, case.cell.state_type(*state))
        return {"y": torch.stack(ys), **dict(zip(last._fields, last, strict=True))}

    assert_same(values_and_gradients(case, _by_elman), values_and_gradients(case, by_peer), 1e-10)


@pytest.mark.parametrize("name", _SUBJECTS)
def test_options_inside_the_step_count(name: str) -> None:
    """Each changes what comes out of the same weights; a mask of ones changes nothing."""
    cell = _SUBJECTS[name].cell
    for option in ALL_INNER_OPTIONS:
        value = True if option == "layer_norm" else 0.5
        if option not in cell.inner_options:
            with pytest.raises(OptionError, match=f"{option}=.*{cell.name!r} has no place"):
                replace(cell, **{option: value})
            continue
        case = _case(replace(cell, **{option: value}), seed=3)
        carried = _carried(case, case.state)
        without = {name: w for name, w in case.weights.items() if "norm" not in name and "shift" not in name}
        plain, _ = scan(_case(cell, seed=3).cell, without, case.x_TBD, carried, engine=Engine.REFERENCE)
        ones, drops = {}, {}
        for mask_name, mask in case.cell.masks.items():
            shape = (STEPS, BATCH, mask.size) if mask.every_step else (BATCH, mask.size)
            ones[mask_name] = torch.ones(shape, dtype=torch.float64)
            drops[mask_name] = (torch.arange(mask.size) % 2).to(torch.float64).expand(shape)

        def run(masks: dict[str, Tensor], case: Case = case, carried: State = carried) -> Tensor:
            engine = Engine.REFERENCE
            return scan(case.cell, case.weights, case.x_TBD, carried, masks=masks, engine=engine)[0]

        assert not torch.allclose(run(drops), plain, atol=1e-3), option
        if ones:
            torch.testing.assert_close(run(ones), plain, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("kind", "option"),
    [
        (MCLSTMCell, "gate_nonlinearity"),
        (MCLSTMCell, "cell_nonlinearity"),
        (ResLSTMCell, "nonlinearity"),
        (ResLSTMCell, "gate_nonlinearity"),
        (IntersectionRNNCell, "depth_nonlinearity"),
        (IntersectionRNNCell, "recurrent_nonlinearity"),
        (IntersectionRNNCell, "gate_nonlinearity"),
        (TRNNCell, "gate_nonlinearity"),
        (TGRUCell, "output_nonlinearity"),
        (TLSTMCell, "gate_nonlinearity"),
        (SLSTMCell, "forget_gate"),
    ],
)
def test_a_function_that_isnt_known_is_named(kind: type[Cell], option: str) -> None:
    with pytest.raises(OptionError, match=f"{option}='sine' is not known: choose from .*sigmoid"):
        kind(4, **{option: "sine"})


def test_the_intersection_needs_inputs_as_wide_as_itself() -> None:
    with pytest.raises(OptionError, match=r"'intersection' .* input_size=3 must be the same as hidden_size=4"):
        IntersectionRNNCell(4).for_input(3)


@pytest.mark.parametrize("rounds", [-1, True])
def test_rounds_are_counted(rounds: object) -> None:
    with pytest.raises(OptionError, match=r"rounds=.* must be a whole number"):
        MogrifierLSTMCell(4, rounds=rounds)


@pytest.mark.parametrize("options", [{}, {"projection_size": 2, "peepholes": True}, {"coupled": True}])
def test_a_mogrifier_without_rounds_is_an_lstm(options: dict[str, Any]) -> None:
    """And with one round x alone is changed: the weights that no round needs are absent."""
    case = random_case(LSTMCell(H, **options), STEPS, BATCH, FEATURES, 4, "cpu")
    mogrifier = MogrifierLSTMCell(H, rounds=0, **options).for_input(FEATURES)
    assert mogrifier.weight_shapes(FEATURES) == case.cell.weight_shapes(FEATURES)

    assert_same(_by_elman(replace(case, cell=mogrifier)), _by_elman(case), 1e-13)
    assert set(replace(mogrifier, rounds=1).weight_shapes(FEATURES)) - set(case.weights) == {"weight_q"}


def test_a_peephole_lstm_is_the_lstm_with_that_option() -> None:
    case = random_case(LSTMCell(H, peepholes=True), STEPS, BATCH, FEATURES, 5, "cpu")

    assert_same(_by_elman(replace(case, cell=PeepholeLSTMCell(H))), _by_elman(case), 0)
    assert PeepholeLSTMCell(H).has_options
