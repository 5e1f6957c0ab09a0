"""Frames of sound: the same numbers whole and streaming, where the sound is loud, and as many as there should be."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("soundfile")
pytest.importorskip("soxr")
pytest.importorskip("kaldi_native_fbank")

import sounds

from elman.data.log_mel import LogMel
from elman.errors import OptionError


@given(
    sizes=st.lists(st.integers(0, 900), min_size=1, max_size=10),
    rate=st.sampled_from([8000, 16000, 11025]),
    config=st.sampled_from([LogMel(8000), LogMel(16000, 64, 20.0, 10.0), LogMel(8000, 23, 32.0, 12.5)]),
)
def test_frames_dont_depend_on_how_the_sound_is_cut(sizes: list[int], rate: int, config: LogMel) -> None:
    samples = sounds.noise(sum(sizes))
    whole = config.stream(rate)
    expected = np.concatenate([whole.accept(samples), whole.finish()])
    stream = config.stream(rate)
    found = [stream.accept(part) for part in np.split(samples, np.cumsum(sizes)[:-1])]
    np.testing.assert_allclose(np.concatenate([*found, stream.finish()]), expected, atol=1e-6)
    if rate == config.rate:
        np.testing.assert_array_equal(config.frames(samples), expected)


@pytest.mark.parametrize("samples", [0, 1, 39, 40, 79, 80, 119, 120, 200, 8000, 12345])
def test_there_are_as_many_frames_as_hops_and_one_at_least(samples: int) -> None:
    config = LogMel(8000, 23)
    frames = config.frames(sounds.noise(samples))
    assert frames.shape == (config.count(samples), 23)
    assert len(frames) == max(round(samples / 80 + 1e-9), min(samples, 1))
    assert np.isfinite(frames).all()


def test_a_frame_comes_half_a_window_after_its_middle() -> None:
    config, samples = LogMel(8000, window=25.0, hop=10.0), sounds.noise(8000)
    stream = config.stream()
    given = 0
    for at in range(0, 8000, 80):
        given += len(stream.accept(samples[at : at + 80]))
        middle = (given - 0.5) * 0.01
        assert at / 8000 + 0.01 - middle < 0.0125 + 0.0101


def test_a_tone_is_loud_in_its_band_alone() -> None:
    config = LogMel(8000, 40)
    low, high = (config.frames(sounds.tone(0.5, hertz)).mean(0) for hertz in (300, 3000))
    assert low.argmax() < high.argmax()
    for frame_D in (low, high):
        assert frame_D.max() - np.median(frame_D) > 5


def test_a_sound_ten_times_as_loud_is_more_by_ln_100() -> None:
    config, samples = LogMel(8000), sounds.noise(4000, loud=0.01)
    np.testing.assert_allclose(config.frames(10 * samples) - config.frames(samples), np.log(100), atol=1e-3)


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        ({"rate": 10}, "rate=10"),
        ({"mels": 2}, "mels=2"),
        ({"window": 1.0}, "window=1"),
        ({"hop": 30.0}, "hop=30"),
        ({"hop": 0.0}, "hop=0"),
        ({"lowest": 9000.0}, "lowest=9000"),
    ],
)
def test_what_makes_no_sense_is_said(options: dict[str, float], wrong: str) -> None:
    with pytest.raises(OptionError, match=wrong):
        LogMel(**options)  # type: ignore[arg-type]


def test_too_many_bands_are_said() -> None:
    with pytest.raises(OptionError, match="mels=200 bands are too many"):
        LogMel(8000, 200).frames(sounds.noise(800))
