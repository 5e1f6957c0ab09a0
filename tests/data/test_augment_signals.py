"""What training changes in series and video: as told, drawn by the generator alone, never what it was given."""

from typing import Any

import numpy as np
import pytest

from elman.data.augment_series import SeriesAugmentation, between
from elman.data.augment_video import VideoAugmentation, sampled, stretched
from elman.errors import OptionError

PICTURES = np.random.default_rng(0).integers(0, 255, (6, 2, 12, 10), np.uint8)


@pytest.mark.parametrize(
    ("change", "given"),
    [
        (VideoAugmentation(0.2, 0.2, 10, 0.5, flip=True), PICTURES),
        (SeriesAugmentation(0.3, 0.5), np.arange(20.0).reshape(10, 2)),
    ],
)
def test_a_change_is_the_generator_s_and_leaves_what_it_was_given(change: Any, given: np.ndarray) -> None:
    kept = given.copy()
    first, again, other = (change(given, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert first.shape != other.shape or not np.array_equal(first, other)
    assert np.array_equal(given, kept)
    assert first.dtype == given.dtype


def test_pictures_are_sampled_between_their_pixels() -> None:
    y, x = np.mgrid[:12, :10].astype(float)
    assert np.array_equal(sampled(PICTURES, y, x), PICTURES)
    half = sampled(PICTURES, y, x + 0.5)
    wanted = np.rint((PICTURES[..., :-1].astype(float) + PICTURES[..., 1:]) / 2)
    assert np.abs(half[..., :-1] - wanted).max() <= 1
    # Beyond the edge is the edge.
    assert np.array_equal(sampled(PICTURES, y - 50, x)[..., 3, :], PICTURES[..., 0, :])


def test_each_part_of_the_change_does_what_it_says() -> None:
    class Always(np.random.Generator):
        """Draws the highest that there is."""

        def __init__(self) -> None:
            super().__init__(np.random.PCG64(0))

        def uniform(self, low: Any = 0, high: Any = 1, size: Any = None) -> Any:  # noqa: ARG002
            return high if size is None else np.full(size, high)

        def random(self, *_: Any) -> Any:
            return 0.0

    moved = VideoAugmentation(shift=0.5)(PICTURES, Always())
    assert np.array_equal(moved[..., :6, :5], PICTURES[..., 6:, 5:])
    assert np.array_equal(VideoAugmentation(flip=True)(PICTURES, Always()), PICTURES[..., ::-1])
    assert stretched(6, 1.0, Always()).tolist() == [0, 2, 5]
    turned = VideoAugmentation(turn=180)(PICTURES, Always())
    assert np.array_equal(turned, PICTURES[..., ::-1, ::-1])
    series = np.arange(8.0)[:, None]
    assert SeriesAugmentation(shift=0.25)(series, Always())[:, 0].tolist() == [0, 0, 0, 1, 2, 3, 4, 5]
    assert len(SeriesAugmentation(stretch=1.0)(series, Always())) == 4


def test_a_series_is_read_between_its_steps() -> None:
    assert between(np.array([[0.0], [2.0], [6.0]]), np.array([0.5, 1.0, 1.25, 2.0]))[:, 0].tolist() == [1, 2, 3, 6]


@pytest.mark.parametrize("wrong", [{"shift": 2}, {"zoom": 1}, {"turn": -1}, {"stretch": 10}])
def test_a_change_that_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(OptionError, match=next(iter(wrong))):
        VideoAugmentation(**wrong)
    if not set(wrong) & {"zoom", "turn"}:
        with pytest.raises(OptionError, match=next(iter(wrong))):
            SeriesAugmentation(**wrong)
