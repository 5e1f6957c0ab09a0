"""`elman.train`: from a text to a folder with a model, its logs and its curves."""

import json
import math
import struct
import warnings
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from tiny import Run

import elman
from elman.data.text import Document
from elman.errors import DataError, ElmanError, OptionError, RunError
from elman.files import write_atomically
from elman.training import loop
from elman.training.logs import METRICS, MetricsLog, read_metrics
from elman.training.run import TrainResult

FILES = {
    "model.safetensors",
    "config.json",
    "tokenizer.json",
    "checkpoint.safetensors",
    METRICS,
    "curves.png",
    "lint.json",
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    folder = tmp_path_factory.mktemp("trained")
    (folder / "text.txt").write_text(tiny.TEXT, encoding="utf-8")
    (folder / "test.txt").write_text("the cat sat on the log, zebra!\n", encoding="utf-8")
    options = {**tiny.OPTIONS, "steps": 150, "lr": 0.02, "test": str(folder / "test.txt")}
    return elman.train(folder / "text.txt", out=folder / "run", quiet=True, **options)


def test_a_run_leaves_a_model_its_logs_and_its_curves(trained: TrainResult) -> None:
    names = {path.name for path in trained.run.iterdir()}
    assert names >= FILES
    assert all(name.startswith("events.out.") for name in names - FILES)
    assert names - FILES


def test_what_was_learnt_is_far_better_than_a_guess(trained: TrainResult) -> None:
    vocabulary = len(set(tiny.TEXT)) + 2
    assert trained.scores["loss_nats"] < 0.3 * math.log(vocabulary)
    assert trained.scores["bits_per_char"] == pytest.approx(trained.scores["loss_nats"] / math.log(2))
    assert trained.scores["unknown"] == 0
    assert trained.scores["tokens"] == round(len(tiny.TEXT) * 0.1)


def test_the_model_in_the_folder_is_the_one_that_was_scored(trained: TrainResult) -> None:
    model = elman.load(trained.run)
    tail = Document("valid", tiny.TEXT[-round(len(tiny.TEXT) * 0.1) :])
    assert model.evaluate(tail).loss_nats == trained.scores["loss_nats"]
    assert "".join(model.generate("", 300, temperature=0.8, seed=0)) == trained.sample
    assert model.parameter_count == trained.parameters


def test_a_test_text_is_scored_and_what_is_unknown_in_it_counted(trained: TrainResult) -> None:
    assert trained.test_scores is not None
    assert trained.test_scores["tokens"] == 31
    # "," "z" "b" "r" "!" stand nowhere in the training text.
    assert trained.test_scores["unknown"] == sum(c not in tiny.TEXT for c in "the cat sat on the log, zebra!\n")
    assert trained.to_dict()["test_loss_nats"] == trained.test_scores["loss_nats"]


def test_every_line_of_the_metrics_is_an_object_with_finite_numbers(trained: TrainResult) -> None:
    lines = [json.loads(line) for line in (trained.run / METRICS).read_text(encoding="utf-8").splitlines()]
    keys = {
        "train": {"loss_nats", "learning_rate", "gradient_norm", "tokens_per_second"},
        "valid": {"loss_nats", "bits_per_char", "perplexity", "tokens", "unknown"},
    }
    assert {line["kind"] for line in lines} == set(keys)
    for line in lines:
        assert set(line) == {"kind", "step", "seconds"} | keys[line["kind"]]
        assert all(math.isfinite(value) for value in line.values() if not isinstance(value, str))
    steps = [line["step"] for line in lines]
    assert steps == sorted(steps)
    assert [line["step"] for line in lines if line["kind"] == "valid"] == [38, 75, 113, 150]
    assert min(line["loss_nats"] for line in lines if line["kind"] == "valid") == pytest.approx(
        trained.scores["loss_nats"], rel=1e-6
    )


def test_tensorboard_reads_the_events(trained: TrainResult) -> None:
    with warnings.catch_warnings():
        # TensorBoard's own reader: what it warns of is not ours.
        warnings.simplefilter("ignore", DeprecationWarning)
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        events = EventAccumulator(str(trained.run))
        events.Reload()
    assert {"train/loss_nats", "valid/loss_nats", "valid/bits_per_char"} <= set(events.Tags()["scalars"])
    lines = [line for line in read_metrics(trained.run) if line["kind"] == "valid"]
    scalars = events.Scalars("valid/loss_nats")
    assert [scalar.step for scalar in scalars] == [line["step"] for line in lines]
    assert [scalar.value for scalar in scalars] == pytest.approx([line["loss_nats"] for line in lines], rel=1e-6)


def test_the_curves_are_a_picture(trained: TrainResult) -> None:
    data = (trained.run / "curves.png").read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", data[16:24])
    assert width > 400
    assert height > 200


def test_the_result_s_dictionary_has_the_stable_names(trained: TrainResult) -> None:
    names = {"loss_nats", "bits_per_char", "perplexity", "tokens", "parameters", "seconds", "tokens_per_second", "run"}
    assert names <= set(trained.to_dict())
    json.dumps(trained.to_dict())
    assert trained.trained_tokens == trained.to_dict()["trained_tokens"] <= 150 * 4 * 16


def test_the_caller_s_random_numbers_go_on_as_if_nothing_had_happened(run: Run) -> None:
    before = torch.get_rng_state()
    run("r", steps=2)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_same_seed_gives_the_same_model_and_another_another(run: Run) -> None:
    models = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        # Whatever the caller's own generator stands at.
        torch.manual_seed(len(models))
        models.append((run(name, seed=seed, steps=5).run / "model.safetensors").read_bytes())
    assert models[0] == models[1] != models[2]


def test_the_best_weights_are_the_model(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    script = iter([3.0, 2.0, 2.5, 2.6])
    scores = {"bits_per_char": 1.0, "perplexity": 1.0, "tokens": 1, "unknown": 0}
    monkeypatch.setattr(
        "elman.models.language_task.LanguageTask.validate", lambda _: {"loss_nats": next(script), **scores}
    )
    result = run("best", patience=0)
    best = result.run
    monkeypatch.undo()
    # What is scored and what writes the sample are those weights too, not the last ones.
    tail = Document("valid", tiny.TEXT[-result.scores["tokens"] :])
    assert elman.load(best).evaluate(tail).loss_nats == result.scores["loss_nats"]
    assert "".join(elman.load(best).generate("", 300, temperature=0.8, seed=0)) == result.sample
    seen: dict[int, bytes] = {}
    monkeypatch.setattr(loop.Trainer, "_validate", lambda trainer: keep(trainer, seen))
    run("all", patience=0)
    assert sorted(seen) == [10, 20, 30, 40]
    assert [step for step, weights in seen.items() if weights == (best / "model.safetensors").read_bytes()] == [20]


def keep(trainer: loop.Trainer, seen: dict[int, bytes]) -> None:
    trainer._keep_best()
    seen[trainer.progress.step] = (trainer.folder / "model.safetensors").read_bytes()


@pytest.mark.parametrize("kind", ["char", "byte", "word", "bpe"])
def test_the_vocabulary_is_that_of_the_training_text_only(run: Run, tmp_path: Path, kind: str) -> None:
    (tmp_path / "valid.txt").write_text("the zebra sat.\n", encoding="utf-8")
    result = run("r", steps=2, tokenizer=kind, valid=str(tmp_path / "valid.txt"))
    model = elman.load(result.run)
    unknown = {"char": ["z", "b", "r"], "word": ["zebra", "sat."]}.get(kind, [])
    assert result.scores["unknown"] == len(unknown)
    assert model.tokenizer.unknown_in("the zebra sat.\n") == unknown


def test_documents_are_taken_as_they_are_and_can_go_on(tmp_path: Path) -> None:
    halves = [Document("one", tiny.TEXT[:1000]), Document("two", tiny.TEXT[1000:])]
    result = elman.train(halves, out=tmp_path / "r", quiet=True, **tiny.OPTIONS)
    assert elman.train(resume=result.run, steps=50, quiet=True).steps == 50


def test_without_a_name_the_next_free_folder_is_taken(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    runs = [elman.train(text, quiet=True, **{**tiny.OPTIONS, "steps": 1}).run for _ in range(2)]
    assert runs == [Path("runs/lm-1"), Path("runs/lm-2")]


@pytest.mark.parametrize("name", ["运行", "a$b$c", "r_{x}^2", "with space"])
def test_a_folder_may_have_any_name(run: Run, name: str) -> None:
    assert (run(name, steps=1).run / "curves.png").is_file()


def test_an_existing_run_is_refused_and_stays_as_it_was(run: Run) -> None:
    folder = run("r", steps=1).run
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(RunError, match=r"r exists.*--resume.*--overwrite.*--out"):
        run("r", steps=2)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_an_overwritten_run_is_lost_only_once_the_new_one_can_begin(run: Run, tmp_path: Path) -> None:
    folder = run("r", steps=1).run
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    for wrong in ({"cell": "rnn"}, {"bptt": 10**6}, {"valid": str(tmp_path / "none")}, {"colour": "red"}):
        with pytest.raises(ElmanError):
            run("r", overwrite=True, **wrong)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert run("r", overwrite=True, steps=3).steps == 3
    assert {line["step"] for line in read_metrics(folder)} == {1, 2, 3}


@pytest.mark.parametrize("what", ["file", "folder"])
def test_what_is_no_run_is_never_overwritten(run: Run, tmp_path: Path, what: str) -> None:
    mine = tmp_path / "mine" if what == "file" else tmp_path / "mine" / "thesis.tex"
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("years of work")
    with pytest.raises(RunError, match="exists"):
        run("mine")
    with pytest.raises(RunError, match="will not delete it"):
        run("mine", overwrite=True)
    assert mine.read_text() == "years of work"


def test_a_text_within_the_run_that_is_to_be_overwritten_is_not_deleted(run: Run) -> None:
    folder = run("r", steps=1).run
    text = folder / "standard-input.txt"
    text.write_text(tiny.TEXT)
    with pytest.raises(RunError):
        elman.train(text, out=folder, overwrite=True, quiet=True, **tiny.OPTIONS)
    assert text.read_text() == tiny.TEXT


def test_bad_input_leaves_no_folder_behind(run: Run, tmp_path: Path) -> None:
    wrongs: list[dict[str, Any]] = [
        {"bptt": 5000},
        {"valid": str(tmp_path / "none.txt")},
        {"test": str(tmp_path / "none.txt")},
        {"hidden": -1},
        {"encoding": "klingon"},
        {"tokenizer": "bpe", "vocabulary": 10},
        {"seed": 2**64},
        {"valid_fraction": 1e-9},
    ]
    for wrong in wrongs:
        with pytest.raises((DataError, OptionError)):
            run("r", **wrong)
        assert not (tmp_path / "r").exists(), wrong


def test_a_validation_text_without_a_token_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    text = Document("blank at the end", tiny.TEXT + " " * 2000)
    with pytest.raises(DataError):
        elman.train(text, out=tmp_path / "r", quiet=True, **tiny.OPTIONS, tokenizer="word")
    assert not (tmp_path / "r").exists()


def test_an_unknown_option_is_refused_with_the_nearest_known_one(run: Run) -> None:
    with pytest.raises(OptionError, match="did you mean 'hidden'"):
        run("r", hiden=3)


@pytest.mark.parametrize("what", ["metrics", "curves"])
def test_a_disk_that_fills_under_a_log_is_an_error_of_ours_and_the_checkpoint_stands(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    def no_room(path: Path) -> None:
        with monkeypatch.context() as context:
            context.setattr("os.fsync", full)
            write_atomically(path, b"")

    if what == "metrics":
        opened = Path.open
        monkeypatch.setattr(
            Path,
            "open",
            lambda path, mode="r", *rest, **named: full() if mode == "a" else opened(path, mode, *rest, **named),
        )
    else:
        monkeypatch.setattr("elman.training.curves.write_atomically", lambda path, _: no_room(path))
    with pytest.raises(RunError, match="No space left"):
        run("r")
    monkeypatch.undo()
    assert elman.train(resume=tmp_path / "r", quiet=True).steps == 40


def test_a_log_is_kept_to_the_step_that_a_run_goes_on_from(tmp_path: Path) -> None:
    lines = [{"kind": "train", "step": step, "seconds": 0.1} for step in (10, 20, 30)]
    (tmp_path / METRICS).write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"kind": "tra')
    MetricsLog(tmp_path, 20)
    assert read_metrics(tmp_path) == lines[:2]
    assert (tmp_path / METRICS).read_text().endswith("}\n")
