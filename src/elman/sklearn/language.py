"""Estimators of texts: a classifier, and a tagger of words."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin  # type: ignore[import-untyped]
from sklearn.utils import assert_all_finite  # type: ignore[import-untyped]
from sklearn.utils.multiclass import check_classification_targets  # type: ignore[import-untyped]
from sklearn.utils.validation import check_is_fitted, column_or_1d  # type: ignore[import-untyped]

from elman.data.examples import Example, Sentence
from elman.data.tag_schemes import entity_f1
from elman.errors import OptionError, ShapeError
from elman.sklearn.base import SequenceEstimator


class SequenceClassifier(ClassifierMixin, SequenceEstimator):
    """Classifies texts, read word by word or character by character by a recurrent network (`elman.models.classification`).

    Fitted attributes: `classes_`, in order; `model_`, an `elman.models.classification.ClassificationModel`; `n_steps_`.
    Raises `OptionError` for parameters that make no sense, `ShapeError` for X that aren't texts, `DataError` for too few.
    """

    _task = "classify"

    def __init__(
        self,
        *,
        cell: str = "lstm",
        hidden: int | None = None,
        layers: int | None = None,
        embedding: int | None = None,
        dropout: float | None = None,
        bidirectional: bool | None = None,
        pooling: str | None = None,
        tokenizer: str | None = None,
        vocabulary: int | None = None,
        minimum_count: int | None = None,
        normalisation: str | None = None,
        lowercase: bool | None = None,
        cell_options: dict[str, Any] | None = None,
        layer_options: dict[str, Any] | None = None,
        minutes: float | None = None,
        epochs: float | None = None,
        steps: int | None = None,
        batch_tokens: int | None = None,
        lr: float | None = None,
        weight_decay: float | None = None,
        averaging: float | None = None,
        smoothing: float | None = None,
        word_dropout: float | None = None,
        rare_dropout: float | None = None,
        valid_fraction: float | None = None,
        patience: int | None = None,
        device: str = "cpu",
        engine: str = "auto",
        random_state: int | np.random.RandomState | None = 0,
        verbose: bool = False,
    ) -> None:
        self.cell = cell
        self.hidden = hidden
        self.layers = layers
        self.embedding = embedding
        self.dropout = dropout
        self.bidirectional = bidirectional
        self.pooling = pooling
        self.tokenizer = tokenizer
        self.vocabulary = vocabulary
        self.minimum_count = minimum_count
        self.normalisation = normalisation
        self.lowercase = lowercase
        self.cell_options = cell_options
        self.layer_options = layer_options
        self.minutes = minutes
        self.epochs = epochs
        self.steps = steps
        self.batch_tokens = batch_tokens
        self.lr = lr
        self.weight_decay = weight_decay
        self.averaging = averaging
        self.smoothing = smoothing
        self.word_dropout = word_dropout
        self.rare_dropout = rare_dropout
        self.valid_fraction = valid_fraction
        self.patience = patience
        self.device = device
        self.engine = engine
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Sequence[str], y: Sequence[Any]) -> "SequenceClassifier":
        """Train on texts and a label each."""
        _check_given(y)
        texts, labels = _texts(X), column_or_1d(y, warn=True)
        _check_lengths(len(texts), len(labels))
        assert_all_finite(labels, input_name="y")
        check_classification_targets(labels)
        classes, places = np.unique(labels, return_inverse=True)
        if len(classes) < 2:
            raise OptionError("y has one class only: there is nothing to classify. Give texts of two classes or more.")
        # Any kind of label goes by its place, so that numbers and texts come back as what they were.
        examples = [
            Example(text, str(place), f"X[{n}]") for n, (text, place) in enumerate(zip(texts, places, strict=True))
        ]
        self.model_, self.n_steps_, _ = self._train(examples)
        self.classes_ = classes
        return self

    def predict_proba(self, X: Sequence[str]) -> np.ndarray:
        """P(class) of each text (N, V), in the order of `classes_`."""
        check_is_fitted(self)
        found_NV = np.exp(self.model_.log_probabilities(self.model_.tokenizer.encode_each(_texts(X))))
        # The model's labels are places as texts, "10" before "2".
        return found_NV[:, np.argsort([int(label) for label in self.model_.labels])]

    def predict(self, X: Sequence[str]) -> np.ndarray:
        """The likeliest class of each text (N,)."""
        best_N = self.predict_proba(X).argmax(1)
        return self.classes_[best_N]


class SequenceTagger(SequenceEstimator):
    """Tags the words of sentences by a recurrent network over words and their characters (`elman.models.tagging`).

    Fitted attributes: `classes_`, the tags; `scheme_`, how they stand for spans; `model_`; `n_steps_`. `score` is the F1 of
    entities where tags are of spans, else the share of words that are right. Raises as `SequenceClassifier` does.
    """

    _task = "tag"

    def __init__(
        self,
        *,
        cell: str = "lstm",
        hidden: int | None = None,
        layers: int | None = None,
        embedding: int | None = None,
        character_embedding: int | None = None,
        character_hidden: int | None = None,
        dropout: float | None = None,
        bidirectional: bool | None = None,
        output: str | None = None,
        vocabulary: int | None = None,
        minimum_count: int | None = None,
        normalisation: str | None = None,
        lowercase: bool | None = None,
        cell_options: dict[str, Any] | None = None,
        layer_options: dict[str, Any] | None = None,
        minutes: float | None = None,
        epochs: float | None = None,
        steps: int | None = None,
        batch_tokens: int | None = None,
        lr: float | None = None,
        weight_decay: float | None = None,
        averaging: float | None = None,
        word_dropout: float | None = None,
        rare_dropout: float | None = None,
        valid_fraction: float | None = None,
        patience: int | None = None,
        strict: bool | None = None,
        device: str = "cpu",
        engine: str = "auto",
        random_state: int | np.random.RandomState | None = 0,
        verbose: bool = False,
    ) -> None:
        self.cell = cell
        self.hidden = hidden
        self.layers = layers
        self.embedding = embedding
        self.character_embedding = character_embedding
        self.character_hidden = character_hidden
        self.dropout = dropout
        self.bidirectional = bidirectional
        self.output = output
        self.vocabulary = vocabulary
        self.minimum_count = minimum_count
        self.normalisation = normalisation
        self.lowercase = lowercase
        self.cell_options = cell_options
        self.layer_options = layer_options
        self.minutes = minutes
        self.epochs = epochs
        self.steps = steps
        self.batch_tokens = batch_tokens
        self.lr = lr
        self.weight_decay = weight_decay
        self.averaging = averaging
        self.word_dropout = word_dropout
        self.rare_dropout = rare_dropout
        self.valid_fraction = valid_fraction
        self.patience = patience
        self.strict = strict
        self.device = device
        self.engine = engine
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Sequence[Sequence[str]], y: Sequence[Sequence[str]]) -> "SequenceTagger":
        """Train on sentences and a tag for each of their words.

        Sentences whose tags break the scheme of the others are left out with a warning; `strict` stops at the first.
        """
        sentences = [sentence for sentence in _sentences(X, y) if sentence.words]
        self.model_, self.n_steps_, _ = self._train(sentences)
        self.classes_ = np.array(self.model_.labels.tokens)
        self.scheme_ = self.model_.scheme
        return self

    def predict(self, X: Sequence[Sequence[str]]) -> list[list[str]]:
        """The tags of each sentence's words: the likeliest of the whole sentence together, if `output` is "crf"."""
        check_is_fitted(self)
        return [list(found.tags) for found in self.model_.tag(_words(X))]

    def predict_proba(self, X: Sequence[Sequence[str]]) -> list[np.ndarray]:
        """P(tag) of each word of each sentence (T, V), in the order of `classes_`."""
        check_is_fitted(self)
        return self.model_.probabilities(_words(X))

    def score(self, X: Sequence[Sequence[str]], y: Sequence[Sequence[str]]) -> float:
        """F1 of entities, or accuracy where tags are of no spans. A tag that training hadn't is one that wasn't found."""
        check_is_fitted(self)
        true, found = [sentence.tags or () for sentence in _sentences(X, y)], self.predict(X)
        if self.scheme_ != "plain":
            return entity_f1(true, found).f1
        right = [
            tag == said
            for tags, answer in zip(true, found, strict=True)
            for tag, said in zip(tags, answer, strict=True)
        ]
        if not right:
            raise ShapeError("X has no words, so there is nothing to score.")
        return sum(right) / len(right)


def _texts(X: Any) -> list[str]:
    """X as a list of texts. Raises `ShapeError` for anything else."""
    values = _listed(X, "texts: a list or a column of str")
    for number, value in enumerate(values):
        if not isinstance(value, str):
            raise ShapeError(f"X must be texts, but X[{number}] is of the type {type(value).__name__}.")
    return [str(value) for value in values]


def _words(X: Any) -> list[tuple[str, ...]]:
    """X as sentences. Raises `ShapeError` for anything else."""
    return [_strings(words, f"X[{number}]", "words") for number, words in enumerate(_listed(X, "sentences"))]


def _sentences(X: Any, y: Any) -> list[Sentence]:
    """Sentences with their tags. Raises `ShapeError` for one whose words and tags are not equally many."""
    _check_given(y)
    sentences, answers = _words(X), _listed(y, "lists of tags", "y")
    _check_lengths(len(sentences), len(answers))
    found = []
    for number, (words, answer) in enumerate(zip(sentences, answers, strict=True)):
        tags = _strings(answer, f"y[{number}]", "tags")
        if len(words) != len(tags):
            raise ShapeError(f"X[{number}] has {len(words)} words and y[{number}] {len(tags)} tags: give one for each.")
        found.append(Sentence(words, tags, f"X[{number}]"))
    return found


def _strings(values: Any, where: str, what: str) -> tuple[str, ...]:
    if isinstance(values, str) or not all(
        isinstance(value, str) for value in _listed(values, f"a list of {what}", where)
    ):
        raise ShapeError(f"{where} must be a list of {what}, each a str.")
    return tuple(str(value) for value in values)


def _listed(values: Any, what: str, name: str = "X") -> list[Any]:
    """A sequence, or what numpy takes for one, as a list. A table of pandas is none: it would give its columns' names."""
    if hasattr(values, "__array__") and not hasattr(values, "__len__"):
        values = np.asarray(values)
    table = getattr(values, "ndim", 1) != 1 and not isinstance(values, np.ndarray)
    if (
        isinstance(values, str | bytes | dict)
        or table
        or not (hasattr(values, "__len__") and hasattr(values, "__iter__"))
    ):
        raise ShapeError(f"{name} must be {what}, not of the type {type(values).__name__}.")
    return list(values)


def _check_lengths(x: int, y: int) -> None:
    if x != y:
        raise ShapeError(f"X has {x} sequences and y {y}: give one for each.")


def _check_given(y: Any) -> None:
    if y is None:
        raise ShapeError("this estimator requires y to be passed, but the target y is None.")
