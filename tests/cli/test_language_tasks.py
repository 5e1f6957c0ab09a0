"""Classify, tag and translate from a file to an answer, as a user does it; and what is refused, by file and line."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
import tiny
from tiny import call

Capture = pytest.CaptureFixture[str]

REVIEWS = "text,label\n" + "".join(
    f'"{word} {thing}, really",{label}\n'
    for label, words in {"good": ("fine", "great", "lovely"), "bad": ("poor", "awful", "dull")}.items()
    for word in words
    for thing in ("film", "book", "play", "song", "day", "meal")
)
SENTENCES = "".join(
    f"{name} B-PER\nsaw O\n{place} B-LOC\n{place}s I-LOC\n. O\n\n"
    for name in ("Ada", "Bo", "Cem", "Dai")
    for place in ("Ulm", "Bern", "Fez", "Oslo", "Rome")
)
NUMBERS = {"one": "eins", "two": "zwei", "three": "drei", "four": "vier"}
PAIRS = [(f"{a} and {b}", f"{x} und {y}") for a, x in NUMBERS.items() for b, y in NUMBERS.items()]
SMALL = tiny.as_flags({"hidden": 8, "embedding": 8, "steps": 4, "validations": 2, "batch-tokens": 64, "device": "cpu"})

DATA: dict[str, dict[str, str]] = {
    "classify": {"reviews.csv": REVIEWS},
    "tag": {"train.conll": SENTENCES},
    "translate": {
        "train.en": "".join(f"{source}\n" for source, _ in PAIRS),
        "train.de": "".join(f"{target}\n" for _, target in PAIRS),
    },
}
SCORES = {
    "classify": {"accuracy", "macro_f1", "loss_nats"},
    "tag": {"accuracy", "entity_f1", "loss_nats"},
    "translate": {"bleu", "chrf", "exact", "loss_nats"},
}
EACH_TASK = pytest.mark.parametrize("task", DATA)


def write(folder: Path, files: dict[str, str]) -> list[Path]:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in files]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run of each task, trained a little. Not to be written to."""
    folder = tmp_path_factory.mktemp("runs")
    for task, files in DATA.items():
        paths = write(folder / task, files)
        assert call("train", *paths, "--test-fraction", "0.2", "--out", folder / f"{task}-run", "-q", *SMALL) == 0
    return {task: folder / f"{task}-run" for task in DATA}


def output(capsys: Capture, *arguments: Any) -> str:
    capsys.readouterr()
    assert call(*arguments) == 0
    return capsys.readouterr().out


@EACH_TASK
def test_data_is_recognised_and_the_reason_is_said(task: str, tmp_path: Path, capsys: Capture) -> None:
    paths = write(tmp_path / "data", DATA[task])
    assert call("train", *paths, "--out", tmp_path / "run", "--json", *SMALL) == 0
    out, err = capsys.readouterr()
    assert f"task: {task}. " in err
    assert paths[0].name in err.splitlines()[0]
    result = json.loads(out.splitlines()[-1])
    assert result["task"] == task
    assert set(result) >= SCORES[task] | {f"baseline_{name}" for name in SCORES[task] - {"loss_nats"}}


@EACH_TASK
def test_scores_stand_beside_the_baseline_s_for_each_part(task: str, runs: dict[str, Path], capsys: Capture) -> None:
    config = json.loads((runs[task] / "config.json").read_text(encoding="utf-8"))
    assert config["task"] == task
    scores = config["training"]["scores"]
    # Options of other tasks are not noted: they did nothing.
    assert ("pooling" in config["training"]["options"]) == (task == "classify")
    assert "bptt" not in config["training"]["options"]
    assert set(scores) >= {f"{part}{name}" for part in ("", "test_") for name in SCORES[task]}
    told = output(capsys, "info", runs[task])
    for part in ("recurrent", "validation", "test", "parameters"):
        assert f"  {part} " in told


@EACH_TASK
def test_evaluate_gives_what_a_python_user_gets(task: str, runs: dict[str, Path], capsys: Capture) -> None:
    import elman

    paths = [runs[task].parent / task / name for name in DATA[task]]
    scores = json.loads(output(capsys, "evaluate", runs[task], *paths, "--json").splitlines()[-1])
    for name, value in elman.load(runs[task]).evaluate(paths).to_dict().items():
        assert scores[name] == pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize(
    ("task", "line", "key"),
    [
        ("classify", "a fine 电影 😀", "label"),
        ("tag", "Ada saw 东京", "tags"),
        ("translate", "one and two", "translation"),
    ],
)
def test_predict_answers_each_line_of_a_text_in_every_form(
    task: str, line: str, key: str, runs: dict[str, Path], tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "in.txt").write_text(f"{line}\n\n{line}\n", encoding="utf-8")
    arguments = ("predict", runs[task], tmp_path / "in.txt", "--to")
    answers = [json.loads(found) for found in output(capsys, *arguments, "json").splitlines()]
    assert len(answers) == 3
    assert answers[0] == answers[2]
    assert key in answers[0]
    rows = list(csv.DictReader(io.StringIO(output(capsys, *arguments, "csv"))))
    assert len(rows) == 3
    value = answers[0][key]
    assert rows[0][key] == (" ".join(value) if isinstance(value, list) else value)
    assert output(capsys, *arguments, "table").splitlines()[0].endswith(f"\t{line}")


def test_probabilities_of_all_classes_are_given_and_sum_to_one(
    runs: dict[str, Path], tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "in.txt").write_text("fine\n", encoding="utf-8")
    answer = json.loads(output(capsys, "predict", runs["classify"], tmp_path / "in.txt", "--to", "json"))
    assert set(answer["probabilities"]) == {"good", "bad"}
    assert sum(answer["probabilities"].values()) == pytest.approx(1)
    assert answer["probability"] == answer["probabilities"][answer["label"]]


def test_answers_come_while_more_is_being_typed(runs: dict[str, Path], tmp_path: Path) -> None:
    import subprocess
    import sys

    command = [sys.executable, "-m", "elman", "predict", str(runs["classify"]), "--to", "json"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=tiny.environment(), cwd=tmp_path
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for text in ("a fine film", "a dull book"):
            process.stdin.write(f"{text}\n")
            process.stdin.flush()
            # The next line is typed after this answer alone.
            assert json.loads(process.stdout.readline())["text"] == text
        process.stdin.close()
        assert process.wait(timeout=60) == 0


BAD: dict[str, tuple[str, dict[str, str], tuple[str, ...], tuple[str, ...]]] = {
    "one class only": ("classify", {"a.csv": "text,label\nx,good\ny,good\nz,good\n"}, (), ("a.csv", "good")),
    "no such column": ("classify", {"a.csv": REVIEWS}, ("--label", "stars"), ("'stars'", "text", "label")),
    "free text for a label": (
        "classify",
        {"a.csv": "text,label\n" + "".join(f"a{n},some words {n}\n" for n in range(80))},
        (),
        ("free text", "--label"),
    ),
    "a label of the test part alone": (
        "classify",
        {"a.csv": REVIEWS, "test.csv": "text,label\nx,good\ny,splendid\n"},
        ("--test", "test.csv"),
        ("test.csv, line 3", "'splendid'", "bad, good"),
    ),
    "a bad row, strictly": (
        "classify",
        {"a.csv": REVIEWS + ",good\n"},
        ("--strict",),
        ("a.csv, line 38", "text is empty"),
    ),
    "an option of another task": ("classify", {"a.csv": REVIEWS}, ("--bptt", "8"), ("--bptt 8", "only for lm")),
    "a line with too few columns, strictly": (
        "tag",
        {"a.conll": SENTENCES + "alone\n"},
        ("--strict",),
        ("a.conll, line 121",),
    ),
    "a broken scheme, strictly": (
        "tag",
        {"a.conll": SENTENCES + "Ada B-PER\nsaw O\nUlm I-LOC\n"},
        ("--strict",),
        ("a.conll, line 12", "I-LOC", "follows O"),
    ),
    "a tag of the validation part alone": (
        "tag",
        {"a.conll": SENTENCES, "valid.conll": "Ada B-ORG\n"},
        ("--valid", "valid.conll"),
        ("valid.conll, line 1", "'B-ORG'"),
    ),
    "unequal numbers of lines": (
        "translate",
        {"a.en": "one\ntwo\nthree\n", "a.de": "eins\nzwei\n"},
        (),
        ("a.en", "3", "a.de", "2"),
    ),
    "nothing to learn from": ("translate", {"a.csv": "a,b\n"}, (), ("none can be held out", "--valid")),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_data_is_refused_by_file_and_line_and_leaves_nothing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    task, files, flags, says = BAD[name]
    write(tmp_path, files)
    monkeypatch.chdir(tmp_path)
    data = [file for file in files if file.startswith("a.")]
    assert call("train", *data, "--task", task, "--out", "run", *flags, *SMALL) == 2
    out, err = capsys.readouterr()
    assert out == ""
    flat = " ".join(err.replace("│", " ").split())
    for part in says:
        assert part in flat, err
    assert not (tmp_path / "run").exists()


def test_one_bad_row_among_many_is_skipped_counted_and_named(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "a.csv"
    path.write_text(REVIEWS + ",good\n" + "x" * 1_000_001 + ",bad\n", encoding="utf-8")
    assert call("train", path, "--out", tmp_path / "run", *SMALL) == 0
    said = capsys.readouterr().err
    assert "2 bad rows were skipped" in said
    assert "a.csv, line 38: its text is empty" in said
    assert "--strict" in said


def test_bad_rows_are_named_when_a_model_is_scored_and_answers_too(
    runs: dict[str, Path], tmp_path: Path, capsys: Capture
) -> None:
    path = tmp_path / "new.csv"
    path.write_bytes(b"text,label\nfine,good\n\xff\xfe,bad\ndull,bad\n")
    for command in ("evaluate", "predict"):
        capsys.readouterr()
        assert call(command, runs["classify"], path) == 0
        out, err = capsys.readouterr()
        assert "1 bad row was skipped" in err
        assert "new.csv, line 3" in err
        assert "over 2 examples" in out if command == "evaluate" else len(out.splitlines()) == 2
        assert call(command, runs["classify"], path, "--strict") == 2
        assert "new.csv, line 3" in capsys.readouterr().err


def test_a_label_that_the_model_does_not_know_is_named_at_evaluation(
    runs: dict[str, Path], tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "new.csv").write_text("text,label\nfine,good\nso so,middling\n", encoding="utf-8")
    assert call("evaluate", runs["classify"], tmp_path / "new.csv") == 2
    assert "new.csv, line 3: the label 'middling'" in capsys.readouterr().err


def test_what_a_model_can_not_do_is_said_with_what_can(runs: dict[str, Path], model: Path, capsys: Capture) -> None:
    assert call("generate", runs["classify"]) == 2
    assert "elman predict" in capsys.readouterr().err
    assert call("predict", model) == 2
    assert "elman generate" in capsys.readouterr().err
    assert call("evaluate", model, model, "--label", "x") == 2
    assert "--label is nothing for a language model" in capsys.readouterr().err


@EACH_TASK
def test_a_run_that_goes_on_ends_where_an_undisturbed_one_does(
    task: str, tmp_path: Path, capsys: Capture, interrupted_at: Any
) -> None:
    """Stopped after three updates by a budget, gone on with by a longer one: a checkpoint holds all that a step depends on."""
    paths = write(tmp_path / "data", DATA[task])
    flags = [*SMALL, "--averaging", "0.9", "--warmup", "0"]
    flags[flags.index("--steps") + 1] = "6"
    assert call("train", *paths, "--out", tmp_path / "whole", "--json", "-q", *flags) == 0
    whole = json.loads(capsys.readouterr().out.splitlines()[-1])
    with interrupted_at(2):
        assert call("train", *paths, "--out", tmp_path / "cut", "-q", *flags) == 128 + 15
    capsys.readouterr()
    assert call("train", "--resume", tmp_path / "cut", "--json", "-q") == 0
    again = json.loads(capsys.readouterr().out.splitlines()[-1])
    for name in SCORES[task] | {"steps"}:
        assert again[name] == whole[name]
