"""Recurrent networks in scikit-learn's manners: what works in `Pipeline`, `GridSearchCV`, `clone` and joblib.

    SequenceClassifier   X: texts, y: labels                         `fit`, `predict`, `predict_proba`, `score`
    SequenceTagger       X: sentences, a list of words each; y: a list of tags for each

Parameters are the options of `elman train` (`docs/command-line.md`); None is the task's default. Needs scikit-learn.
"""

import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from elman.data.examples import Example, Item, Sentence
from elman.data.split import hold_out
from elman.errors import OptionError, ShapeError
from elman.models.device import find_device
from elman.models.folder import WEIGHTS, load_weights, save_weights
from elman.models.options import TrainOptions
from elman.models.parts import Parts
from elman.models.tasks import task_named
from elman.training.loop import Trainer
from elman.training.progress import Display, SilentDisplay, make_display

try:
    from sklearn.base import BaseEstimator, ClassifierMixin  # type: ignore[import-untyped]
    from sklearn.utils.validation import check_is_fitted  # type: ignore[import-untyped]
except ImportError as error:
    raise OptionError("elman.sklearn needs scikit-learn: pip install 'elman[sklearn]'.") from error


class _SequenceEstimator(BaseEstimator):
    """What both have: parameters, training, and what scikit-learn asks of an estimator of sequences."""

    _task: ClassVar[str]

    def _options(self) -> TrainOptions:
        """The options of training: parameters that were given, over the task's defaults."""
        given = {name: value for name, value in self.get_params(deep=False).items() if value is not None}
        # None draws another seed each time.
        given["seed"] = given.pop("random_state", None)
        if given["seed"] is None:
            given["seed"] = int(np.random.default_rng().integers(2**31))
        del given["verbose"]
        return TrainOptions(**task_named(self._task).filled(given))

    def _train(self, items: list[Item], labels: list[str] | None) -> Any:
        """A network trained on the items; a seeded part of them decides which weights are kept."""
        options, kind = self._options(), task_named(self._task).kind
        train, valid = hold_out(items, labels, options.valid_fraction, options.seed)
        parts = Parts(train, valid, None, [])
        # Training draws from torch's global generator; the caller's own draws go on as if it had not.
        with torch.random.fork_rng(), tempfile.TemporaryDirectory() as folder:
            network = kind.fit(parts, options).to(find_device(options.device))
            task = kind.task(parts, network, options)
            display: Display = make_display(network) if self.get_params()["verbose"] else SilentDisplay()
            with closing(display):
                trainer = Trainer(task, options, Path(folder), lambda: save_weights(Path(folder), network), [display])
                self.n_steps_ = trainer.fit().step
            load_weights(network, Path(folder) / WEIGHTS)
        return network.eval()

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.one_d_array = True
        tags.input_tags.string = True
        tags.target_tags.required = True
        return tags


class SequenceClassifier(ClassifierMixin, _SequenceEstimator):
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
        smoothing: float | None = None,
        word_dropout: float | None = None,
        valid_fraction: float | None = None,
        patience: int | None = None,
        device: str = "cpu",
        engine: str = "auto",
        random_state: int | None = 0,
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
        self.smoothing = smoothing
        self.word_dropout = word_dropout
        self.valid_fraction = valid_fraction
        self.patience = patience
        self.device = device
        self.engine = engine
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Sequence[str], y: Sequence[Any]) -> "SequenceClassifier":
        """Train on texts and a label each."""
        texts, labels = _texts(X), np.asarray(y)
        _check_lengths(len(texts), len(labels))
        self.classes_ = np.unique(labels)
        if len(self.classes_) < 2:
            raise OptionError(
                "all labels are the same: there is nothing to classify. Give texts of two classes or more."
            )
        # Any kind of label goes by its place, so that numbers and texts come back as what they were.
        places = [str(place) for place in np.searchsorted(self.classes_, labels)]
        items = [Example(text, place, f"X[{n}]") for n, (text, place) in enumerate(zip(texts, places, strict=True))]
        self.model_ = self._train(items, places)
        return self

    def predict_proba(self, X: Sequence[str]) -> np.ndarray:
        """P(class) of each text (N, V), in the order of `classes_`."""
        check_is_fitted(self)
        found_NV = np.exp(self.model_.log_probabilities(self.model_.tokenizer.encode_each(_texts(X))))
        order = np.argsort([int(label) for label in self.model_.labels])
        return found_NV[:, order]

    def predict(self, X: Sequence[str]) -> np.ndarray:
        """The likeliest class of each text (N,)."""
        check_is_fitted(self)
        return self.classes_[self.predict_proba(X).argmax(1)] if len(X) else self.classes_[:0]


class SequenceTagger(_SequenceEstimator):
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
        rare_dropout: float | None = None,
        valid_fraction: float | None = None,
        patience: int | None = None,
        device: str = "cpu",
        engine: str = "auto",
        random_state: int | None = 0,
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
        self.rare_dropout = rare_dropout
        self.valid_fraction = valid_fraction
        self.patience = patience
        self.device = device
        self.engine = engine
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Sequence[Sequence[str]], y: Sequence[Sequence[str]]) -> "SequenceTagger":
        """Train on sentences and a tag for each of their words."""
        _check_lengths(len(X), len(y))
        items = _sentences(X, y)
        self.model_ = self._train(items, None)
        self.classes_ = np.array(self.model_.labels.tokens)
        self.scheme_ = self.model_.scheme
        return self

    def predict(self, X: Sequence[Sequence[str]]) -> list[list[str]]:
        """The tags of each sentence's words."""
        check_is_fitted(self)
        return [list(found.tags) for found in self.model_.tag([tuple(words) for words in X])]

    def score(self, X: Sequence[Sequence[str]], y: Sequence[Sequence[str]]) -> float:
        """F1 of entities, or accuracy where tags are of no spans."""
        check_is_fitted(self)
        scores = self.model_.score(_sentences(X, y)).to_dict()
        return float(scores.get("entity_f1", scores["accuracy"]))


def _texts(X: Any) -> list[str]:
    """X as a list of texts. Raises `ShapeError` for anything else."""
    values = list(X) if not isinstance(X, str) and np.ndim(np.asarray(X, dtype=object)) == 1 else None
    if values is None or not all(isinstance(value, str) for value in values):
        raise ShapeError("X must be texts: a list or a column of str.")
    return [str(value) for value in values]


def _sentences(X: Sequence[Sequence[str]], y: Sequence[Sequence[str]]) -> list[Sentence]:
    """Sentences with their tags. Raises `ShapeError` for one whose words and tags are not equally many."""
    items = []
    for number, (words, tags) in enumerate(zip(X, y, strict=True)):
        if isinstance(words, str) or len(words) != len(tags):
            raise ShapeError(f"X[{number}] must be a list of words, and y[{number}] a tag for each of them.")
        items.append(Sentence(tuple(map(str, words)), tuple(map(str, tags)), f"X[{number}]"))
    return items


def _check_lengths(x: int, y: int) -> None:
    if x != y:
        raise ShapeError(f"X has {x} sequences and y {y}: give one for each.")
