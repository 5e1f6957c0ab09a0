"""Sentences of words as numbers: each word, and the characters of each distinct word once."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch

from elman.axes import Int, Tensor
from elman.data.vocabulary import Vocabulary, graphemes, normalise

# Of a longer word its first and its last characters are read, half of them each.
LONGEST_WORD = 64


@dataclass(frozen=True)
class WordBatch:
    """B sentences of at most T words, with U distinct words among them of at most C characters; zero where there is nothing.

    words_TB              the number of each word
    distinct_TB           which of the distinct words it is
    lengths_B             words of each sentence
    characters_CU         the numbers of the characters of each distinct word
    character_lengths_U   characters of each distinct word
    """

    words_TB: Int[Tensor, "T B"]
    distinct_TB: Int[Tensor, "T B"]
    lengths_B: Int[Tensor, "B"]
    characters_CU: Int[Tensor, "C U"]
    character_lengths_U: Int[Tensor, "U"]

    def to(self, device: torch.device | str) -> "WordBatch":
        return WordBatch(*(getattr(self, part.name).to(device) for part in fields(self)))


@dataclass(frozen=True)
class WordReader:
    """How a text's words become numbers: their Unicode form, the two vocabularies, and whether the first knows case.

    If `lower_case`, words that differ by case alone have one number; their characters differ all the same.
    """

    words: Vocabulary
    characters: Vocabulary
    normalisation: str = "nfc"
    lower_case: bool = True

    @classmethod
    def fit(
        cls,
        sentences: Iterable[Sequence[str]],
        *,
        minimum: int = 1,
        limit: int | None = None,
        character_minimum: int = 1,
        normalisation: str = "nfc",
        lower_case: bool = True,
    ) -> "WordReader":
        """Vocabularies of the words that come at least `minimum` times, at most `limit` of them, and of the characters."""
        counts = Counter(normalise(word, normalisation) for sentence in sentences for word in sentence)
        words: Counter[str] = Counter()
        characters: Counter[str] = Counter()
        for word, count in counts.items():
            words[word.lower() if lower_case else word] += count
            for character in graphemes(word):
                characters[character] += count
        return cls(
            Vocabulary.fit(words, minimum, limit),
            Vocabulary.fit(characters, character_minimum),
            normalisation,
            lower_case,
        )

    def to_dict(self) -> dict[str, Any]:
        """All of it, for JSON."""
        words, characters = self.words.to_list(), self.characters.to_list()
        rules = {"normalisation": self.normalisation, "lower_case": self.lower_case}
        return {"words": words, "characters": characters, **rules}

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> "WordReader":
        """What `to_dict` gave. Raises `KeyError`, `TypeError` or `DataError` if it isn't."""
        words, characters = (Vocabulary.from_list(stored[name]) for name in ("words", "characters"))
        return cls(words, characters, str(stored["normalisation"]), bool(stored["lower_case"]))

    def numbers(self, words: Sequence[str]) -> np.ndarray:
        """The number of each word, int64 (N,)."""
        written = [normalise(word, self.normalisation) for word in words]
        return self.words.encode([word.lower() if self.lower_case else word for word in written])

    def read(self, sentences: Sequence[Sequence[str]]) -> WordBatch:
        """The sentences as a batch, a column each, in their order; a sentence may be empty."""
        rows = [[normalise(word, self.normalisation) for word in sentence] for sentence in sentences]
        # In order of appearance: what a batch is depends on its text alone.
        distinct = {word: number for number, word in enumerate(dict.fromkeys(word for row in rows for word in row))}
        numbers = self.words.encode([word.lower() if self.lower_case else word for word in distinct])
        spelt = [self.characters.encode(_shortened(graphemes(word))) for word in distinct]
        places = [np.fromiter((distinct[word] for word in row), np.int64, len(row)) for row in rows]
        distinct_TB, lengths_B = _columns(places)
        words_TB, _ = _columns([numbers[row] for row in places])
        characters_CU, character_lengths_U = _columns(spelt)
        return WordBatch(words_TB, distinct_TB, lengths_B, characters_CU, character_lengths_U)


def _shortened(characters: tuple[str, ...]) -> tuple[str, ...]:
    if len(characters) <= LONGEST_WORD:
        return characters
    return characters[: LONGEST_WORD // 2] + characters[-LONGEST_WORD // 2 :]


def _columns(rows: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
    """Rows of numbers as the columns of an array, zero below each, and how long each is."""
    lengths = np.array([len(row) for row in rows], np.int64)
    grid = np.zeros((lengths.max(initial=0), len(rows)), np.int64)
    for column, row in enumerate(rows):
        grid[: len(row), column] = row
    return torch.from_numpy(grid), torch.from_numpy(lengths)
