"""Recurrent layers over any cell: layers, directions, dropout between layers, every layout that `torch.nn` takes.

The public classes (`elman.RNN`, `LSTM`, `GRU`) only choose the cell and the form of the state.
"""

import math
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from elman import engines
from elman.axes import Bool, Float, Int, Tensor
from elman.cells import Cell, State, check_size, map_state
from elman.engines import Engine
from elman.errors import OptionError, ShapeError
from elman.layers.dropout import dropout as drop_units

LayerState = tuple[Tensor, ...]


class RecurrentLayers(nn.Module):
    """`num_layers` layers of one cell, forwards or in both directions; the state is a tuple of (L, B, size).

    Parameters have `torch.nn`'s names: `weight_ih_l{k}`, `weight_hh_l{k}`, `bias_ih_l{k}`, `bias_hh_l{k}`, `weight_hr_l{k}`,
    with `_reverse` behind them for the backward direction. Initialiser: all uniform in ±1/√H, drawn in that order, so
    that the same seed gives the same weights as `torch.nn`.
    """

    def __init__(
        self,
        cell: Cell,
        input_size: int,
        num_layers: int = 1,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        recompute: bool = False,
        engine: Engine | str = Engine.AUTO,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        check_size("input_size", input_size)
        check_size("num_layers", num_layers)
        if not (isinstance(dropout, (int, float)) and not isinstance(dropout, bool) and 0 <= dropout <= 1):
            raise OptionError(f"dropout={dropout!r} must be a probability, a number from 0 to 1.")
        if dropout and num_layers == 1:
            warnings.warn(
                f"dropout={dropout} acts between layers and there is one: give num_layers greater than 1, or no dropout.",
                stacklevel=3,
            )
        self.cell = cell
        self.input_size = input_size
        self.hidden_size = cell.hidden_size
        self.num_layers = num_layers
        self.bias = cell.bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.recompute = recompute
        self._wanted_engine = engine

        directions = 2 if bidirectional else 1
        for layer in range(num_layers):
            width = input_size if layer == 0 else cell.output_size * directions
            for direction in range(directions):
                for name, shape in cell.weight_shapes(width).items():
                    value = nn.Parameter(torch.empty(shape, device=device, dtype=dtype))
                    self.register_parameter(name + _suffix(layer, direction), value)
        self.reset_parameters()
        engines.resolve(engine, cell, next(self.parameters()))

    @property
    def engine(self) -> Engine:
        """The engine that runs this layer: what "auto" came to."""
        return engines.resolve(self._wanted_engine, self.cell, next(self.parameters()))

    @property
    def output_size(self) -> int:
        """Size of an output: that of the last layer, of both directions if there are two."""
        return self.cell.output_size * (1 + self.bidirectional)

    @property
    def all_weights(self) -> list[list[nn.Parameter]]:
        """The parameters, a list for each layer and direction, as in `torch.nn`."""
        return [list(self._weights(layer, direction).values()) for layer, direction in self._places()]

    def reset_parameters(self) -> None:
        """Draw all parameters anew, uniform in ±1/√H."""
        bound = 1 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def flatten_parameters(self) -> None:
        """Nothing to do: kept so that code written for `torch.nn` runs."""

    def initial_state(self, batch: int) -> LayerState:
        """The state before the first step: a zero (L, B, size) for each state of the cell."""
        like = next(self.parameters())
        places = len(list(self._places()))
        return tuple(s.unsqueeze(0).repeat(places, 1, 1) for s in self.cell.initial_state(batch, like))

    def run(
        self,
        x: Tensor | PackedSequence,
        state: LayerState | None,
        lengths: Tensor | Sequence[int] | None = None,
        reset: Tensor | None = None,
        return_all_states: bool = False,
    ) -> tuple[Tensor | PackedSequence, LayerState, list[State]]:
        """Any layout in, the same layout out; the state is a tuple of (L, B, size), or (L, size) if x is unbatched.

        The third result is empty, or every layer's states after every step, in the layout of the outputs.
        """
        packed = x if isinstance(x, PackedSequence) else None
        if isinstance(x, PackedSequence):
            if lengths is not None:
                raise ShapeError("lengths= was given with a PackedSequence, which has its own: leave lengths out.")
            batched = True
            x_TBD, lengths = pad_packed_sequence(x)
        else:
            if not isinstance(x, Tensor):
                raise ShapeError(f"the input is a {type(x).__name__}: give a torch.Tensor or a PackedSequence.")
            batched = x.dim() == 3
            x_TBD = self._time_major(x)
        self._check_input(x_TBD)
        batch = x_TBD.shape[1]

        lengths_B = None if lengths is None else _check_lengths(lengths, x_TBD)
        reset_TB = None if reset is None else self._check_reset(reset, x_TBD, batched, packed is not None)
        state_LB = self.initial_state(batch) if state is None else self._check_state(state, batch, batched)

        all_states: list[State] = []
        y_TBH, last = self._run_time_major(
            x_TBD, state_LB, lengths_B, reset_TB, all_states if return_all_states else None
        )

        def in_layout(sequence_TBH: Tensor) -> Any:
            if packed is not None:
                return _repack(sequence_TBH, lengths_B, packed)
            if not batched:
                return sequence_TBH.squeeze(1)
            return sequence_TBH.transpose(0, 1) if self.batch_first else sequence_TBH

        states = [map_state(in_layout, state) for state in all_states]
        return in_layout(y_TBH), last if batched else tuple(s.squeeze(1) for s in last), states

    def _run_time_major(
        self,
        x_TBD: Float[Tensor, "T B D"],
        state: LayerState,
        lengths_B: Int[Tensor, "B"] | None,
        reset_TB: Bool[Tensor, "T B"] | None,
        all_states: list[State] | None,
    ) -> tuple[Float[Tensor, "T B H"], LayerState]:
        last: list[State] = []
        outputs: list[Tensor] = []
        for index, (layer, direction) in enumerate(self._places()):
            if direction == 0 and layer > 0:
                x_TBD = outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=-1)
                x_TBD = drop_units(x_TBD, self.dropout, self.training)
            if direction == 0:
                outputs = []
            y_TBH, after, *every = engines.scan(
                self.cell,
                self._weights(layer, direction),
                x_TBD,
                self.cell.state_type(*(s[index] for s in state)),
                lengths_B,
                reset_TB,
                engine=self._wanted_engine,
                reverse=direction == 1,
                all_states=all_states is not None,
                recompute=self.recompute,
            )
            outputs.append(y_TBH)
            last.append(after)
            if all_states is not None:
                all_states += every
        y_TBH = outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=-1)
        return y_TBH, tuple(map_state(lambda *places: torch.stack(places), *last))

    def _places(self) -> Iterator[tuple[int, int]]:
        """(layer, direction) in the order of the state's first axis: layer-major."""
        return ((layer, d) for layer in range(self.num_layers) for d in range(1 + self.bidirectional))

    def _weights(self, layer: int, direction: int) -> dict[str, nn.Parameter]:
        suffix = _suffix(layer, direction)
        return {name: getattr(self, name + suffix) for name in self.cell.weight_shapes(1)}

    def _time_major(self, x: Tensor) -> Float[Tensor, "T B D"]:
        layout = "(B, T, D)" if self.batch_first else "(T, B, D)"
        if x.dim() not in (2, 3):
            raise ShapeError(f"the input has shape {tuple(x.shape)}: give {layout}, or (T, D) for one sequence.")
        if x.dim() == 2:
            return x.unsqueeze(1)
        return x.transpose(0, 1) if self.batch_first else x

    def _check_input(self, x_TBD: Tensor) -> None:
        if x_TBD.shape[-1] != self.input_size:
            raise ShapeError(
                f"the input has {x_TBD.shape[-1]} features a step (read as T, B, D = {tuple(x_TBD.shape)}), "
                f"but input_size is {self.input_size}."
            )
        self._check_dtype("the input", x_TBD)

    def _check_dtype(self, what: str, array: Tensor) -> None:
        wanted = next(self.parameters()).dtype
        # Under autocast the layer before may have given a half.
        if array.dtype != wanted and not torch.is_autocast_enabled(array.device.type):
            raise ShapeError(
                f"{what} has dtype {array.dtype}, the weights have {wanted}: convert one of them, "
                f"for example by .to({wanted})."
            )

    def _check_reset(self, reset: Tensor, x_TBD: Tensor, batched: bool, packed: bool) -> Bool[Tensor, "T B"]:
        swapped = self.batch_first and batched and not packed
        steps, batch = x_TBD.shape[:2]
        if not isinstance(reset, Tensor):
            raise ShapeError(f"reset is a {type(reset).__name__}: give a tensor of dtype torch.bool, a flag a step.")
        expected = (steps,) if not batched else (batch, steps) if swapped else (steps, batch)
        if tuple(reset.shape) != expected or reset.dtype != torch.bool:
            raise ShapeError(
                f"reset has shape {tuple(reset.shape)} and dtype {reset.dtype}: give one flag a step, "
                f"shape {expected} and dtype torch.bool."
            )
        reset = reset.to(x_TBD.device)
        return reset.unsqueeze(1) if not batched else reset.t() if swapped else reset

    def _check_state(self, state: LayerState, batch: int, batched: bool) -> LayerState:
        places = self.num_layers * (1 + self.bidirectional)
        names, sizes = self.cell.state_type._fields, self.cell.state_sizes
        if len(state) != len(sizes):
            raise ShapeError(f"the state has {len(state)} arrays: the cell {self.cell.name!r} has {', '.join(names)}.")
        for name, size, array in zip(names, sizes, state, strict=True):
            expected = (places, batch, size) if batched else (places, size)
            if tuple(array.shape) != expected:
                raise ShapeError(
                    f"the state {name} has shape {tuple(array.shape)}: give {expected}, that is "
                    f"(layers times directions, {'batch, ' if batched else ''}size), whatever batch_first says."
                )
            self._check_dtype(f"the state {name}", array)
        return tuple(state) if batched else tuple(array.unsqueeze(1) for array in state)

    def extra_repr(self) -> str:
        shown: dict[str, Any] = {
            "num_layers": (self.num_layers, 1),
            "bias": (self.bias, True),
            "batch_first": (self.batch_first, False),
            "dropout": (self.dropout, 0.0),
            "bidirectional": (self.bidirectional, False),
            "engine": (str(self._wanted_engine), "auto"),
        }
        changed = [f"{name}={value}" for name, (value, default) in shown.items() if value != default]
        return ", ".join([str(self.input_size), str(self.hidden_size), *changed])


def _suffix(layer: int, direction: int) -> str:
    return f"_l{layer}" + ("_reverse" if direction else "")


def _check_lengths(lengths: Tensor | Sequence[int], x_TBD: Tensor) -> Int[Tensor, "B"]:
    steps, batch = x_TBD.shape[:2]
    try:
        lengths_B = torch.as_tensor(lengths)
    except (ValueError, TypeError, RuntimeError) as error:
        raise ShapeError(
            f"lengths can't be read ({error}): give one whole number for each of the {batch} sequences."
        ) from error
    if not lengths_B.numel():
        # An empty list says nothing of its kind.
        lengths_B = lengths_B.long()
    if tuple(lengths_B.shape) != (batch,) or lengths_B.is_floating_point() or lengths_B.dtype == torch.bool:
        raise ShapeError(
            f"lengths has shape {tuple(lengths_B.shape)} and dtype {lengths_B.dtype}: give one whole number "
            f"for each of the {batch} sequences."
        )
    # A compiled graph can't look at values: there the native engine does it.
    if torch.compiler.is_compiling():
        return lengths_B.to(device=x_TBD.device, dtype=torch.long)
    if batch and not (int(lengths_B.min()) >= 0 and int(lengths_B.max()) <= steps):
        raise ShapeError(
            f"lengths runs from {int(lengths_B.min())} to {int(lengths_B.max())}: each must be 0 to {steps}, "
            "the number of steps in the input."
        )
    return lengths_B.to(device=x_TBD.device, dtype=torch.long)


def _repack(y_TBH: Tensor, lengths_B: Tensor | None, like: PackedSequence) -> PackedSequence:
    """Pack with the row order and batch sizes of `like`."""
    assert lengths_B is not None
    lengths_B = lengths_B.cpu()
    if like.sorted_indices is not None:
        y_TBH = y_TBH.index_select(1, like.sorted_indices)
        lengths_B = lengths_B.index_select(0, like.sorted_indices.cpu())
    data = pack_padded_sequence(y_TBH, lengths_B).data
    return PackedSequence(data, like.batch_sizes, like.sorted_indices, like.unsorted_indices)
