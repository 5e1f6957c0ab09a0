"""A recurrent classifier: the class of a whole sequence of tokens.

    input layer      e_t = E[token_t]                                       embedding, with dropout
    recurrent layers h_t = [forward cell; backward cell](e_1 … e_T)          dropout between layers
    pooling          p = the maximum of h_1 … h_T over time, or another way    see `elman.layers.pooling`
    output layer     P(class | token_1 … token_T) = softmax(V p + c)          with dropout before it

In training a token is read as the unknown one now and then (word dropout; Iyyer et al., ACL 2015), so that the network learns
what to make of tokens that it doesn't know.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import nn

from elman.axes import Float, Int, Tensor
from elman.data.bad_rows import BadRows
from elman.data.buckets import in_order
from elman.data.classes import read_examples
from elman.data.examples import Example
from elman.data.text import Source
from elman.data.tokenizer import START_ID, UNKNOWN_ID, TextTokenizer
from elman.engines import Engine
from elman.errors import DataError, ModelFolderError
from elman.layers import Dropout, Pooling
from elman.models.class_scores import ClassScores, score_classes
from elman.models.folder import CONFIG, TOKENIZER, build, entry, existing, read_network_config
from elman.models.stack import StackConfig

# Tokens of a batch when nothing is learnt.
_TOKENS = 1 << 14


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
        both = "bidirectional " if self.bidirectional else ""
        return super().recurrent_in_words.replace(f" x {self.cell}", f" x {both}{self.cell}", 1)


# Texts that are answered together.
_AT_ONCE = 64


class Prediction(NamedTuple):
    """The likeliest class of a text, its probability, and that of every class."""

    label: str
    probability: float
    probabilities: dict[str, float]


class ClassificationModel(nn.Module):
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

    @property
    def parameter_count(self) -> int:
        """Numbers that training adjusts."""
        return sum(parameter.numel() for parameter in self.parameters())

    @property
    def device(self) -> torch.device:
        return self.embedding.weight.device

    def batch(self, sequences: Sequence[np.ndarray]) -> tuple[Int[Tensor, "T B"], Int[Tensor, "B"]]:
        """Token numbers of some texts side by side, padded, and their lengths."""
        lengths_B = torch.tensor([len(sequence) for sequence in sequences])
        tokens_TB = torch.full((max(1, int(lengths_B.max())), len(sequences)), START_ID)
        for place, sequence in enumerate(sequences):
            tokens_TB[: len(sequence), place] = torch.from_numpy(sequence.astype(np.int64))
        return tokens_TB.to(self.device), lengths_B.to(self.device)

    @torch.no_grad()
    def log_probabilities(
        self, sequences: Sequence[np.ndarray], watch: Callable[[float], None] | None = None
    ) -> np.ndarray:
        """ln P (N, V) for each sequence of token numbers, in order."""
        was_training, done = self.training, 0
        self.eval()
        found_NV = np.zeros((len(sequences), len(self.labels)))
        for places in in_order([len(sequence) for sequence in sequences], _TOKENS):
            logits_BV = self(*self.batch([sequences[place] for place in places]))
            found_NV[places] = logits_BV.double().log_softmax(-1).cpu().numpy()
            done += len(places)
            if watch is not None:
                watch(done / len(sequences))
        self.train(was_training)
        return found_NV

    def predict(self, texts: Iterable[str]) -> Iterator[Prediction]:
        """The class of each text, in order; texts are read as they are asked for, a few at a time."""
        batch: list[str] = []
        for text in texts:
            batch.append(text)
            if len(batch) == _AT_ONCE:
                yield from self.predict_batch(batch)
                batch = []
        yield from self.predict_batch(batch)

    def predict_batch(self, texts: Sequence[str]) -> list[Prediction]:
        """The class of each of these texts."""
        if not texts:
            return []
        found = []
        for probabilities_V in np.exp(self.log_probabilities(self.tokenizer.encode_each(texts))):
            best = int(probabilities_V.argmax())
            each = dict(zip(self.labels, map(float, probabilities_V), strict=True))
            found.append(Prediction(self.labels[best], float(probabilities_V[best]), each))
        return found

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

    def score(self, examples: Sequence[Example], watch: Callable[[float], None] | None = None) -> ClassScores:
        """Scores on examples. Raises `DataError` for a label that the model doesn't know."""
        labels_N = numbered(examples, self.labels)
        found_NV = self.log_probabilities(self.tokenizer.encode_each([example.text for example in examples]), watch)
        return score_classes(labels_N, found_NV, self.labels, self.most_frequent)

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
        shown = ", ".join(self.labels[:10]) + (", …" if len(self.labels) > 10 else "")
        return {
            "classes": f"{len(self.labels)}: {shown}",
            "tokens": f"{self.tokenizer.kind}, vocabulary {self.config.vocabulary:,}",
            "input layer": f"embedding of {self.config.embedding}",
            "recurrent": self.config.recurrent_in_words,
            "pooling": self.config.pooling,
            "dropout": f"{self.config.dropout:g}",
        }

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


def numbered(examples: Sequence[Example], labels: Sequence[str]) -> np.ndarray:
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
