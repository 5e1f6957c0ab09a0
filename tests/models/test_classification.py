"""The classifier: what it says of a text depends on that text alone, and survives its folder."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import elman
from elman.cells import CELLS
from elman.data.example_tokens import fit_examples
from elman.data.examples import Example
from elman.errors import DataError, ModelFolderError
from elman.models.class_scores import macro_f1, score_classes
from elman.models.classification import ClassificationConfig, ClassificationModel
from elman.models.folder import load, save_description, save_weights

TEXTS = ["a good film", "bad", "so very bad a film it was", "", "good good good"]


def make_model(**sizes: Any) -> ClassificationModel:
    """Random weights, float64, in evaluation mode."""
    torch.manual_seed(0)
    tokenizer = fit_examples("word", TEXTS)
    config = ClassificationConfig(len(tokenizer), 3, **{"hidden": 6, "embedding": 5, **sizes})
    return ClassificationModel(config, tokenizer, ["no", "perhaps", "yes"], "yes").double().eval()


@pytest.mark.parametrize("pooling", ["last", "mean", "max", "attention"])
@pytest.mark.parametrize("bidirectional", [True, False])
def test_a_text_is_judged_as_if_it_were_alone(pooling: str, bidirectional: bool) -> None:
    model = make_model(pooling=pooling, bidirectional=bidirectional)
    together = list(model.predict(TEXTS))
    for text, found in zip(TEXTS, together, strict=True):
        alone = model.predict_batch([text])[0]
        assert found.label == alone.label
        assert found.probabilities == pytest.approx(alone.probabilities, rel=1e-12)
        assert sum(found.probabilities.values()) == pytest.approx(1)
        assert found.probability == max(found.probabilities.values())


@pytest.mark.parametrize("cell", [name for name in CELLS if name != "conv_lstm"])
def test_any_cell_reads_texts_of_mixed_lengths(cell: str) -> None:
    model = make_model(cell=cell, hidden=8, embedding=8).train()
    tokens_TB, lengths_B = model.batch(model.tokenizer.encode_each(TEXTS))
    model(tokens_TB, lengths_B).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def test_tokens_are_forgotten_in_training_alone() -> None:
    model = make_model(word_dropout=0.5)
    batch = model.batch(model.tokenizer.encode_each(TEXTS))
    torch.testing.assert_close(model(*batch), model(*batch), rtol=0, atol=0)
    model.train()
    assert not torch.equal(model(*batch), model(*batch))


def test_a_folder_gives_the_same_answers(tmp_path: Path) -> None:
    model = make_model(pooling="attention", layers=2, cell_options={"layer_norm": True})
    save_description(tmp_path, model, {})
    save_weights(tmp_path, model)
    again = load(tmp_path)
    assert again.labels == model.labels
    assert again.config == model.config
    for a, b in zip(model.predict(TEXTS), again.double().predict(TEXTS), strict=True):
        assert a == b


def test_a_folder_whose_labels_do_not_fit_is_an_error(tmp_path: Path) -> None:
    model = make_model()
    save_description(tmp_path, model, {})
    save_weights(tmp_path, model)
    path = tmp_path / "config.json"
    path.write_text(path.read_text().replace('"perhaps",', ""))
    with pytest.raises(ModelFolderError, match="belong to different models"):
        load(tmp_path)


def test_scores_are_those_of_their_definitions() -> None:
    log_probabilities = np.log([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.6, 0.3, 0.1], [0.2, 0.2, 0.6]])
    scores = score_classes(np.array([0, 1, 1, 1]), log_probabilities, ["a", "b", "c"], "b")
    assert scores.confusion.tolist() == [[1, 0, 0], [1, 1, 1], [0, 0, 0]]
    # F1 of a: 2/(2+1), of b: 2/(2+2), of c, predicted once but never there: 0.
    assert scores.macro_f1 == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)
    assert scores.to_dict() == pytest.approx(
        {
            "accuracy": 0.5,
            "macro_f1": scores.macro_f1,
            "loss_nats": -np.log([0.7, 0.8, 0.3, 0.2]).mean(),
            "examples": 4,
            "baseline_accuracy": 0.75,
            "baseline_macro_f1": (0 + 6 / 7) / 2,
        }
    )
    assert macro_f1(np.diag([3, 0, 2])) == 1


def test_a_label_that_the_model_does_not_know_is_named_with_its_place() -> None:
    with pytest.raises(DataError, match=r"x\.tsv, line 3: the label 'maybe' is not among .*no, perhaps, yes"):
        make_model().score([Example("good", "yes", "x.tsv, line 2"), Example("bad", "maybe", "x.tsv, line 3")])


def test_nothing_to_score_is_an_error() -> None:
    with pytest.raises(DataError, match="nothing to score"):
        make_model().score([])


TABLE = "text\tlabel\n" + "".join(
    f"{word} {other}\t{label}\n"
    for label, words in {"good": ("fine", "great", "lovely"), "bad": ("poor", "awful", "dull")}.items()
    for word in words
    for other in ("film", "book", "play", "song", "day", "meal", "walk", "tune")
)
SMALL: dict[str, Any] = {
    "hidden": 8,
    "embedding": 8,
    "epochs": 100,
    "lr": 0.02,
    "dropout": 0.1,
    "pooling": "max",
    # All tokens of so little text are rare.
    "rare_dropout": 0.0,
    "validations": 4,
    "device": "cpu",
}


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "table.tsv"
    path.write_text(TABLE, encoding="utf-8")
    return path


def test_it_learns_from_a_table_and_scores_what_was_held_out(tmp_path: Path, table: Path) -> None:
    result = elman.train(table, task="classify", out=tmp_path / "run", test_fraction=0.25, quiet=True, **SMALL)
    assert result.scores["accuracy"] == 1
    assert result.test_scores is not None
    assert result.test_scores["accuracy"] == 1
    assert result.test_scores["examples"] == 12
    assert result.test_scores["baseline_accuracy"] == 0.5
    assert (tmp_path / "run" / "confusion-valid.png").read_bytes()[:4] == b"\x89PNG"
    assert result.to_dict()["test_baseline_accuracy"] == 0.5
    model = elman.load(tmp_path / "run")
    assert [p.label for p in model.predict(["a lovely one", "awful"])] == ["good", "bad"]
    assert model.evaluate(table).accuracy == 1


def test_vocabulary_and_classes_come_from_the_training_part_alone(tmp_path: Path, table: Path) -> None:
    (tmp_path / "valid.tsv").write_text("text\tlabel\nunheard words\tgood\npoor\tbad\n", encoding="utf-8")
    options = {**SMALL, "epochs": 1, "tokenizer": "word"}
    elman.train(table, task="classify", out=tmp_path / "run", valid=str(tmp_path / "valid.tsv"), quiet=True, **options)
    model = elman.load(tmp_path / "run")
    assert model.tokenizer.unknown_in("unheard words") == ["unheard", "words"]
    (tmp_path / "valid.tsv").write_text("text\tlabel\nunheard words\tsplendid\npoor\tbad\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"valid\.tsv, line 2: the label 'splendid' is not among"):
        elman.train(
            table, task="classify", out=tmp_path / "no", valid=str(tmp_path / "valid.tsv"), quiet=True, **options
        )
    assert not (tmp_path / "no").exists()


def test_the_same_seed_gives_the_same_network(tmp_path: Path, table: Path) -> None:
    options = {**SMALL, "epochs": None, "steps": 40, "word_dropout": 0.1}
    one, again, other = (
        elman.train(table, task="classify", out=tmp_path / name, quiet=True, **options, seed=seed)
        for name, seed in (("one", 0), ("again", 0), ("other", 1))
    )
    assert again.scores == one.scores
    assert other.scores != one.scores
