"""scikit-learn's own checks of estimators (`check_estimator`), as far as sequences allow them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks
from sklearn.utils.validation import check_is_fitted, validate_data

from elman.sklearn import SequenceClassifier, SequenceRegressor, SequenceTagger


class TableClassifier(SequenceClassifier):
    """Classifies tables of numbers, each row written out as a text: what the checks hand over is such a table.

    So all of them hold the classifier to scikit-learn's laws; the table alone is looked at here.
    """

    def fit(self, X: Any, y: Any) -> "TableClassifier":
        if y is not None:
            X = written(validate_data(self, X))
        return super().fit(X, y)

    def predict_proba(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        return super().predict_proba(written(validate_data(self, X, reset=False)))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        # A few updates keep the laws as many do, but learn nothing.
        tags.classifier_tags.poor_score = self.steps < ENOUGH
        tags.input_tags.two_d_array, tags.input_tags.one_d_array, tags.input_tags.string = True, False, False
        return tags


def written(X: np.ndarray) -> Sequence[str]:
    """A word for each number: its column, and its value rounded to halves."""
    return [" ".join(f"{column}:{round(2 * value)}" for column, value in enumerate(row)) for row in X]


ENOUGH = 35
SMALL = TableClassifier(
    cell="gru",
    hidden=8,
    embedding=32,
    bidirectional=False,
    pooling="mean",
    dropout=0.0,
    word_dropout=0.0,
    averaging=0.0,
    tokenizer="word",
    steps=3,
    lr=0.05,
)


@parametrize_with_checks([SMALL])
def test_every_check_holds_of_texts_that_stand_for_numbers(estimator: Any, check: Any) -> None:
    check(estimator)


def test_it_learns_what_the_checks_expect_of_a_classifier() -> None:
    estimator_checks.check_classifiers_train("TableClassifier", clone(SMALL).set_params(steps=ENOUGH))


# It would hand over a table of numbers next, which the estimators' tags say isn't read.
@pytest.mark.filterwarnings("ignore:Can't test estimator")
@pytest.mark.parametrize("kind", [SequenceClassifier, SequenceRegressor, SequenceTagger])
def test_check_estimator_finds_nothing_wrong_with_estimators_of_sequences(kind: Any) -> None:
    found = check_estimator(kind(epochs=1), on_skip=None, on_fail=None)
    assert {result["status"] for result in found} == {"passed"}


@pytest.mark.parametrize(
    "check",
    [
        estimator_checks.check_do_not_raise_errors_in_init_or_set_params,
        estimator_checks.check_estimator_cloneable,
        estimator_checks.check_estimator_repr,
        estimator_checks.check_estimator_tags_renamed,
        estimator_checks.check_get_params_invariance,
        estimator_checks.check_mixin_order,
        estimator_checks.check_no_attributes_set_in_init,
        estimator_checks.check_parameters_default_constructible,
        estimator_checks.check_set_params,
        estimator_checks.check_valid_tag_types,
    ],
    ids=lambda check: check.__name__,
)
@pytest.mark.parametrize("kind", [SequenceClassifier, SequenceRegressor, SequenceTagger])
def test_each_check_of_the_interface_alone(kind: Any, check: Any) -> None:
    check(kind.__name__, kind(epochs=1))
