"""Time stamps: whole numbers or ISO 8601, the step between them, and what they say of the calendar.

Inside, a stamp is an int64: the number itself, or microseconds since the beginning of 1970. A `Clock` knows how far it is from
one row to the next: so many units, or so many months, which are not equally long.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

_DAY = 24 * 3600 * 1_000_000
_EPOCH = datetime(1970, 1, 1)
_MONTH = re.compile(r"\d{4}-\d{2}")

# What a stamp may be written as. Rows without a column of time are counted.
NUMBER, DATE, DATETIME, UTC_TIME, ROW = "number", "date", "datetime", "utc", "row"


def read_stamp(text: str) -> tuple[int, str]:
    """A stamp, and how it is written. Raises `ValueError` for what is neither a whole number nor ISO 8601."""
    text = text.strip().strip('"')
    if text.lstrip("-").isdecimal():
        return int(text), NUMBER
    if _MONTH.fullmatch(text):
        text += "-01"
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        number = float(text)
        if number.is_integer():
            return int(number), NUMBER
        raise
    style = DATE if len(text) <= 10 else DATETIME
    if moment.tzinfo is not None:
        moment, style = moment.astimezone(UTC).replace(tzinfo=None), UTC_TIME
    return (moment - _EPOCH) // timedelta(microseconds=1), style


def common_style(styles: set[str]) -> str | None:
    """How all stamps can be written, or None where they don't go together."""
    if styles == {DATE, DATETIME}:
        return DATETIME
    return styles.pop() if len(styles) == 1 else None


@dataclass(frozen=True)
class Clock:
    """How time goes on in a set of series.

    style    how stamps are written: "number", "date", "datetime", "utc", or "row" where there is no column of time
    step     from one row to the next: in units of a stamp, or in months
    months   whether it is months, each stamp on day `day` of its month (31: the last), `rest` microseconds after midnight
    """

    style: str
    step: int
    months: bool = False
    day: int = 1
    rest: int = 0

    @property
    def in_words(self) -> str:
        if self.style == ROW:
            return "a row a step"
        if self.months:
            return f"{self.step} month{'s' * (self.step > 1)} a step"
        return f"{self.step} a step" if self.style == NUMBER else f"{timedelta(microseconds=self.step)} a step"

    def places(self, stamps_T: np.ndarray) -> np.ndarray:
        """The number of each stamp on the grid of steps from the first one, as float: whole where it lies on the grid."""
        if self.months:
            months_T = _months(stamps_T)
            there_T = self._from_months(months_T) == stamps_T
            return np.where(there_T, (months_T - months_T[:1]) / self.step, np.nan)
        return (stamps_T - stamps_T[:1]) / self.step

    def after(self, stamp: int, count: int) -> np.ndarray:
        """The next `count` stamps after this one."""
        steps = np.arange(1, count + 1) * self.step
        return self._from_months(_months(np.array([stamp])) + steps) if self.months else stamp + steps

    def text(self, stamp: int) -> str:
        """A stamp as it is written."""
        if self.style in (NUMBER, ROW):
            return str(stamp)
        moment = _EPOCH + timedelta(microseconds=int(stamp))
        if self.style == DATE:
            return moment.date().isoformat()
        return moment.isoformat(" ") + ("+00:00" if self.style == UTC_TIME else "")

    @property
    def season(self) -> int:
        """Steps of the likeliest season: a day of hours or minutes, a week of days, a year of months or weeks; else 1."""
        if self.style in (NUMBER, ROW):
            return 1
        if self.months:
            return max(12 // self.step, 1)
        for length in (_DAY, 7 * _DAY, 364 * _DAY):
            if self.step < length:
                return round(length / self.step)
        return 1

    def calendar(self, stamps_T: np.ndarray) -> np.ndarray:
        """(T, C): sine and cosine of the minute of the hour, hour of the day, day of the week and day of the year.

        Those that the step can't tell apart are left out. Raises `ValueError` for stamps that are no dates.
        """
        if self.style in (NUMBER, ROW):
            raise ValueError("stamps are no dates")
        step = 30 * _DAY * self.step if self.months else self.step
        days_T = stamps_T / _DAY
        dates_T = stamps_T.astype("datetime64[us]")
        year_T = (dates_T - dates_T.astype("datetime64[Y]").astype("datetime64[us]")).astype(np.int64) / _DAY
        cycles = [
            (_DAY / 24, days_T * 24),
            (_DAY, days_T),
            # The first day of 1970 was a Thursday.
            (7 * _DAY, (days_T + 3) / 7),
            (365 * _DAY, year_T / 366),
        ]
        angles = [2 * np.pi * turns_T for length, turns_T in cycles if step < length]
        return np.stack([wave(angle_T) for angle_T in angles for wave in (np.sin, np.cos)], -1).reshape(
            len(stamps_T), -1
        )

    def holds(self, stamps_N: np.ndarray) -> bool:
        """Whether all of these stamps lie on the day and time of a clock of months."""
        return bool((self._from_months(_months(stamps_N)) == stamps_N).all())

    def _from_months(self, months_T: np.ndarray) -> np.ndarray:
        first_T = months_T.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
        next_T = (months_T + 1).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
        day_T = np.minimum(first_T + self.day, next_T) - 1
        return day_T * _DAY + self.rest


def infer_clock(stamps: Sequence[np.ndarray], style: str) -> Clock:
    """The clock of series by their stamps, each in order: the step is the most frequent difference, of equals the smallest.

    Dates at the same time of the same day of their months (or at the ends of them), a month or more apart, go by months.
    Where no series has two stamps, the step is 1, or a day.
    """
    differences = np.concatenate([np.diff(stamps_T) for stamps_T in stamps] or [np.empty(0, np.int64)])
    if not len(differences):
        return Clock(style, 1 if style in (NUMBER, ROW) else _DAY)
    step = _most_frequent(differences)
    if style in (NUMBER, ROW) or step < 28 * _DAY:
        return Clock(style, step)
    all_N = np.concatenate(list(stamps))
    months_N, rest_N = _months(all_N), all_N % _DAY
    day = (
        int(
            (all_N.astype("datetime64[us]").astype("datetime64[D]") - months_N.astype("datetime64[M]"))
            .max()
            .astype(int)
        )
        + 1
    )
    count = _most_frequent(np.concatenate([np.diff(_months(stamps_T)) for stamps_T in stamps]))
    for each in (day, 31):
        by_months = Clock(style, max(count, 1), True, each, int(rest_N[0]))
        if by_months.holds(all_N):
            return by_months
    return Clock(style, step)


def _months(stamps_T: np.ndarray) -> np.ndarray:
    return stamps_T.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)


def _most_frequent(values: np.ndarray) -> int:
    found, counts = np.unique(values, return_counts=True)
    return int(found[counts.argmax()])
