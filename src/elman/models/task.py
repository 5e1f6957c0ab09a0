"""What training needs to know of a task: batches by number, a loss, scores. Training knows no task by name."""

from typing import Any, Protocol

from torch import Tensor, nn


class Task(Protocol):
    """A network and the data that it learns from.

    `batch(step)` is a pure function of the step, so a run that goes on from step N needs nothing but N; whether the state
    is carried into a step is one too.
    """

    @property
    def network(self) -> nn.Module:
        """The network to train."""

    @property
    def steps_per_epoch(self) -> int:
        """Steps that read the whole training part once."""

    def batch(self, step: int) -> Any:
        """The inputs and targets of a step."""

    def carries_state(self, step: int) -> bool:
        """Whether this step goes on where the one before it ended."""

    def loss(self, batch: Any, state: Any) -> tuple[Tensor, Any]:
        """Mean loss in nats over a batch, from a carried state (None: a fresh one); and the state after it."""

    def size(self, batch: Any) -> int:
        """How many units a batch has."""

    def validate(self) -> dict[str, float]:
        """Scores on the validation part; `loss_nats` decides which weights are kept."""
