"""Forecast from a file to an answer, as a user does it; and what is refused, by file and line."""

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

import pytest
import tiny
from tiny import call

Capture = pytest.CaptureFixture[str]

SMALL = tiny.as_flags(
    {"hidden": 8, "embedding": 8, "steps": 4, "validations": 2, "look-back": 12, "horizon": 4, "device": "cpu"}
)
DAYS = [f"2024-{month:02}-{day:02}" for month in (1, 2, 3) for day in range(1, (31, 29, 31)[month - 1] + 1)]
WIDE = "date,load,heat\n" + "".join(
    f"{day},{5 + math.sin(n):.4f},{100 * math.cos(n):.4f}\n" for n, day in enumerate(DAYS)
)
LONG = "unique_id,ds,y\n" + "".join(
    f"{name},{day},{(n % 7 + n % 5) * size}\n"
    for name, size in (("small", 1), ("large", 1000))
    for n, day in enumerate(DAYS)
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A forecaster of a long table with quantiles. Not to be written to."""
    folder = tmp_path_factory.mktemp("forecast")
    (folder / "long.csv").write_text(LONG, encoding="utf-8")
    given = ["--loss", "quantile", "--test-fraction", "0.2", "--out", folder / "run", "-q", *SMALL]
    assert call("train", folder / "long.csv", *given) == 0
    return folder / "run"


def output(capsys: Capture, *arguments: Any) -> str:
    capsys.readouterr()
    assert call(*arguments) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("text", [WIDE, LONG])
def test_data_is_recognised_and_the_reason_is_said(text: str, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "data.csv").write_text(text, encoding="utf-8")
    assert call("train", tmp_path / "data.csv", "--out", tmp_path / "run", "--json", *SMALL) == 0
    out, err = capsys.readouterr()
    assert "task: forecast. " in err
    assert "1 day, 0:00:00 a step" in err
    result = json.loads(out.splitlines()[-1])
    assert result["task"] == "forecast"
    assert set(result) >= {"mse", "mae", "mase", "baseline_mse", "baseline_mae", "baseline_season_mae", "windows"}


def test_the_horizon_after_the_last_row_is_forecast_with_quantiles(run: Path, capsys: Capture) -> None:
    data = run.parent / "long.csv"
    rows = list(csv.DictReader(io.StringIO(output(capsys, "predict", run, data, "--to", "csv"))))
    assert list(rows[0]) == ["unique_id", "ds", "y", "q0.1", "q0.5", "q0.9"]
    assert [(row["unique_id"], row["ds"]) for row in rows[:5]] == [
        ("small", "2024-04-01"),
        ("small", "2024-04-02"),
        ("small", "2024-04-03"),
        ("small", "2024-04-04"),
        ("large", "2024-04-01"),
    ]
    assert all(float(row["q0.1"]) <= float(row["y"]) <= float(row["q0.9"]) for row in rows)
    # Each in its own units.
    assert max(abs(float(row["y"])) for row in rows[:4]) < 20 < max(abs(float(row["y"])) for row in rows[4:])
    lines = [json.loads(line) for line in output(capsys, "predict", run, data, "--to", "json").splitlines()]
    assert lines[0]["unique_id"] == "small"
    assert len(lines) == len(rows) == 8
    assert "2024-04-01" in output(capsys, "predict", run, data)


@pytest.mark.parametrize("horizon_in_sight", [True, False])
def test_what_comes_next_is_drawn_too(
    horizon_in_sight: bool, run: Path, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    text = LONG if horizon_in_sight else "unique_id,ds,y\nsmall,2024-01-01,1\n"
    (tmp_path / "new.csv").write_text(text, encoding="utf-8")
    capsysbinary.readouterr()
    assert call("predict", run, tmp_path / "new.csv", "--to", "picture") == (0 if horizon_in_sight else 2)
    out, err = capsysbinary.readouterr()
    assert out.startswith(b"\x89PNG") == horizon_in_sight
    assert (b"fewer than the model looks back on" in b" ".join(err.split())) == (not horizon_in_sight)


def test_a_picture_is_not_written_to_a_terminal(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("elman.cli.predict.sys.stdout.isatty", lambda: True)
    assert call("predict", run, run.parent / "long.csv", "--to", "picture") == 2
    assert "> next.png" in capsys.readouterr().err


def test_a_picture_without_its_library_is_told_what_to_install(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("elman.cli.predict.importlib.util.find_spec", lambda _: None)
    assert call("predict", run, run.parent / "long.csv", "--to", "picture") == 2
    assert "elman[figures]" in capsys.readouterr().err


def test_a_back_test_scores_every_window(run: Path, capsys: Capture) -> None:
    scores = json.loads(output(capsys, "evaluate", run, run.parent / "long.csv", "--json").splitlines()[-1])
    assert scores["windows"] == 2 * (91 - 12 - 4 + 1)
    assert set(scores) >= {"mse", "mae", "mase", "pinball", "coverage", "baseline_last_mse"}


def test_pictures_and_the_model_lie_in_the_folder(run: Path, capsys: Capture) -> None:
    assert {path.name for path in run.iterdir()} >= {
        "series.json",
        "forecast-test.png",
        "backtest-test.png",
        "curves.png",
    }
    told = output(capsys, "info", run)
    assert "channels each by itself" in told


def test_a_series_that_is_too_short_is_said_and_left_out(run: Path, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "new.csv").write_text(LONG + "new,2024-01-01,5\n", encoding="utf-8")
    capsys.readouterr()
    assert call("predict", run, tmp_path / "new.csv", "--to", "csv") == 0
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 9
    assert "1 bad row was skipped" in err
    assert "series 'new'" in err
    assert call("predict", run, tmp_path / "new.csv", "--strict") == 2
    assert "series 'new'" in capsys.readouterr().err


def test_a_table_without_a_column_that_the_model_learnt_from_is_told_so(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "other.csv").write_text("text,label\na,b\n", encoding="utf-8")
    for command in ("predict", "evaluate"):
        assert call(command, run, tmp_path / "other.csv") == 2
        error = " ".join(capsys.readouterr().err.split())
        assert "which the model learnt from, but text, label: give a table with it" in error
        # Neither command has an option that could name another.
        assert "--" not in error


@pytest.mark.parametrize(
    ("text", "flags", "said"),
    [
        (WIDE.replace("2024-02-10,", "2024-02-10,x"), [], "data.csv, line 42: 'x"),
        (WIDE.replace("2024-02-10,", "2024-02-11,"), [], "data.csv, line 43: the time stamp 2024-02-11 is there twice"),
        (WIDE.replace("2024-02-10", "2024-01-10"), [], "data.csv, line 42: the time stamp 2024-01-10 lies before"),
        (
            WIDE.replace("2024-02-10,", "2024-02-10,,"),
            [],
            "line 43: 1 steps are missing between 2024-02-09 and 2024-02-11",
        ),
        (WIDE, ["--look-back", "200"], "no series is long enough"),
        (WIDE, ["--values", "price"], "no column 'price'"),
        (WIDE, ["--look-back", "0"], "--horizon 4 must be 1"),
        (WIDE, ["--text", "load"], "--text 'load' is nothing for the task forecast"),
    ],
)
def test_bad_input_is_an_error_that_leaves_nothing(
    text: str, flags: list[str], said: str, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "data.csv").write_text(text, encoding="utf-8")
    capsys.readouterr()
    assert call("train", tmp_path / "data.csv", "--task", "forecast", "--out", tmp_path / "run", *SMALL, *flags) == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "run").exists()


def test_what_is_known_ahead_must_be_there_for_the_horizon(tmp_path: Path, capsys: Capture) -> None:
    text = "ds,y,holiday\n" + "".join(f"{n},{n % 5},{n % 2}\n" for n in range(80))
    (tmp_path / "data.csv").write_text(text, encoding="utf-8")
    assert call("train", tmp_path / "data.csv", "--known", "holiday", "--out", tmp_path / "run", "-q", *SMALL) == 0
    capsys.readouterr()
    assert call("predict", tmp_path / "run", tmp_path / "data.csv") == 2
    assert "holiday must be known 4 steps ahead" in " ".join(capsys.readouterr().err.split())
    (tmp_path / "more.csv").write_text(text + "80,,0\n81,,1\n82,,0\n83,,1\n", encoding="utf-8")
    assert len(output(capsys, "predict", tmp_path / "run", tmp_path / "more.csv").splitlines()) == 4


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"columns": 3}'])
def test_a_damaged_folder_is_an_error(content: str, run: Path, tmp_path: Path, capsys: Capture) -> None:
    import shutil

    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run" / "series.json").write_text(content, encoding="utf-8")
    capsys.readouterr()
    assert call("predict", tmp_path / "run", run.parent / "long.csv") == 2
    assert "series.json is damaged" in " ".join(capsys.readouterr().err.split())
