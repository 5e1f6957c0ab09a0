"""Resuming: a run that was stopped anywhere and goes on ends bit for bit as one that was left alone."""

import json
import math
import signal
from pathlib import Path
from typing import Any

import pytest
import safetensors
import safetensors.torch
import tiny
import torch
from tiny import Run, file_size_limit

import elman
from elman.errors import (
    DataError,
    ModelFolderError,
    OptionError,
    RunError,
    TrainingDivergedError,
    TrainingInterruptedError,
)
from elman.models.language_task import LanguageTask
from elman.models.options import flag
from elman.training import checkpoint, loop
from elman.training.logs import read_metrics
from elman.training.loop import Trainer

CHECKPOINT, MODEL = checkpoint.NAME, "model.safetensors"


@pytest.fixture(autouse=True)
def a_line_each_step_and_no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "_SECONDS_BETWEEN_REPORTS", -1.0)
    # Half the time of a run this small, and no part of what is tested here.
    monkeypatch.setattr("elman.training.run.draw_curves", lambda _: None)
    monkeypatch.setattr("elman.models.language_task._SAMPLE_TOKENS", 10)


def stop_at(steps: set[int], monkeypatch: pytest.MonkeyPatch, number: int = signal.SIGINT) -> None:
    """A signal arrives while each of these steps is computed."""
    real = Trainer.step

    def step(trainer: Trainer, fraction: float) -> loop.Update:
        update = real(trainer, fraction)
        if trainer.progress.step in steps:
            steps.discard(trainer.progress.step)
            signal.raise_signal(number)
        return update

    monkeypatch.setattr(Trainer, "step", step)


def held(folder: Path) -> dict[str, Any]:
    """All that must be equal at the end of two equal runs."""
    with safetensors.safe_open(folder / CHECKPOINT, framework="pt") as file:
        progress = json.loads(file.metadata()["progress"])
    tensors = safetensors.torch.load_file(folder / CHECKPOINT)
    timing = ("seconds", "tokens_per_second")
    return {
        "model": (folder / MODEL).read_bytes(),
        "tensors": {name: tensor.numpy().tobytes() for name, tensor in sorted(tensors.items())},
        "progress": {name: value for name, value in progress.items() if name != "seconds"},
        "metrics": [{k: v for k, v in line.items() if k not in timing} for line in read_metrics(folder)],
    }


NETWORKS = [
    {"cell": "elman", "dropout": 0.3, "averaging": 0.9},
    {"cell": "lstm", "dropout": 0.3, "layers": 2},
    {"cell": "gru", "dropout": 0.2, "tie": True},
    {"cell": "lstm", "dropout": 0.3, "precision": "bf16", "engine": "reference", "tokenizer": "bpe", "vocabulary": 270},
    # States of several sizes, and masks that training draws.
    {
        "cell": "lstm",
        "layers": 2,
        "cell_options": {"projection_size": 5, "zoneout": (0.1, 0.2), "recurrent_dropout": 0.2},
        "layer_options": {"recompute": True},
    },
    {"cell": "gru", "cell_options": {"reset_after": False, "layer_norm": True, "variational_dropout": 0.3}},
]


@pytest.mark.parametrize("network", NETWORKS, ids=str)
def test_a_run_that_was_stopped_ends_as_one_that_was_not(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: dict[str, Any]
) -> None:
    options = {**network, "steps": 60, "bptt": 12}
    wanted = held(run("whole", **options).run)
    # At the first step, amid an epoch, before, at and after a validation, and before the last step.
    for stops in ({1}, {15, 29}, {31, 32, 59}):
        folder = tmp_path / f"stopped at {stops}"
        with monkeypatch.context() as patch:
            stop_at(stops, patch)
            with pytest.raises(TrainingInterruptedError) as caught:
                run(folder.name, **options)
            assert caught.value.exit_code == 130
            assert f"--resume {folder}" in str(caught.value)
            while stops:
                with pytest.raises(TrainingInterruptedError):
                    elman.train(resume=folder, quiet=True)
                # What the caller draws between two starts changes nothing.
                torch.rand(7)
        assert elman.train(resume=folder, quiet=True).steps == 60
        ours = held(folder)
        for name, value in wanted.items():
            assert ours[name] == value, (name, folder.name)


def test_a_resumed_run_that_forgot_its_state_would_be_seen(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = held(run("whole").run)
    stop_at({15}, monkeypatch)
    with pytest.raises(TrainingInterruptedError):
        run("cut")
    tensors = safetensors.torch.load_file(tmp_path / "cut" / CHECKPOINT)
    with safetensors.safe_open(tmp_path / "cut" / CHECKPOINT, framework="pt") as file:
        metadata = file.metadata()
    for name in tensors:
        if name.startswith("carried."):
            tensors[name].zero_()
    (tmp_path / "cut" / CHECKPOINT).write_bytes(safetensors.torch.save(tensors, metadata))
    elman.train(resume=tmp_path / "cut", quiet=True)
    assert held(tmp_path / "cut")["model"] != wanted["model"]


def test_sigterm_saves_too(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    stop_at({7}, monkeypatch, signal.SIGTERM)
    with pytest.raises(TrainingInterruptedError, match="stopped by SIGTERM after step 7") as caught:
        run("r")
    assert caught.value.exit_code == 143
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers
    assert elman.train(resume=tmp_path / "r", quiet=True).steps == 40


def test_a_run_that_is_over_is_only_scored_again(run: Run) -> None:
    first = run("r")
    before = held(first.run)
    again = elman.train(resume=first.run, quiet=True)
    assert (again.scores, again.sample, again.steps) == (first.scores, first.sample, 40)
    assert held(first.run) == before


def test_a_run_that_stopped_early_is_over(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    script = iter([3.0, 3.1, 3.2, 3.3])
    scores = {"bits_per_char": 1.0, "perplexity": 1.0, "tokens": 1, "unknown": 0}
    monkeypatch.setattr(LanguageTask, "validate", lambda _: {"loss_nats": next(script), **scores})
    first = run("r", patience=2)
    assert first.steps == 30
    assert elman.train(resume=first.run, quiet=True).steps == 30


def test_a_longer_budget_goes_on_and_validates(run: Run) -> None:
    folder = run("r").run
    result = elman.train(resume=folder, quiet=True, steps=80)
    assert result.steps == 80
    assert [line["step"] for line in read_metrics(folder) if line["kind"] == "valid"] == [10, 20, 30, 40, 60, 80]
    assert elman.train(resume=folder, quiet=True).steps == 80


def test_a_longer_budget_outlives_a_kill_before_the_next_checkpoint(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that had stopped early goes on with a new budget; killed at once and resumed, it still goes on."""
    script = iter([3.0, 3.1, 3.2])
    scores = {"bits_per_char": 1.0, "perplexity": 1.0, "tokens": 1, "unknown": 0}
    monkeypatch.setattr(LanguageTask, "validate", lambda _: {"loss_nats": next(script), **scores})
    folder = run("r", patience=2).run
    monkeypatch.undo()

    class KilledError(BaseException):
        pass

    def kill(*_: Any) -> None:
        raise KilledError

    monkeypatch.setattr(Trainer, "step", kill)
    with pytest.raises(KilledError):
        elman.train(resume=folder, quiet=True, steps=200)
    monkeypatch.undo()
    assert elman.train(resume=folder, quiet=True).steps > 30


def test_a_budget_of_none_leaves_the_run_s_own(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = run("r", steps=3).run

    def never(*_: Any) -> None:
        raise AssertionError("the run was over: it must not take another step")

    monkeypatch.setattr(Trainer, "step", never)
    assert elman.train(resume=folder, quiet=True, steps=None, minutes=None).steps == 3
    assert json.loads((folder / "config.json").read_text())["training"]["options"]["steps"] == 3


@pytest.mark.parametrize(
    "given",
    [
        {"lr": 0.1},
        {"hidden": 32},
        {"seed": 0},
        {"tokenizer": "word"},
        {"batch": 4},
        {"precision": "bf16"},
        {"cell_options": {"peepholes": True}},
    ],
    ids=str,
)
def test_what_decides_the_result_can_not_change(run: Run, given: dict[str, Any]) -> None:
    folder = run("r", steps=1).run
    before = held(folder), (folder / "config.json").read_bytes()
    with pytest.raises(OptionError, match=f"{flag(next(iter(given)))} can't change"):
        elman.train(resume=folder, quiet=True, **given)
    assert (held(folder), (folder / "config.json").read_bytes()) == before


def test_data_and_a_folder_are_those_of_the_run(run: Run, text: Path, tmp_path: Path) -> None:
    folder = run("r", steps=1).run
    for call in (
        lambda: elman.train(text, resume=folder),
        lambda: elman.train(resume=folder, out=tmp_path / "other"),
        lambda: elman.train(resume=folder, overwrite=True),
    ):
        with pytest.raises(OptionError, match="its own data and folder"):
            call()


@pytest.mark.parametrize("change", ["one_letter", "longer", "gone", "validation"])
def test_data_that_changed_since_is_refused(run: Run, text: Path, tmp_path: Path, change: str) -> None:
    valid = tmp_path / "valid.txt"
    valid.write_text("the cat sat.\n")
    folder = run("r", valid=str(valid)).run
    before = held(folder)
    if change == "gone":
        text.unlink()
    elif change == "validation":
        valid.write_text("the cat sat!\n")
    else:
        text.write_text(tiny.TEXT.replace("cat", "dog", 1) if change == "one_letter" else tiny.TEXT * 2)
    with pytest.raises(
        DataError if change == "gone" else RunError, match="text.txt" if change == "gone" else "changed"
    ):
        elman.train(resume=folder, quiet=True, steps=50)
    assert held(folder) == before


def test_what_is_no_run_is_refused(tmp_path: Path, run: Run) -> None:
    with pytest.raises(ModelFolderError, match="is not a folder"):
        elman.train(resume=tmp_path / "nowhere", quiet=True)
    folder = run("r", steps=1).run
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "training": {}}))
    with pytest.raises(RunError, match=r"config\.json doesn't say how the run was made"):
        elman.train(resume=folder, quiet=True)


def test_a_disk_that_fills_during_a_checkpoint_loses_nothing(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = held(run("whole").run)
    stop_at({15}, monkeypatch)
    with pytest.raises(TrainingInterruptedError):
        run("r")
    folder = tmp_path / "r"
    before = (folder / CHECKPOINT).read_bytes()
    names = {path.name for path in folder.iterdir()}
    # The model has room, the checkpoint has not.
    with (
        file_size_limit((len(before) + (folder / MODEL).stat().st_size) // 2),
        pytest.raises(RunError, match=rf"{CHECKPOINT} could not be written.*is whole.*[Ff]ree some space"),
    ):
        elman.train(resume=folder, quiet=True)
    assert (folder / CHECKPOINT).read_bytes() == before
    assert {name for name in {path.name for path in folder.iterdir()} - names if not name.startswith("events")} == set()
    elman.train(resume=folder, quiet=True)
    assert held(folder) == wanted


def test_a_run_that_diverged_goes_on_from_its_last_good_checkpoint(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = held(run("whole").run)
    calls = iter(range(1000))
    real = LanguageTask.loss

    def loss(task: LanguageTask, batch: Any, state: Any) -> Any:
        value, after = real(task, batch, state)
        return value * (math.nan if next(calls) == 25 else 1), after

    monkeypatch.setattr(LanguageTask, "loss", loss)
    with pytest.raises(TrainingDivergedError):
        run("r")
    assert elman.load(tmp_path / "r").generate("the", 3)
    elman.train(resume=tmp_path / "r", quiet=True)
    assert held(tmp_path / "r") == wanted


def test_a_rate_that_is_far_too_high_diverges_and_says_so(run: Run) -> None:
    with pytest.raises(TrainingDivergedError, match=r"diverged at step \d+.*lower --lr"):
        run("r", lr=1e38)


def test_what_a_killed_run_was_writing_is_cleared_away(run: Run) -> None:
    folder = run("r", steps=1).run
    # What SIGKILL leaves between the writing of a file and its renaming.
    (folder / f".{CHECKPOINT}.12345.tmp").write_bytes(b"half")
    elman.train(resume=folder, quiet=True)
    assert not list(folder.glob(".*"))
