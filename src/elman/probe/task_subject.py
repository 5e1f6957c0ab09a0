"""A model of elman's with data of its task: batches as training has them, of the data to look at."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from elman.axes import Float, Tensor
from elman.layers import RecurrentLayers
from elman.models.task import Task
from elman.probe.adapter import Adapter
from elman.probe.adapters import Language, adapter_of
from elman.probe.gradients import Scored
from elman.probe.subject import Facts, Sizes, facts_of
from elman.probe.tap import find_stacks

# How many batches of sequences are looked at in search of long ones.
_LOOKED_AT = 64


class TaskSubject:
    """A task's network and its batches. `warm` batches run before the first that is scored, where state is carried.

    lags    at most so many, cut to what the batches have
    """

    def __init__(
        self, task: Task, lags: int, sizes: Sizes, generator: torch.Generator, window: int | None = None
    ) -> None:
        self.network = task.network
        self.facts: Facts = facts_of(task.network, self._stacks(), task=task.network.task, window=window)
        self.notes: list[str] = []
        self._task, self._sizes = task, sizes
        self._adapter: Adapter = adapter_of(task.network, task.batch(0))
        self.aligned, self.first_run = self._adapter.aligned, self._adapter.first_run
        self._batches = self._chosen(generator)
        longest = self._adapter.steps(self._batches[0])
        there = lags if longest is None else int(longest.max()) - 1
        self.lags = min(lags, max(there, 0))
        if self.lags < lags:
            self.notes.append(
                f"lags are cut to {self.lags}: the longest sequences have {self.lags + 1} steps, fewer than the {lags} lags "
                "asked for need."
            )
        self._at_B = self._adapter.at(self._batches[0], self.lags, generator)

    def _stacks(self) -> dict[str, RecurrentLayers]:
        found = find_stacks(self.network)
        # What reads the characters of distinct words has rows of its own.
        return {name: stack for name, stack in found.items() if name != "spelling"}

    @contextmanager
    def stacks(self) -> Iterator[Mapping[str, RecurrentLayers]]:
        yield self._stacks()

    def score(self) -> Scored:
        return self._adapter.score(self._task, self._batches[0], self._state, self._at_B)

    def see(self, steps: int) -> Float[Tensor, "N"] | None:
        if not self._adapter.truncates:
            return None
        losses, rows = [], 0
        for number, batch in enumerate(self._batches):
            at_B = (
                self._at_B if number == 0 else self._adapter.at(batch, self.lags, torch.Generator().manual_seed(number))
            )
            kept, kept_at = self._adapter.cut(batch, at_B, steps)
            losses.append(self._adapter.score(self._task, kept, None, kept_at).losses_B)
            rows += len(losses[-1])
            if rows >= self._sizes.positions:
                break
        return torch.cat(losses)[: self._sizes.positions]

    def stream(self) -> None:
        if not isinstance(self._adapter, Language):
            self._adapter.run(self._task, self._adapter.first_rows(self._batches[0], self._sizes.stream_rows), None)
            return
        state, done = None, 0
        for step in range(self._task.steps_per_epoch):
            batch = self._adapter.first_rows(self._task.batch(step), self._sizes.stream_rows)
            state = self._adapter.run(self._task, batch, state)
            done += len(batch[0])
            if done >= self._sizes.stream_steps:
                return

    def mean_loss(self) -> Tensor:
        loss, _ = self._task.loss(self._batches[0], self._state)
        return loss

    def _chosen(self, generator: torch.Generator) -> list[Any]:
        """The batches to score: of running text one that is drawn, after a state that has read what stands before it, and
        others; of sequences those of the longest.
        """
        self._state: Any = None
        count = self._task.steps_per_epoch
        if isinstance(self._adapter, Language):
            # The last window of a stream may be shorter.
            whole = max(1, count - 1)
            first = int(torch.randint(min(1, whole - 1), whole, (1,), generator=generator))
            if first:
                with torch.no_grad():
                    self._state = self._adapter.run(self._task, self._task.batch(first - 1), None)
            order = [first, *(step for step in range(whole) if step != first)]
            return [self._task.batch(step) for step in order[: 1 + self._sizes.positions // 8]]
        batches = [self._task.batch(step) for step in range(min(count, _LOOKED_AT))]
        return sorted(batches, key=self._longest, reverse=True)

    def _longest(self, batch: Any) -> tuple[int, int]:
        """How long a batch's longest row is, and how many rows there are."""
        steps_B = self._adapter.steps(batch)
        return (0, 0) if steps_B is None else (int(steps_B.max()), len(steps_B))


def longest_row(task: Task) -> int | None:
    """Steps of the longest of the rows that are looked at; None if the task doesn't tell."""
    adapter: Adapter = adapter_of(task.network, task.batch(0))
    found = [adapter.steps(task.batch(step)) for step in range(min(task.steps_per_epoch, _LOOKED_AT))]
    return max((int(steps_B.max()) for steps_B in found if steps_B is not None), default=None)


MakeTask = Callable[..., Task]
