"""Forecasting as a task: it learns what can be learnt, beats what is trivial, and its scores are what they say."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import elman
from elman.data.bad_rows import BadRows
from elman.data.series import Columns, Reach
from elman.data.series_table import read_series
from elman.errors import DataError, OptionError, RunError
from elman.models.forecasting_task import ForecastingKind, ForecastingTask, scaling_of, segment_of
from elman.models.options import TrainOptions
from elman.models.tasks import TASKS

SMALL: dict[str, Any] = {
    "hidden": 16, "embedding": 16, "dropout": 0.0, "look_back": 12, "horizon": 6, "batch": 32, "steps": 4, "validations": 2,
    "device": "cpu",
}  # fmt: skip


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def waves(path: Path, steps: int = 300, period: int = 12) -> Path:
    """Two waves, a row a step."""
    rows = (
        f"{t},{5 + 2 * math.sin(2 * math.pi * t / period):.5f},{50 * math.cos(2 * math.pi * t / period):.5f}\n"
        for t in range(steps)
    )
    return write(path, "t,a,b\n" + "".join(rows))


def task_of(path: Path, **given: Any) -> ForecastingTask:
    options = TrainOptions(**TASKS["forecast"].filled({**SMALL, **given}))
    kind = ForecastingKind()
    data = kind.read([path], options)
    return kind.task(data, kind.fit(data, options), options)


def test_a_wave_is_learnt_better_than_what_is_trivial(tmp_path: Path) -> None:
    result = elman.train(
        waves(tmp_path / "waves.csv"), task="forecast", out=tmp_path / "run", quiet=True, test_fraction=0.2,
        **{**SMALL, "steps": 150, "lr": 0.01},
    )  # fmt: skip
    scores = result.test_scores or {}
    assert scores["mae"] < 0.3 * scores["baseline_mae"]
    assert scores["mse"] < scores["baseline_last_mse"]
    assert {path.name for path in result.run.iterdir()} >= {"forecast-test.png", "backtest-test.png", "series.json"}


def test_an_epoch_reads_each_window_once_and_a_batch_is_a_function_of_its_number(tmp_path: Path) -> None:
    task = task_of(waves(tmp_path / "waves.csv"))
    steps = [task.batch(step) for step in range(task.steps_per_epoch)]
    seen = torch.cat([batch.z_FBD[0, :, 0] for batch in steps])
    assert len(seen) == 2 * (270 - 12 - 6 + 1)
    again = task_of(tmp_path / "waves.csv").batch(1)
    assert torch.equal(again.z_FBD, steps[1].z_FBD)
    later = task.batch(task.steps_per_epoch + 1)
    assert not torch.equal(later.z_FBD, steps[1].z_FBD)


@pytest.mark.parametrize(
    ("given", "most"),
    [
        ({"look_back": 0, "horizon": 1, "batch_tokens": 50}, 167),  # 6 updates a pass, and 1,000 in all
        ({"look_back": 0, "horizon": 1, "batch_tokens": 10}, 150),
        ({"look_back": 0, "horizon": 1, "max_epochs": 7.0}, None),
        ({}, None),
    ],
)
def test_whole_series_are_read_so_often_at_most_and_windows_as_long_as_there_is_time(
    given: dict[str, Any], most: float | None, tmp_path: Path
) -> None:
    options = TrainOptions(**TASKS["forecast"].filled({**SMALL, **given}))
    kind = ForecastingKind()
    data = kind.read([waves(tmp_path / "waves.csv")], options)
    assert kind.settle(data, options) == ({} if most is None else {"max_epochs": most})


def test_scores_are_those_of_all_windows_computed_by_hand(tmp_path: Path) -> None:
    task = task_of(waves(tmp_path / "waves.csv", 100), season=12)
    network = task.network
    (series,) = task._data.valid
    frames = network.frames([series])
    scores = network.score(frames).to_dict()
    mean_D, deviation_D = frames.scales_SD4[0, :, :2].T
    z_TD = (series.y_TD - mean_D) / deviation_D
    errors, last, season = [], [], []
    for first in range(12, len(series) - 6 + 1):
        (forecast,) = network.forecasts_at(frames, 0, np.array([first]))
        truth = z_TD[first : first + 6]
        errors.append((forecast["y"] - mean_D) / deviation_D - truth)
        last.append(z_TD[first - 1] - truth)
        season.append(z_TD[first - 12 : first - 6] - truth)
    assert scores["windows"] == 2 * len(errors)
    assert scores["mse"] == pytest.approx(np.square(errors).mean(), rel=1e-4)
    assert scores["mae"] == pytest.approx(np.abs(errors).mean(), rel=1e-4)
    assert scores["baseline_last_mse"] == pytest.approx(np.square(last).mean(), rel=1e-4)
    assert scores["baseline_season_mae"] == pytest.approx(np.abs(season).mean(), abs=1e-5)
    assert scores["baseline_mae"] == min(scores[f"baseline_{name}_mae"] for name in ("last", "season", "mean"))


@pytest.mark.parametrize("loss", ["squared", "quantile", "normal", "student", "poisson"])
@pytest.mark.parametrize("head", ["direct", "autoregressive"])
def test_every_loss_and_head_trains_scores_and_answers(loss: str, head: str, tmp_path: Path) -> None:
    rows = "".join(f"2024-01-01 {t // 60 % 24:02}:{t % 60:02},{t % 5},{t % 2}\n" for t in range(240))
    path = write(tmp_path / "counts.csv", "ds,y,holiday\n" + rows)
    result = elman.train(
        path,
        task="forecast",
        loss=loss,
        head=head,
        past=["holiday"],
        calendar=True,
        out=tmp_path / "run",
        quiet=True,
        **SMALL,
    )
    told = {"quantile": {"pinball", "coverage"}, "squared": {"mse"}}.get(loss, {"nll", "baseline_nll", "coverage"})
    assert set(result.scores) >= {"mse", "mae", "mase", *told}
    assert all(math.isfinite(value) for value in result.scores.values())
    model = elman.load(result.run)
    rows_out = model.answer([series for _, series in model.read_inputs(path)])
    assert len(rows_out) == 6
    assert rows_out[0]["ds"] == "2024-01-01 04:00:00"
    if loss != "squared":
        assert all(row["q0.1"] <= row["q0.5"] <= row["q0.9"] for row in rows_out)


def test_frames_of_on_and_off_are_followed_as_whole_series(tmp_path: Path) -> None:
    rows = "".join(f"p{n},{t},{(t + n) % 2},{int(t % 3 == 0)}\n" for n in range(8) for t in range(9 + n))
    path = write(tmp_path / "rolls.csv", "unique_id,ds,low,high\n" + rows)
    given = {**SMALL, "look_back": 0, "horizon": 1, "steps": 120, "lr": 0.02, "batch_tokens": 64, "test_fraction": 0.2}
    result = elman.train(path, task="forecast", joint=True, loss="bernoulli", out=tmp_path / "run", quiet=True, **given)
    scores = result.test_scores or {}
    # Nats a frame: of both notes.
    assert scores["nll"] == pytest.approx(scores["loss_nats"])
    assert scores["nll"] < 0.5 * scores["baseline_nll"]
    assert scores["baseline_nll"] > 1
    model = elman.load(result.run)
    answers = model.answer([series for _, series in model.read_inputs(path)])
    assert [row["unique_id"] for row in answers[:2]] == ["p0/low", "p0/high"]
    # p0 has 9 steps: in the tenth, of the number 9, the low note is on, and so is the high one, every third time.
    assert answers[0]["y"] > 0.5
    assert answers[1]["y"] > 0.5


def test_what_is_on_or_off_together_begins_at_the_odds_of_the_training_part(tmp_path: Path) -> None:
    rows = "".join(f"{t},{int(t % 4 == 0)},{t % 2}\n" for t in range(80))
    path = write(tmp_path / "x.csv", "ds,low,high\n" + rows)
    network = task_of(path, look_back=0, horizon=1, joint=True, loss="bernoulli").network
    torch.testing.assert_close(network.values.bias.sigmoid().detach(), torch.tensor([0.25, 0.5]))


def test_the_scores_of_whole_series_leave_out_the_first_step_and_earlier_parts(tmp_path: Path) -> None:
    rows = "".join(f"{name},{t},{t % 2}\n" for name in "ab" for t in range(20))
    path = write(tmp_path / "x.csv", "unique_id,ds,y\n" + rows)
    task = task_of(path, look_back=0, horizon=1, valid_fraction=0.25)
    assert task.network.score(task._train).windows == 2 * 14
    assert task.network.score(task._valid).windows == 2 * 5


def test_a_run_goes_on_with_the_data_and_scales_that_it_began_with(tmp_path: Path) -> None:
    path = waves(tmp_path / "waves.csv")
    begun = elman.train(path, task="forecast", out=tmp_path / "run", quiet=True, **SMALL)
    scales = elman.load(begun.run).facts.scales.to_dict()
    assert elman.train(resume=begun.run, quiet=True, steps=8).steps == 8
    assert elman.load(begun.run).facts.scales.to_dict() == scales
    path.write_text(path.read_text(encoding="utf-8").replace("5.00000", "5.10000"), encoding="utf-8")
    with pytest.raises(RunError, match="has changed"):
        elman.train(resume=begun.run, quiet=True, steps=12)


def test_only_a_direct_head_has_a_linear_path_and_folders_from_before_it_are_read_as_they_are(tmp_path: Path) -> None:
    path = waves(tmp_path / "waves.csv")
    assert task_of(path).network.config.linear
    assert not task_of(path, head="autoregressive").network.config.linear
    assert not task_of(path, look_back=0, horizon=1).network.config.linear
    run = elman.train(path, task="forecast", linear=False, out=tmp_path / "run", quiet=True, **SMALL).run
    expected = elman.load(run).evaluate(path).values["mae"]
    config = json.loads((run / "config.json").read_text(encoding="utf-8"))
    del config["network"]["linear"]
    write(run / "config.json", json.dumps(config))
    assert elman.load(run).evaluate(path).values["mae"] == expected
    assert elman.train(resume=run, quiet=True, steps=8).steps == 8


def test_series_that_are_too_short_are_counted_and_none_left_is_an_error(tmp_path: Path) -> None:
    rows = "".join(f"long,{t},{t}\n" for t in range(60)) + "".join(f"short,{t},{t}\n" for t in range(9))
    path = write(tmp_path / "x.csv", "unique_id,ds,y\n" + rows)
    assert any("1 bad row was skipped" in note and "series 'short'" in note for note in task_of(path).notes)
    with pytest.raises(DataError, match="series 'short': it has 9 steps"):
        task_of(path, strict=True)
    with pytest.raises(DataError, match="no series is long enough to train on"):
        task_of(path, look_back=80)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"look_back": 0}, "--horizon 6 must be 1"),
        ({"loss": "bernoulli", "scaling": "last"}, "--scaling last doesn't go with --loss bernoulli"),
        ({"loss": "poisson", "scaling": "standard"}, "--scaling standard doesn't go with --loss poisson"),
        ({"calendar": True}, "--calendar needs time stamps that are dates"),
        ({"quantiles": "0.9,0.1"}, "--quantiles '0.9,0.1' must be numbers between 0 and 1, in order"),
        ({"quantiles": "some"}, "--quantiles 'some' must be numbers"),
        ({"horizon": 0}, "--horizon 0 must be at least 1"),
        ({"embedding": 5}, "must be even"),
    ],
)
def test_options_that_do_not_go_together_are_refused(given: dict[str, Any], said: str, tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", "t,y\n" + "".join(f"{t},{t % 2}\n" for t in range(80)))
    with pytest.raises(OptionError) as error:
        task_of(path, **given)
    assert said in str(error.value)


@pytest.mark.parametrize(("loss", "value"), [("poisson", "0.5"), ("poisson", "-1"), ("bernoulli", "2")])
def test_values_that_a_loss_is_not_for_are_refused(loss: str, value: str, tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", "t,y\n" + "".join(f"{t},{value}\n" for t in range(80)))
    with pytest.raises(DataError, match=f"--loss {loss} is for"):
        task_of(path, loss=loss)


def test_automatic_sizes_follow_the_data() -> None:
    def options(**given: Any) -> TrainOptions:
        return TrainOptions(task="forecast", **given)

    assert segment_of(options(look_back=96, horizon=96)) == 24
    assert segment_of(options(look_back=96, horizon=4)) == 4
    assert segment_of(options(look_back=2, horizon=4)) == 1
    assert segment_of(options(look_back=0, horizon=1)) == 1
    assert scaling_of(options()) == "last"
    assert scaling_of(options(loss="poisson")) == "mean"
    assert scaling_of(options(look_back=0, horizon=1)) == "none"


def test_new_series_are_forecast_by_their_own_scale(tmp_path: Path) -> None:
    path = waves(tmp_path / "waves.csv")
    task = task_of(path)
    found = read_series([path], Columns(), bad=BadRows()).series[0]
    assert Reach(12, 6) == task.network.reach
    (forecast,) = task.network.predict([found])
    assert forecast["y"].shape == (6, 2)
