"""CTC against all alignments, one by one; searches against all texts."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import ctc_loss

from elman.models.ctc import GreedySearch, PrefixSearch, ctc_nats, decode, search, steps_needed

T, V = 5, 3


def left_of(alignment: tuple[int, ...]) -> tuple[int, ...]:
    """Runs made one, and then no blanks."""
    runs = [number for number, _ in itertools.groupby(alignment)]
    return tuple(number for number in runs if number)


def every_text(log_probs_TV: torch.Tensor) -> dict[tuple[int, ...], float]:
    """P of every text, over all alignments."""
    found: dict[tuple[int, ...], float] = {}
    for alignment in itertools.product(range(log_probs_TV.shape[1]), repeat=len(log_probs_TV)):
        p = math.exp(sum(float(log_probs_TV[t, a]) for t, a in enumerate(alignment)))
        found[left_of(alignment)] = found.get(left_of(alignment), 0.0) + p
    return found


def drawn(seed: int, sharp: float = 2.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (sharp * torch.randn(T, V, generator=generator, dtype=torch.float64)).log_softmax(-1)


@pytest.mark.parametrize("seed", range(3))
def test_the_loss_is_the_sum_over_all_alignments(seed: int) -> None:
    log_probs_TV = drawn(seed)
    probabilities = every_text(log_probs_TV)
    assert sum(probabilities.values()) == pytest.approx(1)
    for text, p in probabilities.items():
        if not text:
            continue
        lengths = torch.tensor([T]), torch.tensor([len(text)])
        double = ctc_loss(log_probs_TV[:, None], torch.tensor([text]), *lengths, reduction="none")
        assert double.item() == pytest.approx(-math.log(p), rel=1e-9)
        ours = ctc_nats(log_probs_TV[:, None].float() + 3.0, lengths[0], torch.tensor(text), lengths[1])
        assert ours.item() == pytest.approx(-math.log(p), rel=1e-5)


def test_texts_of_a_batch_stand_one_after_another_and_padding_is_not_read() -> None:
    logits_TBV = torch.randn(T, 2, V)
    texts = [(1, 2), (2,)]
    targets, lengths = torch.tensor([1, 2, 2]), torch.tensor([2, 1])
    nats_B = ctc_nats(logits_TBV, torch.tensor([5, 3]), targets, lengths)
    for row, (text, steps) in enumerate(zip(texts, (5, 3), strict=True)):
        alone = ctc_nats(
            logits_TBV[:steps, row : row + 1], torch.tensor([steps]), torch.tensor(text), torch.tensor([len(text)])
        )
        torch.testing.assert_close(nats_B[row : row + 1], alone)


@given(st.lists(st.integers(1, 2), max_size=5))
def test_a_text_can_be_said_in_as_many_steps_as_it_needs_and_no_fewer(text: list[int]) -> None:
    needed = steps_needed(text)
    said = {left_of(alignment) for alignment in itertools.product(range(V), repeat=needed)}
    assert tuple(text) in said
    if needed:
        fewer = {left_of(alignment) for alignment in itertools.product(range(V), repeat=needed - 1)}
        assert tuple(text) not in fewer


@pytest.mark.parametrize("seed", range(8))
def test_a_wide_search_finds_the_likeliest_text_and_its_probability(seed: int) -> None:
    log_probs_TV = drawn(seed, 0.7)
    probabilities = every_text(log_probs_TV)
    found = PrefixSearch(1000)
    found.accept(log_probs_TV.numpy())
    best = max(probabilities, key=lambda text: probabilities[text])
    assert tuple(found.best()) == best
    assert found.log_probability() == pytest.approx(math.log(probabilities[best]))


def test_the_likeliest_text_need_not_be_that_of_the_likeliest_alignment() -> None:
    # Graves et al.: two steps of blank 0.6 and a unit 0.4: no unit is 0.36, one is 0.64.
    log_probs_TV = np.log(np.array([[0.6, 0.4], [0.6, 0.4]]))
    greedy, wide = GreedySearch(), PrefixSearch(2)
    greedy.accept(log_probs_TV)
    wide.accept(log_probs_TV)
    assert greedy.best() == []
    assert wide.best() == [1]


@pytest.mark.parametrize("seed", range(5))
def test_greedy_is_what_is_left_of_the_likeliest_alignment(seed: int) -> None:
    log_probs_TV = drawn(seed)
    found = GreedySearch()
    found.accept(log_probs_TV.numpy())
    assert tuple(found.best()) == left_of(tuple(log_probs_TV.argmax(-1).tolist()))


@given(seed=st.integers(0, 50), width=st.sampled_from([1, 2, 5]), cuts=st.lists(st.integers(0, 20), max_size=4))
def test_a_search_may_be_cut_anywhere_and_what_is_settled_stays(seed: int, width: int, cuts: list[int]) -> None:
    log_probs_TV = np.random.default_rng(seed).standard_normal((20, 4))
    log_probs_TV -= np.log(np.exp(log_probs_TV).sum(1, keepdims=True))
    whole, pieces = search(width), search(width)
    whole.accept(log_probs_TV)
    settled: list[int] = []
    for part in np.split(log_probs_TV, sorted(cuts)):
        pieces.accept(part)
        assert pieces.settled()[: len(settled)] == settled
        settled = pieces.settled()
        assert pieces.best()[: len(settled)] == settled
    assert pieces.best() == whole.best()


def test_each_sequence_of_a_batch_is_decoded_by_itself() -> None:
    logits_TBV = torch.randn(9, 3, V)
    lengths_B = torch.tensor([9, 4, 0])
    for width in (1, 4):
        found = decode(logits_TBV, lengths_B, width)
        alone = [decode(logits_TBV[:n, [row]], torch.tensor([n]), width)[0] for row, n in enumerate((9, 4, 0))]
        assert found == alone
        assert found[2] == []
