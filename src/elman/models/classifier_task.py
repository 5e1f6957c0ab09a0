"""A classifier as a task to train: batches of sequences of like length, cross-entropy, scores on the validation part."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from elman.data.buckets import Buckets
from elman.models.class_scores import ClassScores
from elman.models.classifier import Classifier, numbered
from elman.models.options import TrainOptions
from elman.models.parts import Parts, budget_note, count_note
from elman.models.pictures import draw_confusion

_SHOWN = 5


class ClassifierTask:
    """Each epoch reads every sequence once, in batches of like length; no state is carried from one to another.

    A kind of classifier adds what it has to say of its data (`_told`), what its steps are called (`unit`), how an example is
    shown, and, if it changes sequences in training, how (`_chosen`).
    """

    unit = "tokens"

    def __init__(self, data: Parts[Any], network: Classifier, options: TrainOptions) -> None:
        self.network: Any = network
        self._data, self._options = data, options
        # A label of another part that the training part hasn't is an error now, not after hours.
        for part in (data.train, data.valid, data.test or []):
            numbered(part, network.labels)
        self._labels = numbered(data.train, network.labels)
        self._sequences = network.sequences_of(data.train)
        self._lengths = [len(sequence) for sequence in self._sequences]
        self._buckets = Buckets(self._lengths, options.batch_tokens, options.seed)
        self.steps_per_epoch = len(self._buckets)
        self._scored: dict[str, ClassScores] = {}
        self.fingerprint = data.fingerprint
        self.notes = self._notes()

    def batch(self, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """Sequences side by side (time is the first axis), lengths (B) and classes (B)."""
        places = self._buckets[step]
        x_TB, lengths_B = self.network.batch(self._chosen(places, step))
        return x_TB, lengths_B, torch.from_numpy(self._labels[places]).to(self.network.device)

    def _chosen(self, places: np.ndarray, step: int) -> Sequence[Any]:  # noqa: ARG002
        """The sequences at these places, as this step is to see them."""
        return [self._sequences[place] for place in places]

    def carries_state(self, step: int) -> bool:  # noqa: ARG002
        return False

    def loss(self, batch: tuple[Tensor, Tensor, Tensor], state: Any) -> tuple[Tensor, Any]:  # noqa: ARG002
        x_TB, lengths_B, labels_B = batch
        logits_BV = self.network(x_TB, lengths_B).float()
        return cross_entropy(logits_BV, labels_B, label_smoothing=self._options.smoothing), None

    def size(self, batch: tuple[Tensor, Tensor, Tensor]) -> int:
        return int(batch[1].sum())

    def validate(self) -> dict[str, float]:
        return self.network.score(self._data.valid).to_dict()

    def final_scores(self) -> tuple[dict[str, float], dict[str, float] | None]:
        self._scored = {"valid": self.network.score(self._data.valid)}
        if self._data.test is not None:
            self._scored["test"] = self.network.score(self._data.test)
        scores = {part: found.to_dict() for part, found in self._scored.items()}
        return scores["valid"], scores.get("test")

    def sample(self) -> str:
        """A few examples that were held out, what each is, and what it was taken for."""
        chosen = (self._data.test or self._data.valid)[:_SHOWN]
        lines = []
        for example, found in zip(chosen, self.network.predict_examples(chosen), strict=True):
            right = "right" if found.label == example.label else f"it is {example.label}"
            lines.append(f"{self._shown(example)}: {found.label} ({found.probability:.0%}; {right})\n")
        return "".join(lines)

    def _shown(self, example: Any) -> str:
        """An example in a line."""
        return str(example.where)

    def draw(self, folder: Path) -> list[Path]:
        return [draw_confusion(folder / f"confusion-{part}.png", part, found) for part, found in self._scored.items()]

    def _told(self) -> list[str]:
        """What a person should know of the data beside the number of examples."""
        return []

    def _notes(self) -> list[str]:
        data, usual = self._data, self.network.most_frequent
        share = sum(example.label == usual for example in data.train) / len(data.train)
        classes = f"; {len(self.network.labels)} classes, the most frequent {usual!r} {share:.1%}"
        return [
            *data.notes,
            count_note("examples", data, classes),
            *self._told(),
            budget_note(self._options, self.unit, self.steps_per_epoch),
        ]
