"""What `scan.py` measured, as tables."""

from collections.abc import Callable
from typing import Any

from timing import table


def report(results: dict[str, Any]) -> str:
    """The parts that there are, one after the other."""
    parts: dict[str, Callable[[dict[str, Any]], str]] = {
        "bandwidth": _bandwidth,
        "cells": _cells,
        "chunks": _chunks,
        "lengths": _lengths,
    }
    return "\n\n".join(write(results[part]) for part, write in parts.items() if part in results)


def _bandwidth(part: dict[str, Any]) -> str:
    batch, steps, size = part["size"]
    seconds = part["seconds"]
    times, share = seconds["logarithms"] / seconds["elman positive"], part["rate"] / part["copy_rate"]
    return (
        f"A minGRU's scan alone, forwards and backwards, B {batch}, T {steps}, H {size}: {seconds['elman'] * 1e3:.2f} ms. It "
        f"moves {part['gigabytes'] * 1e3:.0f} MB, {part['rate']:.1f} GB/s: {100 * share:.0f} % of what a copy of memory "
        f"reached in the same run, {part['copy_rate']:.1f} GB/s. With candidates that are positive, which the form in "
        f"logarithms needs, it takes {seconds['elman positive'] * 1e3:.2f} ms and is {times:.0f} times as fast as that."
    )


def _cells(part: dict[str, Any]) -> str:
    batch, steps, size = part["size"]
    rows = []
    for name, found in part["cells"].items():
        seconds = found["seconds"]
        alone = [f"{seconds[form] / seconds['elman']:.1f}" for form in ("loop", "tree")]
        layer = [f"{seconds['layer'] * 1e3:.1f}", f"{seconds['layer loop'] / seconds['layer']:.1f}"]
        rows.append([f"`{name}`", f"{seconds['elman'] * 1e3:.1f}", *alone, *layer])
    return (
        f"Forwards and backwards, B {batch}, T {steps}, H {size}: of each cell what recurs, u given, and how many times as "
        "fast it is as a loop over the steps and as a tree over time; then the whole layer, D = H, whose time is that of its "
        "products.\n\n" + table(["cell", "ms", "loop", "tree", "layer, ms", "its loop"], rows)
    )


def _chunks(part: dict[str, Any]) -> str:
    batch, steps, heads, units = part["size"]
    rows = []
    for name, found in part["cells"].items():
        seconds = found["seconds"]
        rate = found["operations"] / found["product_seconds"] / 1e9
        rows.append(
            [
                f"`{name}`",
                f"{seconds['elman'] * 1e3:.0f}",
                f"{seconds['loop'] / seconds['elman']:.1f}",
                f"{100 * found['product_seconds'] / seconds['elman']:.0f} %",
                f"{100 * rate / part['rate']:.0f} %",
            ]
        )
    heads_of = ["cell", "ms", "step by step", "time in products", "their rate"]
    return (
        f"States that are matrices, chunk-wise, forwards and backwards, B {batch}, T {steps}, {heads} heads of {units}: times "
        "as fast as step by step; what part of the time the products inside of chunks take, without that of the input, and "
        f"their rate as a part of that of a large fp32 product ({part['rate']:.0f} GFLOP/s).\n\n"
        + table(heads_of, rows)
    )


def _lengths(part: dict[str, Any]) -> str:
    batch, size = part["size"]
    rows = []
    for name, found in part["cells"].items():
        for steps, values in found.items():
            time, memory = (values[key] / int(steps) for key in ("seconds", "bytes"))
            rows.append([f"`{name}`", f"{int(steps):,}", f"{time * 1e6:.2f}", f"{memory / 1024:.1f}"])
    return (
        f"One call forwards and backwards, B {batch}, D = H = {size}: microseconds and KiB a step, beyond the input, against "
        "the number of steps.\n\n" + table(["cell", "T", "µs a step", "KiB a step"], rows)
    )
