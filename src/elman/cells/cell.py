"""The contract of a cell: one step of a recurrent network, and what a step needs to know.

A cell is a frozen value. It owns no parameters and no state: it says which weights it has (`weight_shapes`), which states
(`state_sizes`), what of a step doesn't depend on the state (`project`), and the step itself. Engines run it over time,
layers hold its weights.

`step` is the equations. Some options hold for any cell: `advance` puts them around the step, and is what engines run. Others
sit inside a cell; a step that uses `inputs`, `recur` and `candidate` instead of bare products has them.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar, TypeVar

import torch

from elman.axes import Bool, Float, Int, Tensor
from elman.cells.checks import check_number, check_probability, check_size
from elman.cells.clipping import clip_gradient
from elman.cells.operations import affine, clip, concat, layer_norm, split, split_rows
from elman.errors import OptionError

# Parameters by name and, in training, the masks that were drawn.
Weights = Mapping[str, Tensor]
# What was drawn, by name: see `Mask`.
Masks = Mapping[str, Tensor]
# A NamedTuple of arrays (B, size), one for each state of the cell.
State = Any
_AnyState = TypeVar("_AnyState", bound=tuple)
# The options for which a step has to use `inputs`, `recur` and `candidate`.
ALL_INNER_OPTIONS = frozenset({"layer_norm", "variational_dropout", "recurrent_dropout"})


@dataclass(frozen=True)
class Mask:
    """Random zeros that training draws: (T, B, size) if `every_step`, else (B, size), the same at all steps.

    An element is 0 with probability `zero`, otherwise 1 or, if `scaled`, 1 / (1 - zero), so that its mean is 1.
    """

    size: int
    zero: float
    every_step: bool
    scaled: bool = True


@dataclass(frozen=True)
class Cell(ABC):
    """One step of a recurrent network of `hidden_size` units.

    Weights go by the names of `torch.nn`: `weight_ih` (G, D), `weight_hh` (G', H), `bias_ih` (G), `bias_hh` (G'), where G is
    the number of gates times H and the gates stand in the order of `gates`, G' the same of `recurrent_gates`.

    bias                 whether there are biases at all
    recurrent_bias       whether U h has a bias of its own beside that of W x
    layer_norm           each gate's W x and U h are normalised over its H units, with a gain each (`norm_ih`, `norm_hh`);
                         biases are added after it (Ba et al., arXiv 1607.06450, where the gates of an LSTM go together)
    variational_dropout  h is dropped before its product, by one mask for a whole sequence (Gal and Ghahramani,
                         arXiv 1512.05287)
    recurrent_dropout    what is about to be added to the state is dropped, at each step anew (Semeniuta et al.,
                         arXiv 1603.05118)
    zoneout              a unit of a state keeps its former value; one probability, or one for each state (Krueger et al.,
                         arXiv 1606.01305). Where no mask is drawn, the expected value is taken
    clip_state           states are held within ± this
    clip_gradient        the gradient that goes from one step to the step before it is held within ± this, element by element

    Raises `OptionError` for values that make no sense and for options that the cell has no place for.
    """

    hidden_size: int
    bias: bool = True
    recurrent_bias: bool = field(default=True, kw_only=True)
    layer_norm: bool = field(default=False, kw_only=True)
    variational_dropout: float = field(default=0.0, kw_only=True)
    recurrent_dropout: float = field(default=0.0, kw_only=True)
    zoneout: float | tuple[float, ...] = field(default=0.0, kw_only=True)
    clip_state: float | None = field(default=None, kw_only=True)
    clip_gradient: float | None = field(default=None, kw_only=True)
    # Size of x, for cells whose step reads x itself; `for_input` sets it.
    input_size: int = field(default=0, kw_only=True)

    # What `--cell` and `elman cells` call it, in words, and where it comes from.
    name: ClassVar[str]
    title: ClassVar[str] = ""
    citation: ClassVar[str] = ""
    gates: ClassVar[tuple[str, ...]]
    # The gates that have rows in `weight_hh`; None means all of them.
    recurrent_gates: ClassVar[tuple[str, ...] | None] = None
    # Whether units recur each on itself alone: `weight_hh` is a vector.
    diagonal: ClassVar[bool] = False
    # Whether the step reads x itself, not only a projection of it.
    reads_input: ClassVar[bool] = False
    # Whether its states are linear in themselves, so that a whole sequence can be computed as a scan, without a loop over time.
    scans: ClassVar[bool] = False
    # Which options inside a step it has: "layer_norm" takes `inputs` and `recur`, "variational_dropout" `recur`,
    # "recurrent_dropout" `candidate`.
    inner_options: ClassVar[frozenset[str]] = frozenset()
    # Gates that decide how long the state is kept: 1 if it is kept while the gate is open, -1 if while it is closed.
    keep_gates: ClassVar[Mapping[str, int]] = {}
    # Gates that let new values in, apart from the keep gates: chrono initialisation closes them as far.
    write_gates: ClassVar[tuple[str, ...]] = ()
    # The NamedTuple class of the cell's state; its first field is the hidden state h.
    state_type: ClassVar[Any]

    def __post_init__(self) -> None:
        check_size("hidden_size", self.hidden_size)
        for name in ("variational_dropout", "recurrent_dropout"):
            check_probability(name, getattr(self, name))
        for rate in self.zoneout_rates:
            check_probability("zoneout", rate)
        for name in ("clip_state", "clip_gradient"):
            if getattr(self, name) is not None:
                check_number(name, getattr(self, name), above=0)
        for name in ("layer_norm", "variational_dropout", "recurrent_dropout"):
            if getattr(self, name) and name not in self.inner_options:
                raise OptionError(
                    f"{name}={getattr(self, name)!r}: the cell {self.name!r} has no place for it. Leave it out."
                )

    @property
    def output_size(self) -> int:
        """Size of y_t: what the next layer reads."""
        return self.hidden_size

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """Size of each state, in the order of `state_type`'s fields."""
        return (self.hidden_size,) * len(self.state_type._fields)

    @property
    def gate_names(self) -> tuple[str, ...]:
        """The gates in the order of `weight_ih`'s rows, `hidden_size` rows each."""
        return self.gates

    @property
    def recurrent_gate_names(self) -> tuple[str, ...]:
        """The gates in the order of `weight_hh`'s rows."""
        return self.gate_names if self.recurrent_gates is None else self.recurrent_gates

    @property
    def piece_size(self) -> int:
        """Width of what a step works on: arrays are cut into pieces of so many columns by `split`."""
        return self.hidden_size

    @property
    def zoneout_rates(self) -> tuple[float, ...]:
        """The probability of zoneout for each state. Raises `OptionError` if there are neither one nor as many as states."""
        states = len(self.state_type._fields)
        rates = self.zoneout if isinstance(self.zoneout, tuple) else (self.zoneout,) * states
        if len(rates) != states:
            raise OptionError(
                f"zoneout={self.zoneout!r} has {len(rates)} probabilities: give one, or one for each state of the cell "
                f"{self.name!r}: {', '.join(self.state_type._fields)}."
            )
        return rates

    @property
    def masks(self) -> dict[str, Mask]:
        """What training draws, by the names under which a step finds it among its weights."""
        masks = {}
        if self.variational_dropout:
            masks["mask_h"] = Mask(self.state_sizes[0], self.variational_dropout, every_step=False)
        if self.recurrent_dropout:
            masks["mask_candidate"] = Mask(self.hidden_size, self.recurrent_dropout, every_step=True)
        for name, size, rate in zip(self.state_type._fields, self.state_sizes, self.zoneout_rates, strict=True):
            if rate:
                # Zero where the state takes its new value.
                masks[f"mask_keep_{name}"] = Mask(size, 1 - rate, every_step=True, scaled=False)
        return masks

    @property
    def has_options(self) -> bool:
        """Whether anything is asked for that plain equations don't have: PyTorch's own layers know none of it."""
        names = {field.name for field in fields(Cell)} - {"hidden_size", "bias", "recurrent_bias", "input_size"}
        defaults = {field.name: field.default for field in fields(Cell)}
        return any(getattr(self, name) != defaults[name] for name in names) or (self.bias and not self.recurrent_bias)

    @property
    def projects_bias(self) -> bool:
        """Whether `project` adds `bias_ih`; if not, the step does: after a layer norm."""
        return self.bias and not self.layer_norm

    def for_input(self, input_size: int) -> "Cell":
        """The cell for inputs of this size."""
        return replace(self, input_size=input_size) if self.reads_input else self

    def weight_shapes(self, input_size: int) -> dict[str, tuple[int, ...]]:
        """Name and shape of each weight, in the order in which `torch.nn` registers (and draws) them."""
        rows = len(self.gate_names) * self.hidden_size
        recurrent_rows = len(self.recurrent_gate_names) * self.hidden_size
        shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows, input_size)}
        if recurrent_rows:
            shapes["weight_hh"] = (recurrent_rows,) if self.diagonal else (recurrent_rows, self.state_sizes[0])
        if self.bias:
            shapes["bias_ih"] = (rows,)
        if self.bias and self.recurrent_bias and recurrent_rows:
            shapes["bias_hh"] = (recurrent_rows,)
        if self.layer_norm:
            shapes["norm_ih"] = (rows,)
        if self.layer_norm and recurrent_rows:
            shapes["norm_hh"] = (recurrent_rows,)
        return shapes

    def split_gates(self, rows: Tensor) -> tuple[Tensor, ...]:
        """Cut `weight_ih`, or its bias, into the rows of each gate, in the order of `gate_names`."""
        return split_rows(rows, len(self.gate_names))

    def initialise(self, weights: Weights) -> None:
        """Fill the weights: gains of layer norm with 1, all others uniform in ±1/√H, drawn in their order."""
        bound = self.hidden_size**-0.5
        for name, weight in weights.items():
            if name.startswith("norm_"):
                torch.nn.init.ones_(weight)
            else:
                torch.nn.init.uniform_(weight, -bound, bound)

    def initial_state(self, batch: int, like: Tensor) -> State:
        """The state before the first step: zeros (B, size), with the dtype and on the device of `like` (a weight)."""
        return self.state_type(*(like.new_zeros(batch, size) for size in self.state_sizes))

    def project(self, weights: Weights, x: Float[Tensor, "*steps D"]) -> Float[Tensor, "*steps G"]:
        """u_t = W x_t + b_ih: all that does not depend on the state, one product for the whole sequence."""
        return affine(x, weights["weight_ih"], weights["bias_ih"] if self.projects_bias else None)

    @abstractmethod
    def step(self, weights: Weights, u_BG: Float[Tensor, "B G"], state: State) -> tuple[Float[Tensor, "B H"], State]:
        """One step: (u_t, state before) -> (y_t, state after). Pure: changes nothing that it is given."""

    def advance(self, weights: Weights, u_BG: Float[Tensor, "B G"], state: State) -> tuple[Float[Tensor, "B H"], State]:
        """One step with the options that hold for any cell: what engines run. Where y is a state, it stays that state."""
        if self.clip_gradient is not None:
            limit = self.clip_gradient
            state = map_state(lambda s: clip_gradient(s, limit), state)
        y, after = self.step(weights, u_BG, state)
        if self.clip_state is None and not any(self.zoneout_rates):
            return y, after
        arrays = []
        for name, new, old, rate in zip(after._fields, after, state, self.zoneout_rates, strict=True):
            value = new
            if rate:
                keep = weights.get(f"mask_keep_{name}", rate)
                value = value + keep * (old - value)
            if self.clip_state is not None:
                value = clip(value, -self.clip_state, self.clip_state)
            y = value if y is new else y
            arrays.append(value)
        return y, type(after)(*arrays)

    def scan(
        self,
        run: Callable[..., Any],
        weights: Weights,
        x_TBD: Float[Tensor, "T B D"],
        state: State,
        lengths_B: Int[Tensor, "B"] | None = None,
        reset_TB: Bool[Tensor, "T B"] | None = None,
        *,
        fresh: State,
    ) -> tuple[Float[Tensor, "T B H"], State]:
        """A whole sequence at once, faster than step by step: what folding `step` over it gives, from any state.

        For cells that have one. Runs forwards in time, without masks and without the options that `advance` puts
        around a step. x is 0 beyond a row's length; what y is there doesn't matter. `reset_TB` has no flags there, `fresh` is
        the state after a reset, arrays of (1, size), and `run` is `elman.engines.scan`, for cells that are made of others.
        """
        raise NotImplementedError(f"the cell {self.name!r} has no scan of its own")

    # ---- what steps are written with, so that a cell has the options inside of it ------------------------------------

    def inputs(self, weights: Weights, u_BG: Float[Tensor, "B G"]) -> Float[Tensor, "B G"]:
        """u_t, each gate normalised if there is a layer norm."""
        if not self.layer_norm:
            return u_BG
        return self._normed(u_BG, weights["norm_ih"], weights.get("bias_ih"))

    def recur(
        self, weights: Weights, h_BH: Float[Tensor, "B H"], part: int = 0, parts: int = 1
    ) -> Float[Tensor, "B _"]:
        """U h + b_hh, or of `parts` equal groups of its rows the one with number `part`; h dropped and gates normalised."""
        matrix, bias = weights["weight_hh"], weights.get("bias_hh")
        if parts > 1:
            matrix = split_rows(matrix, parts)[part]
            bias = None if bias is None else split_rows(bias, parts)[part]
        if "mask_h" in weights:
            h_BH = h_BH * weights["mask_h"]
        if not self.layer_norm:
            return affine(h_BH, matrix, bias)
        return self._normed(affine(h_BH, matrix), split_rows(weights["norm_hh"], parts)[part], bias)

    def candidate(self, weights: Weights, g_BH: Float[Tensor, "B H"]) -> Float[Tensor, "B H"]:
        """What is about to be added to the state: dropped, in training, if there is recurrent dropout."""
        return g_BH * weights["mask_candidate"] if "mask_candidate" in weights else g_BH

    def _normed(self, gates_BG: Tensor, gain: Tensor, bias: Tensor | None) -> Tensor:
        gates = gates_BG.shape[-1] // self.hidden_size
        gains = split_rows(gain, gates)
        biases = split_rows(bias, gates) if bias is not None else (None,) * gates
        parts = zip(split(gates_BG, gates), gains, biases, strict=True)
        return concat([layer_norm(gate, own_gain, own_bias) for gate, own_gain, own_bias in parts])


def map_state(function: Callable[..., Tensor], *states: _AnyState) -> _AnyState:
    """Apply `function` to each array of one state, or to the matching arrays of several; the state's type stays."""
    values = [function(*arrays) for arrays in zip(*states, strict=True)]
    first = states[0]
    return type(first)._make(values) if hasattr(first, "_make") else type(first)(values)
