"""What `split`, `cat` and `linear` give, and their derivatives of every kind, from memory that is used again."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from elman import _native
from elman.engines.parts import cut, join, linear


def _first_and_last(x: Tensor) -> Tensor:
    first, *_, last = cut(x, 3)
    return first[:1] * last.sin()


def _turned_round(x: Tensor) -> Tensor:
    return join([piece.flip(0).exp() for piece in x.split(3)])


# PyTorch's own, as it makes its rules for forward mode.
@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")
@pytest.mark.parametrize("function", [_first_and_last, _turned_round])
def test_derivatives(function: Callable[[Tensor], Tensor]) -> None:
    """First ones, second ones, forward mode and those of a batch, which PyTorch takes by itself."""
    torch.manual_seed(0)
    x = torch.randn(7, 2, 2, dtype=torch.float64, requires_grad=True)
    assert gradcheck(function, (x,), check_forward_ad=True, check_batched_grad=False)
    assert gradgradcheck(function, (x,))
    xs = torch.randn(3, 7, 2, 2, dtype=torch.float64)
    torch.testing.assert_close(torch.func.vmap(function)(xs), torch.stack([function(x) for x in xs]))


# PyTorch's own, as it makes its rules for forward mode.
@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")
@pytest.mark.parametrize("with_bias", [False, True])
def test_a_product_over_all_steps_is_pytorchs_with_its_derivatives(with_bias: bool) -> None:
    torch.manual_seed(0)
    leaves = [
        torch.randn(*shape, dtype=torch.float64, requires_grad=True)
        for shape in [(5, 2, 3), (4, 3), *([(4,)] if with_bias else [])]
    ]

    def run(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return linear(x, weight, bias)

    torch.testing.assert_close(run(*leaves), torch.nn.functional.linear(*leaves))
    assert gradcheck(run, leaves, check_forward_ad=True)
    assert gradgradcheck(run, leaves)
    leaves[0].requires_grad_(False)
    assert gradcheck(run, leaves)
    for steps, batch in [(0, 2), (3, 0)]:
        u = run(leaves[0].new_zeros(steps, batch, 3), *leaves[1:])
        assert u.shape == (steps, batch, 4)
        u.sum().backward()


def test_cut_and_join_undo_each_other() -> None:
    x = torch.randn(9, 2, 3, requires_grad=True)
    y = join(cut(x, 4))
    assert torch.equal(y, x)
    cotangent = torch.randn_like(y)
    y.backward(cotangent)
    assert x.grad is not None
    assert torch.equal(x.grad, cotangent)


def test_a_large_whole_is_in_memory_that_is_used_again() -> None:
    """The next whole stands where the last one stood, even if there are others of its size."""
    pieces = [torch.full((64, 16, 512), float(n)) for n in range(2)]
    others = [join(pieces) for _ in range(2)]
    del others
    whole = join(pieces)
    assert torch.equal(whole, torch.cat(pieces))
    place = whole.data_ptr()
    del whole
    assert join(pieces).data_ptr() == place


def test_what_was_in_use_at_the_same_time_is_kept() -> None:
    """More than the half gigabyte that is kept in any case, on a machine of 6 GB or more; fresh memory would hold zeros."""
    size, mark = 330 << 20, 77
    blocks = [_native.buffer(size) for _ in range(2)]
    for block in blocks:
        block[0] = mark
    del block, blocks
    again = [_native.buffer(size) for _ in range(2)]
    assert [int(block[0]) for block in again] == [mark, mark]
