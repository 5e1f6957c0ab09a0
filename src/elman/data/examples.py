"""What readers give and tasks take: one value an example, and where each was read."""

from dataclasses import dataclass, field
from typing import Generic, TypeVar


@dataclass(frozen=True)
class Example:
    """A text and its class, or None where that isn't known. `where` is like "train.tsv, line 12"."""

    text: str
    label: str | None
    where: str


@dataclass(frozen=True)
class Sentence:
    """Words and a tag for each, or None where tags aren't known."""

    words: tuple[str, ...]
    tags: tuple[str, ...] | None
    where: str


@dataclass(frozen=True)
class Pair:
    """A text and its translation, or None where that isn't known."""

    source: str
    target: str | None
    where: str


Item = TypeVar("Item", Example, Sentence, Pair)


@dataclass(frozen=True)
class Reading(Generic[Item]):
    """What was read, and how it was understood.

    `columns` are the options that read another part of the same data alike: `read_examples(valid, **reading.columns, …)`.
    `understood` is a sentence for the user: which columns were taken, and why.
    """

    items: list[Item]
    understood: str
    columns: dict[str, str] = field(default_factory=dict)
