"""Transcribe and tag sound from files to answers, as a user does it; and what is refused, by file and line."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from tiny import call

pytest.importorskip("soundfile")
pytest.importorskip("soxr")
pytest.importorskip("kaldi_native_fbank")

import sounds

Capture = pytest.CaptureFixture[str]

HERTZ = {"a": 300, "b": 800, "c": 2000}
SMALL = tiny.as_flags({"hidden": 24, "embedding": 16, "layers": 1, "mels": 20, "batch-tokens": 400, "device": "cpu"})
BRIEF = [*SMALL, *tiny.as_flags({"steps": 3, "validations": 1})]


def melody(seed: int) -> tuple[str, list[tuple[float, float, str]], np.ndarray]:
    """Tones with gaps: their names, when each is heard, and the samples."""
    generator = np.random.default_rng(seed)
    names = generator.choice(list(HERTZ), generator.integers(1, 4))
    parts, times, at = [sounds.noise(800, seed, 0.003)], [], 0.1
    for name in names:
        times.append((round(at, 3), round(at + 0.15, 3), str(name)))
        parts += [sounds.tone(0.15, HERTZ[str(name)]), sounds.noise(800, seed + 1, 0.003)]
        at += 0.25
    return "".join(names), times, np.concatenate(parts)


def make(folder: Path, first: int, count: int, name: str) -> None:
    """Tables of texts and of events over the same sounds."""
    texts, events = ["path,text,who"], ["path,start,end,label"]
    for number in range(first, first + count):
        text, times, samples = melody(number)
        sounds.write(folder / "wav" / f"{number}.wav", samples)
        texts.append(f"wav/{number}.wav,{text},{number % 7}")
        events += [f"wav/{number}.wav,{start},{end},{label}" for start, end, label in times]
    (folder / f"{name}-text.csv").write_text("\n".join(texts) + "\n", encoding="utf-8")
    (folder / f"{name}-events.csv").write_text("\n".join(events) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sounds and tables. Not to be written to."""
    folder = tmp_path_factory.mktemp("data")
    make(folder, 0, 60, "train")
    make(folder, 100, 12, "test")
    return folder


TASKS = {"transcribe": "text", "tag-sound": "events"}
EACH_TASK = pytest.mark.parametrize("task", TASKS)


@pytest.fixture(scope="module")
def runs(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run of each task, that has learnt its tones. Not to be written to."""
    folder = tmp_path_factory.mktemp("runs")
    for task, kind in TASKS.items():
        arguments = [data / f"train-{kind}.csv", "--test", data / f"test-{kind}.csv", "--out", folder / task, "-q"]
        more = {"steps": 200, "stack": 5} if task == "transcribe" else {"steps": 120, "stack": 1}
        more |= {"validations": 2, "lr": 0.01, "warmup": 20, "dropout": 0.0, "time_mask": 0.0}
        assert call("train", *arguments, "--no-bidirectional", *SMALL, *tiny.as_flags(more)) == 0
    return {task: folder / task for task in TASKS}


def output(capsys: Capture, *arguments: Any) -> str:
    capsys.readouterr()
    assert call(*arguments) == 0
    return capsys.readouterr().out


def scores_of(run: Path) -> dict[str, float]:
    scores: dict[str, float] = json.loads((run / "config.json").read_text(encoding="utf-8"))["training"]["scores"]
    return scores


def test_tones_are_learnt(runs: dict[str, Path]) -> None:
    said, heard = scores_of(runs["transcribe"]), scores_of(runs["tag-sound"])
    assert said["test_cer"] < 0.1 < said["test_baseline_cer"]
    assert heard["test_accuracy"] > 0.95 > heard["test_baseline_accuracy"]
    assert heard["test_event_f1"] > 0.9 > heard["test_baseline_event_f1"]


@EACH_TASK
def test_sound_is_recognised_and_the_parts_of_the_network_are_said(
    task: str, data: Path, runs: dict[str, Path], tmp_path: Path, capsys: Capture
) -> None:
    assert call("train", data / f"train-{TASKS[task]}.csv", "--out", tmp_path / "run", *BRIEF) == 0
    err = capsys.readouterr().err
    assert f"task: {task}. " in err
    assert "table of sound files" in err.splitlines()[0]
    told = output(capsys, "info", runs[task])
    assert "8,000 samples a second, 20 bands every 10 ms" in told
    assert "as sound arrives" in told


@EACH_TASK
def test_evaluate_gives_the_scores_of_the_end_of_training(
    task: str, data: Path, runs: dict[str, Path], capsys: Capture
) -> None:
    found = output(capsys, "evaluate", runs[task], data / f"test-{TASKS[task]}.csv", "--json").splitlines()[-1]
    for name, value in json.loads(found).items():
        if f"test_{name}" in scores_of(runs[task]):
            assert value == pytest.approx(scores_of(runs[task])[f"test_{name}"], rel=1e-4)


def test_predict_transcribes_files_folders_and_tables(
    data: Path, runs: dict[str, Path], tmp_path: Path, capsys: Capture
) -> None:
    run, files = runs["transcribe"], [data / "wav" / f"{number}.wav" for number in (0, 1)]
    expected = [{"path": str(file), "text": melody(number)[0]} for number, file in enumerate(files)]
    arguments = ("--to", "json")
    assert [json.loads(line) for line in output(capsys, "predict", run, *files, *arguments).splitlines()] == expected
    assert output(capsys, "predict", run, files[0]) == f"{expected[0]['text']}\t{files[0]}\n"
    all_of_them = output(capsys, "predict", run, data / "wav", *arguments).splitlines()
    assert len(all_of_them) == 72
    assert expected[0] in map(json.loads, all_of_them)
    (tmp_path / "part.csv").write_text(f"name,start,end\n{files[0]},0.05,0.3\n", encoding="utf-8")
    (answer,) = map(json.loads, output(capsys, "predict", run, tmp_path / "part.csv", *arguments).splitlines())
    assert answer == {"path": str(files[0]), "start": 0.05, "end": 0.3, "text": melody(0)[0][0]}


def test_predict_tells_events(data: Path, runs: dict[str, Path], capsys: Capture) -> None:
    path = data / "wav" / "1.wav"
    answers = [
        json.loads(line) for line in output(capsys, "predict", runs["tag-sound"], path, "--to", "json").splitlines()
    ]
    assert [answer["label"] for answer in answers] == list(melody(1)[0])
    for answer, (start, end, _) in zip(answers, melody(1)[1], strict=True):
        assert answer["path"] == str(path)
        assert (answer["start"], answer["end"]) == pytest.approx((start, end), abs=0.06)
        assert 0.4 < answer["probability"] <= 1
    header, *lines = output(capsys, "predict", runs["tag-sound"], path, "--to", "csv").splitlines()
    assert header == "path,start,end,label,probability"
    assert len(lines) == len(answers)


class Input:
    """Standard input with these bytes."""

    def __init__(self, content: bytes) -> None:
        self.buffer = io.BytesIO(content)


@pytest.mark.parametrize("to", ["table", "json", "csv"])
def test_standard_input_is_transcribed_as_it_arrives(
    to: str, data: Path, runs: dict[str, Path], monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    text = melody(3)[0]
    assert len(text) > 1
    monkeypatch.setattr(sys, "stdin", Input((data / "wav" / "3.wav").read_bytes()))
    out = output(capsys, "predict", runs["transcribe"], "-", "--to", to)
    if to == "table":
        assert out == f"{text}\n"
    elif to == "json":
        answers = [json.loads(line) for line in out.splitlines()]
        assert [answer["text"] for answer in answers] == [*(text[:n] for n in range(1, len(text) + 1)), text]
        assert answers[-1]["final"]
    else:
        assert out.splitlines()[0] == "seconds,text,final"


def test_standard_input_is_tagged_as_it_arrives(
    data: Path, runs: dict[str, Path], monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    path = data / "wav" / "3.wav"
    expected = output(capsys, "predict", runs["tag-sound"], path).replace(str(path), "-")
    monkeypatch.setattr(sys, "stdin", Input(path.read_bytes()))
    assert output(capsys, "predict", runs["tag-sound"]) == expected
    monkeypatch.setattr(sys, "stdin", Input(b"no sound"))
    assert call("predict", runs["tag-sound"], "-") == 2
    assert "standard input is damaged, or no sound" in capsys.readouterr().err


def test_nothing_of_a_group_is_on_both_sides(data: Path) -> None:
    from elman.models.options import TrainOptions
    from elman.models.tasks import task_named

    facts = task_named("transcribe")
    options = TrainOptions(**facts.filled({"group": "who", "valid_fraction": 0.3, "test_fraction": 0.3}))
    parts = facts.kind.read([data / "train-text.csv"], options)
    groups = [{clip.group for clip in part} for part in (parts.train, parts.valid, parts.test)]
    assert all(groups)
    assert sum(map(len, groups)) == 7


def test_batches_are_a_function_of_the_step_alone(data: Path) -> None:
    from elman.models.options import TrainOptions
    from elman.models.tasks import task_named

    for task, kind in TASKS.items():
        facts = task_named(task)
        options = TrainOptions(**facts.filled({"batch_tokens": 200, "noise": 10.0, "shift": 0.01}))
        parts = facts.kind.read([data / f"train-{kind}.csv"], options)
        network = facts.kind.fit(parts, options)
        one, other = (facts.kind.task(parts, network, options) for _ in range(2))
        for step in (3, 0, 3):
            other.batch(step + 1)
            for ours, theirs in zip(one.batch(step), other.batch(step), strict=True):
                assert ours.equal(theirs)
        assert not one.batch(0)[0].equal(one.batch(len(one._buckets))[0])


def test_a_run_that_was_stopped_goes_on_bit_by_bit(data: Path, tmp_path: Path, interrupted_at: Any) -> None:
    arguments = [data / "train-events.csv", "-q", *SMALL, "--validations", "1", "--steps", "6"]
    assert call("train", *arguments, "--out", tmp_path / "whole") == 0
    with interrupted_at(2):
        assert call("train", *arguments, "--out", tmp_path / "cut") == 128 + 15
    assert call("train", "--resume", tmp_path / "cut", "-q") == 0
    whole, cut = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "cut"))
    assert whole == cut


@EACH_TASK
def test_a_bad_file_among_many_is_skipped_counted_and_named(
    task: str, data: Path, tmp_path: Path, capsys: Capture
) -> None:
    table = (data / f"train-{TASKS[task]}.csv").read_text(encoding="utf-8").replace("wav/", f"{data}/wav/")
    (tmp_path / "damaged.wav").write_text("this is no sound", encoding="utf-8")
    sounds.write(tmp_path / "silent.wav", np.zeros(4000))
    more = {"transcribe": "{},abc,1\n", "tag-sound": "{},0.1,0.2,a\n"}[task]
    (tmp_path / "t.csv").write_text(table + "".join(map(more.format, ("damaged.wav", "silent.wav", "none.wav"))))
    arguments = ("train", tmp_path / "t.csv", "--task", task, *BRIEF)
    assert call(*arguments, "--out", tmp_path / "run") == 0
    err = " ".join(capsys.readouterr().err.split())
    assert "3 bad rows were skipped" in err
    for wrong in ("damaged.wav is damaged, or no sound", "silent.wav is silent", "none.wav does not exist"):
        assert wrong in err
    assert call(*arguments, "--strict", "--out", tmp_path / "other") == 2
    assert "damaged.wav is damaged" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()


def refused(capsys: Capture, *arguments: Any) -> str:
    assert call(*arguments) == 2
    return " ".join(capsys.readouterr().err.split())


def test_texts_that_cant_be_said_or_written_are_bad_rows(data: Path, tmp_path: Path, capsys: Capture) -> None:
    table = (data / "train-text.csv").read_text(encoding="utf-8").replace("wav/", f"{data}/wav/")
    (tmp_path / "long.csv").write_text(table + f"{data}/wav/0.wav,{'abc' * 50},1\n", encoding="utf-8")
    assert call("train", tmp_path / "long.csv", "--out", tmp_path / "run", *BRIEF) == 0
    assert "needs 150 steps but" in " ".join(capsys.readouterr().err.split())
    (tmp_path / "v.csv").write_text(f"path,text\n{data}/wav/0.wav,abd\n{data}/wav/1.wav,abc\n", encoding="utf-8")
    arguments = ("train", data / "train-text.csv", "--valid", tmp_path / "v.csv", "--out", tmp_path / "run2", *BRIEF)
    assert call(*arguments) == 0
    assert "v.csv, line 2: its text has 'd', which the transcriber doesn't know" in " ".join(
        capsys.readouterr().err.split()
    )
    assert "line 2: its text has 'd'" in refused(capsys, *arguments, "--strict", "--overwrite")
    (tmp_path / "v.csv").write_text(f"path,text\n{data}/wav/0.wav,xyz\n", encoding="utf-8")
    assert "no text can be written" in refused(capsys, *arguments, "--overwrite")
    assert "has 'x', 'y', 'z', which the transcriber" in refused(
        capsys, "evaluate", tmp_path / "run", tmp_path / "v.csv", "--strict"
    )


def test_labels_that_were_not_learnt_are_said(
    data: Path, runs: dict[str, Path], tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "v.csv").write_text(f"path,start,end,label\n{data}/wav/0.wav,0.1,0.2,bell\n", encoding="utf-8")
    wrong = "the label 'bell' is not among those of the training part (none, a, b, c)"
    arguments = ("train", data / "train-events.csv", "--valid", tmp_path / "v.csv", "--out", tmp_path / "run", *BRIEF)
    assert wrong in refused(capsys, *arguments)
    assert wrong in refused(capsys, "evaluate", runs["tag-sound"], tmp_path / "v.csv")


def test_what_is_no_data_is_said(data: Path, runs: dict[str, Path], tmp_path: Path, capsys: Capture) -> None:
    run = runs["transcribe"]
    assert "give DATA, a table with paths" in refused(capsys, "train", "--task", "transcribe", "--out", tmp_path / "r")
    assert "give DATA, a table with paths" in refused(capsys, "train", "--task", "tag-sound", "--out", tmp_path / "r")
    sound = data / "wav" / "0.wav"
    assert "is sound without a label" in refused(
        capsys, "train", sound, "--task", "transcribe", "--out", tmp_path / "r"
    )
    assert "holds no table" in refused(capsys, "train", data / "wav", "--task", "tag-sound", "--out", tmp_path / "r")
    table = data / "train-text.csv"
    assert "has no column 'speech'" in refused(
        capsys, "train", table, "--text", "speech", "--out", tmp_path / "r", *BRIEF
    )
    assert "has no column 'speaker'" in refused(
        capsys, "train", table, "--group", "speaker", "--out", tmp_path / "r", *BRIEF
    )
    assert "mels=200 bands are too many" in refused(capsys, "train", table, "--out", tmp_path / "r", "--mels", "200")
    assert "does not exist" in refused(capsys, "predict", run, tmp_path / "none.wav", "--strict")
    assert "--pooling 'mean' is nothing for the task transcribe" in refused(
        capsys, "train", table, "--task", "transcribe", "--pooling", "mean"
    )
    (tmp_path / "empty.wav").write_bytes(b"")
    assert call("predict", run, tmp_path / "empty.wav", sound) == 0
    out, err = capsys.readouterr()
    assert melody(0)[0] in out
    assert "empty.wav: is empty" in " ".join(err.split())
