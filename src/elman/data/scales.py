"""The scale of each channel, fitted on the training part alone: z = (y - mean) / deviation.

A channel is what one number a step is drawn from: a column, or a series of a table with an id. A constant one has the deviation
1, so that z is 0 throughout.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from elman.data.series import Series


@dataclass(frozen=True)
class Scales:
    """What the training part came to, a number for each of the `channels`.

    mean_C, deviation_C    of y, or 0 and 1 where y isn't standardised (counts, on and off)
    level_C                the mean of z
    change_C               the mean of |z_t - z_{t-season}|, the scale of MASE; 0 where there is no such pair
    covariates             the mean and deviation of each column of covariates, those known up to now first: (2, P + K)
    """

    channels: tuple[str, ...]
    joint: bool
    mean_C: np.ndarray
    deviation_C: np.ndarray
    level_C: np.ndarray
    change_C: np.ndarray
    covariates: np.ndarray

    def __post_init__(self) -> None:
        object.__setattr__(self, "_places", {name: place for place, name in enumerate(self.channels)})

    def places(self, series: Series, values: Sequence[str]) -> np.ndarray:
        """The number of each channel of a series (D), -1 for one that the training part hadn't."""
        known: dict[str, int] = self._places  # type: ignore[attr-defined]
        return np.array([known.get(name, -1) for name in channel_names(series.id, values, self.joint)])

    def of(self, series: Series, values: Sequence[str], standardise: bool) -> np.ndarray:
        """Mean, deviation, level and change of each channel (4, D); of a channel that is new, by the series itself."""
        places_D = self.places(series, values)
        found = np.stack([self.mean_C, self.deviation_C, self.level_C, self.change_C])[:, places_D]
        new = np.flatnonzero(places_D < 0)
        if len(new):
            mean_D, deviation_D = _moments(series.y_TD[:, new])
            level_D = np.zeros(len(new)) if standardise else mean_D
            if not standardise:
                mean_D, deviation_D = np.zeros(len(new)), np.ones(len(new))
            found[:, new] = np.stack([mean_D, deviation_D, level_D, np.zeros(len(new))])
        return found

    def to_dict(self) -> dict[str, Any]:
        return {
            "channels": list(self.channels),
            "joint": self.joint,
            **{name: getattr(self, name).tolist() for name in _ARRAYS},
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Scales":
        """The inverse of `to_dict`. Raises `KeyError`, `TypeError` or `ValueError` for what is none."""
        arrays = {name: np.array(values[name], np.float64) for name in _ARRAYS}
        channels = tuple(values["channels"])
        if any(arrays[name].shape != (len(channels),) for name in _ARRAYS[:-1]):
            raise ValueError("scales must be one a channel")
        return cls(channels, bool(values["joint"]), **arrays)


_ARRAYS = ("mean_C", "deviation_C", "level_C", "change_C", "covariates")


def channel_names(series_id: str, values: Sequence[str], joint: bool) -> list[str]:
    """What the channels of a series are called: by its column, its id, or both where both tell."""
    if joint or not series_id:
        return list(values)
    return [series_id] if len(values) == 1 else [f"{series_id}/{value}" for value in values]


def fit_scales(
    series: Sequence[Series], values: Sequence[str], *, joint: bool, standardise: bool, season: int
) -> Scales:
    """Scales of the training part: over all steps of a channel, in whatever series it occurs."""
    gathered: dict[str, list[np.ndarray]] = {}
    for one in series:
        for name, y_T in zip(channel_names(one.id, values, joint), one.y_TD.T, strict=True):
            gathered.setdefault(name, []).append(y_T)
    fitted = [_of_channel(parts, standardise, season) for parts in gathered.values()]
    mean_C, deviation_C, level_C, change_C = np.array(fitted).T
    rows = [np.concatenate([one.past_TP, one.known_FK[: len(one)]], 1) for one in series]
    return Scales(
        tuple(gathered),
        joint,
        mean_C,
        deviation_C,
        level_C,
        change_C,
        np.stack(_moments(np.concatenate(rows))),
    )


def _of_channel(parts: Sequence[np.ndarray], standardise: bool, season: int) -> tuple[float, float, float, float]:
    mean, deviation = (float(value) for value in _moments(np.concatenate(parts)))
    changes = np.concatenate([np.abs(y_T[season:] - y_T[:-season]) for y_T in parts])
    change = float(changes.mean()) if len(changes) else 0.0
    return (mean, deviation, 0.0, change / deviation) if standardise else (0.0, 1.0, mean, change)


def _moments(rows_TD: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of each column; 1 for the deviation of one that is as good as constant."""
    mean, deviation = rows_TD.mean(0), rows_TD.std(0)
    constant = deviation <= 1e-9 * np.maximum(np.abs(mean), 1e-300)
    return mean, np.where(constant, 1.0, deviation)
