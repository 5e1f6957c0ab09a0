"""Sound is read whole or in blocks, at any rate and of any channels; what can't be used is said, and the file named."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("soundfile")
pytest.importorskip("soxr")
pytest.importorskip("kaldi_native_fbank")

import sounds

from elman.data import sound
from elman.data.sound import Resampler, is_sound, read_blocks, read_sound, sound_rate, sound_seconds
from elman.errors import DataError


@pytest.mark.parametrize("ending", ["wav", "flac", "ogg"])
def test_a_file_is_read_as_what_was_written(tmp_path: Path, ending: str) -> None:
    wrote = sounds.tone(0.5)
    read = read_sound(sounds.write(tmp_path / f"a.{ending}", wrote), 8000)
    assert read.dtype == np.float32
    # OGG keeps what is heard, not every bit.
    np.testing.assert_allclose(read, wrote, atol=0.03 if ending == "ogg" else 1e-4)


def test_channels_are_averaged(tmp_path: Path) -> None:
    left, right = sounds.tone(0.1), sounds.noise(800)
    read = read_sound(sounds.write(tmp_path / "a.wav", np.stack([left, right, 0 * left], 1)), 8000)
    np.testing.assert_allclose(read, (left + right) / 3, atol=1e-4)


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_a_tone_stays_what_it_is_at_another_rate(tmp_path: Path, rate: int) -> None:
    path = sounds.write(tmp_path / "a.wav", sounds.tone(0.5, 440, rate), rate)
    read = read_sound(path, 16000)
    assert len(read) == 8000
    middle = slice(1000, 7000)
    np.testing.assert_allclose(read[middle], sounds.tone(0.5, 440, 16000)[middle], atol=2e-3)
    assert sound_rate(path) == rate
    assert sound_seconds(path) == 0.5


@pytest.mark.parametrize("rate", [8000, 11025])
def test_blocks_put_together_are_the_whole(tmp_path: Path, rate: int) -> None:
    path = sounds.write(tmp_path / "a.flac", sounds.noise(9000))
    whole = read_sound(path, rate)
    for seconds in (0.001, 0.1, 7.0):
        blocks = list(read_blocks(path, rate, seconds=seconds))
        np.testing.assert_array_equal(np.concatenate(blocks), whole)


def test_a_part_is_what_stands_there(tmp_path: Path) -> None:
    path = sounds.write(tmp_path / "a.wav", sounds.noise(8000))
    whole = read_sound(path, 8000)
    np.testing.assert_array_equal(read_sound(path, 8000, 0.25, 0.5), whole[2000:4000])
    np.testing.assert_array_equal(read_sound(path, 8000, 0.9), whole[7200:])
    # Times in tables are rounded.
    np.testing.assert_array_equal(read_sound(path, 8000, 0.5, 1.004), whole[4000:])
    for start, end in ((0.5, 1.2), (0.5, 0.5), (-0.1, 0.5), (1.0, None), (0.6, 0.5)):
        with pytest.raises(DataError, match=r"a\.wav lasts 1\.000 s: it has no part"):
            read_sound(path, 8000, start, end)


@given(sizes=st.lists(st.integers(0, 700), max_size=12), rates=st.sampled_from([(8000, 16000), (44100, 16000), (8, 8)]))
def test_resampled_samples_dont_depend_on_the_pieces(sizes: list[int], rates: tuple[int, int]) -> None:
    samples = sounds.noise(sum(sizes))
    whole = Resampler(*rates)
    expected = np.concatenate([whole.accept(samples), whole.finish()])
    pieces = Resampler(*rates)
    found = [pieces.accept(part) for part in np.split(samples, np.cumsum(sizes)[:-1])] if sizes else []
    np.testing.assert_allclose(np.concatenate([*found, pieces.finish()]), expected, atol=1e-6)


def cut(path: Path, keep: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: round(keep * len(content))])


BAD = {
    "missing": (lambda path: path.unlink(missing_ok=True), "does not exist"),
    "empty": (lambda path: path.write_bytes(b""), "is empty"),
    "text": (lambda path: path.write_text("no sound " * 99), "is damaged, or no sound"),
    "header": (lambda path: path.write_bytes(b"RIFF\x00\x00\x00\x00WAVEfmt "), "is damaged, or no sound"),
    "zero": (lambda path: sounds.write(path, np.zeros(0)), "is of zero length"),
    "silent": (lambda path: sounds.write(path, np.zeros(800)), "is silent"),
    "short": (lambda path: cut(sounds.write(path, sounds.tone(1)), 0.5), "is cut short"),
    "folder": (lambda path: path.mkdir(), "is a folder"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_file_is_named_with_what_is_wrong(tmp_path: Path, kind: str) -> None:
    make, wrong = BAD[kind]
    path = tmp_path / "a.wav"
    make(path)
    with pytest.raises(DataError, match=wrong) as error:
        read_sound(path, 8000)
    assert str(path) in str(error.value)


def test_a_flac_that_is_cut_short_or_damaged_is_said(tmp_path: Path) -> None:
    path = sounds.write(tmp_path / "a.flac", sounds.noise(80000))
    cut(path, 0.5)
    with pytest.raises(DataError, match=r"a\.flac is (damaged|cut short)"):
        read_sound(path, 8000)


@pytest.mark.parametrize("keep", [0.4, 0.7, 0.95, 0.999])
def test_an_ogg_that_is_cut_short_is_said_wherever_it_is_cut(tmp_path: Path, keep: float) -> None:
    path = sounds.write(tmp_path / "a.ogg", sounds.noise(80000))
    read_sound(path, 8000)
    cut(path, keep)
    with pytest.raises(DataError, match=r"a\.ogg is cut short"):
        read_sound(path, 8000)


def test_an_ogg_that_ends_after_a_whole_page_is_cut_short_too(tmp_path: Path) -> None:
    path = sounds.write(tmp_path / "a.ogg", sounds.noise(80000))
    content = path.read_bytes()
    path.write_bytes(content[: content.rfind(b"OggS")])
    with pytest.raises(DataError, match=r"a\.ogg is cut short"):
        read_sound(path, 8000)
    # What a player has put behind the last page is no matter.
    path.write_bytes(content + b"TAG of a player")
    read_sound(path, 8000)


def test_samples_that_are_no_numbers_are_said(tmp_path: Path) -> None:
    import soundfile

    samples = sounds.tone(0.1)
    samples[5] = np.nan
    soundfile.write(tmp_path / "a.wav", samples, 8000, subtype="FLOAT")
    with pytest.raises(DataError, match=r"a\.wav holds samples that are no finite numbers"):
        read_sound(tmp_path / "a.wav", 8000)


def test_the_length_in_the_header_of_a_file_from_a_pipe_is_none(tmp_path: Path) -> None:
    path = sounds.write(tmp_path / "a.wav", sounds.tone(0.1))
    content = bytearray(path.read_bytes())
    at = content.index(b"data") + 4
    content[at : at + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    assert len(read_sound(path, 8000)) == 800


def test_what_to_install_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = sounds.write(tmp_path / "a.wav", sounds.tone(0.1))
    monkeypatch.setattr(sound, "find_spec", lambda name: None if name == "soxr" else object())
    with pytest.raises(DataError, match=r"a\.wav needs soxr to be read: .* pip install 'elman\[sound\]'"):
        read_sound(path, 8000)


def test_sound_is_told_by_the_ending() -> None:
    assert is_sound("folder/A.WAV")
    assert is_sound(Path("b.flac"))
    assert not is_sound("wav")
    assert not is_sound("c.txt")
