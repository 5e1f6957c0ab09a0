"""A recurrent tagger: the tag of each word of a sentence, from the words and their characters.

    input layer      e_t = [E[word_t]; C(characters of word_t)]                dropout before the recurrent layers
                     C: the last outputs of a recurrent layer over the characters' embeddings, forwards and backwards
    recurrent layers h_t = [forward cell; backward cell](e_1 … e_T)             dropout between layers
    output layer     x_t = V h_t + c                                           with dropout before it
                     P(tags | sentence) by a linear-chain conditional random field over x (`elman.layers.crf`),
                     or softmax(x_t) for each word by itself

In training a word is read as the unknown one now and then (word dropout), so that the network learns to go by characters and
neighbours. (Lample et al., arXiv 1603.01360.)
"""

from dataclasses import dataclass

import torch
from torch import nn

from elman.axes import Float, Int, Tensor
from elman.data.tag_schemes import OUTSIDE, Scheme, allowed_transitions
from elman.data.vocabulary import UNKNOWN_ID
from elman.data.words import WordBatch
from elman.engines import Engine
from elman.engines.padding import valid_steps
from elman.layers import dropout
from elman.layers.crf import ConditionalRandomField
from elman.models.stack import StackConfig


@dataclass(frozen=True)
class TaggingConfig(StackConfig):
    """A tagger's sizes and options: what `config.json` holds under "network".

    words, characters, classes   sizes of the vocabularies, and how many tags there are
    character_hidden             units of each direction of the layer over characters, of the same cell
    crf                          a conditional random field; else each tag by itself

    Options of cells and layers hold for the layer over characters too, but for `connections`: one layer has none.
    """

    words: int
    characters: int
    classes: int
    bidirectional: bool = True
    character_embedding: int = 32
    character_hidden: int = 64
    crf: bool = True
    word_dropout: float = 0.0

    @property
    def recurrent_in_words(self) -> str:
        both = "bidirectional " if self.bidirectional else ""
        return super().recurrent_in_words.replace(f" x {self.cell}", f" x {both}{self.cell}", 1)

    @property
    def spelling(self) -> StackConfig:
        """The layer over characters."""
        options = {name: value for name, value in self.layer_options.items() if name != "connections"}
        return StackConfig(
            cell=self.cell, hidden=self.character_hidden, cell_options=self.cell_options, layer_options=options
        )


class Tagger(nn.Module):
    """A batch of words in, emissions (T, B, V) out: a score for each of V tags, called `labels`, for each word.

    What the scheme of the tags forbids (`elman.data.tag_schemes`) a conditional random field never says.

    Initialiser: recurrent layers as their cell says; embedding of words N(0, 0.1²), since much is added to it that is small at
    first; of characters N(0, 1); the field zero; output layer as `torch.nn.Linear`.
    """

    def __init__(
        self,
        config: TaggingConfig,
        labels: list[str],
        scheme: Scheme = "plain",
        engine: Engine | str = Engine.AUTO,
    ) -> None:
        super().__init__()
        self.config = config
        self.labels = labels
        self.scheme: Scheme = scheme
        self.embedding = nn.Embedding(config.words, config.embedding)
        self.character_embedding = nn.Embedding(config.characters, config.character_embedding)
        self.spelling = config.spelling.recurrent_layers(config.character_embedding, engine, bidirectional=True)
        read = config.embedding + self.spelling.output_size
        self.recurrent = config.recurrent_layers(read, engine, config.bidirectional)
        self.output = nn.Linear(self.recurrent.output_size, config.classes)
        self.crf = _field(labels, scheme) if config.crf else None
        nn.init.normal_(self.embedding.weight, std=0.1)

    def forward(self, batch: WordBatch) -> Float[Tensor, "T B V"]:
        words_TB = batch.words_TB
        if self.training and self.config.word_dropout:
            forgotten_TB = torch.rand(words_TB.shape, device=words_TB.device) < self.config.word_dropout
            words_TB = words_TB.masked_fill(forgotten_TB, UNKNOWN_ID)
        spelt_UH = self._spell(batch.characters_CU, batch.character_lengths_U)
        e_TBD = torch.cat([self.embedding(words_TB), spelt_UH[batch.distinct_TB]], dim=-1)
        h_TBH, _ = self.recurrent(self._drop(e_TBD), lengths=batch.lengths_B)
        return self.output(self._drop(h_TBH))

    def _spell(self, characters_CU: Int[Tensor, "C U"], lengths_U: Int[Tensor, "U"]) -> Float[Tensor, "U H"]:
        """What the layer over characters says at each word's end, forwards, and at its beginning, backwards."""
        y_CUH, _ = self.spelling(self.character_embedding(characters_CU), lengths=lengths_U)
        half = y_CUH.shape[2] // 2
        last_1UH = (lengths_U - 1).clamp_min(0)[None, :, None].expand(1, -1, half)
        return torch.cat([y_CUH[..., :half].gather(0, last_1UH)[0], y_CUH[0, :, half:]], dim=-1)

    def _drop(self, x_TBD: Tensor) -> Tensor:
        locked = bool(self.config.layer_options.get("locked_dropout"))
        return dropout(x_TBD, self.config.dropout, self.training, locked=locked)

    def log_likelihood(
        self, emissions_TBV: Float[Tensor, "T B V"], tags_TB: Int[Tensor, "T B"], lengths_B: Int[Tensor, "B"]
    ) -> Float[Tensor, "B"]:
        """log P(tags | sentence) of each sentence, in nats."""
        if self.crf is not None:
            return self.crf.log_likelihood(emissions_TBV, tags_TB, lengths_B)
        each_TB = emissions_TBV.float().log_softmax(-1).gather(2, tags_TB.unsqueeze(-1)).squeeze(-1)
        return torch.where(valid_steps(len(tags_TB), lengths_B), each_TB, 0).sum(0)

    def loss(self, batch: WordBatch, tags_TB: Int[Tensor, "T B"]) -> Float[Tensor, ""]:
        """-log P(tags | sentence), in nats, by how many words there are."""
        return -self.log_likelihood(self(batch), tags_TB, batch.lengths_B).sum() / batch.lengths_B.sum()

    @torch.no_grad()
    def decode(self, emissions_TBV: Float[Tensor, "T B V"], lengths_B: Int[Tensor, "B"]) -> Int[Tensor, "T B"]:
        """The most probable tags: of each sentence as a whole with a conditional random field, else of each word."""
        if self.crf is not None:
            return self.crf.viterbi(emissions_TBV, lengths_B)[0]
        return emissions_TBV.argmax(-1)

    @torch.no_grad()
    def marginals(self, emissions_TBV: Float[Tensor, "T B V"], lengths_B: Int[Tensor, "B"]) -> Float[Tensor, "T B V"]:
        """The probability of each tag for each word, whatever its neighbours are."""
        if self.crf is not None:
            return self.crf.marginals(emissions_TBV, lengths_B)
        return emissions_TBV.float().softmax(-1)


def _field(labels: list[str], scheme: Scheme) -> ConditionalRandomField:
    # Without O there may be lengths that no sequence of a scheme has.
    if OUTSIDE not in labels:
        return ConditionalRandomField(len(labels))
    starts_V, transitions_VV, ends_V = allowed_transitions(labels, scheme)
    return ConditionalRandomField(
        len(labels), forbidden_transitions=~transitions_VV, forbidden_starts=~starts_V, forbidden_ends=~ends_V
    )
