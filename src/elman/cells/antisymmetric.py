"""The antisymmetric RNN, plain and gated.

    M   = U - Uᵀ - γ I                                     its eigenvalues have real parts of -γ
    h_t = h_{t-1} + ε f(W x_t + b_ih + M h_{t-1} + b_hh)   f is tanh or another activation
    y_t = h_t

Gated:

    z_t = σ(W_z x_t + b_iz + M h_{t-1})
    h_t = h_{t-1} + ε z_t ⊙ tanh(W_h x_t + b_ih + M h_{t-1} + b_hh)

Source: B. Chang et al., "AntisymmetricRNN: a dynamical system view on recurrent neural networks", arXiv 1902.09689 (2019).
The paper has one bias for each of the two sums; the second one of the new state, b_hh, is that of torchrecurrent. ε, the
length of a step, and γ, the damping, are small in the paper, to be chosen for a task; ε = 1 and γ = 0 are torchrecurrent's.

M is never formed: M h = U h - Uᵀ h - γ h. There is no layer norm: normalised, M h would no longer be antisymmetric.

Weights (gates: `h`; gated: z h, which share U; D inputs, H units):

    weight_ih  W  (H, D), gated (2H, D)     weight_hh  U  (H, H)     bias_ih  (H), gated (2H)     bias_hh  (H)

Initialiser: all uniform in ±1/√H (paper and torchrecurrent: U normal; torchrecurrent: W Xavier's, biases 0).
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from elman.axes import Float, Tensor
from elman.cells.cell import Cell, Weights
from elman.cells.checks import check_number
from elman.cells.operations import activation, affine, sigmoid, split, tanh


class AntisymmetricState(NamedTuple):
    """h (B, H): the hidden state."""

    h: Tensor


@dataclass(frozen=True)
class _Antisymmetric(Cell):
    """What both forms share: ε, γ and the product with M."""

    epsilon: float = 1.0
    gamma: float = 0.0

    inner_options: ClassVar[frozenset[str]] = frozenset({"variational_dropout", "recurrent_dropout"})
    state_type: ClassVar = AntisymmetricState

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("epsilon", self.epsilon, above=0)
        check_number("gamma", self.gamma, least=0)

    def turn(self, weights: Weights, h_BH: Float[Tensor, "B H"]) -> Float[Tensor, "B H"]:
        """(U - Uᵀ - γ I) h, with h dropped if there is variational dropout."""
        if "mask_h" in weights:
            h_BH = h_BH * weights["mask_h"]
        turned = affine(h_BH, weights["weight_hh"]) - h_BH @ weights["weight_hh"]
        return turned - self.gamma * h_BH if self.gamma else turned


@dataclass(frozen=True)
class AntisymmetricCell(_Antisymmetric):
    """One step of the antisymmetric RNN. Raises `OptionError` unless ε > 0 and γ >= 0, and for an f that isn't known."""

    nonlinearity: str = "tanh"

    name: ClassVar[str] = "antisymmetric"
    title: ClassVar[str] = "Antisymmetric RNN"
    citation: ClassVar[str] = "Chang et al. 2019, arXiv 1902.09689"
    gates: ClassVar[tuple[str, ...]] = ("h",)

    def __post_init__(self) -> None:
        super().__post_init__()
        activation(self.nonlinearity)

    def step(
        self, weights: Weights, u_BG: Float[Tensor, "B H"], state: AntisymmetricState
    ) -> tuple[Float[Tensor, "B H"], AntisymmetricState]:
        f = activation(self.nonlinearity)
        total = u_BG + self.turn(weights, state.h)
        if "bias_hh" in weights:
            total = total + weights["bias_hh"]
        h_BH = state.h + self.epsilon * self.candidate(weights, f(total))
        return h_BH, AntisymmetricState(h_BH)


@dataclass(frozen=True)
class GatedAntisymmetricCell(_Antisymmetric):
    """One step of the gated antisymmetric RNN. Raises `OptionError` unless ε > 0 and γ >= 0."""

    name: ClassVar[str] = "gated_antisymmetric"
    title: ClassVar[str] = "Gated antisymmetric RNN"
    citation: ClassVar[str] = "Chang et al. 2019, arXiv 1902.09689"
    gates: ClassVar[tuple[str, ...]] = ("z", "h")
    recurrent_gates: ClassVar[tuple[str, ...]] = ("h",)

    def step(
        self, weights: Weights, u_BG: Float[Tensor, "B G"], state: AntisymmetricState
    ) -> tuple[Float[Tensor, "B H"], AntisymmetricState]:
        u_z, u_h = split(u_BG, 2)
        turned = self.turn(weights, state.h)
        total = u_h + turned
        if "bias_hh" in weights:
            total = total + weights["bias_hh"]
        z = sigmoid(u_z + turned)
        h_BH = state.h + self.epsilon * z * self.candidate(weights, tanh(total))
        return h_BH, AntisymmetricState(h_BH)
