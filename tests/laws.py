"""What the tests of the laws share: the cells, random cases, slow and plain ways to compute, and how to compare.

A `Case` is a cell with its weights, inputs and a state that is not zero. A `compute` is a function from a case to its
results by name ("y", "final h", ...). `values_and_gradients` runs one and adds the gradient with respect to every leaf of
the case, for random cotangents on all results: two computes that agree there agree in everything.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import ClassVar, NamedTuple

import pytest
import torch
import typechecks
from hypothesis import strategies as st
from torch import Tensor

from elman.cells import Cell, ElmanCell, GRUCell, LSTMCell, State, map_state
from elman.cells.operations import affine, layer_norm, sigmoid, split, split_rows, tanh
from elman.engines import Engine, scan

# For float64 and values of the order of one.
TOLERANCE = 1e-11

MakeCell = Callable[[int], Cell]
Results = dict[str, Tensor]
Compute = Callable[["Case"], Results]


class LeakyState(NamedTuple):
    """Two states, neither of which is y."""

    h: Tensor
    m: Tensor


@dataclass(frozen=True)
class LeakyCell(Cell):
    """A cell of a user's own, with what the built-in ones have not: a vector used element by element, two products in a
    row, exp, a quotient, numbers, a row's mean, an output that is no state."""

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
        return layer_norm(m + h, weights["gain"]) - torch.relu(m), LeakyState(h, m)


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


@dataclass(frozen=True)
class Case:
    """A cell and all that a scan reads."""

    cell: Cell
    weights: dict[str, Tensor]
    x_TBD: Tensor
    state: State

    @property
    def steps(self) -> int:
        return self.x_TBD.shape[0]

    @property
    def batch(self) -> int:
        return self.x_TBD.shape[1]

    def leaves(self) -> Results:
        """Everything that has a gradient, by name."""
        return {"x": self.x_TBD, **self.weights, **_named("initial", self.state)}

    def with_leaves(self, leaves: Mapping[str, Tensor]) -> "Case":
        """The same cell with other numbers."""
        weights = {name: leaves[name] for name in self.weights}
        state = self.cell.state_type(**{name: leaves[f"initial {name}"] for name in self.state._fields})
        return Case(self.cell, weights, leaves["x"], state)


def random_case(cell: Cell, steps: int, batch: int, features: int, seed: int, device: torch.device | str) -> Case:
    """Normal numbers in float64; weights of 1/√H, so that neither the gates nor a ReLU's states saturate."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int, scale: float = 1.0) -> Tensor:
        values = scale * torch.randn(shape, generator=generator, dtype=torch.float64)
        return values.to(device).requires_grad_()

    scale = cell.hidden_size**-0.5
    weights = {name: normal(*shape, scale=scale) for name, shape in cell.weight_shapes(features).items()}
    state = cell.state_type(*(normal(batch, size) for size in cell.state_sizes))
    return Case(cell, weights, normal(steps, batch, features), state)


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


def reset_flags(case: Case, places: set[tuple[int, int]]) -> Tensor:
    """(T, B) flags, true at each (t, b) of `places`."""
    flags = torch.zeros(case.steps, case.batch, dtype=torch.bool)
    for t, b in places:
        flags[t, b] = True
    return flags.to(case.x_TBD.device)


def by_engine(
    engine: Engine, lengths: Sequence[int] | None = None, reset_TB: Tensor | None = None, reverse: bool = False
) -> Compute:
    """The scan under test."""

    def compute(case: Case) -> Results:
        lengths_B = None if lengths is None else torch.tensor(lengths, device=case.x_TBD.device)
        y, last = scan(
            case.cell, case.weights, case.x_TBD, case.state, lengths_B, reset_TB, engine=engine, reverse=reverse
        )
        return {"y": y, **_named("final", last)}

    return compute


def in_two_pieces(engine: Engine, cut: int) -> Compute:
    """The scan under test, cut: what is carried over the cut is the state and nothing else."""

    def compute(case: Case) -> Results:
        y_before, middle = scan(case.cell, case.weights, case.x_TBD[:cut], case.state, engine=engine)
        y_after, last = scan(case.cell, case.weights, case.x_TBD[cut:], middle, engine=engine)
        return {"y": torch.cat([y_before, y_after]), **_named("final", last)}

    return compute


@typechecks.off()
def by_folding(case: Case) -> Results:
    """`step` after `step`, each on its own projection. Unchecked types, as in `row_by_row`: checks take half the time."""
    y, last = _fold(case, case.x_TBD, case.state)
    return {"y": y, **_named("final", last)}


def row_by_row(lengths: Sequence[int] | None = None, reset_TB: Tensor | None = None) -> Compute:
    """Each row alone and unpadded, each piece between two resets alone: nothing to pad and nothing to reset."""

    @typechecks.off()
    def compute(case: Case) -> Results:
        outputs, finals = [], []
        for b, length in enumerate(lengths or [case.steps] * case.batch):
            state = map_state(lambda s, b=b: s[b : b + 1], case.state)
            flagged = [] if reset_TB is None else [t for t in range(length) if reset_TB[t, b]]
            cuts = sorted({0, length, *flagged})
            pieces = []
            for start, stop in pairwise(cuts):
                if start in flagged:
                    state = case.cell.initial_state(1, like=case.x_TBD)
                y_t1H, state = _fold(case, case.x_TBD[start:stop, b : b + 1], state)
                pieces.append(y_t1H)
            pieces.append(case.x_TBD.new_zeros(case.steps - length, 1, case.cell.output_size))
            outputs.append(torch.cat(pieces))
            finals.append(state)
        return {"y": torch.cat(outputs, dim=1), **_named("final", map_state(lambda *rows: torch.cat(rows), *finals))}

    return compute


def values_and_gradients(case: Case, compute: Compute, seed: int = 1) -> Results:
    """All results, and the gradient with respect to every leaf, for random cotangents on all results."""
    results = compute(case)
    generator = torch.Generator().manual_seed(seed)
    total = torch.zeros((), dtype=torch.float64, device=case.x_TBD.device)
    for value in results.values():
        cotangent = torch.randn(value.shape, generator=generator, dtype=torch.float64)
        total = total + (value * cotangent.to(value.device)).sum()
    leaves = case.leaves()
    gradients = torch.autograd.grad(total, list(leaves.values()), allow_unused=True, materialize_grads=True)
    return {**results, **{f"gradient of {name}": g for name, g in zip(leaves, gradients, strict=True)}}


def with_padding(case: Case, lengths: Sequence[int], value: float) -> Case:
    """The same case with `value` wherever a row has ended."""
    x_TBD = case.x_TBD.detach().clone()
    for b, length in enumerate(lengths):
        x_TBD[length:, b] = value
    return replace(case, x_TBD=x_TBD.requires_grad_())


def assert_same(actual: Mapping[str, Tensor], expected: Mapping[str, Tensor], tolerance: float = TOLERANCE) -> None:
    """Same names, shapes, dtypes, and values: a NaN is never the same. A tolerance of 0 means bit for bit."""
    assert actual.keys() == expected.keys()
    for name, value in actual.items():
        torch.testing.assert_close(
            value, expected[name], rtol=tolerance, atol=tolerance, msg=lambda text, name=name: f"{name}: {text}"
        )


def _fold(case: Case, x_TBD: Tensor, state: State) -> tuple[Tensor, State]:
    outputs = [x_TBD.new_zeros(0, x_TBD.shape[1], case.cell.output_size)]
    for x_BD in x_TBD:
        y_BH, state = case.cell.step(case.weights, case.cell.project(case.weights, x_BD), state)
        outputs.append(y_BH.unsqueeze(0))
    return torch.cat(outputs), state


def _named(prefix: str, state: State) -> Results:
    return {f"{prefix} {name}": value for name, value in zip(state._fields, state, strict=True)}
