"""Frames of many sounds: standardised by the training part, the same kept or read anew."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("soundfile")
pytest.importorskip("soxr")
pytest.importorskip("kaldi_native_fbank")

import sounds

from elman.data.augment_sound import SoundAugmentation
from elman.data.examples import Clip
from elman.data.frames import FrameScale, SoundFrames, fit_scale, pad_frames
from elman.data.log_mel import LogMel
from elman.errors import DataError

CONFIG = LogMel(8000, 20)


@pytest.fixture
def clips(tmp_path: Path) -> list[Clip]:
    """Three sounds of different length."""
    found = []
    for place in range(3):
        path = sounds.write(tmp_path / f"{place}.wav", sounds.noise(1000 * (place + 1), place, 0.02 * (place + 1)))
        found.append(Clip(str(path), None, "", seconds=(place + 1) / 8))
    return found


def test_standardised_frames_have_mean_0_and_deviation_1(clips: list[Clip]) -> None:
    scale, heard = fit_scale(clips, CONFIG), SoundFrames(clips, CONFIG)
    together = np.concatenate([heard.standardised(place, scale) for place in range(3)])
    np.testing.assert_allclose(together.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(together.std(0), 1, atol=1e-5)
    assert heard.lengths() == [len(heard[place]) for place in range(3)]


def test_a_band_that_is_always_the_same_is_no_division_by_zero() -> None:
    scale = FrameScale.fit([np.array([[1.0, 5.0], [3.0, 5.0]])])
    np.testing.assert_allclose(scale(np.array([[1.0, 5.0], [2.0, 6.0]])), [[-1, 0], [0, 1]])


def test_what_is_kept_is_what_would_be_read(clips: list[Clip]) -> None:
    kept, not_kept = SoundFrames(clips, CONFIG), SoundFrames(clips, CONFIG, room=0)
    for place in range(3):
        assert kept[place] is kept[place]
        assert not_kept[place] is not not_kept[place]
        np.testing.assert_array_equal(kept[place], not_kept[place])
    some = SoundFrames(clips, CONFIG, room=kept[0].nbytes)
    assert some[0] is some[0]
    assert some[1] is not some[1]


@pytest.mark.parametrize("augmentation", [SoundAugmentation(gain=6.0), SoundAugmentation(noise=20.0, time_mask=0.02)])
def test_what_training_hears_is_a_function_of_the_generator(clips: list[Clip], augmentation: SoundAugmentation) -> None:
    scale, heard = fit_scale(clips, CONFIG), SoundFrames(clips, CONFIG)
    first, again, other = (heard.augmented(2, scale, augmentation, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    np.testing.assert_array_equal(heard[2], SoundFrames(clips, CONFIG)[2])


def test_a_file_that_is_gone_is_said(clips: list[Clip]) -> None:
    Path(clips[1].path).unlink()
    with pytest.raises(DataError, match=r"1\.wav does not exist"):
        SoundFrames(clips, CONFIG)[1]
    with pytest.raises(DataError, match="no frames"):
        FrameScale.fit([])


def test_side_by_side_shorter_ones_end_in_zeros() -> None:
    x_TBD, lengths_B = pad_frames([np.ones((2, 3)), np.ones((4, 3)), np.ones((0, 3))])
    assert x_TBD.shape == (4, 3, 3)
    assert lengths_B.tolist() == [2, 4, 0]
    assert x_TBD.sum((0, 2)).tolist() == [6, 12, 0]


def test_a_scale_comes_back_from_json_and_a_damaged_one_is_said() -> None:
    scale = FrameScale((1.0, 2.0), (3.0, 4.0))
    assert FrameScale.from_dict(scale.to_dict(), 2) == scale
    for damaged in (
        {},
        {"mean": [1.0], "deviation": [1.0]},
        {"mean": [1, "x"], "deviation": [1, 1]},
        {"mean": [0, 0], "deviation": [0, 1]},
    ):
        with pytest.raises(DataError, match="the scale of the frames is n"):
            FrameScale.from_dict(damaged, 2)
