"""Parts of series: one after the other in time, the later looking back into the earlier, and never the other way."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elman.data.bad_rows import BadRows
from elman.data.series import Reach, Series, continued, hold_out_ends, long_enough
from elman.data.stamps import Clock
from elman.errors import DataError

CLOCK = Clock("number", 1)


def make(length: int, name: str = "", first: int = 0) -> Series:
    """A series whose values are its stamps."""
    stamps = np.arange(first, first + length)
    return Series(
        name, stamps, stamps[:, None].astype(float), np.empty((length, 0)), np.empty((length, 0)), name or "it"
    )


def targets(series: Series, reach: Reach) -> set[int]:
    """The stamps of all steps that are forecast in some window."""
    return set(series.stamps_T[reach.first(series.begin) :].tolist()) if reach.fits(series) else set()


@given(
    length=st.integers(1, 120),
    look_back=st.integers(0, 20),
    horizon=st.integers(1, 12),
    valid=st.floats(0.05, 0.4),
    test=st.floats(0, 0.4),
)
def test_no_step_is_a_target_of_two_parts_and_later_parts_look_back_only(
    length: int, look_back: int, horizon: int, valid: float, test: float
) -> None:
    reach, bad = Reach(look_back, horizon), BadRows()
    parts = hold_out_ends([make(length)], (valid, test), reach, bad)
    if bad.count:
        assert not any(parts)
        return
    seen = [targets(part[0], reach) for part in parts if part]
    assert all(seen)
    for earlier, later in pairwise(seen):
        assert max(earlier) < min(later)
    # Nothing is lost: each step behind the first look-back is a target of one part.
    assert set().union(*seen) == set(range(max(look_back, 1), length))
    # What is looked back on goes before, without a gap.
    for part in parts[1:]:
        for one in part:
            assert one.stamps_T.tolist() == list(range(int(one.stamps_T[0]), int(one.stamps_T[-1]) + 1))
            assert one.begin == (look_back or int(one.stamps_T[one.begin]))


def test_the_published_parts_of_hourly_data_come_out_by_their_fractions() -> None:
    train, valid, test = hold_out_ends([make(14_400)], (0.2, 0.2), Reach(96, 96), BadRows(strict=True))
    assert [len(part[0]) - part[0].begin for part in (train, valid, test)] == [8640, 2880, 2880]
    assert (len(valid[0]), valid[0].begin) == (2976, 96)


def test_a_series_that_is_too_short_is_a_bad_row() -> None:
    bad = BadRows()
    train, valid, _ = hold_out_ends([make(12), make(100)], (0.1, 0.0), Reach(8, 4), bad)
    assert (len(train), len(valid), bad.count) == (1, 1, 1)
    with pytest.raises(DataError, match="fewer than --look-back 8 and --horizon 4 need"):
        hold_out_ends([make(12)], (0.1, 0.0), Reach(8, 4), BadRows(strict=True))
    assert long_enough([make(11), make(12)], Reach(8, 4), bad)[0].y_TD.shape == (12, 1)


def test_a_later_file_goes_on_from_the_series_that_ends_where_it_begins() -> None:
    former = [make(10, "a"), make(10, "b")]
    later = [make(5, "a", first=10), make(5, "b", first=12), make(5, "c", first=10)]
    joined, apart, new = continued(later, former, CLOCK, Reach(4, 2))
    assert (joined.stamps_T.tolist(), joined.begin) == (list(range(6, 15)), 4)
    assert (len(apart), apart.begin, len(new), new.begin) == (5, 0, 5, 0)
    assert continued(later, former, Clock("row", 1), Reach(4, 2))[0].begin == 0


def test_the_last_part_keeps_what_is_known_ahead() -> None:
    known = np.arange(13.0)[:, None]
    series = Series("", np.arange(10), np.zeros((10, 1)), np.empty((10, 0)), known, "it")
    assert series.cut(0, 6).known_FK[:, 0].tolist() == list(range(6))
    assert series.cut(6, 10).known_FK[:, 0].tolist() == list(range(6, 13))
