"""What layer norm and zoneout are worth on a small text: three LSTMs, one after the other, the same seed and the same minutes.

    python benchmarks/regularised.py [TEXT] [--minutes 5] [--zoneout 0.05,0.05]

TEXT is tinyshakespeare beside the repository unless it is given. Writes benchmarks/results/regularised.json and the table in
docs/results.md, unless `--minutes` is below 1: that is to see that it runs.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from timing import machine, measured_on, table, write_page, write_results
from train_lm import TINYSHAKESPEARE

import elman


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", nargs="?", default=str(TINYSHAKESPEARE))
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--zoneout", default="0.05,0.05", help="probability for h and for c")
    arguments = parser.parse_args()
    if not Path(arguments.text).is_file():
        sys.exit(f"{arguments.text} is not there: give a text.")
    options = {"plain": [], "layer norm": ["layer_norm=true"], "zoneout": [f"zoneout={arguments.zoneout}"]}
    found = {name: train(arguments.text, arguments.minutes, given) for name, given in options.items()}
    plain = found["plain"]["loss_nats"]
    heads = ["LSTM of 448", "`--cell-option`", "validation, nats", "against the plain one", "updates", "tokens/s"]
    rows = [
        [
            name,
            ", ".join(f"`{option}`" for option in options[name]),
            f"{f['loss_nats']:.4f}",
            f"{f['loss_nats'] - plain:+.4f}",
            f"{f['steps']:,}",
            f"{f['tokens_per_second']:,.0f}",
        ]
        for name, f in found.items()
    ]
    text = f"{measured_on()} {arguments.minutes:g} minutes each, defaults otherwise.\n\n{table(heads, rows)}"
    print(text)
    if arguments.minutes >= 1:
        write_results("regularised", {"machine": machine(), "minutes": arguments.minutes, "runs": found})
        write_page("results", "regularised", text)


def train(text: str, minutes: float, cell_options: list[str]) -> dict[str, float]:
    """Scores and speed of one run."""
    with tempfile.TemporaryDirectory() as folder:
        result = elman.train(
            text, cell="lstm", minutes=minutes, cell_options=cell_options, out=Path(folder) / "run", quiet=True
        )
    return {
        "loss_nats": result.scores["loss_nats"],
        "steps": result.steps,
        "tokens_per_second": result.tokens_per_second,
    }


if __name__ == "__main__":
    main()
