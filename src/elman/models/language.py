"""A recurrent language model: the distribution of the next token, given all that came before.

    input layer      e_t = E[token_t]                            embedding, with dropout
    recurrent layers h_t, state_t = cell(e_t, state_{t-1})       dropout between layers and after the last
    output layer     P(token_{t+1} | token_1 … token_t) = softmax(V h_t + c)
                     tied: V is E; where h_t isn't of the embedding's size, it goes through a matrix P (E, H) first

A document begins with the token START, at which the state is reset: that is part of the network, so that no caller can
carry a state from one document into the next. (Press and Wolf, arXiv 1608.05859, for tied weights.)
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import nn

from elman.axes import Bool, Float, Int, Tensor
from elman.data.text import Source, characters, open_documents
from elman.data.token_file import on_disk
from elman.data.tokenizer import START_ID, TextTokenizer
from elman.engines import Engine
from elman.errors import ModelFolderError
from elman.layers import Dropout
from elman.models.folder import TOKENIZER, build, entry, existing, read_network_config
from elman.models.output_loss import output_loss
from elman.models.sampling import Sampling, generate_tokens
from elman.models.scoring import Scores, score_tokens
from elman.models.stack import StackConfig


@dataclass(frozen=True)
class LanguageConfig(StackConfig):
    """A language model's sizes and options: what `config.json` holds under "network"."""

    vocabulary: int
    tie: bool = False


class LanguageModel(nn.Module):
    """Tokens (T, B) and an optional state in; logits (T, B, V) and the state after the last step out.

    `tokenizer` is what the tokens mean; `generate` and `evaluate` speak text. The state is that of the recurrent layers: a
    tensor (L, B, H), or a tuple of them if the cell has several, for the LSTM (h, c).

    Initialiser: recurrent layers as their cell says; embedding N(0, 1), or uniform in ±0.1 if tied; output layer as
    `torch.nn.Linear`.
    """

    task: ClassVar[str] = "lm"

    def __init__(self, config: LanguageConfig, tokenizer: TextTokenizer, engine: Engine | str = Engine.AUTO) -> None:
        super().__init__()
        self.config = config
        self.tokenizer = tokenizer
        self.embedding = nn.Embedding(config.vocabulary, config.embedding)
        self.recurrent = config.recurrent_layers(config.embedding, engine)
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
        h_TBH, state = self.read(tokens_TB, state)
        return self.say(h_TBH), state

    def read(self, tokens_TB: Int[Tensor, "T B"], state: Any = None) -> tuple[Float[Tensor, "T B H"], Any]:
        """What the recurrent layers make of tokens, and the state after the last."""
        starts_TB = tokens_TB == START_ID
        e_TBD = self.dropout(self.embedding(tokens_TB))
        h_TBH, state = self.recurrent(e_TBD, state, reset=starts_TB if starts_TB.any() else None)
        return h_TBH, state

    def say(self, h_TBH: Float[Tensor, "*steps H"]) -> Float[Tensor, "*steps V"]:
        """The logits of the next token after each of these steps."""
        logits: Tensor = self.output(self.bottleneck(self.dropout(h_TBH)))
        return logits

    def loss(
        self,
        tokens_TB: Int[Tensor, "T B"],
        targets_TB: Int[Tensor, "T B"],
        state: Any = None,
        scored_TB: Bool[Tensor, "T B"] | None = None,
    ) -> tuple[Float[Tensor, ""], Any]:
        """Mean of -ln P(target) in nats, over all steps or those that are scored, and the state after the last step."""
        h_TBH, state = self.read(tokens_TB, state)
        h_NH, targets_N = h_TBH.flatten(0, 1), targets_TB.flatten()
        if scored_TB is not None:
            h_NH, targets_N = h_NH[scored_TB.flatten()], targets_N[scored_TB.flatten()]
        return output_loss(self.bottleneck(self.dropout(h_NH)), self.output, targets_N), state

    @classmethod
    def from_folder(cls, folder: Path, config: dict[str, Any], engine: Engine | str = Engine.AUTO) -> "LanguageModel":
        """The network that a folder describes, without its weights. Raises `ModelFolderError`."""
        tokenizer = TextTokenizer.load(entry(folder, config, "tokenizer", str), existing(folder, TOKENIZER))
        network = read_network_config(folder, LanguageConfig, config["network"])
        if len(tokenizer) != network.vocabulary:
            raise ModelFolderError(
                f"{folder / TOKENIZER} has {len(tokenizer)} tokens, but config.json says {network.vocabulary}: "
                "they belong to different models."
            )
        return build(folder, lambda: cls(network, tokenizer, engine))

    def save_vocabularies(self, folder: Path) -> dict[str, Any]:
        """Write `tokenizer.json`; gives what `config.json` says of it."""
        self.tokenizer.save(folder / TOKENIZER)
        return {"tokenizer": self.tokenizer.kind}

    def description(self) -> dict[str, str]:
        """The parts of the network in words."""
        tied = ", tied to the output layer" if self.config.tie else ""
        return {
            "tokens": f"{self.tokenizer.kind}, vocabulary {self.config.vocabulary:,}",
            "input layer": f"embedding of {self.config.embedding}{tied}",
            "recurrent": self.config.recurrent_in_words,
            "dropout": f"{self.config.dropout:g}",
        }

    @staticmethod
    def headline(scores: dict[str, float]) -> str:
        """Scores as a person reads them."""
        return (
            f"{scores['loss_nats']:.4f} nats a token, {scores['bits_per_char']:.4f} bits per character, "
            f"perplexity {scores['perplexity']:.2f} over {scores['tokens']:,} tokens"
        )

    def loss_in_words(self, loss_nats: float) -> str:
        """A loss in bits a token, or for words as a perplexity."""
        if self.tokenizer.kind == "word":
            return f"perplexity {math.exp(min(loss_nats, 700)):.1f}"
        return f"{loss_nats / math.log(2):.2f} bits/token"

    @staticmethod
    def selection(scores: dict[str, float]) -> float:
        """The weights of the lowest loss are kept."""
        return scores["loss_nats"]

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
        documents = open_documents([data] if isinstance(data, Source) else list(data), encoding)
        tokens = on_disk(self.tokenizer.encode_pieces(documents), len(self.tokenizer))
        return score_tokens(self, tokens, characters(documents), watch=watch)

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
