"""Video from files: pictures of one size as bytes, by PyAV (FFmpeg): MP4, WebM, GIF, and what else that library decodes.

A clip is decoded as its codec's library lets other threads go on, one clip in memory at a time. `FrameForm` says which pictures
are taken, and in which form.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from elman.errors import DataError, OptionError

# The endings of names that are video.
SUFFIXES = (".mp4", ".m4v", ".mov", ".webm", ".mkv", ".gif", ".avi", ".mpg", ".mpeg", ".ogv")

# Mean difference, of 255, between the channels of a picture, up to which it counts as grey.
_GREY = 2.0


def is_video(path: str | Path) -> bool:
    """Whether a path's ending says that it is video."""
    return Path(path).suffix.lower() in SUFFIXES


@dataclass(frozen=True)
class FrameForm:
    """What pictures are made into.

    size    pixels of a side: pictures are scaled to a square, whatever they were
    rate    pictures a second that are taken, or fewer; 0 is every one
    grey    one channel in place of three; None: not decided yet, see `has_colours`

    Raises `OptionError` for values that make no sense.
    """

    size: int = 64
    rate: float = 0.0
    grey: bool | None = False

    def __post_init__(self) -> None:
        if self.size < 8:
            raise OptionError(f"frame_size={self.size} is the side of a picture in pixels: give 8 or more.")
        if not 0 <= self.rate < float("inf"):
            raise OptionError(f"frame_rate={self.rate!r} is a number of pictures a second: give one of 0 or more.")

    @property
    def channels(self) -> int:
        return 1 if self.grey else 3


def check_library(name: str | Path = "video") -> None:
    """Raise `DataError`, with what to install, if the library that reads `name` is missing."""
    if find_spec("av") is None:
        raise DataError(f"{name} needs av to be read: install it by pip install 'elman[video]'.")


def read_video(path: str | Path, form: FrameForm) -> np.ndarray:
    """The pictures of a clip, (T, C, size, size), uint8.

    Raises `DataError`, naming the file, for one that is missing, empty, damaged, cut short, without pictures, of pictures whose
    size changes, of a codec that isn't there, or that isn't what its name says.
    """
    pictures = list(_pictures(path, form))
    if not pictures:
        raise DataError(f"{path} has no frames: there is nothing to see in it.")
    return np.stack(pictures)


def has_colours(path: str | Path) -> bool:
    """Whether the first picture of a clip has colours, apart from what compression brings in."""
    picture = next(_pictures(path, FrameForm()), None)
    if picture is None:
        return False
    channels = picture.astype(np.int16)
    return float((channels.max(0) - channels.min(0)).mean()) > _GREY


def _pictures(path: str | Path, form: FrameForm) -> Iterator[np.ndarray]:
    size: tuple[int, int] | None = None
    due, count = 0.0, 0
    with _opened(path) as (container, stream):
        for frame in container.decode(stream):
            count += 1
            if size not in (None, (frame.width, frame.height)):
                raise DataError(
                    f"{path} changes its size at frame {count}, from {size[0]} x {size[1]} to {frame.width} x {frame.height}: "
                    "a clip must be of one size."
                )
            size = frame.width, frame.height
            if form.rate and frame.time is not None:
                # Half a millisecond for times that are rounded in the file.
                if frame.time < due - 5e-4:
                    continue
                due = max(due + 1 / form.rate, frame.time)
            yield _picture(frame, form)
        told = stream.frames
    if told > count:
        raise DataError(f"{path} is cut short: of {told} frames there are {count}. Copy or record it again.")


def _picture(frame: Any, form: FrameForm) -> np.ndarray:
    scaled = frame.reformat(form.size, form.size, "gray" if form.grey else "rgb24", interpolation="AREA")
    pixels = scaled.to_ndarray()
    return pixels[None] if form.grey else np.ascontiguousarray(pixels.transpose(2, 0, 1))


@contextmanager
def _opened(path: str | Path) -> Iterator[tuple[Any, Any]]:
    """A file and its first stream of pictures. Errors of the library within are `DataError`s about the file."""
    check_library(path)
    import av  # noqa: PLC0415

    if not Path(path).is_file():
        what = "is a folder" if Path(path).is_dir() else "does not exist"
        raise DataError(f"{path} {what}: give a video file (MP4, WebM, GIF).")
    try:
        if not Path(path).stat().st_size:
            raise DataError(f"{path} is empty: it has no bytes at all.")
        with av.open(str(path)) as container:
            streams = container.streams.video
            if not streams:
                raise DataError(f"{path} has no pictures (it may be sound alone): give a video file.")
            stream = streams[0]
            if getattr(stream, "codec_context", None) is None:
                raise DataError(
                    f"{path} needs a codec that PyAV doesn't have here: convert it, to H.264 in MP4 for example."
                )
            yield container, stream
    except av.error.DecoderNotFoundError as error:
        raise DataError(f"{path} needs a codec that PyAV doesn't have here ({error.strerror}): convert it.") from error
    except (av.error.FFmpegError, OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or str(error)
        raise DataError(
            f"{path} is damaged, cut short, or no video though its name says so ({said}): give MP4, WebM or GIF."
        ) from error
