"""From data and options to what can be trained: texts, tokens, streams, the network."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from elman.data.streams import Streams
from elman.data.text import Document, Source, characters, read_documents, reference_documents, split_tail
from elman.data.tokenizer import UNKNOWN_ID, TextTokenizer
from elman.errors import DataError, OptionError
from elman.models.language import LanguageConfig, LanguageModel
from elman.models.language_task import LanguageTask
from elman.training.options import TrainOptions


@dataclass(frozen=True)
class Texts:
    """The documents of each part."""

    train: list[Document]
    valid: list[Document]
    test: list[Document] | None


@dataclass(frozen=True)
class Prepared:
    """All that a run needs. `valid` and `test` are (tokens, characters); `fingerprint` tells whether data changed."""

    options: TrainOptions
    model: LanguageModel
    task: LanguageTask
    valid: tuple[np.ndarray, int]
    test: tuple[np.ndarray, int] | None
    fingerprint: str
    notes: list[str]


def read_texts(sources: Sequence[Source] | None, options: TrainOptions) -> Texts:
    """Read and split: DATA (None: the reference text), and the validation and test texts if they are given."""
    documents = reference_documents() if sources is None else read_documents(sources, options.encoding)
    if options.valid is None:
        kept, valid = split_tail(documents, options.valid_fraction)
        if not characters(kept) or not characters(valid):
            raise DataError(
                f"the text has {characters(documents)} characters, too few to hold out {options.valid_fraction:.0%} "
                "for validation: give more text, or a text of its own with --valid."
            )
    else:
        kept = documents
        valid = read_documents([options.valid], options.encoding)
    return Texts(kept, valid, None if options.test is None else read_documents([options.test], options.encoding))


def prepare(texts: Texts, tokenizer: TextTokenizer, options: TrainOptions) -> Prepared:
    """Tokenise, cut streams, make the network with its initial weights (drawn from torch's global generator)."""
    device = find_device(options.device)
    tokens = tokenizer.encode_documents(texts.train)
    streams = Streams.cut(tokens, options.batch, options.bptt)
    valid = _scorable("validation", texts.valid, tokenizer)
    test = None if texts.test is None else _scorable("test", texts.test, tokenizer)

    torch.manual_seed(options.seed)
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
    model = LanguageModel(config, tokenizer, options.engine).to(device)
    task = LanguageTask(model, streams, *valid)
    digest = hashlib.sha256(tokens.tobytes() + b"valid" + valid[0].tobytes()).hexdigest()
    notes = _notes(texts, tokens, streams, valid[0], model, options)
    return Prepared(options, model, task, valid, test, digest, notes)


def _scorable(part: str, documents: list[Document], tokenizer: TextTokenizer) -> tuple[np.ndarray, int]:
    tokens = tokenizer.encode_documents(documents)
    if len(tokens) < 2:
        raise DataError(f"the {part} text holds no token: it has nothing but white space. Give a text of its own.")
    return tokens, characters(documents)


def _notes(
    texts: Texts, tokens: np.ndarray, streams: Streams, valid: np.ndarray, model: LanguageModel, options: TrainOptions
) -> list[str]:
    """What a person should know before the run starts, a line each."""
    config, kind = model.config, options.tokenizer
    budget, amount = options.budget
    notes = [
        f"text: {characters(texts.train):,} characters to train on, {characters(texts.valid):,} to validate on; "
        f"{len(tokens):,} {kind} tokens, vocabulary {config.vocabulary:,}",
        f"network: {config.recurrent_in_words}, embedding {config.embedding}, "
        f"{model.parameter_count:,} parameters, engine {model.recurrent.engine}, {model.device}",
        f"training: {amount:g} {budget}, {streams.batch} streams in windows of {options.bptt}, "
        f"{len(streams):,} updates an epoch",
    ]
    if streams.batch < options.batch:
        notes.append(
            f"note: the text is too short for {options.batch} streams of one window each: {streams.batch} are used."
        )
    unknown = int((valid == UNKNOWN_ID).sum())
    if unknown:
        notes.append(
            f"note: {unknown:,} of {len(valid):,} validation tokens are not in the training text; "
            "they are read and scored as the unknown token."
        )
    return notes


def find_device(name: str) -> torch.device:
    """The device called `name`; "auto" is the fastest there is. Raises `OptionError` if it isn't there."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, available in there.items() if available))
    if not there.get(name, False):
        raise OptionError(f"--device {name} is not to be had on this machine: use --device auto or cpu.")
    return torch.device(name)
