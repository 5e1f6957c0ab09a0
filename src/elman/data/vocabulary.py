"""Vocabularies: words, characters and labels as numbers, and what a character is.

An *open* vocabulary stands for texts that are yet to come: its first two tokens are PADDING and UNKNOWN, which no text can
hold. A *closed* one, of labels, has neither: a label that isn't in it is an error.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from tokenizers import Regex, pre_tokenizers

from elman.errors import DataError, OptionError, choices

# White space at their ends, so that no word or character of a text can be mistaken for them.
PADDING, UNKNOWN = "<padding> ", "<unknown> "
UNKNOWN_ID = 1
NORMALISATIONS = ("none", "nfc", "nfkc")

# Unicode's extended grapheme clusters (UAX 29).
_CLUSTERS = pre_tokenizers.Split(Regex(r"\X"), "isolated")


@dataclass(frozen=True)
class Vocabulary:
    """Tokens by number and numbers by token. Raises `DataError` if a token comes twice, or an open one lacks its first two."""

    tokens: tuple[str, ...]
    closed: bool = False
    index: Mapping[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        index = {token: number for number, token in enumerate(self.tokens)}
        if len(index) < len(self.tokens):
            twice = next(token for token, count in Counter(self.tokens).items() if count > 1)
            raise DataError(f"the vocabulary has {twice!r} more than once.")
        if not self.closed and self.tokens[:2] != (PADDING, UNKNOWN):
            raise DataError(f"a vocabulary for open text begins with {PADDING!r} and {UNKNOWN!r}.")
        object.__setattr__(self, "index", index)

    @classmethod
    def fit(
        cls,
        tokens: Iterable[str] | Mapping[str, int],
        minimum: int = 1,
        limit: int | None = None,
        *,
        closed: bool = False,
    ) -> "Vocabulary":
        """The tokens, or counts of them, that come at least `minimum` times; at most the `limit` most frequent.

        An open vocabulary is in order of falling frequency, the alphabet deciding between equals; a closed one in that of
        the alphabet. So the same counts always give the same numbers.
        """
        counts = tokens if isinstance(tokens, Mapping) else Counter(tokens)
        kept = sorted(
            (token for token, count in counts.items() if count >= minimum), key=lambda token: (-counts[token], token)
        )[:limit]
        return cls(tuple(sorted(kept)), closed=True) if closed else cls((PADDING, UNKNOWN, *kept))

    def __len__(self) -> int:
        return len(self.tokens)

    def encode(self, tokens: Sequence[str]) -> np.ndarray:
        """The number of each token, int64 (N,): UNKNOWN_ID for what isn't there. A closed one raises `DataError`."""
        if self.closed:
            unknown = next((token for token in tokens if token not in self.index), None)
            if unknown is not None:
                raise DataError(f"the label {unknown!r} is not known: {choices(unknown, *self.tokens)}")
        return np.fromiter((self.index.get(token, UNKNOWN_ID) for token in tokens), np.int64, len(tokens))

    def to_list(self) -> list[str]:
        """The tokens without those that every open vocabulary has, for JSON."""
        return list(self.tokens if self.closed else self.tokens[2:])

    @classmethod
    def from_list(cls, tokens: Any, *, closed: bool = False) -> "Vocabulary":
        """What `to_list` gave. Raises `DataError` if it isn't a list of different texts."""
        if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
            raise DataError("a vocabulary must be a list of texts.")
        return cls(tuple(tokens), closed=True) if closed else cls((PADDING, UNKNOWN, *tokens))


def normalise(text: str, normalisation: str) -> str:
    """`text` in a Unicode normal form (UAX 15), or as it is for "none". Raises `OptionError` for another name."""
    if normalisation not in NORMALISATIONS:
        raise OptionError(f"normalisation={normalisation!r} is not known: {choices(normalisation, *NORMALISATIONS)}")
    if normalisation == "none" or text.isascii():
        return text
    return unicodedata.normalize("NFC" if normalisation == "nfc" else "NFKC", text)


@lru_cache(maxsize=1 << 16)
def graphemes(text: str) -> tuple[str, ...]:
    """What a reader calls characters: a letter with its marks, a syllable, a flag, a family of emoji are one each."""
    if text.isascii() and "\r" not in text:
        return tuple(text)
    return tuple(piece for piece, _ in _CLUSTERS.pre_tokenize_str(text))
