"""A tagger that speaks words: sentences in, a tag for each word out. The network is `elman.models.tagger`."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, get_args

import numpy as np
import torch

from elman.axes import Tensor
from elman.data.bad_rows import BadRows
from elman.data.buckets import in_order
from elman.data.conll import read_sentences
from elman.data.examples import Sentence
from elman.data.tag_schemes import Scheme, keep_valid
from elman.data.text import Source
from elman.data.vocabulary import Vocabulary
from elman.data.words import WordBatch, WordReader, side_by_side
from elman.engines import Engine
from elman.errors import DataError, ModelFolderError, OptionError
from elman.files import write_atomically
from elman.models.folder import CONFIG, build, entry, existing, read_network_config
from elman.models.tagger import Tagger, TaggingConfig
from elman.models.tagging_scores import TaggingScores, score_tags

VOCABULARIES = "vocabularies.json"
# Words of a batch when nothing is learnt, and sentences that are answered together.
_WORDS, _AT_ONCE = 1 << 12, 64


class Tagging(NamedTuple):
    """The words of a sentence, their tags, and how probable each of these is, whatever its neighbours are."""

    words: list[str]
    tags: list[str]
    probabilities: list[float]


class TaggingModel(Tagger):
    """A tagger with what its numbers mean.

    reader       how words become numbers
    labels       what the tags are called
    scheme       by which rules they mark entities: `elman.data.tag_schemes`
    usual_tags   the most frequent tag of each word of the vocabulary, a number each: the baseline
    """

    task: ClassVar[str] = "tag"

    def __init__(
        self,
        config: TaggingConfig,
        reader: WordReader,
        labels: Sequence[str],
        scheme: Scheme,
        usual_tags: np.ndarray,
        engine: Engine | str = Engine.AUTO,
    ) -> None:
        super().__init__(config, list(labels), scheme, engine)
        self.reader = reader
        self.usual_tags = usual_tags

    @property
    def parameter_count(self) -> int:
        """Numbers that training adjusts."""
        return sum(parameter.numel() for parameter in self.parameters())

    @property
    def device(self) -> torch.device:
        return self.embedding.weight.device

    def predict(self, sentences: Iterable[Sequence[str]]) -> Iterator[Tagging]:
        """The tags of each sentence, a sequence of words, in order; they are read as they are asked for, a few at a time."""
        batch: list[Sequence[str]] = []
        for sentence in sentences:
            batch.append(sentence)
            if len(batch) == _AT_ONCE:
                yield from self.predict_batch(batch)
                batch = []
        yield from self.predict_batch(batch)

    def predict_batch(self, sentences: Sequence[Sequence[str]]) -> list[Tagging]:
        """The tags of each of these sentences."""
        found = [Tagging(list(words), [], []) for words in sentences]
        for places, batch, emissions_TBV in self._emissions(sentences):
            tags_TB = self.decode(emissions_TBV, batch.lengths_B)
            marginals_TBV = self.marginals(emissions_TBV, batch.lengths_B)
            probabilities_TB = marginals_TBV.gather(2, tags_TB.unsqueeze(-1)).squeeze(-1)
            for column, place in enumerate(places):
                length = len(sentences[place])
                found[place].tags.extend(self.labels[tag] for tag in tags_TB[:length, column].tolist())
                found[place].probabilities.extend(probabilities_TB[:length, column].tolist())
        return found

    @torch.no_grad()
    def _emissions(self, sentences: Sequence[Sequence[str]]) -> Iterator[tuple[list[int], WordBatch, Tensor]]:
        """Which sentences, as a batch, and what the network says of them; empty ones are left out. Dropout doesn't act."""
        there = [place for place, words in enumerate(sentences) if words]
        was_training = self.training
        self.eval()
        try:
            for order in in_order([len(sentences[place]) for place in there], _WORDS):
                places = [there[number] for number in order]
                batch = self.reader.read([sentences[place] for place in places]).to(self.device)
                yield places, batch, self(batch)
        finally:
            self.train(was_training)

    def answer(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        """What `elman predict` says of each text, a sentence."""
        return [
            {"text": text, **found._asdict()}
            for text, found in zip(texts, self.predict_batch([self.split(text) for text in texts]), strict=True)
        ]

    def split(self, text: str) -> list[str]:
        """The words of a text: what stands between white space.

        If the vocabulary doesn't have one that begins or ends with punctuation ("end."), but does have that ("."), they are
        taken apart.
        """
        words: list[str] = []
        for piece in text.split():
            first = next((place for place, sign in enumerate(piece) if sign.isalnum()), 0)
            last = next((place for place, sign in enumerate(reversed(piece)) if sign.isalnum()), 0)
            before, middle, after = piece[:first], piece[first : len(piece) - last], piece[len(piece) - last :]
            apart = not self.reader.knows(piece) and all(map(self.reader.knows, before + after))
            words += [*before, middle, *after] if apart else [piece]
        return words

    def evaluate(
        self,
        data: Source | Sequence[Source],
        encoding: str = "utf-8",
        *,
        text: str | None = None,
        label: str | None = None,
        strict: bool = False,
        watch: Callable[[float], None] | None = None,
    ) -> TaggingScores:
        """Scores on tagged sentences. Raises `DataError` for what can't be read, and for a tag that the model doesn't know."""
        bad = BadRows(strict)
        sources = [data] if isinstance(data, Source) else list(data)
        found = read_sentences(sources, text=text, label=label, encoding=encoding, bad=bad)
        return self.score(keep_valid(found.items, self.scheme, bad), watch)

    @torch.no_grad()
    def score(self, sentences: Sequence[Sentence], watch: Callable[[float], None] | None = None) -> TaggingScores:
        """Scores on sentences. Raises `DataError` for a tag that the model doesn't know."""
        gold = numbered(sentences, self.labels)
        predicted, usual = list(gold), list(gold)
        log_likelihood, done = 0.0, 0
        for places, batch, emissions_TBV in self._emissions([sentence.words for sentence in sentences]):
            tags_TB = side_by_side([gold[place] for place in places])[0].to(self.device)
            log_likelihood += float(self.log_likelihood(emissions_TBV, tags_TB, batch.lengths_B).double().sum())
            guesses_TB = self.decode(emissions_TBV, batch.lengths_B).cpu().numpy()
            usual_TB = self.usual_tags[batch.words_TB.cpu().numpy()]
            for column, place in enumerate(places):
                length = len(gold[place])
                predicted[place], usual[place] = guesses_TB[:length, column], usual_TB[:length, column]
            done += len(places)
            if watch is not None:
                watch(done / len(sentences))
        loss_nats = -log_likelihood / max(sum(map(len, gold)), 1)
        return score_tags(gold, predicted, usual, loss_nats, self.labels, self.scheme)

    @classmethod
    def from_folder(cls, folder: Path, config: dict[str, Any], engine: Engine | str = Engine.AUTO) -> "TaggingModel":
        """The network that a folder describes, without its weights. Raises `ModelFolderError`."""
        network = read_network_config(folder, TaggingConfig, config["network"])
        labels = entry(folder, config, "labels", list)
        scheme: Any = entry(folder, config, "scheme", str)
        reader, usual = _read_vocabularies(existing(folder, VOCABULARIES), config)
        if scheme not in get_args(Scheme):
            raise ModelFolderError(f"{folder / CONFIG} is damaged: there is no scheme {scheme!r} of tags.")
        told = network.words, network.characters, network.classes
        fits = usual.shape == (network.words,) and ((usual >= 0) & (usual < len(labels))).all()
        if told != (len(reader.words), len(reader.characters), len(labels)) or not fits:
            raise ModelFolderError(
                f"{folder / VOCABULARIES} and the labels in {CONFIG} are of other sizes than 'network' says: they belong to "
                "different models."
            )
        return build(folder, lambda: cls(network, reader, labels, scheme, usual, engine))

    def save_vocabularies(self, folder: Path) -> dict[str, Any]:
        """Write `vocabularies.json`; gives what `config.json` says of how words are read, and the tags."""
        written = {
            "words": self.reader.words.to_list(),
            "characters": self.reader.characters.to_list(),
            "usual_tags": self.usual_tags.tolist(),
        }
        write_atomically(folder / VOCABULARIES, json.dumps(written, ensure_ascii=False) + "\n")
        reader = {"normalisation": self.reader.normalisation, "lowercase": self.reader.lowercase}
        return {**reader, "labels": self.labels, "scheme": self.scheme}

    def description(self) -> dict[str, str]:
        """The parts of the network in words."""
        config = self.config
        shown = ", ".join(self.labels[:10]) + (", …" if len(self.labels) > 10 else "")
        characters = f"{config.cell} of {config.character_hidden}, both ways, over {config.characters:,} characters"
        return {
            "tags": f"{len(self.labels)}, {self.scheme}: {shown}",
            "input layer": f"embedding of {config.embedding} for {config.words:,} words, {characters}",
            "recurrent": config.recurrent_in_words,
            "output layer": "conditional random field" if config.crf else "softmax",
            "dropout": f"{config.dropout:g}, of words {config.word_dropout:g}",
        }

    @staticmethod
    def headline(scores: dict[str, float]) -> str:
        """Scores as a person reads them."""
        entities = ""
        if "entity_f1" in scores:
            entities = f"F1 of entities {scores['entity_f1']:.2%} (baseline {scores['baseline_entity_f1']:.2%}), "
        return (
            f"{entities}accuracy {scores['accuracy']:.2%} (most frequent tag of a word {scores['baseline_accuracy']:.2%}), "
            f"{scores['loss_nats']:.4f} nats a word over {scores['tokens']:,} words"
        )

    def loss_in_words(self, loss_nats: float) -> str:  # noqa: ARG002
        """Nothing: the loss is all that there is to say."""
        return ""

    @staticmethod
    def selection(scores: dict[str, float]) -> float:
        """The weights of the highest F1 of entities, or accuracy, are kept; of those equal in it, those of the lowest loss."""
        return -scores.get("entity_f1", scores["accuracy"]) + 1e-6 * min(scores["loss_nats"], 1e3)


def _read_vocabularies(path: Path, config: dict[str, Any]) -> tuple[WordReader, np.ndarray]:
    """Raises `ModelFolderError` for what `save_vocabularies` didn't write."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        words, characters = (Vocabulary.from_list(found[name]) for name in ("words", "characters"))
        usual = np.array(found["usual_tags"], np.int64)
        return WordReader(words, characters, config["normalisation"], config["lowercase"]), usual
    except (OSError, ValueError, TypeError, KeyError, DataError, OptionError) as error:
        raise ModelFolderError(f"{path} is damaged: {error}.") from error


def numbered(sentences: Sequence[Sentence], labels: Sequence[str]) -> list[np.ndarray]:
    """The tags of each sentence as places among the labels, int64. Raises `DataError` for one that isn't there."""
    places = {label: place for place, label in enumerate(labels)}
    rows = []
    for sentence in sentences:
        tags = sentence.tags or ()
        unknown = next(((word, tag) for word, tag in zip(sentence.words, tags, strict=True) if tag not in places), None)
        if unknown is not None:
            shown = ", ".join(labels[:20]) + (", …" if len(labels) > 20 else "")
            raise DataError(
                f"{sentence.where}: the tag {unknown[1]!r} of the word {unknown[0]!r} is not among those of the training "
                f"part ({shown}): correct it, or train with sentences that have it."
            )
        rows.append(np.array([places[tag] for tag in tags], dtype=np.int64))
    return rows
