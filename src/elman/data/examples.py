"""What readers give and tasks take: one value an example, and where each was read."""

from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar


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


@dataclass(frozen=True)
class Clip:
    """A sound file, or a part of one, and its class or what is said in it; None where that isn't known.

    start, end   seconds; None is the file's end           seconds   how long it is
    group        what it is kept together with, in a split (a speaker)   digest    a hash of what was heard
    """

    path: str
    label: str | None
    where: str
    start: float = 0.0
    end: float | None = None
    group: str = ""
    seconds: float = 0.0
    digest: str = ""


class Event(NamedTuple):
    """What is heard from `start` to `end`, in seconds."""

    start: float
    end: float
    label: str


@dataclass(frozen=True)
class Recording:
    """A sound file, and what is heard when, in order of time, or None where that isn't known; the rest as in `Clip`."""

    path: str
    events: tuple[Event, ...] | None
    where: str
    group: str = ""
    seconds: float = 0.0
    digest: str = ""


Item = TypeVar("Item", bound=Any)


@dataclass(frozen=True)
class Reading(Generic[Item]):
    """What was read, and how it was understood.

    `columns` are the options that read another part of the same data alike: `read_examples(valid, **reading.columns, …)`.
    `understood` is a sentence for the user: which columns were taken, and why.
    """

    items: list[Item]
    understood: str
    columns: dict[str, str] = field(default_factory=dict)
