"""Mixed precision, other dtypes, copies: a layer is a well-behaved module."""

import copy
import pickle

import pytest
import torch
from twins import INPUT_SIZE, every_kind, random, tensors, twins

import elman
from elman.cells import Cell, ElmanState
from elman.engines import Engine
from elman.errors import EngineError
from elman.layers import CELL_NAMES, RecurrentLayers, layers_of

every_engine = pytest.mark.parametrize("engine", ["reference", "torch", "native"])


@every_kind
@every_engine
@pytest.mark.parametrize("ragged", [False, True], ids=["dense", "lengths_and_resets"])
def test_under_autocast_the_state_stays_float32(kind, engine, ragged, device) -> None:
    """And outputs, state and gradients are near those of float32."""
    layer, _ = twins(kind, engine=engine, num_layers=2, bidirectional=True, dtype=torch.float32)
    layer = layer.to(device)
    x = torch.randn(6, 3, INPUT_SIZE, device=device)
    options = {}
    if ragged:
        reset_TB = torch.zeros(6, 3, dtype=torch.bool, device=device)
        reset_TB[2, 1] = True
        options = {"lengths": [6, 4, 0], "reset": reset_TB}
    y_expected, last_expected = layer(x, **options)
    expected = torch.autograd.grad(y_expected.square().mean(), list(layer.parameters()), allow_unused=True)

    with torch.autocast(device.type, dtype=torch.bfloat16):
        y, last = layer(x, **options)
    actual = torch.autograd.grad(y.float().square().mean(), list(layer.parameters()), allow_unused=True)

    assert [value.dtype for value in tensors(last)] == [torch.float32] * len(tensors(last))
    torch.testing.assert_close(y.float(), y_expected, rtol=2e-2, atol=2e-2)
    for value, wanted in zip(tensors(last), tensors(last_expected), strict=True):
        torch.testing.assert_close(value, wanted, rtol=2e-2, atol=2e-2)
    for value, wanted in zip(actual, expected, strict=True):
        torch.testing.assert_close(value, wanted, rtol=2e-2, atol=2e-2)


@every_kind
@every_engine
def test_under_autocast_a_stream_goes_on_from_its_own_state(kind, engine, device) -> None:
    """What one call gives, the next call takes."""
    layer, _ = twins(kind, engine=engine, num_layers=2, dtype=torch.float32)
    layer = layer.to(device)
    x = torch.randn(8, 3, INPUT_SIZE, device=device)
    whole, _ = layer(x)

    with torch.autocast(device.type, dtype=torch.bfloat16):
        first, state = layer(x[:5])
        second, _ = layer(x[5:], state)

    torch.testing.assert_close(torch.cat([first, second]).float(), whole, rtol=2e-2, atol=2e-2)


@every_kind
@every_engine
def test_double_makes_all_of_it_double(kind, engine) -> None:
    layer, _ = twins(kind, engine=engine, num_layers=2, dtype=torch.float32)
    x = torch.randn(5, 2, INPUT_SIZE)
    expected, _ = layer(x)

    y, last = layer.double()(x.double())

    assert {y.dtype, *(value.dtype for value in tensors(last))} == {torch.float64}
    torch.testing.assert_close(y.float(), expected.detach(), rtol=1e-5, atol=1e-5)


@every_kind
@pytest.mark.parametrize("engine", ["reference", "torch"])
def test_bfloat16_makes_all_of_it_bfloat16(kind, engine) -> None:
    """With lengths and resets, and a gradient for every parameter."""
    layer, _ = twins(kind, engine=engine, num_layers=2, dtype=torch.float32)
    x = torch.randn(5, 3, INPUT_SIZE)
    options = {"lengths": [5, 0, 3], "reset": torch.eye(5, 3, dtype=torch.bool)}
    expected, _ = layer(x, **options)
    expected = expected.detach()

    y, last = layer.bfloat16()(x.bfloat16(), **options)
    y.float().square().mean().backward()

    assert {y.dtype, *(value.dtype for value in tensors(last))} == {torch.bfloat16}
    torch.testing.assert_close(y.float(), expected, rtol=3e-2, atol=3e-2)
    assert all(p.grad.dtype == torch.bfloat16 and p.grad.isfinite().all() for p in layer.parameters())


def test_native_engine_refuses_bfloat16_weights_and_auto_runs_them() -> None:
    layer = elman.GRU(INPUT_SIZE, 4, engine="native").bfloat16()
    x = torch.randn(5, 3, INPUT_SIZE).bfloat16()

    with pytest.raises(EngineError, match=r"native.*bfloat16.*auto"):
        layer(x)
    assert elman.GRU(INPUT_SIZE, 4).bfloat16()(x)[0].dtype is torch.bfloat16


@every_kind
def test_a_layer_may_be_made_in_any_dtype(kind) -> None:
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        layer, _ = twins(kind, dtype=dtype)
        assert {p.dtype for p in layer.parameters()} == {dtype}
        assert {s.dtype for s in layer.initial_state(2)} == {dtype}


@every_kind
@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))], ids=["deepcopy", "pickle"]
)
def test_a_copy_computes_the_same_and_shares_nothing(kind, copied) -> None:
    layer, _ = twins(kind, num_layers=2, bidirectional=True, engine="reference")
    x = random(5, 2, INPUT_SIZE)

    twin = copied(layer)

    assert type(twin) is type(layer)
    assert repr(twin) == repr(layer)
    assert twin.engine is Engine.REFERENCE
    assert torch.equal(twin(x)[0], layer(x)[0])
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.zero_()
    assert all(parameter.ne(0).any() for parameter in layer.parameters())


class _Sum(Cell):
    """h_t = u_t + h_{t-1}: no fused layer computes it."""

    name = "sum"
    gates = ("h",)
    state_type = ElmanState

    def step(self, weights, u_BG, state):  # noqa: ARG002
        h_BH = u_BG + state.h
        return h_BH, ElmanState(h_BH)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_engine_says_what_auto_came_to(kind) -> None:
    assert getattr(elman, kind)(3, 4).engine is Engine.NATIVE
    assert getattr(elman, kind)(3, 4, dtype=torch.bfloat16).engine is Engine.TORCH
    assert getattr(elman, kind)(3, 4, engine="reference").engine is Engine.REFERENCE
    assert getattr(elman, kind)(3, 4, engine=Engine.TORCH).engine is Engine.TORCH
    assert RecurrentLayers(_Sum(4), 3).engine is Engine.NATIVE


def test_a_cell_of_ones_own_has_layers_directions_and_lengths() -> None:
    """Every option is there for it too: the sum of the projected inputs, forwards and backwards."""
    layer = RecurrentLayers(_Sum(4), 3, bidirectional=True, dtype=torch.float64)
    x = random(5, 2, 3)

    y, (h,), _ = layer.run(x, None, lengths=[5, 2])

    for direction, suffix in enumerate(["", "_reverse"]):
        weight, bias = getattr(layer, f"weight_ih_l0{suffix}"), getattr(layer, f"bias_ih_l0{suffix}")
        u = x[:2, 1] @ weight.T + bias
        torch.testing.assert_close(h[direction, 1], u.sum(0), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(y[1, 1, 4:], u[1], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("cell", CELL_NAMES)
def test_layers_are_had_by_the_name_of_their_cell(cell) -> None:
    layer = layers_of(cell, 3, 4, num_layers=2)

    assert layer.cell.name == cell
    assert (layer.input_size, layer.hidden_size, layer.num_layers) == (3, 4, 2)


def test_repr_shows_what_differs_from_the_defaults() -> None:
    assert repr(elman.LSTM(3, 4)) == "LSTM(3, 4)"
    shown = repr(elman.GRU(3, 4, 2, False, True, 0.5, True, engine="reference"))
    assert shown == (
        "GRU(3, 4, num_layers=2, bias=False, batch_first=True, dropout=0.5, bidirectional=True, engine=reference)"
    )
    assert "nonlinearity=relu" in repr(elman.RNN(3, 4, nonlinearity="relu"))
    assert "proj_size=2" in repr(elman.LSTM(3, 4, proj_size=2))
