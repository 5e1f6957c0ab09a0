"""Windows of series, by number: what is looked back on, what is known ahead, and what is to be forecast.

All series lie one behind the other in a few arrays, standardised; a window is read where it is asked for.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from elman.data.scales import Scales
from elman.data.series import Reach, Series
from elman.data.stamps import Clock


class Windows(NamedTuple):
    """Some windows side by side, standardised, time first: T steps to look back on, F = T + horizon in all.

    z_FBD        the values; those of the horizon are the targets
    past_TBP     covariates that are known up to now      known_FBK    covariates that are known ahead
    channels_BD  the number of each channel, -1 for a new one
    scales_BD4   mean, deviation, level and change of each channel, see `Scales`
    """

    z_FBD: np.ndarray
    past_TBP: np.ndarray
    known_FBK: np.ndarray
    channels_BD: np.ndarray
    scales_BD4: np.ndarray


class Frames:
    """Series, standardised by `scales`, of which windows and whole sequences are read.

    With `calendar`, what a time stamp says of the calendar stands behind the covariates that are known ahead.
    """

    def __init__(
        self,
        series: Sequence[Series],
        scales: Scales,
        values: Sequence[str],
        clock: Clock,
        reach: Reach,
        *,
        standardise: bool,
        calendar: bool,
    ) -> None:
        self.series = list(series)
        self.reach = reach
        self.lengths_S = np.array([len(one) for one in series], np.int64)
        self.begins_S = np.array([reach.first(one.begin) for one in series], np.int64)
        # Behind each series there is room for the horizon.
        self._starts_S = np.concatenate([[0], np.cumsum(self.lengths_S + reach.horizon)])
        self.channels_SD = np.stack([scales.places(one, values) for one in series])
        self.scales_SD4 = np.stack([scales.of(one, values, standardise).T for one in series])
        total = int(self._starts_S[-1])
        extra = clock.calendar(series[0].stamps_T[:1]).shape[1] if calendar else 0
        past, known = series[0].past_TP.shape[1], series[0].known_FK.shape[1]
        self._z = np.zeros((total, len(values)), np.float32)
        self._past = np.zeros((total, past), np.float32)
        self._known = np.zeros((total, known + extra), np.float32)
        mean, deviation = scales.covariates
        for number, one in enumerate(series):
            start, steps = int(self._starts_S[number]), len(one)
            mean_D, deviation_D = self.scales_SD4[number, :, :2].T
            self._z[start : start + steps] = (one.y_TD - mean_D) / deviation_D
            self._past[start : start + steps] = (one.past_TP - mean[:past]) / deviation[:past]
            ahead = min(len(one.known_FK), steps + reach.horizon)
            self._known[start : start + ahead, :known] = (one.known_FK[:ahead] - mean[past:]) / deviation[past:]
            if extra:
                stamps_F = np.concatenate([one.stamps_T, clock.after(int(one.stamps_T[-1]), reach.horizon)])
                self._known[start : start + steps + reach.horizon, known:] = clock.calendar(stamps_F)
        counts_S = np.maximum(self.lengths_S - reach.horizon - self.begins_S + 1, 0)
        self._ends_S = np.cumsum(counts_S)

    def __len__(self) -> int:
        """How many windows there are: one for each step from which the whole horizon can be scored."""
        return int(self._ends_S[-1])

    def places(self, numbers_B: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The series of each window, and the first step that it forecasts."""
        series_B = np.searchsorted(self._ends_S, numbers_B, side="right")
        before_B = np.where(series_B > 0, self._ends_S[series_B - 1], 0)
        return series_B, self.begins_S[series_B] + numbers_B - before_B

    def __getitem__(self, numbers_B: np.ndarray) -> Windows:
        """The windows of these numbers."""
        return self.at(*self.places(numbers_B))

    def at(self, series_B: np.ndarray, first_B: np.ndarray) -> Windows:
        """The windows of these series whose forecasts begin at these steps."""
        look_back = self.reach.look_back
        start_B = self._starts_S[series_B] + first_B - look_back
        steps_FB = start_B + np.arange(look_back + self.reach.horizon)[:, None]
        return Windows(
            self._z[steps_FB],
            self._past[steps_FB[:look_back]],
            self._known[steps_FB],
            self.channels_SD[series_B],
            self.scales_SD4[series_B],
        )

    def whole(self, series_B: np.ndarray) -> tuple[Windows, np.ndarray]:
        """Whole series side by side, zeros behind the end of each, and their lengths; the horizon is 1 step."""
        lengths_B = self.lengths_S[series_B]
        steps_F = np.arange(int(lengths_B.max()) + 1)[:, None]
        # Room behind a series is zero.
        steps_FB = self._starts_S[series_B] + np.minimum(steps_F, lengths_B)
        found = Windows(
            self._z[steps_FB],
            self._past[steps_FB[:-1]],
            self._known[steps_FB],
            self.channels_SD[series_B],
            self.scales_SD4[series_B],
        )
        return found, lengths_B
