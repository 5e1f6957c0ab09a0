"""A recurrent language model: the distribution of the next token, given all that came before.

    input layer      e_t = E[token_t]                            embedding, with dropout
    recurrent layers h_t, state_t = cell(e_t, state_{t-1})       dropout between layers and after the last
    output layer     P(token_{t+1} | token_1 … token_t) = softmax(V h_t + c)
                     tied: V is E; where h_t isn't of the embedding's size, it goes through a matrix P (E, H) first

A document begins with the token START, at which the state is reset: that is part of the network, so that no caller can
carry a state from one document into the next. (Press and Wolf, arXiv 1608.05859, for tied weights.)
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from elman.axes import Float, Int, Tensor
from elman.cells import as_text, read_cell_options
from elman.data.text import Source, characters, read_documents
from elman.data.tokenizer import START_ID, TextTokenizer
from elman.engines import Engine
from elman.layers import Dropout, layers_of, read_layer_options
from elman.models.sampling import Sampling, generate_tokens
from elman.models.scoring import Scores, score_tokens


@dataclass(frozen=True)
class LanguageConfig:
    """A language model's sizes and options: what `config.json` holds under "network".

    `cell_options` are those of the cell, `layer_options` those of the layers around it: a value each by name. Raises
    `OptionError` for a cell, an option or a value that isn't known.
    """

    vocabulary: int
    cell: str = "lstm"
    hidden: int = 448
    layers: int = 1
    embedding: int = 128
    dropout: float = 0.0
    tie: bool = False
    cell_options: dict[str, Any] = field(default_factory=dict)
    layer_options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "cell_options", read_cell_options(self.cell, self.cell_options))
        object.__setattr__(self, "layer_options", read_layer_options(self.layer_options))

    @property
    def recurrent_in_words(self) -> str:
        """The recurrent layers in a few words: how many of which cell and size, and with which options."""
        options = [f"{name}={as_text(value)}" for name, value in {**self.cell_options, **self.layer_options}.items()]
        return f"{self.layers} x {self.cell} of {self.hidden}" + (f" with {', '.join(options)}" if options else "")


class LanguageModel(nn.Module):
    """Tokens (T, B) and an optional state in; logits (T, B, V) and the state after the last step out.

    `tokenizer` is what the tokens mean; `generate` and `evaluate` speak text. The state is that of the recurrent layers: a
    tensor (L, B, H), or a tuple of them if the cell has several, for the LSTM (h, c).

    Initialiser: recurrent layers as their cell says; embedding N(0, 1), or uniform in ±0.1 if tied; output layer as
    `torch.nn.Linear`.
    """

    def __init__(self, config: LanguageConfig, tokenizer: TextTokenizer, engine: Engine | str = Engine.AUTO) -> None:
        super().__init__()
        self.config = config
        self.tokenizer = tokenizer
        self.embedding = nn.Embedding(config.vocabulary, config.embedding)
        self.recurrent = layers_of(
            config.cell,
            config.embedding,
            config.hidden,
            num_layers=config.layers,
            dropout=config.dropout if config.layers > 1 else 0.0,
            engine=engine,
            **config.cell_options,
            **config.layer_options,
        )
        self.dropout = Dropout(config.dropout)
        read = self.recurrent.output_size
        bottleneck = config.tie and read != config.embedding
        self.bottleneck = nn.Linear(read, config.embedding, bias=False) if bottleneck else nn.Identity()
        self.output = nn.Linear(config.embedding if config.tie else read, config.vocabulary)
        if config.tie:
            # Small, since the same numbers are the output layer's; then shared.
            nn.init.uniform_(self.embedding.weight, -0.1, 0.1)
            self.output.weight = self.embedding.weight

    def forward(self, tokens_TB: Int[Tensor, "T B"], state: Any = None) -> tuple[Float[Tensor, "T B V"], Any]:
        starts_TB = tokens_TB == START_ID
        e_TBD = self.dropout(self.embedding(tokens_TB))
        h_TBH, state = self.recurrent(e_TBD, state, reset=starts_TB if starts_TB.any() else None)
        return self.output(self.bottleneck(self.dropout(h_TBH))), state

    @property
    def parameter_count(self) -> int:
        """Numbers that training adjusts; shared ones count once."""
        return sum(parameter.numel() for parameter in self.parameters())

    @property
    def device(self) -> torch.device:
        return self.embedding.weight.device

    def evaluate(
        self, data: Source | Sequence[Source], encoding: str = "utf-8", *, watch: Callable[[float], None] | None = None
    ) -> Scores:
        """Score text: files, folders, "-", or `Document`s; the state is carried over every token of a document.

        `watch` is told now and then which part of the work is done, 0 to 1. Raises `DataError` for what can't be read.
        """
        documents = read_documents([data] if isinstance(data, Source) else list(data), encoding)
        return score_tokens(self, self.tokenizer.encode_documents(documents), characters(documents), watch=watch)

    def generate(
        self,
        prompt: str = "",
        length: int = 500,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int | None = None,
    ) -> Iterator[str]:
        """Go on from `prompt` for `length` tokens; gives text piece by piece as it is made, without the prompt.

        The state is carried one step at a time: time and memory a token don't depend on what came before. For
        `temperature`, `top_k` and `top_p` see `elman.models.sampling.Sampling`. Raises `OptionError` for values that make no
        sense.
        """
        sampling = Sampling(temperature=temperature, top_k=top_k, top_p=top_p, seed=seed)
        numbers = generate_tokens(self, self.tokenizer.encode(prompt).tolist(), length, sampling)
        return self.tokenizer.decode_stream(numbers)
