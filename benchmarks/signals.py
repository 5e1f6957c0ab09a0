"""What the tasks on series, sound and video reach on real data, by the command that a user types: figures for docs/results.md.

    python benchmarks/signals.py                        # all sets, three seeds of the small ones
    python benchmarks/signals.py --only etth1_96        # some of them; the others' figures are kept
    python benchmarks/signals.py --only jsb_chorales --minutes 0.1 --seeds 1      # to see that it works; nothing is written

The data is read from shared/data beside the repository (--data). A set prepares its files in a temporary folder, in a form that
elman reads. Each run is `elman train` with nothing but the task, the budget, names of columns, and what is to be forecast.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from series_sets import chorales, electricity_96, electricity_720
from signal_classes import actions, digits, rows_of_digits
from sound_sets import joined_digits, noisy_digits
from timing import RESULTS, machine, read_results, table, write_page, write_results

DATA = Path(__file__).parents[2] / "shared" / "data"
NAME = "signals"


@dataclass(frozen=True)
class Score:
    """A score on the test part, under its name in `--json`, and what it should reach."""

    name: str
    asked: float
    lower_is_better: bool = False
    digits: int = 3
    percent: bool = False

    def shown(self, value: float) -> str:
        return f"{100 * value:.1f} %" if self.percent else f"{value:.{self.digits}f}"

    def reached(self, value: float) -> bool:
        return value <= self.asked if self.lower_is_better else value >= self.asked


@dataclass(frozen=True)
class Set:
    """A set of data: how its files are made and what `elman train` is told, how long it may take, and what to compare with.

    prepare      prepare(data, folder, seed) makes files in `folder`, and gives arguments of `elman train`
    plain        what a plain PyTorch script of the same kind reaches in about the same time; published: by others
    """

    prepare: Callable[[Path, Path, int], list[str]]
    minutes: float
    seeds: int
    scores: tuple[Score, ...]
    plain: str = ""
    published: str = ""


SETS = {
    "etth1_96": Set(
        electricity_96, 5, 3, (Score("test_mse", 0.360, True), Score("test_mae", 0.385, True)),
        "0.360 and 0.387 in 4 min", "SegRNN 0.368, DLinear 0.386",
    ),
    "etth1_720": Set(electricity_720, 5, 1, (Score("test_mse", 0.446, True),), "", "SegRNN 0.446, DLinear 0.519"),
    "fsdd": Set(digits, 3, 3, (Score("test_accuracy", 0.993, percent=True),), "99.3 in 3 min"),
    "fsdd_joined": Set(joined_digits, 15, 1, (Score("test_cer", 0.04, True, percent=True),)),
    "fsdd_noisy": Set(noisy_digits, 5, 3, (Score("test_accuracy", 0.95, percent=True),)),
    "mnist_rows": Set(rows_of_digits, 5, 1, (Score("test_accuracy", 0.992, percent=True),), "99.1 in 5 min"),
    "actions_video": Set(actions, 15, 1, (Score("test_accuracy", 0.75, percent=True),), "64.2 in 10 min"),
    "jsb_chorales": Set(
        chorales, 10, 3, (Score("test_nll", 8.45, True, 2),), "", "GRU 8.43, LSTM 8.45, Elman 8.91",
    ),
}  # fmt: skip


def run(name: str, minutes: float, seed: int, data: Path) -> dict[str, float]:
    """Train once; gives what `--json` prints."""
    with tempfile.TemporaryDirectory() as folder:
        given = SETS[name].prepare(data, Path(folder), seed)
        command = [sys.executable, "-m", "elman", "train", *given, "--minutes", str(minutes), "--seed", str(seed)]
        command += ["--json", "--out", str(Path(folder) / "run")]
        environment = os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment, check=False)
        if done.returncode:
            sys.exit(f"{' '.join(command)} failed: its message stands above.")
        scores: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        return {key: value for key, value in scores.items() if key not in {"run", "task"}}


def report(results: dict) -> str:
    """The table of docs/results.md."""
    rows = []
    for name, part in SETS.items():
        if name not in results:
            continue
        runs = results[name]["runs"]
        for score in part.scores:
            baseline = score.name.replace("test_", "test_baseline_")
            rows.append(
                [
                    name,
                    f"{part.minutes:g}",
                    f"{score.name.removeprefix('test_')} {spread([one[score.name] for one in runs], score)}",
                    score.shown(score.asked),
                    part.plain,
                    part.published,
                    score.shown(runs[0][baseline]) if baseline in runs[0] else "",
                    f"{runs[0]['parameters'] / 1e6:.2f} M",
                    f"{statistics.mean(one['seconds'] for one in runs):.0f}",
                ]
            )
    heads = ["data", "minutes", "test", "asked", "plain PyTorch", "published", "baseline", "parameters", "seconds"]
    where = ", ".join(f"{key} {value}" for key, value in results["machine"].items())
    return f"Measured on: {where}. Mean over seeds, and the lowest and highest.\n\n{table(heads, rows)}"


def spread(values: list[float], score: Score) -> str:
    """The mean, and between which values it lies; bold if it reaches what is asked."""
    mean = statistics.mean(values)
    text = f"**{score.shown(mean)}**" if score.reached(mean) else score.shown(mean)
    return text if len(values) == 1 else f"{text} ({score.shown(min(values))} to {score.shown(max(values))})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, metavar="FOLDER")
    parser.add_argument("--only", default=",".join(SETS), metavar="NAMES", help=f"some of {', '.join(SETS)}")
    parser.add_argument("--minutes", type=float, help="another budget: nothing is written")
    parser.add_argument("--seeds", type=int, help="so many seeds of each")
    arguments = parser.parse_args()
    names = arguments.only.split(",")
    if unknown := set(names) - set(SETS):
        sys.exit(f"{', '.join(unknown)} not known: choose from {', '.join(SETS)}.")
    results = read_results(NAME) if (RESULTS / f"{NAME}.json").exists() else {}
    for name in names:
        part = SETS[name]
        if not arguments.data.is_dir():
            sys.exit(f"{arguments.data} is not there: give the folder of the data with --data.")
        seeds = range(arguments.seeds or part.seeds)
        runs = [run(name, arguments.minutes or part.minutes, seed, arguments.data) for seed in seeds]
        results |= {"machine": machine(), name: {"runs": runs}}
        print(
            name, *(f"{one.name} {spread([each[one.name] for each in runs], one)}" for one in part.scores), flush=True
        )
        if arguments.minutes is None:
            write_results(NAME, results)
            write_page("results", NAME, report(results))


if __name__ == "__main__":
    main()
