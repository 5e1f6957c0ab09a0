"""FastRNN, an Elman network with a residual connection of two learnt numbers, and FastGRNN, which gates it.

FastRNN:

    n_t = f(W x_t + b_ih + U h_{t-1} + b_hh)          f is tanh or another activation
    h_t = σ(α) n_t + σ(β) h_{t-1}
    y_t = h_t

FastGRNN, whose gate and new state share W and U:

    p_t = W x_t + U h_{t-1}
    z_t = g(p_t + b_iz + b_hz)                        g is σ or another activation
    n_t = tanh(p_t + b_in + b_hn)
    h_t = (σ(ζ) (1 - z_t) + σ(ν)) ⊙ n_t + z_t ⊙ h_{t-1}
    y_t = h_t

Source: A. Kusupati et al., "FastGRNN: a fast, accurate, stable and tiny kilobyte sized gated recurrent neural network",
arXiv 1901.02358 (2018), without its low-rank, sparse and quantised matrices. The paper has one bias where there are two here,
which are torchrecurrent's. The package documents σ for g, as the paper has it, but takes tanh unless told otherwise: weights
trained with it need `gate_nonlinearity="tanh"`.

Layer norm has no place in FastGRNN, whose biases go with gates and whose products don't.

Weights (D inputs, H units; the one row of gates is `h`, in FastGRNN `p`):

    weight_ih  W  (H, D)     weight_hh  U  (H, H)
    FastRNN:   bias_ih  (H)      bias_hh  (H)      alpha  α  (1)     beta  β  (1)
    FastGRNN:  bias_ih  (2H)     bias_hh  (2H)     zeta   ζ  (1)     nu    ν  (1)     biases in the order z n

Initialiser: matrices and biases uniform in ±1/√H (torchrecurrent: Xavier's, biases 0). α, β, ζ and ν start from options, by
default as in the authors' code: -3, 3, 1, -4, so that FastRNN starts by keeping its state. (torchrecurrent: 3, -3, 3, -3.)
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch

from elman.axes import Float, Tensor
from elman.cells.cell import ALL_INNER_OPTIONS, Cell, Weights
from elman.cells.checks import check_number
from elman.cells.operations import activation, affine, sigmoid, split_rows, tanh


class FastState(NamedTuple):
    """h (B, H): the hidden state."""

    h: Tensor


@dataclass(frozen=True)
class FastRNNCell(Cell):
    """One step of FastRNN. Raises `OptionError` for an f that isn't known and initial values that are no numbers."""

    nonlinearity: str = "tanh"
    alpha_init: float = -3.0
    beta_init: float = 3.0

    name: ClassVar[str] = "fastrnn"
    title: ClassVar[str] = "FastRNN"
    citation: ClassVar[str] = "Kusupati et al. 2018, arXiv 1901.02358"
    gates: ClassVar[tuple[str, ...]] = ("h",)
    inner_options: ClassVar[frozenset[str]] = ALL_INNER_OPTIONS
    state_type: ClassVar = FastState

    def __post_init__(self) -> None:
        super().__post_init__()
        activation(self.nonlinearity)
        check_number("alpha_init", self.alpha_init)
        check_number("beta_init", self.beta_init)

    def weight_shapes(self, input_size: int) -> dict[str, tuple[int, ...]]:
        return super().weight_shapes(input_size) | {"alpha": (1,), "beta": (1,)}

    def initialise(self, weights: Weights) -> None:
        super().initialise(weights)
        torch.nn.init.constant_(weights["alpha"], self.alpha_init)
        torch.nn.init.constant_(weights["beta"], self.beta_init)

    def step(
        self, weights: Weights, u_BG: Float[Tensor, "B H"], state: FastState
    ) -> tuple[Float[Tensor, "B H"], FastState]:
        f = activation(self.nonlinearity)
        new = self.candidate(weights, f(self.inputs(weights, u_BG) + self.recur(weights, state.h)))
        h_BH = sigmoid(weights["alpha"]) * new + sigmoid(weights["beta"]) * state.h
        return h_BH, FastState(h_BH)


@dataclass(frozen=True)
class FastGRNNCell(Cell):
    """One step of FastGRNN. Raises `OptionError` for a g that isn't known and initial values that are no numbers."""

    gate_nonlinearity: str = "sigmoid"
    zeta_init: float = 1.0
    nu_init: float = -4.0

    name: ClassVar[str] = "fastgrnn"
    title: ClassVar[str] = "FastGRNN"
    citation: ClassVar[str] = "Kusupati et al. 2018, arXiv 1901.02358"
    gates: ClassVar[tuple[str, ...]] = ("p",)
    inner_options: ClassVar[frozenset[str]] = frozenset({"variational_dropout", "recurrent_dropout"})
    state_type: ClassVar = FastState

    def __post_init__(self) -> None:
        super().__post_init__()
        activation(self.gate_nonlinearity, "gate_nonlinearity")
        check_number("zeta_init", self.zeta_init)
        check_number("nu_init", self.nu_init)

    def weight_shapes(self, input_size: int) -> dict[str, tuple[int, ...]]:
        shapes = super().weight_shapes(input_size)
        shapes |= {name: (2 * self.hidden_size,) for name in shapes if name.startswith("bias_")}
        return shapes | {"zeta": (1,), "nu": (1,)}

    def initialise(self, weights: Weights) -> None:
        super().initialise(weights)
        torch.nn.init.constant_(weights["zeta"], self.zeta_init)
        torch.nn.init.constant_(weights["nu"], self.nu_init)

    @property
    def projects_bias(self) -> bool:
        # Gate and new state share W x, and add biases of their own.
        return False

    def step(
        self, weights: Weights, u_BG: Float[Tensor, "B H"], state: FastState
    ) -> tuple[Float[Tensor, "B H"], FastState]:
        h_BH = state.h * weights["mask_h"] if "mask_h" in weights else state.h
        z = n = u_BG + affine(h_BH, weights["weight_hh"])
        for name in ("bias_ih", "bias_hh"):
            if name in weights:
                b_z, b_n = split_rows(weights[name], 2)
                z, n = z + b_z, n + b_n
        z = activation(self.gate_nonlinearity)(z)
        new = self.candidate(weights, tanh(n))
        h_BH = (sigmoid(weights["zeta"]) * (1 - z) + sigmoid(weights["nu"])) * new + z * state.h
        return h_BH, FastState(h_BH)
