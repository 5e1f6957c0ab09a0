"""Sound from files: one channel of float32 samples at the rate that is asked for, whole or block by block.

    samples_N = resampled(mean over channels of what the file holds)

in [-1, 1], by libsndfile and soxr. A whole file is its blocks put together, so that there is one way to read.
"""

import re
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from elman.data.ogg import is_cut_file
from elman.errors import DataError

# The endings of names that are sound: what libsndfile reads.
SUFFIXES = (".wav", ".wave", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff")

# Seconds that are read at a time.
BLOCK = 4.0
# Lengths that a header has where the writer couldn't know: of a file that was written to a pipe.
UNKNOWN_LENGTHS = {0, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF}
_TOLD = re.compile(r"^\s*data\s*:\s*(\d+) \(should be (\d+)\)", re.MULTILINE)


def is_sound(path: str | Path) -> bool:
    """Whether a path's ending says that it is sound."""
    return Path(path).suffix.lower() in SUFFIXES


def check_libraries(name: str | Path = "sound") -> None:
    """Raise `DataError`, with what to install, if a library that reads `name` is missing."""
    missing = [library for library in ("soundfile", "soxr", "kaldi_native_fbank") if find_spec(library) is None]
    if missing:
        raise DataError(
            f"{name} needs {' and '.join(missing)} to be read: install what is missing by pip install 'elman[sound]'."
        )


def read_sound(path: str | Path, rate: int, start: float = 0.0, end: float | None = None) -> np.ndarray:
    """The samples (N,) of a file, or of its part from `start` to `end` (seconds), at `rate` a second; float32, one channel.

    Raises `DataError`, naming the file, for one that is missing, damaged, cut short, empty or of zero length, silent, or not
    sound though its name says so; and for a part that doesn't lie within it.
    """
    samples_N = np.concatenate([np.zeros(0, np.float32), *read_blocks(path, rate, start, end)])
    if not samples_N.any():
        part = (
            "" if start == 0 and end is None else f" from {start:g} s to {'its end' if end is None else f'{end:g} s'}"
        )
        raise DataError(f"{path} is silent{part}: all of its samples are zero.")
    return samples_N


def read_blocks(
    path: str | Path, rate: int, start: float = 0.0, end: float | None = None, seconds: float = BLOCK
) -> Iterator[np.ndarray]:
    """The samples of a file one block after another, in constant memory: what `read_sound` gives, cut anywhere.

    Raises `DataError` as `read_sound` does, but for silence, and when the block in question is reached.
    """
    with _opened(path) as file:
        first, stop = _part(path, file.frames, file.samplerate, start, end)
        resampler = Resampler(file.samplerate, rate)
        at, block = first, max(1, round(seconds * file.samplerate))
        try:
            file.seek(first)
            while at < stop:
                read_NC = file.read(min(block, stop - at), dtype="float32", always_2d=True)
                if not len(read_NC):
                    raise DataError(f"{path} is cut short: of {stop} samples there are {at}. Copy or record it again.")
                at += len(read_NC)
                samples_N = read_NC[:, 0] if read_NC.shape[1] == 1 else read_NC.mean(1, dtype=np.float32)
                if not np.isfinite(samples_N).all():
                    raise DataError(f"{path} holds samples that are no finite numbers: write it again.")
                yield resampler.accept(samples_N)
        except RuntimeError as error:
            raise _damaged(path, error) from error
        yield resampler.finish()


def sound_seconds(path: str | Path) -> float:
    """How long a sound is, by its header. Raises `DataError` as `read_sound` does for what can't be opened."""
    with _opened(path) as file:
        return file.frames / file.samplerate


def sound_rate(path: str | Path) -> int:
    """Samples a second that a file has of its own. Raises `DataError` as `read_sound` does for what can't be opened."""
    with _opened(path) as file:
        return int(file.samplerate)


class Resampler:
    """Samples of one rate in, those of another out, piece by piece: whatever the pieces, the same numbers."""

    def __init__(self, rate_in: int, rate_out: int) -> None:
        self._stream: Any = None
        if rate_in != rate_out:
            import soxr  # type: ignore[import-untyped] # noqa: PLC0415

            self._stream = soxr.ResampleStream(rate_in, rate_out, 1, dtype="float32")

    def accept(self, samples_N: np.ndarray) -> np.ndarray:
        """What comes of these samples and can be told already, (n,); none, some, or all."""
        return self._resampled(samples_N, last=False)

    def finish(self) -> np.ndarray:
        """The rest, (n,). Nothing may be accepted afterwards."""
        return self._resampled(np.zeros(0, np.float32), last=True)

    def _resampled(self, samples_N: np.ndarray, last: bool) -> np.ndarray:
        samples_N = np.ascontiguousarray(samples_N, np.float32)
        if self._stream is None:
            return samples_N
        resampled_N: np.ndarray = self._stream.resample_chunk(samples_N, last=last)
        return resampled_N


def resampled(blocks: Iterable[np.ndarray], rate_in: int, rate_out: int) -> np.ndarray:
    """All samples (N,) of blocks, at another rate."""
    resampler = Resampler(rate_in, rate_out)
    return np.concatenate([*map(resampler.accept, blocks), resampler.finish()])


def _opened(path: str | Path) -> Any:
    """A file of libsndfile's, open. Raises `DataError`."""
    check_libraries(path)
    import soundfile  # type: ignore[import-untyped] # noqa: PLC0415

    try:
        if not Path(path).is_file():
            what = "is a folder" if Path(path).is_dir() else "does not exist"
            raise DataError(f"{path} {what}: give a sound file (WAV, FLAC, OGG).")
        if not Path(path).stat().st_size:
            raise DataError(f"{path} is empty: it has no bytes at all.")
        with Path(path).open("rb"):
            pass
        file = soundfile.SoundFile(str(path))
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror}.") from error
    except RuntimeError as error:
        raise _damaged(path, error) from error
    wrong = _wrong_length(path, file)
    if wrong:
        file.close()
        raise DataError(wrong)
    return file


def _wrong_length(path: str | Path, file: Any) -> str:
    """What is wrong with the length of an open file, or nothing."""
    told = _TOLD.search(file.extra_info)
    if told and int(told[1]) > int(told[2]) and int(told[1]) not in UNKNOWN_LENGTHS:
        return (
            f"{path} is cut short: of the {int(told[1]):,} bytes of sound that it tells of there are {int(told[2]):,}. "
            "Copy or record it again."
        )
    if file.format == "OGG" and is_cut_file(path):
        return f"{path} is cut short: its last page isn't there, or not whole. Copy or record it again."
    if file.frames <= 0:
        return f"{path} is of zero length: it holds no sound."
    return ""


def _part(path: str | Path, frames: int, rate: int, start: float, end: float | None) -> tuple[int, int]:
    """The first sample of a part, and the one after its last. Raises `DataError`."""
    length = frames / rate
    stop = length if end is None else end
    # Times in tables are rounded: a part may end a hundredth of a second late.
    if not 0 <= start < stop <= length + 0.01:
        raise DataError(f"{path} lasts {length:.3f} s: it has no part from {start:g} s to {stop:g} s.")
    first = min(round(start * rate), frames - 1)
    return first, min(max(round(stop * rate), first + 1), frames)


def _damaged(path: str | Path, error: Exception) -> DataError:
    said = str(getattr(error, "error_string", error)).removeprefix(f"Error opening {str(path)!r}: ").strip(" .:")
    return DataError(f"{path} is damaged, or no sound though its name says so ({said}): give WAV, FLAC or OGG.")
