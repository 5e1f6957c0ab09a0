"""Cells that scan against what there is besides: a loop over steps, logarithms, trees; and against the limits of the machine.

    python benchmarks/scan.py                 # all parts, about five minutes
    python benchmarks/scan.py --part cells    # one of: bandwidth, cells, chunks, lengths
    python benchmarks/scan.py --quick         # small sizes, nothing written: to see that it runs

Writes benchmarks/results/scan.json and the part "scans" of docs/performance.md.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from scan_forms import FORMS, given, minimal_in_logarithms
from scan_report import report
from timing import RESULTS, in_turns, machine, product_rate, read_results, write_page, write_results
from torch import Tensor

from elman import engines
from elman.cells import Cell, cell_named
from elman.cells.mingru import MinGRUCell
from elman.engines import Engine, matrix_operator

PARTS = ("bandwidth", "cells", "chunks", "lengths")
# B, T, H of the first two parts.
SIZE, QUICK_SIZE = (16, 512, 256), (4, 64, 64)
# T, heads, units of a head, B.
CHUNKS, QUICK_CHUNKS = (2048, 4, 64, 4), (256, 2, 32, 2)
LENGTHS, QUICK_LENGTHS = (1_000, 10_000, 100_000), (100, 1_000)
LENGTH_CELLS = ("mingru", "lru", "mlstm")
# How often, forwards and backwards, the core multiplies what a step has of keys or values with the matrix before its chunk, and
# with what the other steps of its chunk have: see native/src/chunk.h, delta.h, mlstm.h and mamba2.h. And the steps of a chunk.
PRODUCTS, CHUNK = {"mlstm": (7, 8), "gated_deltanet": (11, 16), "mamba2": (7, 8)}, 64
# Reals that a copy moves: far more than a cache holds.
COPIED = 1 << 24


def made(cell: Cell, features: int) -> tuple[Cell, dict[str, Tensor]]:
    """The cell for so many features and its weights, filled in."""
    cell = cell.for_input(features)
    weights = {name: torch.empty(shape) for name, shape in cell.weight_shapes(features).items()}
    with torch.no_grad():
        cell.initialise(weights)
    return cell, {name: weight.requires_grad_() for name, weight in weights.items()}


def cell_like(kind: type[Cell], size: int, **options: Any) -> Cell:
    """A cell of this kind."""
    return kind(size, **options)


def forward_and_backward(function: Callable[[Tensor], Tensor], x: Tensor, leaves: list[Tensor]) -> Callable[[], Tensor]:
    """A call of y = function(x) and its gradients for one cotangent. It gives y."""
    cotangent: list[Tensor] = []

    def run() -> Tensor:
        for leaf in leaves:
            leaf.grad = None
        y = function(x)
        cotangent[:] = cotangent or [torch.randn_like(y)]
        y.backward(cotangent[0])
        return y.detach()

    return run


def by_engine(cell: Cell, weights: dict[str, Tensor], engine: Engine | str) -> Callable[[Tensor], Tensor]:
    """y of a whole sequence from a state of zeros."""

    def run(x: Tensor) -> Tensor:
        y: Tensor = engines.scan(cell, weights, x, cell.initial_state(x.shape[1], x), engine=engine)[0]
        return y

    return run


def bandwidth(quick: bool, rounds: int) -> dict[str, Any]:
    """The scan of a minGRU alone, u given, against a copy of memory; and with candidates that are positive, which the form in
    logarithms needs, against that.

    Bytes that must move, 4 for each number: forwards u (2H) is read and h (H) written; backwards u, h and the gradient of h (H)
    are read, and that of u (2H) is written. In all 9 T B H.
    """
    batch, steps, size = QUICK_SIZE if quick else SIZE
    kind = given(MinGRUCell)
    cell, weights = made(kind(size), 2 * size)
    positive = made(cell_like(kind, size, nonlinearity="positive"), 2 * size)[0]
    u = torch.randn(steps, batch, 2 * size, requires_grad=True)
    source, target = torch.randn(COPIED), torch.empty(COPIED)
    functions: dict[str, Callable[[], object]] = {
        "elman": forward_and_backward(by_engine(cell, weights, Engine.NATIVE), u, [u]),
        "elman positive": forward_and_backward(by_engine(positive, weights, Engine.NATIVE), u, [u]),
        "logarithms": forward_and_backward(minimal_in_logarithms, u, [u]),
        "copy": lambda: target.copy_(source),
    }
    same(functions["elman positive"](), functions["logarithms"]())
    seconds = in_turns(functions, rounds)
    moved, copied = 9 * steps * batch * size * 4, 2 * COPIED * 4
    return {
        "size": [batch, steps, size],
        "seconds": seconds,
        "gigabytes": moved / 1e9,
        "rate": moved / seconds["elman"] / 1e9,
        "copy_rate": copied / seconds["copy"] / 1e9,
    }


def cells(quick: bool, rounds: int) -> dict[str, Any]:
    """Of each cell what recurs, u given, against a loop over steps and a tree over time; and whole layers, products and all."""
    batch, steps, size = QUICK_SIZE if quick else SIZE
    x = torch.randn(steps, batch, size, requires_grad=True)
    found = {}
    for name, (kind, options, pieces, tree) in FORMS.items():
        u = torch.randn(steps, batch, pieces * size, requires_grad=True)
        cell, weights = made(given(kind)(size, **options), pieces * size)
        used = [weight for key, weight in weights.items() if key != "unused"]
        forms: dict[str, Callable[[Tensor], Tensor]] = {
            "elman": by_engine(cell, weights, Engine.AUTO),
            "loop": by_engine(cell, weights, Engine.REFERENCE),
            "tree": partial(in_pieces, tree, weights, pieces),
        }
        functions = {form: forward_and_backward(function, u, [u, *used]) for form, function in forms.items()}
        for function in functions.values():
            same(function(), functions["elman"]())
        layer, weights = made(cell_named(name, size, **options), size)
        for form, engine in (("layer", Engine.AUTO), ("layer loop", Engine.REFERENCE)):
            functions[form] = forward_and_backward(by_engine(layer, weights, engine), x, [x, *weights.values()])
        found[name] = {"options": options, "seconds": in_turns(functions, rounds)}
        say(name, found[name]["seconds"])
    return {"size": [batch, steps, size], "cells": found}


def in_pieces(tree: Callable[..., Tensor], weights: dict[str, Tensor], pieces: int, u: Tensor) -> Tensor:
    """A tree over time, gate by gate."""
    return tree(weights, *u.chunk(pieces, -1))


def chunks(quick: bool, rounds: int) -> dict[str, Any]:
    """Cells with a matrix for a state, chunk-wise and step by step; and how fast the products of the chunks are."""
    steps, heads, units, batch = QUICK_CHUNKS if quick else CHUNKS
    size = heads * units
    x = torch.randn(steps, batch, size, requires_grad=True)
    found = {}
    for name in PRODUCTS:
        cell, weights = made(cell_named(name, size, heads=heads, chunk_size=CHUNK), size)
        functions = {
            form: forward_and_backward(by_engine(cell, weights, engine), x, [x, *weights.values()])
            for form, engine in (("elman", Engine.SCAN), ("loop", Engine.REFERENCE))
        }
        same(functions["loop"](), functions["elman"]())
        seconds = in_turns(functions, max(rounds // 2, 1))
        found[name] = {
            "seconds": seconds,
            "operations": product_operations(name, steps, heads, units, batch),
            "product_seconds": product_seconds(functions["elman"]),
        }
        say(name, seconds)
    return {"size": [batch, steps, heads, units], "rate": product_rate(torch.float32), "cells": found}


def product_operations(name: str, steps: int, heads: int, units: int, batch: int) -> float:
    """Of the products of a cell's chunks; of its chunk a step sees half."""
    with_state, with_steps = PRODUCTS[name]
    multiplications = with_state * units**2 + with_steps * CHUNK / 2 * units
    return 2.0 * steps * batch * heads * multiplications


def product_seconds(function: Callable[[], object], repeats: int = 3) -> float:
    """What a call spends in them, by the core's own clock: the mean of its threads."""
    matrix_operator.product_time = torch.zeros(1, dtype=torch.int64)
    for _ in range(repeats):
        function()
    nanoseconds = matrix_operator.product_time.item()
    matrix_operator.product_time = None
    return nanoseconds / torch.get_num_threads() / repeats / 1e9


def lengths(quick: bool, rounds: int) -> dict[str, Any]:
    """Time and memory of one call, each in a process of its own, against the number of steps."""
    found: dict[str, Any] = {}
    for name in LENGTH_CELLS:
        for steps in QUICK_LENGTHS if quick else LENGTHS:
            call = [sys.executable, __file__, "--one-length", name, str(steps), "--rounds", str(rounds)]
            seconds, size = subprocess.run(call, check=True, capture_output=True, text=True).stdout.split()
            found.setdefault(name, {})[str(steps)] = {"seconds": float(seconds), "bytes": float(size)}
            say(f"{name}, {steps} steps", found[name][str(steps)])
    return {"size": [8, 128], "cells": found}


def one_length(name: str, steps: int, rounds: int) -> tuple[float, float]:
    """Seconds of a call forwards and backwards (the least of several), and the memory that it takes beyond its input."""
    cell, weights = made(cell_named(name, 128), 128)
    run = by_engine(cell, weights, Engine.AUTO)
    warm, x = torch.randn(64, 8, 128, requires_grad=True), torch.randn(steps, 8, 128, requires_grad=True)
    forward_and_backward(run, warm, [warm])()
    function = forward_and_backward(run, x, [x, *weights.values()])
    before = resident()
    function()
    size = peak() - before
    seconds = []
    for _ in range(max(2, min(rounds, 200_000 // steps))):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return min(seconds), size


def resident() -> float:
    """Bytes of this process, after its peak has been forgotten."""
    with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")
    return _status("VmRSS")


def peak() -> float:
    """The most bytes that this process had since."""
    return _status("VmHWM")


def _status(name: str) -> float:
    with open("/proc/self/status", encoding="ascii") as file:
        return next(float(line.split()[1]) * 1024 for line in file if line.startswith(name))


def same(given: Any, right: Any) -> None:
    """Raise `AssertionError` if two forms of a cell give something else."""
    torch.testing.assert_close(given, right, rtol=1e-4, atol=1e-4)


def say(what: str, values: dict[str, float]) -> None:
    """A line of progress."""
    sys.stderr.write(f"{what}: {', '.join(f'{name} {value:.4g}' for name, value in values.items())}\n")


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=PARTS, help="measure this part alone, and keep the others' last figures")
    parser.add_argument("--rounds", type=int, default=9, help="how often each is timed (default 9)")
    parser.add_argument("--quick", action="store_true", help="small sizes, and write nothing")
    parser.add_argument("--one-length", nargs=2, metavar=("CELL", "STEPS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(2)
    if arguments.one_length:
        name, steps = arguments.one_length
        sys.stdout.write("{} {}\n".format(*one_length(name, int(steps), arguments.rounds)))
        return
    measure = {"bandwidth": bandwidth, "cells": cells, "chunks": chunks, "lengths": lengths}
    wanted = PARTS if arguments.part is None else (arguments.part,)
    results = {part: measure[part](arguments.quick, arguments.rounds) for part in wanted}
    if not arguments.quick:
        if arguments.part and (RESULTS / "scan.json").is_file():
            results = read_results("scan") | results
        results["machine"] = machine()
        write_results("scan", results)
        if set(PARTS) <= set(results):
            write_page("performance", "scans", report(results))
    sys.stdout.write(report(results) + "\n")


if __name__ == "__main__":
    main()
