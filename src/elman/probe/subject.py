"""What is looked through, as the measurements want it: a network, its recurrent layers, batches, and a loss a row."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import torch
from torch import nn

from elman.axes import Float, Tensor
from elman.errors import ProbeError
from elman.layers import RecurrentLayers
from elman.probe.gradients import Scored


@dataclass(frozen=True)
class Facts:
    """What the network is, in the report's words. `window`: the steps that training's gradients go back, if that is known."""

    cell: str
    layers: int
    hidden: int
    parameters: int
    task: str | None = None
    window: int | None = None

    def to_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("cell", "layers", "hidden", "parameters", "task", "window")}


@runtime_checkable
class Subject(Protocol):
    """A network with data. All but `facts` is asked for in evaluation mode, on the network's device.

    network   the network                        aligned   see `elman.probe.gradients.gradient_by_lag`
    first_run   whether only the first run of each layer counts: what a head runs after it reads no data
    lags      how many there can be, at most what was asked for
    notes     what a person should know
    """

    network: nn.Module
    facts: Facts
    aligned: Any
    first_run: bool
    lags: int
    notes: list[str]

    def stacks(self) -> AbstractContextManager[Mapping[str, RecurrentLayers]]:
        """The recurrent layers by name, in place while the context lasts."""

    def score(self) -> Scored:
        """Run a batch: the loss of each row, or one of all of them together."""

    def see(self, steps: int) -> Float[Tensor, "N"] | None:
        """The losses of many scored steps, of each of which the network sees so many steps; None if that makes no sense."""

    def stream(self) -> None:
        """Run a few rows for long."""

    def mean_loss(self) -> Tensor:
        """The loss as training has it, of a batch."""


# With lags of twice a window of training, so many cost less than three updates: see `benchmarks/probe.py`.
ROWS = 16


@dataclass
class Sizes:
    """How much is run. `rows`: sampled rows of the gradient; `positions` of the use of context; `stream_rows`, `stream_steps`
    of the long stream."""

    rows: int = ROWS
    positions: int = 256
    stream_rows: int = 4
    stream_steps: int = 256
    notes: list[str] = field(default_factory=list)


def facts_of(network: nn.Module, stacks: Mapping[str, RecurrentLayers], **more: Any) -> Facts:
    """The facts of a network. Raises `ProbeError` if it has no recurrent layer."""
    if not stacks:
        raise ProbeError(
            f"{type(network).__name__} has no recurrent layer to look through: give a network with elman's layers or "
            "torch.nn.RNN, LSTM or GRU in it (cells in a loop of their own, such as torch.nn.LSTMCell, can't be watched)."
        )
    first = next(iter(stacks.values()))
    return Facts(
        cell=", ".join(dict.fromkeys(stack.cell.name for stack in stacks.values())),
        layers=sum(stack.num_layers for stack in stacks.values()),
        hidden=first.cell.hidden_size,
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        **more,
    )


def check_weights(network: nn.Module) -> None:
    """Raise `ProbeError`, and say where, if a weight is NaN or infinite."""
    wrong = []
    for name, parameter in network.named_parameters():
        bad = int((~torch.isfinite(parameter)).sum())
        if bad:
            wrong.append(f"{name} ({bad:,} of {parameter.numel():,})")
    if wrong:
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise ProbeError(
            f"weights are NaN or infinite, so there is nothing to measure: {', '.join(wrong[:5])}{more}. Training diverged: "
            "take an earlier checkpoint, or train again with a lower --lr or with --clip."
        )
