"""The translator as a task: from two files to scores, the baseline beside them; what is fitted comes from the training part."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import elman
from elman.data.examples import Pair
from elman.errors import DataError, ModelFolderError, OptionError, TrainingInterruptedError
from elman.models import translation_scores
from elman.models.options import TrainOptions
from elman.models.tasks import task_named
from elman.models.translation_scores import score_translations
from elman.models.translation_task import TranslationTask

NUMBERS = {"one": "eins", "two": "zwei", "three": "drei", "Bo": "Bo"}
PAIRS = [(f"{a} and {b}.", f"{NUMBERS[a]} und {NUMBERS[b]}.") for a in NUMBERS for b in NUMBERS] * 2
SMALL: dict[str, Any] = {
    "task": "translate",
    "hidden": 16,
    "embedding": 16,
    "dropout": 0.0,
    "vocabulary": 290,
    "batch_tokens": 96,
    "lr": 0.02,
    "steps": 120,
    "validations": 3,
    "device": "cpu",
    "quiet": True,
}


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "train.en", tmp_path / "train.de"]
    for side, path in enumerate(paths):
        path.write_text("".join(f"{pair[side]}\n" for pair in PAIRS), encoding="utf-8")
    return paths


def test_it_learns_from_two_files_and_scores_what_was_held_out(tmp_path: Path, files: list[Path]) -> None:
    result = elman.train(files, out=tmp_path / "run", test_fraction=0.2, **SMALL)
    assert result.test_scores is not None
    assert result.scores["exact"] == result.test_scores["exact"] == 1
    assert result.test_scores["bleu"] == pytest.approx(100)
    assert result.test_scores["chrf"] == pytest.approx(100)
    assert result.test_scores["examples"] == 6
    assert 0 < result.test_scores["baseline_bleu"] < 50
    assert result.to_dict()["test_baseline_exact"] == result.test_scores["baseline_exact"]
    assert (tmp_path / "run" / "attention-1.png").read_bytes()[:4] == b"\x89PNG"
    assert "→" in result.sample

    model = elman.load(tmp_path / "run")
    (answer,) = model.answer(["two and Bo."])
    assert answer["translation"] == "zwei und Bo."
    assert answer["log_probability"] < 0
    assert model.evaluate(files).exact == 1
    assert "BLEU 100.0" in model.headline(result.scores)
    assert model.description()["search"] == "beam 5, alpha 1"


def test_a_table_with_named_columns_is_read_and_other_parts_alike(tmp_path: Path) -> None:
    rows = "".join(f"{n}\t{source}\t{target}\n" for n, (source, target) in enumerate(PAIRS))
    for name in ("train", "valid"):
        (tmp_path / f"{name}.tsv").write_text(f"number\tEnglish\tGerman\n{rows}", encoding="utf-8")
    options = TrainOptions(
        **task_named("translate").filled(
            {"source": "English", "target": "German", "valid": (str(tmp_path / "valid.tsv"),)}
        )
    )
    data = task_named("translate").kind.read([tmp_path / "train.tsv"], options)
    assert data.test is None
    assert data.train[0] == Pair(*PAIRS[0], data.train[0].where)
    assert len(data.valid) == len(PAIRS)


def test_the_vocabulary_comes_from_the_training_part_alone(files: list[Path], tmp_path: Path) -> None:
    heard = [tmp_path / "valid.en", tmp_path / "valid.de"]
    for path in heard:
        path.write_text("xylophone xylophone\n" * 50, encoding="utf-8")
    kind = task_named("translate").kind
    vocabularies = []
    for valid in (None, tuple(map(str, heard))):
        options = TrainOptions(**task_named("translate").filled({"valid": valid, "vocabulary": 400}))
        data = kind.read(files, options)
        assert len(data.valid) == 3 if valid is None else 50
        vocabularies.append(kind.fit(data, options).tokenizer.encode(" xylophone").tolist())
    assert len(vocabularies[0]) == len(vocabularies[1]) > 5


def test_a_batch_is_a_function_of_the_step_and_every_pair_comes_once_an_epoch(files: list[Path]) -> None:
    facts = task_named("translate")
    options = TrainOptions(**facts.filled({"hidden": 4, "embedding": 4, "batch_tokens": 50}))
    data = facts.kind.read(files, options)
    first, second = (facts.kind.task(data, facts.kind.fit(data, options), options) for _ in range(2))
    epoch = [first.batch(step) for step in range(first.steps_per_epoch)]
    assert sum(len(batch[1]) for batch in epoch) == len(data.train)
    assert sum(map(first.size, epoch)) == sum(len(row) + 1 for row in first._targets)
    for step in (len(epoch) - 1, 0):
        assert all(map(lambda a, b: a.equal(b), epoch[step], second.batch(step)))
    assert not first.carries_state(1)
    assert first.fingerprint == second.fingerprint


def test_a_run_that_goes_on_ends_where_an_undisturbed_one_does(tmp_path: Path, files: list[Path]) -> None:
    options = {**SMALL, "steps": 12, "dropout": 0.2}
    whole = elman.train(files, out=tmp_path / "whole", **options)
    interrupted = _stop_after(5)
    with interrupted, pytest.raises(TrainingInterruptedError):
        elman.train(files, out=tmp_path / "cut", **options)
    assert elman.train(resume=tmp_path / "cut", quiet=True).scores == whole.scores


@contextmanager
def _stop_after(steps: int) -> Iterator[None]:
    """A SIGTERM while the batch of this step is made."""
    made = TranslationTask.batch

    def batch(self: TranslationTask, step: int) -> Any:
        if step == steps:
            os.kill(os.getpid(), signal.SIGTERM)
        return made(self, step)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TranslationTask, "batch", batch)
        yield


def test_a_folder_whose_vocabulary_does_not_fit_is_an_error(tmp_path: Path, files: list[Path]) -> None:
    elman.train(files, out=tmp_path / "run", **{**SMALL, "steps": 1})
    path = tmp_path / "run" / "config.json"
    config = json.loads(path.read_text())
    config["network"]["vocabulary"] += 1
    path.write_text(json.dumps(config))
    with pytest.raises(ModelFolderError, match="belong to different models"):
        elman.load(tmp_path / "run")


def test_scores_are_those_of_their_definitions() -> None:
    import sacrebleu

    texts, sources, references = ["a b c d e", "x"], ["a b c d", "y z"], ["a b c d e", "y z"]
    scores = score_translations(texts, sources, references, 1.5, 7)
    assert (scores.exact, scores.baseline_exact, scores.loss_nats, scores.tokens, scores.examples) == (
        0.5,
        0.5,
        1.5,
        7,
        2,
    )
    assert scores.bleu == sacrebleu.corpus_bleu(texts, [references]).score
    assert scores.chrf == sacrebleu.corpus_chrf(texts, [references]).score
    assert score_translations(references, sources, references, 0.0, 7).bleu == pytest.approx(100)
    assert list(scores.to_dict())[:4] == ["bleu", "chrf", "exact", "loss_nats"]


def test_what_makes_no_sense_is_an_error(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="nothing to score"):
        score_translations([], [], [], 0.0, 0)
    with pytest.raises(DataError, match="nothing to translate"):
        elman.train(**SMALL)
    with pytest.raises(OptionError, match="choose from bpe, byte"):
        elman.train(files, **{**SMALL, "tokenizer": "word"})
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    with pytest.raises(OptionError, match=r"elman\[translate\]"):
        translation_scores.scorer()
