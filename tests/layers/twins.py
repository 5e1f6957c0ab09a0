"""A layer of elman beside the layer of `torch.nn` that it stands in for, with the same weights."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from laws import Results
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

import elman

INPUT_SIZE = 3
HIDDEN_SIZE = 5

# Name -> (class name, options of its own).
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "rnn_tanh": ("RNN", {}),
    "rnn_relu": ("RNN", {"nonlinearity": "relu"}),
    "lstm": ("LSTM", {}),
    "lstm_projected": ("LSTM", {"proj_size": 2}),
    "gru": ("GRU", {}),
}
# PyTorch says once a process that its oneDNN has no projection and that it takes another kernel: no matter of results.
_ONEDNN = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN:UserWarning")
every_kind = pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[_ONEDNN] if kind == "lstm_projected" else []) for kind in KINDS]
)


def twins(kind: str, *, engine: str = "auto", dtype: torch.dtype = torch.float64, **options: Any) -> tuple[Any, Any]:
    """(elman's, torch.nn's), drawn from the same seed; see `tests/layers/test_drop_in.py` for that this is so."""
    name, own = KINDS[kind]
    options = {**own, **options, "dtype": dtype}
    torch.manual_seed(5)
    ours = getattr(elman, name)(INPUT_SIZE, HIDDEN_SIZE, **options, engine=engine)
    torch.manual_seed(5)
    return ours, getattr(nn, name)(INPUT_SIZE, HIDDEN_SIZE, **options)


def random(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """A normal leaf with a gradient."""
    return torch.randn(shape, dtype=dtype).requires_grad_()


def random_state(layer: Any, batch: int | None) -> Any:
    """A state that is not zero, in the form that `torch.nn` takes: one tensor, or (h, c) of an LSTM."""
    places = layer.num_layers * (2 if layer.bidirectional else 1)
    projection = getattr(layer, "proj_size", 0)
    rows = [] if batch is None else [batch]
    dtype = next(layer.parameters()).dtype
    h = random(places, *rows, projection or layer.hidden_size, dtype=dtype)
    if isinstance(layer, elman.LSTM | nn.LSTM):
        return h, random(places, *rows, layer.hidden_size, dtype=dtype)
    return h


def tensors(state: Any) -> list[Tensor]:
    """The arrays of a state, in either form; none for no state."""
    return [] if state is None else [state] if isinstance(state, Tensor) else list(state)


def as_state(layer: Any, arrays: Sequence[Tensor]) -> Any:
    """The inverse of `tensors`."""
    return tuple(arrays) if isinstance(layer, elman.LSTM | nn.LSTM) else arrays[0]


def run(layer: nn.Module, call: Callable[[nn.Module], tuple[Any, Any]], leaves: Sequence[Tensor]) -> Results:
    """Outputs, final state, and for random cotangents on both the gradients of `leaves` and of every parameter."""
    y, state = call(layer)
    if isinstance(y, PackedSequence):
        y = y.data
    results = {"y": y, **{f"final {index}": value for index, value in enumerate(tensors(state))}}
    generator = torch.Generator().manual_seed(6)
    total = sum(
        (value * torch.randn(value.shape, generator=generator, dtype=value.dtype)).sum() for value in results.values()
    )
    named = {f"leaf {index}": leaf for index, leaf in enumerate(leaves)} | dict(layer.named_parameters())
    gradients = torch.autograd.grad(total, list(named.values()), allow_unused=True, materialize_grads=True)
    return results | {f"gradient of {name}": value for name, value in zip(named, gradients, strict=True)}
