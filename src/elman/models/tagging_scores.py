"""How well a tagger does: accuracy and the confusion table, F1 of entities, and what the usual tag of a word would come to."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from elman.data.tag_schemes import EntityScores, Scheme, entity_f1
from elman.errors import DataError
from elman.models.class_scores import ClassScores, macro_f1


@dataclass(frozen=True)
class TaggingScores:
    """Scores over all sentences.

    words       of each word by itself; its loss is the mean over words of -ln P(tags | sentence)
    entities    precision, recall and F1 as seqeval counts them, or None if tags mark no entities
    sentences   how many there are

    `baseline_…` are the scores of the tag that each word has most often in the training part; of a word that isn't in the
    vocabulary, of the most frequent tag of all.
    """

    words: ClassScores
    entities: EntityScores | None
    sentences: int
    baseline_accuracy: float
    baseline_entities: EntityScores | None

    @property
    def accuracy(self) -> float:
        return self.words.accuracy

    def to_dict(self) -> dict[str, float]:
        """Under the names that `--json`, `metrics.jsonl` and `config.json` use."""
        scores: dict[str, float] = {"accuracy": self.words.accuracy}
        if self.entities is not None:
            scores["entity_f1"] = self.entities.f1
            scores["entity_precision"] = self.entities.precision
            scores["entity_recall"] = self.entities.recall
        scores |= {"loss_nats": self.words.loss_nats, "tokens": self.words.examples, "examples": self.sentences}
        scores["baseline_accuracy"] = self.baseline_accuracy
        if self.baseline_entities is not None:
            scores["baseline_entity_f1"] = self.baseline_entities.f1
        return scores


def score_tags(
    gold: Sequence[np.ndarray],
    predicted: Sequence[np.ndarray],
    usual: Sequence[np.ndarray],
    loss_nats: float,
    labels: Sequence[str],
    scheme: Scheme,
) -> TaggingScores:
    """Scores of predicted tags, and of the usual ones, against those that are right: numbers of labels, a row a sentence.

    Raises `DataError` if there is nothing to score.
    """
    count = sum(map(len, gold))
    if not count:
        raise DataError("there is nothing to score: give at least one sentence with tags.")
    gold_N, predicted_N, usual_N = (np.concatenate(rows) for rows in (gold, predicted, usual))
    confusion = np.zeros((len(labels), len(labels)), dtype=np.int64)
    np.add.at(confusion, (gold_N, predicted_N), 1)

    def entities(rows: Sequence[np.ndarray]) -> EntityScores | None:
        if scheme == "plain":
            return None
        return entity_f1(*([[labels[number] for number in row] for row in tags] for tags in (gold, rows)))

    return TaggingScores(
        words=ClassScores(
            accuracy=float((gold_N == predicted_N).mean()),
            macro_f1=macro_f1(confusion),
            loss_nats=loss_nats,
            examples=count,
            confusion=confusion,
            labels=tuple(labels),
        ),
        entities=entities(predicted),
        sentences=len(gold),
        baseline_accuracy=float((gold_N == usual_N).mean()),
        baseline_entities=entities(usual),
    )


def usual_tags(words_N: np.ndarray, tags_N: np.ndarray, size: int, unknown: int) -> np.ndarray:
    """The most frequent tag of each of `size` words, int64; of the word `unknown`, and of words that aren't there, of all.

    Of tags equally frequent the first is taken.
    """
    usual = np.full(size, np.bincount(tags_N).argmax(), np.int64)
    pairs = Counter(zip(words_N.tolist(), tags_N.tolist(), strict=True))
    # In order of rising frequency: what comes last stands.
    for (word, tag), _ in sorted(pairs.items(), key=lambda pair: (pair[1], -pair[0][1])):
        if word != unknown:
            usual[word] = tag
    return usual
