"""Strongly typed networks: no product with a state, so that a state is a running mean of features of the input.

T-RNN:     z_t = W_z x_t + b_z      f_t = σ(W_f x_t + b_f)
           h_t = f_t ⊙ h_{t-1} + (1 - f_t) ⊙ z_t

T-GRU:     z_t = W_z x_t + V_z x_{t-1} + b_z      f_t = σ(W_f x_t + V_f x_{t-1} + b_f)
           o_t = tanh(W_o x_t + V_o x_{t-1} + b_o)
           h_t = f_t ⊙ h_{t-1} + z_t ⊙ o_t

T-LSTM:    z_t, f_t, o_t as in the T-GRU
           c_t = f_t ⊙ c_{t-1} + (1 - f_t) ⊙ z_t
           y_t = c_t ⊙ o_t                                   y is no state

All of W x and V x is made at once for the whole sequence. What a T-GRU and a T-LSTM carry from step to step beside h or
c is v_t = V x_t (3H), not x_t: of the same size in each layer, and zero before the first step as x is. torchrecurrent
carries x_t; its state is taken over as v = V x.

Source: D. Balduzzi and M. Ghifary, "Strongly-typed recurrent neural networks", arXiv 1602.02218. Biases are
torchrecurrent's: the paper has none in z, and one for W and V together (b = b_ih + b_hh here). σ, and the tanh of o,
can be chosen, as there. Where there is recurrent dropout it drops z, in the T-GRU z ⊙ o.

Weights (order z f, or z f o), as torchrecurrent 0.2.5:

    T-RNN            weight_ih (2H, D)   bias_ih (2H)
    T-GRU, T-LSTM    weight_ih  W  (3H, D)   weight_hh  V  (3H, D)   bias_ih (3H)   bias_hh (3H)

Initialiser: all uniform in ±1/√H, where torchrecurrent has Glorot's matrices and zero biases.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from elman.axes import Float, Tensor
from elman.cells.cell import Cell, Weights
from elman.cells.operations import activation, affine, concat, split


class TRNNState(NamedTuple):
    """h (B, H): the hidden state."""

    h: Tensor


@dataclass(frozen=True)
class TRNNCell(Cell):
    """One step of the strongly typed RNN. Raises `OptionError` for a nonlinearity that isn't known."""

    gate_nonlinearity: str = "sigmoid"

    name: ClassVar[str] = "trnn"
    title: ClassVar[str] = "Strongly typed RNN"
    citation: ClassVar[str] = "Balduzzi and Ghifary 2016, arXiv 1602.02218"
    gates: ClassVar[tuple[str, ...]] = ("z", "f")
    recurrent_gates: ClassVar[tuple[str, ...] | None] = ()
    keep_gates: ClassVar = {"f": 1}
    scans: ClassVar[bool] = True
    inner_options: ClassVar[frozenset[str]] = frozenset({"recurrent_dropout"})
    state_type: ClassVar = TRNNState

    def __post_init__(self) -> None:
        super().__post_init__()
        activation(self.gate_nonlinearity, "gate_nonlinearity")

    def step(
        self, weights: Weights, u_BG: Float[Tensor, "B G"], state: TRNNState
    ) -> tuple[Float[Tensor, "B H"], TRNNState]:
        z, f = split(u_BG, 2)
        f = activation(self.gate_nonlinearity)(f)
        h_BH = f * state.h + (1 - f) * self.candidate(weights, z)
        return h_BH, TRNNState(h_BH)


@dataclass(frozen=True)
class _StronglyTypedCell(Cell):
    """What a T-GRU and a T-LSTM have in common: z, f and o of this input and the last one."""

    gate_nonlinearity: str = "sigmoid"
    output_nonlinearity: str = "tanh"

    citation: ClassVar[str] = "Balduzzi and Ghifary 2016, arXiv 1602.02218"
    gates: ClassVar[tuple[str, ...]] = ("z", "f", "o")
    keep_gates: ClassVar = {"f": 1}
    scans: ClassVar[bool] = True
    inner_options: ClassVar[frozenset[str]] = frozenset({"recurrent_dropout"})

    def __post_init__(self) -> None:
        super().__post_init__()
        activation(self.gate_nonlinearity, "gate_nonlinearity")
        activation(self.output_nonlinearity, "output_nonlinearity")

    @property
    def state_sizes(self) -> tuple[int, ...]:
        return (self.hidden_size, 3 * self.hidden_size)

    def weight_shapes(self, input_size: int) -> dict[str, tuple[int, ...]]:
        return super().weight_shapes(input_size) | {"weight_hh": (3 * self.hidden_size, input_size)}

    def project(self, weights: Weights, x: Float[Tensor, "*steps D"]) -> Float[Tensor, "*steps G"]:
        """W x_t with all biases, and beside it V x_t, for the next step."""
        u = super().project(weights, x)
        if "bias_hh" in weights:
            u = u + weights["bias_hh"]
        return concat([u, affine(x, weights["weight_hh"])])

    def read(self, u_BG: Float[Tensor, "B G"], v_BG: Float[Tensor, "B _"]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """z, f and o of this step, and the v that the next one needs."""
        u_BG, v_after_BG = split(u_BG, 2)
        z, f, o = split(u_BG + v_BG, 3)
        return z, activation(self.gate_nonlinearity)(f), activation(self.output_nonlinearity)(o), v_after_BG


class TGRUState(NamedTuple):
    """h (B, H): the hidden state. v (B, 3H): V x of the last step."""

    h: Tensor
    v: Tensor


@dataclass(frozen=True)
class TGRUCell(_StronglyTypedCell):
    """One step of the strongly typed GRU. Raises `OptionError` for a nonlinearity that isn't known."""

    name: ClassVar[str] = "tgru"
    title: ClassVar[str] = "Strongly typed GRU"
    state_type: ClassVar = TGRUState

    def step(
        self, weights: Weights, u_BG: Float[Tensor, "B G"], state: TGRUState
    ) -> tuple[Float[Tensor, "B H"], TGRUState]:
        z, f, o, v_BG = self.read(u_BG, state.v)
        h_BH = f * state.h + self.candidate(weights, z * o)
        return h_BH, TGRUState(h_BH, v_BG)


class TLSTMState(NamedTuple):
    """c (B, H): the cell state, which is not the output. v (B, 3H): V x of the last step."""

    c: Tensor
    v: Tensor


@dataclass(frozen=True)
class TLSTMCell(_StronglyTypedCell):
    """One step of the strongly typed LSTM. Raises `OptionError` for a nonlinearity that isn't known."""

    name: ClassVar[str] = "tlstm"
    title: ClassVar[str] = "Strongly typed LSTM"
    state_type: ClassVar = TLSTMState

    def step(
        self, weights: Weights, u_BG: Float[Tensor, "B G"], state: TLSTMState
    ) -> tuple[Float[Tensor, "B H"], TLSTMState]:
        z, f, o, v_BG = self.read(u_BG, state.v)
        c_BH = f * state.c + (1 - f) * self.candidate(weights, z)
        return c_BH * o, TLSTMState(c_BH, v_BG)
