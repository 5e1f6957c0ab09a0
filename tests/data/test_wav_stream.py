"""Sound from a pipe is what the file would be; what is wrong with it is said."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("soundfile")
pytest.importorskip("soxr")
pytest.importorskip("kaldi_native_fbank")

import sounds

from elman.data.sound import read_sound
from elman.data.wav_stream import read_stream
from elman.errors import DataError


class Pipe(io.BytesIO):
    """Bytes that can't be sought in."""

    def seek(self, *_: object) -> int:
        raise OSError("a pipe")


def read(content: bytes, seconds: float = 0.1) -> tuple[int, np.ndarray]:
    rate, blocks = read_stream(Pipe(content), "the pipe", seconds)
    return rate, np.concatenate(list(blocks))


@pytest.mark.parametrize("form", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("kind", ["WAV", "WAVEX"])
def test_every_form_of_wav_is_read_as_from_a_file(tmp_path: Path, form: str, channels: int, kind: str) -> None:
    import soundfile

    samples = np.stack([sounds.tone(0.25), sounds.noise(2000)], 1)[:, :channels]
    path = tmp_path / "a.wav"
    soundfile.write(path, samples, 8000, subtype=form, format=kind)
    rate, found = read(path.read_bytes(), 0.03)
    assert rate == 8000
    np.testing.assert_allclose(found, read_sound(path, 8000), atol=1e-6)


def test_a_block_comes_as_soon_as_it_is_there() -> None:
    class Slow(Pipe):
        taken = 0

        def read(self, size: int | None = -1) -> bytes:
            self.taken += size or 0
            return super().read(size)

    path = io.BytesIO()
    import soundfile

    soundfile.write(path, sounds.tone(1.0), 8000, format="WAV")
    pipe = Slow(path.getvalue())
    _, blocks = read_stream(pipe, "the pipe", 0.1)
    assert len(next(blocks)) == 800
    assert pipe.taken < 1700


@pytest.mark.parametrize("length", [0, 0xFFFFFFFF, 0x7FFFFFFF])
def test_a_length_that_nobody_knew_is_until_the_end(tmp_path: Path, length: int) -> None:
    content = bytearray(sounds.write(tmp_path / "a.wav", sounds.tone(0.1)).read_bytes())
    at = content.index(b"data") + 4
    content[at : at + 4] = struct.pack("<I", length)
    assert len(read(bytes(content))[1]) == 800
    # A byte that makes no sample is none.
    assert len(read(bytes(content) + b"\0")[1]) == 800


def test_what_is_no_wav_is_read_to_its_end(tmp_path: Path) -> None:
    path = sounds.write(tmp_path / "a.flac", sounds.tone(0.1))
    np.testing.assert_array_equal(read(path.read_bytes())[1], read_sound(path, 8000))


def test_an_ogg_that_ends_too_soon_is_said(tmp_path: Path) -> None:
    content = sounds.write(tmp_path / "a.ogg", sounds.noise(80000)).read_bytes()
    read(content)
    with pytest.raises(DataError, match="the pipe is cut short"):
        read(content[: content.rfind(b"OggS")])


def wav(
    form: bytes = struct.pack("<HHIIHH", 1, 1, 8000, 16000, 2, 16), data: bytes = b"\0\0" * 50, told: int = 100
) -> bytes:
    return b"RIFF\0\0\0\0WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", told) + data


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (b"", "the pipe is empty"),
        (b"no sound at all", "is damaged, or no sound"),
        (b"RIFF\0\0\0\0AVI LIST", "begins as RIFF but is no WAV"),
        (wav()[:30], "it ends within its header"),
        (wav(data=b"", told=0), "is of zero length"),
        (wav(told=200), "is cut short: of the 200 bytes"),
        (wav(struct.pack("<HHIIHH", 6, 1, 8000, 16000, 2, 8)), "WAV of the format 6 with 8 bits"),
        (wav(struct.pack("<HHIIHH", 1, 0, 8000, 16000, 2, 16)), "0 channels"),
        (b"RIFF\0\0\0\0WAVEdata\x04\0\0\0abcd", "doesn't say how it is written"),
        (b"RIFF\0\0\0\0WAVEfmt \xff\xff\xff\xff", "a part of its header has"),
        (
            wav(struct.pack("<HHIIHH", 3, 1, 8000, 32000, 4, 32), struct.pack("<f", float("nan")) * 25),
            "no finite numbers",
        ),
    ],
)
def test_what_is_wrong_is_said(content: bytes, wrong: str) -> None:
    with pytest.raises(DataError, match=wrong) as error:
        read(content)
    assert str(error.value).startswith("the pipe ")
