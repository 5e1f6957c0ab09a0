"""Vocabularies of what is cut into pieces already, words or characters: each a number, and what wasn't there UNKNOWN."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from tokenizers import Regex, normalizers, pre_tokenizers

from elman.data.example_tokens import CLUSTER, NORMALISATIONS
from elman.errors import DataError, OptionError, choices

PADDING_ID, UNKNOWN_ID = 0, 1
# White space at their ends, so that no word or character of a text can be mistaken for them.
PADDING, UNKNOWN = "<padding> ", "<unknown> "

_CLUSTERS = pre_tokenizers.Split(Regex(CLUSTER), "isolated")
_NORMALISERS = {"nfc": normalizers.NFC(), "nfkc": normalizers.NFKC()}


@dataclass(frozen=True)
class Vocabulary:
    """Tokens by number and numbers by token; the first two are PADDING and UNKNOWN.

    Raises `DataError` if a token comes twice, or the first two are others.
    """

    tokens: tuple[str, ...]
    index: Mapping[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.tokens[:2] != (PADDING, UNKNOWN):
            raise DataError(f"a vocabulary begins with {PADDING!r} and {UNKNOWN!r}.")
        index = {token: number for number, token in enumerate(self.tokens)}
        if len(index) < len(self.tokens):
            twice, _ = Counter(self.tokens).most_common(1)[0]
            raise DataError(f"the vocabulary has {twice!r} more than once.")
        object.__setattr__(self, "index", index)

    @classmethod
    def fit(cls, tokens: Iterable[str] | Mapping[str, int], minimum: int = 1, limit: int | None = None) -> "Vocabulary":
        """The tokens, or counts of them, that come at least `minimum` times; at most the `limit` most frequent."""
        counts = tokens if isinstance(tokens, Mapping) else Counter(tokens)
        kept = (token for token, count in counts.items() if count >= minimum)
        # Of tokens equally frequent the alphabet decides, so that the same counts always give the same numbers.
        return cls((PADDING, UNKNOWN, *sorted(kept, key=lambda token: (-counts[token], token))[:limit]))

    def __len__(self) -> int:
        return len(self.tokens)

    def encode(self, tokens: Sequence[str]) -> np.ndarray:
        """The number of each token, int64 (N,); UNKNOWN_ID for one that isn't there."""
        return np.fromiter((self.index.get(token, UNKNOWN_ID) for token in tokens), np.int64, len(tokens))

    def to_list(self) -> list[str]:
        """The tokens, without those that every vocabulary has, for JSON."""
        return list(self.tokens[2:])

    @classmethod
    def from_list(cls, tokens: Any) -> "Vocabulary":
        """What `to_list` gave. Raises `DataError` if it isn't a list of different texts."""
        if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
            raise DataError("a vocabulary must be a list of texts.")
        return cls((PADDING, UNKNOWN, *tokens))


def check_normalisation(name: str) -> None:
    """Raise `OptionError` if there is no such normalisation."""
    if name not in NORMALISATIONS:
        raise OptionError(f"normalisation={name!r} is not known: {choices(name, *NORMALISATIONS)}")


def normalise(text: str, normalisation: str) -> str:
    """`text` in a Unicode normal form (Unicode Standard Annex 15), or as it is for "none"."""
    if normalisation == "none" or text.isascii():
        return text
    return str(_NORMALISERS[normalisation].normalize_str(text))


@lru_cache(maxsize=1 << 16)
def graphemes(text: str) -> tuple[str, ...]:
    """What a reader calls characters, extended grapheme clusters (Unicode Standard Annex 29): a letter with its marks, a
    syllable, a flag, a family of emoji are one each."""
    if text.isascii() and "\r" not in text:
        return tuple(text)
    return tuple(piece for piece, _ in _CLUSTERS.pre_tokenize_str(text))
