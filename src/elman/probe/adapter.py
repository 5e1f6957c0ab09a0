"""How a batch of a task gives a loss for each row, the step that it is scored at, and the same batch with less to see.

Training needs one mean loss a batch; the probe needs ∂ℓ_t of one step t of each row. Tasks that aren't told apart here are
taken as a whole: a row's loss is the mean over the batch times its rows, scored at the end of the sequence.
"""

from collections.abc import Sequence
from typing import Any

import torch

from elman.axes import Int, Tensor
from elman.models.task import Task
from elman.probe.gradients import Scored


class Adapter:
    """Any task, as a whole.

    aligned     the stacks whose steps are those that losses are scored at; None: all
    truncates   whether `cut` can hide what lies further off
    first_run   only the first run of each layer reads the data; what a head runs after it doesn't
    """

    aligned: Sequence[str] | None = None
    truncates = False
    first_run = False

    def steps(self, batch: Any) -> Int[Tensor, "B"] | None:  # noqa: ARG002
        """How many steps each row has; None if that can't be told."""
        return None

    def score(self, task: Task, batch: Any, state: Any, at_B: Tensor | None) -> Scored:  # noqa: ARG002
        """The loss of each row, at its step `at_B`."""
        loss, _ = task.loss(batch, state)
        return Scored(loss.reshape(1), None)

    def at(self, batch: Any, lags: int, generator: torch.Generator) -> Tensor | None:  # noqa: ARG002
        """The step that each row is scored at: the last, or one that is drawn; None for rows as a whole."""
        return None

    def cut(self, batch: Any, at_B: Tensor | None, steps: int) -> tuple[Any, Tensor | None]:
        """The batch as a network sees it that sees the scored step and `steps - 1` before it (of both sides, if it reads both
        ways); and the scored steps in it.
        """
        raise NotImplementedError

    def first_rows(self, batch: Any, rows: int) -> Any:  # noqa: ARG002
        """Some of the rows, where that is simple."""
        return batch

    def run(self, task: Task, batch: Any, state: Any) -> Any:
        """Run a batch, whatever comes of it; gives the state after it."""
        return task.loss(batch, state)[1]


def drawn_steps(lengths_B: Int[Tensor, "B"], lags: int, generator: torch.Generator) -> Int[Tensor, "B"]:
    """A step of each row, drawn among those that have `lags` steps before them; the last if there is none."""
    first_B = (lengths_B - 1).clamp(max=lags).cpu()
    drawn_B = torch.rand(len(lengths_B), generator=generator, dtype=torch.float64)
    at_B = first_B + (drawn_B * (lengths_B.cpu() - first_B)).long()
    return torch.minimum(at_B.to(lengths_B.device), lengths_B - 1)


def piece(x_TB: Tensor, first_B: Tensor, steps: int) -> Tensor:
    """So many steps of each row from its own first on; what lies behind its end doesn't matter."""
    rows_B = torch.arange(x_TB.shape[1], device=x_TB.device)
    at_TB = first_B + torch.arange(steps, device=x_TB.device).unsqueeze(1)
    return x_TB[at_TB.clamp(max=x_TB.shape[0] - 1), rows_B]
