"""Schemes by which tags mark the words of an entity, what may follow what in them, and entities as seqeval counts them.

IO       I-PER inside, O outside: two neighbours of one type can't be told apart
IOB1     B-PER only begins an entity right after another one of its type (Ramshaw and Marcus, 1995)
IOB2     B-PER begins every entity (Tjong Kim Sang and Veenstra, 1999)
BIOES    E-PER ends every entity of several words, S-PER is one of a single word
plain    a tag a word, like parts of speech: no entities
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from elman.data.bad_rows import BadRows
from elman.data.examples import Sentence
from elman.errors import DataError

Scheme = Literal["plain", "IO", "IOB1", "IOB2", "BIOES"]
SCHEMES: tuple[Scheme, ...] = get_args(Scheme)

OUTSIDE = "O"
_PREFIXES = {"IO": "I", "IOB1": "BI", "IOB2": "BI", "BIOES": "BIES"}


def find_scheme(tag_sequences: Sequence[Sequence[str]]) -> Scheme:
    """The scheme of a whole training part.

    "plain" if a tag is neither O nor one of B, I, E, S with a type ("B-PER"), or all are O; with E or S it is "BIOES";
    without B it is "IO"; else "IOB1" or "IOB2", whichever fewer sequences break ("IOB2" where both fit).
    """
    tags = {tag for sequence in tag_sequences for tag in sequence} - {OUTSIDE}
    prefixes = {tag[0] if tag[1:2] == "-" and len(tag) > 2 else "?" for tag in tags}
    if not prefixes or prefixes - set("BIES"):
        return "plain"
    if prefixes & set("ES"):
        return "BIOES"
    if prefixes == {"I"}:
        return "IO"
    broken: dict[Scheme, int] = {}
    schemes: tuple[Scheme, ...] = ("IOB2", "IOB1")
    for scheme in schemes:
        broken[scheme] = sum(check_scheme(sequence, scheme) is not None for sequence in tag_sequences)
    return min(schemes, key=lambda scheme: broken[scheme])


def check_scheme(tags: Sequence[str], scheme: Scheme) -> str | None:
    """None if the tags of a sentence obey the scheme, else what is wrong first: "I-PER at word 3 follows O"."""
    before: str | None = None
    for number, tag in enumerate(tags, 1):
        if not _belongs(tag, scheme):
            return f"{tag} at word {number} is no tag of the scheme {scheme}"
        if not _may_follow(before, tag, scheme):
            return f"{tag} at word {number} " + ("begins the sentence" if before is None else f"follows {before}")
        before = tag
    if tags and not _may_follow(before, None, scheme):
        return f"{before} at word {len(tags)} ends the sentence"
    return None


def keep_valid(sentences: Sequence[Sentence], scheme: Scheme, bad: BadRows) -> list[Sentence]:
    """The sentences whose tags obey the scheme; the others are bad rows."""
    kept = []
    for sentence in sentences:
        wrong = check_scheme(sentence.tags or (), scheme)
        if wrong:
            bad.skip(sentence.where, f"its tags break the scheme {scheme}: {wrong}")
        else:
            kept.append(sentence)
    return kept


def allowed_transitions(vocabulary: Sequence[str], scheme: Scheme) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What the scheme allows, as booleans (start, between, end) over V tags.

    `start` (V,): tags that may begin a sentence; `between` (V, V): [i, j] says that tag j may come right after tag i;
    `end` (V,): tags that may end a sentence.
    """
    start = [_may_follow(None, tag, scheme) for tag in vocabulary]
    between = [[_may_follow(first, second, scheme) for second in vocabulary] for first in vocabulary]
    end = [_may_follow(tag, None, scheme) for tag in vocabulary]
    size = len(vocabulary)
    return np.array(start, bool), np.array(between, bool).reshape(size, size), np.array(end, bool)


def _belongs(tag: str, scheme: Scheme) -> bool:
    return scheme == "plain" or tag == OUTSIDE or (tag[:1] in _PREFIXES[scheme] and tag[1:2] == "-" and len(tag) > 2)


def _may_follow(first: str | None, second: str | None, scheme: Scheme) -> bool:
    """Whether `second` may come right after `first`; None is the sentence's start, or its end."""
    if scheme in ("plain", "IO"):
        return True
    prefix, kind = _parts(second or OUTSIDE)
    prefix_before, kind_before = _parts(first or OUTSIDE)
    open_before = prefix_before in ("B", "I")
    if scheme == "IOB1":
        return prefix != "B" or (open_before and kind == kind_before)
    goes_on = prefix in ("I", "E")
    if scheme == "IOB2":
        return not goes_on or (open_before and kind == kind_before)
    return goes_on == open_before and (not goes_on or kind == kind_before)


def _parts(tag: str) -> tuple[str, str]:
    """Prefix and type as seqeval reads them: O has none."""
    return tag[:1], tag[1:].split("-", maxsplit=1)[-1] or "_"


def spans(tags: Sequence[str], scheme: Scheme) -> list[tuple[str, int, int]]:
    """The entities of a sentence: (type, first word, word after the last), words counted from 0.

    They are counted as seqeval does in its default mode, and conlleval does, whatever the scheme: a broken sequence has
    entities too ("I-PER" after O begins one). The scheme "plain" has none.
    """
    if scheme == "plain":
        return []
    found: list[tuple[str, int, int]] = []
    prefix_before, kind_before, start = OUTSIDE, "", 0
    for index, tag in enumerate([*tags, OUTSIDE]):
        prefix, kind = _parts(tag)
        changes = kind != kind_before
        ends = prefix_before in ("E", "S") or (prefix_before in ("B", "I") and prefix in ("B", "S", "O"))
        if prefix_before != OUTSIDE and (ends or changes):
            found.append((kind_before, start, index))
        if prefix != OUTSIDE and (prefix in ("B", "S") or prefix_before in ("E", "S", "O") or changes):
            start = index
        prefix_before, kind_before = prefix, kind
    return found


@dataclass(frozen=True)
class Scores:
    """Precision, recall and F1 of entities (0 where undefined); `support` counts the true ones."""

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class EntityScores(Scores):
    """Scores over all entities, and by their type."""

    by_type: dict[str, Scores]


def entity_f1(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> EntityScores:
    """Score predicted tags: an entity is right if its type and both ends are.

    The scores over all are seqeval's micro average (Nakayama, 2018, https://github.com/chakki-works/seqeval).

    Raises `DataError` if the sentences aren't the same in number and length.
    """
    if len(gold) != len(predicted):
        raise DataError(f"there are {len(gold)} sentences but {len(predicted)} predictions: give one for each.")
    true: Counter[str] = Counter()
    given: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for number, (tags, guess) in enumerate(zip(gold, predicted, strict=True), 1):
        if len(tags) != len(guess):
            raise DataError(f"sentence {number} has {len(tags)} tags but {len(guess)} predicted ones: give one a word.")
        entities, guesses = set(spans(tags, "BIOES")), set(spans(guess, "BIOES"))
        true.update(_kinds(entities))
        given.update(_kinds(guesses))
        right.update(_kinds(entities & guesses))
    by_type = {kind: _scores(right[kind], given[kind], true[kind]) for kind in sorted(true | given)}
    whole = _scores(right.total(), given.total(), true.total())
    return EntityScores(whole.precision, whole.recall, whole.f1, whole.support, by_type)


def _kinds(entities: set[tuple[str, int, int]]) -> Iterator[str]:
    return (kind for kind, _, _ in entities)


def _scores(right: int, given: int, true: int) -> Scores:
    precision = right / given if given else 0.0
    recall = right / true if true else 0.0
    return Scores(precision, recall, 2 * right / (given + true) if given + true else 0.0, true)
