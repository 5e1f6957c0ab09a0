"""The tables of docs/performance.md, from the figures of benchmarks/engine.py."""

import math

from timing import geometric_mean, measured_on, table

BF16 = "bf16"
HIGH = "high"


def report(points: list[dict], ratios: dict[str, float], rates: dict[str, float]) -> str:
    """All tables, in Markdown."""
    cells = list(dict.fromkeys(point["cell"] for point in points))
    columns = {"forward": "forward", "forward+backward": "both", "bf16, forward+backward": BF16}
    if f"elman both {HIGH}" in points[0]:
        columns['"high", forward+backward, against fp32'] = HIGH
    means = []
    for cell in cells:
        mine = [point for point in points if point["cell"] == cell]
        means.append([cell, *(f"{geometric_mean(faster(mine, what)):.2f}" for what in columns.values())])
    heads = ["cell", "layers", "B, T, H", "PyTorch, ms", "elman, ms", "times as fast", "forward alone"]
    heads += ["of the product rate", "elman bf16, ms", "bf16, times as fast"]
    return "\n".join([
        f"{measured_on()} PyTorch's product of two 2048 × 2048 matrices in the same run: "
        f"fp32 {rates['fp32']:.0f} GFLOP/s, bf16 {rates['bf16']:.0f} GFLOP/s.",
        "",
        "Geometric means over the grid below, PyTorch's time by elman's; for bf16 the better of PyTorch's fp32 and its bf16:",
        "",
        table(["cell", *columns], means),
        "",
        "Point by point, forward+backward unless it says otherwise, inputs as wide as the state:",
        "",
        table(heads, [row(point, rates["fp32"]) for point in points]),
        "",
        "Options, forward+backward:",
        "",
        table(["what", "ratio"], [[name, f"{value:.2f}"] for name, value in ratios.items()]),
    ])  # fmt: skip


def row(point: dict, rate: float) -> list[str]:
    """One point of the grid; `rate` is that of a product, GFLOP/s."""
    ours, theirs, halves = (point[name] for name in ("elman both", "torch both", f"elman both {BF16}"))
    return [
        point["cell"],
        str(point["layers"]),
        ", ".join(map(str, point["size"])),
        f"{theirs * 1e3:.1f}",
        f"{ours * 1e3:.1f}",
        f"{faster([point], 'both')[0]:.2f}",
        f"{faster([point], 'forward')[0]:.2f}",
        f"{point['flops'] / 1e9 / ours / rate:.0%}",
        f"{halves * 1e3:.1f}",
        f"{faster([point], BF16)[0]:.2f}",
    ]


def faster(points: list[dict], what: str) -> list[float]:
    """PyTorch's time by elman's: forward, both passes, both in bf16, or both with products "high" by PyTorch's in fp32."""
    if what == BF16:
        theirs = [min(p["torch both"], p.get(f"torch both {BF16}", math.inf)) for p in points]
        return [time / p[f"elman both {BF16}"] for time, p in zip(theirs, points, strict=True)]
    if what == HIGH:
        return [p["torch both"] / p[f"elman both {HIGH}"] for p in points]
    return [p[f"torch {what}"] / p[f"elman {what}"] for p in points]
