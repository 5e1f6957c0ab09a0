"""What a look at the gradient by lag costs, beside an update of training: time and memory.

    python benchmarks/probe.py

An update reads B rows of T tokens, forwards and backwards through every weight, with a loss at each token. The probe, as it is
by default, looks back twice as far on fewer rows: once forwards without a gradient for the state to begin with, then by the
reference engine, and backwards through the states alone from a loss a row. It must take at most three times an update, and
twice its memory, which is by how much a process of its own grows. Results go to `results/probe.json`.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from timing import RESULTS, in_turns, machine

from elman.data.text import Document
from elman.models.language_data import Texts
from elman.models.language_task import LanguageKind, LanguageTask
from elman.models.options import TrainOptions
from elman.probe.measure import lag_norms
from elman.probe.subject import ROWS, Sizes
from elman.probe.tap import undisturbed
from elman.probe.task_subject import TaskSubject

CELLS = ("lstm", "elman", "gru")
HIDDEN = (64, 448)
BATCH, STEPS = 32, 64
MOST_TIME, MOST_MEMORY = 3.0, 2.0


def make_task(cell: str, hidden: int) -> LanguageTask:
    """A language model of characters, as `elman train` makes it, on random text."""
    options = TrainOptions(task="lm", cell=cell, hidden=hidden, batch=BATCH, bptt=STEPS, device="cpu")
    texts = some_text()
    return LanguageTask(texts, LanguageKind().fit(texts, options), options)


def some_text() -> Texts:
    letters = np.random.default_rng(0).integers(97, 123, 40 * BATCH * STEPS)
    document = Document("letters", bytes(letters.tolist()).decode())
    return Texts([document], [Document("few", document.text[:999])], None)


def actions(task: LanguageTask) -> dict[str, Any]:
    """An update, and a look."""
    network = task.network.train()
    optimizer = torch.optim.AdamW(network.parameters(), fused=True)

    def update() -> None:
        loss, _ = task.loss(task.batch(1), None)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    far = LanguageTask(some_text(), network, task.options.changed(bptt=2 * STEPS + 1, batch=ROWS))

    def look() -> None:
        with undisturbed(network):
            lag_norms(TaskSubject(far, 2 * STEPS, Sizes(positions=8), torch.Generator().manual_seed(0)))

    return {"update": update, "look": look}


def memory(cell: str, hidden: int, action: str) -> float:
    """Bytes by which a process grows when it does this for the first time."""
    command = [sys.executable, __file__, cell, str(hidden), action]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.splitlines()[-1])


def grown(cell: str, hidden: int, action: str) -> int:
    """In this process: the peak while it acts, less what was there before, in bytes. A tiny twin goes first: libraries load."""
    for warm in actions(make_task(cell, 8)).values():
        warm()
    act = actions(make_task(cell, hidden))[action]
    # The kernel forgets the peak so far.
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = _status("VmRSS")
    act()
    return _status("VmHWM") - before


def _status(name: str) -> int:
    """A line of the kernel's account of this process, in bytes."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def _write(rows: list[dict[str, Any]]) -> None:
    result = {
        "machine": machine(),
        "batch": BATCH,
        "steps": STEPS,
        "rows": ROWS,
        "lags": 2 * STEPS,
        "most": [MOST_TIME, MOST_MEMORY],
        "costs": rows,
    }
    (RESULTS / "probe.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    torch.set_num_threads(1)
    rows = []
    print(
        f"{'cell':<8} {'hidden':>6} {'update ms':>10} {'look ms':>9} {'ratio':>6} {'update MB':>10} {'look MB':>8} {'ratio':>6}"
    )
    for cell in CELLS:
        for hidden in HIDDEN:
            seconds = in_turns(actions(make_task(cell, hidden)), rounds=3)
            bytes_each = {name: memory(cell, hidden, name) for name in ("update", "look")}
            row = {"cell": cell, "hidden": hidden, "seconds": seconds, "bytes": bytes_each}
            row["time_ratio"] = seconds["look"] / seconds["update"]
            row["memory_ratio"] = bytes_each["look"] / max(bytes_each["update"], 1)
            rows.append(row)
            _write(rows)
            print(
                f"{cell:<8} {hidden:>6} {1e3 * seconds['update']:>10.1f} {1e3 * seconds['look']:>9.1f} "
                f"{row['time_ratio']:>6.2f} {bytes_each['update'] / 1e6:>10.1f} {bytes_each['look'] / 1e6:>8.1f} "
                f"{row['memory_ratio']:>6.2f}"
            )


if __name__ == "__main__":
    if len(sys.argv) == 4:
        torch.set_num_threads(1)
        print(grown(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
    else:
        main()
