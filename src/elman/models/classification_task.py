"""The classifier of texts as a task to train."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from elman.data.bad_rows import BadRows
from elman.data.classes import read_examples
from elman.data.example_tokens import fit_examples, suited
from elman.data.examples import Example, Reading
from elman.data.text import Source
from elman.data.tokenizer import UNKNOWN_ID
from elman.errors import DataError
from elman.models.classification import ClassificationConfig, ClassificationModel
from elman.models.classifier_task import ClassifierTask
from elman.models.forgetting import Forgetting
from elman.models.options import TrainOptions
from elman.models.parts import Parts, most_frequent, read_parts


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

    def settle(self, data: Parts[Example], options: TrainOptions) -> dict[str, Any]:
        """Whether texts are read by words or characters, where that is left to them."""
        return {"tokenizer": suited([example.text for example in data.train])} if options.tokenizer == "auto" else {}

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


class ClassificationTask(ClassifierTask):
    """Each epoch reads every text once."""

    def __init__(self, data: Parts[Example], network: ClassificationModel, options: TrainOptions) -> None:
        super().__init__(data, network, options)
        self._forget = Forgetting(self._sequences, network.config.vocabulary, options.rare_dropout, UNKNOWN_ID)

    def loss(self, batch: tuple[Tensor, Tensor, Tensor], state: Any) -> tuple[Tensor, Any]:
        tokens_TB, lengths_B, labels_B = batch
        return super().loss((self._forget(tokens_TB), lengths_B, labels_B), state)

    def _shown(self, example: Example) -> str:
        return repr(example.text if len(example.text) <= 60 else example.text[:59] + "…")

    def _told(self) -> list[str]:
        kind, vocabulary = self.network.tokenizer.kind, self.network.config.vocabulary
        return [f"text: {sum(self._lengths):,} {kind} tokens, vocabulary {vocabulary:,}"]
