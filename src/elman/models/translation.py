"""A translator: texts of one language in, texts of another out.

The network is `elman.models.encoder_decoder`, the search for the best translation `elman.models.beam`, and what tokens are
`elman.models.sentences`.
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch

from elman.axes import Tensor
from elman.data.bad_rows import BadRows
from elman.data.buckets import in_order
from elman.data.examples import Pair
from elman.data.parallel import read_pairs
from elman.data.text import Source
from elman.data.tokenizer import START_ID, UNKNOWN_ID, TextTokenizer
from elman.engines import Engine
from elman.errors import ModelFolderError
from elman.models.beam import Beam, beam_search
from elman.models.encoder_decoder import Encoded, EncoderDecoder, TranslationConfig
from elman.models.folder import CONFIG, TOKENIZER, build, entry, existing, read_network_config
from elman.models.sentences import END, END_ID, read_sentences, side_by_side, with_boundaries, write_sentence
from elman.models.translation_scores import TranslationScores, score_translations

# Sentences in one search, of like length; and tokens of targets in one batch that is only scored.
_TOGETHER, _TOKENS = 64, 1 << 12


class Translation(NamedTuple):
    """A translated text, and what the network looked at.

    text             the translation
    source           the tokens of the source, as texts (S)
    target           the tokens of the translation, as texts, END among them (T)
    weights          (T, S): how much each of `target` attended to each of `source`
    log_probability  log P(text | source) in nats, END among it
    """

    text: str
    source: list[str]
    target: list[str]
    weights: Tensor
    log_probability: float


class TranslationModel(EncoderDecoder):
    """An encoder and decoder that speak text: `tokenizer` is what the tokens of both sides mean."""

    task: ClassVar[str] = "translate"

    def __init__(self, config: TranslationConfig, tokenizer: TextTokenizer, engine: Engine | str = Engine.AUTO) -> None:
        super().__init__(config, engine)
        self.tokenizer = tokenizer

    def translate(
        self, sentences: Sequence[str], beam: Beam | None = None, watch: Callable[[float], None] | None = None
    ) -> list[Translation]:
        """Translate each sentence, by beam search: see `elman.models.beam`. UNKNOWN is never said.

        A translation has at most 2 S + 10 tokens, where the source has S. `watch` is told now and then which part of the
        work is done, 0 to 1. Dropout doesn't act. `beam` is the configuration's, unless told otherwise.
        """
        sources = read_sentences(self.tokenizer, sentences)
        # Of like length, so that little is computed for padding, and few wait for the longest.
        order = sorted(range(len(sources)), key=lambda n: len(sources[n]))
        translations: dict[int, Translation] = {}
        was_training = self.training
        self.eval()
        try:
            for first in range(0, len(order), _TOGETHER):
                together = order[first : first + _TOGETHER]
                found = self._translate([sources[n] for n in together], beam or self.config.search)
                translations.update(zip(together, found, strict=True))
                if watch is not None:
                    watch(len(translations) / len(order))
        finally:
            self.train(was_training)
        return [translations[n] for n in range(len(sources))]

    @torch.no_grad()
    def _translate(self, sources: Sequence[np.ndarray], beam: Beam) -> list[Translation]:
        source_SB, lengths_B = side_by_side(sources, self.device)
        source = self.encode(source_SB, lengths_B)
        found = beam_search(
            self._step, Encoded.select, source, start=START_ID, end=END_ID, limits_B=2 * lengths_B + 10, beam=beam
        )
        # The weights of all that was said, by one more pass: the search needn't carry them.
        said_TB, said_B = side_by_side([np.array(hypothesis.tokens, np.int64) for hypothesis in found], self.device)
        _, weights_TBS, _ = self.decode(with_boundaries(said_TB, said_B)[0], source, said_B + 1)
        return [
            Translation(
                write_sentence(self.tokenizer, hypothesis.tokens),
                self._pieces(numbers.tolist()),
                [*self._pieces(hypothesis.tokens), END],
                weights_TBS[: len(hypothesis.tokens) + 1, b, : len(numbers)].cpu(),
                hypothesis.log_probability,
            )
            for b, (numbers, hypothesis) in enumerate(zip(sources, found, strict=True))
        ]

    def _step(self, tokens_N: Tensor, source: Encoded) -> tuple[Tensor, Encoded]:
        """One token after each beginning: log P of what comes next, and the source with the states after it."""
        combined_1NE, _, after = self.decode(tokens_N.unsqueeze(0), source)
        logits_NV = self.output(combined_1NE[0])
        logits_NV[:, UNKNOWN_ID] = -torch.inf
        return logits_NV.log_softmax(-1), after

    def _pieces(self, numbers: Sequence[int]) -> list[str]:
        """Each token as a text of its own, for a picture's axes; a part of a character is shown as U+FFFD."""
        return [self.tokenizer.decode([number]) for number in numbers]

    def answer(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        """What `elman predict` says of each text."""
        return [
            {"text": text, "translation": found.text, "log_probability": found.log_probability}
            for text, found in zip(texts, self.translate(texts), strict=True)
        ]

    def evaluate(
        self,
        data: Source | Sequence[Source],
        encoding: str = "utf-8",
        *,
        source: str | None = None,
        target: str | None = None,
        bad: BadRows | None = None,
        watch: Callable[[float], None] | None = None,
    ) -> TranslationScores:
        """Scores on texts and their translations. Raises `DataError` for what can't be read.

        Bad rows go into `bad`; without it the first is an error.
        """
        sources = [data] if isinstance(data, Source) else list(data)
        found = read_pairs(sources, source=source, target=target, encoding=encoding, bad=bad or BadRows(strict=True))
        return self.score(found.items, watch)

    def score(self, pairs: Sequence[Pair], watch: Callable[[float], None] | None = None) -> TranslationScores:
        """Scores on pairs, of translations by the configuration's search. Needs sacrebleu."""
        loss_nats, tokens = self.loss_of(pairs)
        sources = [pair.source for pair in pairs]
        texts = [found.text for found in self.translate(sources, watch=watch)]
        return score_translations(texts, sources, [str(pair.target) for pair in pairs], loss_nats, tokens)

    @torch.no_grad()
    def loss_of(self, pairs: Sequence[Pair]) -> tuple[float, int]:
        """Mean of -ln P over all tokens of the targets, END among them, and how many they are."""
        sources, targets = (
            read_sentences(self.tokenizer, texts)
            for texts in ([pair.source for pair in pairs], [str(pair.target) for pair in pairs])
        )
        was_training, total, tokens = self.training, 0.0, 0
        self.eval()
        for places in in_order([len(target) for target in targets], _TOKENS):
            source_SB, source_B = side_by_side([sources[place] for place in places], self.device)
            target_TB, target_B = side_by_side([targets[place] for place in places], self.device)
            count = int(target_B.sum()) + len(places)
            total += float(self.loss(source_SB, source_B, target_TB, target_B)) * count
            tokens += count
        self.train(was_training)
        return total / max(tokens, 1), tokens

    @classmethod
    def from_folder(
        cls, folder: Path, config: dict[str, Any], engine: Engine | str = Engine.AUTO
    ) -> "TranslationModel":
        """The network that a folder describes, without its weights. Raises `ModelFolderError`."""
        tokenizer = TextTokenizer.load(entry(folder, config, "tokenizer", str), existing(folder, TOKENIZER))
        network = read_network_config(folder, TranslationConfig, config["network"])
        if len(tokenizer) != network.vocabulary:
            raise ModelFolderError(
                f"{folder / CONFIG} has {network.vocabulary} tokens in 'network', but {TOKENIZER} has {len(tokenizer)}: they "
                "belong to different models."
            )
        return build(folder, lambda: cls(network, tokenizer, engine))

    def save_vocabularies(self, folder: Path) -> dict[str, Any]:
        """Write `tokenizer.json`; gives what `config.json` says of it."""
        self.tokenizer.save(folder / TOKENIZER)
        return {"tokenizer": self.tokenizer.kind}

    def description(self) -> dict[str, str]:
        """The parts of the network in words."""
        config = self.config
        shared = "one of source and target" if config.share else "one of source, one of target"
        return {
            "tokens": f"{self.tokenizer.kind}, vocabulary {config.vocabulary:,} of both languages",
            "input layer": f"embedding of {config.embedding}, {shared}",
            "recurrent": config.recurrent_in_words,
            "output layer": "shares the embedding of the target" if config.tie else "of its own",
            "dropout": f"{config.dropout:g}",
            "search": f"beam {config.beam}, alpha {config.alpha:g}",
        }

    @staticmethod
    def headline(scores: dict[str, float]) -> str:
        """Scores as a person reads them; while training goes on nothing is translated, and there is the loss alone."""
        loss = f"{scores['loss_nats']:.4f} nats a token over {scores['tokens']:,} tokens"
        if "bleu" not in scores:
            return loss
        return (
            f"BLEU {scores['bleu']:.1f} (copying the source {scores['baseline_bleu']:.1f}), chrF {scores['chrf']:.1f}, "
            f"exact {scores['exact']:.1%} of {scores['examples']:,}, {loss}"
        )

    def loss_in_words(self, loss_nats: float) -> str:
        """Perplexity, of a token."""
        return f"perplexity {math.exp(loss_nats):.2f}" if loss_nats < 700 else ""

    @staticmethod
    def selection(scores: dict[str, float]) -> float:
        """The weights of the lowest loss are kept."""
        return scores["loss_nats"]
