"""Schemes of tags: which one it is, what breaks it, what may follow what; and entities, counted as seqeval counts them."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elman.data.bad_rows import BadRows
from elman.data.examples import Sentence
from elman.data.tag_schemes import Scheme, allowed_transitions, check_scheme, entity_f1, find_scheme, keep_valid, spans
from elman.errors import DataError

# The same four sentences: two entities side by side, one alone, none, one at the end.
WRITTEN: dict[Scheme, list[str]] = {
    "IOB1": ["I-PER I-PER B-PER O", "I-LOC", "O O", "O I-LOC I-PER"],
    "IOB2": ["B-PER I-PER B-PER O", "B-LOC", "O O", "O B-LOC B-PER"],
    "BIOES": ["B-PER E-PER S-PER O", "S-LOC", "O O", "O S-LOC S-PER"],
    "IO": ["I-PER I-PER I-PER O", "I-LOC", "O O", "O I-LOC I-PER"],
    "plain": ["NOUN VERB", "I-PER NOUN", "B-PER X", "O"],
}
SCHEMES: tuple[Scheme, ...] = tuple(WRITTEN)
TAGS = ["O", *(f"{prefix}-{kind}" for prefix in "BIES" for kind in ("A", "B"))]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_scheme_of_a_training_part_is_found(scheme: Scheme) -> None:
    sentences = [line.split() for line in WRITTEN[scheme]]
    assert find_scheme(sentences) == scheme
    assert [check_scheme(tags, scheme) for tags in sentences] == [None] * len(sentences)


def test_a_broken_sentence_among_many_doesnt_change_the_scheme() -> None:
    for scheme in ("IOB1", "IOB2", "BIOES"):
        sentences = [line.split() for line in WRITTEN[scheme]] * 5
        assert find_scheme([*sentences, ["O", "I-PER", "B-LOC"]]) == scheme


@pytest.mark.parametrize(
    ("tags", "scheme"),
    [("O O", "plain"), ("", "plain"), ("B- O", "plain"), ("B-X L-X", "plain"), ("B-X", "IOB2"), ("I-X", "IO")],
)
def test_what_little_there_is_decides(tags: str, scheme: Scheme) -> None:
    assert find_scheme([tags.split()]) == scheme


@pytest.mark.parametrize("scheme", ["IOB1", "IOB2", "BIOES"])
def test_the_same_entities_are_found_in_every_scheme(scheme: Scheme) -> None:
    found = [spans(line.split(), scheme) for line in WRITTEN[scheme]]
    assert found == [[("PER", 0, 2), ("PER", 2, 3)], [("LOC", 0, 1)], [], [("LOC", 1, 2), ("PER", 2, 3)]]


def test_parts_of_speech_have_no_entities() -> None:
    assert spans(["NOUN", "I-PER"], "plain") == []


@pytest.mark.parametrize(
    ("tags", "scheme", "wrong"),
    [
        ("O O I-PER", "IOB2", "I-PER at word 3 follows O"),
        ("I-PER", "IOB2", "I-PER at word 1 begins the sentence"),
        ("B-LOC I-PER", "IOB2", "I-PER at word 2 follows B-LOC"),
        ("S-LOC", "IOB2", "S-LOC at word 1 is no tag of the scheme IOB2"),
        ("O B-PER", "IOB1", "B-PER at word 2 follows O"),
        ("I-LOC B-PER", "IOB1", "B-PER at word 2 follows I-LOC"),
        ("B-PER O", "BIOES", "O at word 2 follows B-PER"),
        ("S-PER E-PER", "BIOES", "E-PER at word 2 follows S-PER"),
        ("O B-PER I-PER", "BIOES", "I-PER at word 3 ends the sentence"),
        ("B-PER", "IO", "B-PER at word 1 is no tag of the scheme IO"),
        ("NOUN", "IO", "NOUN at word 1 is no tag of the scheme IO"),
    ],
)
def test_what_breaks_a_scheme_is_said(tags: str, scheme: Scheme, wrong: str) -> None:
    assert check_scheme(tags.split(), scheme) == wrong


@pytest.mark.parametrize("scheme", SCHEMES)
def test_transitions_allow_exactly_what_the_check_allows(scheme: Scheme) -> None:
    prefixes = {"IO": "I", "IOB1": "BI", "IOB2": "BI"}.get(scheme, "BIES")
    vocabulary = ["O", *(f"{prefix}-{kind}" for prefix in prefixes for kind in ("A", "B"))]
    start, between, end = allowed_transitions(vocabulary, scheme)
    assert start.dtype == between.dtype == end.dtype == np.bool_
    for ids in itertools.product(range(len(vocabulary)), repeat=3):
        allowed = start[ids[0]] and between[ids[0], ids[1]] and between[ids[1], ids[2]] and end[ids[2]]
        assert allowed == (check_scheme([vocabulary[i] for i in ids], scheme) is None)


def test_sentences_that_break_the_scheme_are_bad_rows() -> None:
    good = Sentence(("a", "b"), ("B-X", "I-X"), "a.conll, line 1")
    bad = BadRows()
    assert keep_valid([good, Sentence(("a",), ("I-X",), "a.conll, line 4")], "IOB2", bad) == [good]
    assert "a.conll, line 4: its tags break the scheme IOB2: I-X at word 1 begins the sentence" in bad.notes()[0]


# Computed by seqeval 1.2.2 in its default mode: spans of the predictions, precision, recall, F1, and (F1, support) by type.
SEQEVAL = [
    (
        ["O B-PER I-PER O B-LOC", "B-ORG O"],
        ["O I-PER I-PER O I-LOC", "I-PER I-ORG"],
        [[("PER", 1, 3), ("LOC", 4, 5)], [("PER", 0, 1), ("ORG", 1, 2)]],
        (0.5, 2 / 3, 4 / 7),
        {"LOC": (1.0, 1), "ORG": (0.0, 1), "PER": (2 / 3, 1)},
    ),
    (
        ["B-PER I-PER I-LOC O"],
        ["B-PER I-LOC I-LOC O"],
        [[("PER", 0, 1), ("LOC", 1, 3)]],
        (0.0, 0.0, 0.0),
        {"LOC": (0.0, 1), "PER": (0.0, 1)},
    ),
    (["I-PER I-PER B-PER O"], ["I-PER I-PER I-PER O"], [[("PER", 0, 3)]], (0.0, 0.0, 0.0), {"PER": (0.0, 2)}),
    (
        ["B-PER I-PER E-PER S-LOC", "O S-PER O"],
        ["B-PER E-PER E-PER S-LOC", "E-PER I-PER O"],
        [[("PER", 0, 2), ("PER", 2, 3), ("LOC", 3, 4)], [("PER", 0, 1), ("PER", 1, 2)]],
        (0.4, 2 / 3, 0.5),
        {"LOC": (1.0, 1), "PER": (1 / 3, 2)},
    ),
    (["B-PER O"], ["O O"], [[]], (0.0, 0.0, 0.0), {"PER": (0.0, 1)}),
    (["O O"], ["B-PER O"], [[("PER", 0, 1)]], (0.0, 0.0, 0.0), {"PER": (0.0, 0)}),
]


@pytest.mark.parametrize(("gold", "predicted", "found", "whole", "by_type"), SEQEVAL)
def test_scores_are_those_of_seqeval(
    gold: list[str],
    predicted: list[str],
    found: list[list[tuple[str, int, int]]],
    whole: tuple[float, float, float],
    by_type: dict[str, tuple[float, int]],
) -> None:
    guesses = [line.split() for line in predicted]
    assert [spans(tags, "BIOES") for tags in guesses] == found
    scores = entity_f1([line.split() for line in gold], guesses)
    assert (scores.precision, scores.recall, scores.f1) == pytest.approx(whole)
    assert {kind: (each.f1, each.support) for kind, each in scores.by_type.items()} == {
        kind: pytest.approx(each) for kind, each in by_type.items()
    }
    assert scores.support == sum(each.support for each in scores.by_type.values())


_sequences = st.lists(st.lists(st.sampled_from(TAGS), min_size=1, max_size=8), min_size=1, max_size=4)


@given(_sequences)
def test_entities_lie_apart_and_in_order_and_gold_is_right(sequences: list[list[str]]) -> None:
    for tags in sequences:
        ends = [edge for _, start, end in spans(tags, "BIOES") for edge in (start, end)]
        assert ends == sorted(ends)
        covered = {i for _, start, end in spans(tags, "BIOES") for i in range(start, end)}
        assert covered == {i for i, tag in enumerate(tags) if tag != "O"}
    scores = entity_f1(sequences, sequences)
    assert scores.f1 == (1.0 if scores.support else 0.0)


def test_predictions_must_be_as_many_as_words() -> None:
    with pytest.raises(DataError, match="1 sentences but 0"):
        entity_f1([["O"]], [])
    with pytest.raises(DataError, match="sentence 2 has 1 tags but 2"):
        entity_f1([["O"], ["O"]], [["O"], ["O", "O"]])
