"""Whether memory stays flat as a text grows: figures for docs/results.md.

    python benchmarks/streaming.py                     # 50 MB, 500 MB and 5 GB, read as characters and as words
    python benchmarks/streaming.py --sizes 0.01,0.1    # other sizes, in GB: nothing is written

Texts are made for the purpose, in a temporary folder (TMPDIR) that must hold twice the largest: lines of words drawn, from a
seed, by their rank as in Zipf's law. Each is trained on for some updates by `elman train`, in a process of its own; its peak
of memory is what the system counts as resident, the part of the token file that was looked at included.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from timing import measured_on, table, write_page, write_results

NAME = "streaming"
SIZES = (0.05, 0.5, 5.0)
STEPS = 100
_BLOCK = 200_000


def write_text(path: Path, size: int) -> None:
    """A text of `size` bytes: words by Zipf's law, ten a line."""
    drawn = np.random.default_rng(0)
    letters = np.array(list("etaoinshrdlu"))
    words = np.array(["".join(drawn.choice(letters, drawn.integers(1, 9))) for _ in range(10_000)])
    chances = 1 / np.arange(1, len(words) + 1)
    chances /= chances.sum()
    written = 0
    with path.open("w", encoding="ascii") as file:
        while written < size:
            chosen = drawn.choice(words, (_BLOCK, 10), p=chances)
            text = "\n".join(map(" ".join, chosen.tolist())) + "\n"
            written += file.write(text[: size - written])


def run(path: Path, tokenizer: str, steps: int) -> dict[str, float]:
    """Train on a text; gives seconds in all and in updates, and the peak of memory in MB."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "elman", "train", str(path), "--tokenizer", tokenizer, "--steps", str(steps)]
        command += ["--vocabulary", "5000"] if tokenizer == "word" else []
        command += ["--hidden", "64", "--embedding", "64", "--validations", "1", "--json", "--out", f"{folder}/run"]
        began = time.monotonic()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ)
        assert process.stdout is not None
        printed = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            sys.exit(f"{' '.join(command)} failed: its message stands above.")
        scores = json.loads(printed.splitlines()[-1])
        return {
            "peak_mb": peak_mb(used),
            "seconds": time.monotonic() - began,
            "training_seconds": scores["seconds"],
            "trained_tokens": scores["trained_tokens"],
        }


def peak_mb(used: resource.struct_rusage) -> float:
    """Linux counts kilobytes, macOS bytes."""
    return used.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", metavar="GB,…", help="sizes of the texts: nothing is written")
    arguments = parser.parse_args()
    sizes = SIZES if arguments.sizes is None else tuple(map(float, arguments.sizes.split(",")))
    results: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            path = Path(folder) / "text.txt"
            write_text(path, round(size * 1e9))
            for tokenizer in ("char", "word"):
                found = {"gigabytes": size, "tokenizer": tokenizer, **run(path, tokenizer, STEPS)}
                print(found, flush=True)
                results.append(found)
            path.unlink()
    rows = []
    for one in results:
        around = one["seconds"] - one["training_seconds"]
        rows.append([f"{one['gigabytes']:g} GB", one["tokenizer"], f"{one['peak_mb']:,.0f} MB", f"{around:,.0f}"])
    page = table(["text", "tokens", "peak of memory", "seconds before and after training"], rows)
    print(page)
    if arguments.sizes is None:
        write_results(NAME, {"runs": results})
        write_page("results", NAME, f"{measured_on()} {STEPS} updates each.\n\n{page}")


if __name__ == "__main__":
    main()
