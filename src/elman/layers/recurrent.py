"""Recurrent layers over any cell: layers, directions, what joins them, what training drops, and what they start from.

The public classes (`elman.RNN`, `LSTM`, `GRU`, `Recurrent`) only choose the cell.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence

from elman import engines
from elman.axes import Bool, Float, Int, Tensor
from elman.cells import Cell, Masks, State, Weights, check_size, map_state
from elman.engines import Engine
from elman.engines.padding import without_padding
from elman.errors import OptionError, ShapeError
from elman.layers import initialise, options
from elman.layers.connections import connect, initialise_connection
from elman.layers.dropout import draw_mask
from elman.layers.dropout import dropout as drop_units
from elman.layers.layout import check_dtype, read_input
from elman.layers.plan import Shapes, plan_layers
from elman.layers.state import LayerState, StateForm


class RecurrentLayers(nn.Module):
    """`num_layers` layers of one cell: see `elman.layers.rnn` for each argument, and what a call takes and gives.

    Parameters have `torch.nn`'s names: `weight_ih_l{k}`, `weight_hh_l{k}`, `bias_ih_l{k}`, `bias_hh_l{k}`, `weight_hr_l{k}`,
    with `_reverse` behind them for the backward direction of a bidirectional layer; so have all others of a cell. Initial
    states that are learnt are `initial_{state}_l{k}`; for the parameters of connections see `elman.layers.connections`.

    Initialiser: what the cell says, in the order of torch.nn, so that for plain layers the same seed gives the same weights,
    and the preset on top; initial states as the cell's own, which is zero; at last the connections.
    """

    # Where an option of the cell goes by another name here.
    _shown_as: ClassVar[Mapping[str, str]] = {}
    # What runs a layer in one direction; `elman.probe` puts one in its place that watches each step.
    scan = staticmethod(engines.scan)

    def __init__(
        self,
        cell: Cell,
        input_size: int,
        num_layers: int = 1,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        widths: int | Sequence[int] | None = None,
        *,
        merge: str = "concat",
        reverse: bool = False,
        connections: str = "plain",
        locked_dropout: bool = False,
        weight_drop: float = 0.0,
        learn_initial_state: bool = False,
        init: str | initialise.Preset = "uniform",
        forget_bias: float | None = None,
        chrono: float | None = None,
        recompute: bool = False,
        engine: Engine | str = Engine.AUTO,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        check_size("input_size", input_size)
        check_size("num_layers", num_layers)
        options.check_probabilities(dropout=dropout, weight_drop=weight_drop)
        options.check_dropout(dropout, num_layers)
        options.check_directions(bidirectional, reverse, merge)
        options.check_connections(connections)
        options.check_memory(forget_bias, chrono)
        each = options.layer_widths(cell.hidden_size if widths is None else widths, num_layers)
        self.input_size = input_size
        self.hidden_size = tuple(each) if isinstance(widths, (list, tuple)) else each[0]
        self.num_layers = num_layers
        self.bias = cell.bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.merge = merge
        self.reverse = reverse
        self.connections = connections
        self.locked_dropout = locked_dropout
        self.weight_drop = float(weight_drop)
        self.learn_initial_state = learn_initial_state
        self.init = init
        self.forget_bias = forget_bias
        self.chrono = chrono
        self.recompute = recompute
        self._wanted_engine = engine

        directions = 1 + bidirectional
        self._plans = list(plan_layers(cell, input_size, each, directions if merge == "concat" else 1, connections))
        self.cells = [plan.cell for plan in self._plans]
        self.cell = self.cells[0]
        sizes_differ = len({own.state_sizes for own in self.cells}) > 1
        self._state_form = StateForm(self.cells, directions, isinstance(widths, (list, tuple)) or sizes_differ)
        if weight_drop and not any(map(_is_recurrent, self._plans[0].weights)):
            raise OptionError(
                f"weight_drop={weight_drop}: the cell {cell.name!r} has no recurrent weights. Leave it out."
            )

        for layer, direction in self._places():
            plan = self._plans[layer]
            shapes = plan.weights | (plan.initial_state if learn_initial_state else {})
            self._register(shapes, _suffix(layer, direction), device, dtype)
        for layer, plan in enumerate(self._plans):
            self._register(plan.connection, _suffix(layer, 0), device, dtype)
        self.reset_parameters()
        for own in self.cells:
            engines.resolve(engine, own, next(self.parameters()))

    @property
    def engine(self) -> Engine:
        """The engine that runs this layer: what "auto" came to."""
        return engines.resolve(self._wanted_engine, self.cell, next(self.parameters()))

    @property
    def output_size(self) -> int:
        """The size of an output: what the last layer gives, both directions together."""
        return self._plans[-1].output_size

    @property
    def all_weights(self) -> list[list[nn.Parameter]]:
        """The parameters of the cells, a list for each layer and direction, as in `torch.nn`."""
        return [list(self._weights(layer, direction).values()) for layer, direction in self._places()]

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw all parameters anew. Raises `OptionError` for a preset that the cell has no place for."""
        preset = initialise.preset(self.init)
        for layer, direction in self._places():
            cell, weights = self.cells[layer], self._weights(layer, direction)
            cell.initialise(weights)
            preset(cell, weights)
            if self.forget_bias is not None:
                initialise.forget_bias(cell, weights, self.forget_bias)
            if self.chrono is not None:
                initialise.chrono(cell, weights, self.chrono)
            if self.learn_initial_state:
                zero = cell.initial_state(1, like=next(iter(weights.values())))
                for parameter, value in zip(self._learnt_state(layer, direction), zero, strict=True):
                    parameter.copy_(value.squeeze(0))
        for layer in range(self.num_layers):
            initialise_connection(self._connection(layer))

    def flatten_parameters(self) -> None:
        """Nothing to do: kept so that code written for `torch.nn` runs."""

    def initial_state(self, batch: int) -> LayerState:
        """The state before the first step, for each state of the cell: zero, or what was learnt."""
        return self._state_form.join(self._initial_states(batch))

    def forward(
        self,
        input: Tensor | PackedSequence,
        hx: Any = None,
        *,
        lengths: Tensor | Sequence[int] | None = None,
        reset: Tensor | None = None,
        return_all_states: bool = False,
        generator: torch.Generator | None = None,
    ) -> Any:
        names = self.cell.state_type._fields
        if hx is not None and len(names) > 1 and isinstance(hx, Tensor):
            raise ShapeError(f"the state of this layer is a tuple ({', '.join(names)}): one tensor was given.")
        if hx is not None and len(names) == 1:
            if not self._state_form.by_layer and not isinstance(hx, Tensor):
                raise ShapeError(f"the state of this layer is one tensor {names[0]}: {type(hx).__name__} was given.")
            hx = (hx,)
        y, last, states = self.run(input, hx, lengths, reset, return_all_states, generator)
        final = last if len(names) > 1 else last[0]
        return (y, final, states) if return_all_states else (y, final)

    def run(
        self,
        x: Tensor | PackedSequence,
        state: LayerState | None,
        lengths: Tensor | Sequence[int] | None = None,
        reset: Tensor | None = None,
        return_all_states: bool = False,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor | PackedSequence, LayerState, list[State]]:
        """Any layout in, the same layout out; the state is always a tuple with an entry for each state of the cell.

        The third result is empty, or every layer's states after every step, in the layout of the outputs.
        """
        x_TBD, layout = read_input(x, lengths, self.batch_first, self.input_size)
        like = next(self.parameters())
        check_dtype("the input", x_TBD, like.dtype)
        options.check_generator(generator, like)
        batch = x_TBD.shape[1]
        reset_TB = None if reset is None else layout.read_reset(reset, x_TBD)
        before = (
            self._initial_states(batch)
            if state is None
            else self._state_form.split(state, batch, layout.batched, like.dtype)
        )
        all_states: list[State] | None = [] if return_all_states else None
        y_TBH, last = self._run_layers(x_TBD, before, layout.lengths_B, reset_TB, all_states, generator, self.scan)
        states = [map_state(layout.restore, after) for after in all_states or []]
        return layout.restore(y_TBH), self._state_form.join(last, layout.batched), states

    def branch(
        self,
        x_NMD: Float[Tensor, "N M D"],
        state: LayerState,
        kinds_B: Int[Tensor, "B"] | None = None,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "N B H"]:
        """The output of each of N steps that might come next, all after the same state: `run` of each by itself, but faster.

        `kinds_B` says which of M inputs is a row's, where rows have them in common. Raises `OptionError` where layers read
        backwards: they have no next step.
        """
        if self.bidirectional or self.reverse:
            raise OptionError("bidirectional or reverse layers have no next step to branch into.")
        like = next(self.parameters())
        check_dtype("the input", x_NMD, like.dtype)
        batch = x_NMD.shape[1] if kinds_B is None else len(kinds_B)
        if kinds_B is not None and self.connections != "plain":
            x_NMD, kinds_B = x_NMD.index_select(1, kinds_B), None
        # Only the first layer reads what rows have in common.
        kinds = iter([kinds_B])

        def scan(cell: Cell, weights: Weights, x: Tensor, before: State, *_: Any, masks: Masks, **options: Any) -> Any:  # noqa: ARG001
            return engines.branch(cell, weights, x, before, next(kinds, None), masks=masks)

        before = self._state_form.split(state, batch, True, like.dtype)
        y_NBH, _ = self._run_layers(x_NMD, before, None, None, None, generator, scan)
        return y_NBH

    def _run_layers(
        self,
        x_TBD: Float[Tensor, "T M D"],
        before: list[State],
        lengths_B: Int[Tensor, "B"] | None,
        reset_TB: Bool[Tensor, "T B"] | None,
        all_states: list[State] | None,
        generator: torch.Generator | None,
        scan: Callable[..., Any],
    ) -> tuple[Float[Tensor, "T B H"], list[State]]:
        """Layer by layer, by `scan`. M is B, but for `branch`."""
        if self.connections in {"residual", "highway"}:
            # What goes past a layer must be zero beyond a row's length, as what comes out of it is.
            x_TBD = without_padding(x_TBD, lengths_B)
        last: list[State] = []
        places = iter(before)
        for layer in range(self.num_layers):
            read_TBD = x_TBD
            if layer > 0:
                read_TBD = drop_units(x_TBD, self.dropout, self.training, generator, self.locked_dropout)
            outputs = []
            for direction in range(1 + self.bidirectional):
                y_TBH, after, *every = self._run_place(
                    layer,
                    direction,
                    read_TBD,
                    next(places),
                    lengths_B,
                    reset_TB,
                    all_states is not None,
                    generator,
                    scan,
                )
                outputs.append(y_TBH)
                last.append(after)
                if all_states is not None:
                    all_states += every
            merged_TBH = _merge(outputs, self.merge)
            y_TBH = connect(self.connections, self._connection(layer), x_TBD, merged_TBH)
            x_TBD = torch.cat([x_TBD, y_TBH], dim=-1) if self.connections == "dense" else y_TBH
        return y_TBH, last

    def _run_place(
        self,
        layer: int,
        direction: int,
        x_TBD: Float[Tensor, "T M D"],
        before: State,
        lengths_B: Int[Tensor, "B"] | None,
        reset_TB: Bool[Tensor, "T B"] | None,
        all_states: bool,
        generator: torch.Generator | None,
        scan: Callable[..., Any],
    ) -> tuple:
        """One layer in one direction. In training all that it drops is drawn here, in an order that never changes."""
        cell = self.cells[layer]
        weights: dict[str, Tensor] = dict(self._weights(layer, direction))
        masks = {}
        if self.training:
            # Rows are those of the state: steps that might come next may have inputs in common.
            steps, batch = x_TBD.shape[0], before[0].shape[0]
            x_TBD = drop_units(x_TBD, cell.variational_dropout, generator=generator, locked=True)
            for name, mask in self._plans[layer].masks.items():
                shape = (steps, batch, mask.size) if mask.every_step else (batch, mask.size)
                masks[name] = draw_mask(shape, mask.zero, before[0], generator, mask.scaled)
            for name in filter(_is_recurrent, weights):
                weights[name] = drop_units(weights[name], self.weight_drop, generator=generator)
        fresh = None
        if self.learn_initial_state:
            fresh = cell.state_type(*(value.unsqueeze(0) for value in self._learnt_state(layer, direction)))
        return scan(
            cell,
            weights,
            x_TBD,
            before,
            lengths_B,
            reset_TB,
            masks=masks,
            fresh=fresh,
            engine=self._wanted_engine,
            reverse=self.reverse or direction == 1,
            all_states=all_states,
            recompute=self.recompute,
        )

    def _register(self, shapes: Shapes, suffix: str, device: Any, dtype: torch.dtype | None) -> None:
        for name, shape in shapes.items():
            self.register_parameter(name + suffix, nn.Parameter(torch.empty(shape, device=device, dtype=dtype)))

    def _places(self) -> Iterator[tuple[int, int]]:
        """(layer, direction) in the order of the state's first axis: layer-major."""
        return ((layer, d) for layer in range(self.num_layers) for d in range(1 + self.bidirectional))

    def _weights(self, layer: int, direction: int) -> dict[str, nn.Parameter]:
        suffix = _suffix(layer, direction)
        return {name: getattr(self, name + suffix) for name in self._plans[layer].weights}

    def _connection(self, layer: int) -> dict[str, nn.Parameter]:
        suffix = _suffix(layer, 0)
        return {name: getattr(self, name + suffix) for name in self._plans[layer].connection}

    def _learnt_state(self, layer: int, direction: int) -> list[nn.Parameter]:
        suffix = _suffix(layer, direction)
        return [getattr(self, name + suffix) for name in self._plans[layer].initial_state]

    def _initial_states(self, batch: int) -> list[State]:
        if not self.learn_initial_state:
            like = next(self.parameters())
            return [self.cells[layer].initial_state(batch, like) for layer, _ in self._places()]
        return [
            self.cells[layer].state_type(
                *(s.unsqueeze(0).repeat(batch, 1) for s in self._learnt_state(layer, direction))
            )
            for layer, direction in self._places()
        ]

    def extra_repr(self) -> str:
        shown: dict[str, Any] = {
            "num_layers": (self.num_layers, 1),
            "bias": (self.bias, True),
            "batch_first": (self.batch_first, False),
            "dropout": (self.dropout, 0.0),
            "bidirectional": (self.bidirectional, False),
            "merge": (self.merge, "concat"),
            "reverse": (self.reverse, False),
            "connections": (self.connections, "plain"),
            "locked_dropout": (self.locked_dropout, False),
            "weight_drop": (self.weight_drop, 0.0),
            "learn_initial_state": (self.learn_initial_state, False),
            "init": (getattr(self.init, "__name__", self.init), "uniform"),
            "forget_bias": (self.forget_bias, None),
            "chrono": (self.chrono, None),
        }
        for field in fields(self.cell):
            if field.name not in {"hidden_size", "bias", "input_size"}:
                name = self._shown_as.get(field.name, field.name)
                shown[name] = (getattr(self.cell, field.name), field.default)
        shown |= {"recompute": (self.recompute, False), "engine": (str(self._wanted_engine), "auto")}
        changed = [f"{name}={value}" for name, (value, default) in shown.items() if value != default]
        return ", ".join([str(self.input_size), str(self.hidden_size), *changed])


def _suffix(layer: int, direction: int) -> str:
    return f"_l{layer}" + ("_reverse" if direction else "")


def _is_recurrent(name: str) -> bool:
    return name.startswith("weight_hh")


def _merge(outputs: Sequence[Tensor], merge: str) -> Tensor:
    if len(outputs) == 1:
        return outputs[0]
    return torch.cat(list(outputs), dim=-1) if merge == "concat" else outputs[0] + outputs[1]
