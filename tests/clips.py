"""Small videos for tests: a bright square that moves over a dark ground, written by PyAV."""

from pathlib import Path

import numpy as np

SIZE = 32


def moving_square(way: str, steps: int = 8, size: int = SIZE, seed: int = 0) -> np.ndarray:
    """Pictures (T, height, width, 3), uint8: a square that goes "right" or "down", from a place drawn by the seed."""
    start = np.random.default_rng(seed).integers(2, size // 2, 2)
    pictures = np.full((steps, size, size, 3), 16, np.uint8)
    for step in range(steps):
        y, x = start + (np.array([0, 1]) if way == "right" else np.array([1, 0])) * step
        pictures[step, y : y + 6, x : x + 6] = (240, 240, 240)
    return pictures


def write_clip(path: Path, pictures: np.ndarray, codec: str = "mpeg4", rate: int = 10) -> Path:
    """Encode pictures (T, height, width, 3) as the file's ending says."""
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    form = {"gif": "rgb8"}.get(codec, "yuv420p")
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width, stream.pix_fmt = *pictures.shape[1:3], form
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            container.mux(stream.encode(frame.reformat(format=form)))
        container.mux(stream.encode())
    return path


def write_classes(folder: Path, each: int = 6) -> Path:
    """A folder of two classes, "down" and "right", with so many clips each."""
    for way in ("down", "right"):
        for number in range(each):
            write_clip(folder / way / f"{number}.mp4", moving_square(way, 6 + number % 3, seed=number))
    return folder
