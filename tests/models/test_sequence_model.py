"""The tutorial's network: h_t = f(W x_t + U h_{t-1} + b), y_t = V h_t + c, held to the equations step by step in NumPy."""

from typing import Any

import numpy as np
import pytest
import torch

from elman import SequenceModel
from elman.errors import OptionError, ShapeError

TOLERANCE = 1e-12

every_engine = pytest.mark.parametrize("engine", ["reference", "torch", "native"])
every_cell = pytest.mark.parametrize("cell", ["elman", "lstm", "gru"])


def sigmoid(a: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-a))


def weights_of(model: SequenceModel, layer: int) -> list[np.ndarray]:
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    return [getattr(model.recurrent, f"{name}_l{layer}").detach().numpy() for name in names]


def elman_step(weights: list[np.ndarray], x: np.ndarray, state: Any, f: Any) -> Any:
    W, U, b_ih, b_hh = weights
    a = np.zeros(len(U))
    for i in range(len(U)):
        a[i] = b_ih[i] + b_hh[i]
        for j in range(len(x)):
            a[i] += W[i, j] * x[j]
        for j in range(len(U)):
            a[i] += U[i, j] * state[0][j]
    return (f(a),)


def lstm_step(weights: list[np.ndarray], x: np.ndarray, state: Any, _: Any) -> Any:
    W, U, b_ih, b_hh = weights
    h, c = state
    i, f, g, o = np.split(np.array([w @ x + u @ h for w, u in zip(W, U, strict=True)]) + b_ih + b_hh, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def gru_step(weights: list[np.ndarray], x: np.ndarray, state: Any, _: Any) -> Any:
    W, U, b_ih, b_hh = weights
    (h,) = state
    r_x, z_x, n_x = np.split(np.array([w @ x for w in W]) + b_ih, 3)
    r_h, z_h, n_h = np.split(np.array([u @ h for u in U]) + b_hh, 3)
    z = sigmoid(z_x + z_h)
    n = np.tanh(n_x + sigmoid(r_x + r_h) * n_h)
    return ((1 - z) * n + z * h,)


STEPS = {"elman": elman_step, "lstm": lstm_step, "gru": gru_step}
FUNCTIONS = {"tanh": np.tanh, "relu": lambda a: np.maximum(a, 0)}


def by_hand(model: SequenceModel, x_TD: np.ndarray, state: Any, f: Any = np.tanh) -> tuple[np.ndarray, np.ndarray, Any]:
    """y and h of every step, and the final state (a tuple of (L, H)), for one sequence: a loop over time and layers."""
    V, c = model.output.weight.detach().numpy(), model.output.bias.detach().numpy()
    layers = model.recurrent.num_layers
    before = [tuple(part[layer] for part in state) for layer in range(layers)]
    ys, hs = [], []
    for t in range(len(x_TD)):
        below = x_TD[t]
        for layer in range(layers):
            before[layer] = STEPS[model.recurrent.cell.name](weights_of(model, layer), below, before[layer], f)
            below = before[layer][0]
        hs.append(below)
        ys.append(np.array([sum(V[i, j] * below[j] for j in range(len(below))) + c[i] for i in range(len(c))]))
    last = tuple(np.array([before[layer][k] for layer in range(layers)]) for k in range(len(state)))
    return np.array(ys), np.array(hs), last


def as_tuple(state: Any) -> tuple[torch.Tensor, ...]:
    return (state,) if isinstance(state, torch.Tensor) else tuple(state)


def zeros(cell: str, layers: int, hidden: int) -> Any:
    return tuple(np.zeros((layers, hidden)) for _ in range(2 if cell == "lstm" else 1))


def close(ours: torch.Tensor, wanted: np.ndarray) -> None:
    np.testing.assert_allclose(ours.detach().numpy(), wanted, rtol=0, atol=TOLERANCE)


@every_engine
@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("given", [False, True], ids=["zero_state", "given_state"])
def test_the_elman_network_is_its_equations(nonlinearity: str, layers: int, given: bool, engine: str) -> None:
    T, B, D, H, V = 9, 3, 4, 5, 2
    model = SequenceModel(D, H, V, nonlinearity=nonlinearity, num_layers=layers, dtype=torch.float64, engine=engine)
    x_TBD = torch.randn(T, B, D, dtype=torch.float64)
    h_0 = torch.randn(layers, B, H, dtype=torch.float64) if given else torch.zeros(layers, B, H, dtype=torch.float64)
    y, h, last = model(x_TBD, h_0) if given else model(x_TBD)
    assert (y.shape, h.shape, last.shape) == ((T, B, V), (T, B, H), (layers, B, H))
    for b in range(B):
        wanted_y, wanted_h, (wanted_last,) = by_hand(
            model, x_TBD[:, b].numpy(), (h_0[:, b].numpy(),), FUNCTIONS[nonlinearity]
        )
        close(y[:, b], wanted_y)
        close(h[:, b], wanted_h)
        close(last[:, b], wanted_last)


@every_engine
@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("layers", [1, 2])
def test_gated_networks_are_their_equations(cell: str, layers: int, engine: str) -> None:
    T, D, H, V = 7, 3, 4, 2
    model = SequenceModel(D, H, V, cell=cell, num_layers=layers, dtype=torch.float64, engine=engine)
    x_TD = torch.randn(T, D, dtype=torch.float64)
    state = tuple(torch.randn(layers, H, dtype=torch.float64) for _ in range(2 if cell == "lstm" else 1))
    y, h, last = model(x_TD, state if cell == "lstm" else state[0])
    wanted_y, wanted_h, wanted_last = by_hand(model, x_TD.numpy(), tuple(part.numpy() for part in state))
    close(y, wanted_y)
    close(h, wanted_h)
    for ours, wanted in zip(as_tuple(last), wanted_last, strict=True):
        close(ours, wanted)


@every_cell
def test_one_sequence_needs_no_batch_axis(cell: str) -> None:
    model = SequenceModel(3, 4, 2, cell=cell, dtype=torch.float64)
    x_TD = torch.randn(6, 3, dtype=torch.float64)
    alone, batched = model(x_TD), model(x_TD.unsqueeze(1))
    assert (alone.y.shape, alone.h.shape) == ((6, 2), (6, 4))
    torch.testing.assert_close(alone.y, batched.y.squeeze(1), rtol=0, atol=TOLERANCE)
    for one, many in zip(as_tuple(alone.state), as_tuple(batched.state), strict=True):
        assert one.shape == (1, 4)
        torch.testing.assert_close(one, many.squeeze(1), rtol=0, atol=TOLERANCE)
    wanted_y, wanted_h, _ = by_hand(model, x_TD.numpy(), zeros(cell, 1, 4))
    close(alone.y, wanted_y)
    close(alone.h, wanted_h)


def test_the_two_faults_of_a_common_tutorial_would_be_seen() -> None:
    """W from the wrong side fits only where D is H, and `h[-1]` at t = 0 is the last row: neither shows in shapes."""
    T, H = 6, 4
    model = SequenceModel(H, H, H, dtype=torch.float64)
    x_TD = torch.randn(T, H, dtype=torch.float64)
    W, U, b_ih, b_hh = weights_of(model, 0)
    x = x_TD.numpy()

    def run(W: np.ndarray, first: np.ndarray) -> np.ndarray:
        h = np.zeros((T, H))
        for t in range(T):
            h[t] = np.tanh(W @ x[t] + U @ (first if t == 0 else h[t - 1]) + b_ih + b_hh)
        return h

    right, wrong_side = run(W, np.zeros(H)), run(W.T, np.zeros(H))
    # The tutorial reads h[-1] of a second pass, when that row is no longer zero.
    wrong_start = run(W, right[-1])
    ours = model(x_TD).h.detach().numpy()
    assert np.abs(ours - right).max() <= TOLERANCE
    assert np.abs(ours - wrong_side).max() > 0.01
    assert np.abs(ours - wrong_start).max() > 0.01
    # And a second call starts from zero again, not from what the first one left.
    assert np.abs(model(x_TD).h.detach().numpy() - right).max() <= TOLERANCE


@every_engine
@every_cell
@pytest.mark.parametrize("cut", [1, 4, 8])
def test_a_sequence_cut_anywhere_goes_on_from_the_carried_state(cell: str, cut: int, engine: str) -> None:
    model = SequenceModel(3, 5, 2, cell=cell, num_layers=2, dtype=torch.float64, engine=engine)
    x_TBD = torch.randn(9, 2, 3, dtype=torch.float64)
    whole = model(x_TBD)
    first = model(x_TBD[:cut])
    second = model(x_TBD[cut:], first.state)
    for name in ("y", "h"):
        joined = torch.cat([getattr(first, name), getattr(second, name)])
        torch.testing.assert_close(joined, getattr(whole, name), rtol=0, atol=TOLERANCE)
    for carried, wanted in zip(as_tuple(second.state), as_tuple(whole.state), strict=True):
        torch.testing.assert_close(carried, wanted, rtol=0, atol=TOLERANCE)
    # The state matters: without it the rest comes out differently.
    assert (model(x_TBD[cut:]).y - second.y).abs().max() > 1e-4


@every_cell
def test_gradients_reach_every_parameter_the_input_and_the_state(cell: str) -> None:
    model = SequenceModel(3, 4, 2, cell=cell, num_layers=2, dtype=torch.float64)
    x = torch.randn(5, 2, 3, dtype=torch.float64, requires_grad=True)
    state = tuple(
        torch.randn(2, 2, 4, dtype=torch.float64, requires_grad=True) for _ in range(2 if cell == "lstm" else 1)
    )
    model(x, state if cell == "lstm" else state[0]).y.square().sum().backward()
    for leaf in [x, *state, *model.parameters()]:
        assert leaf.grad is not None
        assert leaf.grad.abs().max() > 0


def test_lengths_and_resets_are_those_of_the_layers() -> None:
    model = SequenceModel(3, 4, 2, dtype=torch.float64)
    x_TBD = torch.randn(6, 2, 3, dtype=torch.float64)
    ragged = model(x_TBD, lengths=[6, 2])
    torch.testing.assert_close(ragged.state[0, 1], model(x_TBD[:2]).state[0, 1])
    reset = torch.zeros(6, 2, dtype=torch.bool)
    reset[3] = True
    torch.testing.assert_close(model(x_TBD, reset=reset).h[3:], model(x_TBD[3:]).h)


def test_a_cell_or_a_shape_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(OptionError, match="lsmt"):
        SequenceModel(3, 4, 2, cell="lsmt")
    with pytest.raises(OptionError, match="nonlinearity"):
        SequenceModel(3, 4, 2, nonlinearity="sine")
    with pytest.raises(ShapeError, match="input_size is 3"):
        SequenceModel(3, 4, 2)(torch.randn(5, 2, 7))
