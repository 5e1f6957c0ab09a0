"""The training loop: truncated back-propagation through time over any task, by any budget, with nothing lost.

State is carried from each window to the next and cut from the graph there. Every step is a function of what a checkpoint
holds, so a run that is stopped (or killed) and resumed repeats the steps that an undisturbed one would have taken.
"""

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from elman.errors import TrainingDivergedError, TrainingInterruptedError
from elman.models.options import TrainOptions
from elman.models.task import Task
from elman.probe.training import glance
from elman.training import checkpoint
from elman.training.average import WeightAverage
from elman.training.checkpoint import Progress
from elman.training.prefetch import Prefetch
from elman.training.schedule import Schedule

_SECONDS_BETWEEN_CHECKPOINTS = 60.0
_SECONDS_BETWEEN_REPORTS = 1.0


class Update(NamedTuple):
    """One update: the loss before it, how many units it read, its learning rate, the gradient's norm before clipping."""

    loss_nats: float
    units: int
    learning_rate: float
    gradient_norm: float


class Observer(Protocol):
    """Whoever watches a run: a log, a progress bar."""

    def trained(self, progress: Progress, fraction: float, report: dict[str, float]) -> None:
        """About once a second: means since the last report, under the names of `metrics.jsonl`."""

    def validated(self, progress: Progress, fraction: float, scores: dict[str, float]) -> None:
        """After each validation; `progress.stale` is 0 if it was the best so far."""

    def probed(self, progress: Progress, fraction: float, values: dict[str, float]) -> None:
        """After each look through time, where `probe_every` asks for them: see `elman.probe.training`."""


class Trainer:
    """Trains `task` in `folder`. `keep_best` is called when the weights are the best so far, to write them there."""

    def __init__(
        self, task: Task, options: TrainOptions, folder: Path, keep_best: Any, observers: list[Observer]
    ) -> None:
        self.task = task
        self.options = options
        self.folder = folder
        self.schedule = Schedule.of(options, task.steps_per_epoch)
        self.progress = Progress()
        self._keep_best = keep_best
        self.observers = observers
        self._carried: Any = None
        self._batch: Callable[[int], Any] = task.batch
        self._optimizer = make_optimizer(task.network, options)
        self._average = WeightAverage(task.network, options.averaging)
        self._interrupted_by: int | None = None

    def resume(self, longer: bool = False) -> bool:
        """Go on from the checkpoint in the folder, if there is one; says whether there was.

        `longer`: the budget is a new one, so patience begins anew.
        """
        there = (self.folder / checkpoint.NAME).exists()
        if there:
            self._carried, self.progress = checkpoint.load(
                self.folder, self.task.network, self._optimizer, self._average.tensors
            )
            if longer and self.progress.stale:
                self.progress.stale = 0
                self._save()
        return there

    @property
    def fraction(self) -> float:
        """How much of the budget is spent: 0 to 1."""
        return self.schedule.fraction(self.progress.step, self.progress.seconds)

    @property
    def _validations_due(self) -> int:
        """How many validations should have been done by now."""
        return int(self.fraction * self.options.validations)

    @property
    def stopped_early(self) -> bool:
        """Whether validation has not improved for as long as `patience` allows."""
        return bool(self.options.patience and self.progress.stale >= self.options.patience)

    def fit(self) -> Progress:
        """Train until the budget is spent or validation no longer improves.

        Raises `TrainingInterruptedError` on SIGINT or SIGTERM, after everything is saved, and `TrainingDivergedError` when the
        loss or the gradient is no longer finite, with the last good checkpoint left as it is.
        """
        with self._signals(), self._prefetching():
            clock = _Clock(self.progress.seconds)
            report = _Report(clock.seconds)
            saved_at = clock.seconds
            validated = self._validations_due
            while not (self.stopped_early or self.fraction >= 1):
                report.add(self.step(self.fraction))
                self.progress.seconds = clock.seconds
                due = self._validations_due > validated
                if due or clock.seconds - report.since >= _SECONDS_BETWEEN_REPORTS:
                    self._tell("trained", report.collect(clock.seconds))
                paused = clock.seconds
                if self.options.probe_every and self.progress.step % self.options.probe_every == 0:
                    self._tell("probed", glance(self.task, self.progress.step - 1))
                if due:
                    self._validate()
                    self.progress.seconds = clock.seconds
                    validated = self._validations_due
                if due or self._interrupted_by or clock.seconds - saved_at >= _SECONDS_BETWEEN_CHECKPOINTS:
                    self._save()
                    saved_at = clock.seconds
                report.since += clock.seconds - paused
                if self._interrupted_by:
                    name = signal.Signals(self._interrupted_by).name
                    raise TrainingInterruptedError(
                        f"stopped by {name} after step {self.progress.step}; everything is saved. "
                        f"Go on with: elman train --resume {self.folder}",
                        self._interrupted_by,
                    )
        return self.progress

    def step(self, fraction: float) -> "Update":
        """One update, at the learning rate of this part of the budget. Raises `TrainingDivergedError`."""
        step, network = self.progress.step, self.task.network
        network.train()
        batch = self._batch(step)
        state = self._carried if self.task.carries_state(step) else None
        rate = self.schedule.learning_rate(step, fraction)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        with torch.autocast(network_device(network).type, torch.bfloat16, enabled=self.options.precision == "bf16"):
            loss, state = self.task.loss(batch, state)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(network.parameters(), self.options.clip or math.inf)
        loss_nats, gradient_norm = float(loss.detach()), float(norm)
        if not (math.isfinite(loss_nats) and math.isfinite(gradient_norm)):
            raise TrainingDivergedError(self._divergence(step, loss_nats, gradient_norm))
        self._optimizer.step()
        self._optimizer.zero_grad()
        self._carried = _cut(state)
        self.progress.step += 1
        self._average.update(self.progress.step)
        units = self.task.size(batch)
        self.progress.units += units
        return Update(loss_nats, units, rate, gradient_norm)

    def _divergence(self, step: int, loss_nats: float, gradient_norm: float) -> str:
        kept = self.folder / checkpoint.NAME
        where = f"The last good checkpoint is {kept}" if kept.exists() else "No checkpoint had been written yet"
        return (
            f"training diverged at step {step}: loss {loss_nats}, gradient norm {gradient_norm}. {where}. "
            f"Start again with a lower --lr (now {self.options.lr:g}) or --clip (now {self.options.clip:g})."
        )

    def _validate(self) -> None:
        with self._average.in_place():
            self._judge(self.task.validate())

    def _judge(self, scores: dict[str, float]) -> None:
        """Keep the weights if they are the best so far."""
        progress = self.progress
        # What is not finite is never the best; before the first that is nothing is kept.
        value = self.task.network.selection(scores)
        if value < progress.best:
            progress.best, progress.best_step, progress.stale = value, progress.step, 0
            self._keep_best()
        else:
            progress.stale += 1
        self._tell("validated", scores)

    def _save(self) -> None:
        checkpoint.save(
            self.folder, self.task.network, self._optimizer, self._carried, self.progress, self._average.tensors
        )

    def _tell(self, what: str, values: dict[str, float]) -> None:
        for observer in self.observers:
            getattr(observer, what)(self.progress, self.fraction, values)

    @contextmanager
    def _prefetching(self) -> Iterator[None]:
        """Batches are made ahead, in a thread that ends with the run."""
        with closing(Prefetch(self.task.batch)) as ahead:
            self._batch = ahead
            try:
                yield
            finally:
                self._batch = self.task.batch

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """The first SIGINT or SIGTERM lets the step end and everything be saved; the second acts as ever."""

        def note(number: int, _: FrameType | None) -> None:
            if self._interrupted_by is not None:
                signal.signal(number, former[number])
                signal.raise_signal(number)
            self._interrupted_by = number

        former: dict[int, Any] = {}
        # Python hears signals in the main thread only; a run in another thread is its owner's to stop.
        if threading.current_thread() is threading.main_thread():
            former = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)


def make_optimizer(network: torch.nn.Module, options: TrainOptions) -> torch.optim.Optimizer:
    """AdamW (Loshchilov and Hutter, arXiv 1711.05101); vectors (biases) don't decay."""
    matrices = [p for p in network.parameters() if p.dim() > 1]
    vectors = [p for p in network.parameters() if p.dim() <= 1]
    groups = [{"params": matrices, "weight_decay": options.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    fused = network_device(network).type in ("cpu", "cuda")
    return torch.optim.AdamW(groups, lr=options.lr, betas=(0.9, 0.99), fused=fused)


def network_device(network: torch.nn.Module) -> torch.device:
    return next(network.parameters()).device


def _cut(state: Any) -> Any:
    """The same state, cut from the graph: gradients go back one window, the state goes on."""
    if state is None:
        return None
    return state.detach() if isinstance(state, Tensor) else tuple(s.detach() for s in state)


class _Clock:
    """Seconds of training, going on from an earlier start."""

    def __init__(self, before: float) -> None:
        self._zero = time.monotonic() - before

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._zero


class _Report:
    """Means over the updates since the last report; `since` is moved on past time that was not spent on updates."""

    def __init__(self, now: float) -> None:
        self.since = now
        self._updates: list[Update] = []

    def add(self, update: Update) -> None:
        self._updates.append(update)

    def collect(self, now: float) -> dict[str, float]:
        units = sum(update.units for update in self._updates)
        report = {
            "loss_nats": sum(update.loss_nats * update.units for update in self._updates) / units,
            "learning_rate": self._updates[-1].learning_rate,
            "gradient_norm": sum(update.gradient_norm for update in self._updates) / len(self._updates),
            "tokens_per_second": units / max(now - self.since, 1e-9),
        }
        self.since, self._updates = now, []
        return report
