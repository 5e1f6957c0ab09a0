r"""Gradient by lag: how much a loss still says to the state of k steps before.

    g(k) = ‖∂ℓ_t / ∂s_{t-k}‖        for each layer and each of its states s, k = 0 … K

the Euclidean norm over the units of one sequence. s_τ is the state as it leaves step τ, and the derivative is the whole one:
by what later steps make of it, by the layer's output where that is the state, and by what the step itself computes from it, as
an LSTM computes h from c. Without options it is the product of step Jacobians ∏ ∂s_τ/∂s_{τ-1} applied to ∂ℓ_t/∂s_t, which
shrinks or grows like a power of k: S. Hochreiter, diploma thesis, TU München (1991); Y. Bengio, P. Simard and P. Frasconi, IEEE
Transactions on Neural Networks 5 (1994); R. Pascanu, T. Mikolov and Y. Bengio, ICML 2013, arXiv 1211.5063.

No Jacobian is made. Rows of a batch don't depend on each other, so the gradient of Σ_b ℓ_{t_b, b}, with one scored step t_b a
row, holds for each row its own ∂ℓ_t/∂s_τ for all τ at once: one forward and one backward pass give B samples at every lag,
exact to rounding. Weights take no part in the backward pass. A lag that reaches beyond a row's beginning, or beyond a reset, is
not counted.

In a layer that runs backwards time does too: lag k is k steps after the scored one. Where a whole sequence is scored at once,
lags count from the last step that the layer runs.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch

from elman.axes import Float, Int, Tensor
from elman.probe.tap import Passage


class Scored(NamedTuple):
    """A loss a row, and the step t_b that it was scored at: None for the row as a whole."""

    losses_B: Float[Tensor, "B"]
    at_B: Int[Tensor, "B"] | None


@dataclass(frozen=True)
class LagNorms:
    """g of one state: `norms_KB` (K + 1, B), NaN where a row has no such lag."""

    passage: Passage
    state: str
    norms_KB: Float[Tensor, "K B"]

    @property
    def reach(self) -> int:
        """The furthest lag that a row has."""
        there_K = (~self.norms_KB.isnan()).any(1)
        return int(there_K.nonzero().max()) if there_K.any() else 0

    def cut(self, lags: int) -> "LagNorms":
        """The same up to this lag."""
        return replace(self, norms_KB=self.norms_KB[: lags + 1])

    def quartiles(self) -> tuple[list[float | None], list[float | None], list[float | None]]:
        """For each lag the lower quartile, the median and the upper quartile over rows; None where no row has it."""
        at = torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64)
        found_3K = torch.nanquantile(self.norms_KB.double().cpu(), at, dim=1)
        low, median, high = ([None if math.isnan(value) else value for value in row] for row in found_3K.tolist())
        return low, median, high


def gradient_by_lag(
    passages: Sequence[Passage], scored: Scored, lags: int, aligned: Sequence[str] | None = None
) -> list[LagNorms]:
    """g(0) … g(`lags`) for each state of each passage; `passages` with a graph, as `tapped(…, graph=True)` makes them.

    `aligned` names the stacks whose steps are those that losses are scored at (None: all); of others, such as an encoder, the
    lags count from their last step.
    """
    arrays = [array for passage in passages for state in passage.states for array in state]
    asked = [array for array in arrays if array.requires_grad]
    found = iter(torch.autograd.grad(scored.losses_B.sum(), asked, allow_unused=True))
    # A state that nothing before it enters has no graph, and nothing to say.
    gradients = iter([next(found) if array.requires_grad else None for array in arrays])
    results = []
    for passage in passages:
        at_B = scored.at_B if aligned is None or passage.stack in aligned else None
        norms: dict[str, list[Tensor]] = {name: [] for name in passage.cell.state_type._fields}
        for state in passage.states:
            for name, array in zip(norms, state, strict=True):
                gradient = next(gradients)
                rows = array.new_zeros(array.shape[0]) if gradient is None else gradient.norm(dim=-1)
                norms[name].append(rows)
        for name, steps in norms.items():
            results.append(LagNorms(passage, name, _by_lag(torch.stack(steps), passage, at_B, lags)))
    return results


def _by_lag(
    norms_TB: Float[Tensor, "T B"], passage: Passage, at_B: Int[Tensor, "B"] | None, lags: int
) -> Float[Tensor, "K B"]:
    """Norms by step as norms by lag."""
    origin_B = passage.own_step(at_B)
    step_KB = origin_B - torch.arange(lags + 1, device=origin_B.device).unsqueeze(1)
    there_KB = step_KB >= 0
    if passage.reset_TB is not None:
        # How often it was reset up to each step: the same number means that no reset lies between.
        count_TB = passage.reset_TB.to(torch.int64).cumsum(0)
        count_KB = count_TB.gather(0, step_KB.clamp(min=0))
        there_KB = there_KB & (count_KB == count_KB[0])
    return norms_TB.gather(0, step_KB.clamp(min=0)).masked_fill(~there_KB, torch.nan)
