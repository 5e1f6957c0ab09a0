"""How well a language model predicts a text: nats, bits per character, perplexity."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import nn

from elman.axes import Bool, Float, Int, Tensor
from elman.data.tokenizer import UNKNOWN_ID
from elman.errors import DataError

# Steps in one call; and how many tokens each stream but the first reads before its own part, unscored.
_WINDOW = 512
_WARM_UP = 256


@dataclass(frozen=True)
class Scores:
    """Means over every predicted token.

    loss_nats      mean of -ln P(token | all before it)
    tokens         how many were predicted: all of the text, and the start of each document after the first
    characters     how many characters the text has
    unknown        how many of the tokens stand for something that the vocabulary doesn't hold; they are scored as UNKNOWN
    """

    loss_nats: float
    tokens: int
    characters: int
    unknown: int = 0

    @property
    def perplexity(self) -> float:
        """e to the power of the loss; infinite where that is too large to write down."""
        return math.exp(self.loss_nats) if self.loss_nats < 700 else math.inf

    @property
    def bits_per_char(self) -> float:
        """All bits divided by all characters, whatever the tokens are."""
        return self.loss_nats * self.tokens / self.characters / math.log(2)

    def to_dict(self) -> dict[str, float]:
        """Under the names that `--json`, `metrics.jsonl` and `config.json` use."""
        return {
            "loss_nats": self.loss_nats,
            "bits_per_char": self.bits_per_char,
            "perplexity": self.perplexity,
            "tokens": self.tokens,
            "unknown": self.unknown,
        }


@runtime_checkable
class Predictor(Protocol):
    """A module that predicts tokens: `elman.models.language.LanguageModel`, or anything with such a loss."""

    training: bool

    def loss(
        self,
        tokens_TB: Int[Tensor, "T B"],
        targets_TB: Int[Tensor, "T B"],
        state: Any,
        scored_TB: Bool[Tensor, "T B"],
    ) -> tuple[Float[Tensor, ""], Any]:
        """Mean of -ln P(target) over the steps that are scored, and the state after the last step."""

    def parameters(self) -> Iterator[nn.Parameter]: ...

    def train(self, mode: bool = True) -> Any: ...


@torch.no_grad()
def score_tokens(
    model: Predictor,
    tokens: np.ndarray,
    characters: int,
    streams: int = 1,
    watch: Callable[[float], None] | None = None,
) -> Scores:
    """Score a token sequence (N,) that begins with START; each token after the first is predicted once.

    `streams=1` carries the state over every token, in order. More streams are faster: each reads `_WARM_UP` tokens before its
    own part, so that it begins with the state of its context, if not of all of it. `watch` is told now and then which part
    of the work is done, 0 to 1. Raises `DataError` if there is nothing to predict.
    """
    steps = len(tokens) - 1
    if steps < 1 or characters < 1:
        raise DataError("there is nothing to score: give a text of at least one character.")
    device = next(model.parameters()).device
    was_training = model.training
    model.train(False)
    try:
        total, unknown, state = 0.0, 0, None
        for done, inputs_TB, targets_TB in _side_by_side(tokens, max(1, min(streams, steps // (4 * _WARM_UP)))):
            scored_TB = targets_TB != _UNSCORED
            loss, state = model.loss(inputs_TB.to(device), targets_TB.to(device), state, scored_TB.to(device))
            total += float(loss) * int(scored_TB.sum())
            unknown += int((targets_TB == UNKNOWN_ID).sum())
            if watch is not None:
                watch(done)
    finally:
        model.train(was_training)
    return Scores(total / steps, steps, characters, unknown)


_UNSCORED = -100


def _side_by_side(tokens: np.ndarray, streams: int) -> Iterator[tuple[float, Int[Tensor, "T B"], Int[Tensor, "T B"]]]:
    """Windows of inputs and targets, one at a time, and which part of the work is done with each.

    A stream is its part of the text, with its warm-up before it, padded at the end. `tokens` may be larger than memory.
    """
    steps = len(tokens) - 1
    own = -(-steps // streams)
    warm_up = _WARM_UP if streams > 1 else 0
    starts_B = np.arange(streams) * own
    for first in range(-warm_up, own, _WINDOW):
        last = min(first + _WINDOW, own)
        at_TB = starts_B + np.arange(first, last)[:, None]
        # The first stream has nothing before it. It reads its second token until START, its first, makes its state fresh:
        # reading START all the while would be a reset a step, which no engine runs fast.
        inside_TB = (at_TB >= starts_B) & (at_TB < np.minimum(starts_B + own, steps))
        at_TB = np.where(at_TB < 0, 1, at_TB).clip(max=steps - 1)
        inputs_TB = torch.from_numpy(tokens[at_TB].astype(np.int64))
        targets_TB = torch.from_numpy(np.where(inside_TB, tokens[at_TB + 1].astype(np.int64), _UNSCORED))
        yield (last + warm_up) / (own + warm_up), inputs_TB, targets_TB
