"""Logs of a run: `metrics.jsonl` (one JSON object a line) and TensorBoard's event files.

A line of `metrics.jsonl` holds `kind` ("train", "valid" or "probe"), `step`, `seconds`, and what was measured. A resumed run
first drops the lines after its checkpoint, since it is about to take those steps again.
"""

import json
from pathlib import Path
from typing import Any

from elman.errors import RunError
from elman.files import write_atomically
from elman.training.checkpoint import Progress

METRICS = "metrics.jsonl"


class MetricsLog:
    """Appends to `metrics.jsonl`, a whole line at a time."""

    def __init__(self, folder: Path, step: int) -> None:
        self._path = folder / METRICS
        kept = [line for line in read_metrics(folder) if line["step"] <= step]
        write_atomically(self._path, "".join(json.dumps(line) + "\n" for line in kept))

    def trained(self, progress: Progress, fraction: float, report: dict[str, float]) -> None:  # noqa: ARG002
        self._append("train", progress, report)

    def validated(self, progress: Progress, fraction: float, scores: dict[str, float]) -> None:  # noqa: ARG002
        self._append("valid", progress, scores)

    def probed(self, progress: Progress, fraction: float, values: dict[str, float]) -> None:  # noqa: ARG002
        self._append("probe", progress, values)

    def close(self) -> None:
        """Nothing to do: each line is written when it comes."""

    def _append(self, kind: str, progress: Progress, values: dict[str, float]) -> None:
        line = {"kind": kind, "step": progress.step, "seconds": round(progress.seconds, 3), **values}
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:
            raise RunError(
                f"{self._path} could not be written: {error.strerror}. The last checkpoint is whole: "
                f"free some space and go on with elman train --resume {self._path.parent}"
            ) from error


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """The lines of a run's `metrics.jsonl`; a last line that a kill cut short is left out."""
    path = folder / METRICS
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


class TensorBoardLog:
    """Scalars `train/...`, `valid/...` and `probe/...` by step."""

    def __init__(self, folder: Path, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415

        self._writer = SummaryWriter(str(folder), purge_step=step + 1 if step else None)

    def trained(self, progress: Progress, fraction: float, report: dict[str, float]) -> None:  # noqa: ARG002
        self._add("train", progress, report)

    def validated(self, progress: Progress, fraction: float, scores: dict[str, float]) -> None:  # noqa: ARG002
        self._add("valid", progress, scores)

    def probed(self, progress: Progress, fraction: float, values: dict[str, float]) -> None:  # noqa: ARG002
        self._add("probe", progress, values)

    def _add(self, kind: str, progress: Progress, values: dict[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(f"{kind}/{name}", value, progress.step)
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()
