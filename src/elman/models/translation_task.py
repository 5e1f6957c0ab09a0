"""The translator as a task to train: batches of pairs of like length, cross-entropy by teacher forcing, BLEU at the end."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from elman.data.bad_rows import BadRows
from elman.data.buckets import Buckets
from elman.data.examples import Pair, Reading
from elman.data.parallel import read_pairs
from elman.data.split import hold_out
from elman.data.text import Source
from elman.errors import DataError
from elman.models.options import TrainOptions
from elman.models.pictures import draw_attention
from elman.models.sentences import fit_sentences, read_sentences, side_by_side
from elman.models.translation import Translation, TranslationConfig, TranslationModel
from elman.models.translation_scores import scorer

_SHOWN = 4
# Source tokens (S, B) and target tokens (T, B), each with lengths (B).
Batch = tuple[Tensor, Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class Pairs:
    """The pairs of each part, and what a person should know of how they were read."""

    train: list[Pair]
    valid: list[Pair]
    test: list[Pair] | None
    notes: list[str]


class TranslationKind:
    """How a translator's training begins."""

    def read(self, sources: Sequence[Source] | None, options: TrainOptions) -> Pairs:
        if sources is None:
            raise DataError(
                "there is nothing to translate: give DATA, two files line by line or a table with two columns of texts."
            )
        bad = BadRows(options.strict)

        def read(part: Sequence[Source], **columns: Any) -> Reading[Pair]:
            chosen = {"source": options.source, "target": options.target, **columns}
            return read_pairs(part, **chosen, encoding=options.encoding, bad=bad)

        found = read(sources)
        kept = found.items
        test = None if options.test is None else read(options.test, **found.columns).items
        if test is None and options.test_fraction:
            kept, test = hold_out(kept, None, options.test_fraction, options.seed)
        if options.valid is not None:
            valid = read(options.valid, **found.columns).items
        else:
            kept, valid = hold_out(kept, None, options.valid_fraction / (1 - options.test_fraction), options.seed)
        if not valid or not kept:
            raise DataError(
                f"there are {len(found.items)} pairs, too few to hold out {options.valid_fraction:.0%} for validation: give "
                "more, or validation data of its own with --valid."
            )
        return Pairs(kept, valid, test, [f"data: {found.understood}", *bad.notes()])

    def fit(self, data: Pairs, options: TrainOptions) -> TranslationModel:
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

    def task(self, data: Pairs, network: TranslationModel, options: TrainOptions) -> "TranslationTask":
        return TranslationTask(data, network, options)


class TranslationTask:
    """Each epoch reads every pair once, in batches of like length; no state is carried from one pair to another."""

    def __init__(self, data: Pairs, network: TranslationModel, options: TrainOptions) -> None:
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
        self.fingerprint = _fingerprint(data)
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
        test = "" if data.test is None else f", {len(data.test):,} to test"
        sides = [sum(map(len, side)) for side in (self._sources, self._targets)]
        budget, amount = options.budget
        at_most = f", at most {options.max_epochs:g} epochs" if budget == "minutes" and options.max_epochs else ""
        return [
            *data.notes,
            f"pairs: {len(data.train):,} to train on, {len(data.valid):,} to validate{test}",
            f"text: {sides[0]:,} and {sides[1]:,} {options.tokenizer} tokens, vocabulary "
            f"{self.network.config.vocabulary:,} of both languages",
            f"training: {amount:g} {budget}{at_most}, about {options.batch_tokens:,} tokens a batch and side, "
            f"{self.steps_per_epoch:,} updates an epoch",
        ]


def _fingerprint(data: Pairs) -> str:
    digest = hashlib.sha256()
    for part in (data.train, data.valid):
        for pair in part:
            digest.update(f"{pair.source}\0{pair.target}\1".encode(errors="surrogatepass"))
        digest.update(b"\2")
    return digest.hexdigest()
