r"""Connectionist temporal classification (Graves et al., ICML 2006): texts from frames that nobody aligned.

    P(text | x) = Σ_{a : text is what is left of a} Π_t P(a_t | x)

a has a unit or the blank a step; what is left of it is a with runs of the same number made one, and then without blanks. So a
text of n units with r that equal the one before them needs n + r steps at least.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch.nn.functional import ctc_loss as torch_ctc_loss

from elman.axes import Float, Int, Tensor
from elman.data.units import BLANK


def steps_needed(numbers: Sequence[int] | np.ndarray) -> int:
    """The fewest steps in which these units can be said."""
    numbers = np.asarray(numbers)
    return len(numbers) + int((numbers[1:] == numbers[:-1]).sum())


def ctc_nats(
    logits_TBV: Float[Tensor, "T B V"],
    lengths_B: Int[Tensor, "B"],
    targets_N: Int[Tensor, "N"],
    target_lengths_B: Int[Tensor, "B"],
) -> Float[Tensor, "B"]:
    """-ln P of each text; the units of all texts stand one after another. Infinite for a text that needs more steps."""
    log_probs_TBV = logits_TBV.float().log_softmax(-1)
    targets_N, target_lengths_B = (numbers.to(logits_TBV.device) for numbers in (targets_N, target_lengths_B))
    return torch_ctc_loss(log_probs_TBV, targets_N, lengths_B, target_lengths_B, blank=BLANK, reduction="none")


class GreedySearch:
    """What is left of the likeliest number of each step, step after step. What was said is never taken back."""

    def __init__(self) -> None:
        self._last = BLANK
        self._said: list[int] = []

    def accept(self, log_probs_TV: np.ndarray) -> None:
        """Go on over these steps."""
        for number in log_probs_TV.argmax(-1).tolist():
            if number not in (BLANK, self._last):
                self._said.append(number)
            self._last = number

    def best(self) -> list[int]:
        """The units so far."""
        return list(self._said)

    def settled(self) -> list[int]:
        """Those of them that will stay."""
        return list(self._said)


class PrefixSearch:
    """The likeliest texts over all their alignments: prefix beam search (Hannun et al., arXiv 1408.2873, without a language
    model), step after step.

    Of each of the `width` likeliest beginnings of a text two sums over alignments are known, of those that end with a blank
    and those that don't. At each step a beginning stays what it is (a blank, or its last unit again), or goes on by one of
    the `width` likeliest units: by its last unit only where a blank came between. If it is as wide as there are beginnings
    and units, what it finds is the likeliest text.
    """

    def __init__(self, width: int) -> None:
        self._width = width
        # A beginning -> ln P of it ending with a blank, and of it not.
        self._beam: dict[tuple[int, ...], tuple[float, float]] = {(): (0.0, -math.inf)}

    def accept(self, log_probs_TV: np.ndarray) -> None:
        """Go on over these steps."""
        for log_probs_V in log_probs_TV.astype(np.float64):
            likely = np.argsort(-log_probs_V, kind="stable")[: self._width + 1].tolist()
            self._step(log_probs_V.tolist(), [number for number in likely if number != BLANK])

    def _step(self, log_probs: list[float], units: list[int]) -> None:
        after: dict[tuple[int, ...], list[float]] = {}
        for said, (blank, unit) in self._beam.items():
            both = _added(blank, unit)
            stay = after.setdefault(said, [-math.inf, -math.inf])
            stay[0] = _added(stay[0], both + log_probs[BLANK])
            if said:
                stay[1] = _added(stay[1], unit + log_probs[said[-1]])
            for number in units:
                grown = after.setdefault((*said, number), [-math.inf, -math.inf])
                before = blank if said and said[-1] == number else both
                grown[1] = _added(grown[1], before + log_probs[number])
        best = sorted(after.items(), key=lambda item: (-_added(*item[1]), item[0]))[: self._width]
        self._beam = {said: (blank, unit) for said, (blank, unit) in best}

    def best(self) -> list[int]:
        """The likeliest units so far."""
        return list(max(self._beam.items(), key=lambda item: _added(*item[1]))[0])

    def log_probability(self) -> float:
        """ln P of these, over the alignments that were kept."""
        return max(_added(*sums) for sums in self._beam.values())

    def settled(self) -> list[int]:
        """The units with which every beginning that was kept begins: they will stay."""
        texts = list(self._beam)
        shared = 0
        for numbers in zip(*texts, strict=False):
            if len(set(numbers)) > 1:
                break
            shared += 1
        return list(texts[0][:shared])


Search = GreedySearch | PrefixSearch


def search(width: int) -> Search:
    """A search of this width: 1 is greedy."""
    return GreedySearch() if width == 1 else PrefixSearch(width)


@torch.no_grad()
def decode(logits_TBV: Float[Tensor, "T B V"], lengths_B: Int[Tensor, "B"], width: int) -> list[list[int]]:
    """The units that are found for each sequence."""
    log_probs_TBV = logits_TBV.float().log_softmax(-1).cpu().numpy()
    found = []
    for place, length in enumerate(lengths_B.tolist()):
        each = search(width)
        each.accept(log_probs_TBV[:length, place])
        found.append(each.best())
    return found


def _added(a: float, b: float) -> float:
    """ln (e^a + e^b)."""
    if a < b:
        a, b = b, a
    return a if b == -math.inf else a + math.log1p(math.exp(b - a))
