"""Sounds made a little different: by as much as was asked for, from the generator alone."""

import numpy as np
import pytest
import sounds
from hypothesis import given
from hypothesis import strategies as st

from elman.data.augment_sound import SoundAugmentation, moved, with_noise
from elman.errors import OptionError

EVERY = SoundAugmentation(noise=10.0, shift=0.02, gain=6.0, time_mask=0.05, frequency_mask=0.3)
DEVIATION = np.full(20, 2.0)


def augmented(seed: int, augmentation: SoundAugmentation = EVERY) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    samples = augmentation.samples(sounds.tone(0.5), 8000, generator)
    frames = augmentation.frames(np.ones((50, 20), np.float32), DEVIATION, 0.01, generator)
    return samples, frames


def test_the_same_generator_gives_the_same_sound_and_another_another() -> None:
    for one, other, third in zip(augmented(1), augmented(1), augmented(2), strict=True):
        np.testing.assert_array_equal(one, other)
        assert not np.array_equal(one, third)


def test_nothing_is_changed_where_nothing_is_asked_for() -> None:
    samples, frames = augmented(1, SoundAugmentation())
    np.testing.assert_array_equal(samples, sounds.tone(0.5))
    np.testing.assert_array_equal(frames, 1)
    assert not SoundAugmentation(gain=3.0).changes_samples
    assert EVERY.changes_samples


@pytest.mark.parametrize("decibels", [-5.0, 0.0, 20.0])
def test_noise_is_as_loud_as_asked_for(decibels: float) -> None:
    speech = sounds.tone(2.0)
    added = with_noise(speech, decibels, np.random.default_rng(0)) - speech
    assert 10 * np.log10(np.mean(speech**2) / np.mean(added**2)) == pytest.approx(decibels, abs=0.2)
    assert with_noise(speech[:0], decibels, np.random.default_rng(0)).shape == (0,)


@given(st.integers(-30, 30))
def test_what_is_moved_is_what_it_was_elsewhere(later: int) -> None:
    samples = sounds.noise(20)
    found = moved(samples, later)
    expected = [samples[place - later] if 0 <= place - later < 20 else 0.0 for place in range(20)]
    np.testing.assert_array_equal(found, np.array(expected, np.float32))


def test_gain_is_what_a_louder_sound_has() -> None:
    pytest.importorskip("kaldi_native_fbank")
    from elman.data.log_mel import LogMel

    config, samples = LogMel(8000, 20), sounds.noise(4000)
    generator = np.random.default_rng(3)
    louder = 10 ** (np.random.default_rng(3).uniform(-6.0, 6.0) / 20)
    found = SoundAugmentation(gain=6.0).frames(config.frames(samples) / 2, DEVIATION, 0.01, generator)
    np.testing.assert_allclose(found * 2, config.frames((louder * samples).astype(np.float32)), atol=1e-3)


def test_masks_are_no_wider_than_asked_for_and_go_over_all_of_the_other_axis() -> None:
    masks = SoundAugmentation(time_mask=0.05, frequency_mask=0.3)
    steps, bands = set(), set()
    for seed in range(200):
        given_TD = np.ones((50, 20), np.float32)
        frames_TD = masks.frames(given_TD, DEVIATION, 0.01, np.random.default_rng(seed))
        assert (given_TD == 1).all()
        masked_T, masked_D = (frames_TD == 0).all(1), (frames_TD == 0).all(0)
        np.testing.assert_array_equal(frames_TD == 0, masked_T[:, None] | masked_D)
        steps.add(int(masked_T.sum()))
        bands.add(int(masked_D.sum()))
    # Two masks each, of at most 5 steps and 6 bands.
    assert (min(steps), max(steps)) == (0, 10)
    assert (min(bands), max(bands)) == (0, 12)


def test_a_short_sound_is_never_masked_as_a_whole() -> None:
    masks = SoundAugmentation(time_mask=1.0)
    for seed in range(50):
        frames_TD = masks.frames(np.ones((10, 4), np.float32), np.ones(4), 0.01, np.random.default_rng(seed))
        assert (frames_TD == 0).all(1).sum() <= 4
    np.testing.assert_array_equal(
        masks.frames(np.ones((1, 4), np.float32), np.ones(4), 0.01, np.random.default_rng(0)), 1
    )


@pytest.mark.parametrize(
    "wrong", [{"shift": -1.0}, {"gain": float("inf")}, {"time_mask": -0.1}, {"frequency_mask": 1.5}]
)
def test_what_makes_no_sense_is_said(wrong: dict[str, float]) -> None:
    with pytest.raises(OptionError, match=next(iter(wrong))):
        SoundAugmentation(**wrong)
