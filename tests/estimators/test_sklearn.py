"""Estimators as scikit-learn's users use them."""

import io
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import check_estimator

from elman.errors import OptionError, ShapeError
from elman.sklearn import SequenceClassifier, SequenceTagger

WORDS = {"good": ("fine", "great", "lovely"), "bad": ("poor", "awful", "dull")}
X = [
    f"{word} {thing}" for words in WORDS.values() for word in words for thing in ("film", "book", "play", "song", "day")
]
Y = [label for label, words in WORDS.items() for _ in words for _ in range(5)]
SENTENCES = [[name, "saw", place, "."] for name in ("Ada", "Bo", "Cem") for place in ("Ulm", "Bern", "Fez", "Oslo")]
TAGS = [["B-PER", "O", "B-LOC", "O"]] * len(SENTENCES)
SMALL: dict[str, Any] = {"hidden": 8, "embedding": 8, "dropout": 0.0, "lr": 0.02}


def classifier(**options: Any) -> SequenceClassifier:
    return SequenceClassifier(**{**SMALL, "epochs": 60, **options})


def kept(estimator: Any) -> Any:
    """What joblib writes and reads again."""
    file = io.BytesIO()
    joblib.dump(estimator, file)
    file.seek(0)
    return joblib.load(file)


def test_it_learns_and_answers_in_the_order_of_its_classes() -> None:
    model = classifier().fit(X, Y)
    assert list(model.classes_) == ["bad", "good"]
    assert list(model.predict(["a lovely one", "awful"])) == ["good", "bad"]
    chances = model.predict_proba(X)
    assert chances.shape == (len(X), 2)
    np.testing.assert_allclose(chances.sum(1), 1, rtol=1e-6)
    assert (model.classes_[chances.argmax(1)] == model.predict(X)).all()
    assert model.score(X, Y) == 1
    assert len(model.predict([])) == 0


def test_labels_may_be_numbers_more_than_nine_of_them() -> None:
    texts = [f"w{n} again" for n in range(12) for _ in range(3)]
    labels = np.repeat(np.arange(12) * 10, 3)
    model = classifier(epochs=150, tokenizer="word").fit(texts, labels)
    assert model.classes_.tolist() == list(range(0, 120, 10))
    found = model.predict(texts)
    assert found.dtype == labels.dtype
    assert (found == labels).mean() > 0.8


def test_the_same_random_state_gives_the_same_network() -> None:
    one, other = (classifier(epochs=5).fit(X, Y).predict_proba(X) for _ in range(2))
    np.testing.assert_array_equal(one, other)
    assert not np.array_equal(one, classifier(epochs=5, random_state=1).fit(X, Y).predict_proba(X))


@pytest.mark.parametrize("make", [lambda: classifier(epochs=5).fit(X, Y), clone])
def test_joblib_and_clone(make: Any) -> None:
    if make is clone:
        given = classifier(cell="gru", cell_options={"layer_norm": True})
        assert clone(given).get_params() == given.get_params()
        return
    model = make()
    np.testing.assert_array_equal(kept(model).predict_proba(X), model.predict_proba(X))


def test_pipeline_grid_search_and_cross_validation() -> None:
    steps = [
        ("lower", FunctionTransformer(lambda texts: [text.lower() for text in texts])),
        ("net", classifier(epochs=3)),
    ]
    search = GridSearchCV(Pipeline(steps), {"net__cell": ["gru", "elman"]}, cv=2).fit(X, Y)
    assert search.best_params_["net__cell"] in {"gru", "elman"}
    assert len(search.predict(["FINE"])) == 1
    assert len(cross_val_score(classifier(epochs=3), X, Y, cv=3)) == 3


def test_a_tagger_learns_scores_spans_and_is_kept() -> None:
    model = SequenceTagger(**SMALL, epochs=60, character_hidden=4, character_embedding=4).fit(SENTENCES, TAGS)
    assert model.scheme_ == "IOB2"
    assert list(model.classes_) == ["B-LOC", "B-PER", "O"]
    assert model.predict(SENTENCES[:1]) == TAGS[:1]
    assert model.score(SENTENCES, TAGS) == 1
    assert kept(model).predict(SENTENCES) == model.predict(SENTENCES)


def test_what_can_not_be_used_is_said() -> None:
    with pytest.raises(NotFittedError):
        classifier().predict(["x"])
    with pytest.raises(ShapeError, match="X must be texts"):
        classifier().fit([[1.0, 2.0]], ["a"])
    with pytest.raises(ShapeError, match="X has 2 sequences and y 1"):
        classifier().fit(["a", "b"], ["a"])
    with pytest.raises(OptionError, match="all labels are the same"):
        classifier().fit(["a", "b"], ["a", "a"])
    with pytest.raises(OptionError, match="--cell 'lstn' is not known: did you mean 'lstm'"):
        classifier(cell="lstn").fit(X, Y)
    with pytest.raises(ShapeError, match=r"X\[0\] must be a list of words, and y\[0\] a tag for each"):
        SequenceTagger().fit([["a", "b"]], [["O"]])


@pytest.mark.filterwarnings("ignore:Can't test estimator")
@pytest.mark.parametrize("kind", [SequenceClassifier, SequenceTagger])
def test_scikit_learn_s_own_checks_as_far_as_sequences_allow(kind: Any) -> None:
    """`check_estimator` ends where it would hand over a table of numbers, which the estimator's tags say is not read."""
    found = check_estimator(kind(epochs=1), on_skip=None, on_fail=None)
    assert {result["status"] for result in found} == {"passed"}


@pytest.mark.parametrize(
    "check",
    [
        estimator_checks.check_estimator_cloneable,
        estimator_checks.check_estimator_repr,
        estimator_checks.check_estimator_tags_renamed,
        estimator_checks.check_get_params_invariance,
        estimator_checks.check_no_attributes_set_in_init,
        estimator_checks.check_parameters_default_constructible,
        estimator_checks.check_set_params,
        estimator_checks.check_valid_tag_types,
    ],
    ids=lambda check: check.__name__,
)
@pytest.mark.parametrize("kind", [SequenceClassifier, SequenceTagger])
def test_each_of_scikit_learn_s_checks_of_the_interface(kind: Any, check: Any) -> None:
    check(kind.__name__, kind(epochs=1))
