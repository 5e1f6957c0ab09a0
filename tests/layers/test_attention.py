"""Attention equals a plain loop over its equations; what lies beyond a row's length doesn't show, even if it is NaN."""

import pytest
import torch
from torch import Tensor

from elman.errors import OptionError, ShapeError
from elman.layers.attention import (
    ATTENTIONS,
    AdditiveAttention,
    Attention,
    DotAttention,
    GeneralAttention,
    attention_of,
)

QUERY, MEMORY = 5, 7
LENGTHS = torch.tensor([4, 1, 6])
every_kind = pytest.mark.parametrize("kind", ATTENTIONS)


def make(kind: str) -> tuple[Attention, Tensor, Tensor]:
    """An attention, queries (3, 3, H) and a memory (6, 3, D), float64."""
    size = QUERY if kind == "dot" else MEMORY
    queries, memory = (torch.randn(*shape, dtype=torch.float64) for shape in ((3, 3, QUERY), (6, 3, size)))
    return attention_of(kind, QUERY, size).double(), queries.requires_grad_(), memory.requires_grad_()


def score(attention: Attention, h: Tensor, m: Tensor) -> Tensor:
    if isinstance(attention, GeneralAttention):
        return h @ attention.key.weight @ m
    if isinstance(attention, AdditiveAttention):
        inner = attention.query.weight @ h + attention.key.weight @ m + attention.key.bias
        return attention.score.weight[0] @ inner.tanh()
    return h @ m


def looped(attention: Attention, queries: Tensor, memory: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """One row, one query and one step of the memory at a time."""
    contexts = queries.new_zeros(*queries.shape[:2], memory.shape[-1])
    weights = queries.new_zeros(*queries.shape[:2], len(memory))
    for t in range(queries.shape[0]):
        for b, length in enumerate(lengths.tolist()):
            e = torch.stack([score(attention, queries[t, b], memory[s, b]) for s in range(length)])
            a = e.exp() / e.exp().sum()
            weights[t, b, :length] = a
            contexts[t, b] = sum(a[s] * memory[s, b] for s in range(length))
    return contexts, weights


def gradients(attention: Attention, outputs: tuple[Tensor, Tensor], leaves: list[Tensor]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    cotangents = [torch.randn(o.shape, generator=generator, dtype=o.dtype) for o in outputs]
    loss = sum((o * c).sum() for o, c in zip(outputs, cotangents, strict=True))
    return list(torch.autograd.grad(loss, [*leaves, *attention.parameters()]))


@every_kind
def test_it_equals_a_plain_loop_in_values_and_all_gradients(kind: str) -> None:
    attention, queries, memory = make(kind)
    actual = attention(queries, attention.read(memory, LENGTHS))
    expected = looped(attention, queries, memory, LENGTHS)
    leaves = [queries, memory]
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(
        gradients(attention, actual, leaves), gradients(attention, expected, leaves), rtol=0, atol=1e-12
    )


@every_kind
def test_nothing_beyond_a_length_shows_and_it_gets_no_gradient(kind: str) -> None:
    attention, queries, memory = make(kind)
    valid = torch.arange(len(memory))[:, None] < LENGTHS
    clean, dirty = (torch.where(valid[..., None], memory, fill).detach().requires_grad_() for fill in (0.0, torch.nan))
    expected = attention(queries, attention.read(clean, LENGTHS))
    actual = attention(queries, attention.read(dirty, LENGTHS))
    assert all(map(torch.equal, actual, expected))
    found = gradients(attention, actual, [queries, dirty])
    assert all(map(torch.equal, found, gradients(attention, expected, [queries, clean])))
    assert found[1][~valid].eq(0).all()
    weights = actual[1]
    assert weights[:, 1, 1:].eq(0).all()
    torch.testing.assert_close(weights.sum(-1), torch.ones(3, 3, dtype=torch.float64))


@every_kind
def test_a_row_does_not_depend_on_the_others_or_on_how_far_they_are_padded(kind: str) -> None:
    attention, queries, memory = make(kind)
    together, _ = attention(queries, attention.read(memory, LENGTHS))
    for b, length in enumerate(LENGTHS.tolist()):
        alone, _ = attention(queries[:, b : b + 1], attention.read(memory[:length, b : b + 1]))
        torch.testing.assert_close(together[:, b : b + 1], alone, rtol=0, atol=1e-12)


@every_kind
def test_a_memory_of_length_zero_gives_the_context_zero_and_no_nan(kind: str) -> None:
    attention, queries, memory = make(kind)
    outputs = attention(queries, attention.read(memory, torch.tensor([0, 6, 6])))
    assert outputs[0][:, 0].eq(0).all()
    assert outputs[1][:, 0].eq(0).all()
    assert all(gradient.isfinite().all() for gradient in gradients(attention, outputs, [queries, memory]))


@every_kind
def test_queries_one_at_a_time_are_as_all_at_once_and_rows_can_be_chosen(kind: str) -> None:
    attention, queries, memory = make(kind)
    read = attention.read(memory, LENGTHS)
    all_at_once, _ = attention(queries, read)
    each = torch.cat([attention(queries[t : t + 1], read)[0] for t in range(len(queries))])
    torch.testing.assert_close(each, all_at_once, rtol=0, atol=1e-12)
    rows = torch.tensor([2, 0, 2, 2])
    torch.testing.assert_close(attention(queries[:, rows], read.select(rows))[0], all_at_once[:, rows])


@pytest.mark.usefixtures("unchecked_types")
def test_what_makes_no_sense_is_an_error() -> None:
    with pytest.raises(OptionError, match="'general'"):
        DotAttention(4, 5)
    with pytest.raises(OptionError, match="did you mean 'additive'"):
        attention_of("aditive", 4, 5)
    with pytest.raises(ShapeError, match="one for each of the 3 sequences"):
        DotAttention(5, 5).read(torch.zeros(6, 3, 5), torch.tensor([1, 2]))
