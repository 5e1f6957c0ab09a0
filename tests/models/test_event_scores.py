"""Events: as labels a step and back, and when one that was found is right."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elman.data.examples import Event, Recording
from elman.data.sound_labels import EventReader, events_of, labels_of, numbered_steps
from elman.errors import DataError
from elman.models.event_scores import event_f1, matched, score_events

LABELS = ["none", "x", "y"]


def log_p(numbers: list[int], sure: float = 0.8) -> np.ndarray:
    """ln P (S, V) that makes these numbers the likeliest."""
    p_SV = np.full((len(numbers), 3), (1 - sure) / 2)
    p_SV[np.arange(len(numbers)), numbers] = sure
    return np.log(p_SV)


@given(st.lists(st.integers(0, 2), min_size=1, max_size=30))
def test_labels_a_step_come_back_from_the_events_they_make(numbers: list[int]) -> None:
    events = events_of(log_p(numbers), LABELS, 0.02)
    assert numbered_steps(events, len(numbers), 0.02, LABELS).tolist() == numbers
    assert all(one.end <= other.start + 1e-9 for one, other in pairwise(events))


@given(st.lists(st.integers(0, 2), min_size=1, max_size=30), st.lists(st.integers(0, 30), max_size=4))
def test_events_come_as_soon_as_they_end_however_steps_are_cut(numbers: list[int], cuts: list[int]) -> None:
    whole = EventReader(LABELS, 0.01)
    expected = [*whole.accept(log_p(numbers)), *whole.finish()]
    pieces = EventReader(LABELS, 0.01)
    found = [pair for part in np.split(log_p(numbers), sorted(cuts)) for pair in pieces.accept(part)]
    found += pieces.finish()
    assert [event for event, _ in found] == [event for event, _ in expected]
    np.testing.assert_allclose([p for _, p in found], 0.8)


def test_the_label_of_a_step_is_that_of_its_middle() -> None:
    events = (Event(0.014, 0.026, "x"),)
    assert numbered_steps(events, 4, 0.01, LABELS).tolist() == [0, 1, 1, 0]
    assert numbered_steps(events, 2, 0.01, LABELS, start=0.02).tolist() == [1, 0]
    recordings = [Recording("a", (Event(0, 1, "y"), Event(1, 2, "x"), Event(2, 3, "none")), "")]
    assert labels_of(recordings) == LABELS
    with pytest.raises(DataError, match="no event"):
        labels_of([Recording("a", (), "")])


TRUE = Event(1.0, 2.0, "x")


@pytest.mark.parametrize(
    ("found", "right"),
    [
        (Event(1.0, 2.0, "x"), True),
        (Event(1.19, 2.49, "x"), True),
        (Event(0.81, 1.51, "x"), True),
        (Event(1.21, 2.0, "x"), False),
        (Event(1.0, 2.51, "x"), False),
        (Event(1.0, 2.0, "y"), False),
    ],
)
def test_an_event_is_right_within_the_collars(found: Event, right: bool) -> None:
    assert matched([TRUE], [found]) == right
    # Short events have the collar alone.
    assert matched([Event(1.0, 1.1, "x")], [Event(1.0, 1.29, "x")]) == 1
    assert matched([Event(1.0, 1.1, "x")], [Event(1.0, 1.31, "x")]) == 0


def test_as_many_are_matched_as_can_be() -> None:
    # The first fits both, the second the first alone: taken in order, one would be left over.
    right = [Event(1.0, 2.0, "x"), Event(1.15, 2.0, "x")]
    found = [Event(1.1, 2.0, "x"), Event(0.9, 2.0, "x")]
    assert matched(right, found) == 2
    # One that was found is right once.
    assert matched(right, found[:1]) == 1
    assert event_f1([right, []], [found[:1], [TRUE]]) == (0.5, 0.5, 0.5)
    assert event_f1([[]], [[]]) == (0.0, 0.0, 0.0)


def test_scores_stand_beside_those_of_the_most_frequent_label() -> None:
    labels = [np.array([0, 0, 1, 1]), np.array([0, 2])]
    events = [[Event(2.0, 4.0, "x")], [Event(1.0, 2.0, "y")]]
    log_ps = [log_p([0, 0, 1, 1]), log_p([0, 0])]
    found = [events_of(each, LABELS, 1.0) for each in log_ps]
    scores = score_events(labels, log_ps, events, found, 0, [[], []]).to_dict()
    assert scores["accuracy"] == pytest.approx(5 / 6)
    assert (scores["event_precision"], scores["event_recall"]) == (1.0, 0.5)
    assert scores["event_f1"] == pytest.approx(2 / 3)
    assert scores["baseline_accuracy"] == 0.5
    assert scores["baseline_event_f1"] == 0.0
    assert scores["loss_nats"] == pytest.approx(-(5 * np.log(0.8) + np.log(0.1)) / 6)
    with pytest.raises(DataError, match="nothing to score"):
        score_events([], [], [], [], 0, [])
