"""A part held out: how many of each class, in which order, by which draw."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elman.data.split import hold_out, keep_seen
from elman.errors import DataError

_labels = st.lists(st.sampled_from("aaaaabbbcd"), min_size=2, max_size=60).filter(
    lambda labels: len(set(labels)) < len(labels)
)


@given(_labels, st.floats(0.01, 0.9), st.integers(0, 5))
def test_each_class_gives_its_share_and_keeps_one(labels: list[str], fraction: float, seed: int) -> None:
    items = list(range(len(labels)))
    kept, held = hold_out(items, labels, fraction, seed)
    assert sorted(kept + held) == items
    assert (kept, held) == (sorted(kept), sorted(held))
    assert held
    assert {labels[i] for i in kept} == set(labels)
    counts, given_up = Counter(labels), Counter(labels[i] for i in held)
    for label, count in counts.items():
        assert given_up[label] <= max(fraction * count + len(counts), 1)
    if min(counts.values()) * fraction >= 1:
        assert all(given_up[label] >= int(fraction * count) - 1 for label, count in counts.items())


def test_the_shares_are_exact_where_they_can_be() -> None:
    labels = ["a"] * 60 + ["b"] * 30 + ["c"] * 10
    _, held = hold_out(labels, labels, 0.1, 0)
    assert Counter(held) == {"a": 6, "b": 3, "c": 1}


def test_the_draw_is_a_function_of_the_seed_and_the_order_alone() -> None:
    items = [f"item {i}" for i in range(100)]
    labels = [str(i % 3) for i in range(100)]
    assert hold_out(items, labels, 0.2, 1) == hold_out(tuple(items), tuple(labels), 0.2, 1)
    assert hold_out(items, labels, 0.2, 1) != hold_out(items, labels, 0.2, 2)
    # What labels are called doesn't matter.
    assert hold_out(items, labels, 0.2, 1) == hold_out(items, ["xyz"[int(label)] for label in labels], 0.2, 1)


def test_without_labels_the_split_is_plain() -> None:
    kept, held = hold_out(range(1000), None, 0.1, 7)
    assert (len(kept), len(held)) == (900, 100)
    # Drawn all over, not from an end.
    assert min(held) < 50
    assert max(held) > 950
    assert 350 < sum(index >= 500 for index in held) * 10 < 650


def test_a_class_of_one_is_never_held_out() -> None:
    for seed in range(20):
        kept, _ = hold_out(range(11), ["a"] * 10 + ["b"], 0.5, seed)
        assert 10 in kept


@pytest.mark.parametrize("labels", [["a"], ["a", "b", "c"], []])
def test_where_none_can_be_held_out_it_is_said(labels: list[str]) -> None:
    with pytest.raises(DataError, match="--valid"):
        hold_out(labels, labels, 0.5, 0)


@given(st.lists(st.sets(st.sampled_from("abcdef"), min_size=1), min_size=2, max_size=12), st.data())
def test_nothing_is_held_out_that_has_a_tag_of_its_own(tags: list[set[str]], data: st.DataObject) -> None:
    count = data.draw(st.integers(1, len(tags) - 1))
    try:
        kept, held = keep_seen(tags[count:], tags[:count], set)
    except DataError:
        assert all(any(tag not in set().union(*tags[count:]) for tag in each) for each in tags[:count])
        return
    assert sorted(map(sorted, kept + held)) == sorted(map(sorted, tags))
    assert kept[: len(tags) - count] == tags[count:]
    assert set().union(*held) <= set().union(*kept)


def test_held_out_stays_what_can_be_learnt() -> None:
    assert keep_seen(["ab", "c"], ["ac", "bd", "b"], set) == (["ab", "c", "bd"], ["ac", "b"])
    with pytest.raises(
        DataError, match="none can be held out for validation, because each has a tag that no other has"
    ):
        keep_seen(["a"], ["b"], set)


@given(
    st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("xy")), min_size=3, max_size=60), st.integers(0, 5)
)
def test_nothing_of_a_group_is_on_both_sides(items: list[tuple[str, str]], seed: int) -> None:
    groups, labels = [group for group, _ in items], [label for _, label in items]
    try:
        kept, held = hold_out(list(enumerate(items)), labels, 0.3, seed, groups)
    except DataError:
        # No group could go without taking the last of a class.
        counts = Counter(labels)
        if len(set(groups)) < len(groups):
            for group in set(groups):
                own = Counter(label for name, label in items if name == group)
                assert any(own[label] == counts[label] for label in own)
        return
    assert sorted(kept + held) == list(enumerate(items))
    assert held
    assert {label for _, (_, label) in kept} == set(labels)
    if len(set(groups)) < len(groups):
        assert not {group for _, (group, _) in kept} & {group for _, (group, _) in held}


def test_of_many_groups_about_the_share_is_held_out() -> None:
    groups = [str(index // 5) for index in range(500)]
    kept, held = hold_out(range(500), None, 0.1, 0, groups)
    assert len(held) == 50
    assert len(kept) == 450
    # Groups of one each are no groups: classes give their shares.
    assert hold_out(range(500), None, 0.1, 0, list(map(str, range(500)))) == hold_out(range(500), None, 0.1, 0)
