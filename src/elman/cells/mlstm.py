"""The mLSTM of the xLSTM: a matrix for a memory in each head, exponential gates and a stabiliser.

    q_t, k_t, v_t, ĩ_t, f̃_t, õ_t = W x_t + b_ih      k_t divided by √K; ĩ_t and f̃_t are one number for each head
    φ_t = log σ(f̃_t), or f̃_t if `forget_gate` is "exp"
    m_t = max(φ_t + m_{t-1}, ĩ_t)
    i_t = exp(ĩ_t - m_t)      f_t = exp(φ_t + m_{t-1} - m_t)
    C_t = f_t C_{t-1} + i_t k_t v_tᵀ
    n_t = f_t n_{t-1} + i_t k_t
    y_t = σ(õ_t) ⊙ C_tᵀ q_t / max(|n_tᵀ q_t|, e^{-m_t})

in each of `heads` heads, whose keys have `key_size` numbers (K), whose values H/heads. 0 stands for a key of the same size.

Source: M. Beck et al., "xLSTM: extended long short-term memory", arXiv 2405.04517, equations 19 to 27 and appendix A, the
cell alone: without the convolution, the group norm and the projections of the block around it. The matrix is written as its
transpose. i and f read x, as in the paper; in the package xlstm they read q, k and v. C, n and m are zero at first. The
package adds 1e-6 to the divisor; here, instead, m is held within ±80 in e^{-m}, which changes no quotient but those that are
0/0 or next to nothing.

The chunk-wise form: with b the sum of φ since the chunk began, r = ĩ - b and M_i = max(m before the chunk, r_j for j ≤ i),
m_i = b_i + M_i, what step i sees of step j has the factor exp(r_j - M_i) and the state before the chunk exp(m - M_i). No
exponent is above zero.

Weights (rows in this order: q, k (heads·K each), v (H), i, f (heads each), o (H); G is their sum):

    weight_ih (G, D)     bias_ih (G)

Initialiser: as the package xlstm has the gates: rows of i and f zero, biases of f from 3 to 6 over the heads, those of i
normal with deviation 0.1, all other biases zero; rows of q, k, v and o uniform in ±1/√H.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch

from elman.axes import Float, Tensor
from elman.cells.cell import Weights
from elman.cells.chunks import Chunks, by_head, factor, factors, linear, side_by_side
from elman.cells.matrix import KeyedCell
from elman.cells.operations import clip, exp, maximum, sigmoid, softplus
from elman.errors import OptionError

_BOUND = 80.0


class MLSTMState(NamedTuple):
    """C (B, heads·K·H/heads): the matrices. n (B, heads·K): their normalisers. m (B, heads): the stabilisers."""

    C: Tensor
    n: Tensor
    m: Tensor


@dataclass(frozen=True)
class MLSTMCell(KeyedCell):
    """One step of the mLSTM; `forget_gate` is "sigmoid" or "exp", `key_size` 0 is that of a value.

    Raises `OptionError` for another forget gate, and for heads that don't divide the units.
    """

    forget_gate: str = "sigmoid"

    name: ClassVar[str] = "mlstm"
    title: ClassVar[str] = "mLSTM"
    citation: ClassVar[str] = "Beck et al. 2024, arXiv 2405.04517"
    gates: ClassVar[tuple[str, ...]] = ("q", "k", "v", "i", "f", "o")
    keep_gates: ClassVar = {"f": 1}
    state_type: ClassVar = MLSTMState

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.forget_gate not in {"sigmoid", "exp"}:
            raise OptionError(f"forget_gate={self.forget_gate!r} is not known: choose from sigmoid, exp.")

    @property
    def gate_sizes(self) -> tuple[int, ...]:
        keys = self.heads * self.keys
        return (keys, keys, self.hidden_size, self.heads, self.heads, self.hidden_size)

    @property
    def state_sizes(self) -> tuple[int, ...]:
        return (self.keys * self.hidden_size, self.heads * self.keys, self.heads)

    def initialise(self, weights: Weights) -> None:
        super().initialise(weights)
        with torch.no_grad():
            for gate in self.split_gates(weights["weight_ih"])[3:5]:
                gate.zero_()
            if self.bias:
                weights["bias_ih"].zero_()
                _, _, _, i, f, _ = self.split_gates(weights["bias_ih"])
                i.normal_(std=0.1)
                f.copy_(torch.linspace(3, 6, self.heads))

    def gate_values(self, weights: Weights, x: Float[Tensor, "*steps D"]) -> tuple[Tensor, ...]:
        return self._gates(self.inputs_of_gates(weights, x))

    def _gates(self, u: Float[Tensor, "*steps G"]) -> tuple[Tensor, ...]:
        q, k, v, i, f, o = u.split(self.gate_sizes, dim=-1)
        return q, k * self.keys**-0.5, v, i, f if self.forget_gate == "exp" else -softplus(-f), sigmoid(o)

    def step(
        self,
        weights: Weights,  # noqa: ARG002
        u_BG: Float[Tensor, "B G"],
        state: MLSTMState,
    ) -> tuple[Float[Tensor, "B H"], MLSTMState]:
        q, k, v, i, log_f, o = u_BG.split(self.gate_sizes, dim=-1)
        q, k, v = (part.unflatten(-1, (self.heads, -1)) for part in (q, k, v))
        C, n = self._by_head(state)
        kept = log_f + state.m
        m = maximum(kept, i)
        i, f = exp(i - m).unsqueeze(-1), exp(kept - m).unsqueeze(-1)
        n = f * n + i * k
        C = f.unsqueeze(-1) * C + (i * k).unsqueeze(-1) * v.unsqueeze(-2)
        read = (q.unsqueeze(-2) @ C).squeeze(-2) / _divisor((n * q).sum(-1), m).unsqueeze(-1)
        return o * read.flatten(1), MLSTMState(C.flatten(1), n.flatten(1), m)

    def by_chunks(
        self,
        chunks: Chunks,
        u_NBSG: Float[Tensor, "N B S G"],
        parameters_RA: Float[Tensor, "R A"],  # noqa: ARG002
        state: MLSTMState,
        fresh: MLSTMState,
    ) -> tuple[Float[Tensor, "T B H"], MLSTMState]:
        q, k, v, i, log_f, o_NBSH = self._gates(u_NBSG)
        q, k, v = (by_head(part, self.heads) for part in (q, k, v))  # (N, B, A, S, K or P)
        i, log_f = i.transpose(2, 3), log_f.transpose(2, 3)  # (N, B, A, S)
        b = chunks.held(log_f, 0).cumsum(-1)
        r = chunks.held(i, -torch.inf) - b

        highest = r.cummax(-1).values
        (m_before,), (m,) = chunks.carry(_next_m, (state.m,), (fresh.m,), (b[..., -1], highest[..., -1]))
        M = maximum(m_before.unsqueeze(-1), highest)

        written = k * factor(r - M[..., -1:]).unsqueeze(-1)
        given = (factor(m_before - M[..., -1]), written.mT @ v, written.sum(-2))
        (C_before, n_before), (C, n) = chunks.carry(linear, self._by_head(state), self._by_head(fresh), given)

        scores = (q @ k.mT) * factors(-M, -r)
        kept = q * factor(m_before.unsqueeze(-1) - M).unsqueeze(-1)
        sums = scores.sum(-1) + (kept @ n_before.unsqueeze(-1)).squeeze(-1)
        read = (scores @ v + kept @ C_before) / _divisor(sums, b + M).unsqueeze(-1)
        return chunks.join(o_NBSH * side_by_side(read)), MLSTMState(C.flatten(1), n.flatten(1), m)

    def _by_head(self, state: MLSTMState) -> tuple[Tensor, Tensor]:
        """C (B, A, K, P) and n (B, A, K)."""
        return state.C.unflatten(-1, (self.heads, self.keys, -1)), state.n.unflatten(-1, (self.heads, -1))


def _next_m(state: tuple[Tensor], b: Tensor, highest: Tensor) -> tuple[tuple[Tensor], tuple[Tensor]]:
    return state, (b + maximum(state[0], highest),)


def _divisor(sums: Tensor, m: Tensor) -> Tensor:
    """max(|nᵀ q|, e^{-m})."""
    return maximum(sums.abs(), exp(clip(-m, -_BOUND, _BOUND)))
