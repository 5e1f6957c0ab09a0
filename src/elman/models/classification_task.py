"""The classifier as a task to train: batches of texts of like length, cross-entropy, scores on the validation part."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from elman.data.bad_rows import BadRows
from elman.data.buckets import Buckets
from elman.data.classes import read_examples
from elman.data.example_tokens import fit_examples
from elman.data.examples import Example, Reading
from elman.data.text import Source
from elman.errors import DataError
from elman.models.class_scores import ClassScores
from elman.models.classification import ClassificationConfig, ClassificationModel, numbered
from elman.models.options import TrainOptions
from elman.models.parts import Parts, budget_note, count_note, most_frequent, read_parts
from elman.models.pictures import draw_confusion

_SHOWN = 5


class ClassificationKind:
    """How a classifier's training begins."""

    def read(self, sources: Sequence[Source] | None, options: TrainOptions) -> Parts[Example]:
        if sources is None:
            raise DataError("there is nothing to classify: give DATA, a table or a folder of texts with their labels.")

        def read(part: Sequence[Source], bad: BadRows, **columns: Any) -> Reading[Example]:
            chosen: dict[str, Any] = {"text": options.text, "label": options.label, **columns}
            training = part is sources
            return read_examples(part, **chosen, encoding=options.encoding, bad=bad, training=training)

        return _parts(sources, options, read)

    def split(self, examples: Sequence[Example], options: TrainOptions) -> Parts[Example]:
        """The parts of examples that are in memory. Raises `DataError` if none can be held out."""
        return _parts([], options, lambda *_: Reading(list(examples), "examples in memory"))

    def fit(self, data: Parts[Example], options: TrainOptions) -> ClassificationModel:
        tokenizer = fit_examples(
            options.tokenizer,
            [example.text for example in data.train],
            vocabulary=options.vocabulary,
            minimum_count=options.minimum_count,
            normalisation=options.normalisation,
            lowercase=options.lowercase,
        )
        labels = [str(example.label) for example in data.train]
        config = ClassificationConfig(
            vocabulary=len(tokenizer),
            classes=len(set(labels)),
            cell=options.cell,
            hidden=options.hidden,
            layers=options.layers,
            embedding=options.embedding,
            dropout=options.dropout,
            bidirectional=options.bidirectional,
            pooling=options.pooling,
            word_dropout=options.word_dropout,
            cell_options=options.cell_options,
            layer_options=options.layer_options,
        )
        torch.manual_seed(options.seed)
        return ClassificationModel(config, tokenizer, sorted(set(labels)), most_frequent(labels), options.engine)

    def task(self, data: Parts[Example], network: ClassificationModel, options: TrainOptions) -> "ClassificationTask":
        return ClassificationTask(data, network, options)


def _parts(sources: Sequence[Source], options: TrainOptions, read: Callable[..., Reading[Example]]) -> Parts[Example]:
    return read_parts(sources, options, read, label_of=lambda example: str(example.label))


class ClassificationTask:
    """Each epoch reads every text once, in batches of like length; no state is carried from one text to another."""

    def __init__(self, data: Parts[Example], network: ClassificationModel, options: TrainOptions) -> None:
        self.network = network
        self._data, self._options = data, options
        # A label of another part that the training part hasn't is an error now, not after hours.
        for part in (data.train, data.valid, data.test or []):
            numbered(part, network.labels)
        self._labels = numbered(data.train, network.labels)
        self._texts = network.tokenizer.encode_each([example.text for example in data.train])
        self._buckets = Buckets([len(text) for text in self._texts], options.batch_tokens, options.seed)
        self.steps_per_epoch = len(self._buckets)
        self._scored: dict[str, ClassScores] = {}
        self.fingerprint = data.fingerprint
        self.notes = self._notes()

    def batch(self, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens (T, B), lengths (B) and classes (B)."""
        places = self._buckets[step]
        tokens_TB, lengths_B = self.network.batch([self._texts[place] for place in places])
        return tokens_TB, lengths_B, torch.from_numpy(self._labels[places]).to(self.network.device)

    def carries_state(self, step: int) -> bool:  # noqa: ARG002
        return False

    def loss(self, batch: tuple[Tensor, Tensor, Tensor], state: Any) -> tuple[Tensor, Any]:  # noqa: ARG002
        tokens_TB, lengths_B, labels_B = batch
        logits_BV = self.network(tokens_TB, lengths_B).float()
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
        """A few texts that were held out, what each is, and what it was taken for."""
        chosen = (self._data.test or self._data.valid)[:_SHOWN]
        lines = []
        for example, found in zip(chosen, self.network.predict([example.text for example in chosen]), strict=True):
            right = "right" if found.label == example.label else f"it is {example.label}"
            text = example.text if len(example.text) <= 60 else example.text[:59] + "…"
            lines.append(f"{text!r}: {found.label} ({found.probability:.0%}; {right})\n")
        return "".join(lines)

    def draw(self, folder: Path) -> list[Path]:
        return [draw_confusion(folder / f"confusion-{part}.png", part, found) for part, found in self._scored.items()]

    def _notes(self) -> list[str]:
        data, options, usual = self._data, self._options, self.network.most_frequent
        share = sum(example.label == usual for example in data.train) / len(data.train)
        tokens = sum(map(len, self._texts))
        return [
            *data.notes,
            count_note(
                "examples", data, f"; {len(self.network.labels)} classes, the most frequent {usual!r} {share:.1%}"
            ),
            f"text: {tokens:,} {self.network.tokenizer.kind} tokens, vocabulary {self.network.config.vocabulary:,}",
            budget_note(options, "tokens", self.steps_per_epoch),
        ]
