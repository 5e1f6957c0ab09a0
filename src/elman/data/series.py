"""Series in time: what readers give and forecasts take; their parts, one after the other in time."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from elman.data.bad_rows import BadRows
from elman.data.stamps import Clock


@dataclass(frozen=True)
class Columns:
    """The columns of a table of series: which series a row belongs to, when it was, what to forecast, what goes with it.

    past     covariates that are known up to now only        known     those that are known ahead
    """

    id: str | None = None
    time: str | None = None
    values: tuple[str, ...] = ()
    past: tuple[str, ...] = ()
    known: tuple[str, ...] = ()


@dataclass(frozen=True)
class Series:
    """One series, a row a step of its clock, every number finite.

    id          which one it is; "" where no column tells
    stamps_T    (T) int64, see `elman.data.stamps`
    y_TD        (T, D) what to forecast
    past_TP     (T, P) covariates that are known up to now
    known_FK    (T and those steps beyond that are known ahead, K)
    where       "train.csv, series 'a'"
    begin       steps before this one belong to an earlier part: they are looked back on, and never forecast
    """

    id: str
    stamps_T: np.ndarray
    y_TD: np.ndarray
    past_TP: np.ndarray
    known_FK: np.ndarray
    where: str
    begin: int = 0

    def __len__(self) -> int:
        return len(self.y_TD)

    def cut(self, start: int, stop: int, begin: int = 0) -> "Series":
        """The steps from `start` to `stop`; the last part keeps what is known ahead."""
        ahead = len(self.known_FK) if stop == len(self) else stop
        return replace(
            self,
            stamps_T=self.stamps_T[start:stop],
            y_TD=self.y_TD[start:stop],
            past_TP=self.past_TP[start:stop],
            known_FK=self.known_FK[start:ahead],
            begin=begin,
        )


@dataclass(frozen=True)
class SeriesReading:
    """Series that were read, their clock, the columns that were taken, and a sentence on both for the user."""

    series: list[Series]
    clock: Clock
    columns: Columns
    understood: str


@dataclass(frozen=True)
class Reach:
    """How far a forecast sees: `look_back` steps (0: from the beginning), and `horizon` steps ahead."""

    look_back: int
    horizon: int

    @property
    def shortest(self) -> int:
        """Steps that a series needs at least."""
        return max(self.look_back, 1) + self.horizon

    def context(self, step: int) -> int:
        """The first step that a forecast from `step` on can see."""
        return max(step - self.look_back, 0) if self.look_back else 0

    def first(self, begin: int) -> int:
        """The first step that can be forecast, of a part that begins at `begin`."""
        return max(begin, self.look_back, 1)

    def fits(self, series: Series) -> bool:
        """Whether any of its steps can be forecast, and scored."""
        return self.first(series.begin) + self.horizon <= len(series)


def hold_out_ends(
    series: Sequence[Series], fractions: tuple[float, float], reach: Reach, bad: BadRows
) -> tuple[list[Series], list[Series], list[Series]]:
    """(train, valid, test): the end of each series is held out, by the fractions for validation and for the test.

    A part that is held out has at least as many steps as the horizon, if its fraction isn't 0. It is forecast by looking back
    into the part before it; none of its steps is ever a target of an earlier part. A series that is too short for that is a
    bad row.
    """
    train, valid, test = list[Series](), list[Series](), list[Series]()
    for one in series:
        lengths = [max(round(len(one) * fraction), reach.horizon) if fraction else 0 for fraction in fractions]
        second, third = len(one) - sum(lengths), len(one) - lengths[1]
        if second < reach.shortest:
            bad.skip(one.where, _too_short(one, second, reach))
            continue
        train.append(one.cut(0, second))
        for part, start, stop in ((valid, second, third), (test, third, len(one))):
            if stop > start:
                context = reach.context(start)
                part.append(one.cut(context, stop, start - context))
    return train, valid, test


def long_enough(series: Sequence[Series], reach: Reach, bad: BadRows) -> list[Series]:
    """Those that can be forecast and scored; the others are bad rows."""
    for one in series:
        if not reach.fits(one):
            bad.skip(one.where, _too_short(one, len(one), reach))
    return [one for one in series if reach.fits(one)]


def continued(series: Sequence[Series], former: Sequence[Series], clock: Clock, reach: Reach) -> list[Series]:
    """Series of a later part, each with the end of the former one that it goes on from before it, to look back on.

    It goes on from the series of the same id whose last time stamp is a step before its first. Series whose rows are merely
    counted go on from none.
    """
    ends = {(one.id, int(clock.after(int(one.stamps_T[-1]), 1)[0])): one for one in former if clock.style != "row"}
    found = []
    for one in series:
        before = ends.get((one.id, int(one.stamps_T[0])))
        found.append(one if before is None else _joined(before.cut(reach.context(len(before)), len(before)), one))
    return found


def _joined(before: Series, one: Series) -> Series:
    def both(name: str) -> np.ndarray:
        return np.concatenate([getattr(before, name)[: len(before)], getattr(one, name)])

    arrays: dict[str, Any] = {name: both(name) for name in ("stamps_T", "y_TD", "past_TP", "known_FK")}
    return replace(one, **arrays, begin=len(before) + one.begin)


def _too_short(one: Series, steps: int, reach: Reach) -> str:
    held = f", {max(steps, 0):,} of them to train on" if steps != len(one) else ""
    return (
        f"it has {len(one):,} steps{held}, fewer than --look-back {reach.look_back} and --horizon {reach.horizon} "
        f"need, {reach.shortest:,}"
    )
