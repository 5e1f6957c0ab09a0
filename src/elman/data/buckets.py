"""Batches of sequences of like length, so that there is little padding.

Sequences in order of length are cut into batches of about as many tokens each. In each epoch lengths are blurred a little
before they are ordered, so that other sequences meet, and the batches come in another order. All of it is a function of the
seed and the number of the step.
"""

from collections.abc import Sequence

import numpy as np

# How much of its length a sequence may seem longer than it is, and by how many tokens besides.
_BLUR, _MORE = 0.1, 1.0


class Buckets:
    """`buckets[step]` is the batch of a step: places in the sequence of `lengths`, an int64 array.

    tokens     most tokens of a batch, padding among them; a longer sequence is a batch by itself
    """

    def __init__(self, lengths: Sequence[int], tokens: int, seed: int) -> None:
        self._lengths_N = np.asarray(lengths, dtype=np.int64)
        self._seed = seed
        self._cuts = _cut(np.sort(self._lengths_N), tokens)
        self._epoch, self._plan = -1, list[np.ndarray]()

    def __len__(self) -> int:
        """Batches of an epoch."""
        return len(self._cuts) + 1

    def __getitem__(self, step: int) -> np.ndarray:
        epoch, place = divmod(step, len(self))
        if epoch != self._epoch:
            self._epoch, self._plan = epoch, self._planned(epoch)
        return self._plan[place]

    def _planned(self, epoch: int) -> list[np.ndarray]:
        generator = np.random.default_rng((self._seed, epoch))
        blur_N = generator.random(len(self._lengths_N)) * (self._lengths_N * _BLUR + _MORE)
        batches = np.split(np.argsort(self._lengths_N + blur_N, kind="stable"), self._cuts)
        return [batches[place] for place in generator.permutation(len(batches))]


def in_order(lengths: Sequence[int], tokens: int) -> list[np.ndarray]:
    """The places of sequences in batches from the shortest to the longest, for scoring."""
    lengths_N = np.asarray(lengths, dtype=np.int64)
    order_N = np.argsort(lengths_N, kind="stable")
    return np.split(order_N, _cut(lengths_N[order_N], tokens)) if len(order_N) else []


def _cut(ascending_N: np.ndarray, tokens: int) -> list[int]:
    """Where to cut sequences of these lengths: the last of a batch is the longest, which all are padded to."""
    cuts, start = [], 0
    for place, length in enumerate(ascending_N):
        if place > start and (place - start + 1) * max(int(length), 1) > tokens:
            cuts.append(place)
            start = place
    return cuts
