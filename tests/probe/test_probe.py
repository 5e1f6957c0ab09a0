"""Models of elman's, their runs' folders, the command line, and training are looked through."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch

import elman
from elman.errors import ProbeError
from elman.probe.training import glance
from elman.training.logs import read_metrics

_TABLE = "text,label\n" + "".join(f"the {n} cat sat on a mat,{'odd' if n % 2 else 'even'}\n" for n in range(60))
_TAGS = "".join(f"the DET\ncat{n} NOUN\nsat VERB\non ADP\nit PRON\n\n" for n in range(40))
_PAIRS = "en\tde\n" + "".join(f"the cat sat {n}\tdie katze sass {n}\n" for n in range(60))
_DATA = {
    "lm": ("text.txt", tiny.TEXT, {}),
    "classify": ("table.csv", _TABLE, {"pooling": "last"}),
    "tag": ("tags.txt", _TAGS, {"layers": 1}),
    "translate": ("pairs.tsv", _PAIRS, {"tokenizer": "byte", "layers": 2}),
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, Path]]:
    """A run of a task, made the first time it is asked for, and its data."""
    space, made = tmp_path_factory.mktemp("runs"), dict[str, tuple[Path, Path]]()

    def run(task: str) -> tuple[Path, Path]:
        if task not in made:
            name, text, options = _DATA[task]
            data = space / name
            data.write_text(text)
            sizes = {"hidden": 8, "embedding": 8, "steps": 3, "validations": 1, "device": "cpu", "dropout": 0.0}
            sizes |= {"batch": 4, "bptt": 16} if task == "lm" else {"batch_tokens": 128}
            made[task] = elman.train(data, task=task, out=space / task, quiet=True, **sizes, **options).run, data
        return made[task]

    return run


@pytest.mark.parametrize("task", list(_DATA))
def test_a_run_of_any_task_is_looked_through_on_its_own_validation_part(task: str, trained: Any) -> None:
    run, _ = trained(task)
    first, second = (elman.probe(run, lags=6, device="cpu").to_dict() for _ in range(2))
    assert {**first, "seconds": 0} == {**second, "seconds": 0}
    assert first["model"]["task"] == task
    assert first["model"]["parameters"] == elman.load(run).parameter_count
    assert len(first["lags"]) > 3
    for curve in first["gradient"]:
        assert len(curve["median"]) == len(first["lags"])
        assert any(curve["median"])
    assert first["clipping"]["norm_after"] <= first["clipping"]["norm_before"]
    assert first["verdict"]
    assert bool(first["context"]["steps"]) == (task != "translate")
    json.dumps(first, allow_nan=False)


@pytest.mark.parametrize("task", list(_DATA))
def test_data_may_be_named(task: str, trained: Any) -> None:
    run, data = trained(task)
    own, model = elman.probe(run, data, lags=4, device="cpu"), elman.load(run)
    also = elman.probe(model, str(data), lags=4)
    assert own.gradient[0]["state"] == also.gradient[0]["state"]
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_a_translator_s_layers_are_those_of_encoder_and_decoder(trained: Any) -> None:
    run, _ = trained("translate")
    found = elman.probe(run, lags=4, device="cpu")
    assert found.model["layers"] == 4
    assert found.notes[0].startswith("layers 1, 2: encoder")
    assert {curve["state"] for curve in found.gradient if curve["layer"] == 1} == {
        "h",
        "c",
        "h, backwards",
        "c, backwards",
    }
    assert {curve["state"] for curve in found.gradient if curve["layer"] == 3} == {"h", "c"}


def test_lags_reach_twice_as_far_as_training_s_window(trained: Any) -> None:
    run, data = trained("lm")
    data = data.with_name("long.txt")
    data.write_text(tiny.TEXT)
    found = elman.probe(run, data, device="cpu")
    assert found.model["window"] == 16
    assert found.lags[-1] == 32


def test_a_text_shorter_than_the_lags_cuts_them(trained: Any) -> None:
    run, data = trained("lm")
    found = elman.probe(run, data, lags=100_000, device="cpu")
    assert 100 < found.lags[-1] < len(tiny.TEXT)
    assert any("too short" in note for note in found.notes)


def test_lags_that_no_sequence_has_are_cut_and_nothing_is_said_of_them(tmp_path: Path) -> None:
    rows = "".join(f"{hour},{hour % 7}.5\n" for hour in range(200))
    (tmp_path / "series.csv").write_text("time,load\n" + rows, encoding="utf-8")
    sizes: dict[str, Any] = {"hidden": 4, "embedding": 4, "steps": 1, "look_back": 24, "horizon": 6, "segment": 6}
    run = elman.train(tmp_path / "series.csv", task="forecast", out=tmp_path / "run", quiet=True, **sizes).run
    result = elman.probe(run)
    # A window of 24 is four steps of the cell: lags 0 to 3.
    assert result.lags == [0, 1, 2, 3]
    assert {len(curve["median"]) for curve in result.gradient} == {4}
    assert any("lags are cut to 3" in note for note in result.notes)
    (sentence,) = (line for line in result.verdict if "gradient" in line)
    assert "lag 3" in sentence or "forgets" in sentence


@pytest.mark.parametrize("task", list(_DATA))
def test_data_that_has_changed_since_the_run_is_said(task: str, trained: Any) -> None:
    run, data = trained(task)
    assert not any("has changed" in note for note in elman.probe(run, lags=4, device="cpu").notes)
    text = data.read_text()
    try:
        data.write_text(text.replace("sat", "ran"))
        notes = elman.probe(run, lags=4, device="cpu").notes
    finally:
        data.write_text(text)
    assert any("the data has changed since the run was made" in note for note in notes)


def test_a_model_without_its_folder_needs_data(trained: Any) -> None:
    with pytest.raises(ProbeError, match="no data"):
        elman.probe(elman.load(trained("lm")[0]))


def test_weights_that_are_no_numbers_are_an_error(trained: Any) -> None:
    run, data = trained("lm")
    model = elman.load(run)
    with torch.no_grad():
        model.recurrent.weight_hh_l0[0, 0] = torch.nan
    with pytest.raises(ProbeError, match=r"recurrent.weight_hh_l0 \(1 of"):
        elman.probe(model, data)


def test_the_command_says_it_in_words_and_as_json(trained: Any, capsys: pytest.CaptureFixture, tmp_path: Path) -> None:
    run, data = trained("lm")
    assert tiny.call("probe", run, "--lags", 12, "--device", "cpu", "--out", tmp_path / "found.json") == 0
    said = capsys.readouterr().out
    assert "lags 0 to 12" in said
    assert "What to change" in said
    assert "--layer-option chrono=12" in said
    written = json.loads((tmp_path / "found.json").read_text())
    assert tiny.call("probe", run, "--lags", 12, "--device", "cpu", "--json") == 0
    printed = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert {**printed, "seconds": 0} == {**written, "seconds": 0}
    assert tiny.call("probe", run, data, "--lags", 4, "--device", "cpu") == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "report.pdf"], "must end in .html"),
        (["--lags", "0"], "lags=0"),
        (["--minutes", "0"], "--minutes"),
        (["missing.txt"], "missing.txt does not exist"),
        (["--label", "x"], "is nothing for the task lm"),
    ],
)
def test_bad_input_is_told_without_a_traceback(
    arguments: list[str], message: str, trained: Any, capsys: pytest.CaptureFixture
) -> None:
    assert tiny.call("probe", trained("lm")[0], *arguments, "--device", "cpu") == 2
    assert message in capsys.readouterr().err


def test_data_of_another_task_is_an_error(trained: Any, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    table = tmp_path / "other.csv"
    table.write_text(_TABLE.replace("odd", "strange"))
    assert tiny.call("probe", trained("classify")[0], table, "--device", "cpu") == 2
    assert "strange" in capsys.readouterr().err


def test_remedies_are_tried_from_the_same_start(trained: Any, capsys: pytest.CaptureFixture) -> None:
    run, _ = trained("lm")
    arguments = ["--lags", 12, "--device", "cpu", "--try-remedies", "--minutes", 0.005, "--json"]
    assert tiny.call("probe", run, *arguments) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    runs = found["tried"]["runs"]
    assert [run["option"] for run in runs] == [{}, *(remedy["option"] for remedy in found["remedies"])]
    assert len(runs) > 1
    for one in runs:
        assert one["gained_nats"] == pytest.approx(runs[0]["loss_nats"] - one["loss_nats"])


def test_training_looks_through_time_and_learns_the_same(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text(tiny.TEXT)
    options = {**tiny.OPTIONS, "steps": 6, "dropout": 0.3}
    plain = elman.train(text, out=tmp_path / "plain", quiet=True, **options)
    looked = elman.train(text, out=tmp_path / "looked", quiet=True, probe_every=2, **options)
    assert looked.scores == plain.scores
    lines = [line for line in read_metrics(looked.run) if line["kind"] == "probe"]
    assert [line["step"] for line in lines] == [2, 4, 6]
    assert lines[0]["lags"] == 15
    assert 0 < lines[0]["layer_1_c_lag_1_percent"] <= 15
    assert 0 <= lines[0]["layer_1_forget_at_1"] <= 1
    assert not [line for line in read_metrics(plain.run) if line["kind"] == "probe"]


@pytest.mark.parametrize("task", list(_DATA))
def test_a_glance_works_for_every_task(task: str, trained: Any) -> None:
    from elman.models.options import TrainOptions
    from elman.models.tasks import TASKS

    run, data = trained(task)
    options = TrainOptions(**json.loads((run / "config.json").read_text())["training"]["options"])
    kind = TASKS[task].kind
    found = glance(kind.task(kind.read([data], options), elman.load(run), options), 1)
    assert found["lags"] >= 1
    assert all(isinstance(value, float) for value in found.values())
    assert any("dead" in name for name in found)
