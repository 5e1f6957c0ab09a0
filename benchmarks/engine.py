"""The native engine against PyTorch's layers: forward, forward and backward, and every option, in turns in one run.

    python benchmarks/engine.py [--rounds 5] [--quick]

Writes benchmarks/results/engine.json and the tables in docs/performance.md. `--quick` takes the smallest sizes and writes
nothing: to see that it runs.
"""

import argparse
import math
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from own_cells import LayerNormLSTMCell, TwoRateCell
from report import BF16, HIGH, faster, report
from timing import in_turns, machine, product_rate, write_page, write_results
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

import elman
from elman.engines import native
from elman.engines.pieces import recomputed_steps
from elman.layers import RecurrentLayers

CELLS = {"RNN": 1, "GRU": 3, "LSTM": 4}
SIZES = [(1, 128, 256), (16, 128, 128), (32, 128, 256), (32, 128, 512), (64, 64, 1024), (8, 512, 64)]


def forward(module: nn.Module, x: Tensor, bf16: bool = False) -> Callable[[], object]:
    """One call without gradients."""

    def run() -> None:
        with torch.no_grad(), autocast(bf16):
            module(x)

    return run


def outputs(module: Any, x: Tensor, **options: Any) -> Callable[[], Tensor]:
    """The outputs of a layer as a function of nothing."""
    run = module if isinstance(module, (elman.RNN, elman.GRU, elman.LSTM, nn.RNNBase)) else module.run
    return lambda: run(x, None, **options)[0]


def both(call: Callable[[], Tensor], leaves: list[Tensor], bf16: bool = False) -> Callable[[], object]:
    """A call, and the gradients of all leaves for a cotangent that is made once."""
    with torch.no_grad():
        dy = torch.randn_like(call())

    def run() -> None:
        with autocast(bf16):
            y = call()
        torch.autograd.grad(y, leaves, dy.to(y.dtype))

    return run


def in_high(call: Callable[[], object]) -> Callable[[], object]:
    """The same with products of float32 by three of bf16."""

    def run() -> None:
        torch.set_float32_matmul_precision("high")
        call()
        torch.set_float32_matmul_precision("highest")

    return run


def autocast(bf16: bool) -> Any:
    return torch.autocast("cpu", torch.bfloat16) if bf16 else nullcontext()


def grid(sizes: list[tuple[int, int, int]], layer_counts: list[int], rounds: int) -> list[dict]:
    """Every cell and size, one layer and two, forward alone and with the backward pass; seconds."""
    points = []
    for cell, gates in CELLS.items():
        for layers in layer_counts:
            for batch, steps, hidden in sizes:
                ours = getattr(elman, cell)(hidden, hidden, layers, engine="native")
                theirs = getattr(nn, cell)(hidden, hidden, layers)
                theirs.load_state_dict(ours.state_dict())
                x = torch.randn(steps, batch, hidden, requires_grad=True)
                passes: dict[str, Callable[[], object]] = {}
                for name, module in {"torch": theirs, "elman": ours}.items():
                    leaves = [x, *module.parameters()]
                    passes[f"{name} forward"] = forward(module, x.detach())
                    passes[f"{name} both"] = both(outputs(module, x), leaves)
                    # PyTorch's LSTM fails in bf16 on a processor that doesn't compute in it.
                    if name == "elman" or cell != "LSTM" or torch.ops.mkldnn._is_mkldnn_bf16_supported():
                        passes[f"{name} both {BF16}"] = both(outputs(module, x), leaves, bf16=True)
                if native.has_precision(HIGH):
                    passes[f"elman both {HIGH}"] = in_high(both(outputs(ours, x), [x, *ours.parameters()]))
                times = in_turns(passes, rounds)
                flops = 3 * 2 * 2 * gates * hidden**2 * batch * steps * layers
                points.append({"cell": cell, "layers": layers, "size": [batch, steps, hidden], "flops": flops, **times})
                ratio = faster(points[-1:], "both")[0]
                print(f"{cell} {layers} layer(s) {batch, steps, hidden}: {ratio:.2f} times as fast", file=sys.stderr)
    return points


def options(size: tuple[int, int, int], ragged: tuple[int, int, int], rounds: int) -> dict[str, float]:
    """What each option costs, as a ratio to what it stands beside in the table."""
    found: dict[str, float] = {}
    batch, steps, hidden = ragged
    lengths = torch.randint(1, steps + 1, (batch,), generator=torch.Generator().manual_seed(1))
    share = lengths.sum().item() / (batch * steps)
    for cell in ("LSTM", "GRU"):
        ours, theirs = getattr(elman, cell)(hidden, hidden), getattr(nn, cell)(hidden, hidden)
        x = torch.randn(steps, batch, hidden, requires_grad=True)
        passes = {
            "padded": both(outputs(ours, x), [x, *ours.parameters()]),
            "lengths": both(outputs(ours, x, lengths=lengths), [x, *ours.parameters()]),
            "torch padded": both(outputs(theirs, x), [x, *theirs.parameters()]),
        }
        times = in_turns(passes, rounds)

        def packed(module: nn.Module = theirs, x: Tensor = x) -> Tensor:
            return module(pack_padded_sequence(x, lengths, enforce_sorted=False))[0].data

        times |= in_turns({"torch packed": both(packed, [x, *theirs.parameters()])}, 1)
        found[f"{cell}, mixed lengths, against PackedSequence"] = times["torch packed"] / times["lengths"]
        found[f"{cell}, mixed lengths, against padded PyTorch"] = times["torch padded"] / times["lengths"]
        found[f"{cell}, mixed lengths, time by share of valid steps"] = times["lengths"] / times["padded"] / share

    batch, steps, hidden = size
    x = torch.randn(steps, batch, hidden, requires_grad=True)
    plain = elman.LSTM(hidden, hidden)
    normed, own = (RecurrentLayers(kind(hidden), hidden) for kind in (LayerNormLSTMCell, TwoRateCell))
    reset = torch.rand(steps, batch) < 0.03
    leaves = [x, *plain.parameters()]
    times = in_turns(
        {
            "plain": both(outputs(plain, x), leaves),
            "reset= on 3 % of the steps": both(outputs(plain, x, reset=reset), leaves),
            "every c_t returned": both(outputs(plain, x, return_all_states=True), leaves),
            "layer-norm LSTM": both(outputs(normed, x), [x, *normed.parameters()]),
            "a cell of one's own": both(outputs(own, x), [x, *own.parameters()]),
        },
        rounds,
    )
    found |= {name: seconds / times["plain"] for name, seconds in times.items() if name != "plain"}
    return found | recomputed(rounds)


def recomputed(rounds: int, size: tuple[int, int, int] = (32, 1024, 256)) -> dict[str, float]:
    """Time and kept memory of `recompute=True` on a long sequence."""
    batch, steps, hidden = size
    x = torch.randn(steps, batch, hidden, requires_grad=True)
    modules = {"kept": elman.LSTM(hidden, hidden), "again": elman.LSTM(hidden, hidden, recompute=True)}
    passes = {name: both(outputs(module, x), [x, *module.parameters()]) for name, module in modules.items()}
    times = in_turns(passes, rounds)
    # Of a sequence that is computed again there are the states between chunks and, in the backward pass, what one chunk keeps.
    chunk = recomputed_steps(steps)
    between = 2 * math.ceil(steps / chunk) * batch * hidden * x.element_size()
    kept, kept_chunk = (kept_bytes(outputs(modules["kept"], part), x) for part in (x, x[:chunk]))
    return {
        "recompute=True, time": times["again"] / times["kept"],
        "recompute=True, kept memory": (kept_chunk + between) / kept,
    }


def kept_bytes(call: Callable[[], Tensor], x: Tensor) -> int:
    """Bytes that a graph keeps for its backward pass, weights and the input apart; each storage once."""
    storages: dict[int, int] = {}
    given = x.untyped_storage().data_ptr()

    def pack(tensor: Tensor) -> Tensor:
        place = tensor.untyped_storage().data_ptr()
        if place != given and not isinstance(tensor, nn.Parameter):
            storages[place] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        call()
    return sum(storages.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    # PyTorch warns of its own slow paths.
    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    start = time.perf_counter()
    rates = {"fp32": product_rate(torch.float32), "bf16": product_rate(torch.bfloat16)}
    points = grid(SIZES[5:] if arguments.quick else SIZES, [1] if arguments.quick else [1, 2], arguments.rounds)
    small = (8, 32, 64)
    ratios = (
        options(small, small, arguments.rounds)
        if arguments.quick
        else options((32, 128, 256), (64, 400, 256), arguments.rounds)
    )
    text = report(points, ratios, rates)
    print(text)
    if not arguments.quick:
        seconds = math.ceil(time.perf_counter() - start)
        write_results(
            "engine", {"machine": machine(), "rates": rates, "seconds": seconds, "grid": points, "options": ratios}
        )
        write_page("performance", "tables", text)


if __name__ == "__main__":
    main()
