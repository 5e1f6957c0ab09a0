"""Which cell remembers what: parity, counting, adding, copying and recall, every cell with the same settings.

    python benchmarks/memory_tasks.py                                  # every cell, three seeds, two processes
    python benchmarks/memory_tasks.py --cells lstm gru --seeds 1       # these alone; nothing is written
    python benchmarks/memory_tasks.py --again lru --tasks parity       # these anew, into the results of the last run
    python benchmarks/memory_tasks.py --report                         # the page alone, from the results of the last run

Writes benchmarks/results/memory_tasks.json and docs/memory.md. Each run has a budget in seconds of the processor, so the whole
takes no longer than what is printed first. `--quick` takes a fiftieth of each budget and writes nothing: to see that it runs.
"""

import argparse
import math
import multiprocessing
import sys
import time
from typing import Any

import torch
from memory_learner import Run, learn
from memory_problems import PROBLEMS
from memory_report import LEFT_OUT, headline, page
from timing import DOCS, machine, read_results, write_results

from elman.cells import CELLS, cell_kind

QUICK = 0.02


def run_all(runs: list[Run], processes: int) -> list[dict[str, Any]]:
    """The records of all runs, each in one of so many processes with a thread each; a line for each as it ends."""
    began = time.perf_counter()
    records = []
    # A fork would take over the threads of this process half-way.
    with multiprocessing.get_context("spawn").Pool(processes, torch.set_num_threads, (1,)) as pool:
        for record in pool.imap_unordered(learn, runs):
            records.append(record)
            spent = time.perf_counter() - began
            left = spent / len(records) * (len(runs) - len(records))
            print(
                f"{len(records)}/{len(runs)} {record['task']:8} {record['cell']} seed {record['seed']}: {headline(record)}, "
                f"{record['updates']} updates, {record['seconds']:.1f} s; about {left / 60:.1f} min left",
                file=sys.stderr,
                flush=True,
            )
    return records


def chosen_cells(wanted: list[str]) -> list[str]:
    """The cells for these names; by default all but those that have no place here."""
    for name in wanted:
        cell_kind(name)
    return wanted or [name for name in CELLS if name not in LEFT_OUT]


def key(record: dict[str, Any]) -> tuple[int, int, int]:
    """Records are kept in the order of the registry."""
    return list(PROBLEMS).index(record["task"]), list(CELLS).index(record["cell"]), record["seed"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", nargs="+", metavar="NAME", default=[], help="cells (default: all)")
    parser.add_argument("--again", nargs="+", metavar="NAME", default=[], help="cells to run anew; the others are kept")
    parser.add_argument("--tasks", nargs="+", choices=list(PROBLEMS), default=list(PROBLEMS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--write", action="store_true", help="write the results of --cells, --tasks or --seeds too")
    parser.add_argument("--report", action="store_true", help="only write the page")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    if not arguments.report:
        cells = chosen_cells(arguments.again or arguments.cells)
        share = QUICK if arguments.quick else 1.0
        runs = [
            Run(task, cell, seed, share)
            for cell in cells
            for task in arguments.tasks
            for seed in range(arguments.seeds)
        ]
        seconds = sum(PROBLEMS[run.task].seconds * share for run in runs) / arguments.processes
        print(f"{len(runs)} runs of {len(cells)} cells, at most {math.ceil(seconds / 60)} min", file=sys.stderr)
        began = time.perf_counter()
        records = run_all(runs, arguments.processes)
        spent = time.perf_counter() - began
        print(
            f"{spent / 60:.1f} min, {sum(r['seconds'] for r in records) / 60:.1f} min of processor time",
            file=sys.stderr,
        )
        narrowed = arguments.cells or len(arguments.tasks) < len(PROBLEMS) or arguments.seeds != 3
        results = {"machine": machine(), "processes": arguments.processes, "seconds": spent}
        if arguments.again:
            former = read_results("memory_tasks")
            anew = {(r["task"], r["cell"], r["seed"]) for r in records}
            records += [r for r in former["runs"] if (r["task"], r["cell"], r["seed"]) not in anew]
            results["seconds"] += former["seconds"]
        results["runs"] = sorted(records, key=key)
        if arguments.quick or (narrowed and not arguments.write and not arguments.again):
            print(page(results))
            return
        write_results("memory_tasks", results)
    (DOCS / "memory.md").write_text(page(read_results("memory_tasks")), encoding="utf-8")


if __name__ == "__main__":
    main()
