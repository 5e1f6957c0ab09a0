"""A glance through time while a network trains: cheap, and without a trace in what is learnt.

A few rows of the batch that was just learnt from are read in evaluation mode from a fresh state. Nothing is drawn from a random
generator that training uses.
"""

from typing import Any

import torch

from elman.models.task import Task
from elman.probe.adapters import adapter_of
from elman.probe.measure import curves_of, lag_norms, streams
from elman.probe.subject import Sizes
from elman.probe.tap import undisturbed
from elman.probe.task_subject import TaskSubject

_ROWS = 8
# Where a task doesn't tell how long its sequences are.
_LAGS = 100


class _Glance(TaskSubject):
    """A few rows of one batch of a task."""

    def __init__(self, task: Task, batch: Any, lags: int, seed: int) -> None:
        self._batch = batch
        super().__init__(task, lags, Sizes(rows=_ROWS), torch.Generator().manual_seed(seed))

    def _chosen(self, generator: torch.Generator) -> list[Any]:  # noqa: ARG002
        self._state = None
        return [self._batch]

    def stream(self) -> None:
        self._adapter.run(self._task, self._batch, None)


def glance(task: Task, step: int) -> dict[str, float]:
    """What a look at the batch of a step gives, by name, for logs:

    lags                                   how far back was looked
    layer_1_h_lag_1_e, _lag_1_percent      where the median gradient of a state has fallen so far; `lags` if it hasn't
    layer_1_forget_at_0, _at_1             the share of a gate at 0, or 1; of a tanh at ±1
    layer_1_dead                           the share of dead units
    """
    adapter = adapter_of(task.network, task.batch(step))
    batch = adapter.first_rows(task.batch(step), _ROWS)
    steps_B = adapter.steps(batch)
    subject = _Glance(task, batch, _LAGS if steps_B is None else max(1, int(steps_B.max()) - 1), step)
    with undisturbed(task.network):
        _, horizons = curves_of(lag_norms(subject))
        saturations = [stream.saturation() for stream in streams(subject)]
    values: dict[str, float] = {"lags": float(subject.lags)}
    for horizon in horizons:
        for name in ("lag_1_e", "lag_1_percent"):
            lag = horizon[name]
            values[_name(horizon, horizon["state"], name)] = float(subject.lags) if lag is None else lag
    for layer in saturations:
        for part in (*layer["gates"], *layer["tanh"]):
            values |= {_name(layer, part["name"], at): part[at] for at in ("at_0", "at_1") if at in part}
        values[_name(layer, "dead")] = layer["dead"]
    return values


def _name(where: dict[str, Any], *parts: str) -> str:
    """A name for logs: words joined by underscores."""
    words = [f"layer {where['layer']}", *([where["direction"]] if "direction" in where else []), *parts]
    return " ".join(words).replace(",", "").replace(" ", "_")
