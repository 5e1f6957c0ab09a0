"""The gated DeltaNet: a matrix of values by keys in each head, where a new value replaces what its key had, and all decays.

    q_t, k_t, v_t, a_t, b_t, z_t = W x_t + b_ih        q, k, v through SiLU; a_t and b_t are one number for each head
    q_t, k_t divided by √(|·|² + 10⁻⁶), q_t by √K besides
    α_t = exp(-e^{A} softplus(a_t))      β_t = σ(b_t)
    S_t = α_t (I - β_t k_t k_tᵀ) S_{t-1} + β_t k_t v_tᵀ
    y_t = S_tᵀ q_t ⊙ SiLU(z_t)           without `output_gate`: y_t = S_tᵀ q_t, and there is no z

in each of `heads` heads, whose keys have `key_size` numbers (K), whose values H/heads. 0 stands for a key of the same size.

Source: S. Yang, J. Kautz and A. Hatamizadeh, "Gated delta networks: improving Mamba2 with delta rule", arXiv 2412.06464,
equation 10 and section 3.4. The matrix is written as its transpose. Of the published block there are neither the short
convolutions of q, k and v nor the norm of each head before the gate. The published block has a bias of a alone.

The chunk-wise form (its equations 11 to 13, by the WY representation): with g the sum of log α since the chunk began,
Γ_ij = e^{g_i - g_j} and S the state before the chunk, the values that are written, ṽ_t = β_t (v_t - α_t S_{t-1}ᵀ k_t), solve

    (I + L) Ṽ = diag(β) V - diag(β e^g) K S        L_ij = β_i Γ_ij k_iᵀ k_j for j < i, else 0

and the rest is as in linear attention with decay. No exponent is above zero.

Weights (rows in this order: q, k (heads·K each), v (H), a, b (heads each), z (H); G is their sum):

    weight_ih (G, D)     a_log A (heads)     bias_ih (G)

Initialiser: as the published one has decays: e^A uniform in 1 to 16, biases of a such that softplus(a) is log-uniform in 0.001
to 0.1; other biases zero, the matrix uniform in ±1/√H.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from torch.nn.functional import silu

from elman.axes import Float, Tensor
from elman.cells.cell import Weights
from elman.cells.chunks import Arrays, Chunks, by_head, factor, factors, side_by_side
from elman.cells.matrix import KeyedCell, initialise_decay
from elman.cells.operations import exp, sigmoid, softplus
from elman.cells.triangular import unit_lower_inverse

_EPSILON = 1e-6


class GatedDeltaNetState(NamedTuple):
    """S (B, heads·K·H/heads): the matrices."""

    S: Tensor


@dataclass(frozen=True)
class GatedDeltaNetCell(KeyedCell):
    """One step of the gated DeltaNet; `key_size` 0 is that of a value, `output_gate` whether y is gated by SiLU(z).

    Raises `OptionError` for heads that don't divide the units.
    """

    output_gate: bool = True

    name: ClassVar[str] = "gated_deltanet"
    title: ClassVar[str] = "Gated DeltaNet"
    citation: ClassVar[str] = "Yang et al. 2024, arXiv 2412.06464"
    gates: ClassVar[tuple[str, ...]] = ("q", "k", "v", "a", "b", "z")
    keep_gates: ClassVar = {"a": -1}
    state_type: ClassVar = GatedDeltaNetState

    @property
    def gate_names(self) -> tuple[str, ...]:
        return self.gates if self.output_gate else self.gates[:-1]

    @property
    def gate_sizes(self) -> tuple[int, ...]:
        keys = self.heads * self.keys
        sizes = (keys, keys, self.hidden_size, self.heads, self.heads, self.hidden_size)
        return sizes if self.output_gate else sizes[:-1]

    @property
    def state_sizes(self) -> tuple[int, ...]:
        return (self.keys * self.hidden_size,)

    def weight_shapes(self, input_size: int) -> dict[str, tuple[int, ...]]:
        return {**super().weight_shapes(input_size), "a_log": (self.heads,)}

    def initialise(self, weights: Weights) -> None:
        super().initialise(weights)
        initialise_decay(self, weights, "a")

    def gate_values(self, weights: Weights, x: Float[Tensor, "*steps D"]) -> tuple[Tensor, ...]:
        """q, k, v, log α, β and, with an output gate, SiLU(z)."""
        return self._gates(self.inputs_of_gates(weights, x), -exp(weights["a_log"]))

    def parameters(self, weights: Weights) -> Float[Tensor, "R A"]:
        """-e^A."""
        return -exp(weights["a_log"]).unsqueeze(0)

    def _gates(self, u: Float[Tensor, "*steps G"], decay_A: Float[Tensor, "A"]) -> tuple[Tensor, ...]:
        q, k, v, a, b, *z = u.split(self.gate_sizes, dim=-1)
        q = self._unit(silu(q)) * self.keys**-0.5
        return q, self._unit(silu(k)), silu(v), decay_A * softplus(a), sigmoid(b), *map(silu, z)

    def step(
        self,
        weights: Weights,  # noqa: ARG002
        u_BG: Float[Tensor, "B G"],
        state: GatedDeltaNetState,
    ) -> tuple[Float[Tensor, "B H"], GatedDeltaNetState]:
        q, k, v, log_a, b, *z = u_BG.split(self.gate_sizes, dim=-1)
        q, k, v = (part.unflatten(-1, (self.heads, -1)) for part in (q, k, v))
        S = exp(log_a)[..., None, None] * self._by_head(state)
        written = b.unsqueeze(-1) * (v - (k.unsqueeze(-2) @ S).squeeze(-2))
        S = S + k.unsqueeze(-1) * written.unsqueeze(-2)
        y_BH = (q.unsqueeze(-2) @ S).flatten(1)
        return y_BH * z[0] if z else y_BH, GatedDeltaNetState(S.flatten(1))

    def by_chunks(
        self,
        chunks: Chunks,
        u_NBSG: Float[Tensor, "N B S G"],
        parameters_RA: Float[Tensor, "R A"],
        state: GatedDeltaNetState,
        fresh: GatedDeltaNetState,
    ) -> tuple[Float[Tensor, "T B H"], GatedDeltaNetState]:
        q, k, v, log_a, b, *z = self._gates(u_NBSG, parameters_RA[0])
        q, k, v = (by_head(part, self.heads) for part in (q, k, v))  # (N, B, A, S, K or P)
        b = chunks.held(b.transpose(2, 3), 0)  # (N, B, A, S)
        g = chunks.held(log_a.transpose(2, 3), 0).cumsum(-1)
        decay, decayed = factors(g, g), factor(g).unsqueeze(-1)

        inverse = unit_lower_inverse((k @ k.mT) * (decay * b.unsqueeze(-1)))
        values = inverse @ (v * b.unsqueeze(-1))
        of_state = inverse @ (k * (b.unsqueeze(-1) * decayed))
        to_end = (k * factor(g[..., -1:] - g).unsqueeze(-1)).mT
        given = (values, of_state, to_end, decayed[..., -1:, :])
        (S_before, written), (S,) = chunks.carry(_next, (self._by_head(state),), (self._by_head(fresh),), given)

        y = ((q @ k.mT) * decay) @ written + (q * decayed) @ S_before
        y_NBSH = side_by_side(y)
        return chunks.join(y_NBSH * z[0] if z else y_NBSH), GatedDeltaNetState(S.flatten(1))

    def _by_head(self, state: GatedDeltaNetState) -> Tensor:
        """S (B, A, K, P)."""
        return state.S.unflatten(-1, (self.heads, self.keys, -1))

    def _unit(self, x: Tensor) -> Tensor:
        """Each head's part, of length one."""
        parts = x.unflatten(-1, (self.heads, -1))
        return (parts * (parts.square().sum(-1, keepdim=True) + _EPSILON).rsqrt()).flatten(-2)


def _next(state: Arrays, values: Tensor, of_state: Tensor, to_end: Tensor, decay: Tensor) -> tuple[Arrays, Arrays]:
    (S,) = state
    written = values - of_state @ S
    return (S, written), (decay * S + to_end @ written,)
