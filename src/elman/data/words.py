"""Sentences of words as numbers: each word, and the characters of each distinct word once."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch

from elman.axes import Int, Tensor
from elman.data.vocabulary import UNKNOWN_ID, Vocabulary, check_normalisation, graphemes, normalise

# Of a longer word its first and its last characters are read, half of them each.
LONGEST_WORD = 64


@dataclass(frozen=True)
class WordBatch:
    """B sentences of at most T words, with U distinct words among them of at most C characters; 0 where there is nothing.

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
    """How words become numbers: the vocabularies of words and of characters, and what is done to a word first.

    Words that differ by case alone have one number: their characters tell them apart, unless `lowercase`, which makes all
    letters small ones. Raises `OptionError` for a `normalisation` that isn't one of none, nfc and nfkc.
    """

    words: Vocabulary
    characters: Vocabulary
    normalisation: str = "nfc"
    lowercase: bool = False

    def __post_init__(self) -> None:
        check_normalisation(self.normalisation)

    @classmethod
    def fit(
        cls,
        sentences: Iterable[Sequence[str]],
        *,
        minimum: int = 1,
        limit: int | None = None,
        normalisation: str = "nfc",
        lowercase: bool = False,
    ) -> "WordReader":
        """Vocabularies of the words that come at least `minimum` times, at most `limit` of them, and of the characters.

        A character that comes once is left out, so that training meets what it doesn't know.
        """
        check_normalisation(normalisation)
        words: Counter[str] = Counter()
        characters: Counter[str] = Counter()
        for word, count in Counter(word for sentence in sentences for word in sentence).items():
            written = _written(word, normalisation, lowercase)
            words[written.lower()] += count
            for character in graphemes(written):
                characters[character] += count
        return cls(Vocabulary.fit(words, minimum, limit), Vocabulary.fit(characters, 2), normalisation, lowercase)

    def read(self, sentences: Sequence[Sequence[str]]) -> WordBatch:
        """The sentences as a batch, a column each, in their order; a sentence may be empty."""
        rows = [[_written(word, self.normalisation, self.lowercase) for word in sentence] for sentence in sentences]
        # In order of appearance: what a batch is depends on its text alone.
        distinct = {word: number for number, word in enumerate(dict.fromkeys(word for row in rows for word in row))}
        places = [np.fromiter((distinct[word] for word in row), np.int64, len(row)) for row in rows]
        numbers_U = self.words.encode([word.lower() for word in distinct])
        distinct_TB, lengths_B = side_by_side(places)
        words_TB, _ = side_by_side([numbers_U[row] for row in places])
        spelt = side_by_side([self.characters.encode(_shortened(graphemes(word))) for word in distinct])
        return WordBatch(words_TB, distinct_TB, lengths_B, *spelt)

    def numbers(self, words: Sequence[str]) -> np.ndarray:
        """The number of each word, int64 (N,)."""
        return self.words.encode([_written(word, self.normalisation, self.lowercase).lower() for word in words])

    def knows(self, word: str) -> bool:
        """Whether the vocabulary has the word."""
        return bool(self.numbers([word])[0] != UNKNOWN_ID)


def side_by_side(rows: Sequence[np.ndarray]) -> tuple[Int[Tensor, "T B"], Int[Tensor, "B"]]:
    """Rows of numbers as the columns of an array, 0 below each, and how long each is."""
    lengths = np.array([len(row) for row in rows], np.int64)
    columns = np.zeros((lengths.max(initial=0), len(rows)), np.int64)
    for place, row in enumerate(rows):
        columns[: len(row), place] = row
    return torch.from_numpy(columns), torch.from_numpy(lengths)


def _written(word: str, normalisation: str, lowercase: bool) -> str:
    written = normalise(word, normalisation)
    return written.lower() if lowercase else written


def _shortened(characters: tuple[str, ...]) -> tuple[str, ...]:
    half = LONGEST_WORD // 2
    return characters if len(characters) <= LONGEST_WORD else characters[:half] + characters[-half:]
