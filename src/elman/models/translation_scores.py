"""How good translations are: BLEU, chrF, and how many equal the reference. By sacrebleu, which the extra `translate` brings."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from elman.errors import DataError, OptionError


@dataclass(frozen=True)
class TranslationScores:
    """Scores over all pairs; texts are compared as they are, cased and detokenised.

    bleu       of the corpus, 0 to 100: sacrebleu's defaults, signature `case:mixed|tok:13a|smooth:exp` (Papineni et al.,
               ACL 2002; Post, WMT 2018)
    chrf       of the corpus, 0 to 100: sacrebleu's chrF2 (Popović, WMT 2015)
    exact      the share of translations that equal the reference
    loss_nats  mean of -ln P over the tokens of the references, END among them
    tokens     how many of these there are
    examples   how many pairs there are

    `baseline_…` are the scores of the source itself, copied.
    """

    bleu: float
    chrf: float
    exact: float
    loss_nats: float
    tokens: int
    examples: int
    baseline_bleu: float
    baseline_chrf: float
    baseline_exact: float

    def to_dict(self) -> dict[str, float]:
        """Under the names that `--json`, `metrics.jsonl` and `config.json` use."""
        return asdict(self)


def score_translations(
    texts: Sequence[str], sources: Sequence[str], references: Sequence[str], loss_nats: float, tokens: int
) -> TranslationScores:
    """Scores of translations. Raises `DataError` if there are none, `OptionError` if sacrebleu isn't installed."""
    if not texts:
        raise DataError("there is nothing to score: give at least one text with its translation.")
    bleu, chrf, exact = _compared(texts, references)
    return TranslationScores(bleu, chrf, exact, loss_nats, tokens, len(texts), *_compared(sources, references))


def _compared(texts: Sequence[str], references: Sequence[str]) -> tuple[float, float, float]:
    sacrebleu = scorer()
    exact = sum(text == reference for text, reference in zip(texts, references, strict=True)) / len(texts)
    # Quiet where texts look tokenised: they are scored as they are.
    bleu = sacrebleu.corpus_bleu(list(texts), [list(references)], force=True)
    return bleu.score, sacrebleu.corpus_chrf(list(texts), [list(references)]).score, exact


def scorer() -> Any:
    """The library sacrebleu. Raises `OptionError`, with what to install, if it isn't there."""
    try:
        import sacrebleu  # noqa: PLC0415
    except ImportError as error:
        raise OptionError(
            "translations are scored by sacrebleu, which isn't installed: pip install 'elman[translate]'."
        ) from error
    return sacrebleu
