"""The quasi-recurrent network (QRNN): gates from a convolution over the inputs, and a pooling that is linear in its state.

    z_t = tanh(s_z)      f_t, o_t, i_t = σ(s_f), σ(s_o), σ(s_i)
    s   = W x_t + V_1 x_{t-1} + … + V_{k-1} x_{t-k+1} + b           for each gate, rows of its own; k = `window`

f-pooling:      c_t = f_t ⊙ c_{t-1} + (1 - f_t) ⊙ z_t             y_t = c_t
fo-pooling:     c_t as in f-pooling                                y_t = o_t ⊙ c_t
ifo-pooling:    c_t = f_t ⊙ c_{t-1} + i_t ⊙ z_t                   y_t = o_t ⊙ c_t

Before the first step of a sequence x is zero. What is carried from step to step beside c, if k > 1, is not the former inputs
but their products: p holds, for each of the next k - 1 steps, the part of s that is already known.

    s = W x_t + b + p^1_{t-1}      p^j_t = V_j x_t + p^{j+1}_{t-1}, with p^k = 0

Source: J. Bradbury et al., "Quasi-recurrent neural networks", arXiv 1611.01576 (2016), without the dense connections and the
attention of its larger models. Its convolutions have widths from 2 to 6 and no biases are written; here k is 1 unless it is
given, and there is one bias. Its zoneout, dropout on 1 - f, is that of c here. Where there is recurrent dropout it drops z.
Layer norm takes s.

Weights (gate order z f, z f o or z f o i: G rows in all; D inputs, H units; there is no recurrent matrix):

    weight_ih  W  (G, D)     bias_ih (G)     weight_past  V_1 V_2 …  ((k-1)·G, D), if k > 1

Initialiser: all uniform in ±1/√H.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from elman.axes import Float, Tensor
from elman.cells.cell import Cell, Weights
from elman.cells.checks import check_size
from elman.cells.operations import affine, concat, sigmoid, split, tanh
from elman.errors import OptionError

# The gates of each pooling.
_POOLINGS = {"f": ("z", "f"), "fo": ("z", "f", "o"), "ifo": ("z", "f", "o", "i")}


class QRNNState(NamedTuple):
    """c (B, H): the cell state, which is the output of f-pooling alone."""

    c: Tensor


class QRNNWindowState(NamedTuple):
    """c (B, H): the cell state. p (B, (k-1)·G): what the next k - 1 steps have of the inputs up to here, the next one first."""

    c: Tensor
    p: Tensor


@dataclass(frozen=True)
class QRNNCell(Cell):
    """One step of the QRNN. Raises `OptionError` for a pooling that isn't known and for a window below 1."""

    pooling: str = "fo"
    window: int = 1

    name: ClassVar[str] = "qrnn"
    title: ClassVar[str] = "Quasi-recurrent network"
    citation: ClassVar[str] = "Bradbury et al. 2016, arXiv 1611.01576"
    gates: ClassVar[tuple[str, ...]] = _POOLINGS["fo"]
    recurrent_gates: ClassVar[tuple[str, ...] | None] = ()
    keep_gates: ClassVar = {"f": 1}
    write_gates: ClassVar[tuple[str, ...]] = ("i",)
    scans: ClassVar[bool] = True
    inner_options: ClassVar[frozenset[str]] = frozenset({"layer_norm", "recurrent_dropout"})

    def __post_init__(self) -> None:
        if self.pooling not in _POOLINGS:
            raise OptionError(f"pooling={self.pooling!r} is not known: choose from {', '.join(_POOLINGS)}.")
        check_size("window", self.window)
        super().__post_init__()

    @property
    def state_type(self) -> Any:
        """With p only if there are former inputs."""
        return QRNNState if self.window == 1 else QRNNWindowState

    @property
    def gate_names(self) -> tuple[str, ...]:
        return _POOLINGS[self.pooling]

    @property
    def state_sizes(self) -> tuple[int, ...]:
        former = ((self.window - 1) * len(self.gate_names) * self.hidden_size,)
        return (self.hidden_size, *(former if self.window > 1 else ()))

    @property
    def zoneout_rates(self) -> tuple[float, ...]:
        """One probability is that of c alone: p is a record of inputs."""
        if isinstance(self.zoneout, tuple) or self.window == 1:
            return super().zoneout_rates
        return (self.zoneout, 0.0)

    def weight_shapes(self, input_size: int) -> dict[str, tuple[int, ...]]:
        shapes = super().weight_shapes(input_size)
        if self.window > 1:
            shapes["weight_past"] = ((self.window - 1) * shapes["weight_ih"][0], input_size)
        return shapes

    def project(self, weights: Weights, x: Float[Tensor, "*steps D"]) -> Float[Tensor, "*steps _"]:
        """W x_t + b, and beside it V_1 x_t, V_2 x_t, …, for the steps to come."""
        u = super().project(weights, x)
        return concat([u, affine(x, weights["weight_past"])]) if self.window > 1 else u

    def step(self, weights: Weights, u_BG: Float[Tensor, "B _"], state: Any) -> tuple[Float[Tensor, "B H"], Any]:
        s_BG = u_BG
        after: list[Tensor] = []
        if self.window > 1:
            s_BG, *later = split(u_BG, self.window)
            known, *known_later = split(state.p, self.window - 1)
            s_BG = s_BG + known
            *joined, last = later
            after = [concat([*(a + b for a, b in zip(joined, known_later, strict=True)), last])]
        z, f, *others = split(self.inputs(weights, s_BG), len(self.gate_names))
        f, *others = (sigmoid(gate) for gate in (f, *others))
        written = self.candidate(weights, tanh(z))
        c_BH = f * state.c + (others[1] if self.pooling == "ifo" else 1 - f) * written
        y_BH = others[0] * c_BH if others else c_BH
        return y_BH, self.state_type(c_BH, *after)
