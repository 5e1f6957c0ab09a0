"""Dropout acts between layers, in training, and nowhere else."""

import math

import pytest
import torch
from twins import HIDDEN_SIZE, INPUT_SIZE, every_kind, random, tensors, twins

import elman
from elman.layers import Dropout, dropout


def _passing_on(num_layers: int, probability: float) -> elman.RNN:
    """ReLU layers that pass positive inputs on as they are: what comes out shows what dropout did on the way."""
    layer = elman.RNN(50, 50, num_layers, "relu", bias=False, dropout=probability)
    with torch.no_grad():
        for name, weight in layer.named_parameters():
            weight.copy_(torch.eye(50) if name.startswith("weight_ih") else torch.zeros(50, 50))
    return layer


def _assert_share(flags: torch.Tensor, probability: float) -> None:
    """Within five standard deviations of what the probability lets expect."""
    deviation = math.sqrt(probability * (1 - probability) / flags.numel())
    assert abs(flags.double().mean().item() - probability) < 5 * deviation


@pytest.mark.parametrize("probability", [0.25, 0.6])
@pytest.mark.parametrize("engine", ["auto", "reference"])
def test_between_two_layers_some_are_zeroed_and_the_rest_scaled(probability: float, engine: str) -> None:
    """Each value is 0 with the probability asked for, else 1/(1-p) times itself: once, so not after the last layer."""
    layer = _passing_on(2, probability)
    layer._wanted_engine = engine
    x = torch.rand(20, 30, 50) + 0.5

    y, last = layer(x)

    factor = y / x
    dropped = factor == 0
    # The probability counts in steps of 2⁻¹⁶.
    torch.testing.assert_close(
        factor[~dropped], torch.full_like(factor[~dropped], 1 / (1 - probability)), rtol=2e-5, atol=0
    )
    _assert_share(dropped, probability)
    torch.testing.assert_close(last[0], x[-1])


def test_each_step_row_and_call_drops_others() -> None:
    """Not one mask for all."""
    layer = _passing_on(2, 0.5)
    x = torch.ones(3, 2, 50)

    y, again = layer(x)[0], layer(x)[0]

    assert not torch.equal(y, again)
    masks = y.reshape(-1, 50).ne(0)
    assert len({tuple(mask.tolist()) for mask in masks}) == len(masks)


def test_between_three_layers_it_acts_twice() -> None:
    layer = _passing_on(3, 0.5)
    x = torch.ones(20, 30, 50)

    y, _ = layer(x)

    assert set(y.unique().tolist()) == {0.0, 4.0}
    _assert_share(y.ne(0), 0.25)


@pytest.mark.parametrize("bidirectional", [False, True], ids=["forwards", "both_ways"])
@every_kind
def test_full_dropout_leaves_the_last_layer_with_zeros_to_read(kind: str, bidirectional: bool) -> None:
    """The first layer reads everything; the last reads nothing of it, and its own output isn't dropped."""
    layer, _ = twins(kind, num_layers=2, dropout=1.0, bidirectional=bidirectional)
    plain, _ = twins(kind, num_layers=2, bidirectional=bidirectional)
    x = random(5, 2, INPUT_SIZE)
    places = 2 if bidirectional else 1

    y, last = layer(x)
    other, _ = layer(random(5, 2, INPUT_SIZE))

    assert torch.equal(y, other)
    assert y.ne(0).any()
    for value, expected in zip(tensors(last), tensors(plain(x)[1]), strict=True):
        torch.testing.assert_close(value[:places], expected[:places], rtol=1e-12, atol=1e-12)


def test_dropout_of_a_single_layer_warns_and_does_nothing() -> None:
    with pytest.warns(UserWarning, match=r"dropout=0.5 acts between layers and there is one: give num_layers"):
        layer = elman.GRU(INPUT_SIZE, HIDDEN_SIZE, dropout=0.5)
    x = torch.randn(4, 2, INPUT_SIZE)

    assert torch.equal(layer(x)[0], layer.eval()(x)[0])


@pytest.mark.parametrize("probability", [0, 1, 0.0, 1.0])
def test_whole_numbers_serve_as_probabilities(probability: float) -> None:
    layer = elman.GRU(INPUT_SIZE, HIDDEN_SIZE, 2, dropout=probability)

    assert layer.dropout == float(probability)


@pytest.mark.parametrize("shape", [(), (1,), (7,), (3, 5, 7), (0, 4)], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_dropout_keeps_shape_and_dtype(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    y = dropout(torch.ones(shape, dtype=dtype), 0.5)

    assert y.shape == shape
    assert y.dtype == dtype
    assert set(y.flatten().tolist()) <= {0.0, 2.0}


@pytest.mark.parametrize("probability", [0.01, 0.1, 0.5, 0.9])
def test_dropout_zeroes_that_share_everywhere_and_scales_the_rest(probability: float) -> None:
    """One draw serves several elements: each of its parts is held to the probability, and neighbours are independent."""
    y = dropout(torch.ones(200_000, dtype=torch.float64), probability)

    kept = y[y != 0]
    torch.testing.assert_close(kept, torch.full_like(kept, 1 / (1 - probability)), rtol=2e-4, atol=0)
    for part in range(4):
        _assert_share(y[part::4] == 0, probability)
        _assert_share((y[part:-4:4] == 0) & (y[part + 1 : -3 : 4] == 0), probability**2)


def test_dropouts_gradient_has_the_mask_of_its_value() -> None:
    x = torch.rand(1000, dtype=torch.float64).add(0.5).requires_grad_()

    y = dropout(x, 0.3)
    (gradient,) = torch.autograd.grad(y.sum(), x)

    torch.testing.assert_close(gradient, (y / x).detach(), rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("probability", [0.999999, 1 - 2**-17, 1 - 2**-53, 1.0])
def test_dropout_of_nearly_everything_is_finite(probability: float) -> None:
    assert dropout(torch.ones(1000), probability).isfinite().all()


def test_dropout_is_drawn_from_torchs_generator() -> None:
    x = torch.ones(100)
    torch.manual_seed(3)
    y, following = dropout(x, 0.5), dropout(x, 0.5)
    torch.manual_seed(3)

    assert torch.equal(dropout(x, 0.5), y)
    assert not torch.equal(following, y)


def test_dropout_as_a_module_acts_in_training_only() -> None:
    module, x = Dropout(0.5), torch.ones(1000)

    assert set(module(x).unique().tolist()) == {0.0, 2.0}
    assert torch.equal(module.eval()(x), x)
    assert torch.equal(dropout(x, 0.5, training=False), x)
    assert torch.equal(dropout(x, 0.0), x)
    assert repr(module) == "Dropout(0.5)"
