"""How well a classifier does: accuracy, F1, the confusion table, and what the most frequent class would come to."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from elman.errors import DataError


@dataclass(frozen=True)
class ClassScores:
    """Scores over all examples.

    accuracy      the share of those that are right
    macro_f1      the mean of the F1 of each class that is there or was predicted, F1 = 2 TP / (2 TP + FP + FN)
    loss_nats     mean of -ln P(class)
    examples      how many there are
    confusion     (V, V): how many of class i, a row, were taken for class j, a column
    labels        what the classes are called
    usual         the class that the baseline always says
    """

    accuracy: float
    macro_f1: float
    loss_nats: float
    examples: int
    confusion: np.ndarray
    labels: tuple[str, ...]
    usual: str

    def to_dict(self) -> dict[str, float]:
        """Under the names that `--json`, `metrics.jsonl` and `config.json` use."""
        counts_V = self.confusion.sum(1)
        most = self.labels.index(self.usual)
        always = np.zeros_like(self.confusion)
        always[:, most] = counts_V
        return {
            "accuracy": self.accuracy,
            "macro_f1": self.macro_f1,
            "loss_nats": self.loss_nats,
            "examples": self.examples,
            "baseline_accuracy": float(counts_V[most] / self.examples),
            "baseline_macro_f1": macro_f1(always),
        }


def score_classes(
    labels_N: np.ndarray, log_probabilities_NV: np.ndarray, labels: Sequence[str], usual: str
) -> ClassScores:
    """Scores of ln P (N, V) against the classes (N) that are right. Raises `DataError` if there is nothing to score."""
    count = len(labels_N)
    if not count:
        raise DataError("there is nothing to score: give at least one labelled example.")
    predicted_N = log_probabilities_NV.argmax(-1)
    confusion = np.zeros((len(labels), len(labels)), dtype=np.int64)
    np.add.at(confusion, (labels_N, predicted_N), 1)
    return ClassScores(
        accuracy=float((predicted_N == labels_N).mean()),
        macro_f1=macro_f1(confusion),
        loss_nats=float(-log_probabilities_NV[np.arange(count), labels_N].mean()),
        examples=count,
        confusion=confusion,
        labels=tuple(labels),
        usual=usual,
    )


def macro_f1(confusion: np.ndarray) -> float:
    """The mean F1 of the classes that are there or were predicted."""
    right_V = confusion.diagonal()
    both_V = confusion.sum(0) + confusion.sum(1)
    there = both_V > 0
    return float((2 * right_V[there] / both_V[there]).mean())
