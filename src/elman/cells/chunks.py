"""A sequence cut into chunks, so that cells with a matrix for a state go through one by products of matrices.

Within a chunk every step sees the steps before it by a product of its own with theirs, as in attention; from chunk to chunk
a state is carried. No chunk crosses a reset: a sequence is cut there, and what is left of a chunk stays empty. So nothing
from before a reset meets anything from after it, and where resets are many chunks get shorter. Empty places, and those
beyond a row's length, hold zeros; a cell makes their gates neutral (`Chunks.held`), so that they leave the state as it is.

Axes besides those of `elman.axes`: `N` chunks, `S` steps of a chunk, `A` heads (`attention heads`), `K` size of a key,
`P` size of a value. Arrays by head are (N, B, A, S, ...): each product is a batch of small ones, in memory one after the other.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional

from elman.axes import Bool, Float, Int, Tensor

# What a chunk costs beside its steps, in steps: for how short chunks may get where resets are many.
_CHUNK_COST = 16
# Exponents above this count in every precision.
_ALWAYS_SEEN = -40.0
Arrays = tuple[Tensor, ...]


@dataclass(frozen=True)
class Chunks:
    """Where each step of a batch of sequences is, in `count` chunks of `size` places.

    valid_NBS   which places hold a step within its row's length; None: all do
    begins_NB   which chunks begin with a reset; None: none does
    place_TB    where a step is, counted through (N, B, S), if chunks are not one after the other
    """

    steps: int
    batch: int
    size: int
    count: int
    valid_NBS: Tensor | None = None
    begins_NB: Tensor | None = None
    place_TB: Tensor | None = None

    @classmethod
    def of(
        cls, x_TBD: Tensor, size: int, lengths_B: Int[Tensor, "B"] | None, reset_TB: Bool[Tensor, "T B"] | None
    ) -> "Chunks":
        """Chunks of at most `size` steps for these sequences."""
        steps, batch = x_TBD.shape[:2]
        size = min(size, steps)
        valid_TB = torch.ones(steps, batch, dtype=torch.bool, device=x_TBD.device)
        if lengths_B is not None:
            valid_TB = torch.arange(steps, device=x_TBD.device)[:, None] < lengths_B.to(x_TBD.device)
        if reset_TB is not None and reset_TB.any():
            return cls._between_resets(size, valid_TB, reset_TB)
        chunks = cls(steps, batch, size, -(-steps // size))
        if lengths_B is None and chunks.count * size == steps:
            return chunks
        valid_NBS = chunks.cut(valid_TB.unsqueeze(-1)).squeeze(-1)
        return cls(steps, batch, size, chunks.count, valid_NBS)

    @classmethod
    def _between_resets(cls, size: int, valid_TB: Tensor, reset_TB: Tensor) -> "Chunks":
        """Of sizes that are halves of one another, the one that costs least."""
        steps, batch = reset_TB.shape
        times_T1 = torch.arange(steps, device=reset_TB.device).unsqueeze(1)
        since_TB = times_T1 - torch.where(reset_TB, times_T1, 0).cummax(0).values
        sizes = [size]
        while sizes[-1] > 1:
            sizes.append(sizes[-1] // 2)
        # The number of a step's chunk in its row, for each size.
        numbers = [((since_TB % each) == 0).cumsum(0) - 1 for each in sizes]
        counts = (torch.stack([number.max() for number in numbers]) + 1).tolist()
        costs = [count * (each + _CHUNK_COST) for count, each in zip(counts, sizes, strict=True)]
        best = costs.index(min(costs))
        size, count = sizes[best], counts[best]

        chunk_TB = numbers[best] * batch + torch.arange(batch, device=reset_TB.device)
        begins = reset_TB.new_zeros(count * batch)
        begins[chunk_TB[reset_TB]] = True
        place_TB = chunk_TB * size + since_TB % size
        chunks = cls(steps, batch, size, count, None, begins.view(count, batch), place_TB)
        valid_NBS = chunks.cut(valid_TB.unsqueeze(-1)).squeeze(-1)
        return cls(steps, batch, size, count, valid_NBS, chunks.begins_NB, place_TB)

    def cut(self, x_TBD: Tensor) -> Tensor:
        """Sequences (T, B, D), of numbers or flags, into chunks (N, B, S, D), zero in empty places."""
        if self.place_TB is not None:
            empty = x_TBD.new_zeros(self.count * self.batch * self.size, x_TBD.shape[-1])
            x = empty.index_copy(0, self.place_TB.flatten(), x_TBD.flatten(0, 1))
            return x.view(self.count, self.batch, self.size, -1)
        if missing := self.count * self.size - self.steps:
            x_TBD = functional.pad(x_TBD, (0, 0, 0, 0, 0, missing))
        # Contiguous: how a product is taken of what isn't depends on whether its weight has a gradient.
        return x_TBD.unflatten(0, (self.count, self.size)).transpose(1, 2).contiguous()

    def join(self, y_NBSH: Float[Tensor, "N B S H"]) -> Float[Tensor, "T B H"]:
        """Chunks into sequences: undoes `cut`."""
        if self.place_TB is not None:
            return y_NBSH.flatten(0, 2).index_select(0, self.place_TB.flatten()).view(self.steps, self.batch, -1)
        return y_NBSH.transpose(1, 2).flatten(0, 1)[: self.steps]

    def held(self, gate_NBAS: Float[Tensor, "N B A S"], neutral: float) -> Float[Tensor, "N B A S"]:
        """A gate, or what it is where there is no step; float32 at least, as exponents are sums of many."""
        gate_NBAS = gate_NBAS.to(torch.promote_types(gate_NBAS.dtype, torch.float32))
        return gate_NBAS if self.valid_NBS is None else torch.where(self.valid_NBS.unsqueeze(2), gate_NBAS, neutral)

    def carry(
        self,
        advance: Callable[..., tuple[Arrays, Arrays]],
        state: Arrays,
        fresh: Arrays,
        given: Sequence[Tensor],
    ) -> tuple[list[Tensor], Arrays]:
        """Go from chunk to chunk: `advance(state, *given of the chunk)` gives what is wanted of it, and the state after it.

        States are (B, ...) and `fresh`, which stands where a chunk begins with a reset, is (1, ...). Gives what was wanted
        of all chunks, (N, B, ...), and the last state.
        """
        outputs = []
        # unbind, not indexing: its backward is one stack.
        for n, parts in enumerate(zip(*(array.unbind(0) for array in given), strict=True)):
            if self.begins_NB is not None:
                begins_B = self.begins_NB[n]
                state = tuple(
                    torch.where(begins_B.view(-1, *[1] * (s.dim() - 1)), new, s)
                    for s, new in zip(state, fresh, strict=True)
                )
            wanted, state = advance(state, *parts)
            outputs.append(wanted)
        return [torch.stack(arrays) for arrays in zip(*outputs, strict=True)], state


def by_head(x_NBSG: Float[Tensor, "N B S G"], heads: int) -> Float[Tensor, "N B A S _"]:
    """Each head's columns as a matrix of their own, contiguous as products want them."""
    return x_NBSG.unflatten(-1, (heads, -1)).transpose(2, 3).contiguous()


def side_by_side(y_NBASP: Float[Tensor, "N B A S P"]) -> Float[Tensor, "N B S H"]:
    """The heads' columns beside each other: undoes `by_head`."""
    return y_NBASP.transpose(2, 3).flatten(3)


def factor(exponent: Tensor) -> Tensor:
    """e^x for x ≤ 0, and 0 where that is below the square root of the least normal number.

    Nothing is seen of such a factor beside one of 1, and products with it would be denormal, which processors are slow at.
    """
    return _exp_in_place(exponent.clone())


def factors(later: Float[Tensor, "*batch S"], earlier: Float[Tensor, "*batch S"]) -> Float[Tensor, "*batch S S"]:
    """`factor` of later_i - earlier_j for j ≤ i, else 0: what step i sees of step j.

    What is not seen is cut off before exp, which might overflow there: so not even its gradient sees it.
    """
    size = later.shape[-1]
    unseen = torch.ones(size, size, dtype=torch.bool, device=later.device).triu(1)
    return _exp_in_place((later.unsqueeze(-1) - earlier.unsqueeze(-2)).masked_fill_(unseen, -torch.inf))


def _exp_in_place(exponent: Tensor) -> Tensor:
    """New memory for each of these steps would take longer than the steps themselves."""
    least = min(math.log(torch.finfo(exponent.dtype).tiny) / 2, _ALWAYS_SEEN)
    return exponent.masked_fill_(exponent.detach() < least, -torch.inf).exp_()


def linear(state: Arrays, kept: Tensor, *added: Tensor) -> tuple[Arrays, Arrays]:
    """For `carry`: each array times what is kept of it, plus what is added; wanted are those before the chunk."""
    return state, tuple(
        kept.view(*kept.shape, *[1] * (s.dim() - kept.dim())) * s + new for s, new in zip(state, added, strict=True)
    )
