r"""An encoder and a decoder with attention: the distribution of the next token of a translation, given all that came before.

    encoder          m_s = [forwards; backwards] layers over √D F[x_s]
    start            the decoder's state is a learnt mean of the encoder's two final ones (`elman.models.bridge`)
    first layer      h_t = cell(√D E[y_{t-1}], ·)                   y_0 is START, D the embedding's size
    attention        a_t, c_t = attention(h_t, m)                   `elman.layers.attention`
    further layers   h_t = cells([h_t; c_t], ·)                     if there are any: they know where the decoder looked
    output layer     h̃_t = tanh(W [c_t; h_t])
                     P(y_t | y_<t, source) = softmax(E h̃_t + b)     tied; or a matrix of its own; F may be E too

With one layer this is Luong's (arXiv 1508.04025) without input feeding, with more GNMT's (arXiv 1609.08144), whose upper layers
read the context too. No step of it feeds back but the cells', so that in training every line is computed for all steps
of the target at once.

START is what stands before a document, and what ends a target: END is the same token (as `</s>` in fairseq).
"""

from dataclasses import dataclass, replace
from typing import NamedTuple, cast

import torch
from torch import nn

from elman.axes import Float, Int, Tensor
from elman.engines import Engine
from elman.engines.padding import valid_steps
from elman.layers import Dropout, RecurrentLayers
from elman.layers.attention import Memory, attention_of
from elman.models.beam import Beam
from elman.models.bridge import Bridge, States
from elman.models.output_loss import output_loss
from elman.models.sentences import with_boundaries
from elman.models.stack import StackConfig


@dataclass(frozen=True)
class TranslationConfig(StackConfig):
    """A translator's sizes and options: what `config.json` holds under "network".

    vocabulary   of both languages together
    hidden       units of each layer of the decoder, and of each direction of the encoder's
    layers       of the encoder, and of the decoder
    dropout      of embeddings, between layers, of what is attended to and of what the output layer reads
    attention    "dot", "general" or "additive": see `elman.layers.attention`
    tie          the output layer's matrix is the target's embedding (Press and Wolf, arXiv 1608.05859)
    share        source and target have one embedding
    beam         how many beginnings a search keeps, and `alpha` the exponent of the length's penalty, unless told otherwise:
                 see `elman.models.beam`
    """

    vocabulary: int
    attention: str = "general"
    tie: bool = True
    share: bool = True
    beam: int = 5
    alpha: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self.search

    @property
    def search(self) -> Beam:
        """How translations are searched. Raises `OptionError` for values that make no sense."""
        return Beam(self.beam, self.alpha)

    @property
    def recurrent_in_words(self) -> str:
        return f"encoder (bidirectional) and decoder of {super().recurrent_in_words} each, {self.attention} attention"


class Encoded(NamedTuple):
    """Sentences that have been read: the memory to attend to, and the states that the decoder starts from."""

    memory: Memory
    states: States

    def select(self, rows_N: Int[Tensor, "N"]) -> "Encoded":
        """These rows, in this order; a row may come several times."""
        return Encoded(self.memory.select(rows_N), tuple(state.index_select(1, rows_N) for state in self.states))


class EncoderDecoder(nn.Module):
    """Tokens of sources (S, B) and of targets (T, B), and their lengths in; logits (T, B, V), attention weights (T, B, S) out.

    The tokens of a target begin with START; those that `loss` is given don't.

    Initialiser: recurrent layers as their cell says; embeddings N(0, 1/D); linear layers as `torch.nn.Linear`.
    """

    def __init__(self, config: TranslationConfig, engine: Engine | str = Engine.AUTO) -> None:
        super().__init__()
        self.config = config
        self.target_embedding = nn.Embedding(config.vocabulary, config.embedding)
        self.source_embedding = nn.Embedding(config.vocabulary, config.embedding)
        for embedding in (self.target_embedding, self.source_embedding):
            nn.init.normal_(embedding.weight, std=config.embedding**-0.5)
        self.encoder = config.recurrent_layers(config.embedding, engine, bidirectional=True)
        self.decoder = replace(config, layers=1).recurrent_layers(config.embedding, engine)
        read, remembered = self.decoder.output_size, self.encoder.output_size
        self.attention = attention_of(config.attention, read, remembered)
        self.upper: RecurrentLayers | None = None
        if config.layers > 1:
            above = replace(config, layers=config.layers - 1)
            self.upper = above.recurrent_layers(read + remembered, engine)
            read = self.upper.output_size
        self.bridge = Bridge(self.encoder.cell, config.layers)
        self.dropout = Dropout(config.dropout)
        self.combine = nn.Linear(remembered + read, config.embedding)
        self.output = nn.Linear(config.embedding, config.vocabulary)
        if config.share:
            self.source_embedding.weight = self.target_embedding.weight
        if config.tie:
            self.output.weight = self.target_embedding.weight

    def _embedded(self, embedding: nn.Embedding, tokens_TB: Tensor) -> Float[Tensor, "T B D"]:
        """As large as what a cell expects, where the output layer needs the same numbers small."""
        embedded_TBD: Tensor = self.dropout(embedding(tokens_TB) * self.config.embedding**0.5)
        return embedded_TBD

    def encode(self, source_SB: Int[Tensor, "S B"], lengths_B: Int[Tensor, "B"] | None = None) -> Encoded:
        """Read sentences; what lies beyond their lengths doesn't matter."""
        m_SBD, final = _run(self.encoder, self._embedded(self.source_embedding, source_SB), None, lengths_B)
        return Encoded(self.attention.read(self.dropout(m_SBD), lengths_B), self.bridge(final))

    def decode(
        self, tokens_TB: Int[Tensor, "T B"], source: Encoded, lengths_B: Int[Tensor, "B"] | None = None
    ) -> tuple[Float[Tensor, "T B E"], Float[Tensor, "T B S"], Encoded]:
        """Go on by these tokens: h̃ of each step, the weights of its attention, and the source with the states after them."""
        first, rest = (tuple(state[part] for state in source.states) for part in (slice(0, 1), slice(1, None)))
        h_TBH, after = _run(self.decoder, self._embedded(self.target_embedding, tokens_TB), first, lengths_B)
        context_TBD, weights_TBS = self.attention(h_TBH, source.memory)
        if self.upper is not None:
            read_TBD = self.dropout(torch.cat([h_TBH, context_TBD], dim=-1))
            h_TBH, last = _run(self.upper, read_TBD, rest, lengths_B)
            after = tuple(torch.cat(pair) for pair in zip(after, last, strict=True))
        combined_TBE = self.combine(self.dropout(torch.cat([context_TBD, h_TBH], dim=-1))).tanh()
        return self.dropout(combined_TBE), weights_TBS, source._replace(states=after)

    def forward(
        self,
        source_SB: Int[Tensor, "S B"],
        source_lengths_B: Int[Tensor, "B"],
        target_TB: Int[Tensor, "T B"],
        target_lengths_B: Int[Tensor, "B"],
    ) -> tuple[Float[Tensor, "T B V"], Float[Tensor, "T B S"]]:
        source = self.encode(source_SB, source_lengths_B)
        combined_TBE, weights_TBS, _ = self.decode(target_TB, source, target_lengths_B)
        return self.output(combined_TBE), weights_TBS

    def loss(
        self,
        source_SB: Int[Tensor, "S B"],
        source_lengths_B: Int[Tensor, "B"],
        target_TB: Int[Tensor, "T B"],
        target_lengths_B: Int[Tensor, "B"],
        label_smoothing: float = 0.0,
    ) -> Float[Tensor, ""]:
        """Mean of -ln P over the tokens of the targets, with END but without START: nats, by teacher forcing.

        `label_smoothing` mixes the true token with so much of the uniform distribution (Szegedy et al., arXiv 1512.00567).
        """
        source = self.encode(source_SB, source_lengths_B)
        begin_TB, wanted_TB = with_boundaries(target_TB, target_lengths_B)
        combined_TBE, _, _ = self.decode(begin_TB, source, target_lengths_B + 1)
        # Only what counts goes through the output layer, the largest product there is.
        valid_TB = valid_steps(len(begin_TB), target_lengths_B + 1)
        return output_loss(combined_TBE[valid_TB], self.output, wanted_TB[valid_TB], label_smoothing)

    @property
    def recurrent(self) -> RecurrentLayers:
        """The layers that read the source; those of the decoder are of the same cell."""
        return self.encoder

    @property
    def parameter_count(self) -> int:
        """Numbers that training adjusts; shared ones count once."""
        return sum(parameter.numel() for parameter in self.parameters())

    @property
    def device(self) -> torch.device:
        return self.target_embedding.weight.device


def _run(
    layers: RecurrentLayers, x_TBD: Float[Tensor, "T B D"], states: States | None, lengths_B: Int[Tensor, "B"] | None
) -> tuple[Float[Tensor, "T B H"], States]:
    """Sequences through layers, from these states or fresh ones: outputs, and the states after them."""
    h_TBH, after, _ = layers.run(x_TBD, states, lengths_B)
    return cast(Tensor, h_TBH), cast(States, after)
