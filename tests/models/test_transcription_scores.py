"""Errors of characters and words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elman.errors import DataError
from elman.models.transcription_scores import edit_distance, score_texts

_texts = st.text("abc", max_size=7)


def plainly(found: str, right: str) -> int:
    """Levenshtein's recursion as it is written."""
    if not found or not right:
        return len(found) + len(right)
    return min(
        plainly(found[1:], right) + 1,
        plainly(found, right[1:]) + 1,
        plainly(found[1:], right[1:]) + (found[0] != right[0]),
    )


@given(_texts.filter(lambda text: len(text) < 6), _texts.filter(lambda text: len(text) < 6))
def test_the_distance_is_the_fewest_changes(found: str, right: str) -> None:
    assert edit_distance(found, right) == plainly(found, right)


@given(_texts, _texts)
def test_the_distance_is_one(found: str, right: str) -> None:
    assert edit_distance(found, right) == edit_distance(right, found) <= max(len(found), len(right))
    assert (edit_distance(found, right) == 0) == (found == right)


def test_rates_are_over_what_is_right() -> None:
    scores = score_texts(["one to", ""], ["one two", "six"], 5.0, 10, "six").to_dict()
    assert scores["cer"] == pytest.approx(4 / 10)
    assert scores["wer"] == pytest.approx(2 / 3)
    assert scores["exact"] == 0.0
    assert scores["loss_nats"] == 0.5
    assert scores["baseline_exact"] == 0.5
    assert scores["baseline_cer"] == pytest.approx(7 / 10)
    with pytest.raises(DataError, match="nothing to score"):
        score_texts([], [], 0.0, 0, "")
