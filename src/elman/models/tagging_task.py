"""The tagger as a task to train: batches of sentences of like length, -log P of their tags, scores on the validation part."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from elman.data.bad_rows import BadRows
from elman.data.buckets import Buckets
from elman.data.conll import read_sentences
from elman.data.examples import Sentence
from elman.data.split import hold_out
from elman.data.tag_schemes import Scheme, find_scheme, keep_valid
from elman.data.text import Source
from elman.data.vocabulary import UNKNOWN_ID
from elman.data.words import WordBatch, WordReader, side_by_side
from elman.errors import DataError
from elman.models.options import TrainOptions
from elman.models.pictures import draw_confusion
from elman.models.tagger import TaggingConfig
from elman.models.tagging import TaggingModel, numbered
from elman.models.tagging_scores import TaggingScores, usual_tags

_SHOWN = 4


@dataclass(frozen=True)
class TaggedSentences:
    """The sentences of each part, the scheme of their tags, and what a person should know of how they were read."""

    train: list[Sentence]
    valid: list[Sentence]
    test: list[Sentence] | None
    scheme: Scheme
    notes: list[str]

    @property
    def labels(self) -> list[str]:
        """The tags of the training part, in order of the alphabet."""
        return sorted({tag for sentence in self.train for tag in sentence.tags or ()})


class TaggingKind:
    """How a tagger's training begins."""

    def read(self, sources: Sequence[Source] | None, options: TrainOptions) -> TaggedSentences:
        if sources is None:
            raise DataError("there is nothing to tag: give DATA, sentences with a tag for each word.")
        bad = BadRows(options.strict)
        found = read_sentences(sources, text=options.text, label=options.label, encoding=options.encoding, bad=bad)
        # The scheme is that of what is learnt from: other parts are held to it.
        scheme = find_scheme([sentence.tags or () for sentence in found.items])
        kept = keep_valid(found.items, scheme, bad)

        def read(part: Sequence[Source]) -> list[Sentence]:
            columns: dict[str, Any] = found.columns
            return keep_valid(read_sentences(part, **columns, encoding=options.encoding, bad=bad).items, scheme, bad)

        test = None if options.test is None else read(options.test)
        if test is None and options.test_fraction:
            kept, test = hold_out(kept, None, options.test_fraction, options.seed)
        if options.valid is not None:
            valid = read(options.valid)
        else:
            kept, valid = hold_out(kept, None, options.valid_fraction / (1 - options.test_fraction), options.seed)
        if not kept or not valid:
            raise DataError(
                f"there are {len(found.items)} sentences, too few to hold out {options.valid_fraction:.0%} for validation: "
                "give more, or validation data of its own with --valid."
            )
        return TaggedSentences(kept, valid, test, scheme, [f"data: {found.understood}", *bad.notes()])

    def fit(self, data: TaggedSentences, options: TrainOptions) -> TaggingModel:
        labels = data.labels
        if len(labels) == 1:
            raise DataError(
                f"every word has the tag {labels[0]!r}: there is nothing to learn. Name another column with --label."
            )
        words = [sentence.words for sentence in data.train]
        reader = WordReader.fit(
            words,
            minimum=options.minimum_count,
            limit=options.vocabulary,
            normalisation=options.normalisation,
            lowercase=options.lowercase,
        )
        usual = usual_tags(
            reader.numbers([word for sentence in words for word in sentence]),
            np.concatenate(numbered(data.train, labels)),
            size=len(reader.words),
            unknown=UNKNOWN_ID,
        )
        config = TaggingConfig(
            words=len(reader.words),
            characters=len(reader.characters),
            classes=len(labels),
            cell=options.cell,
            hidden=options.hidden,
            layers=options.layers,
            embedding=options.embedding,
            dropout=options.dropout,
            bidirectional=options.bidirectional,
            character_embedding=options.character_embedding,
            character_hidden=options.character_hidden,
            crf=options.crf,
            word_dropout=options.word_dropout,
            cell_options=options.cell_options,
            layer_options=options.layer_options,
        )
        torch.manual_seed(options.seed)
        return TaggingModel(config, reader, labels, data.scheme, usual, options.engine)

    def task(self, data: TaggedSentences, network: TaggingModel, options: TrainOptions) -> "TaggingTask":
        return TaggingTask(data, network, options)


class TaggingTask:
    """Each epoch reads every sentence once, in batches of like length; no state is carried from one to another."""

    def __init__(self, data: TaggedSentences, network: TaggingModel, options: TrainOptions) -> None:
        self.network = network
        self._data, self._options = data, options
        # A tag of another part that the training part hasn't is an error now, not after hours.
        for part in (data.valid, data.test or []):
            numbered(part, network.labels)
        self._tags = numbered(data.train, network.labels)
        self._buckets = Buckets([len(row) for row in self._tags], options.batch_tokens, options.seed)
        self.steps_per_epoch = len(self._buckets)
        self._scored: dict[str, TaggingScores] = {}
        self.fingerprint = _fingerprint(data)
        self.notes = self._notes()

    def batch(self, step: int) -> tuple[WordBatch, Tensor]:
        """Words, and the numbers of their tags (T, B)."""
        places, device = self._buckets[step], self.network.device
        words = self.network.reader.read([self._data.train[place].words for place in places])
        tags_TB, _ = side_by_side([self._tags[place] for place in places])
        return words.to(device), tags_TB.to(device)

    def carries_state(self, step: int) -> bool:  # noqa: ARG002
        return False

    def loss(self, batch: tuple[WordBatch, Tensor], state: Any) -> tuple[Tensor, Any]:  # noqa: ARG002
        return self.network.loss(*batch), None

    def size(self, batch: tuple[WordBatch, Tensor]) -> int:
        return int(batch[0].lengths_B.sum())

    def validate(self) -> dict[str, float]:
        return self.network.score(self._data.valid).to_dict()

    def final_scores(self) -> tuple[dict[str, float], dict[str, float] | None]:
        self._scored = {"valid": self.network.score(self._data.valid)}
        if self._data.test is not None:
            self._scored["test"] = self.network.score(self._data.test)
        scores = {part: found.to_dict() for part, found in self._scored.items()}
        return scores["valid"], scores.get("test")

    def sample(self) -> str:
        """A few sentences that were held out, a tag behind each word; where it is wrong, the right one too."""
        shown = (self._data.test or self._data.valid)[:_SHOWN]
        lines = []
        for sentence, found in zip(shown, self.network.predict_batch([s.words for s in shown]), strict=True):
            tagged = zip(sentence.words, found.tags, sentence.tags or (), strict=True)
            lines.append(" ".join(f"{w}/{tag}" + ("" if tag == right else f"(is {right})") for w, tag, right in tagged))
        return "".join(f"{line}\n" for line in lines)

    def draw(self, folder: Path) -> list[Path]:
        return [
            draw_confusion(folder / f"confusion-{part}.png", part, found.words) for part, found in self._scored.items()
        ]

    def _notes(self) -> list[str]:
        data, options, network = self._data, self._options, self.network
        test = "" if data.test is None else f", {len(data.test):,} to test"
        scheme = "a tag a word" if data.scheme == "plain" else f"entities by the scheme {data.scheme}"
        budget, amount = options.budget
        at_most = f", at most {options.max_epochs:g} epochs" if budget == "minutes" and options.max_epochs else ""
        return [
            *data.notes,
            f"sentences: {len(data.train):,} to train on, {len(data.valid):,} to validate{test}; {len(network.labels)} tags, "
            f"{scheme}",
            f"text: {sum(map(len, self._tags)):,} words, vocabulary {network.config.words:,} of words and "
            f"{network.config.characters:,} of characters",
            f"training: {amount:g} {budget}{at_most}, about {options.batch_tokens:,} words a batch, "
            f"{self.steps_per_epoch:,} updates an epoch",
        ]


def _fingerprint(data: TaggedSentences) -> str:
    digest = hashlib.sha256()
    for part in (data.train, data.valid):
        for sentence in part:
            text = "\0".join([*sentence.words, *(sentence.tags or ())])
            digest.update(f"{text}\1".encode(errors="surrogatepass"))
        digest.update(b"\2")
    return digest.hexdigest()
