"""The state of Mamba-2 (state space duality): a matrix in each head that decays by one number at each step.

    z_t, x_t, B_t, C_t, d_t = W u_t + b_ih        x, B, C through SiLU; d_t is one number for each head
    Δ_t = softplus(d_t)      a_t = exp(-e^{A} Δ_t)
    S_t = a_t S_{t-1} + Δ_t B_t x_tᵀ              in each head, with its part of x; B and C are the same for all
    y_t = (S_tᵀ C_t + D x_t) ⊙ SiLU(z_t)          without `output_gate` there is no z and no factor

in each of `heads` heads of P = H/heads units; B and C have `state_size` numbers (K). u_t is the input.

Source: T. Dao and A. Gu, "Transformers are SSMs: generalized models and efficient algorithms through structured state space
duality", arXiv 2405.21060, sections 5 to 7, with one group of heads. The matrix is written as its transpose. Of the
published block there are neither the convolution of x, B and C nor the norm and the product after the gate. The published
block has a bias of d alone.

The chunk-wise form (its section 6): with g the sum of log a since the chunk began, step i sees Δ_j x_j of step j with the
factor C_iᵀ B_j e^{g_i - g_j}, and the state before the chunk with e^{g_i}. No exponent is above zero. C_iᵀ B_j, and all
products with B and C alone, are taken once for all heads.

Weights (rows in this order: z, x (H each), B, C (K each), d (heads); G is their sum):

    weight_ih (G, D)     a_log A (heads)     skip D (heads)     bias_ih (G)

Initialiser: as published: e^A uniform in 1 to 16, biases of d such that softplus(d) is log-uniform in 0.001 to 0.1, D one;
other biases zero, the matrix uniform in ±1/√H.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch.nn.functional import silu

from elman.axes import Float, Tensor
from elman.cells.cell import Weights
from elman.cells.checks import check_size
from elman.cells.chunks import Chunks, factor, factors, linear
from elman.cells.matrix import MatrixCell, initialise_decay
from elman.cells.operations import exp, softplus


class Mamba2State(NamedTuple):
    """S (B, heads·K·P): the matrices."""

    S: Tensor


@dataclass(frozen=True)
class Mamba2Cell(MatrixCell):
    """One step of Mamba-2's state; `output_gate` is whether y is gated by SiLU(z).

    Raises `OptionError` for heads that don't divide the units.
    """

    state_size: int = 64
    output_gate: bool = True

    name: ClassVar[str] = "mamba2"
    title: ClassVar[str] = "Mamba-2"
    citation: ClassVar[str] = "Dao and Gu 2024, arXiv 2405.21060"
    gates: ClassVar[tuple[str, ...]] = ("z", "x", "B", "C", "d")
    keep_gates: ClassVar = {"d": -1}
    state_type: ClassVar = Mamba2State

    def __post_init__(self) -> None:
        super().__post_init__()
        check_size("state_size", self.state_size)

    @property
    def keys(self) -> int:
        return self.state_size

    @property
    def gate_names(self) -> tuple[str, ...]:
        return self.gates if self.output_gate else self.gates[1:]

    @property
    def gate_sizes(self) -> tuple[int, ...]:
        sizes = (self.hidden_size, self.hidden_size, self.state_size, self.state_size, self.heads)
        return sizes if self.output_gate else sizes[1:]

    @property
    def state_sizes(self) -> tuple[int, ...]:
        return (self.state_size * self.hidden_size,)

    def weight_shapes(self, input_size: int) -> dict[str, tuple[int, ...]]:
        return {**super().weight_shapes(input_size), "a_log": (self.heads,), "skip": (self.heads,)}

    def initialise(self, weights: Weights) -> None:
        super().initialise(weights)
        torch.nn.init.ones_(weights["skip"])
        initialise_decay(self, weights, "d")

    def gate_values(self, weights: Weights, x: Float[Tensor, "*steps D"]) -> tuple[Tensor, ...]:
        """SiLU(z), if there is an output gate, x, B, C and Δ."""
        return self._gates(self.inputs_of_gates(weights, x))

    def parameters(self, weights: Weights) -> Float[Tensor, "R A"]:
        """-e^A and D."""
        return torch.stack([-exp(weights["a_log"]), weights["skip"]])

    def _gates(self, u: Float[Tensor, "*steps G"]) -> tuple[Tensor, ...]:
        *others, d = u.split(self.gate_sizes, dim=-1)
        return *map(silu, others), softplus(d)

    def step(
        self, weights: Weights, u_BG: Float[Tensor, "B G"], state: Mamba2State
    ) -> tuple[Float[Tensor, "B H"], Mamba2State]:
        *z, x, B, C, d = u_BG.split(self.gate_sizes, dim=-1)
        x = x.unflatten(-1, (self.heads, -1))
        a = exp(-exp(weights["a_log"]) * d)
        written = B[:, None, :, None] * (d.unsqueeze(-1) * x).unsqueeze(-2)
        S = a[..., None, None] * self._by_head(state) + written
        y_BH = ((C[:, None, None] @ S).squeeze(-2) + weights["skip"].unsqueeze(-1) * x).flatten(1)
        return y_BH * z[0] if z else y_BH, Mamba2State(S.flatten(1))

    def by_chunks(
        self,
        chunks: Chunks,
        u_NBSG: Float[Tensor, "N B S G"],
        parameters_RA: Float[Tensor, "R A"],
        state: Mamba2State,
        fresh: Mamba2State,
    ) -> tuple[Float[Tensor, "T B H"], Mamba2State]:
        decay_A, skip_A = parameters_RA
        *z, x, B, C, d = self._gates(u_NBSG)
        d = chunks.held(d.transpose(2, 3), 0)  # (N, B, A, S)
        g = (decay_A.unsqueeze(-1) * d).cumsum(-1)

        x_heads = x.unflatten(-1, (self.heads, -1))  # (N, B, S, A, P)
        steps = x_heads * d.mT.unsqueeze(-1)
        to_end = steps * factor(g[..., -1:] - g).mT.unsqueeze(-1)
        added = (B.mT @ to_end.flatten(3)).unflatten(-1, (self.heads, -1)).transpose(2, 3)  # (N, B, A, K, P)
        kept = factor(g[..., -1])
        (S_before,), (S,) = chunks.carry(linear, (self._by_head(state),), (self._by_head(fresh),), (kept, added))

        scores = (C @ B.mT).unsqueeze(2) * factors(g, g)
        within = (scores @ steps.transpose(2, 3).contiguous()).transpose(2, 3)
        before = (C @ S_before.transpose(2, 3).flatten(3)).unflatten(-1, (self.heads, -1)) * factor(g).mT.unsqueeze(-1)
        y_NBSH = (within + before + skip_A.unsqueeze(-1) * x_heads).flatten(3)
        return chunks.join(y_NBSH * z[0] if z else y_NBSH), Mamba2State(S.flatten(1))

    def _by_head(self, state: Mamba2State) -> Tensor:
        """S (B, A, K, P)."""
        return state.S.unflatten(-1, (self.heads, self.state_size, -1))
