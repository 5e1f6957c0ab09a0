"""`curves.png`: training and validation loss of a run over its time."""

import io
from pathlib import Path
from typing import Any

from elman.files import write_atomically
from elman.training.logs import read_metrics

CURVES = "curves.png"


def draw_curves(folder: Path) -> Path:
    """Draw what `metrics.jsonl` holds. Needs matplotlib."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    lines = read_metrics(folder)
    figure = Figure(figsize=(7, 4.2), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    styles: dict[str, tuple[str, dict[str, Any]]] = {
        "train": ("training", {"color": "#9db4c8", "linewidth": 1.2}),
        "valid": ("validation", {"color": "#c8402f", "linewidth": 1.8, "marker": "o", "markersize": 3.5}),
    }
    for kind, (label, style) in styles.items():
        points = [(line["seconds"], line["loss_nats"]) for line in lines if line["kind"] == kind]
        if points:
            axes.plot(*zip(*points, strict=True), label=label, **style)
    best = min((line for line in lines if line["kind"] == "valid"), key=lambda line: line["loss_nats"], default=None)
    if best:
        axes.axhline(best["loss_nats"], color="#c8402f", linewidth=0.6, linestyle=":")
        axes.set_title(f"best validation loss {best['loss_nats']:.3f} nats at step {best['step']}")
    axes.set_xlabel("seconds of training")
    axes.set_ylabel("loss, nats")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    write_atomically(folder / CURVES, picture.getvalue())
    return folder / CURVES
