"""Weights of `torch.nn.RNN`, `LSTM` and `GRU`.

elman's layers have PyTorch's names, gate orders and two biases, so nothing is changed on the way. Sizes, layers, directions,
biases and projections are read off names and shapes; only the nonlinearity of a plain layer isn't in a `state_dict`.
"""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from elman.cells import Cell, GRUCell, LSTMCell
from elman.convert.stack import Stack, Told, Weights, as_tensor, both_biases
from elman.errors import ConvertError
from elman.layers import RecurrentLayers

_NAME = re.compile(r"(.*?)((?:weight|bias)_(?:ih|hh|hr))_l(\d+)(_reverse)?")
_MODULES: dict[str, Any] = {"elman": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


def from_pytorch(source: nn.RNNBase | Mapping[str, Any], *, nonlinearity: str | None = None) -> RecurrentLayers:
    """elman's layers with the weights of a module of `torch.nn`, or of its `state_dict`.

    A module's `batch_first` and `dropout` are kept. A `state_dict` must hold the weights of one module and nothing else; of a
    plain recurrent layer it doesn't say the `nonlinearity`. Raises `ConvertError` for what can't be read.
    """
    if not isinstance(source, nn.Module):
        return stack_of_state(source, Told(nonlinearity=nonlinearity)).to_layers()
    if type(source) not in _MODULES.values():
        raise ConvertError(f"{type(source).__name__} is no recurrent layer of torch.nn: give an RNN, an LSTM or a GRU.")
    told = Told(nonlinearity=source.nonlinearity if isinstance(source, nn.RNN) else None)
    dropout = source.dropout if source.num_layers > 1 else 0.0
    return stack_of_state(source.state_dict(), told).to_layers(batch_first=source.batch_first, dropout=dropout)


def to_pytorch(layers: RecurrentLayers) -> nn.RNNBase:
    """The module of `torch.nn` that computes what these layers do, with a copy of their weights.

    Raises `ConvertError` for a cell or an option that PyTorch doesn't have.
    """
    stack = Stack.of(layers, "PyTorch", ("projection_size", "nonlinearity", "reset_after"))
    cell = stack.cell
    options: dict[str, Any] = {}
    if isinstance(cell, LSTMCell):
        options = {"proj_size": cell.projection_size}
    elif isinstance(cell, GRUCell):
        if not cell.reset_after:
            raise ConvertError(
                "reset_after=False of the cell 'gru' has no place in PyTorch: its GRU resets after the product."
            )
    else:
        nonlinearity = getattr(cell, "nonlinearity", None)
        if nonlinearity not in ("tanh", "relu"):
            raise ConvertError(f"nonlinearity={nonlinearity!r} has no place in PyTorch: it has tanh and relu.")
        options = {"nonlinearity": nonlinearity}
    module: nn.RNNBase = _MODULES[cell.name](
        stack.input_size,
        cell.hidden_size,
        stack.num_layers,
        bias=cell.bias,
        batch_first=layers.batch_first,
        dropout=layers.dropout,
        bidirectional=stack.bidirectional,
        dtype=stack.places[0]["weight_ih"].dtype,
        **options,
    )
    module.load_state_dict(state_of_stack(stack))
    return module


def state_of_stack(stack: Stack) -> dict[str, Tensor]:
    """The weights under `torch.nn`'s names."""
    state: dict[str, Tensor] = {}
    for k, layer in enumerate(stack.layers):
        for direction, place in enumerate(layer):
            suffix = f"_l{k}" + ("_reverse" if direction else "")
            biases = dict(zip(("bias_ih", "bias_hh"), both_biases(place), strict=True)) if stack.cell.bias else {}
            state |= {name + suffix: weight.clone() for name, weight in {**place, **biases}.items()}
    return state


def stacks_in(tensors: Mapping[str, Tensor], told: Told, part: str | None = None) -> dict[str, Stack]:
    """The recurrent layers among the weights of a whole model, by the name of their module; or that `part`."""
    modules: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if match := _NAME.fullmatch(name):
            modules.setdefault(match[1].removesuffix("."), {})[name.removeprefix(match[1])] = tensor
    wanted = [part] if part in modules else list(modules)
    return {name: stack_of_state(modules[name], told) for name in wanted}


def stack_of_state(state: Mapping[str, Any], told: Told) -> Stack:
    """The layers that a `state_dict` holds. Raises `ConvertError` if it holds anything else, or too little."""
    places: dict[tuple[int, int], Weights] = {}
    for name, array in state.items():
        match = _NAME.fullmatch(name)
        if match is None or match[1]:
            raise ConvertError(
                f"{name!r} is no weight of a recurrent layer of torch.nn: they are called weight_ih_l0, weight_hh_l0, … Give "
                "the state_dict of the recurrent module alone."
            )
        tensor = array.detach().cpu() if isinstance(array, Tensor) else as_tensor(name, array)
        if not torch.is_floating_point(tensor):
            raise ConvertError(f"{name} has dtype {tensor.dtype}: give weights of a floating-point dtype.")
        places.setdefault((int(match[3]), int(bool(match[4]))), {})[match[2]] = tensor
    bidirectional = any(direction for _, direction in places)
    wanted = [(k, d) for k in range(1 + max((k for k, _ in places), default=0)) for d in range(1 + bidirectional)]
    missing = [f"weight_ih_l{k}" + ("_reverse" if d else "") for k, d in wanted if (k, d) not in places]
    if missing:
        raise ConvertError(f"the weights of whole layers are missing: there is no {', '.join(missing)}.")
    first = places[0, 0]
    return Stack(_cell_of(first, told), first["weight_ih"].shape[1], bidirectional, tuple(places[at] for at in wanted))


def _cell_of(place: Weights, told: Told) -> Cell:
    """Which cell the weights of one layer belong to: how many gates it has says it."""
    for name in ("weight_ih", "weight_hh"):
        if name not in place or place[name].dim() != 2:
            raise ConvertError(f"{name}_l0 is missing or no matrix: a recurrent layer of torch.nn has one.")
    projection = place.get("weight_hr")
    rows, hidden = place["weight_hh"].shape
    if projection is not None:
        hidden = projection.shape[-1]
    gates = rows / hidden if hidden else 0
    bias = "bias_ih" in place
    if gates == 4:
        return LSTMCell(hidden, bias, 0 if projection is None else projection.shape[0])
    if projection is None and gates == 3:
        return GRUCell(hidden, bias)
    if projection is None and gates == 1:
        return told.plain_cell(hidden, bias, "the state_dict")
    raise ConvertError(
        f"weight_hh_l0 has shape {tuple(place['weight_hh'].shape)}, {gates:g} times as many rows as hidden units ({hidden}): "
        "an LSTM has 4 times as many, a GRU 3 times, a plain layer as many; only an LSTM has a projection (weight_hr)."
    )
