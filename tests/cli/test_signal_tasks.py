"""Classify series, sound and video from files to answers, as a user does it; and what is refused, by file and line."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import clips
import numpy as np
import pytest
import sounds
import tiny
from tiny import call

Capture = pytest.CaptureFixture[str]

SMALL = tiny.as_flags({"hidden": 8, "embedding": 8, "steps": 4, "validations": 2, "batch-tokens": 64, "device": "cpu"})


def series(folder: Path) -> Path:
    """A wave of one of two speeds each; a table with a row a step."""
    folder.mkdir(parents=True)
    rows = [
        f"{number},{step},{np.sin(step * (1 + number % 2)):.4f},{step % 3},{'fast' if number % 2 else 'slow'},p{number // 4}\n"
        for number in range(24)
        for step in range(6 + number % 3)
    ]
    (folder / "waves.csv").write_text("series,time,x,y,label,who\n" + "".join(rows), encoding="utf-8")
    return folder / "waves.csv"


def tones(folder: Path) -> Path:
    for number in range(12):
        for name, hertz in (("high", 880.0), ("low", 220.0)):
            sounds.write(folder / name / f"{number}.wav", sounds.tone(0.12 + 0.01 * (number % 3), hertz + number))
    return folder


def squares(folder: Path) -> Path:
    return clips.write_classes(folder, 8)


DATA: dict[str, Callable[[Path], Path]] = {
    "classify-series": series,
    "classify-sound": tones,
    "classify-video": squares,
}
MORE = {
    "classify-series": ["--stretch", "0.2", "--shift", "0.1"],
    "classify-sound": ["--noise", "20", "--mels", "20"],
    "classify-video": ["--frame-size", "16", "--channels", "2"],
}
EACH_TASK = pytest.mark.parametrize("task", DATA)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run of each task, trained a little, the task found out from the data. Not to be written to."""
    folder = tmp_path_factory.mktemp("runs")
    for task, make in DATA.items():
        data = make(folder / task)
        arguments = ("--test-fraction", "0.2", "--valid-fraction", "0.2", "--out", folder / f"{task}-run", "-q")
        assert call("train", data, *arguments, *MORE[task], *SMALL) == 0
    return {task: folder / f"{task}-run" for task in DATA}


def data_of(runs: dict[str, Path], task: str) -> Path:
    folder = runs[task].parent / task
    return folder / "waves.csv" if task == "classify-series" else folder


def output(capsys: Capture, *arguments: Any) -> str:
    capsys.readouterr()
    assert call(*arguments) == 0
    return capsys.readouterr().out


@EACH_TASK
def test_the_task_is_found_out_and_scores_stand_beside_the_baseline_s(
    task: str, runs: dict[str, Path], capsys: Capture
) -> None:
    config = json.loads((runs[task] / "config.json").read_text(encoding="utf-8"))
    assert config["task"] == task
    scores = config["training"]["scores"]
    names = ("accuracy", "macro_f1", "baseline_accuracy", "baseline_macro_f1")
    assert set(scores) >= {f"{part}{name}" for part in ("", "test_") for name in names}
    assert (runs[task] / "confusion-test.png").read_bytes()[:4] == b"\x89PNG"
    told = output(capsys, "info", runs[task])
    for part in (task.removeprefix("classify-"), "classes", "input layer", "recurrent", "validation", "test"):
        assert f"  {part} " in told


@EACH_TASK
def test_evaluate_gives_what_a_python_user_gets(task: str, runs: dict[str, Path], capsys: Capture) -> None:
    import elman

    data = data_of(runs, task)
    scores = json.loads(output(capsys, "evaluate", runs[task], data, "--json").splitlines()[-1])
    found = elman.load(runs[task]).evaluate(data).to_dict()
    assert scores["examples"] == found["examples"] > 10
    for name, value in found.items():
        assert scores[name] == pytest.approx(value, rel=1e-6)


def test_a_class_is_no_picture(runs: dict[str, Path], capsys: Capture) -> None:
    capsys.readouterr()
    task = "classify-series"
    assert call("predict", runs[task], data_of(runs, task), "--to", "picture") == 2
    assert "--to picture draws forecasts, but" in " ".join(capsys.readouterr().err.split())


@EACH_TASK
def test_predict_answers_each_in_every_form(task: str, runs: dict[str, Path], capsys: Capture) -> None:
    data = data_of(runs, task)
    count = {"classify-series": 24, "classify-sound": 24, "classify-video": 16}[task]
    answers = [json.loads(line) for line in output(capsys, "predict", runs[task], data, "--to", "json").splitlines()]
    assert len(answers) == count
    for answer in answers:
        assert sum(answer["probabilities"].values()) == pytest.approx(1)
        assert answer["probabilities"][answer["label"]] == answer["probability"]
    table = list(csv.reader(io.StringIO(output(capsys, "predict", runs[task], data, "--to", "csv"))))
    assert len(table) == count + 1
    assert [row[1] for row in table[1:]] == [answer["label"] for answer in answers]
    assert len(output(capsys, "predict", runs[task], data).splitlines()) == count


@pytest.mark.parametrize("task", ["classify-sound", "classify-video"])
def test_files_are_answered_by_name_in_a_table_or_line_by_line(
    task: str, runs: dict[str, Path], tmp_path: Path, capsys: Capture
) -> None:
    file = next(path for path in sorted(data_of(runs, task).rglob("*")) if path.is_file())
    alone = output(capsys, "predict", runs[task], file, "--to", "json")
    assert json.loads(alone)["path"] == str(file)
    (tmp_path / "a.csv").write_text(f"n,file\n1,{file}\n2,none.wav\n", encoding="utf-8")
    assert call("predict", runs[task], tmp_path / "a.csv", "--to", "json") == 0
    found = capsys.readouterr()
    assert json.loads(found.out)["label"] == json.loads(alone)["label"]
    assert "a.csv, line 3: " in found.err
    assert "does not exist" in found.err
    assert call("predict", runs[task], tmp_path / "a.csv", "--strict") == 2


def test_new_series_need_no_labels(runs: dict[str, Path], tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "new.csv"
    path.write_text("time,y,x,series\n" + "".join(f"{step},1,0.5,7\n" for step in range(5)), encoding="utf-8")
    answer = json.loads(output(capsys, "predict", runs["classify-series"], path, "--to", "json"))
    assert answer["series"] == "7"


def refused(capsys: Capture, *arguments: Any) -> str:
    capsys.readouterr()
    assert call("train", *arguments, *SMALL, "-q") == 2
    error = capsys.readouterr().err
    assert "Traceback" not in error
    return " ".join(error.split())


@pytest.mark.parametrize("task", ["classify-sound", "classify-video"])
def test_one_bad_file_among_many_is_skipped_and_strict_stops(task: str, tmp_path: Path, capsys: Capture) -> None:
    data = DATA[task](tmp_path / "data")
    bad = next(data.rglob("*3.*"))
    bad.write_bytes(b"nothing of the kind")
    assert call("train", data, "--out", tmp_path / "run", "--steps", "1", *SMALL[:4]) == 0
    assert f"1 bad row was skipped ({bad}: " in " ".join(capsys.readouterr().err.split())
    assert bad.name in refused(capsys, data, "--strict", "--out", tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_groups_stay_together(tmp_path: Path, capsys: Capture) -> None:
    data = series(tmp_path / "data")
    arguments = ("--group", "who", "--valid-fraction", "0.2", "--out", tmp_path / "run")
    assert call("train", data, *arguments, *SMALL) == 0
    err = capsys.readouterr().err
    assert "the group is column 'who'" in err
    # Whole groups of four series are held out.
    assert "20 to train on, 4 to validate" in err


def test_what_is_missing_is_an_error_until_it_is_said_how_to_fill_it(tmp_path: Path, capsys: Capture) -> None:
    data = series(tmp_path / "data")
    data.write_text(data.read_text(encoding="utf-8").replace("0,2,0.9093", "0,2,"), encoding="utf-8")
    error = refused(capsys, data, "--out", tmp_path / "run")
    assert "(series '0'): a value is missing or not finite (step 3, feature 1)" in error
    assert "--missing carry" in error
    assert call("train", data, "--missing", "carry", "--out", tmp_path / "run", "-q", *SMALL) == 0


@EACH_TASK
def test_a_run_that_was_stopped_goes_on_bit_by_bit(
    task: str, runs: dict[str, Path], tmp_path: Path, interrupted_at: Any
) -> None:
    """What training draws for a step follows from the step: a run of one piece and one of two end alike."""
    import safetensors.torch

    data = data_of(runs, task)
    sizes = tiny.as_flags({"hidden": 8, "embedding": 8, "validations": 2, "batch-tokens": 64, "device": "cpu"})
    arguments = (data, "--steps", "6", *MORE[task], *sizes, "--warmup", "0", "-q")
    assert call("train", *arguments, "--out", tmp_path / "whole") == 0
    with interrupted_at(2):
        assert call("train", *arguments, "--out", tmp_path / "parts") == 128 + 15
    assert call("train", "--resume", tmp_path / "parts", "-q") == 0
    whole, parts = (
        safetensors.torch.load_file(tmp_path / name / "checkpoint.safetensors") for name in ("whole", "parts")
    )
    assert whole.keys() == parts.keys()
    for name, tensor in whole.items():
        assert tensor.equal(parts[name]), name
