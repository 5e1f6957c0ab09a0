"""The translator as a task to train: batches of pairs of like length, cross-entropy by teacher forcing, BLEU at the end."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from elman.data.bad_rows import BadRows
from elman.data.buckets import Buckets
from elman.data.examples import Pair, Reading
from elman.data.parallel import read_pairs
from elman.data.text import Source
from elman.errors import DataError
from elman.models.options import TrainOptions
from elman.models.parts import Parts, budget_note, count_note, read_parts
from elman.models.pictures import draw_attention
from elman.models.sentences import fit_sentences, read_sentences, side_by_side
from elman.models.translation import Translation, TranslationConfig, TranslationModel
from elman.models.translation_scores import scorer

_SHOWN = 4
# Source tokens (S, B) and target tokens (T, B), each with lengths (B).
Batch = tuple[Tensor, Tensor, Tensor, Tensor]


class TranslationKind:
    """How a translator's training begins."""

    def read(self, sources: Sequence[Source] | None, options: TrainOptions) -> Parts[Pair]:
        if sources is None:
            raise DataError(
                "there is nothing to translate: give DATA, two files line by line or a table with two columns of texts."
            )

        def read(part: Sequence[Source], bad: BadRows, **columns: Any) -> Reading[Pair]:
            chosen: dict[str, Any] = {"source": options.source, "target": options.target, **columns}
            return read_pairs(part, **chosen, encoding=options.encoding, bad=bad)

        return read_parts(sources, options, read)

    def fit(self, data: Parts[Pair], options: TrainOptions) -> TranslationModel:
        tokenizer = fit_sentences(
            options.tokenizer,
            [text for pair in data.train for text in (pair.source, str(pair.target))],
            vocabulary=options.vocabulary,
            normalisation=options.normalisation,
            lowercase=options.lowercase,
        )
        config = TranslationConfig(
            vocabulary=len(tokenizer),
            cell=options.cell,
            hidden=options.hidden,
            layers=options.layers,
            embedding=options.embedding,
            dropout=options.dropout,
            attention=options.attention,
            tie=options.tie,
            share=options.share,
            beam=options.beam,
            alpha=options.alpha,
            cell_options=options.cell_options,
            layer_options=options.layer_options,
        )
        torch.manual_seed(options.seed)
        return TranslationModel(config, tokenizer, options.engine)

    def task(self, data: Parts[Pair], network: TranslationModel, options: TrainOptions) -> "TranslationTask":
        return TranslationTask(data, network, options)


class TranslationTask:
    """Each epoch reads every pair once, in batches of like length; no state is carried from one pair to another."""

    def __init__(self, data: Parts[Pair], network: TranslationModel, options: TrainOptions) -> None:
        # A library that isn't there is an error now, not after hours.
        scorer()
        self.network = network
        self._data, self._options = data, options
        self._sources = read_sentences(network.tokenizer, [pair.source for pair in data.train])
        self._targets = read_sentences(network.tokenizer, [str(pair.target) for pair in data.train])
        # The longer side counts: both are padded to about as much.
        lengths = [max(map(len, pair)) for pair in zip(self._sources, self._targets, strict=True)]
        self._buckets = Buckets(lengths, options.batch_tokens, options.seed)
        self.steps_per_epoch = len(self._buckets)
        self._examples: list[Translation] = []
        self.fingerprint = data.fingerprint
        self.notes = self._notes()

    def batch(self, step: int) -> Batch:
        places, device = self._buckets[step], self.network.device
        return (
            *side_by_side([self._sources[place] for place in places], device),
            *side_by_side([self._targets[place] for place in places], device),
        )

    def carries_state(self, step: int) -> bool:  # noqa: ARG002
        return False

    def loss(self, batch: Batch, state: Any) -> tuple[Tensor, Any]:  # noqa: ARG002
        return self.network.loss(*batch, label_smoothing=self._options.smoothing), None

    def size(self, batch: Batch) -> int:
        """Tokens of the targets."""
        return int(batch[3].sum()) + len(batch[3])

    def validate(self) -> dict[str, float]:
        """The loss alone: translations take their time, and are scored at the end."""
        loss_nats, tokens = self.network.loss_of(self._data.valid)
        return {"loss_nats": loss_nats, "tokens": tokens}

    def final_scores(self) -> tuple[dict[str, float], dict[str, float] | None]:
        test = None if self._data.test is None else self.network.score(self._data.test).to_dict()
        return self.network.score(self._data.valid).to_dict(), test

    def sample(self) -> str:
        """A few texts that were held out, their translations, and the references."""
        shown = (self._data.test or self._data.valid)[:_SHOWN]
        self._examples = self.network.translate([pair.source for pair in shown])
        return "".join(
            f"{pair.source}\n  → {found.text}\n  = {pair.target}\n"
            for pair, found in zip(shown, self._examples, strict=True)
        )

    def draw(self, folder: Path) -> list[Path]:
        return [
            draw_attention(folder / f"attention-{number}.png", found.source, found.target, found.weights.numpy())
            for number, found in enumerate(self._examples, 1)
        ]

    def _notes(self) -> list[str]:
        data, options = self._data, self._options
        sides = [sum(map(len, side)) for side in (self._sources, self._targets)]
        return [
            *data.notes,
            count_note("pairs", data),
            f"text: {sides[0]:,} and {sides[1]:,} {options.tokenizer} tokens, vocabulary "
            f"{self.network.config.vocabulary:,} of both languages",
            budget_note(options, "tokens of a side", self.steps_per_epoch),
        ]
