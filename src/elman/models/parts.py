"""What tasks over examples have in common: the training, validation and test parts, how they are read, and told apart."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Generic

from elman.data.bad_rows import BadRows
from elman.data.examples import Item, Reading
from elman.data.split import hold_out, keep_seen
from elman.data.text import Source
from elman.models.options import TrainOptions

# Where an example was read, which may change while what is learnt stays the same.
_PLACES = ("where", "path")


@dataclass(frozen=True)
class Parts(Generic[Item]):
    """The examples of each part, and what a person should know of how they were read."""

    train: list[Item]
    valid: list[Item]
    test: list[Item] | None
    notes: list[str]

    @property
    def fingerprint(self) -> str:
        """A hash of what is learnt from and validated on, wherever it was read."""
        digest = hashlib.sha256()
        for part in (self.train, self.valid):
            for item in part:
                digest.update(_told(item).encode())
            digest.update(b"end of the part")
        return digest.hexdigest()


def _told(item: Any) -> str:
    """What an example holds: its own account, where its fields are large, else its fields."""
    if hasattr(item, "fingerprint"):
        return str(item.fingerprint)
    return repr({name: value for name, value in asdict(item).items() if name not in _PLACES})


def read_parts(
    sources: Sequence[Source],
    options: TrainOptions,
    read: Callable[..., Reading[Item]],
    label_of: Callable[[Item], str] | None = None,
    tags_of: Callable[[Item], Iterable[str]] | None = None,
    group_of: Callable[[Item], str] | None = None,
) -> Parts[Item]:
    """Read DATA, and the other parts where they are given; else hold out seeded parts, by `label_of` class by class.

    `read(sources, bad, **columns)` reads a part; `columns` are those that the training part turned out to have. Nothing is
    held out that has one of `tags_of` which nothing that is kept has. With `group_of` whole groups are held out.
    Raises `DataError` for what can't be used, and where there is too little to hold out.
    """
    bad: BadRows = BadRows(options.strict)
    found = read(sources, bad)
    kept, seed = found.items, options.seed

    def held_out(items: list[Item], fraction: float) -> tuple[list[Item], list[Item]]:
        labels = None if label_of is None else [label_of(item) for item in items]
        groups = None if group_of is None else [group_of(item) for item in items]
        parted = hold_out(items, labels, fraction, seed, groups)
        return parted if tags_of is None else keep_seen(*parted, tags_of)

    test = None if options.test is None else read(list(options.test), bad, **found.columns).items
    if test is None and options.test_fraction:
        kept, test = held_out(kept, options.test_fraction)
    if options.valid is not None:
        valid = read(list(options.valid), bad, **found.columns).items
    else:
        rest = 1.0 if options.test is not None else 1 - options.test_fraction
        kept, valid = held_out(kept, options.valid_fraction / rest)
    return Parts(kept, valid, test, [f"data: {found.understood}", *bad.notes()])


def count_note(what: str, parts: Parts[Any], more: str = "") -> str:
    """How many examples each part has, as a note."""
    test = "" if parts.test is None else f", {len(parts.test):,} to test"
    return f"{what}: {len(parts.train):,} to train on, {len(parts.valid):,} to validate{test}{more}"


def budget_note(options: TrainOptions, what: str, steps_per_epoch: int) -> str:
    """How long training goes on, in batches of how many of `what`, as a note."""
    return (
        f"training: {options.budget_in_words}, about {options.batch_tokens:,} {what} a batch, "
        f"{steps_per_epoch:,} updates an epoch"
    )


def most_frequent(items: Iterable[str]) -> str:
    """The most frequent; of those equally frequent the first of the alphabet."""
    counts: dict[str, int] = {}
    for item in items:
        counts[item] = counts.get(item, 0) + 1
    return min(counts, key=lambda item: (-counts[item], item))
