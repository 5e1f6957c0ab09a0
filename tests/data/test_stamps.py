"""Time stamps: how they are read and written, the step between them, the calendar."""

import numpy as np
import pytest

from elman.data.stamps import Clock, common_style, infer_clock, read_stamp


def stamps(*texts: str) -> np.ndarray:
    return np.array([read_stamp(text)[0] for text in texts])


def clock_of(*texts: str) -> Clock:
    style = common_style({read_stamp(text)[1] for text in texts})
    assert style
    return infer_clock([stamps(*texts)], style)


@pytest.mark.parametrize(
    ("texts", "words", "following"),
    [
        (("1", "2", "3"), "1 a step", ["4", "5"]),
        (("10", "20", "30"), "10 a step", ["40", "50"]),
        (
            ("2016-07-01 00:00:00", "2016-07-01 01:00:00"),
            "1:00:00 a step",
            ["2016-07-01 02:00:00", "2016-07-01 03:00:00"],
        ),
        (("2016-07-01T23:59:59.5", "2016-07-02T00:00:00"), "0:00:00.500000 a step", ["2016-07-02 00:00:00.500000"]),
        (("2024-02-27", "2024-02-28"), "1 day, 0:00:00 a step", ["2024-02-29", "2024-03-01"]),
        (("2024-01-01", "2024-02-01", "2024-03-01"), "1 month a step", ["2024-04-01", "2024-05-01"]),
        (("2024-01-31", "2024-02-29", "2024-03-31"), "1 month a step", ["2024-04-30", "2024-05-31"]),
        (("2023-01-28", "2023-02-28", "2023-03-28"), "1 month a step", ["2023-04-28"]),
        (("2024-01", "2024-04", "2024-07"), "3 months a step", ["2024-10-01"]),
        (("2021-05-05", "2022-05-05", "2023-05-05"), "12 months a step", ["2024-05-05"]),
        (("2024-01-01T00:00+02:00", "2024-01-01T00:00Z"), "2:00:00 a step", ["2024-01-01 02:00:00+00:00"]),
    ],
)
def test_the_step_is_inferred_and_time_goes_on(texts: tuple[str, ...], words: str, following: list[str]) -> None:
    clock = clock_of(*texts)
    assert clock.in_words == words
    last = int(stamps(*texts)[-1])
    assert [clock.text(int(stamp)) for stamp in clock.after(last, len(following))] == following


def test_the_step_is_the_most_frequent_difference() -> None:
    clock = clock_of("1", "2", "3", "7", "8")
    assert clock.step == 1
    assert clock.places(stamps("1", "3", "8")).tolist() == [0, 2, 7]


def test_a_stamp_that_is_not_on_the_grid_has_no_whole_place() -> None:
    places = clock_of("0", "10", "20", "30").places(stamps("0", "15", "20"))
    assert places.tolist() == [0, 1.5, 2]
    months = clock_of("2024-01-01", "2024-02-01", "2024-03-01")
    assert np.isnan(months.places(stamps("2024-01-01", "2024-02-02"))[1])


@pytest.mark.parametrize("text", ["", "yesterday", "2024-13-01", "1.5", "31/12/2024"])
def test_what_is_no_stamp_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        read_stamp(text)


def test_numbers_and_dates_do_not_go_together() -> None:
    assert common_style({"number", "date"}) is None
    assert common_style({"date", "datetime"}) == "datetime"


@pytest.mark.parametrize(
    ("texts", "season"),
    [
        (("2024-01-01 00:00", "2024-01-01 01:00"), 24),
        (("2024-01-01 00:00", "2024-01-01 00:15"), 96),
        (("2024-01-01", "2024-01-02"), 7),
        (("2024-01-01", "2024-01-08"), 52),
        (("2024-01-01", "2024-02-01"), 12),
        (("2024-01-01", "2024-04-01"), 4),
        (("2023-01-01", "2024-01-01"), 1),
        (("1", "2"), 1),
    ],
)
def test_the_season_is_guessed_from_the_step(texts: tuple[str, ...], season: int) -> None:
    assert clock_of(*texts).season == season


def test_the_calendar_tells_what_the_step_leaves_open() -> None:
    hourly = clock_of("2024-01-01 00:00", "2024-01-01 01:00")
    day = hourly.calendar(stamps("2024-01-01 06:00", "2024-01-01 18:00", "2024-01-02 06:00"))
    # Hour of the day, day of the week, day of the year: sine and cosine each. The first day of 2024 was a Monday.
    assert day.shape == (3, 6)
    np.testing.assert_allclose(day[0, :2], [1, 0], atol=1e-9)
    np.testing.assert_allclose(day[1, :2], [-1, 0], atol=1e-9)
    np.testing.assert_allclose(day[0, :2], day[2, :2], atol=1e-9)
    np.testing.assert_allclose(day[0, 2], np.sin(2 * np.pi * 0.25 / 7), atol=1e-9)
    assert clock_of("2024-01-01", "2024-01-02").calendar(stamps("2024-01-01")).shape == (1, 4)
    assert clock_of("2024-01-01", "2024-02-01").calendar(stamps("2024-01-01")).shape == (1, 2)
    with pytest.raises(ValueError, match="no dates"):
        clock_of("1", "2").calendar(stamps("1"))
