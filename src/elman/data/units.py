"""What a transcriber writes: characters or words by number. Number 0 is the blank, which stands for nothing written.

char   what a reader calls a character (an extended grapheme cluster), the space among them
word   what stands between spaces
auto   words where there are few of them that come often (commands, spoken digits), else characters
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from elman.data.vocabulary import Vocabulary, graphemes, normalise
from elman.errors import DataError, OptionError, choices

BLANK = 0
KINDS = ("char", "word")
# Words are units if there are at most so many, each so often on average, and more than one a text.
_FEW, _OFTEN = 100, 20


@dataclass(frozen=True)
class Units:
    """The units of texts, from number 1 on. `normalisation` and `lowercase` say how texts are read first."""

    kind: str
    units: Vocabulary
    normalisation: str = "nfc"
    lowercase: bool = False
    _known: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise OptionError(f"tokenizer={self.kind!r} is not known: {choices(self.kind, *KINDS)}")
        object.__setattr__(self, "_known", frozenset(self.units.tokens))

    @classmethod
    def fit(cls, kind: str, texts: Sequence[str], *, normalisation: str = "nfc", lowercase: bool = False) -> "Units":
        """All units of these texts. Raises `OptionError` for a kind that isn't known, `DataError` if there is none."""
        read = [_read(text, normalisation, lowercase) for text in texts]
        kind = _suited(read) if kind == "auto" else kind
        found = cls(kind, Vocabulary((), closed=True), normalisation, lowercase)
        units = Vocabulary.fit((unit for text in read for unit in found.split(text)), closed=True)
        if not len(units):
            raise DataError("the texts have no characters: is --text the right column?")
        return cls(kind, units, normalisation, lowercase)

    def __len__(self) -> int:
        """How many numbers there are, the blank among them."""
        return len(self.units) + 1

    def read(self, text: str) -> str:
        """A text as it is compared and written: normalised, one space between words."""
        return _read(text, self.normalisation, self.lowercase)

    def split(self, text: str) -> Sequence[str]:
        """The units of a text."""
        read = self.read(text)
        return graphemes(read) if self.kind == "char" else read.split()

    def unknown(self, text: str) -> list[str]:
        """The units of a text that aren't known, each once."""
        return [unit for unit in dict.fromkeys(self.split(text)) if unit not in self._known]

    def encode(self, text: str) -> np.ndarray:
        """The numbers of a text's units, int64 (N,). Raises `DataError` for one that isn't known."""
        if unknown := self.unknown(text):
            raise DataError(f"the text {text!r} has {unknown[0]!r}, which the transcriber doesn't know.")
        return self.units.encode(self.split(text)) + 1

    def decode(self, numbers: Iterable[int]) -> str:
        """The text of numbers, none of them the blank."""
        return ("" if self.kind == "char" else " ").join(self.units.tokens[number - 1] for number in numbers)

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds them."""
        return {
            "kind": self.kind,
            "units": self.units.to_list(),
            "normalisation": self.normalisation,
            "lowercase": self.lowercase,
        }

    @classmethod
    def from_dict(cls, stored: Any) -> "Units":
        """What `to_dict` gave. Raises `DataError` or `OptionError` for what it can't have given."""
        if not isinstance(stored, dict) or not isinstance(stored.get("lowercase"), bool):
            raise DataError("units must be a mapping of kind, units, normalisation and lowercase.")
        units = Vocabulary.from_list(stored.get("units"), closed=True)
        return cls(str(stored.get("kind")), units, str(stored.get("normalisation")), stored["lowercase"])


def _read(text: str, normalisation: str, lowercase: bool) -> str:
    text = " ".join(normalise(text, normalisation).split())
    return text.lower() if lowercase else text


def _suited(texts: Sequence[str]) -> str:
    counts = Counter(word for text in texts for word in text.split())
    words = sum(counts.values())
    few = len(counts) <= _FEW and words >= _OFTEN * len(counts)
    return "word" if few and words > len(texts) else "char"
