"""Sets of series, sound and video with classes, for `benchmarks/signals.py`.

Each function `prepare(data, work, seed)` gives the arguments of `elman train`: files as they are, where that can be.
"""

import gzip
from pathlib import Path

import numpy as np


def digits(data: Path, work: Path, seed: int) -> list[str]:  # noqa: ARG001
    """Spoken digits: a folder a digit, the parts as they are."""
    folder = data / "fsdd"
    return [str(folder / "train"), "--test", str(folder / "test"), "--task", "classify-sound"]


def actions(data: Path, work: Path, seed: int) -> list[str]:  # noqa: ARG001
    """27 actions of stick figures: a folder an action; other people in the test part than in the training part."""
    folder = data / "actions_video"
    return [str(folder / "train"), "--test", str(folder / "test"), "--task", "classify-video"]


def rows_of_digits(data: Path, work: Path, seed: int) -> list[str]:  # noqa: ARG001
    """Digits as 28 rows of 28 pixels: IDX files made into `.npz`, once."""
    folder = data / "mnist"
    paths = []
    for part, name in (("train", "train"), ("test", "t10k")):
        path = work / f"mnist-{part}.npz"
        if not path.exists():
            images = read_idx(folder / f"{name}-images-idx3-ubyte.gz")
            np.savez(path, X=images, y=read_idx(folder / f"{name}-labels-idx1-ubyte.gz"))
        paths.append(str(path))
    return [paths[0], "--test", paths[1], "--task", "classify-series"]


def read_idx(path: Path) -> np.ndarray:
    """An array of bytes in the IDX format: two zeros, the kind (8 is a byte), the number of axes, their sizes, the values."""
    content = gzip.decompress(path.read_bytes())
    if content[:3] != b"\0\0\x08":
        raise ValueError(f"{path} is no IDX file of bytes.")
    axes = content[3]
    sizes = np.frombuffer(content, ">i4", axes, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(sizes)
