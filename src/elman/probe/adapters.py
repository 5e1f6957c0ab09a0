"""Adapters of the tasks over texts and of classifiers, and which task has which: see `elman.probe.adapter`."""

from dataclasses import replace
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from elman.axes import Int, Tensor
from elman.models.sentences import with_boundaries
from elman.models.task import Task
from elman.probe.adapter import Adapter, drawn_steps, piece
from elman.probe.gradients import Scored
from elman.probe.signal_adapters import ForecastSeries, ForecastWindows, SoundTagger, Transcriber


class Language(Adapter):
    """-ln P(next token) after the last step of a window."""

    truncates = True

    def steps(self, batch: Any) -> Int[Tensor, "B"]:
        return batch[0].new_full((batch[0].shape[1],), batch[0].shape[0])

    def at(self, batch: Any, lags: int, generator: torch.Generator) -> Tensor:  # noqa: ARG002
        return self.steps(batch) - 1

    def score(self, task: Task, batch: Any, state: Any, at_B: Tensor | None) -> Scored:
        h_TBH, _ = task.network.read(batch[0], state)
        return Scored(cross_entropy(task.network.say(h_TBH[-1]), batch[1][-1], reduction="none"), at_B)

    def cut(self, batch: Any, at_B: Tensor | None, steps: int) -> tuple[Any, Tensor | None]:  # noqa: ARG002
        kept = tuple(part[-steps:] for part in batch)
        return kept, self.steps(kept) - 1

    def first_rows(self, batch: Any, rows: int) -> Any:
        return tuple(part[:, :rows] for part in batch)

    def run(self, task: Task, batch: Any, state: Any) -> Any:
        first = None if state is None else _rows_of_state(state, batch[0].shape[1])
        return task.network.read(batch[0], first)[1]


class Classifier(Adapter):
    """-ln P(class) of each sequence as a whole. A batch is (x, lengths, classes), time first."""

    truncates = True

    def steps(self, batch: Any) -> Int[Tensor, "B"]:
        lengths_B: Tensor = batch[1]
        return lengths_B

    def score(self, task: Task, batch: Any, state: Any, at_B: Tensor | None) -> Scored:  # noqa: ARG002
        x_TB, lengths_B, classes_B = batch
        return Scored(cross_entropy(task.network(x_TB, lengths_B), classes_B, reduction="none"), None)

    def cut(self, batch: Any, at_B: Tensor | None, steps: int) -> tuple[Any, Tensor | None]:  # noqa: ARG002
        x_TB, lengths_B, classes_B = batch
        kept_B = lengths_B.clamp(max=steps)
        return (piece(x_TB, lengths_B - kept_B, int(kept_B.max())), kept_B, classes_B), None

    def first_rows(self, batch: Any, rows: int) -> Any:
        return batch[0][:, :rows], batch[1][:rows], batch[2][:rows]


class Tagger(Adapter):
    """-ln softmax of the emissions at one word of each sentence (of a random field, the part that the network says)."""

    aligned = ("recurrent",)
    truncates = True

    def steps(self, batch: Any) -> Int[Tensor, "B"]:
        lengths_B: Tensor = batch[0].lengths_B
        return lengths_B

    def at(self, batch: Any, lags: int, generator: torch.Generator) -> Tensor:
        return drawn_steps(self.steps(batch), lags, generator)

    def score(self, task: Task, batch: Any, state: Any, at_B: Tensor | None) -> Scored:  # noqa: ARG002
        words, tags_TB = batch
        emissions_TBV, rows_B = task.network(words), torch.arange(tags_TB.shape[1], device=tags_TB.device)
        return Scored(cross_entropy(emissions_TBV[at_B, rows_B], tags_TB[at_B, rows_B], reduction="none"), at_B)

    def cut(self, batch: Any, at_B: Tensor | None, steps: int) -> tuple[Any, Tensor | None]:
        words, tags_TB = batch
        assert at_B is not None
        first_B = (at_B - steps + 1).clamp(min=0)
        kept_B = torch.minimum(at_B + steps, words.lengths_B) - first_B
        longest = int(kept_B.max())
        parts = {name: piece(getattr(words, name), first_B, longest) for name in ("words_TB", "distinct_TB")}
        return (replace(words, lengths_B=kept_B, **parts), piece(tags_TB, first_B, longest)), at_B - first_B


class Translator(Adapter):
    """-ln P(token) at one step of each target; lags of the encoder count from the end of the source."""

    aligned = ("decoder", "upper")

    def steps(self, batch: Any) -> Int[Tensor, "B"]:
        lengths_B: Tensor = batch[3] + 1
        return lengths_B

    def at(self, batch: Any, lags: int, generator: torch.Generator) -> Tensor:
        return drawn_steps(self.steps(batch), lags, generator)

    def score(self, task: Task, batch: Any, state: Any, at_B: Tensor | None) -> Scored:  # noqa: ARG002
        source_SB, source_B, target_TB, target_B = batch
        begin_TB, wanted_TB = with_boundaries(target_TB, target_B)
        logits_TBV, _ = task.network(source_SB, source_B, begin_TB, target_B + 1)
        rows_B = torch.arange(len(target_B), device=target_B.device)
        return Scored(cross_entropy(logits_TBV[at_B, rows_B], wanted_TB[at_B, rows_B], reduction="none"), at_B)


_ADAPTERS: dict[str, Adapter] = {"lm": Language(), "tag": Tagger(), "translate": Translator()}


def adapter_of(network: Any, batch: Any) -> Adapter:
    """The adapter for a network of a task, whose batches are such as this one."""
    task = network.task
    triple = isinstance(batch, tuple) and len(batch) == 3 and all(isinstance(part, Tensor) for part in batch)
    if task.startswith("classify") and triple:
        return Classifier()
    if task == "forecast":
        return ForecastWindows(network.config.segment) if network.config.look_back else ForecastSeries()
    if task == "tag-sound":
        return SoundTagger(network.config.stack)
    if task == "transcribe":
        return Transcriber(network.config.stack)
    return _ADAPTERS.get(task, Adapter())


def _rows_of_state(state: Any, rows: int) -> Any:
    """The state (L, B, size) of the first rows; a tuple of such, tuple by tuple."""
    return state[:, :rows] if isinstance(state, Tensor) else tuple(_rows_of_state(part, rows) for part in state)
