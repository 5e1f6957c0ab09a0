"""The vanishing gradient, shown: which network learns to remember over which lag, and how its gradient falls on the way back.

The task (recall): the first of T + 1 symbols is one of eight, T of eight others follow, and at the last step the network is
asked for the first. Guessing gives 1/8. Nothing but the first symbol helps, so only a gradient that reaches T steps back can
teach anything: S. Hochreiter, diploma thesis, TU München (1991); Y. Bengio, P. Simard and P. Frasconi, IEEE Transactions on
Neural Networks 5 (1994). Each network is trained for each lag from the start, all by the same rule; their widths give about
the same number of parameters.

All figures are functions of the seed. Budgets are updates, not seconds.
"""

import copy
import multiprocessing
import os
import time
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot

from elman.models.sequence import SequenceModel
from elman.probe.gradients import Scored, gradient_by_lag
from elman.probe.plots import Mark, Plot, Series
from elman.probe.tap import find_stacks, tapped, undisturbed

SYMBOLS = 8
LAGS = (10, 20, 50, 100, 200, 400)
# The gradient by lag is that of the networks for this lag, before and after training.
PROBED = 200
UPDATES, BATCH, RATE, CLIP = 1000, 32, 0.01, 1.0
PARAMETERS = 5800
# Training ends early once so much of the last batches was right, by a running mean.
_ENOUGH, _MEMORY = 0.99, 0.9
_SCORED, _ROWS = 512, 32


@dataclass(frozen=True)
class Contestant:
    """A network of the demonstration; `options` of the layers, of which `chrono` is True where it is to be the lag."""

    name: str
    cell: str
    options: Mapping[str, Any] = field(default_factory=dict)


CONTESTANTS = (
    Contestant("Elman", "elman"),
    Contestant("LSTM", "lstm"),
    Contestant("GRU", "gru"),
    Contestant("LSTM, gates open", "lstm", {"chrono": True}),
    Contestant("GRU, gates open", "gru", {"chrono": True}),
)


def vanishing(
    seed: int = 0,
    lags: Sequence[int] = LAGS,
    updates: int = UPDATES,
    probed: int = PROBED,
    watch: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Train every network for every lag, and measure.

    Gives lags, and for each network its name, cell, options, width and number of parameters, `success` by lag (the share of
    answers that is right) with the updates it took, and the gradient by lag `before` and `after` training for the lag `probed`.
    `watch` is told of each training that has ended.
    """
    began = time.monotonic()
    # The longest first, so that no process is left with one at the end.
    jobs = [(who, lag) for lag in sorted(lags, reverse=True) for who in range(len(CONTESTANTS))]
    processes = min(2, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    done: dict[tuple[int, int], dict[str, Any]] = {}
    with _pool(processes) as pool:
        work = [(who, lag, seed, updates, lag == probed) for who, lag in jobs]
        for (who, lag), run in zip(jobs, map(_learn, work) if pool is None else pool.map(_learn, work), strict=True):
            done[who, lag] = run
            watch(
                f"{CONTESTANTS[who].name}, lag {lag}: {run['success']:.0%} right after {run['updates']} updates "
                f"({len(done)} of {len(jobs)})"
            )
    networks = []
    for who, contestant in enumerate(CONTESTANTS):
        runs = [done[who, lag] for lag in lags]
        curves: dict[str, Any] = next((run["gradients"] for run in runs if run["gradients"]), {})
        width = width_of(contestant.cell)
        networks.append(
            {
                "name": contestant.name,
                "cell": contestant.cell,
                "options": dict(contestant.options),
                "hidden": width,
                "parameters": _count(contestant.cell, width),
                "success": [run["success"] for run in runs],
                "updates": [run["updates"] for run in runs],
                **curves,
            }
        )
    return {
        "format": 1,
        "seed": seed,
        "lags": list(lags),
        "probed": probed,
        "networks": networks,
        "processor_seconds": round(sum(run["seconds"] for run in done.values()), 1),
        "seconds": round(time.monotonic() - began, 1),
    }


def _pool(processes: int) -> Any:
    if processes < 2:
        return nullcontext(None)
    # A fork would take over the threads of this process half-way.
    context = multiprocessing.get_context("spawn")
    pool: Executor = ProcessPoolExecutor(processes, context, torch.set_num_threads, (1,))
    return pool


@cache
def width_of(cell: str) -> int:
    """The width at which a network comes nearest to `PARAMETERS`."""
    above = bisect_left(range(1000), PARAMETERS, lo=2, key=lambda width: _count(cell, width))
    return min((above - 1, above), key=lambda width: abs(_count(cell, width) - PARAMETERS))


def _count(cell: str, width: int) -> int:
    with torch.random.fork_rng():
        return sum(parameter.numel() for parameter in _network(cell, width, {}, 1).parameters())


def _network(cell: str, width: int, options: Mapping[str, Any], lag: int) -> SequenceModel:
    chosen = {name: float(max(lag, 3)) if value is True else value for name, value in options.items()}
    return SequenceModel(2 * SYMBOLS, width, SYMBOLS, cell=cell, **chosen)


def sequences(lag: int, batch: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Inputs (lag + 1, batch, 16), one-hot, and answers (batch)."""
    answers_B = torch.randint(SYMBOLS, (batch,), generator=generator)
    symbols_TB = torch.randint(SYMBOLS, 2 * SYMBOLS, (lag + 1, batch), generator=generator)
    symbols_TB[0] = answers_B
    return one_hot(symbols_TB, 2 * SYMBOLS).float(), answers_B


def _answer(network: SequenceModel, x_TBD: Tensor) -> Tensor:
    """Scores of the symbols at the last step (B, 8)."""
    h_TBH, _ = network.recurrent(x_TBD)
    scores_BV: Tensor = network.output(h_TBH[-1])
    return scores_BV


def _learn(work: tuple[int, int, int, int, bool]) -> dict[str, Any]:
    """Train one network for one lag: its success, and if asked for its gradients before and after."""
    who, lag, seed, updates, look = work
    contestant, began = CONTESTANTS[who], time.process_time()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = _network(contestant.cell, width_of(contestant.cell), contestant.options, lag)
    generator = torch.Generator().manual_seed(1000 * seed + lag)
    before = gradient(network, lag, seed) if look else None
    optimizer = torch.optim.Adam(network.parameters(), lr=RATE)
    right, update = 0.0, 0
    while update < updates and right < _ENOUGH:
        x_TBD, answers_B = sequences(lag, BATCH, generator)
        scores_BV = _answer(network, x_TBD)
        cross_entropy(scores_BV, answers_B).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), CLIP)
        optimizer.step()
        optimizer.zero_grad()
        right = _MEMORY * right + (1 - _MEMORY) * float((scores_BV.argmax(-1) == answers_B).float().mean())
        update += 1
    with torch.no_grad():
        x_TBD, answers_B = sequences(lag, _SCORED, torch.Generator().manual_seed(2000 * seed + lag + 7))
        success = float((_answer(network, x_TBD).argmax(-1) == answers_B).float().mean())
    gradients = {"before": before, "after": gradient(network, lag, seed)} if look else None
    seconds = time.process_time() - began
    return {"success": success, "updates": update, "gradients": gradients, "seconds": seconds}


def gradient(network: SequenceModel, lag: int, seed: int = 0) -> dict[str, Any]:
    """Quartiles by lag of ‖∂ℓ_T/∂s_{T-k}‖, in units of the median at k = 0; s is the LSTM's c, else h."""
    x_TBD, answers_B = sequences(lag, _ROWS, torch.Generator().manual_seed(seed))
    # What is left of it after 200 steps may be smaller than the smallest number of float32.
    twin = copy.deepcopy(network).double()
    with undisturbed(twin), tapped(find_stacks(twin), graph=True) as passages, torch.enable_grad():
        losses_B = cross_entropy(_answer(twin, x_TBD.double()), answers_B, reduction="none")
        norms = gradient_by_lag(passages, Scored(losses_B, None), lag)[-1]
    low, median, high = norms.quartiles()
    unit = median[0] or 1.0
    return {
        "state": norms.state,
        "median": [None if value is None else value / unit for value in median],
        "low": [None if value is None else value / unit for value in low],
        "high": [None if value is None else value / unit for value in high],
    }


def plots_of_vanishing(result: Mapping[str, Any]) -> list[Plot]:
    """Three frames: the gradient by lag before training and after it, and success against lag."""
    plots = []
    for when, title in (("before", "Before training"), ("after", f"After training for lag {result['probed']}")):
        series = [
            Series(network["name"], list(range(len(network[when]["median"]))), network[when]["median"])
            for network in result["networks"]
            if when in network
        ]
        plots.append(
            Plot(
                f"gradient-{when}",
                f"{title}: the gradient on its way back",
                "The norm of the gradient with respect to the state so many steps before the answer, as a part of that at the "
                "answer itself.",
                "steps back",
                "part of the gradient that is left",
                series,
                y_scale="log",
            )
        )
    success = [Series(network["name"], result["lags"], network["success"]) for network in result["networks"]]
    plots.append(
        Plot(
            "success",
            "Answers that are right, by the lag trained for",
            "The share of right answers on fresh sequences; guessing gives one in eight.",
            "lag, steps",
            "",
            success,
            kind="points",
            x_scale="log",
            y_scale="share",
            marks=[Mark(1 / SYMBOLS, "guessing")],
        )
    )
    return plots
