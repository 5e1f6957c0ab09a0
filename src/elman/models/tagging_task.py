"""The tagger as a task to train: batches of sentences of like length, the likelihood of their tags."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from elman.data.bad_rows import BadRows
from elman.data.buckets import Buckets
from elman.data.conll import read_sentences
from elman.data.examples import Reading, Sentence
from elman.data.tag_schemes import find_scheme, keep_valid
from elman.data.text import Source
from elman.data.vocabulary import UNKNOWN_ID, Vocabulary
from elman.data.words import WordBatch, WordReader
from elman.errors import DataError
from elman.models.forgetting import Forgetting
from elman.models.options import TrainOptions
from elman.models.parts import Parts, budget_note, count_note, read_parts
from elman.models.tag_scores import UsualTags
from elman.models.tagging import TaggingConfig, TaggingModel, numbered, side_by_side

_SHOWN = 3


class TaggingKind:
    """How a tagger's training begins."""

    def read(self, sources: Sequence[Source] | None, options: TrainOptions) -> Parts[Sentence]:
        if sources is None:
            raise DataError("there is nothing to tag: give DATA, sentences whose words have tags (CoNLL, JSON lines).")

        def read(part: Sequence[Source], bad: BadRows, **columns: Any) -> Reading[Sentence]:
            chosen: dict[str, Any] = {"text": options.text, "label": options.label, **columns}
            return read_sentences(part, **chosen, encoding=options.encoding, bad=bad)

        return _parts(sources, options, read)

    def split(self, sentences: Sequence[Sentence], options: TrainOptions) -> Parts[Sentence]:
        """The parts of sentences that are in memory. Raises `DataError` if none can be held out or learnt from."""
        return _parts([], options, lambda *_: Reading(list(sentences), "sentences in memory"))

    def fit(self, data: Parts[Sentence], options: TrainOptions) -> TaggingModel:
        reader = WordReader.fit(
            [sentence.words for sentence in data.train],
            minimum=options.minimum_count,
            limit=options.vocabulary,
            normalisation=options.normalisation,
            lower_case=options.lowercase,
        )
        tags = [sentence.tags or () for sentence in data.train]
        labels = Vocabulary.fit((tag for sentence in tags for tag in sentence), closed=True)
        scheme = find_scheme(tags)
        config = TaggingConfig(
            words=len(reader.words),
            characters=len(reader.characters),
            labels=len(labels),
            cell=options.cell,
            hidden=options.hidden,
            layers=options.layers,
            embedding=options.embedding,
            dropout=options.dropout,
            bidirectional=options.bidirectional,
            character_embedding=options.character_embedding,
            character_hidden=options.character_hidden,
            word_dropout=options.word_dropout,
            output=options.output,
            cell_options=options.cell_options,
            layer_options=options.layer_options,
        )
        torch.manual_seed(options.seed)
        return TaggingModel(config, reader, labels, scheme, UsualTags.fit(data.train), options.engine)

    def task(self, data: Parts[Sentence], network: TaggingModel, options: TrainOptions) -> "TaggingTask":
        return TaggingTask(data, network, options)


def _parts(sources: Sequence[Source], options: TrainOptions, read: Callable[..., Reading[Sentence]]) -> Parts[Sentence]:
    parts = read_parts(sources, options, read, tags_of=lambda sentence: sentence.tags or ())
    # A scheme is what most of the training part obeys; sentences that break it are bad rows.
    bad, scheme = BadRows(options.strict), find_scheme([sentence.tags or () for sentence in parts.train])
    train, valid = keep_valid(parts.train, scheme, bad), keep_valid(parts.valid, scheme, bad)
    test = None if parts.test is None else keep_valid(parts.test, scheme, bad)
    if len({tag for sentence in train for tag in sentence.tags or ()}) < 2:
        raise DataError("all words of the training part have the same tag: is --label the right column?")
    return Parts(train, valid, test, [*parts.notes, *bad.notes()])


class TaggingTask:
    """Each epoch reads every sentence once, in batches of like length; no state is carried from one to another."""

    def __init__(self, data: Parts[Sentence], network: TaggingModel, options: TrainOptions) -> None:
        self.network = network
        self._data, self._options = data, options
        # A tag of another part that the training part hasn't is an error now, not after hours.
        for part in (data.valid, data.test or []):
            numbered(part, network.labels)
        self._tags = numbered(data.train, network.labels)
        lengths = [len(sentence.words) for sentence in data.train]
        self._buckets = Buckets(lengths, options.batch_tokens, options.seed)
        self.steps_per_epoch = len(self._buckets)
        read = [network.reader.numbers(sentence.words) for sentence in data.train] if options.rare_dropout else []
        self._forget = Forgetting(read, network.config.words, options.rare_dropout, UNKNOWN_ID)
        self.fingerprint = data.fingerprint
        self.notes = [
            *data.notes,
            count_note("sentences", data, f"; {len(network.labels)} tags, scheme {network.scheme}"),
            f"text: {sum(lengths):,} words, vocabulary {network.config.words:,}, {network.config.characters:,} characters",
            budget_note(options, "words", self.steps_per_epoch),
        ]

    def batch(self, step: int) -> tuple[WordBatch, Tensor]:
        """Words, and tags (T, B)."""
        places, device = self._buckets[step], self.network.device
        words = self.network.reader.read([self._data.train[place].words for place in places])
        return words.to(device), side_by_side([self._tags[place] for place in places]).to(device)

    def carries_state(self, step: int) -> bool:  # noqa: ARG002
        return False

    def loss(self, batch: tuple[WordBatch, Tensor], state: Any) -> tuple[Tensor, Any]:  # noqa: ARG002
        words, tags_TB = batch
        return self.network.loss(replace(words, words_TB=self._forget(words.words_TB)), tags_TB), None

    def size(self, batch: tuple[WordBatch, Tensor]) -> int:
        return int(batch[0].lengths_B.sum())

    def validate(self) -> dict[str, float]:
        return self.network.score(self._data.valid).to_dict()

    def final_scores(self) -> tuple[dict[str, float], dict[str, float] | None]:
        test = None if self._data.test is None else self.network.score(self._data.test).to_dict()
        return self.validate(), test

    def sample(self) -> str:
        """A few sentences that were held out with the tags that were found, and those that are right where they differ."""
        shown = (self._data.test or self._data.valid)[:_SHOWN]
        lines = []
        for sentence, found in zip(shown, self.network.tag([sentence.words for sentence in shown]), strict=True):
            words = zip(sentence.words, found.tags, sentence.tags or (), strict=True)
            lines.append(
                " ".join(f"{word}/{tag}" + ("" if tag == true else f"({true})") for word, tag, true in words) + "\n"
            )
        return "".join(lines)

    def draw(self, folder: Path) -> list[Path]:  # noqa: ARG002
        return []
