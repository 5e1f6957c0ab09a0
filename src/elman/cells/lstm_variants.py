"""Variants of the LSTM: original, peephole, with a memory controller, with working memory, multiplicative, residual.

All have a hidden state h and a cell state c; v = U h_{t-1} + b_hh, gate by gate, u = W x_t + b_ih.

Original (no forget gate: what is in c stays):

    i_t, o_t = σ(u + v)      g_t = tanh(u + v)
    c_t = c_{t-1} + i_t ⊙ g_t
    h_t = o_t ⊙ tanh(c_t)

    S. Hochreiter and J. Schmidhuber, "Long short-term memory", Neural Computation 9 (1997). The paper squashes g to ±2
    and c to ±1 by shifted logistic functions and cuts the gradient at the gates; here it is tanh twice and the whole
    gradient, as in torchrecurrent.
    Gates i g o: weight_ih (3H, D)   weight_hh (3H, H)   bias_ih (3H)   bias_hh (3H)

Peephole: `elman.cells.lstm` with its `peepholes`, which see.

    F. Gers, N. Schraudolph and J. Schmidhuber, "Learning precise timing with LSTM recurrent networks", JMLR 3 (2002).
    tanh stands for the paper's squashing functions.

With a memory controller (what recurs is m_t ⊙ tanh(c_t), not the output):

    f_t, i_t, o_t, m_t = σ(u + v)      n_t = tanh(u + v)      v = U k_{t-1} + b_hh
    c_t = f_t ⊙ c_{t-1} + i_t ⊙ n_t
    k_t = m_t ⊙ tanh(c_t)
    y_t = o_t ⊙ tanh(c_t)

    I. Ben-Ari and R. Shwartz-Ziv, "Sequence modeling using a memory controller extension for LSTM", NIPS time series
    workshop (2017). σ and the tanh of n can be chosen.
    Gates f i o m n: weight_ih (5H, D)   weight_hh (5H, H)   bias_ih (5H)   bias_hh (5H)

With working memory connections (the whole of c is seen by each gate):

    i_t = σ(u + v + tanh(M_i c_{t-1} + b_mi))      f_t = σ(u + v + tanh(M_f c_{t-1} + b_mf))      g_t = tanh(u + v)
    c_t = f_t ⊙ c_{t-1} + i_t ⊙ g_t
    o_t = σ(u + v + tanh(M_o c_t + b_mo))
    h_t = o_t ⊙ tanh(c_t)

    F. Landi et al., "Working memory connections for LSTM", arXiv 2109.00020. The paper has one bias for each gate; the
    biases inside of tanh are torchrecurrent's. Its docstring leaves out that tanh, and U h of g; its code has both.
    Gates i f g o: weight_ih (4H, D)   weight_hh (4H, H)   weight_mh  M_i M_f M_o  (3H, H)
    bias_ih (4H)   bias_hh (4H)   bias_mh (3H)

Multiplicative:

    m_t = u_m ⊙ (U h_{t-1} + b_hh)
    i_t, f_t, o_t = σ(u + M m_t + b_mh)      g_t = tanh(u + M m_t + b_mh)
    c_t = f_t ⊙ c_{t-1} + i_t ⊙ g_t
    h_t = o_t ⊙ tanh(c_t)

    B. Krause et al., "Multiplicative LSTM for sequence modelling", arXiv 1609.07959. The paper has no biases in m;
    torchrecurrent has.
    Gates m i f g o: weight_ih (5H, D)   weight_hh  U  (H, H)   weight_mh  M  (4H, H)
    bias_ih (5H)   bias_hh (H)   bias_mh (4H)

Residual (a way past the cell, for deep stacks; x_t is the output of the layer below):

    i_t = σ(u + v + p_i ⊙ c_{t-1})      f_t = σ(u + v + p_f ⊙ c_{t-1})      g_t = tanh(u + v)
    c_t = f_t ⊙ c_{t-1} + i_t ⊙ g_t
    o_t = σ(u + v + p_o ⊙ c_t)
    h_t = o_t ⊙ (P tanh(c_t) + R x_t)

    J. Kim, M. El-Khamy and J. Lee, "Residual LSTM", arXiv 1701.03360. The paper takes x itself for R x where the sizes
    are the same; here R is always there, as in torchrecurrent. σ and tanh can be chosen.
    Gates i f g o: weight_ih (4H, D)   weight_hh (4H, H)   weight_proj  P  (H, H)   weight_res  R  (H, D)
    weight_ph  p_i p_f p_o  (3H)   bias_ih (4H)   bias_hh (4H)

Names and shapes are those of torchrecurrent 0.2.5, so that its weights carry over. Layer norm is that of u and of U h;
what is made of c or m is not normalised. Initialiser: all uniform in ±1/√H, where torchrecurrent has Glorot's matrices
and zero biases.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from elman.axes import Float, Tensor
from elman.cells.cell import ALL_INNER_OPTIONS, Cell, Weights
from elman.cells.lstm import LSTMCell, LSTMState
from elman.cells.operations import activation, affine, concat, sigmoid, split, split_rows, tanh


@dataclass(frozen=True)
class OriginalLSTMCell(Cell):
    """One step of the LSTM of 1997, which has no forget gate."""

    name: ClassVar[str] = "original_lstm"
    title: ClassVar[str] = "Original LSTM, without forget gate"
    citation: ClassVar[str] = "Hochreiter and Schmidhuber 1997, Neural Computation 9"
    gates: ClassVar[tuple[str, ...]] = ("i", "g", "o")
    inner_options: ClassVar[frozenset[str]] = ALL_INNER_OPTIONS
    state_type: ClassVar = LSTMState

    def step(
        self, weights: Weights, u_BG: Float[Tensor, "B G"], state: LSTMState
    ) -> tuple[Float[Tensor, "B H"], LSTMState]:
        i, g, o = split(self.inputs(weights, u_BG) + self.recur(weights, state.h), 3)
        c_BH = state.c + sigmoid(i) * self.candidate(weights, tanh(g))
        h_BH = sigmoid(o) * tanh(c_BH)
        return h_BH, LSTMState(h_BH, c_BH)


@dataclass(frozen=True)
class PeepholeLSTMCell(LSTMCell):
    """`LSTMCell` with peepholes, unless they are asked away."""

    peepholes: bool = True

    name: ClassVar[str] = "peephole_lstm"
    title: ClassVar[str] = "LSTM with peepholes"
    citation: ClassVar[str] = "Gers et al. 2002, JMLR 3"


class MCLSTMState(NamedTuple):
    """k (B, H): the control vector, which recurs in the place of h. c (B, H): the cell state."""

    k: Tensor
    c: Tensor


@dataclass(frozen=True)
class MCLSTMCell(Cell):
    """One step of the LSTM with a memory controller. Raises `OptionError` for a nonlinearity that isn't known."""

    gate_nonlinearity: str = "sigmoid"
    cell_nonlinearity: str = "tanh"

    name: ClassVar[str] = "mclstm"
    title: ClassVar[str] = "LSTM with a memory controller"
    citation: ClassVar[str] = "Ben-Ari and Shwartz-Ziv 2017, NIPS time series workshop"
    gates: ClassVar[tuple[str, ...]] = ("f", "i", "o", "m", "n")
    keep_gates: ClassVar = {"f": 1}
    write_gates: ClassVar[tuple[str, ...]] = ("i",)
    inner_options: ClassVar[frozenset[str]] = ALL_INNER_OPTIONS
    state_type: ClassVar = MCLSTMState

    def __post_init__(self) -> None:
        super().__post_init__()
        activation(self.gate_nonlinearity, "gate_nonlinearity")
        activation(self.cell_nonlinearity, "cell_nonlinearity")

    def step(
        self, weights: Weights, u_BG: Float[Tensor, "B G"], state: MCLSTMState
    ) -> tuple[Float[Tensor, "B H"], MCLSTMState]:
        *gates, n = split(self.inputs(weights, u_BG) + self.recur(weights, state.k), 5)
        f, i, o, m = (activation(self.gate_nonlinearity)(gate) for gate in gates)
        c_BH = f * state.c + i * self.candidate(weights, activation(self.cell_nonlinearity)(n))
        shown = tanh(c_BH)
        return o * shown, MCLSTMState(m * shown, c_BH)


@dataclass(frozen=True)
class WMCLSTMCell(Cell):
    """One step of the LSTM with working memory connections."""

    name: ClassVar[str] = "wmclstm"
    title: ClassVar[str] = "LSTM with working memory connections"
    citation: ClassVar[str] = "Landi et al. 2021, arXiv 2109.00020"
    gates: ClassVar[tuple[str, ...]] = ("i", "f", "g", "o")
    keep_gates: ClassVar = {"f": 1}
    write_gates: ClassVar[tuple[str, ...]] = ("i",)
    inner_options: ClassVar[frozenset[str]] = ALL_INNER_OPTIONS
    state_type: ClassVar = LSTMState

    def weight_shapes(self, input_size: int) -> dict[str, tuple[int, ...]]:
        size = self.hidden_size
        shapes = super().weight_shapes(input_size) | {"weight_mh": (3 * size, size)}
        return shapes | {"bias_mh": (3 * size,)} if self.bias else shapes

    def step(
        self, weights: Weights, u_BG: Float[Tensor, "B G"], state: LSTMState
    ) -> tuple[Float[Tensor, "B H"], LSTMState]:
        i, f, g, o = split(self.inputs(weights, u_BG) + self.recur(weights, state.h), 4)
        matrices = split_rows(weights["weight_mh"], 3)
        biases = split_rows(weights["bias_mh"], 3) if self.bias else (None,) * 3
        i = sigmoid(i + tanh(affine(state.c, matrices[0], biases[0])))
        f = sigmoid(f + tanh(affine(state.c, matrices[1], biases[1])))
        c_BH = f * state.c + i * self.candidate(weights, tanh(g))
        h_BH = sigmoid(o + tanh(affine(c_BH, matrices[2], biases[2]))) * tanh(c_BH)
        return h_BH, LSTMState(h_BH, c_BH)


@dataclass(frozen=True)
class MultiplicativeLSTMCell(Cell):
    """One step of the multiplicative LSTM."""

    name: ClassVar[str] = "multiplicative_lstm"
    title: ClassVar[str] = "Multiplicative LSTM"
    citation: ClassVar[str] = "Krause et al. 2016, arXiv 1609.07959"
    gates: ClassVar[tuple[str, ...]] = ("m", "i", "f", "g", "o")
    recurrent_gates: ClassVar[tuple[str, ...] | None] = ("m",)
    keep_gates: ClassVar = {"f": 1}
    write_gates: ClassVar[tuple[str, ...]] = ("i",)
    inner_options: ClassVar[frozenset[str]] = ALL_INNER_OPTIONS
    state_type: ClassVar = LSTMState

    def weight_shapes(self, input_size: int) -> dict[str, tuple[int, ...]]:
        size = self.hidden_size
        shapes = super().weight_shapes(input_size) | {"weight_mh": (4 * size, size)}
        return shapes | {"bias_mh": (4 * size,)} if self.bias else shapes

    def step(
        self, weights: Weights, u_BG: Float[Tensor, "B G"], state: LSTMState
    ) -> tuple[Float[Tensor, "B H"], LSTMState]:
        u_m, *u = split(self.inputs(weights, u_BG), 5)
        m_BH = u_m * self.recur(weights, state.h)
        v = split(affine(m_BH, weights["weight_mh"], weights.get("bias_mh")), 4)
        i, f, g, o = (ours + theirs for ours, theirs in zip(u, v, strict=True))
        c_BH = sigmoid(f) * state.c + sigmoid(i) * self.candidate(weights, tanh(g))
        h_BH = sigmoid(o) * tanh(c_BH)
        return h_BH, LSTMState(h_BH, c_BH)


@dataclass(frozen=True)
class ResLSTMCell(Cell):
    """One step of the residual LSTM. Raises `OptionError` for a nonlinearity that isn't known."""

    nonlinearity: str = "tanh"
    gate_nonlinearity: str = "sigmoid"

    name: ClassVar[str] = "reslstm"
    title: ClassVar[str] = "Residual LSTM"
    citation: ClassVar[str] = "Kim et al. 2017, arXiv 1701.03360"
    gates: ClassVar[tuple[str, ...]] = ("i", "f", "g", "o")
    keep_gates: ClassVar = {"f": 1}
    write_gates: ClassVar[tuple[str, ...]] = ("i",)
    inner_options: ClassVar[frozenset[str]] = ALL_INNER_OPTIONS
    state_type: ClassVar = LSTMState

    def __post_init__(self) -> None:
        super().__post_init__()
        activation(self.nonlinearity)
        activation(self.gate_nonlinearity, "gate_nonlinearity")

    def weight_shapes(self, input_size: int) -> dict[str, tuple[int, ...]]:
        size = self.hidden_size
        return super().weight_shapes(input_size) | {
            "weight_proj": (size, size),
            "weight_res": (size, input_size),
            "weight_ph": (3 * size,),
        }

    def project(self, weights: Weights, x: Float[Tensor, "*steps D"]) -> Float[Tensor, "*steps G"]:
        """u_t, and beside it R x_t."""
        return concat([super().project(weights, x), affine(x, weights["weight_res"])])

    def step(
        self, weights: Weights, u_BG: Float[Tensor, "B G"], state: LSTMState
    ) -> tuple[Float[Tensor, "B H"], LSTMState]:
        f, gate = activation(self.nonlinearity), activation(self.gate_nonlinearity)
        *u, shortcut = split(u_BG, 5)
        u_i, u_f, u_g, u_o = split(self.inputs(weights, concat(u)) + self.recur(weights, state.h), 4)
        p_i, p_f, p_o = split_rows(weights["weight_ph"], 3)
        written = self.candidate(weights, f(u_g))
        c_BH = gate(u_f + p_f * state.c) * state.c + gate(u_i + p_i * state.c) * written
        h_BH = gate(u_o + p_o * c_BH) * (affine(f(c_BH), weights["weight_proj"]) + shortcut)
        return h_BH, LSTMState(h_BH, c_BH)
