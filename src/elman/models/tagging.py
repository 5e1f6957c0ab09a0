"""A tagger: a tag for each word of a sentence, from the words and their characters.

    input layer      e_t = [E[word_t], C(characters of word_t)]      with word dropout: a word is read as UNKNOWN
                     C: the last states of recurrent layers over the characters' embeddings, forwards and backwards
    recurrent layers h_t = [forwards_t, backwards_t](e_1 … e_n)      dropout before, between and after them
    output layer     x_t = V h_t + c
                     "crf":     P(tags | sentence) by a linear-chain conditional random field over x: `elman.layers.crf`
                     "softmax": P(tag_t | sentence) = softmax(x_t), each step by itself

(Lample et al., arXiv 1603.01360.)
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from elman.axes import Float, Int, Tensor
from elman.cells import as_text, read_cell_options
from elman.data.vocabulary import UNKNOWN_ID, Vocabulary
from elman.data.words import WordBatch, WordReader
from elman.engines import Engine
from elman.engines.padding import valid_steps
from elman.errors import OptionError, choices
from elman.layers import draw_mask, dropout, layers_of, read_layer_options
from elman.layers.crf import ConditionalRandomField

OUTPUTS = ("crf", "softmax")


@dataclass(frozen=True)
class TaggingConfig:
    """A tagger's sizes and options: what `config.json` holds under "network".

    hidden, layers       units of each direction, and how many layers
    character_hidden     units of each direction of the one layer over characters
    word_dropout         in training, the probability that a word is read as UNKNOWN (its characters are read all the same)
    output               "crf" or "softmax"

    `cell_options` are those of the cell, `layer_options` those of the layers around it; they hold for the layer over
    characters too, apart from what connects layers. Raises `OptionError` for a cell, an option or a value that isn't known.
    """

    words: int
    characters: int
    labels: int
    cell: str = "lstm"
    hidden: int = 192
    layers: int = 2
    embedding: int = 128
    character_embedding: int = 32
    character_hidden: int = 64
    dropout: float = 0.4
    word_dropout: float = 0.1
    output: str = "crf"
    cell_options: dict[str, Any] = field(default_factory=dict)
    layer_options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.output not in OUTPUTS:
            raise OptionError(f"output={self.output!r} is not known: {choices(self.output, *OUTPUTS)}")
        for name in ("dropout", "word_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise OptionError(f"{name}={getattr(self, name)} must be at least 0 and less than 1.")
        object.__setattr__(self, "cell_options", read_cell_options(self.cell, self.cell_options))
        object.__setattr__(self, "layer_options", read_layer_options(self.layer_options))

    @property
    def recurrent_in_words(self) -> str:
        """The recurrent layers in a few words: how many of which cell and size, and with which options."""
        options = [f"{name}={as_text(value)}" for name, value in {**self.cell_options, **self.layer_options}.items()]
        with_options = f" with {', '.join(options)}" if options else ""
        return f"{self.layers} x {self.cell} of {self.hidden}, both ways{with_options}"


class TaggingModel(nn.Module):
    """A batch of words in, emissions (T, B, V) out: a score for each label of each word.

    `reader` is how words become numbers, `labels` what the numbers of tags mean; `tag` speaks text.
    forbidden   masks of the conditional random field, by the names of its arguments: tags that can't follow each other

    Initialiser: recurrent layers as their cell says; embeddings of words N(0, 0.1²) and of characters N(0, 1), output
    layer as `torch.nn.Linear`.
    """

    def __init__(
        self,
        config: TaggingConfig,
        reader: WordReader,
        labels: Vocabulary,
        engine: Engine | str = Engine.AUTO,
        forbidden: dict[str, np.ndarray] | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.reader = reader
        self.labels = labels
        options = {"bidirectional": True, "engine": engine, **config.cell_options, **config.layer_options}
        # One layer has no other that it could be connected to.
        alone = {name: value for name, value in options.items() if name != "connections"}
        self.embedding = nn.Embedding(config.words, config.embedding)
        self.character_embedding = nn.Embedding(config.characters, config.character_embedding)
        self.spelling = layers_of(config.cell, config.character_embedding, config.character_hidden, **alone)
        self.recurrent = layers_of(
            config.cell,
            config.embedding + self.spelling.output_size,
            config.hidden,
            num_layers=config.layers,
            dropout=config.dropout if config.layers > 1 else 0.0,
            **options,
        )
        self.output = nn.Linear(self.recurrent.output_size, config.labels)
        self.crf = ConditionalRandomField(config.labels, **(forbidden or {})) if config.output == "crf" else None
        nn.init.normal_(self.embedding.weight, std=0.1)

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
        half = y_CUH.shape[-1] // 2
        ends_UH = y_CUH[(lengths_U - 1).clamp_min(0), torch.arange(len(lengths_U), device=lengths_U.device), :half]
        return torch.cat([ends_UH, y_CUH[0, :, half:]], dim=-1)

    def _drop(self, x_TBD: Tensor) -> Tensor:
        locked = bool(self.config.layer_options.get("locked_dropout", False))
        return dropout(x_TBD, self.config.dropout, self.training, locked=locked)

    def loss(self, batch: WordBatch, tags_TB: Int[Tensor, "T B"]) -> Float[Tensor, ""]:
        """The mean over words of -log P(tags | sentence), in nats."""
        emissions_TBV = self(batch)
        if self.crf is not None:
            return -self.crf.log_likelihood(emissions_TBV, tags_TB, batch.lengths_B).sum() / batch.lengths_B.sum()
        valid_TB = valid_steps(len(tags_TB), batch.lengths_B)
        return cross_entropy(emissions_TBV[valid_TB].float(), tags_TB[valid_TB])

    @torch.no_grad()
    def decode(self, emissions_TBV: Float[Tensor, "T B V"], lengths_B: Int[Tensor, "B"]) -> Int[Tensor, "T B"]:
        """The most probable tags of each sentence, together ("crf") or one by one; 0 beyond its length."""
        if self.crf is not None:
            return self.crf.viterbi(emissions_TBV, lengths_B)[0]
        return torch.where(valid_steps(len(emissions_TBV), lengths_B), emissions_TBV.argmax(-1), 0)

    @torch.no_grad()
    def marginals(
        self, emissions_TBV: Float[Tensor, "T B V"], lengths_B: Int[Tensor, "B"]
    ) -> Float[Tensor, "T B V"]:
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
