"""The parts of a text that a language model is trained, validated and tested on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from elman.data.text import Source, Text, characters, open_documents, reference_documents, split_tail
from elman.data.token_file import on_disk
from elman.data.tokenizer import TextTokenizer
from elman.errors import DataError
from elman.models.options import TrainOptions

# Characters that are held out at most: more would take longer to score than they tell.
HELD_OUT = 500_000


@dataclass(frozen=True)
class Texts:
    """The documents of each part, and what a person should know of them."""

    train: Sequence[Text]
    valid: Sequence[Text]
    test: Sequence[Text] | None
    notes: Sequence[str] = ()


def read_texts(sources: Sequence[Source] | None, options: TrainOptions) -> Texts:
    """Read and split: DATA (None: the reference text), and the validation and test texts if they are given."""
    documents: Sequence[Text] = reference_documents() if sources is None else open_documents(sources, options.encoding)
    kept = documents
    notes = []
    if options.valid is None:
        kept, valid = split_tail(documents, options.valid_fraction, HELD_OUT)
        total, held_out = characters(documents), characters(valid)
        if not characters(kept) or not held_out:
            raise DataError(
                f"the text has {total} characters, too few to hold out {options.valid_fraction:.0%} "
                "for validation: give more text, or a text of its own with --valid."
            )
        if held_out < round(total * options.valid_fraction):
            notes.append(
                f"note: the last {held_out:,} characters are held out, which is less than {options.valid_fraction:.0%}: "
                "name a text with --valid to score on more."
            )
    else:
        valid = open_documents(list(options.valid), options.encoding)
    test = None if options.test is None else open_documents(list(options.test), options.encoding)
    return Texts(kept, valid, test, notes)


def scorable(part: str, documents: Sequence[Text], tokenizer: TextTokenizer) -> tuple[np.ndarray, int]:
    """The tokens and the number of characters of a part. Raises `DataError` if there is nothing to predict."""
    tokens = on_disk(tokenizer.encode_pieces(documents), len(tokenizer))
    if len(tokens) < 2:
        raise DataError(f"the {part} text holds no token: it has nothing but white space. Give a text of its own.")
    return tokens, characters(documents)
