"""A part held out, drawn by a seed: class by class where there are classes, group by group where there are groups."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import numpy as np

from elman.errors import DataError

T = TypeVar("T")


def hold_out(
    items: Sequence[T],
    labels: Sequence[str | None] | None,
    fraction: float,
    seed: int,
    groups: Sequence[str] | None = None,
) -> tuple[list[T], list[T]]:
    """(kept, held out): about `fraction` of the items are held out, in the order in which they stood.

    With `labels` each class gives its share (what is left by rounding down goes to those that lost most by it), and keeps
    one at least. With `groups`, if two items have the same, whole groups are held out, none of a group on both sides, and
    each class keeps an item. The draw depends on the seed and the order of items alone. Raises `DataError` if none can be
    held out.
    """
    if groups is not None and len(set(groups)) < len(items):
        held = _held_groups(groups, labels, fraction, seed)
    else:
        held = _held(len(items), labels, fraction, seed)
    return (
        [item for index, item in enumerate(items) if index not in held],
        [item for index, item in enumerate(items) if index in held],
    )


def _held(items: int, labels: Sequence[str | None] | None, fraction: float, seed: int) -> set[int]:
    classes: dict[str | None, list[int]] = {}
    for index, label in enumerate([None] * items if labels is None else labels):
        classes.setdefault(label, []).append(index)
    generator = np.random.default_rng(seed)
    members = [generator.permutation(group) for group in classes.values()]
    sizes = np.array([len(group) for group in members], dtype=np.int64)
    wanted = min(max(round(items * fraction), 1), int((sizes - 1).sum()))
    if wanted < 1:
        raise DataError(
            f"of {items} examples none can be held out for validation, because each class must keep one: "
            "give more, or a validation part of its own with --valid."
        )
    # Of classes that lost equally much by rounding, the seed decides.
    order = generator.permutation(len(sizes))
    share = sizes * (wanted / items)
    counts = np.minimum(share.astype(np.int64), sizes - 1)
    lost = order[np.argsort(-(share - counts)[order], kind="stable")]
    while counts.sum() < wanted:
        for group in lost[counts[lost] < sizes[lost] - 1][: wanted - counts.sum()]:
            counts[group] += 1
    return {int(index) for group, count in zip(members, counts, strict=True) for index in group[:count]}


def _held_groups(groups: Sequence[str], labels: Sequence[str | None] | None, fraction: float, seed: int) -> set[int]:
    """Groups in an order drawn by the seed, each held out that brings the number of items nearer to what is wanted."""
    members: dict[str, list[int]] = {}
    for index, group in enumerate(groups):
        members.setdefault(group, []).append(index)
    classes = [None] * len(groups) if labels is None else list(labels)
    left = Counter(classes)
    wanted, held = max(len(groups) * fraction, 1.0), set[int]()
    names = list(members)
    for place in np.random.default_rng(seed).permutation(len(names)):
        own = members[names[place]]
        lost = Counter(classes[index] for index in own)
        nearer = abs(len(held) + len(own) - wanted) < abs(len(held) - wanted) or not held
        if nearer and all(left[label] > count for label, count in lost.items()):
            held |= set(own)
            left -= lost
    if not held:
        raise DataError(
            f"of {len(names)} groups none can be held out for validation, because each class must keep an example: "
            "give more, or a validation part of its own with --valid."
        )
    return held


def keep_seen(kept: list[T], held: list[T], tags_of: Callable[[T], Iterable[str]]) -> tuple[list[T], list[T]]:
    """(kept, held out), what has a tag that nothing kept has being kept too: it could be neither learnt nor scored.

    Raises `DataError` if nothing is left to hold out.
    """
    seen = {tag for item in kept for tag in tags_of(item)}
    kept, left = list(kept), []
    for item in held:
        tags = set(tags_of(item))
        if tags <= seen:
            left.append(item)
        else:
            kept.append(item)
            seen |= tags
    if not left:
        raise DataError(
            f"of {len(kept)} examples none can be held out for validation, because each has a tag that no other has: "
            "give more, or a validation part of its own with --valid."
        )
    return kept, left
