"""A tagger: a tag for each word of a sentence, from the words and their characters.

    input layer      e_t = [E[word_t], C(characters of word_t)]      with word dropout: a word is read as UNKNOWN
                     C: the last states of recurrent layers over the characters' embeddings, forwards and backwards
    recurrent layers h_t = [forwards_t, backwards_t](e_1 … e_n)      dropout before, between and after them
    output layer     x_t = V h_t + c
                     "crf":     P(tags | sentence) by a linear-chain conditional random field over x: `elman.layers.crf`
                     "softmax": P(tag_t | sentence) = softmax(x_t), each step by itself

(Lample et al., arXiv 1603.01360.)
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from elman.axes import Float, Int, Tensor
from elman.data.bad_rows import BadRows
from elman.data.buckets import in_order
from elman.data.conll import CONLL_SUFFIXES, read_sentences
from elman.data.examples import Sentence
from elman.data.inputs import read_inputs
from elman.data.tag_schemes import OUTSIDE, SCHEMES, Scheme, allowed_transitions, keep_valid
from elman.data.text import Source
from elman.data.vocabulary import UNKNOWN_ID, Vocabulary
from elman.data.words import WordBatch, WordReader
from elman.engines import Engine
from elman.engines.padding import valid_steps
from elman.errors import DataError, ModelFolderError, OptionError, choices
from elman.files import write_atomically
from elman.layers import ConditionalRandomField, Pooling, draw_mask, dropout, layers_of
from elman.models.folder import CONFIG, build, entry, existing, read_network_config
from elman.models.stack import StackConfig
from elman.models.tag_scores import TagScores, UsualTags, score_tags

VOCABULARY = "vocabulary.json"
# Words of a batch when nothing is learnt.
_TOKENS = 1 << 13

OUTPUTS = ("crf", "softmax")


class Tagging(NamedTuple):
    """The tags of a sentence's words, and the probability of each."""

    tags: tuple[str, ...]
    probabilities: tuple[float, ...]


@dataclass(frozen=True)
class TaggingConfig(StackConfig):
    """A tagger's sizes and options: what `config.json` holds under "network".

    character_hidden     units of each direction of the one layer over characters
    word_dropout         in training, the probability that a word is read as UNKNOWN (its characters are read all the same)
    output               "crf" or "softmax"

    Options of cell and layers hold for the layer over characters too, apart from what connects layers. Raises `OptionError` for
    a cell, an option or a value that isn't known.
    """

    words: int
    characters: int
    labels: int
    bidirectional: bool = True
    character_embedding: int = 32
    character_hidden: int = 64
    word_dropout: float = 0.0
    output: str = "crf"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.output not in OUTPUTS:
            raise OptionError(f"output={self.output!r} is not known: {choices(self.output, *OUTPUTS)}")

    @property
    def recurrent_in_words(self) -> str:
        both = "bidirectional " if self.bidirectional else ""
        return super().recurrent_in_words.replace(f" x {self.cell}", f" x {both}{self.cell}", 1)


class TaggingModel(nn.Module):
    """A batch of words in, emissions (T, B, V) out: a score for each label of each word.

    reader      how words become numbers
    labels      what the numbers of tags mean
    scheme      how tags stand for spans, see `elman.data.tag_schemes`; what it forbids is never said by a random field
    baseline    the trivial tagger that this one should beat

    Initialiser: recurrent layers as their cell says; embeddings of words N(0, 0.1²) and of characters N(0, 1), output
    layer as `torch.nn.Linear`.
    """

    task: ClassVar[str] = "tag"

    def __init__(
        self,
        config: TaggingConfig,
        reader: WordReader,
        labels: Vocabulary,
        scheme: Scheme,
        baseline: UsualTags,
        engine: Engine | str = Engine.AUTO,
    ) -> None:
        super().__init__()
        self.config = config
        self.reader = reader
        self.labels = labels
        self.scheme = scheme
        self.baseline = baseline
        options = {"engine": engine, **config.cell_options, **config.layer_options}
        # One layer has no other that it could be connected to.
        alone = {name: value for name, value in options.items() if name != "connections"}
        self.embedding = nn.Embedding(config.words, config.embedding)
        self.character_embedding = nn.Embedding(config.characters, config.character_embedding)
        self.spelling = layers_of(
            config.cell, config.character_embedding, config.character_hidden, bidirectional=True, **alone
        )
        self.spelt = Pooling("last", self.spelling.output_size, directions=2)
        read = config.embedding + self.spelling.output_size
        self.recurrent = config.recurrent_layers(read, engine, config.bidirectional)
        self.output = nn.Linear(self.recurrent.output_size, config.labels)
        self.crf = self._field() if config.output == "crf" else None
        nn.init.normal_(self.embedding.weight, std=0.1)

    def _field(self) -> ConditionalRandomField:
        # Without O there may be lengths of which no sequence keeps to the scheme: a lone word that only begins an entity.
        if OUTSIDE not in self.labels.tokens:
            return ConditionalRandomField(len(self.labels))
        start_V, between_VV, end_V = allowed_transitions(self.labels.tokens, self.scheme)
        return ConditionalRandomField(
            len(self.labels), forbidden_transitions=~between_VV, forbidden_starts=~start_V, forbidden_ends=~end_V
        )

    def forward(self, batch: WordBatch) -> Float[Tensor, "T B V"]:
        words_TB = batch.words_TB
        if self.training and self.config.word_dropout:
            like = self.embedding.weight
            words_TB = torch.where(draw_mask(words_TB.shape, self.config.word_dropout, like) == 0, UNKNOWN_ID, words_TB)
        spelt_UH = self._spell(batch.characters_CU, batch.character_lengths_U)
        e_TBD = torch.cat([self.embedding(words_TB), spelt_UH[batch.distinct_TB]], dim=-1)
        h_TBH, _ = self.recurrent(self._drop(e_TBD), lengths=batch.lengths_B)
        return self.output(self._drop(h_TBH))

    def _spell(self, characters_CU: Int[Tensor, "C U"], lengths_U: Int[Tensor, "U"]) -> Float[Tensor, "U H"]:
        """What the layer over characters says of each distinct word at its end, forwards, and at its beginning, backwards."""
        y_CUH, _ = self.spelling(self.character_embedding(characters_CU), lengths=lengths_U)
        return self.spelt(y_CUH, lengths_U)

    def _drop(self, x_TBD: Tensor) -> Tensor:
        locked = bool(self.config.layer_options.get("locked_dropout", False))
        return dropout(x_TBD, self.config.dropout, self.training, locked=locked)

    def loss(self, batch: WordBatch, tags_TB: Int[Tensor, "T B"]) -> Float[Tensor, ""]:
        """The mean over words of -log P(tags | sentence), in nats."""
        return self._loss(self(batch), batch.lengths_B, tags_TB)

    def _loss(self, emissions_TBV: Tensor, lengths_B: Tensor, tags_TB: Tensor) -> Float[Tensor, ""]:
        if self.crf is not None:
            return -self.crf.log_likelihood(emissions_TBV, tags_TB, lengths_B).sum() / lengths_B.sum()
        valid_TB = valid_steps(len(tags_TB), lengths_B)
        return cross_entropy(emissions_TBV[valid_TB].float(), tags_TB[valid_TB])

    @torch.no_grad()
    def decode(self, emissions_TBV: Float[Tensor, "T B V"], lengths_B: Int[Tensor, "B"]) -> Int[Tensor, "T B"]:
        """The most probable tags of each sentence, together ("crf") or one by one; 0 beyond its length."""
        if self.crf is not None:
            return self.crf.viterbi(emissions_TBV, lengths_B)[0]
        return torch.where(valid_steps(len(emissions_TBV), lengths_B), emissions_TBV.argmax(-1), 0)

    @torch.no_grad()
    def marginals(self, emissions_TBV: Float[Tensor, "T B V"], lengths_B: Int[Tensor, "B"]) -> Float[Tensor, "T B V"]:
        """The probability of each tag for each word; 0 beyond a sentence's length."""
        if self.crf is not None:
            return self.crf.marginals(emissions_TBV, lengths_B)
        valid_TB1 = valid_steps(len(emissions_TBV), lengths_B).unsqueeze(-1)
        return torch.where(valid_TB1, emissions_TBV.float().softmax(-1), 0)

    @property
    def parameter_count(self) -> int:
        """Numbers that training adjusts."""
        return sum(parameter.numel() for parameter in self.parameters())

    @property
    def device(self) -> torch.device:
        return self.embedding.weight.device

    @torch.no_grad()
    def tag(self, sentences: Sequence[Sequence[str]]) -> list[Tagging]:
        """The tags of the words of each sentence, in order, with the probability of each."""
        found: list[Tagging] = [Tagging((), ())] * len(sentences)
        for places, batch, emissions_TBV in self._emissions(sentences):
            tags_BT = self.decode(emissions_TBV, batch.lengths_B).T
            chances_BTV = self.marginals(emissions_TBV, batch.lengths_B).transpose(0, 1)
            chosen_BT = chances_BTV.gather(2, tags_BT.unsqueeze(-1)).squeeze(-1)
            for row, place in enumerate(places):
                length = len(sentences[place])
                names = tuple(self.labels.tokens[tag] for tag in tags_BT[row, :length].tolist())
                found[place] = Tagging(names, tuple(chosen_BT[row, :length].tolist()))
        return found

    @torch.no_grad()
    def probabilities(self, sentences: Sequence[Sequence[str]]) -> list[np.ndarray]:
        """P(tag | sentence) of each word of each sentence (T, V), in order; tags as `labels` has them."""
        found = [np.zeros((0, len(self.labels)))] * len(sentences)
        for places, batch, emissions_TBV in self._emissions(sentences):
            chances_BTV = self.marginals(emissions_TBV, batch.lengths_B).transpose(0, 1).double().cpu().numpy()
            for row, place in enumerate(places):
                found[place] = chances_BTV[row, : len(sentences[place])]
        return found

    def _emissions(self, sentences: Sequence[Sequence[str]]) -> Iterator[tuple[np.ndarray, WordBatch, Tensor]]:
        """Batches of sentences of like length, empty ones left out: their places, words and emissions; nothing is drawn."""
        there = np.flatnonzero([len(sentence) for sentence in sentences])
        was_training = self.training
        self.eval()
        try:
            for order in in_order([len(sentences[int(place)]) for place in there], _TOKENS):
                places = there[order]
                batch = self.reader.read([sentences[place] for place in places]).to(self.device)
                yield places, batch, self(batch)
        finally:
            self.train(was_training)

    def read_inputs(
        self, source: Source, *, column: str | None, encoding: str, bad: BadRows
    ) -> Iterator[tuple[str, Sequence[str]]]:
        """What `elman predict` tags: the words of CoNLL files, or of each line of a text, between white space."""
        if Path(str(source)).suffix.lower() in CONLL_SUFFIXES:
            found = read_sentences([source], text=column, encoding=encoding, bad=bad, labelled=False)
            return ((sentence.where, sentence.words) for sentence in found.items)
        return ((where, text.split()) for where, text in read_inputs(source, column=column, encoding=encoding, bad=bad))

    def answer(self, sentences: Sequence[Sequence[str]]) -> list[dict[str, Any]]:
        """What `elman predict` says of each sentence."""
        return [
            {"words": list(words), "tags": list(found.tags), "probabilities": list(found.probabilities)}
            for words, found in zip(sentences, self.tag(sentences), strict=True)
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
    ) -> TagScores:
        """Scores on tagged sentences. Raises `DataError` for what can't be read, and for a tag that the model doesn't know.

        Bad rows go into `bad`; without it the first is an error.
        """
        sources = [data] if isinstance(data, Source) else list(data)
        bad = bad or BadRows(strict=True)
        found = read_sentences(sources, text=text, label=label, encoding=encoding, bad=bad)
        # As in training: what a random field rules out would be an infinite loss.
        return self.score(keep_valid(found.items, self.scheme, bad), watch)

    @torch.no_grad()
    def score(self, sentences: Sequence[Sentence], watch: Callable[[float], None] | None = None) -> TagScores:
        """Scores on sentences. Raises `DataError` for a tag that the model doesn't know."""
        numbers = numbered(sentences, self.labels)
        words = [sentence.words for sentence in sentences]
        found: list[tuple[str, ...]] = [()] * len(sentences)
        loss, done = 0.0, 0
        for places, batch, emissions_TBV in self._emissions(words):
            tags_TB = side_by_side([numbers[place] for place in places]).to(self.device)
            loss += float(self._loss(emissions_TBV, batch.lengths_B, tags_TB)) * int(batch.lengths_B.sum())
            tags_BT = self.decode(emissions_TBV, batch.lengths_B).T.tolist()
            for row, place in enumerate(places):
                found[place] = tuple(self.labels.tokens[tag] for tag in tags_BT[row][: len(words[place])])
            done += len(places)
            if watch is not None:
                watch(done / len(sentences))
        return score_tags(sentences, found, loss, self.scheme, self.baseline.tag(words))

    @classmethod
    def from_folder(cls, folder: Path, config: dict[str, Any], engine: Engine | str = Engine.AUTO) -> "TaggingModel":
        """The network that a folder describes, without its weights. Raises `ModelFolderError`."""
        path = existing(folder, VOCABULARY)
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            reader, baseline = WordReader.from_dict(stored["reader"]), UsualTags(**stored["baseline"])
            labels = Vocabulary.from_list(entry(folder, config, "labels", list), closed=True)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelFolderError(f"{path} is damaged: {error}.") from error
        scheme: Any = entry(folder, config, "scheme", str)
        network = read_network_config(folder, TaggingConfig, config["network"])
        sizes = (len(reader.words), len(reader.characters), len(labels))
        if sizes != (network.words, network.characters, network.labels) or scheme not in SCHEMES:
            raise ModelFolderError(f"{path} and {folder / CONFIG} belong to different models.")
        return build(folder, lambda: cls(network, reader, labels, scheme, baseline, engine))

    def save_vocabularies(self, folder: Path) -> dict[str, Any]:
        """Write `vocabulary.json`; gives what `config.json` says of the tags."""
        stored = {"reader": self.reader.to_dict(), "baseline": asdict(self.baseline)}
        write_atomically(folder / VOCABULARY, json.dumps(stored, ensure_ascii=False))
        return {"labels": self.labels.to_list(), "scheme": self.scheme}

    def description(self) -> dict[str, str]:
        """The parts of the network in words."""
        config, tags = self.config, self.labels.tokens
        shown = ", ".join(tags[:12]) + (", …" if len(tags) > 12 else "")
        return {
            "tags": f"{len(tags)}, {self.scheme}: {shown}",
            "words": f"vocabulary {config.words:,}, {config.characters:,} characters",
            "input layer": f"embedding of {config.embedding}, {config.cell} of 2 x {config.character_hidden} over characters",
            "recurrent": config.recurrent_in_words,
            "output layer": config.output,
            "dropout": f"{config.dropout:g}",
        }

    @staticmethod
    def headline(scores: dict[str, float]) -> str:
        """Scores as a person reads them."""
        entities = ""
        if "entity_f1" in scores:
            entities = f"entity F1 {scores['entity_f1']:.2%} (baseline {scores['baseline_entity_f1']:.2%}), "
        return (
            f"{entities}accuracy {scores['accuracy']:.2%} (most frequent tag of a word {scores['baseline_accuracy']:.2%}), "
            f"{scores['loss_nats']:.4f} nats over {scores['tokens']:,} words"
        )

    def loss_in_words(self, loss_nats: float) -> str:  # noqa: ARG002
        """Nothing: the loss is all that there is to say."""
        return ""

    @staticmethod
    def selection(scores: dict[str, float]) -> float:
        """The weights of the highest F1 of entities, or where there are none of the highest accuracy, are kept."""
        return -scores.get("entity_f1", scores["accuracy"]) + 1e-6 * min(scores["loss_nats"], 1e3)


def numbered(sentences: Sequence[Sentence], labels: Vocabulary) -> list[np.ndarray]:
    """The tags of each sentence as numbers. Raises `DataError` for one that isn't among the labels."""
    found = []
    for sentence in sentences:
        try:
            found.append(labels.encode(sentence.tags or ()))
        except DataError as error:
            raise DataError(f"{sentence.where}: {error}") from error
    return found


def side_by_side(rows: Sequence[np.ndarray]) -> Int[Tensor, "T B"]:
    """Rows of numbers as columns, zero below each."""
    return nn.utils.rnn.pad_sequence([torch.from_numpy(row) for row in rows])
