"""Layers of every kind that formats have, inputs and states for them, and what they compute: for tests of the converters."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

import elman

INPUT_SIZE, HIDDEN_SIZE = 3, 5
STEPS, BATCH = 7, 4

# Name -> (class, options of its own).
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "tanh": ("RNN", {}),
    "relu": ("RNN", {"nonlinearity": "relu"}),
    "lstm": ("LSTM", {}),
    "gru": ("GRU", {}),
    "gru_reset_before": ("GRU", {"reset_after": False}),
}
every_kind = pytest.mark.parametrize("kind", KINDS)
every_bias = pytest.mark.parametrize("bias", [True, False], ids=["bias", "no_bias"])
every_direction = pytest.mark.parametrize("bidirectional", [False, True], ids=["forwards", "both_ways"])
every_depth = pytest.mark.parametrize("num_layers", [1, 3], ids=lambda n: f"{n}_layers")


def layers(kind: str, **options: Any) -> Any:
    """elman's layers of a kind, every weight and bias drawn."""
    name, own = KINDS[kind]
    return getattr(elman, name)(INPUT_SIZE, HIDDEN_SIZE, **{"num_layers": 2, **own, **options}).eval()


def sequence(batch_first: bool = False, steps: int = STEPS) -> Tensor:
    return torch.randn(BATCH, steps, INPUT_SIZE) if batch_first else torch.randn(steps, BATCH, INPUT_SIZE)


def states(stack: Any) -> list[Tensor]:
    """A state that is not zero: an array (L·directions, B, size) for each state of the cell."""
    places = stack.num_layers * (1 + stack.bidirectional)
    return [torch.randn(places, BATCH, size) for size in stack.cell.state_sizes]


@torch.no_grad()
def outputs(stack: Any, x: Tensor, before: Sequence[Tensor], lengths: Sequence[int] | None = None) -> list[Tensor]:
    """Outputs and final states of elman's layers."""
    y, after = stack(x, tuple(before) if len(before) > 1 else before[0], lengths=lengths)
    return [y, *([after] if isinstance(after, Tensor) else after)]


def assert_close(ours: Sequence[Any], theirs: Sequence[Any]) -> None:
    """The same numbers within 1e-5, array by array."""
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(torch.as_tensor(mine), torch.as_tensor(other), atol=1e-5, rtol=0)


def assert_equal_layers(one: Any, other: Any) -> None:
    """The same cell, sizes and weights, bit by bit."""
    assert type(one) is type(other)
    assert (one.cell, one.input_size, one.num_layers, one.bidirectional) == (
        other.cell,
        other.input_size,
        other.num_layers,
        other.bidirectional,
    )
    assert list(one.state_dict()) == list(other.state_dict())
    for name, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name
