"""Estimators as scikit-learn's users use them."""

import importlib
import io
import signal
import sys
from collections.abc import Iterator
from typing import Any

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import get_tags

from elman.data.split import hold_out
from elman.errors import DataError, OptionError, ShapeError, TrainingDivergedError
from elman.models.options import TrainOptions, option_names
from elman.models.tasks import task_named, tasks_with
from elman.sklearn import SequenceClassifier, SequenceTagger
from elman.training.loop import Trainer

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
    texts = [f"w{n}" for n in range(12) for _ in range(3)]
    labels = np.repeat(np.arange(12) * 10, 3)
    model = classifier(epochs=50, tokenizer="word", embedding=32, lr=0.05).fit(texts, labels)
    assert model.classes_.tolist() == list(range(0, 120, 10))
    found = model.predict(texts)
    assert found.dtype == labels.dtype
    assert (found == labels).mean() > 0.8


def test_the_same_random_state_gives_the_same_network() -> None:
    one, other = (classifier(epochs=5).fit(X, Y).predict_proba(X) for _ in range(2))
    np.testing.assert_array_equal(one, other)
    assert not np.array_equal(one, classifier(epochs=5, random_state=1).fit(X, Y).predict_proba(X))


def test_joblib_keeps_what_was_learnt_and_clone_what_was_given() -> None:
    model = classifier(epochs=5, cell="gru", cell_options={"layer_norm": True}).fit(X, Y)
    np.testing.assert_array_equal(kept(model).predict_proba(X), model.predict_proba(X))
    fresh = clone(model)
    assert fresh.get_params() == model.get_params()
    with pytest.raises(NotFittedError):
        fresh.predict(X)


def test_without_a_budget_it_learns_for_as_many_epochs_as_its_task_has_at_most_and_no_clock_decides() -> None:
    given = SequenceClassifier()
    assert given._options().budget == ("epochs", task_named("classify").defaults["max_epochs"])
    assert SequenceClassifier(minutes=2)._options().budget == ("minutes", 2)
    assert not get_tags(given).non_deterministic
    assert get_tags(SequenceClassifier(minutes=2)).non_deterministic


def test_random_states_are_those_of_scikit_learn() -> None:
    draws = np.random.RandomState(7)
    seeds = [SequenceTagger(random_state=draws)._options().seed for _ in range(2)]
    assert seeds[0] != seeds[1]
    assert SequenceTagger(random_state=np.random.RandomState(7))._options().seed == seeds[0]
    assert SequenceTagger(random_state=np.int64(3))._options().seed == 3
    assert SequenceTagger(random_state=None)._options().seed != SequenceTagger(random_state=None)._options().seed


@pytest.mark.parametrize("kind", [SequenceClassifier, SequenceTagger])
def test_parameters_are_options_of_the_task_and_their_defaults_the_task_s(kind: Any) -> None:
    facts, given = task_named(kind._task), kind().get_params()
    own = set(given) - {"random_state", "verbose"}
    assert own <= set(option_names())
    assert [name for name in own if tasks_with(name) and facts.name not in tasks_with(name)] == []
    assert kind(epochs=1)._options() == TrainOptions(**facts.filled({"epochs": 1, "device": "cpu"}))


def test_pipeline_grid_search_and_cross_validation() -> None:
    steps = [
        ("lower", FunctionTransformer(lambda texts: [text.lower() for text in texts])),
        ("net", classifier(epochs=3)),
    ]
    # Numbers of numpy's kinds are what searches draw.
    grid = {"net__cell": ["gru", "elman"], "net__hidden": np.array([4]), "net__lr": np.array([0.02])}
    search = GridSearchCV(Pipeline(steps), grid, cv=2, error_score="raise").fit(X, Y)
    assert search.best_params_["net__cell"] in {"gru", "elman"}
    assert len(search.predict(["FINE"])) == 1
    assert len(cross_val_score(classifier(epochs=3), X, Y, cv=3)) == 3


def tagger(**options: Any) -> SequenceTagger:
    return SequenceTagger(**{**SMALL, "character_hidden": 4, "character_embedding": 4, "epochs": 3, **options})


def test_a_tagger_learns_scores_spans_and_is_kept() -> None:
    model = tagger(epochs=30, lr=0.05).fit(SENTENCES, TAGS)
    assert model.scheme_ == "IOB2"
    assert list(model.classes_) == ["B-LOC", "B-PER", "O"]
    assert model.predict(SENTENCES[:1]) == TAGS[:1]
    assert model.score(SENTENCES, TAGS) == 1
    assert kept(model).predict(SENTENCES) == model.predict(SENTENCES)
    # Found wrong, not an error: a fold may have a tag that training hadn't.
    assert model.score([["Ada"], ["Bo"]], [["B-PER"], ["B-NEW"]]) < 1


@pytest.mark.parametrize("output", ["crf", "softmax"])
def test_a_tagger_s_chances_are_of_each_word_alone_among_others_or_in_any_order(output: str) -> None:
    model = tagger(output=output).fit(SENTENCES, TAGS)
    sentences = [["Ada"], [], ["Bo", "saw", "Fez", "."], ["."] * 9]
    chances = model.predict_proba(sentences)
    assert [found.shape for found in chances] == [(1, 3), (0, 3), (4, 3), (9, 3)]
    for found, words, tags in zip(chances, sentences, model.predict(sentences), strict=True):
        np.testing.assert_allclose(found.sum(1), np.ones(len(words)), rtol=1e-5)
        np.testing.assert_allclose(found, model.predict_proba([words])[0], rtol=1e-4, atol=1e-6)
        if output == "softmax":
            assert list(model.classes_[found.argmax(1)]) == tags
    for found, again in zip(chances, model.predict_proba(sentences[::-1])[::-1], strict=True):
        np.testing.assert_allclose(found, again, rtol=1e-4, atol=1e-6)


def test_a_tagger_is_searched_and_cross_validated() -> None:
    small = tagger(epochs=1)
    search = GridSearchCV(small, {"hidden": [4, 8]}, cv=2, error_score="raise").fit(SENTENCES, TAGS)
    assert search.best_params_["hidden"] in {4, 8}
    assert len(cross_val_score(small, SENTENCES, TAGS, cv=3, error_score="raise")) == 3


def test_a_rare_tag_is_learnt_rather_than_held_out_and_accuracy_is_the_score_without_spans() -> None:
    sentences, tags = [["a", "b"]] * 19 + [["c"]], [["X", "Y"]] * 19 + [["Z"]]
    assert ["c"] in hold_out(sentences, None, 0.1, 0)[1]
    model = tagger(epochs=1, random_state=0).fit(sentences, tags)
    assert list(model.classes_) == ["X", "Y", "Z"]
    found = model.predict([["a", "b", "c"]])[0]
    assert model.score([["a", "b", "c"]], [[found[0], found[1], "?"]]) == pytest.approx(2 / 3)


def test_sentences_that_break_the_scheme_are_left_out_with_a_warning_or_stop_it() -> None:
    sentences, tags = [*SENTENCES, ["Ada", "left"], []], [*TAGS, ["O", "I-LOC"], []]
    with pytest.warns(UserWarning, match=r"1 bad row was skipped \(X\[12\]: .*IOB2: I-LOC at word 2 follows O"):
        assert "I-LOC" not in tagger(random_state=1).fit(sentences, tags).classes_
    with pytest.raises(DataError, match=r"X\[12\]: its tags break the scheme IOB2"):
        tagger(random_state=1, strict=True).fit(sentences, tags)


class Table:
    """What pandas gives: it has a length, and its items are the names of its columns."""

    ndim = 2

    def __len__(self) -> int:
        return 2

    def __iter__(self) -> Iterator[str]:
        return iter(["text", "label"])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([[1.0, 2.0]], r"X must be texts, but X\[0\] is of the type list"),
        (["a", None], r"X must be texts, but X\[1\] is of the type NoneType"),
        ("ab", "X must be texts: a list or a column of str, not of the type str"),
        (Table(), "X must be texts: a list or a column of str, not of the type Table"),
        (["a"], "X has 1 sequences and y 2"),
    ],
)
def test_what_is_no_text_is_said(values: Any, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        classifier().fit(values, ["a", "b"])


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        ([["a", "b"]], [["O"]], r"X\[0\] has 2 words and y\[0\] 1 tags"),
        (["a b"], [["O", "O"]], r"X\[0\] must be a list of words, each a str"),
        ([["a"]], [[1]], r"y\[0\] must be a list of tags, each a str"),
        ([["a"]], None, "requires y to be passed"),
        ([["a"]], [], "X has 1 sequences and y 0"),
        (None, [["O"]], "X must be sentences, not of the type NoneType"),
    ],
)
def test_what_are_no_sentences_with_tags_is_said(X: Any, y: Any, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        tagger().fit(X, y)


def test_what_can_not_be_learnt_is_said_and_leaves_nothing_fitted() -> None:
    with pytest.raises(OptionError, match="y has one class only"):
        classifier().fit(["a", "b"], ["a", "a"])
    model = classifier(cell="lstn")
    with pytest.raises(OptionError, match="--cell 'lstn' is not known: did you mean 'lstm'"):
        model.fit(X, Y)
    with pytest.raises(DataError, match="all words of the training part have the same tag"):
        tagger().fit([["a"]] * 3, [["A"]] * 3)
    with pytest.raises(TrainingDivergedError, match=r"^training diverged: give a lower lr"):
        classifier(lr=1e38).fit(X, Y)
    for estimator, asked in ((model, ["x"]), (tagger(), [["x"]])):
        for method in (estimator.predict, estimator.predict_proba):
            with pytest.raises(NotFittedError):
                method(asked)


def test_an_interrupt_ends_a_search_not_one_of_its_trainings(monkeypatch: pytest.MonkeyPatch) -> None:
    step, calls = Trainer.step, []

    def interrupted(self: Trainer, fraction: float) -> Any:
        calls.append(fraction)
        signal.raise_signal(signal.SIGINT)
        return step(self, fraction)

    monkeypatch.setattr(Trainer, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        GridSearchCV(classifier(), {"hidden": [4, 8]}, cv=2, error_score=np.nan).fit(X, Y)
    assert len(calls) == 1


def test_the_caller_s_own_draws_go_on_as_if_nothing_had_been_trained() -> None:
    torch.manual_seed(1)
    expected = torch.rand(2)
    torch.manual_seed(1)
    classifier(epochs=1).fit(X, Y)
    assert torch.equal(torch.rand(2), expected)


def test_without_scikit_learn_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.base", None)
    monkeypatch.delitem(sys.modules, "elman.sklearn")
    with pytest.raises(OptionError, match=r"pip install 'elman\[sklearn\]'"):
        importlib.import_module("elman.sklearn")
