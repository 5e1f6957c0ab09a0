"""What the weights of a layer are at first, where that is not what its cell says: presets, and biases for long memory.

    "uniform"     what the cell says: for plain cells uniform in ±1/√H, as `torch.nn`
    "orthogonal"  each gate's recurrent matrix orthogonal; input matrices Xavier uniform, ±√(6 / (D + H)) for each gate;
                  biases 0                                   Saxe et al., arXiv 1312.6120; Glorot and Bengio, AISTATS 2010
    "identity"    each gate's recurrent matrix s·I; input matrices normal with standard deviation σ; biases 0. s = 1,
                  σ = 0.001                                  Le et al., arXiv 1504.00941
    "ring"        diagonal cells: u² uniform between r_min² and r_max², u ≥ 0. r_min = 0, r_max = 1. The paper's units are
                  complex, with a phase besides; a real one of phase 0 is what is here
                                                             Orvieto et al., arXiv 2303.06349
    forget_bias   b = value for the gates that keep the state, -value for one that keeps it while it is closed
                                                             Jozefowicz et al., ICML 2015
    chrono        b = log u, u uniform between 1 and T_max - 1, a draw for each unit, for the gates that keep the state; -b for
                  those that let new values in               Tallec and Ollivier, arXiv 1804.11188

Where there are two biases, that of W x has the value and that of U h is 0. A preset changes `weight_ih`, `weight_hh` and
biases; other weights stay as the cell's own initialiser made them. Instead of a name, any function of (cell, weights) serves as
a preset, such as `functools.partial(ring, r_min=0.9, r_max=0.999)`.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from elman.cells import Cell
from elman.errors import OptionError

Preset = Callable[[Cell, Mapping[str, Tensor]], None]


def uniform(cell: Cell, weights: Mapping[str, Tensor]) -> None:
    """What the cell's own initialiser made stays."""


def orthogonal(cell: Cell, weights: Mapping[str, Tensor]) -> None:
    """Raises `OptionError` for a cell without recurrent matrices."""
    recurrent = _recurrent(cell, weights, "orthogonal")
    if cell.diagonal:
        raise OptionError(f"init='orthogonal': units of the cell {cell.name!r} recur each on itself. Take init='ring'.")
    for block in recurrent.chunk(len(cell.recurrent_gate_names)):
        # The factorisation behind it wants float32 at least.
        block.copy_(nn.init.orthogonal_(block.float() if block.dtype.itemsize < 4 else torch.empty_like(block)))
    for block in cell.split_gates(weights["weight_ih"]):
        nn.init.xavier_uniform_(block)
    _clear_biases(weights)


def identity(cell: Cell, weights: Mapping[str, Tensor], scale: float = 1.0, deviation: float = 0.001) -> None:
    """Raises `OptionError` for a cell whose recurrent matrices aren't square."""
    recurrent = _recurrent(cell, weights, "identity")
    if cell.diagonal:
        nn.init.constant_(recurrent, scale)
    else:
        for block in recurrent.chunk(len(cell.recurrent_gate_names)):
            if block.shape[0] != block.shape[1]:
                raise OptionError(
                    f"init='identity': the recurrent matrices of the cell {cell.name!r} are {tuple(block.shape)}, "
                    "not square. Take init='orthogonal'."
                )
            nn.init.eye_(block).mul_(scale)
    nn.init.normal_(weights["weight_ih"], std=deviation)
    _clear_biases(weights)


def ring(cell: Cell, weights: Mapping[str, Tensor], r_min: float = 0.0, r_max: float = 1.0) -> None:
    """Raises `OptionError` for a cell that isn't diagonal, or radii that make no sense."""
    if not 0 <= r_min <= r_max:
        raise OptionError(f"r_min={r_min!r}, r_max={r_max!r}: give 0 ≤ r_min ≤ r_max.")
    recurrent = _recurrent(cell, weights, "ring")
    if not cell.diagonal:
        raise OptionError(
            f"init='ring' is for cells whose units recur each on itself alone, and {cell.name!r} is not one: "
            "take init='orthogonal'."
        )
    nn.init.uniform_(recurrent, r_min**2, r_max**2).sqrt_()


PRESETS: dict[str, Preset] = {"uniform": uniform, "orthogonal": orthogonal, "identity": identity, "ring": ring}


def preset(init: str | Preset) -> Preset:
    """The preset called `init`, or `init` itself if it is a function. Raises `OptionError`, with the names there are."""
    if callable(init):
        return init
    if init not in PRESETS:
        raise OptionError(f"init={init!r} is not known: choose from {', '.join(PRESETS)}, or give a function.")
    return PRESETS[init]


def forget_bias(cell: Cell, weights: Mapping[str, Tensor], value: float) -> None:
    """Raises `OptionError` for a cell without a gate that keeps the state, or without biases."""
    for gate, sign in _keep_gates(cell, weights, f"forget_bias={value!r}").items():
        _set_bias(cell, weights, gate, sign * value)


def chrono(cell: Cell, weights: Mapping[str, Tensor], longest: float) -> None:
    """Remember for up to `longest` steps. Raises `OptionError` as `forget_bias` does."""
    keep_gates = _keep_gates(cell, weights, f"chrono={longest!r}")
    rows = _bias_rows(cell, weights, "bias_ih") or _bias_rows(cell, weights, "bias_hh")
    like = next((rows[gate] for gate in keep_gates if gate in rows), next(iter(rows.values())))
    bias = nn.init.uniform_(torch.empty_like(like), 1, longest - 1).log_()
    for gate, sign in keep_gates.items():
        _set_bias(cell, weights, gate, sign * bias)
    for gate in cell.write_gates:
        _set_bias(cell, weights, gate, -bias)


def _recurrent(cell: Cell, weights: Mapping[str, Tensor], name: str) -> Tensor:
    if "weight_hh" not in weights:
        raise OptionError(f"init={name!r}: the cell {cell.name!r} has no recurrent weights. Leave init out.")
    return weights["weight_hh"]


def _clear_biases(weights: Mapping[str, Tensor]) -> None:
    for name, weight in weights.items():
        if name.startswith("bias_"):
            nn.init.zeros_(weight)


def _keep_gates(cell: Cell, weights: Mapping[str, Tensor], given: str) -> Mapping[str, int]:
    if not cell.keep_gates:
        raise OptionError(f"{given}: the cell {cell.name!r} has no gate that keeps its state. Leave it out.")
    if not {"bias_ih", "bias_hh"} & set(weights):
        raise OptionError(f"{given}: this cell, {cell!r}, has no biases. Leave it out, or give bias=True.")
    return cell.keep_gates


def _set_bias(cell: Cell, weights: Mapping[str, Tensor], gate: str, value: float | Tensor) -> None:
    """The gate's bias: in `bias_ih` if there is one. A variant of a cell may be without the gate."""
    rest = value
    for name in ("bias_ih", "bias_hh"):
        rows = _bias_rows(cell, weights, name)
        if gate in rows:
            rows[gate].copy_(torch.as_tensor(rest))
            rest = 0.0


def _bias_rows(cell: Cell, weights: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """The part of each gate in one of the two biases, if there is that bias."""
    if name not in weights:
        return {}
    if name == "bias_ih":
        return dict(zip(cell.gate_names, cell.split_gates(weights[name]), strict=True))
    gates = cell.recurrent_gate_names
    return dict(zip(gates, weights[name].chunk(len(gates)), strict=True))
