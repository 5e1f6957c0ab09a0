"""A recurrent classifier: the class of a whole sequence of tokens.

    input layer      e_t = E[token_t]                                       embedding, with dropout
    recurrent layers h_t = [forward cell; backward cell](e_1 … e_T)          dropout between layers
    pooling          p = the maximum of h_1 … h_T over time, or another way    see `elman.layers.pooling`
    output layer     P(class | token_1 … token_T) = softmax(V p + c)          with dropout before it

In training a token is read as the unknown one now and then (word dropout; Iyyer et al., ACL 2015), so that the network learns
what to make of tokens that it doesn't know.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from elman.axes import Float, Int, Tensor
from elman.data.bad_rows import BadRows
from elman.data.classes import read_examples
from elman.data.examples import Example
from elman.data.text import Source
from elman.data.tokenizer import START_ID, UNKNOWN_ID, TextTokenizer
from elman.engines import Engine
from elman.errors import ModelFolderError
from elman.layers import Dropout, Pooling
from elman.models.class_scores import ClassScores
from elman.models.classifier import Classifier, both_ways_in_words
from elman.models.folder import CONFIG, TOKENIZER, build, entry, existing, read_network_config
from elman.models.stack import StackConfig


@dataclass(frozen=True)
class ClassificationConfig(StackConfig):
    """A classifier's sizes and options: what `config.json` holds under "network"."""

    vocabulary: int
    classes: int
    bidirectional: bool = True
    pooling: str = "max"
    word_dropout: float = 0.0

    @property
    def recurrent_in_words(self) -> str:
        return both_ways_in_words(super().recurrent_in_words, self.cell, self.bidirectional)


class ClassificationModel(Classifier):
    """Tokens (T, B) and lengths (B) in, logits (B, V) out: V classes, called `labels`.

    `most_frequent` is that class of the training part: to say it always is the trivial baseline.

    Initialiser: recurrent layers as their cell says; embedding N(0, 0.1²) for words and subwords, N(0, 1) for
    characters and bytes; pooling and output layer as `torch.nn.Linear`.
    """

    task: ClassVar[str] = "classify"

    def __init__(
        self,
        config: ClassificationConfig,
        tokenizer: TextTokenizer,
        labels: Sequence[str],
        most_frequent: str,
        engine: Engine | str = Engine.AUTO,
    ) -> None:
        super().__init__()
        self.config = config
        self.tokenizer = tokenizer
        self.labels = list(labels)
        self.most_frequent = most_frequent
        self.embedding = nn.Embedding(config.vocabulary, config.embedding)
        # Small where tokens are many and most of them rare: they must still come to mean something.
        nn.init.normal_(self.embedding.weight, std=0.1 if tokenizer.kind in ("word", "bpe") else 1.0)
        self.recurrent = config.recurrent_layers(config.embedding, engine, config.bidirectional)
        self.pooling = Pooling(config.pooling, self.recurrent.output_size, 1 + config.bidirectional)
        self.dropout = Dropout(config.dropout)
        self.output = nn.Linear(self.recurrent.output_size, config.classes)

    def forward(self, tokens_TB: Int[Tensor, "T B"], lengths_B: Int[Tensor, "B"]) -> Float[Tensor, "B V"]:
        if self.training and self.config.word_dropout:
            forgotten_TB = torch.rand(tokens_TB.shape, device=tokens_TB.device) < self.config.word_dropout
            tokens_TB = tokens_TB.masked_fill(forgotten_TB, UNKNOWN_ID)
        e_TBD = self.dropout(self.embedding(tokens_TB))
        h_TBH, _ = self.recurrent(e_TBD, lengths=lengths_B)
        return self.output(self.dropout(self.pooling(h_TBH, lengths_B)))

    def sequences(self, inputs: Sequence[str]) -> list[np.ndarray]:
        """The token numbers of each text."""
        return self.tokenizer.encode_each(inputs)

    def sequences_of(self, examples: Sequence[Example]) -> list[np.ndarray]:
        return self.sequences([example.text for example in examples])

    def batch(self, sequences: Sequence[np.ndarray]) -> tuple[Int[Tensor, "T B"], Int[Tensor, "B"]]:
        """Token numbers of some texts side by side, padded, and their lengths."""
        lengths_B = torch.tensor([len(sequence) for sequence in sequences])
        tokens_TB = torch.full((max(1, int(lengths_B.max())), len(sequences)), START_ID)
        for place, sequence in enumerate(sequences):
            tokens_TB[: len(sequence), place] = torch.from_numpy(sequence.astype(np.int64))
        return tokens_TB.to(self.device), lengths_B.to(self.device)

    def answer(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        """What `elman predict` says of each text."""
        return [
            {"text": text, "label": p.label, "probability": p.probability, "probabilities": p.probabilities}
            for text, p in zip(texts, self.predict_batch(texts), strict=True)
        ]

    def evaluate(
        self,
        data: Source | Sequence[Source],
        encoding: str = "utf-8",
        *,
        text: str | None = None,
        label: str | None = None,
        bad: BadRows | None = None,
        watch: Callable[[float], None] | None = None,
    ) -> ClassScores:
        """Scores on labelled texts. Raises `DataError` for what can't be read, and for a label that the model doesn't know.

        Bad rows go into `bad`; without it the first is an error.
        """
        bad = bad or BadRows(strict=True)
        sources = [data] if isinstance(data, Source) else list(data)
        examples = read_examples(sources, text=text, label=label, encoding=encoding, bad=bad, training=False).items
        return self.score(examples, watch)

    @classmethod
    def from_folder(
        cls, folder: Path, config: dict[str, Any], engine: Engine | str = Engine.AUTO
    ) -> "ClassificationModel":
        """The network that a folder describes, without its weights. Raises `ModelFolderError`."""
        tokenizer = TextTokenizer.load(entry(folder, config, "tokenizer", str), existing(folder, TOKENIZER))
        network = read_network_config(folder, ClassificationConfig, config["network"])
        labels = entry(folder, config, "labels", list)
        usual = entry(folder, config, "most_frequent", str)
        if (len(tokenizer), len(labels)) != (network.vocabulary, network.classes):
            raise ModelFolderError(
                f"{folder / CONFIG} has {network.vocabulary} tokens and {network.classes} classes in 'network', but there "
                f"are {len(tokenizer)} and {len(labels)}: they belong to different models."
            )
        return build(folder, lambda: cls(network, tokenizer, labels, usual, engine))

    def save_vocabularies(self, folder: Path) -> dict[str, Any]:
        """Write `tokenizer.json`; gives what `config.json` says of it, and the classes."""
        self.tokenizer.save(folder / TOKENIZER)
        return {"tokenizer": self.tokenizer.kind, "labels": self.labels, "most_frequent": self.most_frequent}

    def description(self) -> dict[str, str]:
        """The parts of the network in words."""
        return {
            "classes": self.classes_in_words,
            "tokens": f"{self.tokenizer.kind}, vocabulary {self.config.vocabulary:,}",
            "input layer": f"embedding of {self.config.embedding}",
            "recurrent": self.config.recurrent_in_words,
            "pooling": self.config.pooling,
            "dropout": f"{self.config.dropout:g}",
        }
