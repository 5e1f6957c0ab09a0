"""What the language tasks reach on real data, by the command that a user types: figures for docs/results.md.

    python benchmarks/language.py                       # all sets, three seeds of the small ones: two hours
    python benchmarks/language.py --only trec,names     # some of them; the others' figures are kept
    python benchmarks/language.py --only sst2 --minutes 0.1 --seeds 1      # to see that it works; nothing is written

The data is read from shared/data beside the repository (--data). Each run is `elman train` with nothing but the task, the
budget and the files; scores are those on the test part. `names` comes without parts: a tenth is
held out, drawn by the seed.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from timing import RESULTS, machine, read_results, table, write_page, write_results

DATA = Path(__file__).parents[2] / "shared" / "data"
NAME = "language"


@dataclass(frozen=True)
class Set:
    """A set of data: what `elman train` is told, how long it may take, and what to compare its score with.

    score     the score that counts, on the test part          asked     what it should reach
    plain     what a plain PyTorch script of the same kind reaches in about the same time; published: by others
    """

    arguments: str
    minutes: float
    seeds: int
    score: str
    asked: float
    plain: str
    published: str
    lower_is_better: bool = False


SETS = {
    "ud_english_ewt": Set(
        "{0}/en_ewt-ud-train.conllu --valid {0}/en_ewt-ud-dev.conllu --test {0}/en_ewt-ud-test.conllu --task tag",
        10, 1, "test_accuracy", 0.956, "95.3", "about 95.4 with pretrained vectors (Stanza)",
    ),
    "sst2": Set(
        "{0}/train.tsv --valid {0}/dev.tsv --test {0}/test.tsv --task classify",
        5, 3, "test_accuracy", 0.81, "79.0", "82.7 (CNN-rand)",
    ),
    "trec": Set("{0}/train.csv --test {0}/test.csv --task classify", 3, 3, "test_accuracy", 0.91, "90.4", "91.2 (CNN-rand)"),
    "names": Set("{0} --task classify --test-fraction 0.1", 2, 3, "test_accuracy", 0.86, "85.0", ""),
    "multi30k_en_de": Set(
        "{0}/train.en {0}/train.de --valid {0}/val.en --valid {0}/val.de "
        "--test {0}/test_2016_flickr.en --test {0}/test_2016_flickr.de --task translate",
        25, 1, "test_bleu", 32, "29.0, greedy", "",
    ),
    "ptb": Set(
        "{0}/ptb.train.txt --valid {0}/ptb.valid.txt --test {0}/ptb.test.txt --task lm --tokenizer word --tie",
        30, 1, "test_perplexity", 105, "", "110.4 after 6 epochs", lower_is_better=True,
    ),
}  # fmt: skip


def run(name: str, minutes: float, seed: int, data: Path) -> dict[str, float]:
    """Train once; gives what `--json` prints."""
    with tempfile.TemporaryDirectory() as folder:
        given = SETS[name].arguments.format(data / name).split()
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
        baseline = part.score.replace("test_", "test_baseline_")
        rows.append(
            [
                name,
                f"{part.minutes:g}",
                spread([one[part.score] for one in runs], part),
                shown(part.asked, part),
                part.plain,
                part.published,
                shown(runs[0][baseline], part) if baseline in runs[0] else "",
                f"{runs[0]['parameters'] / 1e6:.2f} M",
                f"{statistics.mean(one['seconds'] for one in runs):.0f}",
            ]
        )
    heads = ["data", "minutes", "test", "asked", "plain PyTorch", "published", "baseline", "parameters", "seconds"]
    told = results["machine"]
    where = ", ".join(f"{key} {value}" for key, value in told.items())
    return f"Measured on: {where}. Mean over seeds, and the lowest and highest.\n\n{table(heads, rows)}"


def spread(values: list[float], part: Set) -> str:
    """The mean, and between which values it lies; bold if it reaches what is asked."""
    mean = statistics.mean(values)
    text = shown(mean, part)
    reached = mean <= part.asked if part.lower_is_better else mean >= part.asked
    text = f"**{text}**" if reached else text
    return text if len(values) == 1 else f"{text} ({shown(min(values), part)} to {shown(max(values), part)})"


def shown(value: float, part: Set) -> str:
    """Accuracies in per cent, other scores as they are."""
    return f"{100 * value:.1f}" if part.score.endswith("accuracy") else f"{value:.1f}"


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
        if not (arguments.data / name).is_dir():
            sys.exit(f"{arguments.data / name} is not there: give the folder of the data with --data.")
        seeds = range(arguments.seeds or part.seeds)
        runs = [run(name, arguments.minutes or part.minutes, seed, arguments.data) for seed in seeds]
        results |= {"machine": machine(), name: {"runs": runs}}
        print(name, spread([one[part.score] for one in runs], part), flush=True)
        if arguments.minutes is None:
            write_results(NAME, results)
            write_page("results", NAME, report(results))


if __name__ == "__main__":
    main()
