"""What is read of a whole sequence: the same as reading each sequence by itself, whatever stands in the padding."""

import pytest
import torch
from torch import Tensor

from elman.errors import OptionError
from elman.layers import POOLINGS, Pooling

every_kind = pytest.mark.parametrize("kind", POOLINGS)
LENGTHS = [5, 0, 7, 1]


def pooled_alone(pooling: Pooling, h_TH: Tensor) -> Tensor:
    """One sequence without padding, straight from the equations."""
    if not len(h_TH):
        return h_TH.new_zeros(h_TH.shape[1])
    if pooling.kind == "last":
        half = h_TH.shape[1] // pooling.directions
        return torch.cat([h_TH[-1, :half], h_TH[0, half:]])
    if pooling.kind == "mean":
        return h_TH.mean(0)
    if pooling.kind == "max":
        return h_TH.max(0).values
    assert pooling.key is not None
    assert pooling.query is not None
    energy_T = torch.stack([pooling.query(torch.tanh(pooling.key(h_H))).squeeze() for h_H in h_TH])
    return (energy_T.exp() / energy_T.exp().sum()) @ h_TH


@every_kind
@pytest.mark.parametrize("directions", [1, 2])
def test_each_row_is_as_if_it_were_alone(kind: str, directions: int) -> None:
    torch.manual_seed(0)
    pooling = Pooling(kind, 6, directions).double()
    h_TBH = torch.randn(7, 4, 6, dtype=torch.float64)
    expected = torch.stack([pooled_alone(pooling, h_TBH[:length, row]) for row, length in enumerate(LENGTHS)])
    torch.testing.assert_close(pooling(h_TBH, torch.tensor(LENGTHS)), expected, rtol=1e-12, atol=1e-12)


@every_kind
def test_padding_is_never_read_and_gets_no_gradient(kind: str) -> None:
    torch.manual_seed(0)
    pooling = Pooling(kind, 4, 2).double()
    h_TBH = torch.randn(7, 4, 4, dtype=torch.float64)
    lengths_B = torch.tensor(LENGTHS)
    padding_TB = torch.arange(7)[:, None] >= lengths_B
    spoilt_TBH = h_TBH.masked_fill(padding_TB[..., None], float("nan")).requires_grad_()
    found_BH = pooling(spoilt_TBH, lengths_B)
    torch.testing.assert_close(found_BH, pooling(h_TBH, lengths_B), rtol=0, atol=0)
    (found_BH * torch.randn(4, 4, dtype=torch.float64)).sum().backward()
    assert spoilt_TBH.grad is not None
    assert not spoilt_TBH.grad[padding_TB].any()
    assert spoilt_TBH.grad.isfinite().all()


@every_kind
def test_gradients_match_finite_differences(kind: str) -> None:
    torch.manual_seed(0)
    pooling = Pooling(kind, 4, 2).double()
    h_TBH = torch.randn(5, 3, 4, dtype=torch.float64, requires_grad=True)
    lengths_B = torch.tensor([5, 2, 4])
    parameters = list(pooling.parameters())
    assert torch.autograd.gradcheck(lambda h, *_: pooling(h, lengths_B), (h_TBH, *parameters))


@every_kind
def test_a_batch_of_empty_sequences_gives_zeros(kind: str) -> None:
    pooled_BH = Pooling(kind, 4, 2)(torch.zeros(0, 3, 4), torch.tensor([0, 0, 0]))
    assert torch.equal(pooled_BH, torch.zeros(3, 4))


def test_a_kind_that_is_not_known_is_an_error() -> None:
    with pytest.raises(OptionError, match=r"pooling='median' is not known: choose from last, mean, max, attention"):
        Pooling("median", 4)
