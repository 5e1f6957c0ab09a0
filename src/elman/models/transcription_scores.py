"""How good transcriptions are: the rates of wrong characters and words, and the share of texts without an error."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from elman.data.vocabulary import graphemes
from elman.errors import DataError


@dataclass(frozen=True)
class TranscriptionScores:
    """Scores over all clips, of texts with one space between words.

    cer         characters that must be put in, left out or changed, over those of the right texts
    wer         the same of words
    exact       the share of texts without an error
    loss_nats   mean of -ln P(text), over the units of the right texts
    units       how many of these there are            examples   how many clips

    `baseline_…` are the scores of the most frequent text of the training part, said always.
    """

    cer: float
    wer: float
    exact: float
    loss_nats: float
    units: int
    examples: int
    baseline_cer: float
    baseline_wer: float
    baseline_exact: float

    def to_dict(self) -> dict[str, float]:
        """Under the names that `--json`, `metrics.jsonl` and `config.json` use."""
        return asdict(self)


def score_texts(
    found: Sequence[str], right: Sequence[str], loss_nats: float, units: int, usual: str
) -> TranscriptionScores:
    """Scores of texts that were found; `loss_nats` is the sum. Raises `DataError` if there is nothing to score."""
    if not right:
        raise DataError("there is nothing to score: give at least one sound with its text.")
    return TranscriptionScores(
        *_compared(found, right), loss_nats / units, units, len(right), *_compared([usual] * len(right), right)
    )


def _compared(found: Sequence[str], right: Sequence[str]) -> tuple[float, float, float]:
    pairs = list(zip(found, right, strict=True))
    exact = sum(said == true for said, true in pairs) / len(pairs)
    rates = []
    for split in (graphemes, str.split):
        errors = sum(edit_distance(split(said), split(true)) for said, true in pairs)
        rates.append(errors / max(sum(len(split(true)) for true in right), 1))
    return rates[0], rates[1], exact


def edit_distance(found: Sequence[str], right: Sequence[str]) -> int:
    """The fewest units that must be put in, left out or changed to make one of the other (Levenshtein, 1966)."""
    numbers = {unit: number for number, unit in enumerate({*found, *right})}
    right_N = np.array([numbers[unit] for unit in right], dtype=np.int64)
    steps_N = np.arange(len(right) + 1)
    row_N = steps_N.copy()
    for count, unit in enumerate(found, 1):
        changed_N = np.concatenate([[count], np.minimum(row_N[1:] + 1, row_N[:-1] + (right_N != numbers[unit]))])
        # What is put in after any place before: a running minimum.
        row_N = np.minimum.accumulate(changed_N - steps_N) + steps_N
    return int(row_N[-1])
