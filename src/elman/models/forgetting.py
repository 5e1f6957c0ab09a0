"""Words that are read as the unknown one in training: the rarer, the more often.

A word that comes n times in the training part is forgotten with the probability a / (a + n) (Kiperwasser and Goldberg, TACL 4,
2016). So the network learns what to make of words that it doesn't know, from those that are most like them, and frequent
ones, or characters, are hardly ever lost.
"""

from collections.abc import Sequence

import numpy as np
import torch

from elman.axes import Float, Int, Tensor


class Forgetting:
    """Forgets words by their counts in `texts`, the training part: `strength` is a, 0 for never."""

    def __init__(self, texts: Sequence[np.ndarray], vocabulary: int, strength: float, unknown: int) -> None:
        self._unknown = unknown
        self.rates_V: Float[Tensor, "V"] | None = None
        if strength:
            counts_V = torch.from_numpy(np.bincount(np.concatenate(texts), minlength=vocabulary))
            self.rates_V = strength / (strength + counts_V)

    def __call__(self, words_TB: Int[Tensor, "T B"]) -> Int[Tensor, "T B"]:
        """The same words, some of them forgotten."""
        if self.rates_V is None:
            return words_TB
        self.rates_V = self.rates_V.to(words_TB.device)
        rates_TB = self.rates_V[words_TB]
        return words_TB.masked_fill(torch.rand(rates_TB.shape, device=rates_TB.device) < rates_TB, self._unknown)
