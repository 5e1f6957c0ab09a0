"""docs/memory.md, from the results of benchmarks/memory_tasks.py: every sentence about a cell is made from its figures."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from memory_learner import RIGHT, ROW
from memory_problems import LONGEST, PROBLEMS, SYMBOLS, TRAINED
from timing import table

LEFT_OUT = {"conv_lstm": "its input is a frame, which these problems don't have"}

INTRODUCTION = f"""<!-- Written by benchmarks/memory_tasks.py from benchmarks/results/memory_tasks.json. -->

# What each cell remembers

Five problems that can't be solved without memory, the same settings for every cell: one recurrent layer, a linear read-out of
its output, no other layers. The runs are small, a few seconds each: a problem that a cell doesn't solve here it may solve with
more units, layers or time. What a cell generalises to depends on the seed, so each was run with several.

**Parity.** Random bits; after each, the answer is whether the ones so far are odd. Trained on lengths up to {TRAINED}, scored
on {LONGEST} steps: the share of answers that is right in the first {TRAINED} and in the others. Guessing gives 0.5; solved is
more than 0.99 in both.

**a^n b^n.** The answer after each b is whether there are now as many b as a. Trained on all strings up to length {TRAINED},
scored on all up to {LONGEST}. A string counts if every answer in it is right; *longest* is the length up to which all are.
Solved is {LONGEST}.

**Adding.** {PROBLEMS["adding"].lengths[-1]} numbers between 0 and 1, of which one in each half is marked; the answer at the end
is the sum of those two. The score is the squared error on fresh sequences; the mean as the answer has 0.167, solved is below
0.01 (Hochreiter and Schmidhuber 1997; Le et al., arXiv 1504.00941).

**Copying.** {SYMBOLS} symbols of eight kinds, {PROBLEMS["copying"].lengths[-1] - 1} blanks and a mark, at which they are to be
given back in their order. The score is the share of symbols that is right, and their cross-entropy in nats; without memory
0.125 and 2.079. Solved is more than 0.99 (Hochreiter and Schmidhuber 1997; Arjovsky et al., arXiv 1511.06464).

**Recall.** One of eight symbols, then noise of eight other symbols; the answer at the end is the first symbol. The score is
the longest of {", ".join(map(str, PROBLEMS["recall"].lengths))} steps at which more than 90 % are right, guessing gives 12.5 %.
"""


@dataclass(frozen=True)
class Column:
    """A score in the tables: its name in the results, whether more is better, and how it is written."""

    name: str
    more: bool
    form: str


COLUMNS = {
    "parity": (Column("trained", True, ".3f"), Column("beyond", True, ".3f")),
    "counting": (Column("trained", True, ".2f"), Column("beyond", True, ".2f"), Column("longest", True, "g")),
    "adding": (Column("error", False, ".4f"),),
    "copying": (Column("right", True, ".3f"), Column("loss", False, ".3f")),
    "recall": (Column("longest", True, "g"),),
}
# The score by which a problem is told in a line.
MAIN = {"parity": "beyond", "counting": "longest", "adding": "error", "copying": "right", "recall": "longest"}


@dataclass(frozen=True)
class Claim:
    """What is known of some cells: that at least one seed solves a problem, that none does, or that they do better than another
    cell by the median of their seeds."""

    why: str
    task: str
    cells: tuple[str, ...]
    solved: bool | None = None
    over: str | None = None

    def holds(self, runs: list[dict], cell: str) -> bool:
        mine = of(runs, self.task, cell)
        if self.over is None:
            return any(run["solved"] for run in mine) == self.solved
        column = main_column(self.task)
        own, other = (
            statistics.median(run["scores"][column.name] for run in of(runs, self.task, c)) for c in (cell, self.over)
        )
        return own > other if column.more else own < other


CLAIMS = (
    Claim("A state that sums counts further than one that is a mean, the GRU's", "counting", ("lstm",), over="gru"),
    Claim("A state that is a mean of candidates can't count far", "counting", ("gru", "mingru"), False),
    Claim("A state that flips can do parity", "parity", ("elman", "slstm"), True),
    Claim(
        "Transitions that are positive and don't depend on the state can't do parity beyond trained lengths",
        "parity",
        ("mingru", "minlstm", "hgrn", "rglru", "mlstm", "mamba2"),
        False,
    ),
    Claim("Nor can transitions whose eigenvalues lie between 0 and 1", "parity", ("gated_deltanet",), False),
    Claim("Gates carry two numbers over a long noise", "adding", ("gru", "lstm"), True),
)


def headline(record: dict[str, Any]) -> str:
    """All scores of a run in a line."""
    scores = ", ".join(f"{name} {value:.4g}" for name, value in record["scores"].items())
    return f"{scores}{' (solved)' if record['solved'] else ''}"


def page(results: dict[str, Any]) -> str:
    """The whole page."""
    runs = results["runs"]
    cells, tasks = (list(dict.fromkeys(run[what] for run in runs)) for what in ("cell", "task"))
    cells = sorted(cells, key=lambda cell: next(at for at, run in enumerate(runs) if run["cell"] == cell))
    parts = [
        INTRODUCTION,
        settings(tasks),
        measured(results),
        "## How many seeds solved it",
        overview(runs, cells, tasks),
    ]
    parts += ["## What is known of them", claims(runs)]
    for task in tasks:
        parts += [f"## {PROBLEMS[task].title}", task_table(task, runs, cells), outcome(task, runs, cells)]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def settings(tasks: Sequence[str]) -> str:
    """How everything was trained, from what the script goes by."""
    rows = []
    for task in tasks:
        problem = PROBLEMS[task]
        rows.append([
            problem.title,
            problem.hidden,
            problem.batch or "all strings",
            ", ".join(f"{rate:g}" for rate in problem.rates),
            lengths(problem.lengths),
            f"{problem.updates:,} or {problem.seconds:g} s",
            ", ".join(f"`{name}={value:g}`" for name, value in problem.memory.items()),
        ])  # fmt: skip
    heads = ["problem", "units", "batch", "learning rates", "lengths, in turn", "budget, updates or seconds"]
    shares = sorted(set(RIGHT.values()))
    return (
        "## Settings\n\n"
        f"Adam, gradients clipped to a norm of 1, the rate falls as a cosine to 2 % over the budget. Sequences grow: after "
        f"{ROW} batches in a row with at least {shares[0]:g} to {shares[-1]:g} right, by problem, the next length comes; when "
        "two thirds of the budget are spent, the last one in any case, but for recall. Of two rates the second is tried only "
        "if the first doesn't solve the problem, with half of the budget for each; the better one on trained lengths counts. "
        "Learning ends early if the last length is solved, but for a^n b^n and copying. Weights start as the cell's own file "
        "says; a cell with gates that keep its state has the option in the last column besides. Seconds are those of one "
        "thread. The settings were chosen on these problems themselves, mostly with `elman`, `lstm`, `gru`, `slstm` and "
        "`indrnn`; those of a^n b^n with the lengths beyond the trained ones in sight.\n\n"
        + table([*heads, "cells with gates that keep"], rows)
        + "\n\nLeft out: "
        + "; ".join(f"`{name}`, as {why}" for name, why in LEFT_OUT.items())
        + "."
    )


def measured(results: dict[str, Any]) -> str:
    on = ", ".join(f"{name} {value}" for name, value in results["machine"].items() if name != "threads")
    seeds = len({run["seed"] for run in results["runs"]})
    spent = sum(run["seconds"] for run in results["runs"]) / results["processes"]
    return (
        f"Measured on: {on}. {len(results['runs'])} runs, {seeds} seed{'s' * (seeds != 1)}, {results['processes']} "
        f"processes of one thread, {results['seconds'] / 60:.0f} minutes together, {spent / 60:.0f} of each processor."
    )


def overview(runs: list[dict], cells: Sequence[str], tasks: Sequence[str]) -> str:
    """A row for each cell: how many seeds solved each problem."""
    rows = [[f"`{cell}`", *(solved_of(of(runs, task, cell)) for task in tasks)] for cell in cells]
    return table(["cell", *(PROBLEMS[task].title for task in tasks)], rows)


def claims(runs: list[dict]) -> str:
    """Each claim beside the figures."""
    lines = []
    for claim in CLAIMS:
        for cell in claim.cells:
            mine = of(runs, claim.task, cell)
            if not mine or (claim.over and not of(runs, claim.task, claim.over)):
                continue
            holds, what = claim.holds(runs, cell), main_column(claim.task)
            lines.append(
                f"- {claim.why}: `{cell}`, {PROBLEMS[claim.task].title}, {solved_of(mine)} solved, "
                f"{what.name} {best_and_median(mine, what)}. {'So it is here' if holds else '**Not so here**'}."
            )
    return "\n".join(lines)


def main_column(task: str) -> Column:
    """The score by which a problem is told in a line."""
    return next(column for column in COLUMNS[task] if column.name == MAIN[task])


def task_table(task: str, runs: list[dict], cells: Sequence[str]) -> str:
    """A row for each cell: best and median of its seeds."""
    rows = []
    for cell in cells:
        mine = of(runs, task, cell)
        if mine:
            figures = [best_and_median(mine, column) for column in COLUMNS[task]]
            seconds = statistics.median(run["seconds"] for run in mine)
            rows.append([f"`{cell}`", f"{mine[0]['parameters']:,}", *figures, solved_of(mine), f"{seconds:.1f}"])
    names = [f"{column.name}: best / median" for column in COLUMNS[task]]
    return table(["cell", "parameters", *names, "solved", "seconds, median"], rows)


def outcome(task: str, runs: list[dict], cells: Sequence[str]) -> str:
    """Which cells solved it with all, some and none of their seeds."""
    by_kind: dict[str, list[str]] = {"every seed": [], "some seeds": [], "no seed": []}
    for cell in cells:
        solved = [run["solved"] for run in of(runs, task, cell)]
        if solved:
            by_kind["every seed" if all(solved) else "some seeds" if any(solved) else "no seed"].append(f"`{cell}`")
    return " ".join(f"Solved by {kind} of: {', '.join(names)}." for kind, names in by_kind.items() if names)


def of(runs: list[dict], task: str, cell: str) -> list[dict]:
    return [run for run in runs if run["task"] == task and run["cell"] == cell]


def solved_of(runs: list[dict]) -> str:
    return f"{sum(run['solved'] for run in runs)} of {len(runs)}" if runs else ""


def best_and_median(runs: list[dict], column: Column) -> str:
    values = [run["scores"][column.name] for run in runs]
    best = max(values) if column.more else min(values)
    return f"{best:{column.form}} / {statistics.median(values):{column.form}}"


def lengths(values: Sequence[int]) -> str:
    """All of them, or the first two and the last where they are many."""
    return ", ".join(map(str, values)) if len(values) <= 5 else f"{values[0]}, {values[1]}, …, {values[-1]}"
