"""Sets of series to forecast, for `benchmarks/signals.py`.

Each function `prepare(data, work, seed)` makes files in `work`, where that is needed, and gives the arguments of `elman train`.
"""

import csv
import itertools
from pathlib import Path


def electricity(data: Path, work: Path, horizon: int) -> list[str]:
    """ETTh1's first 14,400 hours: 12, 4 and 4 months of 30 days, one after the other."""
    path = work / "etth1.csv"
    with (data / "etth1" / "ETTh1.csv").open(encoding="utf-8") as file:
        path.write_text("".join(itertools.islice(file, 14_401)), encoding="utf-8")
    parts = ["--valid-fraction", "0.2", "--test-fraction", "0.2"]
    return [str(path), "--task", "forecast", *parts, "--look-back", "96", "--horizon", str(horizon)]


def electricity_96(data: Path, work: Path, seed: int) -> list[str]:  # noqa: ARG001
    """Four days of seven series from the four days before them."""
    return electricity(data, work, 96)


def electricity_720(data: Path, work: Path, seed: int) -> list[str]:  # noqa: ARG001
    """Thirty days of them."""
    return electricity(data, work, 720)


def chorales(data: Path, work: Path, seed: int) -> list[str]:  # noqa: ARG001
    """The next frame of a piano roll: a row a frame, a column a key of the piano, and which piece it is."""
    from scipy.io import loadmat  # type: ignore[import-untyped]  # noqa: PLC0415

    pieces = loadmat(data / "jsb_chorales" / "JSB_Chorales.mat")
    for part in ("train", "valid", "test"):
        with (work / f"{part}.csv").open("w", newline="", encoding="utf-8") as file:
            lines = csv.writer(file)
            rolls = pieces[f"{part}data"][0]
            lines.writerow(["piece", "frame", *(f"key{key}" for key in range(1, rolls[0].shape[1] + 1))])
            for number, roll in enumerate(rolls, 1):
                lines.writerows([f"{part}{number}", frame, *row] for frame, row in enumerate(roll.astype(int), 1))
    files = [str(work / "train.csv"), "--valid", str(work / "valid.csv"), "--test", str(work / "test.csv")]
    what = "--task forecast --id piece --time frame --loss bernoulli --joint --look-back 0 --horizon 1"
    # The published networks' 300,000 parameters.
    return [*files, *what.split(), "--hidden", "200", "--embedding", "200"]
