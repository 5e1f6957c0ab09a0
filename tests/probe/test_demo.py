"""The demonstration of vanishing gradients, on lags and budgets that take no time."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch

import elman.probe.demo as demonstration
from elman.models.sequence import SequenceModel
from elman.probe.demo import CONTESTANTS, PARAMETERS, SYMBOLS, gradient, plots_of_vanishing, sequences, vanishing

SMALL: dict[str, Any] = {"lags": (3, 6), "updates": 20, "probed": 6}


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    return vanishing(**SMALL)


def test_the_answer_is_the_first_symbol_and_the_rest_is_noise_of_other_symbols() -> None:
    x_TBD, answers_B = sequences(5, 64, torch.Generator().manual_seed(0))
    assert x_TBD.shape == (6, 64, 2 * SYMBOLS)
    symbols_TB = x_TBD.argmax(-1)
    assert torch.equal(symbols_TB[0], answers_B)
    assert (answers_B < SYMBOLS).all()
    assert (symbols_TB[1:] >= SYMBOLS).all()
    assert set(answers_B.tolist()) == set(range(SYMBOLS))


def test_networks_have_about_the_same_number_of_parameters(found: dict[str, Any]) -> None:
    counts = [network["parameters"] for network in found["networks"]]
    assert len(counts) == len(CONTESTANTS)
    assert all(abs(count - PARAMETERS) < 0.02 * PARAMETERS for count in counts)


def test_every_network_has_a_success_for_each_lag_and_a_gradient_before_and_after(found: dict[str, Any]) -> None:
    for network in found["networks"]:
        assert len(network["success"]) == len(network["updates"]) == 2
        assert all(0 <= share <= 1 for share in network["success"])
        for when in ("before", "after"):
            assert len(network[when]["median"]) == SMALL["probed"] + 1
            assert network[when]["median"][0] == 1
    assert [network["before"]["state"] for network in found["networks"]] == ["h", "c", "h", "c", "h"]


def test_open_gates_let_more_of_the_gradient_through_than_half_closed_ones(found: dict[str, Any]) -> None:
    left = {network["name"]: network["before"]["median"][-1] for network in found["networks"]}
    for cell in ("LSTM", "GRU"):
        assert left[f"{cell}, gates open"] > 5 * left[cell]
        assert left[f"{cell}, gates open"] > 5 * left["Elman"]


def test_figures_repeat_bit_for_bit_and_the_caller_s_random_numbers_go_on(found: dict[str, Any]) -> None:
    before = torch.get_rng_state()
    again = vanishing(**SMALL)
    assert torch.equal(torch.get_rng_state(), before)
    assert again["networks"] == found["networks"]


def test_processes_give_what_one_gives(found: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demonstration.os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    assert vanishing(**SMALL)["networks"] == found["networks"]


def test_the_gradient_is_that_of_a_recurrence_whose_slope_is_known() -> None:
    network = SequenceModel(2 * SYMBOLS, 4, SYMBOLS, cell="elman", nonlinearity="identity")
    with torch.no_grad():
        network.recurrent.weight_hh_l0.copy_(0.8 * torch.eye(4))
    median = gradient(network, 20)["median"]
    assert median == pytest.approx([0.8**lag for lag in range(21)], rel=1e-4)


def test_the_figure_has_three_frames(found: dict[str, Any]) -> None:
    plots = plots_of_vanishing(found)
    assert [plot.key for plot in plots] == ["gradient-before", "gradient-after", "success"]
    assert all(len(plot.series) == len(CONTESTANTS) for plot in plots)
    assert plots[2].marks[0].at == 1 / SYMBOLS


def test_the_command_writes_figure_and_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], found: dict[str, Any]
) -> None:
    monkeypatch.setattr(demonstration, "vanishing", lambda _seed, watch: (watch("a line"), found)[1])
    assert tiny.call("demo", "vanishing", "--out", tmp_path / "figure.png") == 0
    shown = capsys.readouterr()
    assert "a line" in shown.err
    assert "right answers at lag" in shown.out
    assert (tmp_path / "figure.png").read_bytes()[:4] == b"\x89PNG"
    written = json.loads((tmp_path / "figure.json").read_text(encoding="utf-8"))
    assert written["networks"] == json.loads(json.dumps(found["networks"]))
    assert math.isfinite(written["processor_seconds"])


@pytest.mark.parametrize("out", ["figure.gif", "missing/figure.png"])
def test_a_figure_that_can_not_be_written_is_said_before_anything_is_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], out: str
) -> None:
    assert tiny.call("demo", "vanishing", "--out", tmp_path / out) == 2
    assert "--out" in capsys.readouterr().err
