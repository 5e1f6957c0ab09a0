"""Writes docs/vanishing-gradients.md and its Chinese twin: the templates in docs/templates, with every number put in.

    python docs/vanishing_gradients.py --run       the demonstration anew, two to three minutes on two cores, then the pages
    python docs/vanishing_gradients.py [--check]   the pages alone, from docs/vanishing-gradients.json

The JSON and the figure beside it are what `elman demo vanishing --out docs/vanishing-gradients.svg` writes. What is computed
here besides is short, and drawn from a seed.
"""

import argparse
import contextlib
import io
import json
import math
import re
import sys
from pathlib import Path
from string import Template
from typing import Any

import torch

from elman.cli.main import main as command
from elman.probe.demo import BATCH, PARAMETERS, RATE, SYMBOLS, UPDATES, width_of

HERE = Path(__file__).parent
RESULTS = HERE / "vanishing-gradients.json"
PAGES = ("vanishing-gradients.md", "vanishing-gradients.zh.md")
_SOLVED = 0.9


def values(found: dict[str, Any], text: str) -> dict[str, str]:
    """Every number of a page, by its name in the template."""
    told = {
        "seed": str(found["seed"]),
        "probed": str(found["probed"]),
        "furthest": str(max(found["lags"])),
        "lags": ", ".join(map(str, found["lags"])),
        "updates": f"{UPDATES:,}",
        "batch": str(BATCH),
        "rate": f"{RATE:g}",
        "symbols": str(SYMBOLS),
        "guess": f"{1 / SYMBOLS:.1%}",
        "about": f"{PARAMETERS:,}",
        "shrinking": power(0.9**100),
        "growing": power(1.1**100),
        "half": power(0.5**100),
        "success": table(found),
        "output": output(text),
        **initial(),
        **gates(found["probed"]),
    }
    for network in found["networks"]:
        name = re.sub(r"\W+", "_", network["name"]).lower()
        told[f"{name}_parameters"] = f"{network['parameters']:,}"
        solved = [lag for lag, share in zip(found["lags"], network["success"], strict=True) if share >= _SOLVED]
        told[f"{name}_longest"] = str(max(solved, default=0))
        for when in ("before", "after"):
            median = network[when]["median"]
            told[f"{name}_{when}"] = power(median[-1])
            told[f"{name}_{when}_50"] = power(median[50])
    return told


def power(value: float) -> str:
    """A number as text: 0.34, 2.7·10⁻⁵."""
    if 0.01 <= abs(value) < 1000:
        return f"{value:.2g}" if abs(value) < 100 else f"{value:.0f}"
    if not value:
        return "0"
    exponent = math.floor(math.log10(abs(value)))
    digits = str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{value / 10**exponent:.1f}·10{digits}"


def initial() -> dict[str, str]:
    """The recurrent matrix that the demonstration's Elman network starts with: its spectral radius."""
    width = width_of("elman")
    torch.manual_seed(0)
    bound = 1 / math.sqrt(width)
    radii = [
        torch.linalg.eigvals(torch.empty(width, width).uniform_(-bound, bound)).abs().max().item() for _ in range(50)
    ]
    mean = sum(radii) / len(radii)
    return {"width": str(width), "radius": f"{mean:.2f}", "radius_50": power(mean**50)}


def gates(longest: int) -> dict[str, str]:
    """What is left of a state after `longest` steps of a gate with chrono's biases, and with none."""
    open_u = torch.linspace(1, longest - 1, 10_001, dtype=torch.float64)
    kept = (open_u / (1 + open_u)) ** longest
    return {"closed_left": power(0.5**longest), "open_left": f"{kept.mean():.0%}"}


def table(found: dict[str, Any]) -> str:
    """Success by lag, in Markdown."""
    head = "| | " + " | ".join(map(str, found["lags"])) + " |\n|---|" + "--:|" * len(found["lags"]) + "\n"
    rows = [
        f"| {network['name']} | " + " | ".join(f"{share:.0%}" for share in network["success"]) + " |"
        for network in found["networks"]
    ]
    return head + "\n".join(rows)


def output(text: str) -> str:
    """What the page's first block of Python prints."""
    code = text.split("```python\n")[1].split("```", maxsplit=1)[0]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "the page", "exec"), {})
    return printed.getvalue().rstrip()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", action="store_true", help="run the demonstration anew")
    parser.add_argument("--check", action="store_true", help="say whether the pages are fresh, and write nothing")
    arguments = parser.parse_args()
    if arguments.run:
        with contextlib.suppress(SystemExit):
            command(["demo", "vanishing", "--out", str(RESULTS.with_suffix(".svg"))])
    found = json.loads(RESULTS.read_text(encoding="utf-8"))
    stale = []
    for name in PAGES:
        text = (HERE / "templates" / name).read_text(encoding="utf-8")
        page = Template(text).substitute(values(found, text))
        path = HERE / name
        if arguments.check:
            stale += [] if path.exists() and path.read_text(encoding="utf-8") == page else [name]
        else:
            path.write_text(page, encoding="utf-8")
    if stale:
        sys.stderr.write(
            f"docs/{', docs/'.join(stale)} not what docs/vanishing_gradients.py gives: run it and commit.\n"
        )
    return bool(stale)


if __name__ == "__main__":
    sys.exit(main())
