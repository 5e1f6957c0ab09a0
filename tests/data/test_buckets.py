"""Batches of like length: everything once an epoch, little padding, a function of seed and step alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elman.data.buckets import Buckets, in_order

lengths_of_texts = st.lists(st.integers(0, 60), min_size=1, max_size=80)


@given(lengths_of_texts, st.integers(1, 200), st.integers(0, 3), st.integers(0, 5))
def test_every_sequence_is_read_once_an_epoch(lengths: list[int], tokens: int, seed: int, epoch: int) -> None:
    buckets = Buckets(lengths, tokens, seed)
    steps = range(epoch * len(buckets), (epoch + 1) * len(buckets))
    read = np.concatenate([buckets[step] for step in steps])
    assert sorted(read) == list(range(len(lengths)))


@given(lengths_of_texts, st.integers(1, 200))
def test_in_order_no_batch_has_more_tokens_than_asked_unless_one_sequence_has(lengths: list[int], tokens: int) -> None:
    batches = in_order(lengths, tokens)
    assert sorted(np.concatenate(batches)) == list(range(len(lengths)))
    for places in batches:
        longest = max(lengths[place] for place in places)
        assert len(places) == 1 or len(places) * longest <= tokens
    assert [lengths[place] for places in batches for place in places] == sorted(lengths)


def test_a_batch_depends_on_nothing_but_seed_and_step() -> None:
    lengths = list(np.random.default_rng(0).integers(1, 50, 300))
    one, other = Buckets(lengths, 256, seed=7), Buckets(lengths, 256, seed=7)
    steps = list(range(3 * len(one)))
    ahead = [one[step] for step in steps]
    backwards = [other[step] for step in reversed(steps)][::-1]
    assert all(np.array_equal(a, b) for a, b in zip(ahead, backwards, strict=True))
    different = Buckets(lengths, 256, seed=8)
    assert any(not np.array_equal(one[step], different[step]) for step in steps)


def test_other_sequences_meet_in_each_epoch_and_batches_come_in_another_order() -> None:
    lengths = list(np.random.default_rng(0).integers(1, 50, 300))
    buckets = Buckets(lengths, 256, seed=0)
    first = {frozenset(map(int, buckets[step])) for step in range(len(buckets))}
    second = {frozenset(map(int, buckets[step])) for step in range(len(buckets), 2 * len(buckets))}
    assert first != second
    order = [max(lengths[place] for place in buckets[step]) for step in range(len(buckets))]
    assert order != sorted(order)


@pytest.mark.parametrize("seed", [0, 1])
def test_padding_is_a_small_part(seed: int) -> None:
    lengths = np.random.default_rng(seed).geometric(0.05, 2000)
    buckets = Buckets(list(lengths), 1024, seed)
    padded = sum(len(places) * lengths[places].max() for places in (buckets[step] for step in range(len(buckets))))
    assert padded < 1.15 * lengths.sum()
    # Batches as texts come would be more than twice as large.
    shuffled = np.array_split(np.random.default_rng(seed).permutation(2000), len(buckets))
    assert sum(len(places) * lengths[places].max() for places in shuffled) > 2 * lengths.sum()
