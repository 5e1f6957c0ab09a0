"""The language model as a task to train: streams in, cross-entropy, scores on the validation part."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from elman.data.streams import Streams
from elman.data.text import Source, characters
from elman.data.token_file import on_disk
from elman.data.tokenizer import UNKNOWN_ID, TextTokenizer
from elman.models.language import LanguageConfig, LanguageModel
from elman.models.language_data import Texts, read_texts, scorable
from elman.models.options import TrainOptions
from elman.models.scoring import score_tokens

# At the end of a run longer texts are scored in parallel streams; `elman evaluate` always carries the state throughout.
_EXACT_UP_TO = 500_000
_SAMPLE_TOKENS = 300


class LanguageKind:
    """How a language model's training begins."""

    def read(self, sources: Sequence[Source] | None, options: TrainOptions) -> Texts:
        return read_texts(sources, options)

    def fit(self, data: Texts, options: TrainOptions) -> LanguageModel:
        tokenizer = TextTokenizer.fit(options.tokenizer, data.train, options.vocabulary)
        config = LanguageConfig(
            vocabulary=len(tokenizer),
            cell=options.cell,
            hidden=options.hidden,
            layers=options.layers,
            embedding=options.embedding,
            dropout=options.dropout,
            tie=options.tie,
            cell_options=options.cell_options,
            layer_options=options.layer_options,
        )
        torch.manual_seed(options.seed)
        return LanguageModel(config, tokenizer, options.engine)

    def task(self, data: Texts, network: LanguageModel, options: TrainOptions) -> "LanguageTask":
        return LanguageTask(data, network, options)


class LanguageTask:
    """Contiguous streams with the state carried from window to window; each epoch starts with a fresh one."""

    def __init__(self, texts: Texts, network: LanguageModel, options: TrainOptions) -> None:
        self.network = network
        self.options = options
        digest = hashlib.sha256()
        tokens = on_disk(
            network.tokenizer.encode_pieces(texts.train),
            len(network.tokenizer),
            watch=lambda piece: digest.update(piece.tobytes()),
        )
        self.streams = Streams.cut(tokens, options.batch, options.bptt)
        self.steps_per_epoch = len(self.streams)
        self._valid = scorable("validation", texts.valid, network.tokenizer)
        self._test = None if texts.test is None else scorable("test", texts.test, network.tokenizer)
        digest.update(b"valid")
        digest.update(self._valid[0].astype(np.int32).tobytes())
        self.fingerprint = digest.hexdigest()
        self.notes = self._notes(texts, tokens)

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        inputs_TB, targets_TB = self.streams[step % self.steps_per_epoch]
        device = self.network.device
        return inputs_TB.to(device), targets_TB.to(device)

    def carries_state(self, step: int) -> bool:
        return step % self.steps_per_epoch != 0

    def loss(self, batch: tuple[Tensor, Tensor], state: Any) -> tuple[Tensor, Any]:
        return self.network.loss(*batch, state)

    def size(self, batch: tuple[Tensor, Tensor]) -> int:
        return batch[0].numel()

    def validate(self) -> dict[str, float]:
        return score_tokens(self.network, *self._valid, streams=self.streams.batch).to_dict()

    def final_scores(self) -> tuple[dict[str, float], dict[str, float] | None]:
        return self._score(self._valid), None if self._test is None else self._score(self._test)

    def _score(self, part: tuple[np.ndarray, int]) -> dict[str, float]:
        streams = 1 if len(part[0]) <= _EXACT_UP_TO else self.options.batch
        return score_tokens(self.network, *part, streams=streams).to_dict()

    def sample(self) -> str:
        return "".join(self.network.generate("", _SAMPLE_TOKENS, temperature=0.8, seed=self.options.seed))

    def draw(self, folder: Path) -> list[Path]:  # noqa: ARG002
        return []

    def _notes(self, texts: Texts, tokens: np.ndarray) -> list[str]:
        options, network, valid = self.options, self.network, self._valid[0]
        budget, amount = options.budget
        notes = [
            f"text: {characters(texts.train):,} characters to train on, {characters(texts.valid):,} to validate on; "
            f"{len(tokens):,} {options.tokenizer} tokens, vocabulary {network.config.vocabulary:,}",
            f"training: {amount:g} {budget}, {self.streams.batch} streams in windows of {options.bptt}, "
            f"{self.steps_per_epoch:,} updates an epoch",
            *texts.notes,
        ]
        if self.streams.batch < options.batch:
            notes.append(
                f"note: the text is too short for {options.batch} streams of one window each: "
                f"{self.streams.batch} are used."
            )
        unknown = int((valid == UNKNOWN_ID).sum())
        if unknown:
            notes.append(
                f"note: {unknown:,} of {len(valid):,} validation tokens are not in the training text; "
                "they are read and scored as the unknown token."
            )
        return notes
