"""Sentences of two languages as token numbers, and back to text: what a translator reads and writes.

Both languages have one vocabulary, of subwords or bytes, so that names and numbers are the same on both sides. A sentence is
read with a space in front: to subwords its first word is then as any other. What is written is text as people write it,
since the tokens hold all white space and punctuation.

START is what stands before a target and what ends it: END is the same token (as `</s>` in fairseq).
"""

from collections.abc import Iterable, Sequence

import numpy as np
import torch

from elman.axes import Int, Tensor
from elman.data.example_tokens import fit_examples
from elman.data.tokenizer import START_ID, TextTokenizer
from elman.errors import OptionError

END_ID = START_ID
# How END is shown on the axis of a picture.
END = "<end>"
# Kinds whose tokens put together are the text again.
KINDS = ("bpe", "byte")


def fit_sentences(
    kind: str,
    sentences: Iterable[str],
    *,
    vocabulary: int | None = None,
    normalisation: str = "nfc",
    lowercase: bool = False,
) -> TextTokenizer:
    """A tokenizer for both languages, fitted on sentences of both. Raises `OptionError` for a kind that can't be put together
    again, and for what `fit_examples` does.
    """
    if kind not in KINDS:
        raise OptionError(
            f"tokenizer={kind!r}: a translation is put together from its tokens, so they must hold all of a text: choose "
            f"from {', '.join(KINDS)}."
        )
    return fit_examples(
        kind, [f" {s}" for s in sentences], vocabulary=vocabulary, normalisation=normalisation, lowercase=lowercase
    )


def read_sentences(tokenizer: TextTokenizer, sentences: Iterable[str]) -> list[np.ndarray]:
    """The token numbers of each sentence, int32. Raises `DataError` for what is no Unicode text."""
    return tokenizer.encode_each([f" {sentence}" for sentence in sentences])


def write_sentence(tokenizer: TextTokenizer, numbers: Sequence[int]) -> str:
    """The text of token numbers: what `read_sentences` read, but for normalisation."""
    return tokenizer.decode(numbers).removeprefix(" ")


def side_by_side(
    rows: Sequence[np.ndarray], device: torch.device | None = None
) -> tuple[Int[Tensor, "T B"], Int[Tensor, "B"]]:
    """Token numbers of B sentences in the columns of one array, and their lengths; padding is START."""
    lengths = [len(row) for row in rows]
    columns = np.full((max(lengths, default=0), len(rows)), START_ID, np.int64)
    for place, row in enumerate(rows):
        columns[: len(row), place] = row
    return torch.from_numpy(columns).to(device), torch.tensor(lengths, dtype=torch.int64, device=device)


def with_boundaries(
    target_TB: Int[Tensor, "T B"], lengths_B: Int[Tensor, "B"]
) -> tuple[Int[Tensor, "T+1 B"], Int[Tensor, "T+1 B"]]:
    """What the decoder reads, START and the target, and what it is to say, the target and END."""
    boundary_1B = target_TB.new_full((1, len(lengths_B)), START_ID)
    begin_TB = torch.cat([boundary_1B, target_TB])
    wanted_TB = torch.cat([target_TB, boundary_1B]).scatter(0, lengths_B.unsqueeze(0), END_ID)
    return begin_TB, wanted_TB
