"""Sound as it arrives: a WAV file from a pipe, which can't be sought in and may have no end that it knows of.

    "RIFF" size "WAVE"  then chunks  name (4 bytes) size (4, little-endian) content, "fmt " before "data"
    fmt                 format (1 whole numbers, 3 floats, 0xFFFE: it stands further on), channels, rate, …, bits a sample

What comes after the samples is not read. A size of 0, or of more than there can be, means: until the end.
"""

import io
import struct
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import numpy as np

from elman.data.ogg import is_cut
from elman.data.sound import UNKNOWN_LENGTHS, check_libraries
from elman.errors import DataError

_INTEGERS, _FLOATS, _EXTENDED = 1, 3, 0xFFFE
_LARGEST_HEADER = 1 << 20


def read_stream(pipe: BinaryIO, name: str, seconds: float = 0.1) -> tuple[int, Iterator[np.ndarray]]:
    """(rate, blocks of samples (n,)) of sound from a pipe: one channel, float32, a block as soon as so many seconds are there.

    What isn't WAV (FLAC, OGG) is read to its end first. Raises `DataError` for what is no sound, or holds none.
    """
    start = pipe.read(4)
    if not start:
        raise DataError(f"{name} is empty: give sound, a WAV file for example.")
    if start != b"RIFF":
        return _whole(start + pipe.read(), name)
    rate, channels, decode, width, length = _header(pipe, name)
    return rate, _blocks(pipe, name, max(1, round(seconds * rate)), channels, decode, width, length)


def _header(pipe: BinaryIO, name: str) -> tuple[int, int, Callable[[bytes], np.ndarray], int, int | None]:
    """Rate, channels, what makes samples of bytes, bytes a sample, and bytes of samples that are told of, or None."""
    if _exactly(pipe, 8, name)[4:] != b"WAVE":
        raise DataError(f"{name} begins as RIFF but is no WAV file: give WAV, FLAC or OGG.")
    form: tuple[int, int, int, int] | None = None
    while True:
        chunk, size = struct.unpack("<4sI", _exactly(pipe, 8, name))
        if chunk == b"data":
            break
        if size > _LARGEST_HEADER:
            raise _damaged(name, f"a part of its header has {size:,} bytes")
        content = _exactly(pipe, size + size % 2, name)
        if chunk == b"fmt " and size >= 16:
            kind, channels, rate, _, _, bits = struct.unpack("<HHIIHH", content[:16])
            if kind == _EXTENDED and size >= 26:
                kind = int.from_bytes(content[24:26], "little")
            form = kind, channels, rate, bits
    if form is None:
        raise _damaged(name, "its header doesn't say how it is written")
    kind, channels, rate, bits = form
    decode = _DECODERS.get((kind, bits))
    if decode is None or not channels or not rate:
        raise DataError(
            f"{name} is WAV of the format {kind} with {bits} bits, {channels} channels and {rate} samples a second: give "
            "whole numbers of 8 to 32 bits, or floats."
        )
    return rate, channels, decode, bits // 8, None if size in UNKNOWN_LENGTHS else size


def _blocks(
    pipe: BinaryIO,
    name: str,
    samples: int,
    channels: int,
    decode: Callable[[bytes], np.ndarray],
    width: int,
    length: int | None,
) -> Iterator[np.ndarray]:
    step, left, total = channels * width, length, 0
    while left is None or left > 0:
        wanted = samples * step if left is None else min(samples * step, left)
        content = pipe.read(wanted)
        whole = len(content) - len(content) % step
        if whole:
            samples_NC = decode(content[:whole]).reshape(-1, channels)
            samples_N = samples_NC.mean(1, dtype=np.float32)
            if not np.isfinite(samples_N).all():
                raise DataError(f"{name} holds samples that are no finite numbers: write it again.")
            total += len(samples_N)
            yield samples_N
        if len(content) < wanted:
            if left is not None:
                raise DataError(
                    f"{name} is cut short: of the {length:,} bytes of sound that it tells of {left - whole:,} are missing."
                )
            break
        left = None if left is None else left - len(content)
    if not total:
        raise DataError(f"{name} is of zero length: it holds no sound.")


def _whole(content: bytes, name: str) -> tuple[int, Iterator[np.ndarray]]:
    check_libraries(name)
    import soundfile  # type: ignore[import-untyped] # noqa: PLC0415

    try:
        samples_NC, rate = soundfile.read(io.BytesIO(content), dtype="float32", always_2d=True)
    except RuntimeError as error:
        raise _damaged(name, str(getattr(error, "error_string", error)).strip(" .")) from error
    if content.startswith(b"OggS") and is_cut(content):
        raise DataError(f"{name} is cut short: its last page isn't there, or not whole. Send it again.")
    if not len(samples_NC):
        raise DataError(f"{name} is of zero length: it holds no sound.")
    return int(rate), iter([samples_NC.mean(1, dtype=np.float32)])


def _exactly(pipe: BinaryIO, count: int, name: str) -> bytes:
    content = pipe.read(count)
    if len(content) < count:
        raise _damaged(name, "it ends within its header")
    return content


def _damaged(name: str, wrong: str) -> DataError:
    return DataError(f"{name} is damaged, or no sound ({wrong}): give WAV, FLAC or OGG.")


def _integers(kind: Any, scale: float, middle: float = 0.0) -> Callable[[bytes], np.ndarray]:
    return lambda content: ((np.frombuffer(content, kind).astype(np.float64) - middle) / scale).astype(np.float32)


def _of_24_bits(content: bytes) -> np.ndarray:
    # Three bytes each become the upper three of four.
    bytes_N4 = np.zeros((len(content) // 3, 4), np.uint8)
    bytes_N4[:, 1:] = np.frombuffer(content, np.uint8).reshape(-1, 3)
    return (bytes_N4.view("<i4")[:, 0] / 2.0**31).astype(np.float32)


_DECODERS: dict[tuple[int, int], Callable[[bytes], np.ndarray]] = {
    (_INTEGERS, 8): _integers(np.uint8, 128.0, 128.0),
    (_INTEGERS, 16): _integers("<i2", 2.0**15),
    (_INTEGERS, 24): _of_24_bits,
    (_INTEGERS, 32): _integers("<i4", 2.0**31),
    (_FLOATS, 32): lambda content: np.frombuffer(content, "<f4").astype(np.float32),
    (_FLOATS, 64): lambda content: np.frombuffer(content, "<f8").astype(np.float32),
}
