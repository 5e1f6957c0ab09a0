"""What the benchmarks share: functions timed in turns, the machine they ran on, files and tables of results."""

import json
import math
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch

from elman.engines import native

RESULTS = Path(__file__).parent / "results"
DOCS = Path(__file__).parents[1] / "docs"


def in_turns(
    functions: Mapping[str, Callable[[], object]], rounds: int, least_seconds: float = 0.05
) -> dict[str, float]:
    """Median seconds of each function. One after the other, again and again: what slows the machine slows all of them."""
    repeats = {}
    for name, function in functions.items():
        function()
        start = time.perf_counter()
        function()
        repeats[name] = max(1, math.ceil(least_seconds / (time.perf_counter() - start)))
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            start = time.perf_counter()
            for _ in range(repeats[name]):
                function()
            times[name].append((time.perf_counter() - start) / repeats[name])
    return {name: statistics.median(values) for name, values in times.items()}


def geometric_mean(values: Sequence[float]) -> float:
    """The mean for ratios."""
    return math.exp(sum(map(math.log, values)) / len(values))


def product_rate(dtype: torch.dtype, size: int = 2048) -> float:
    """GFLOP/s of PyTorch's product of two square matrices."""
    a, b = (torch.randn(size, size).to(dtype) for _ in range(2))
    return 2 * size**3 / in_turns({"product": lambda: a @ b}, rounds=7)["product"] / 1e9


def machine() -> dict[str, str | int]:
    """What the figures depend on."""
    names = [line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.processor(),
        "instructions": native.instruction_set() or "none",
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def measured_on() -> str:
    """The machine as a sentence."""
    return f"Measured on: {', '.join(f'{name} {value}' for name, value in machine().items())}."


def write_results(name: str, results: dict) -> None:
    """`benchmarks/results/NAME.json`."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def read_results(name: str) -> dict:
    """What `write_results` wrote last."""
    found: dict = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return found


def write_page(page: str, part: str, text: str) -> None:
    """Put `text` between the marks `<!-- PART -->` and `<!-- end of PART -->` of `docs/PAGE.md`."""
    path = DOCS / f"{page}.md"
    begin, end = f"<!-- {part} -->", f"<!-- end of {part} -->"
    head, rest = path.read_text(encoding="utf-8").split(begin)
    path.write_text(f"{head}{begin}\n\n{text}\n\n{end}{rest.split(end)[1]}", encoding="utf-8")


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table in Markdown."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def _lines(path: str) -> list[str]:
    file = Path(path)
    return file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
