"""The loss of an output layer: values and gradients are those of cross-entropy over whole logits, block by block."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils._python_dispatch import TorchDispatchMode

from elman.models import output_loss as module
from elman.models.output_loss import output_loss

N, H, V = 23, 5, 11


def given(dtype: torch.dtype = torch.float64) -> tuple[Tensor, nn.Linear, Tensor]:
    torch.manual_seed(0)
    h_NH = (3 * torch.randn(N, H, dtype=dtype)).requires_grad_()
    return h_NH, nn.Linear(H, V, dtype=dtype), torch.randint(V, (N,))


def with_gradients(loss: Tensor, h_NH: Tensor, output: nn.Linear) -> list[Tensor]:
    return [loss.detach(), *torch.autograd.grad(2.5 * loss, [h_NH, *output.parameters()])]


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("rows", [1, 7, N, 100])
def test_it_is_cross_entropy_in_blocks_of_any_size(
    rows: int, smoothing: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    h_NH, output, targets_N = given()
    wanted = with_gradients(cross_entropy(output(h_NH), targets_N, label_smoothing=smoothing), h_NH, output)
    monkeypatch.setattr(module, "_BLOCK", rows * V)
    got = with_gradients(output_loss(h_NH, output, targets_N, smoothing), h_NH, output)
    for one, other in zip(got, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-13)


def test_logits_may_be_as_large_as_they_like() -> None:
    h_NH, output, targets_N = given(torch.float32)
    with torch.no_grad():
        output.weight.mul_(1e4)
    got = with_gradients(output_loss(h_NH, output, targets_N), h_NH, output)
    wanted = with_gradients(cross_entropy(output(h_NH), targets_N), h_NH, output)
    for one, other in zip(got, wanted, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_products_are_in_half_precision_under_autocast_and_sums_are_not(dtype: torch.dtype) -> None:
    h_NH, output, targets_N = given(torch.float32)
    wanted = with_gradients(cross_entropy(output(h_NH), targets_N), h_NH, output)
    with torch.autocast("cpu", torch.bfloat16):
        loss = output_loss(h_NH.to(dtype), output, targets_N)
    got = with_gradients(loss, h_NH, output)
    assert [one.dtype for one in got] == [torch.float32] * 4
    for one, other in zip(got, wanted, strict=True):
        assert 0 < (one - other).norm() < 0.02 * other.norm()


class Products(TorchDispatchMode):
    """Counts the matrix products of what runs inside."""

    count = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += "mm" in str(function)
        return function(*args, **(kwargs or {}))


def test_no_product_is_made_for_a_gradient_that_nobody_needs() -> None:
    h_NH, output, targets_N = given()

    def products() -> int:
        with Products() as counter:
            output_loss(h_NH, output, targets_N)
        return counter.count

    assert products() == 3
    with torch.no_grad():
        assert products() == 1
    output.weight.requires_grad_(False)
    assert products() == 2


def test_without_gradients_there_are_none_and_of_no_steps_the_loss_is_nothing() -> None:
    h_NH, output, targets_N = given()
    with torch.no_grad():
        loss = output_loss(h_NH, output, targets_N)
    assert not loss.requires_grad
    torch.testing.assert_close(loss, cross_entropy(output(h_NH), targets_N).detach())
    assert output_loss(h_NH[:0], output, targets_N[:0]).item() == 0


def test_what_is_frozen_gets_no_gradient() -> None:
    h_NH, output, targets_N = given()
    output.weight.requires_grad_(False)
    output_loss(h_NH, output, targets_N).backward()
    assert output.weight.grad is None
    assert h_NH.grad is not None
    assert output.bias.grad is not None
