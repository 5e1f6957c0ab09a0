"""The language model as a task to train: streams in, cross-entropy, scores on the validation part."""

from typing import Any

import numpy as np
from torch import Tensor
from torch.nn.functional import cross_entropy

from elman.data.streams import Streams
from elman.models.language import LanguageModel
from elman.models.scoring import Scores, score_tokens


class LanguageTask:
    """Contiguous streams with the state carried from window to window; each epoch starts with a fresh one."""

    def __init__(
        self, network: LanguageModel, streams: Streams, valid_tokens: np.ndarray, valid_characters: int
    ) -> None:
        self.network = network
        self.streams = streams
        self.steps_per_epoch = len(streams)
        self._valid = valid_tokens, valid_characters

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        inputs_TB, targets_TB = self.streams[step % self.steps_per_epoch]
        device = self.network.device
        return inputs_TB.to(device), targets_TB.to(device)

    def carries_state(self, step: int) -> bool:
        return step % self.steps_per_epoch != 0

    def loss(self, batch: tuple[Tensor, Tensor], state: Any) -> tuple[Tensor, Any]:
        inputs_TB, targets_TB = batch
        logits_TBV, state = self.network(inputs_TB, state)
        return cross_entropy(logits_TBV.flatten(0, 1).float(), targets_TB.flatten()), state

    def size(self, batch: tuple[Tensor, Tensor]) -> int:
        return batch[0].numel()

    def validate(self) -> dict[str, float]:
        return score_report(score_tokens(self.network, *self._valid, streams=self.streams.batch))


def score_report(scores: Scores) -> dict[str, float]:
    """Scores under the names that `--json`, `metrics.jsonl` and `config.json` use."""
    return {
        "loss_nats": scores.loss_nats,
        "bits_per_char": scores.bits_per_char,
        "perplexity": scores.perplexity,
        "tokens": scores.tokens,
        "unknown": scores.unknown,
    }
