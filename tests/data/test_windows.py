"""Scales that the training part alone decides, and windows that hold what they say."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from elman.data.bad_rows import BadRows
from elman.data.scales import Scales, channel_names, fit_scales
from elman.data.series import Reach, Series, hold_out_ends
from elman.data.stamps import Clock
from elman.data.windows import Frames

CLOCK = Clock("number", 1)


def make(y: Any, name: str = "", past: Any = None, known: Any = None) -> Series:
    y_TD = np.asarray(y, float).reshape(len(y), -1)
    empty = np.empty((len(y), 0))
    return Series(
        name,
        np.arange(len(y)),
        y_TD,
        empty if past is None else np.asarray(past, float).reshape(len(y), -1),
        empty if known is None else np.asarray(known, float).reshape(len(known), -1),
        name or "it",
    )


def fit(series: list[Series], values: tuple[str, ...] = ("y",), **options: Any) -> Scales:
    return fit_scales(series, values, **{"joint": False, "standardise": True, "season": 1, **options})


def frames(series: list[Series], scales: Scales, reach: Reach, values: tuple[str, ...] = ("y",)) -> Frames:
    return Frames(series, scales, values, CLOCK, reach, standardise=True, calendar=False)


def test_scales_are_fitted_on_the_training_part_alone() -> None:
    y = np.random.default_rng(0).normal(3, 2, 100)
    later = y.copy()
    later[80:] = 1e6
    found = [
        fit(hold_out_ends([make(values)], (0.1, 0.1), Reach(8, 2), BadRows())[0]).to_dict() for values in (y, later)
    ]
    assert found[0] == found[1]
    assert_allclose(found[0]["mean_C"], [y[:80].mean()])
    assert_allclose(found[0]["deviation_C"], [y[:80].std()])


def test_a_constant_series_is_zero_and_not_divided_by_zero() -> None:
    series = make([5.0] * 20)
    scales = fit([series])
    assert scales.deviation_C.tolist() == [1]
    assert scales.change_C.tolist() == [0]
    windows = frames([series], scales, Reach(4, 2))[np.arange(3)]
    assert not windows.z_FBD.any()


def test_channels_are_columns_or_series_or_both() -> None:
    assert channel_names("", ("a", "b"), joint=False) == ["a", "b"]
    assert channel_names("x", ("y",), joint=False) == ["x"]
    assert channel_names("x", ("a", "b"), joint=False) == ["x/a", "x/b"]
    assert channel_names("x", ("a", "b"), joint=True) == ["a", "b"]


def test_a_channel_has_one_scale_in_whatever_series_it_occurs() -> None:
    scales = fit([make([1, 3]), make([5, 7])])
    assert (scales.mean_C.tolist(), scales.deviation_C[0]) == ([4], pytest.approx(np.std([1, 3, 5, 7])))
    # No change from one series into the next.
    assert scales.change_C[0] * scales.deviation_C[0] == pytest.approx(2)


def test_the_change_is_over_a_season() -> None:
    scales = fit([make([0, 1, 10, 11, 20, 21])], season=2)
    assert scales.change_C[0] * scales.deviation_C[0] == pytest.approx(10)
    raw = fit([make([0, 1, 1, 0])], standardise=False)
    assert (raw.mean_C[0], raw.deviation_C[0], raw.level_C[0], raw.change_C[0]) == (0, 1, 0.5, pytest.approx(2 / 3))


def test_a_series_that_training_had_not_is_scaled_by_itself() -> None:
    scales = fit([make([1, 3], "a")])
    new = make([10, 30, 50], "b")
    assert scales.places(new, ("y",)).tolist() == [-1]
    mean, deviation, level, change = scales.of(new, ("y",), True)[:, 0]
    assert (mean, deviation, level, change) == (30, pytest.approx(np.std([10, 30, 50])), 0, 0)


def test_scales_come_back_from_what_is_written() -> None:
    scales = fit([make([1, 3], "a", past=[1, 2], known=[3, 4])])
    again = Scales.from_dict(scales.to_dict())
    assert again.to_dict() == scales.to_dict()
    with pytest.raises(ValueError, match="one a channel"):
        Scales.from_dict({**scales.to_dict(), "channels": ["a", "b"]})


def test_every_window_of_stride_one_is_there_and_reads_its_own_steps() -> None:
    reach = Reach(4, 3)
    series = [make(np.arange(10.0), "a"), make(np.arange(100.0, 106.0), "b"), make(np.arange(200.0, 208.0), "c")]
    scales = fit(series)
    read = frames(series, scales, reach)
    assert len(read) == 4 + 0 + 2
    windows = read[np.arange(len(read))]
    mean, deviation = windows.scales_BD4[..., 0], windows.scales_BD4[..., 1]
    y_FB = (windows.z_FBD * deviation + mean)[..., 0]
    assert_allclose(y_FB[:, 0], np.arange(7), atol=1e-5)
    assert_allclose(y_FB[:, 3], np.arange(3, 10), atol=1e-5)
    assert_allclose(y_FB[:, 4], np.arange(200, 207), atol=1e-4)
    assert_array_equal(windows.channels_BD[:, 0], [0, 0, 0, 0, 2, 2])


def test_covariates_stand_beside_the_values_and_behind_them() -> None:
    known = np.arange(12.0)
    series = make(np.arange(10.0), past=np.arange(10.0) * 2, known=known)
    read = frames([series], fit([series]), Reach(4, 2))
    windows = read.at(np.array([0]), np.array([10]))
    moments = fit([series]).covariates
    assert_allclose(windows.past_TBP[:, 0, 0] * moments[1, 0] + moments[0, 0], [12, 14, 16, 18], atol=1e-5)
    assert_allclose(windows.known_FBK[:, 0, 0] * moments[1, 1] + moments[0, 1], np.arange(6, 12), atol=1e-5)
    # What is yet to come is not there.
    assert not windows.z_FBD[4:].any()


def test_whole_series_are_padded_with_zeros() -> None:
    series = [make([1.0, 2.0, 3.0], "a"), make([4.0, 6.0], "b")]
    read = frames(series, fit(series), Reach(0, 1))
    windows, lengths = read.whole(np.array([1, 0]))
    assert lengths.tolist() == [2, 3]
    assert windows.z_FBD.shape == (4, 2, 1)
    assert_allclose(windows.z_FBD[:, 0, 0], [-1, 1, 0, 0], atol=1e-6)
    assert windows.past_TBP.shape[0] == 3
