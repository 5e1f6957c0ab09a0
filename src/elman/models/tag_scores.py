"""How well a tagger does: accuracy, F1 of entities, and what the most frequent tag of each word would come to."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from elman.data.examples import Sentence
from elman.data.tag_schemes import Scheme, entity_f1
from elman.errors import DataError
from elman.models.parts import most_frequent


@dataclass(frozen=True)
class UsualTags:
    """The trivial tagger: the tag that a word had most often in the training part, and for a word that wasn't there the most
    frequent tag of all. `words` has those alone whose tag is another than `most`.
    """

    most: str
    words: dict[str, str]

    @classmethod
    def fit(cls, sentences: Iterable[Sentence]) -> "UsualTags":
        """Count the tags of each word."""
        counts: dict[str, Counter[str]] = {}
        for sentence in sentences:
            for word, tag in zip(sentence.words, sentence.tags or (), strict=True):
                counts.setdefault(word, Counter())[tag] += 1
        most = most_frequent(tag for tags in counts.values() for tag in tags.elements())
        usual = {word: most_frequent(tags.elements()) for word, tags in counts.items()}
        return cls(most, {word: tag for word, tag in usual.items() if tag != most})

    def tag(self, sentences: Iterable[Sequence[str]]) -> list[tuple[str, ...]]:
        """The usual tag of each word."""
        return [tuple(self.words.get(word, self.most) for word in sentence) for sentence in sentences]


@dataclass(frozen=True)
class TagScores:
    """Scores over all words.

    accuracy      the share of words whose tag is right           tokens       how many words there are
    loss_nats     mean over words of -ln P(tags)                  sentences    how many sentences
    entities      precision, recall and F1 of entities as seqeval counts them; None where tags are no spans
    baseline      accuracy of `UsualTags`, and its F1
    """

    accuracy: float
    loss_nats: float
    tokens: int
    sentences: int
    entities: tuple[float, float, float] | None
    baseline: tuple[float, float | None]

    def to_dict(self) -> dict[str, float]:
        """Under the names that `--json`, `metrics.jsonl` and `config.json` use."""
        spans: dict[str, float] = {}
        if self.entities is not None and self.baseline[1] is not None:
            precision, recall, f1 = self.entities
            spans = {
                "entity_f1": f1,
                "baseline_entity_f1": self.baseline[1],
                "entity_precision": precision,
                "entity_recall": recall,
            }
        return {
            **spans,
            "accuracy": self.accuracy,
            "baseline_accuracy": self.baseline[0],
            "loss_nats": self.loss_nats,
            "tokens": self.tokens,
            "sentences": self.sentences,
        }


def score_tags(
    sentences: Sequence[Sentence],
    found: Sequence[Sequence[str]],
    loss_nats: float,
    scheme: Scheme,
    usual: Sequence[Sequence[str]],
) -> TagScores:
    """Scores of tags that were found; `loss_nats` is the sum over words. Raises `DataError` if there is nothing to score."""
    gold = [sentence.tags or () for sentence in sentences]
    tokens = sum(map(len, gold))
    if not tokens:
        raise DataError("there is nothing to score: give at least one tagged sentence.")
    entities, usual_f1 = None, None
    if scheme != "plain":
        scores = entity_f1(gold, found)
        entities, usual_f1 = (scores.precision, scores.recall, scores.f1), entity_f1(gold, usual).f1
    return TagScores(
        _accuracy(gold, found, tokens),
        loss_nats / tokens,
        tokens,
        len(sentences),
        entities,
        (_accuracy(gold, usual, tokens), usual_f1),
    )


def _accuracy(gold: Sequence[Sequence[str]], found: Sequence[Sequence[str]], tokens: int) -> float:
    pairs = zip(gold, found, strict=True)
    return sum(a == b for true, said in pairs for a, b in zip(true, said, strict=True)) / tokens
