"""Every option against the plain layer, and every cell against the drop-in with as many gates: the native engine, in training,
forward and backward.

    python benchmarks/cells.py [--rounds 5] [--quick] [--again options scrn ...]

Writes benchmarks/results/cells.json and the tables of cells in docs/performance.md; those above the limit are printed.
`--quick` takes tiny sizes and one round, and writes nothing: to see that it runs. `--again` times only the options, or the
cells that are named, and keeps the other figures of the last run. torchrecurrent is timed beside the cells that it has.
"""

import argparse
import importlib
import importlib.util
import math
import sys
import time
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import torch
from cells_report import above, report, told
from engine import both
from timing import in_turns, machine, read_results, write_page, write_results
from torch import Tensor, nn

import elman
from elman.cells import CELLS, Cell, cell_named
from elman.engines import native
from elman.layers.catalogue import one_step

SIZES = [(32, 128, 256), (16, 128, 128)]
QUICK_SIZES = [(4, 6, 16), (2, 6, 8)]

# Of one layer, in any cell and in one alone.
OPTIONS: list[dict[str, Any]] = [
    {"layer_norm": True},
    {"variational_dropout": 0.3},
    {"recurrent_dropout": 0.3},
    {"zoneout": 0.1},
    {"clip_state": 1.0},
    {"clip_gradient": 1.0},
    {"recurrent_bias": False},
    {"weight_drop": 0.5},
    {"learn_initial_state": True},
    {"reverse": True},
]
OWN_OPTIONS: dict[str, list[dict[str, Any]]] = {
    "LSTM": [{"peepholes": True}, {"coupled": True}],
    "GRU": [{"reset_after": False}],
    "RNN": [{"nonlinearity": "relu"}],
}
# Between two layers.
DEPTH_OPTIONS: list[dict[str, Any]] = [
    {"dropout": 0.3},
    {"dropout": 0.3, "locked_dropout": True},
    {"connections": "residual"},
    {"connections": "highway"},
    {"connections": "dense"},
]
# Where torchrecurrent's layer has another name than the cell's class.
PEER_NAMES = {
    "brc": "BR",
    "nbrc": "NBR",
    "antisymmetric": "AntisymmetricRNN",
    "gated_antisymmetric": "GatedAntisymmetricRNN",
}


def comparisons(cell: str, hidden: int) -> dict[str, tuple[dict[str, Any], dict[str, dict[str, Any]]]]:
    """By words for a plain layer: its arguments, and by their names the options that are set against it."""
    halved = {"proj_size=H/2": {"proj_size": hidden // 2}} if cell == "LSTM" else {}
    widths = {"hidden_size=[H, H]": {"hidden_size": [hidden, hidden]}}
    two: dict[str, Any] = {"num_layers": 2}
    return {
        "one layer": ({}, named([*OPTIONS, *OWN_OPTIONS[cell]]) | halved),
        "two layers": (two, named(DEPTH_OPTIONS) | widths),
        "two layers, bidirectional, merge='concat'": ({**two, "bidirectional": True}, named([{"merge": "sum"}])),
    }


def named(options: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Each set of options by what one would write."""
    return {", ".join(f"{name}={value!r}" for name, value in one.items()): one for one in options}


def passes(layer: nn.Module, size: tuple[int, int, int]) -> Callable[[], object]:
    """Forward and backward through a layer as a user calls it, in training mode."""
    batch, steps, hidden = size
    x = torch.randn(steps, batch, hidden, requires_grad=True)

    def call() -> Tensor:
        y: Tensor = layer(x)[0]
        return y

    return both(call, [x, *layer.parameters()])


def time_options(sizes: list[tuple[int, int, int]], rounds: int, least_seconds: float) -> list[dict]:
    """Seconds of every option and, in turns with it, of the plain layer."""
    points = []
    for size in sizes:
        hidden = size[2]
        for cell in OWN_OPTIONS:
            for beside, (plain, options) in comparisons(cell, hidden).items():
                functions = {}
                for name, own in ({"plain": dict[str, Any]()} | options).items():
                    arguments = {"hidden_size": hidden, **plain, **own, "engine": "native"}
                    functions[name] = passes(getattr(elman, cell)(hidden, **arguments), size)
                times = in_turns(functions, rounds, least_seconds)
                for name in options:
                    point = {"option": name, "cell": cell, "size": list(size), "beside": beside}
                    points.append(point | {"seconds": times[name], "beside_seconds": times["plain"]})
                    print(told(points[-1]), file=sys.stderr)
    return points


def time_zoo(names: list[str], sizes: list[tuple[int, int, int]], rounds: int, least_seconds: float) -> list[dict]:
    """Seconds of these cells, of the drop-in that each stands beside, and of torchrecurrent's layer."""
    points = []
    for size in sizes:
        hidden = size[2]
        for name in names:
            gates = count_gates(cell_named(name, hidden), hidden)
            beside, share = stands_beside(gates)
            layers = {
                "cell": elman.Recurrent(name, hidden, hidden, engine="native"),
                "beside": getattr(elman, beside)(hidden, hidden, engine="native"),
            }
            times = in_turns({what: passes(layer, size) for what, layer in layers.items()}, rounds, least_seconds)
            point = {"cell": name, "size": list(size), "gates": gates, "beside": beside, "share": share}
            point |= {"seconds": times["cell"], "beside_seconds": times["beside"] * share}
            peer = peer_class(name)
            if peer is not None:
                # Slow enough for a few rounds of one call.
                theirs = in_turns({"theirs": passes(peer(hidden, hidden), size)}, min(rounds, 3), least_seconds=0)
                point |= {"torchrecurrent": peer.__name__, "torchrecurrent_seconds": theirs["theirs"]}
            points.append(point)
            print(told(point), file=sys.stderr)
    return points


def programs() -> list[str]:
    """The names of all cells that the native engine runs in layers of any width: frames have theirs."""
    return [name for name in CELLS if name != "conv_lstm" and native.why_not(cell_named(name, 8).for_input(8)) is None]


def count_gates(cell: Cell, hidden: int) -> float:
    """Products of H × H a step, with D = H: those of the projection, or those that wait for the state if they are more."""
    _, _, projection, rest = one_step(cell.for_input(hidden), hidden)
    return max(projection, rest) / hidden**2


def stands_beside(gates: float) -> tuple[str, float]:
    """The drop-in for so many gates, and the share of its time that a cell with so many gates is measured by."""
    if gates <= 1:
        return "RNN", 1.0
    return ("GRU", gates / 3) if gates <= 3 else ("LSTM", gates / 4)


def peer_class(name: str) -> Any:
    """torchrecurrent's layer of this cell, or None if it has none."""
    peers = importlib.import_module("torchrecurrent")
    classes = {known.lower(): known for known in peers.__all__}
    wanted = PEER_NAMES.get(name, CELLS[name].__name__.removesuffix("Cell")).lower()
    return getattr(peers, classes[wanted]) if wanted in classes else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--again", nargs="+", choices=["options", *programs()], metavar="NAME", default=[])
    arguments = parser.parse_args()
    if importlib.util.find_spec("torchrecurrent") is None:
        sys.exit("torchrecurrent is timed beside elman's cells and is not installed: pip install -e '.[dev]'")
    # torchrecurrent warns of arguments that its own layers leave out.
    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    start = time.perf_counter()
    sizes, rounds, least_seconds = (QUICK_SIZES, 1, 0.0) if arguments.quick else (SIZES, arguments.rounds, 0.05)
    again = arguments.again or ["options", *programs()]
    names = [name for name in again if name != "options"]
    former = read_results("cells") if arguments.again else {"options": [], "zoo": []}
    options = time_options(sizes, rounds, least_seconds) if "options" in again else former["options"]
    timed = {(p["cell"], *p["size"]): p for p in [*former["zoo"], *time_zoo(names, sizes, rounds, least_seconds)]}
    zoo = list(timed.values())
    text = report(options, zoo)
    print(text, *above([*options, *zoo]), sep="\n")
    if not arguments.quick:
        seconds = math.ceil(time.perf_counter() - start)
        write_results("cells", {"machine": machine(), "seconds": seconds, "options": options, "zoo": zoo})
        write_page("performance", "cells", text)


if __name__ == "__main__":
    main()
