"""Vocabularies: the same counts give the same numbers, what isn't there is UNKNOWN, and characters are what a reader sees."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elman.data.vocabulary import (
    PADDING,
    UNKNOWN,
    UNKNOWN_ID,
    Vocabulary,
    graphemes,
    normalise,
)
from elman.errors import DataError, OptionError

LETTERS = ["b", "a", "c", "a", "b", "d", "a"]


def test_numbers_follow_frequency_and_then_the_alphabet() -> None:
    vocabulary = Vocabulary.fit(LETTERS)
    assert vocabulary.tokens == (PADDING, UNKNOWN, "a", "b", "c", "d")
    assert vocabulary == Vocabulary.fit(reversed(LETTERS)) == Vocabulary.fit({"d": 1, "c": 1, "a": 3, "b": 2})
    assert len(vocabulary) == 6
    assert vocabulary.encode(["d", "x", "a", ""]).tolist() == [5, UNKNOWN_ID, 2, UNKNOWN_ID]
    assert vocabulary.encode([]).tolist() == []


def test_rare_tokens_are_left_out_and_of_the_others_the_most_frequent_are_kept() -> None:
    assert Vocabulary.fit(LETTERS, minimum=2).to_list() == ["a", "b"]
    assert Vocabulary.fit(LETTERS, limit=3).to_list() == ["a", "b", "c"]
    assert Vocabulary.fit([]).to_list() == []


def test_a_text_can_not_hold_what_stands_for_padding_or_unknown() -> None:
    vocabulary = Vocabulary.fit(LETTERS)
    assert vocabulary.tokens[0] == PADDING
    assert vocabulary.tokens[UNKNOWN_ID] == UNKNOWN
    assert all(token != token.strip() for token in (PADDING, UNKNOWN))


@given(st.lists(st.text()))
def test_json_keeps_it(tokens: list[str]) -> None:
    vocabulary = Vocabulary.fit([token for token in tokens if token not in (PADDING, UNKNOWN)])
    assert Vocabulary.from_list(json.loads(json.dumps(vocabulary.to_list()))) == vocabulary


def test_a_closed_vocabulary_is_in_order_of_the_alphabet_and_knows_no_other_token() -> None:
    labels = Vocabulary.fit(LETTERS, closed=True)
    assert labels.tokens == ("a", "b", "c", "d")
    assert labels.encode(["d", "a"]).tolist() == [3, 0]
    assert Vocabulary.from_list(labels.to_list(), closed=True) == labels
    with pytest.raises(DataError, match=r"the label 'x' is not known: choose from a, b, c, d"):
        labels.encode(["a", "x"])


@pytest.mark.parametrize(
    ("found", "wrong"), [("ab", "list of texts"), (["a", 1], "list of texts"), (["a", "b", "a"], "'a' more than once")]
)
def test_what_is_no_vocabulary_is_an_error(found: object, wrong: str) -> None:
    with pytest.raises(DataError, match=wrong):
        Vocabulary.from_list(found)


def test_a_vocabulary_without_its_first_two_is_an_error() -> None:
    with pytest.raises(DataError, match="begins with"):
        Vocabulary(("a", "b"))


@pytest.mark.parametrize(
    ("text", "characters"),
    [
        ("word", ["w", "o", "r", "d"]),
        ("e\u0301te\u0301", ["e\u0301", "t", "e\u0301"]),
        ("नमस्ते", ["न", "म", "स्", "ते"]),
        ("각\u1100\u1161", ["각", "\u1100\u1161"]),
        ("🇩🇪🇫🇷", ["🇩🇪", "🇫🇷"]),
        ("👨‍👩‍👧!", ["👨‍👩‍👧", "!"]),
        ("a\r\nb", ["a", "\r\n", "b"]),
        ("", []),
    ],
)
def test_a_character_is_what_a_reader_calls_one(text: str, characters: list[str]) -> None:
    assert list(graphemes(text)) == characters


@given(st.text())
def test_characters_put_together_are_the_text(text: str) -> None:
    assert "".join(graphemes(text)) == text


def test_normal_forms_are_those_of_unicode() -> None:
    assert normalise("e\u0301ﬁ", "none") == "e\u0301ﬁ"
    assert normalise("e\u0301ﬁ", "nfc") == "éﬁ"
    assert normalise("e\u0301ﬁ", "nfkc") == "éfi"
    with pytest.raises(OptionError, match="'nfx' is not known: did you mean"):
        normalise("a", "nfx")
