"""What the tests of the laws share: sample cells, how pytest and hypothesis choose, the parts of `elman.testing`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import pytest
import torch
import typechecks
from hypothesis import strategies as st
from torch import Tensor

from elman import testing
from elman.cells import Cell, ElmanCell, GRUCell, LSTMCell
from elman.cells.operations import activation, affine, layer_norm, sigmoid, split, split_rows, tanh
from elman.engines import Engine
from elman.testing import (
    TOLERANCE,
    Case,
    Compute,
    Results,
    assert_same,
    by_engine,
    in_two_pieces,
    random_case,
    reset_flags,
    values_and_gradients,
    with_padding,
)

__all__ = [
    "TOLERANCE",
    "Case",
    "Compute",
    "LeakyCell",
    "MakeCell",
    "NormedLSTMCell",
    "Results",
    "assert_same",
    "by_engine",
    "by_folding",
    "draw_case",
    "every_cell",
    "every_cell_and_engine",
    "every_engine",
    "in_two_pieces",
    "lengths_for",
    "plain_cells",
    "random_case",
    "reset_flags",
    "resets_for",
    "row_by_row",
    "smooth_cells",
    "values_and_gradients",
    "with_padding",
]

MakeCell = Callable[[int], Cell]

# Unchecked types: checks take half the time of folding steps.
by_folding = typechecks.off()(testing.by_folding)


def row_by_row(lengths: Sequence[int] | None = None, reset_TB: Tensor | None = None) -> Compute:
    """`elman.testing.row_by_row`, with unchecked types."""
    return typechecks.off()(testing.row_by_row(lengths, reset_TB))


class LeakyState(NamedTuple):
    """Two states, neither of which is y."""

    h: Tensor
    m: Tensor


@dataclass(frozen=True)
class LeakyCell(Cell):
    """A cell of a user's own, with what the built-in ones have not: a vector used element by element, two products in a
    row, exp, a quotient, numbers, a row's mean, an output that is no state."""

    rectifier: str = "relu"

    name: ClassVar[str] = "leaky"
    gates: ClassVar[tuple[str, ...]] = ("a", "b")
    state_type: ClassVar = LeakyState

    def weight_shapes(self, input_size: int) -> dict[str, tuple[int, ...]]:
        size = self.hidden_size
        return super().weight_shapes(input_size) | {"rate": (size,), "mix": (size, size), "gain": (size,)}

    def step(self, weights, u_BG, state):
        u_a, u_b = u_BG.chunk(2, dim=-1)
        v_a, v_b = affine(state.h, weights["weight_hh"], weights.get("bias_hh")).chunk(2, -1)
        keep = torch.exp(-torch.sigmoid(weights["rate"] * state.m + u_a + v_a))
        h = keep * state.h + (1 - keep) * torch.tanh(u_b + v_b)
        mixed = (h * state.m) @ weights["mix"].T
        m = 0.5 * state.m + mixed / (2.0 + h.mean(-1, keepdim=True) * h.mean(-1, keepdim=True))
        return layer_norm(m + h, weights["gain"]) - activation(self.rectifier)(m), LeakyState(h, m)


@dataclass(frozen=True)
class NormedLSTMCell(LSTMCell):
    """An LSTM with layer norm on each gate's recurrent part and on c."""

    name: ClassVar[str] = "normed_lstm"

    def weight_shapes(self, input_size: int) -> dict[str, tuple[int, ...]]:
        size = self.hidden_size
        return super().weight_shapes(input_size) | {"gain": (4 * size,), "gain_c": (size,), "shift_c": (size,)}

    def step(self, weights, u_BG, state):
        v = split(affine(state.h, weights["weight_hh"], weights.get("bias_hh")), 4)
        gains = split_rows(weights["gain"], 4)
        i, f, g, o = (u + layer_norm(part, gain) for u, part, gain in zip(split(u_BG, 4), v, gains, strict=True))
        c = sigmoid(f) * state.c + sigmoid(i) * tanh(g)
        h = sigmoid(o) * tanh(layer_norm(c, weights["gain_c"], weights["shift_c"]))
        return h, type(state)(h, c)


_CELLS: dict[str, Callable[[int, bool], Cell]] = {
    "elman_tanh": lambda size, bias: ElmanCell(size, bias, "tanh"),
    "elman_relu": lambda size, bias: ElmanCell(size, bias, "relu"),
    "lstm": LSTMCell,
    # The smallest LSTM that can be projected has two units.
    "lstm_projected": lambda size, bias: LSTMCell(max(size, 2), bias, (max(size, 2) + 1) // 2),
    "gru": GRUCell,
    "gru_reset_before": lambda size, bias: GRUCell(size, bias, reset_after=False),
    # Of one unit, a layer norm gives nothing but its bias.
    "leaky": lambda size, bias: LeakyCell(max(size, 2), bias),
    "normed_lstm": lambda size, bias: NormedLSTMCell(max(size, 2), bias),
}
# What PyTorch has fused layers for.
_PLAIN = ("elman_tanh", "elman_relu", "lstm", "lstm_projected", "gru")
# Without kinks, and not so steep that differences of high order miss it.
_SMOOTH = tuple(name for name in _CELLS if name not in {"elman_relu", "leaky", "normed_lstm"})


def _maker(name: str, bias: bool) -> MakeCell:
    return lambda size: _CELLS[name](size, bias)


def _parameter(name: str, bias: bool) -> object:
    return pytest.param(_maker(name, bias), id=name if bias else f"{name}_no_bias")


every_cell = pytest.mark.parametrize("make_cell", [_parameter(name, bias) for name in _CELLS for bias in (True, False)])
plain_cells = pytest.mark.parametrize(
    "make_cell", [_parameter(name, bias) for name in _PLAIN for bias in (True, False)]
)
smooth_cells = pytest.mark.parametrize(
    "make_cell", [_parameter(name, bias) for name in _SMOOTH for bias in (True, False)]
)
every_engine = pytest.mark.parametrize("engine", [Engine.REFERENCE, Engine.TORCH, Engine.NATIVE], ids=str)
# Every cell by every engine that can run it.
every_cell_and_engine = pytest.mark.parametrize(
    ("make_cell", "engine"),
    [
        pytest.param(_maker(name, bias), engine, id=f"{name if bias else name + '_no_bias'}-{engine}")
        for name in _CELLS
        for bias in (True, False)
        for engine in (Engine.REFERENCE, Engine.TORCH, Engine.NATIVE)
        if engine is not Engine.TORCH or name in _PLAIN
    ],
)


def draw_case(data: st.DataObject, make_cell: MakeCell, device: torch.device) -> Case:
    """Odd sizes of everything. Hypothesis draws sizes and a seed; the numbers are made outside of its strategies."""
    sizes = st.tuples(st.sampled_from([1, 3, 17]), st.integers(1, 9), st.integers(1, 5), st.integers(1, 4))
    hidden, steps, batch, features = data.draw(sizes, label="H, T, B, D")
    return random_case(make_cell(hidden), steps, batch, features, data.draw(st.integers(0, 2**16)), device)


def lengths_for(case: Case) -> st.SearchStrategy[list[int]]:
    """A length for each row, in any order, zero included."""
    return st.lists(st.integers(0, case.steps), min_size=case.batch, max_size=case.batch)


def resets_for(case: Case) -> st.SearchStrategy[set[tuple[int, int]]]:
    """A few places (t, b) anywhere, padding included: for `reset_flags`."""
    places = st.tuples(st.integers(0, case.steps - 1), st.integers(0, case.batch - 1))
    return st.sets(places, max_size=6)
