"""The parts of a text that a language model is trained, validated and tested on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from elman.data.text import Document, Source, characters, read_documents, reference_documents, split_tail
from elman.data.tokenizer import TextTokenizer
from elman.errors import DataError
from elman.models.options import TrainOptions


@dataclass(frozen=True)
class Texts:
    """The documents of each part."""

    train: list[Document]
    valid: list[Document]
    test: list[Document] | None


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
        valid = read_documents(list(options.valid), options.encoding)
    return Texts(kept, valid, None if options.test is None else read_documents(list(options.test), options.encoding))


def scorable(part: str, documents: list[Document], tokenizer: TextTokenizer) -> tuple[np.ndarray, int]:
    """The tokens and the number of characters of a part. Raises `DataError` if there is nothing to predict."""
    tokens = tokenizer.encode_documents(documents)
    if len(tokens) < 2:
        raise DataError(f"the {part} text holds no token: it has nothing but white space. Give a text of its own.")
    return tokens, characters(documents)
