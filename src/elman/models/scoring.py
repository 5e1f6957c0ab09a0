"""How well a language model predicts a text: nats, bits per character, perplexity."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

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


@torch.no_grad()
def score_tokens(
    model: nn.Module,
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
    model.eval()
    try:
        inputs_SB, targets_SB = _side_by_side(tokens, max(1, min(streams, steps // (4 * _WARM_UP))))
        total, state = 0.0, None
        for start in range(0, inputs_SB.shape[0], _WINDOW):
            logits_TBV, state = model(inputs_SB[start : start + _WINDOW].long().to(device), state)
            wanted = targets_SB[start : start + _WINDOW].long().to(device)
            total += _nats(logits_TBV, wanted)
            if watch is not None:
                watch(min(1.0, (start + _WINDOW) / inputs_SB.shape[0]))
    finally:
        model.train(was_training)
    return Scores(total / steps, steps, characters, int((tokens[1:] == UNKNOWN_ID).sum()))


_UNSCORED = -100


def _side_by_side(tokens: np.ndarray, streams: int) -> tuple[Any, Any]:
    """Inputs and targets (S, B): each stream's part of the text, with its warm-up before it, padded at the end."""
    steps = len(tokens) - 1
    own = -(-steps // streams)
    warm_up = _WARM_UP if streams > 1 else 0
    starts_B = np.arange(streams) * own
    at_SB = starts_B - warm_up + np.arange(own + warm_up)[:, None]
    # The first stream has nothing before it. It reads its second token until START, its first, makes its state fresh:
    # reading START all the while would be a reset a step, which no engine runs fast.
    inside_SB = (at_SB >= starts_B) & (at_SB < np.minimum(starts_B + own, steps))
    at_SB = np.where(at_SB < 0, 1, at_SB).clip(max=steps - 1)
    inputs = torch.from_numpy(tokens[at_SB].astype(np.int32))
    targets = torch.from_numpy(np.where(inside_SB, tokens[at_SB + 1], _UNSCORED).astype(np.int32))
    return inputs, targets


def _nats(logits_TBV: torch.Tensor, targets_TB: torch.Tensor) -> float:
    loss = torch.nn.functional.cross_entropy(
        logits_TBV.flatten(0, 1).float(), targets_TB.flatten(), ignore_index=_UNSCORED, reduction="none"
    )
    return float(loss.sum(dtype=torch.float64 if loss.device.type != "mps" else None))
