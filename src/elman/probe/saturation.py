"""Saturation: gates and units that are stuck, and states over a long stream.

    a gate is at 0, or at 1, where σ < 0.05, or σ > 0.95: it lets nothing, or all, through, and learns slowly either way
    a tanh is at ±1 where |tanh| > 0.95; its slope is then below a tenth
    a unit is dead if its output hardly changes over all that was read: its standard deviation is at most a hundredth of that of
    the layer's liveliest unit
    the norm of a state is that of one sequence, the median over sequences

A cell is asked by running its `advance` once more under a watch on PyTorch's functions, so a cell of any user's is understood,
whether it calls `elman.cells.operations` or torch itself. Which gate a sigmoid is follows from what its value depends on: the
rows of `weight_ih`, or else of `weight_hh`, that no earlier one has claimed. What can't be told so is numbered.
"""

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from elman.axes import Tensor
from elman.cells import Cell, map_state
from elman.cells.operations import split
from elman.probe.tap import Step

# How near to 0, 1 or ±1 is there.
NEAR = 0.05
_SIGMOIDS = {torch.sigmoid, torch.Tensor.sigmoid, torch.special.expit}
_TANHS = {torch.tanh, torch.Tensor.tanh}
_CLAMPS = {torch.clamp, torch.Tensor.clamp}
_DEAD = 0.01
# What the letters of the best known cells mean.
_LETTERS = {"i": "input", "f": "forget", "g": "candidate", "o": "output"}
_WORDS: dict[str, Mapping[str, str]] = {
    "lstm": _LETTERS,
    "peephole_lstm": _LETTERS,
    "gru": {"r": "reset", "z": "update", "n": "candidate"},
}


class _Activations(TorchFunctionMode):
    """Notes what sigmoids and tanhs give, in order: ("gate" or "tanh", value)."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, Tensor]] = []

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        # The hard sigmoid is a clamp between 0 and 1.
        bounds = (*args[1:3], *(kwargs or {}).values())
        if function in _SIGMOIDS or (function in _CLAMPS and bounds == (0.0, 1.0)):
            self.found.append(("gate", result))
        elif function in _TANHS:
            self.found.append(("tanh", result))
        return result


def activations(cell: Cell, step: Step) -> list[tuple[str, Tensor]]:
    """What sigmoids ("gate") and tanhs ("tanh") gave in a step, in the order in which the cell asks for them."""
    with _Activations() as watching:
        cell.advance(step.weights, step.u_BG, step.before)
    return watching.found


def names_of(cell: Cell, step: Step) -> list[str]:
    """What each of a step's activations is called: the cell's own gate, in a word where it has one."""
    with torch.enable_grad():
        weights = {
            name: w.detach().requires_grad_() if w.is_floating_point() else w for name, w in step.weights.items()
        }
        u_BG = step.u_BG.detach().requires_grad_()
        before = map_state(lambda s: s.detach().requires_grad_(), step.before)
        found = activations(cell, Step(weights, u_BG, before, step.after))
        words, claimed, numbers = _WORDS.get(cell.name, {}), set[str](), Counter[str]()
        names = []
        for kind, value in found:
            rows = _rows_of(cell, value, u_BG, weights)
            gate = next((name for name in rows if name not in claimed), None)
            if gate is None:
                # A gate that is used twice, or what no one gate is behind.
                root = words.get(rows[0], rows[0]) if len(rows) == 1 else kind
                numbers[root] += 1
                names.append(_shown_state(value, step.after) or f"{root} {numbers[root] + (len(rows) == 1)}")
            else:
                claimed.add(gate)
                names.append(words.get(gate, gate))
    return names


def _shown_state(value: Tensor, after: Any) -> str | None:
    """What a tanh is called that shows a state: of an LSTM "tanh of c"."""
    for name, array in zip(after._fields, after, strict=True):
        if array.shape == value.shape and torch.equal(array.tanh(), value):
            return f"tanh of {name}"
    return None


def _rows_of(cell: Cell, value: Tensor, u_BG: Tensor, weights: Mapping[str, Tensor]) -> list[str]:
    """The gates whose rows a value depends on: those of u first, then those of `weight_hh`; those it depends on most first."""
    if not value.requires_grad:
        return []
    hidden = weights.get("weight_hh")
    asked = [u_BG, *([hidden] if hidden is not None else [])]
    gradients = torch.autograd.grad(value.sum(), asked, retain_graph=True, allow_unused=True)
    names: list[str] = []
    for gradient, gates, axis in zip(gradients, (cell.gate_names, cell.recurrent_gate_names), (-1, 0), strict=False):
        if gradient is None or not gates or gradient.shape[axis] % len(gates):
            continue
        blocks = split(gradient, len(gates)) if axis == -1 else gradient.chunk(len(gates))
        weight = {gate: float(block.abs().sum()) for gate, block in zip(gates, blocks, strict=True)}
        names += sorted((gate for gate in gates if weight[gate] > 0), key=lambda gate: -weight[gate])
    return list(dict.fromkeys(names))


class Saturation:
    """Counts over the steps of one layer in one direction. `add` is told of each step of a stream, in order."""

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._names: list[str] = []
        self._kinds: list[str] = []
        self._counts: list[tuple[int, int, int]] = []
        self._moments: tuple[Any, Any] = (0.0, 0.0)
        self._seen, self._steps = 0, 0
        self._norms: list[dict[str, Any]] = []

    def add(self, step: Step, valid_B: Tensor | None = None) -> None:
        """A step of the stream; of rows that have ended, `valid_B` false, nothing is counted."""
        rows = torch.ones_like(step.before[0][:, 0], dtype=torch.bool) if valid_B is None else valid_B
        if not bool(rows.any()):
            return
        found = activations(self._cell, step)
        if not self._counts:
            self._names = names_of(self._cell, step)
            self._kinds = [kind for kind, _ in found]
            self._counts = [(0, 0, 0)] * len(found)
        for place, (kind, every) in enumerate(found):
            value = every[rows] if every.dim() > 1 and every.shape[0] == len(rows) else every
            low = (value < NEAR).sum() if kind == "gate" else (value < NEAR - 1).sum()
            high = (value > 1 - NEAR).sum()
            before = self._counts[place]
            self._counts[place] = (before[0] + int(low), before[1] + int(high), before[2] + value.numel())
        h_BH = step.after[0][rows].detach().double()
        self._moments = (self._moments[0] + h_BH.sum(0), self._moments[1] + (h_BH * h_BH).sum(0))
        self._seen += len(h_BH)
        self._steps += 1
        # At 1, 2, 4, … steps: a drift shows on any scale.
        if math.log2(self._steps).is_integer():
            for name, array in zip(step.after._fields, step.after, strict=True):
                norm = float(array[rows].detach().norm(dim=-1).median())
                self._norms.append({"step": self._steps, "state": name, "median": norm})

    @property
    def dead(self) -> float:
        """The share of units whose output hardly changes."""
        mean_H = self._moments[0] / self._seen
        deviation_H = (self._moments[1] / self._seen - mean_H * mean_H).clamp(min=0).sqrt()
        # Rounding leaves something even of what is constant.
        least = max(_DEAD * float(deviation_H.max()), 1e-7 * float(mean_H.abs().max()))
        return float((deviation_H <= least).double().mean())

    def to_dict(self) -> dict[str, Any]:
        """Under the names of the probe's JSON form."""
        gates, tanhs = [], []
        for name, kind, (low, high, count) in zip(self._names, self._kinds, self._counts, strict=True):
            if kind == "gate":
                gates.append({"name": name, "at_0": low / count, "at_1": high / count})
            else:
                tanhs.append({"name": name, "at_1": (low + high) / count})
        return {"gates": gates, "tanh": tanhs, "dead": self.dead, "state_norms": self._norms}
