"""Pictures of what a model learnt. Each needs matplotlib, which is imported when one is drawn."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from elman.files import write_atomically
from elman.models.class_scores import ClassScores

# Beyond so many classes numbers can't be read, and beyond so many more names can't.
_NUMBERS, _NAMES = 20, 60


def draw_confusion(path: Path, part: str, scores: ClassScores) -> Path:
    """The confusion table: each row a class, what its examples were taken for, shaded by share of the row."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    counts = scores.confusion
    size = len(scores.labels)
    inches = min(max(3.4, 1.8 + 0.42 * size), 14)
    figure = Figure(figsize=(inches + 0.8, inches), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    shares = counts / counts.sum(1, keepdims=True).clip(min=1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axes, label="share of the class", shrink=0.8)
    if size <= _NUMBERS:
        for row in range(size):
            for column in range(size):
                if counts[row, column]:
                    shade = "white" if shares[row, column] > 0.6 else "black"
                    axes.text(
                        column, row, f"{counts[row, column]:,}", ha="center", va="center", color=shade, fontsize=8
                    )
    if size <= _NAMES:
        names = [label if len(label) <= 18 else label[:17] + "…" for label in scores.labels]
        axes.set_xticks(range(size), names, rotation=90)
        axes.set_yticks(range(size), names)
    axes.set_xlabel("taken for")
    axes.set_ylabel("is")
    axes.set_title(f"{part}: accuracy {scores.accuracy:.1%} of {scores.examples:,}", fontsize=10)
    return save_picture(figure, path)


def draw_attention(path: Path, source: Sequence[str], target: Sequence[str], weights_TS: np.ndarray) -> Path:
    """What was looked at: each row a token that was written, shaded by how much of each token of the source it saw."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    width, height = (min(2.2 + 0.3 * len(side), 14) for side in (source, target))
    figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(weights_TS, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axes.xaxis.tick_top()
    axes.set_xticks(range(len(source)), map(_plain, source), rotation=90)
    axes.set_yticks(range(len(target)), map(_plain, target))
    return save_picture(figure, path)


def _plain(text: str) -> str:
    """For an axis: a dollar is no formula, and what a font lacks no box."""
    return "".join(sign if sign.isprintable() and sign < "\U00010000" else "·" for sign in text).replace("$", r"\$")


def save_picture(figure: Any, path: Path) -> Path:
    """Write a figure as PNG, or as SVG if the name ends so, whole or not at all; the same figure gives the same bytes."""
    write_atomically(path, picture_bytes(figure, "svg" if path.suffix.lower() == ".svg" else "png"))
    return path


def picture_bytes(figure: Any, kind: str = "png") -> bytes:
    """A figure as PNG or SVG."""
    import matplotlib  # noqa: PLC0415

    picture = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "elman", "svg.fonttype": "none"}):
        figure.savefig(picture, format=kind, metadata={"Date": None} if kind == "svg" else None)
    return picture.getvalue()
