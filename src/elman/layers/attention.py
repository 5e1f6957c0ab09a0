r"""Attention: at each step of one sequence, a weighted mean over the steps of another.

    e_ts = score(h_t, m_s)                        how well step s of the memory suits query t
    a_ts = exp(e_ts) / Σ_s' exp(e_ts')            over the steps within a row's length; beyond it a_ts = 0
    c_t  = Σ_s a_ts m_s                           the context

    dot       score = h_tᵀ m_s                    multiplicative (Luong et al., arXiv 1508.04025)
    general   score = h_tᵀ W m_s                  the same, with a matrix between
    additive  score = vᵀ tanh(W h_t + U m_s + b)  Bahdanau et al., arXiv 1409.0473, where the query is h_{t-1}

What of the scores depends on the memory alone (W m_s, U m_s + b) is computed once, by `read`; after that a call takes one query
or many, so that training over all steps and decoding step by step are the same call. A row whose memory has length 0 has
the context 0. Axes: `T` steps of the queries, `S` steps of the memory, `D` its features, `A` what scores are made in.
"""

from collections.abc import Callable
from typing import ClassVar, NamedTuple

import torch
from torch import nn

from elman.axes import Float, Int, Tensor
from elman.engines.padding import valid_steps
from elman.errors import OptionError, ShapeError, choices


class Memory(NamedTuple):
    """What is attended to, read once. The batch comes first in all of it, so that rows can be chosen.

    values  (B, S, D): the memory, 0 beyond a row's length
    keys    (B, S, A): what of the scores depends on the memory alone
    valid   (B, S): which steps are within a row's length
    """

    values: Tensor
    keys: Tensor
    valid: Tensor

    def select(self, rows_N: Int[Tensor, "N"]) -> "Memory":
        """The memory of these rows, in this order; a row may come several times."""
        return Memory(*(part.index_select(0, rows_N) for part in self))


class Attention(nn.Module):
    """`read` a memory (S, B, D) with lengths, then call on queries (T, B, H) and it: contexts (T, B, D), weights (T, B, S).

    Padding of the memory changes nothing and gets no gradient, even if it is NaN.
    """

    name: ClassVar[str]

    def read(self, memory_SBD: Float[Tensor, "S B D"], lengths_B: Int[Tensor, "B"] | None = None) -> Memory:
        """The memory, made ready for queries. Raises `ShapeError` if lengths and memory don't go together."""
        steps, batch = memory_SBD.shape[:2]
        if lengths_B is None:
            lengths_B = torch.full((batch,), steps, device=memory_SBD.device)
        if lengths_B.shape != (batch,):
            raise ShapeError(f"lengths has shape {tuple(lengths_B.shape)}: give one for each of the {batch} sequences.")
        valid_BS = valid_steps(steps, lengths_B.to(memory_SBD.device)).t()
        values_BSD = torch.where(valid_BS.unsqueeze(-1), memory_SBD.transpose(0, 1), 0)
        return Memory(values_BSD, self.keys(values_BSD), valid_BS)

    def keys(self, values_BSD: Float[Tensor, "B S D"]) -> Float[Tensor, "B S A"]:
        """What of the scores depends on the memory alone."""
        raise NotImplementedError

    def scores(self, queries_BTH: Float[Tensor, "B T H"], keys_BSA: Float[Tensor, "B S A"]) -> Float[Tensor, "B T S"]:
        """e_ts for every query and every step of the memory."""
        raise NotImplementedError

    def forward(
        self, queries_TBH: Float[Tensor, "T B H"], memory: Memory
    ) -> tuple[Float[Tensor, "T B D"], Float[Tensor, "T B S"]]:
        scores_BTS = self.scores(queries_TBH.transpose(0, 1), memory.keys)
        valid_B1S = memory.valid.unsqueeze(1)
        # The smallest number, not minus infinity: a row without any valid step would be NaN.
        masked_BTS = scores_BTS.masked_fill(~valid_B1S, torch.finfo(scores_BTS.dtype).min)
        weights_BTS = masked_BTS.softmax(-1) * valid_B1S
        context_BTD = weights_BTS @ memory.values
        return context_BTD.transpose(0, 1), weights_BTS.transpose(0, 1)


class DotAttention(Attention):
    """score = hᵀ m. Raises `OptionError` unless query and memory have one size."""

    name = "dot"

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__()
        if query_size != memory_size:
            raise OptionError(
                f"dot attention multiplies queries of {query_size} features with a memory of {memory_size}: "
                "make them one size, or take the attention 'general'."
            )

    def keys(self, values_BSD: Float[Tensor, "B S D"]) -> Float[Tensor, "B S A"]:
        return values_BSD

    def scores(self, queries_BTH: Float[Tensor, "B T H"], keys_BSA: Float[Tensor, "B S A"]) -> Float[Tensor, "B T S"]:
        return queries_BTH @ keys_BSA.transpose(1, 2)


class GeneralAttention(DotAttention):
    """score = hᵀ W m; `key` holds W (H, D), drawn as `torch.nn.Linear` does."""

    name = "general"

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__(query_size, query_size)
        self.key = nn.Linear(memory_size, query_size, bias=False)

    def keys(self, values_BSD: Float[Tensor, "B S D"]) -> Float[Tensor, "B S A"]:
        keys: Tensor = self.key(values_BSD)
        return keys


class AdditiveAttention(Attention):
    """score = vᵀ tanh(W h + U m + b), made in as many units as a query has features.

    `query` holds W (H, H), `key` U (H, D) and b, `score` v (1, H), drawn as `torch.nn.Linear` does. Memory: T·S·H numbers
    a row, where the multiplicative ones take T·S.
    """

    name = "additive"

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__()
        self.query = nn.Linear(query_size, query_size, bias=False)
        self.key = nn.Linear(memory_size, query_size)
        self.score = nn.Linear(query_size, 1, bias=False)

    def keys(self, values_BSD: Float[Tensor, "B S D"]) -> Float[Tensor, "B S A"]:
        keys: Tensor = self.key(values_BSD)
        return keys

    def scores(self, queries_BTH: Float[Tensor, "B T H"], keys_BSA: Float[Tensor, "B S A"]) -> Float[Tensor, "B T S"]:
        sums_BTSA = self.query(queries_BTH).unsqueeze(2) + keys_BSA.unsqueeze(1)
        scores: Tensor = self.score(sums_BTSA.tanh()).squeeze(-1)
        return scores


_KINDS: dict[str, Callable[[int, int], Attention]] = {
    kind.name: kind for kind in (DotAttention, GeneralAttention, AdditiveAttention)
}
ATTENTIONS = tuple(_KINDS)


def attention_of(kind: str, query_size: int, memory_size: int) -> Attention:
    """The attention called `kind`: "dot", "general" or "additive". Raises `OptionError` if it isn't known."""
    if kind not in _KINDS:
        raise OptionError(f"attention={kind!r} is not known: {choices(kind, *ATTENTIONS)}")
    return _KINDS[kind](query_size, memory_size)
