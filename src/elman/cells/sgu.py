"""The simple gated unit, whose input multiplies the state, and the deep one.

    g_t = φ(U_g ((W_g x_t + b_ig) ⊙ h_{t-1}) + b_hg)               φ is tanh
    o_t = ψ(g_t ⊙ h_{t-1})                                         SGU; ψ is softplus
          ψ(V (g_t ⊙ h_{t-1}))                                     DSGU; ψ is σ
    z_t = χ(W_z x_t + b_iz + U_z h_{t-1} + b_hz)                   update gate; χ is the hard σ
    h_t = (1 - z_t) ⊙ h_{t-1} + z_t ⊙ o_t
    y_t = h_t

Source: Y. Gao and D. Glowacka, "Deep gate recurrent neural network", arXiv 1604.02910 (2016), ACML 2016. The form is
torchrecurrent's: U_g has a bias b_hg, which the paper hasn't, and the gate has two biases for the paper's one. The hard σ is
PyTorch's, x / 6 + 1/2 held between 0 and 1; some libraries have x / 5 + 1/2. φ, ψ and χ can be other functions.

Weights (gate order g z; D inputs, H units):

    weight_ih  W  (2H, D)     weight_hh  U  (2H, H)     bias_ih (2H)     bias_hh (2H)     weight_ho  V  (H, H), in the DSGU

Initialiser: all uniform in ±1/√H, as `torch.nn.GRU`; torchrecurrent has Xavier's for matrices and zeros for biases.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from elman.axes import Float, Tensor
from elman.cells.cell import ALL_INNER_OPTIONS, Cell, Weights
from elman.cells.operations import activation, affine, split


class SGUState(NamedTuple):
    """h (B, H): the hidden state."""

    h: Tensor


@dataclass(frozen=True)
class SGUCell(Cell):
    """One step of the SGU. Raises `OptionError` for functions that aren't known."""

    nonlinearity: str = "tanh"
    output_nonlinearity: str = "softplus"
    gate_nonlinearity: str = "hard_sigmoid"

    name: ClassVar[str] = "sgu"
    title: ClassVar[str] = "Simple gated unit"
    citation: ClassVar[str] = "Gao and Glowacka 2016, arXiv 1604.02910"
    gates: ClassVar[tuple[str, ...]] = ("g", "z")
    keep_gates: ClassVar = {"z": -1}
    inner_options: ClassVar[frozenset[str]] = ALL_INNER_OPTIONS
    state_type: ClassVar = SGUState

    def __post_init__(self) -> None:
        super().__post_init__()
        for option in ("nonlinearity", "output_nonlinearity", "gate_nonlinearity"):
            activation(getattr(self, option), option)

    def step(
        self, weights: Weights, u_BG: Float[Tensor, "B G"], state: SGUState
    ) -> tuple[Float[Tensor, "B H"], SGUState]:
        u_g, u_z = split(self.inputs(weights, u_BG), 2)
        g = activation(self.nonlinearity)(self.recur(weights, u_g * state.h, 0, 2))
        o = activation(self.output_nonlinearity)(self.deepen(weights, g * state.h))
        z = activation(self.gate_nonlinearity)(u_z + self.recur(weights, state.h, 1, 2))
        h_BH = (1 - z) * state.h + z * self.candidate(weights, o)
        return h_BH, SGUState(h_BH)

    def deepen(self, weights: Weights, g_BH: Float[Tensor, "B H"]) -> Float[Tensor, "B H"]:  # noqa: ARG002
        """What goes into ψ, from g ⊙ h: just that."""
        return g_BH


@dataclass(frozen=True)
class DSGUCell(SGUCell):
    """One step of the DSGU. Raises `OptionError` for functions that aren't known."""

    output_nonlinearity: str = "sigmoid"

    name: ClassVar[str] = "dsgu"
    title: ClassVar[str] = "Deep simple gated unit"

    def weight_shapes(self, input_size: int) -> dict[str, tuple[int, ...]]:
        return super().weight_shapes(input_size) | {"weight_ho": (self.hidden_size, self.hidden_size)}

    def deepen(self, weights: Weights, g_BH: Float[Tensor, "B H"]) -> Float[Tensor, "B H"]:
        """What goes into ψ, from g ⊙ h: its product with V."""
        return affine(g_BH, weights["weight_ho"])
