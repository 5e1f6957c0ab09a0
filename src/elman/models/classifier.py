"""What all classifiers have in common, whatever they read: classes, answers and scores."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from torch import nn

from elman.axes import Int, Tensor
from elman.data.buckets import in_order
from elman.errors import DataError
from elman.models.class_scores import ClassScores, score_classes

# What is answered together.
_AT_ONCE = 64


@runtime_checkable
class Labelled(Protocol):
    """An example, as far as its class goes."""

    @property
    def label(self) -> str | None:
        """Its class, or None where that isn't known."""

    @property
    def where(self) -> str:
        """Where it was read."""


class Prediction(NamedTuple):
    """The likeliest class of a sequence, its probability, and that of every class."""

    label: str
    probability: float
    probabilities: dict[str, float]


class Classifier(nn.Module):
    """Sequences in, logits (B, V) out: V classes, called `labels`.

    `most_frequent` is that class of the training part: to say it always is the trivial baseline. A kind of classifier has a
    `forward` from what `batch` gives, and says by `sequences` and `sequences_of` what it reads of inputs and examples.
    """

    labels: list[str]
    most_frequent: str
    output: nn.Linear
    # Steps of a batch when nothing is learnt.
    steps_at_once = 1 << 14

    def sequences(self, inputs: Sequence[Any]) -> Sequence[Any]:
        """What `batch` takes of each input: things with a length."""
        raise NotImplementedError

    def sequences_of(self, examples: Sequence[Any]) -> Sequence[Any]:
        """What `batch` takes of each example."""
        raise NotImplementedError

    def batch(self, sequences: Sequence[Any]) -> tuple[Tensor, Int[Tensor, "B"]]:
        """Some sequences side by side, padded, and their lengths, on the network's device."""
        raise NotImplementedError

    @property
    def parameter_count(self) -> int:
        """Numbers that training adjusts."""
        return sum(parameter.numel() for parameter in self.parameters())

    @property
    def device(self) -> torch.device:
        return self.output.weight.device

    @torch.no_grad()
    def log_probabilities(self, sequences: Sequence[Any], watch: Callable[[float], None] | None = None) -> np.ndarray:
        """ln P (N, V) for each of what `sequences` gives, in order."""
        was_training, done = self.training, 0
        self.eval()
        found_NV = np.zeros((len(sequences), len(self.labels)))
        for places in in_order([len(sequence) for sequence in sequences], self.steps_at_once):
            logits_BV = self(*self.batch([sequences[place] for place in places]))
            found_NV[places] = logits_BV.double().log_softmax(-1).cpu().numpy()
            done += len(places)
            if watch is not None:
                watch(done / len(sequences))
        self.train(was_training)
        return found_NV

    def predict(self, inputs: Iterable[Any]) -> Iterator[Prediction]:
        """The class of each input, in order; they are read as they are asked for, a few at a time."""
        batch: list[Any] = []
        for each in inputs:
            batch.append(each)
            if len(batch) == _AT_ONCE:
                yield from self.predict_batch(batch)
                batch = []
        yield from self.predict_batch(batch)

    def predict_batch(self, inputs: Sequence[Any]) -> list[Prediction]:
        """The class of each of these inputs."""
        return self._predictions(self.sequences(inputs))

    def predict_examples(self, examples: Sequence[Any]) -> list[Prediction]:
        """The class of each of these examples."""
        return self._predictions(self.sequences_of(examples))

    def _predictions(self, sequences: Sequence[Any]) -> list[Prediction]:
        found = []
        for probabilities_V in np.exp(self.log_probabilities(sequences)):
            best = int(probabilities_V.argmax())
            each = dict(zip(self.labels, map(float, probabilities_V), strict=True))
            found.append(Prediction(self.labels[best], float(probabilities_V[best]), each))
        return found

    def score(self, examples: Sequence[Any], watch: Callable[[float], None] | None = None) -> ClassScores:
        """Scores on examples. Raises `DataError` for a label that the model doesn't know."""
        labels_N = numbered(examples, self.labels)
        found_NV = self.log_probabilities(self.sequences_of(examples), watch)
        return score_classes(labels_N, found_NV, self.labels, self.most_frequent)

    @property
    def classes_in_words(self) -> str:
        """How many classes there are, and the first of them."""
        return f"{len(self.labels)}: {', '.join(self.labels[:10])}{', …' if len(self.labels) > 10 else ''}"

    @staticmethod
    def headline(scores: dict[str, float]) -> str:
        """Scores as a person reads them."""
        return (
            f"accuracy {scores['accuracy']:.2%} (most frequent class {scores['baseline_accuracy']:.2%}), "
            f"macro F1 {scores['macro_f1']:.2%}, {scores['loss_nats']:.4f} nats over {scores['examples']:,} examples"
        )

    def loss_in_words(self, loss_nats: float) -> str:  # noqa: ARG002
        """Nothing: the loss is all that there is to say."""
        return ""

    @staticmethod
    def selection(scores: dict[str, float]) -> float:
        """The weights of the highest accuracy are kept; of those equal in it, those of the lowest loss."""
        return -scores["accuracy"] + 1e-6 * min(scores["loss_nats"], 1e3)


def both_ways_in_words(recurrent: str, cell: str, bidirectional: bool) -> str:
    """`StackConfig.recurrent_in_words`, with the word bidirectional where it belongs."""
    return recurrent.replace(f" x {cell}", f" x bidirectional {cell}", 1) if bidirectional else recurrent


def numbered(examples: Sequence[Labelled], labels: Sequence[str]) -> np.ndarray:
    """The class of each example as its place among the labels, int64 (N,). Raises `DataError` for one that isn't there."""
    places = {label: place for place, label in enumerate(labels)}
    for example in examples:
        if example.label not in places:
            shown = ", ".join(labels[:20]) + (", …" if len(labels) > 20 else "")
            raise DataError(
                f"{example.where}: the label {example.label!r} is not among those of the training part ({shown}): correct "
                "it, or train with examples of it."
            )
    return np.array([places[str(example.label)] for example in examples], dtype=np.int64)
