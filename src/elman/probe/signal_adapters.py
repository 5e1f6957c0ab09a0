"""Adapters of the tasks over series and sound: see `elman.probe.adapter`."""

from typing import Any

import torch
from torch.nn.functional import cross_entropy

from elman.axes import Float, Int, Tensor
from elman.models.ctc import ctc_nats
from elman.models.forecast_network import Batch
from elman.models.task import Task
from elman.probe.adapter import Adapter, drawn_steps, piece
from elman.probe.gradients import Scored


class ForecastWindows(Adapter):
    """The loss of each window's whole horizon. A step is a segment of the window; what the head runs after it isn't one."""

    truncates = True
    first_run = True

    def __init__(self, segment: int) -> None:
        self._segment = segment

    def steps(self, batch: Batch) -> Int[Tensor, "B"]:
        look_back, rows = batch.past_TBP.shape[:2]
        return batch.channels_B.new_full((rows,), -(-look_back // self._segment))

    def score(self, task: Task, batch: Batch, state: Any, at_B: Tensor | None) -> Scored:  # noqa: ARG002
        look_back = len(batch.past_TBP)
        losses_NBD = task.network.output.loss(task.network.forecast(batch).float(), batch.z_FBD[look_back:])
        return Scored(_over_columns(task, losses_NBD.mean(0)), None)

    def cut(self, batch: Batch, at_B: Tensor | None, steps: int) -> tuple[Any, Tensor | None]:
        hidden = max(len(batch.past_TBP) - steps * self._segment, 0)
        z_FBD, past_TBP, known_FBK = (part[hidden:] for part in batch[:3])
        return Batch(z_FBD, past_TBP, known_FBK, batch.channels_B), at_B

    def first_rows(self, batch: Batch, rows: int) -> Batch:
        return _first_rows(batch, rows)


class ForecastSeries(Adapter):
    """The loss of the value after one step of each whole series. A batch is the windows and how long each of them is."""

    truncates = True

    def steps(self, batch: tuple[Batch, Tensor]) -> Int[Tensor, "B"]:
        # The last step forecasts what hasn't come yet.
        return batch[1] - 1

    def at(self, batch: tuple[Batch, Tensor], lags: int, generator: torch.Generator) -> Tensor:
        return drawn_steps(self.steps(batch), lags, generator)

    def score(self, task: Task, batch: tuple[Batch, Tensor], state: Any, at_B: Tensor | None) -> Scored:  # noqa: ARG002
        windows, lengths_B = batch
        assert at_B is not None
        rows_B = torch.arange(len(at_B), device=at_B.device)
        parameters = task.network.follow(windows, lengths_B)[at_B, rows_B].float()
        losses_BD = task.network.output.loss(parameters, windows.z_FBD[at_B + 1, rows_B])
        return Scored(_over_columns(task, losses_BD), at_B)

    def cut(self, batch: tuple[Batch, Tensor], at_B: Tensor | None, steps: int) -> tuple[Any, Tensor | None]:
        windows, _ = batch
        assert at_B is not None
        first_B = (at_B - steps + 1).clamp(min=0)
        kept_B = at_B - first_B + 1
        longest = int(kept_B.max())
        z_FBD, known_FBK = (piece(part, first_B, longest + 1) for part in (windows.z_FBD, windows.known_FBK))
        kept = Batch(z_FBD, piece(windows.past_TBP, first_B, longest), known_FBK, windows.channels_B)
        return (kept, kept_B), at_B - first_B

    def first_rows(self, batch: tuple[Batch, Tensor], rows: int) -> tuple[Batch, Tensor]:
        return _first_rows(batch[0], rows), batch[1][:rows]


class _Sounds(Adapter):
    """A batch begins with frames and how many each sound has; a step is `stack` frames."""

    def __init__(self, stack: int) -> None:
        self._stack = stack

    def steps(self, batch: tuple[Tensor, ...]) -> Int[Tensor, "B"]:
        return (batch[1] + self._stack - 1) // self._stack


class SoundTagger(_Sounds):
    """-ln softmax of the logits at one step of each sound."""

    truncates = True

    def at(self, batch: tuple[Tensor, Tensor, Tensor], lags: int, generator: torch.Generator) -> Tensor:
        return drawn_steps(self.steps(batch), lags, generator)

    def score(self, task: Task, batch: tuple[Tensor, Tensor, Tensor], state: Any, at_B: Tensor | None) -> Scored:  # noqa: ARG002
        x_TBD, lengths_B, labels_SB = batch
        logits_SBV, _ = task.network(x_TBD, lengths_B)
        rows_B = torch.arange(len(lengths_B), device=lengths_B.device)
        return Scored(cross_entropy(logits_SBV[at_B, rows_B].float(), labels_SB[at_B, rows_B], reduction="none"), at_B)

    def cut(self, batch: tuple[Tensor, Tensor, Tensor], at_B: Tensor | None, steps: int) -> tuple[Any, Tensor | None]:
        x_TBD, lengths_B, labels_SB = batch
        assert at_B is not None
        first_B = (at_B - steps + 1).clamp(min=0)
        kept_B = torch.minimum(at_B + steps, self.steps(batch)) - first_B
        frames_B = torch.minimum(kept_B * self._stack, lengths_B - first_B * self._stack)
        longest = int(kept_B.max())
        x_TBD = piece(x_TBD, first_B * self._stack, longest * self._stack)
        return (x_TBD, frames_B, piece(labels_SB, first_B, longest)), at_B - first_B

    def first_rows(self, batch: tuple[Tensor, Tensor, Tensor], rows: int) -> Any:
        return batch[0][:, :rows], batch[1][:rows], batch[2][:, :rows]


class Transcriber(_Sounds):
    """-ln P(text) a unit of each sound's text, as a whole: a text isn't that of a part of its sound, so nothing is cut."""

    def score(self, task: Task, batch: tuple[Tensor, ...], state: Any, at_B: Tensor | None) -> Scored:  # noqa: ARG002
        x_TBD, lengths_B, targets_N, target_lengths_B = batch
        logits_SBV, lengths_B = task.network(x_TBD, lengths_B)
        nats_B = ctc_nats(logits_SBV, lengths_B, targets_N, target_lengths_B)
        return Scored(nats_B / target_lengths_B.to(nats_B), None)

    def first_rows(self, batch: tuple[Tensor, ...], rows: int) -> Any:
        x_TBD, lengths_B, targets_N, target_lengths_B = batch
        kept_B = target_lengths_B[:rows]
        return x_TBD[:, :rows], lengths_B[:rows], targets_N[: int(kept_B.sum())], kept_B


def _over_columns(task: Task, losses_BD: Float[Tensor, "B D"]) -> Float[Tensor, "B"]:
    """A loss a row, as training has it: the mean over columns, their sum where they are forecast as a distribution."""
    return losses_BD.sum(1) if task.network.output.distribution else losses_BD.mean(1)


def _first_rows(batch: Batch, rows: int) -> Batch:
    z_FBD, past_TBP, known_FBK = (part[:, :rows] for part in batch[:3])
    return Batch(z_FBD, past_TBP, known_FBK, batch.channels_B[:rows])
