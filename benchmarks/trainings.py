"""What the benchmarks of tasks share: sets of data, each learnt by the command that a user types, and a table of scores."""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from timing import RESULTS, machine, read_results, table, write_page, write_results

DATA = Path(__file__).parents[2] / "shared" / "data"


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

    def spread(self, values: list[float]) -> str:
        """The mean, and between which values it lies; bold if it reaches what is asked."""
        mean = statistics.mean(values)
        text = f"**{self.shown(mean)}**" if self.reached(mean) else self.shown(mean)
        return text if len(values) == 1 else f"{text} ({self.shown(min(values))} to {self.shown(max(values))})"


@dataclass(frozen=True)
class Set:
    """A set of data: how its files are made and what `elman train` is told, how long it may take, and what to compare with.

    prepare      prepare(data, folder, seed) makes files in `folder`, where that is needed, and gives arguments of `elman train`
    plain        what a plain PyTorch script of the same kind reaches in about the same time; published: by others
    """

    prepare: Callable[[Path, Path, int], list[str]]
    minutes: float
    seeds: int
    scores: tuple[Score, ...]
    plain: str = ""
    published: str = ""


def train_once(part: Set, minutes: float, seed: int, data: Path) -> dict[str, float]:
    """Train in a process of its own; gives what `--json` prints."""
    with tempfile.TemporaryDirectory() as folder:
        given = part.prepare(data, Path(folder), seed)
        command = [sys.executable, "-m", "elman", "train", *given, "--minutes", str(minutes), "--seed", str(seed)]
        command += ["--json", "--out", str(Path(folder) / "run")]
        environment = os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment, check=False)
        if done.returncode:
            sys.exit(f"{' '.join(command)} failed: its message stands above.")
        scores: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        return {key: value for key, value in scores.items() if key not in {"run", "task"}}


def report(sets: Mapping[str, Set], results: dict) -> str:
    """The table of docs/results.md: a row for each score of each set that has been run."""
    rows = []
    for name, part in sets.items():
        runs = results.get(name, {}).get("runs", [])
        for score in part.scores if runs else ():
            baseline = score.name.replace("test_", "test_baseline_")
            rows.append(
                [
                    name,
                    f"{part.minutes:g}",
                    f"{score.name.removeprefix('test_')} {score.spread([one[score.name] for one in runs])}",
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


def measured(name: str) -> dict:
    """The figures that there are."""
    return read_results(name) if (RESULTS / f"{name}.json").exists() else {}


def main(name: str, sets: Mapping[str, Set], about: str | None) -> None:
    """The command of a benchmark: run the sets, write `results/NAME.json` and the part NAME of docs/results.md."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, metavar="FOLDER")
    parser.add_argument("--only", default=",".join(sets), metavar="NAMES", help=f"some of {', '.join(sets)}")
    parser.add_argument("--minutes", type=float, help="another budget: nothing is written")
    parser.add_argument("--seeds", type=int, help="so many seeds of each")
    parser.add_argument("--table", action="store_true", help="write the table anew, from what was measured before")
    arguments = parser.parse_args()
    if arguments.table:
        write_page("results", name, report(sets, measured(name)))
        return
    names = arguments.only.split(",")
    if unknown := set(names) - set(sets):
        sys.exit(f"{', '.join(unknown)} not known: choose from {', '.join(sets)}.")
    if not arguments.data.is_dir():
        sys.exit(f"{arguments.data} is not there: give the folder of the data with --data.")
    for one in names:
        part = sets[one]
        seeds = range(arguments.seeds or part.seeds)
        runs = [train_once(part, arguments.minutes or part.minutes, seed, arguments.data) for seed in seeds]
        # Another run may have written its figures meanwhile.
        results = measured(name) | {"machine": machine(), one: {"runs": runs}}
        shown = [f"{score.name} {score.spread([run[score.name] for run in runs])}" for score in part.scores]
        print(one, *shown, flush=True)
        if arguments.minutes is None:
            write_results(name, results)
            write_page("results", name, report(sets, results))
