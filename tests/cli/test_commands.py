"""The commands as a user runs them: what they print, and what they leave."""

import io
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import tiny
from tiny import FLAGS, call

import elman
from elman.models.folder import read_config
from elman.models.options import TrainOptions, flag, option_names

Capture = pytest.CaptureFixture[str]
FAST = tiny.as_flags({**tiny.OPTIONS, "steps": 3})
# Stable names that `--json` promises.
KEYS = {"loss_nats", "bits_per_char", "perplexity", "tokens", "parameters", "seconds", "tokens_per_second", "run"}


def options_of(run: Path) -> dict[str, Any]:
    return read_config(run)["training"]["options"]


def last_line(capsys: Capture) -> dict[str, Any]:
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_train_evaluate_generate_and_info_in_processes_of_their_own(tmp_path: Path, text: Path) -> None:
    done = tiny.elman("train", "text.txt", "--out", "run", "--json", *FLAGS, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert set(result) >= KEYS
    assert result["run"] == "run"
    assert "best so far" in done.stderr

    done = tiny.elman("evaluate", "run", "-", "--json", cwd=tmp_path, stdin=text.read_bytes())
    assert done.returncode == 0, done.stderr
    scores = json.loads(done.stdout)
    assert set(scores) >= KEYS
    assert scores["tokens"] == len(tiny.TEXT)
    assert scores["loss_nats"] == pytest.approx(elman.load(tmp_path / "run").evaluate(text).loss_nats, rel=1e-5)

    done = tiny.elman("generate", "run", "--prompt", "the ", "--length", "30", "--seed", "1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout) == len("the ") + 30 + 1
    assert done.stdout.startswith("the ")

    done = tiny.elman("info", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "1 x lstm of 16" in done.stdout
    assert done.stderr == ""


def test_standard_input_is_kept_so_that_the_run_can_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Line ends and a letter of more than one byte: what is kept must read as what was read.
    data = ("é\r\n" + tiny.TEXT).encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="ascii"))
    assert call("train", "-", "--out", tmp_path / "run", *FAST, "--quiet") == 0
    assert call("train", "--resume", tmp_path / "run", "--steps", "5", "--quiet") == 0
    assert read_config(tmp_path / "run")["training"]["scores"]["steps"] == 5


def test_several_files_and_folders_are_documents_in_order(tmp_path: Path, text: Path, capsys: Capture) -> None:
    folder = tmp_path / "more"
    folder.mkdir()
    (folder / "b").write_text("b" * 100)
    (folder / "a").write_text("a" * 100)
    assert call("train", text, folder, "--out", tmp_path / "r", "--valid", text, *FAST) == 0
    assert f"{len(tiny.TEXT) + 200:,} characters to train on" in capsys.readouterr().err
    assert read_config(tmp_path / "r")["training"]["sources"] == [
        {"path": str(path)} for path in (text, folder / "a", folder / "b")
    ]


def test_with_no_data_it_learns_the_reference_text(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    few = tiny.as_flags({**tiny.OPTIONS, "steps": 1, "validations": 1, "valid-fraction": 0.01})
    assert call("train", *few, "--json", "--quiet") == 0
    result = last_line(capsys)
    assert result["run"] == "runs/lm-1"
    assert result["tokens"] > 3000
    assert call("train", "--resume", "runs/lm-1", "--steps", "2", "--json", "--quiet") == 0
    assert last_line(capsys)["steps"] == 2


@pytest.mark.parametrize("kind", ["char", "byte", "word", "bpe"])
def test_each_tokenizer_trains_evaluates_and_writes(kind: str, tmp_path: Path, text: Path, capsys: Capture) -> None:
    run = tmp_path / "r"
    vocabulary = ["--vocabulary", "270"] if kind == "bpe" else []
    assert call("train", text, "--out", run, "--tokenizer", kind, *vocabulary, *FAST, "--json") == 0
    trained = capsys.readouterr()
    assert ("perplexity" if kind == "word" else "bits per character") in trained.err
    assert set(json.loads(trained.out.splitlines()[-1])) >= KEYS
    assert call("evaluate", run, text, "--json") == 0
    scores = last_line(capsys)
    tokens = {"char": len(tiny.TEXT), "byte": len(tiny.TEXT), "word": len(tiny.TEXT.split()) + tiny.TEXT.count("\n")}
    assert scores["tokens"] == tokens.get(kind, scores["tokens"])
    assert scores["bits_per_char"] > 0
    assert call("generate", run, "--length", "8", "--seed", "3", "--prompt", "the cat") == 0
    assert capsys.readouterr().out.startswith("the cat")


@pytest.mark.parametrize(
    ("flags", "wanted"),
    [
        (["--cell", "gru", "--layers", "2", "--dropout", "0.3"], {"cell": "gru", "layers": 2, "dropout": 0.3}),
        (["--cell", "elman", "--engine", "reference"], {"cell": "elman", "engine": "reference"}),
        (
            ["--cell-option", "zoneout=0.1,0.2", "--cell-option", "coupled=true", "--layer-option", "recompute=true"],
            {"cell_options": {"zoneout": [0.1, 0.2], "coupled": True}, "layer_options": {"recompute": True}},
        ),
        (["--tie"], {"tie": True}),
        (["--no-tie"], {"tie": False}),
        (["--precision", "bf16"], {"precision": "bf16"}),
        (["--clip", "0", "--patience", "0", "--lr", "0.01"], {"clip": 0, "patience": 0, "lr": 0.01}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_flags_are_the_options(flags: list[str], wanted: dict, tmp_path: Path, text: Path) -> None:
    assert call("train", text, "--out", tmp_path / "r", *FAST, *flags, "--quiet") == 0
    options = options_of(tmp_path / "r")
    assert {name: options[name] for name in wanted} == wanted
    assert elman.load(tmp_path / "r").config.cell == options["cell"]


@pytest.mark.parametrize("budget", [("--epochs", "2"), ("--minutes", "0.02")])
def test_a_budget_is_kept(budget: tuple[str, str], tmp_path: Path, text: Path, capsys: Capture) -> None:
    rest = tiny.as_flags({name: value for name, value in tiny.OPTIONS.items() if name != "steps"})
    assert call("train", text, "--out", tmp_path / "r", *budget, *rest, "--json", "--quiet") == 0
    result = last_line(capsys)
    if budget[0] == "--epochs":
        # 90 % of the text and its START, in 4 streams of windows of 16 steps.
        characters = len(tiny.TEXT) - round(len(tiny.TEXT) * 0.1)
        assert result["steps"] == 2 * -(-(characters // 4) // 16)
    else:
        assert 1.2 <= result["seconds"] < 10
        assert result["steps"] > 1


def test_validation_and_test_texts_are_files_of_their_own(tmp_path: Path, text: Path, capsys: Capture) -> None:
    for name in ("valid", "test"):
        (tmp_path / name).write_text(f"the {name} cat.\n")
    flags = ["--valid", tmp_path / "valid", "--test", tmp_path / "test"]
    assert call("train", text, "--out", tmp_path / "r", *flags, *FAST, "--json") == 0
    result = last_line(capsys)
    assert (result["tokens"], result["test_tokens"]) == (15, 14)
    assert result["unknown"] == sum(c not in tiny.TEXT for c in "the valid cat.\n")
    assert call("train", "--resume", tmp_path / "r", "--steps", "4") == 0
    out = capsys.readouterr().out
    assert "validation: " in out
    assert "test: " in out
    assert f"model: {tmp_path / 'r'}" in out


def test_a_configuration_file_gives_options_and_flags_win(tmp_path: Path, text: Path) -> None:
    config = tmp_path / "run.toml"
    config.write_text(
        f"data = {json.dumps(str(text))}\nout = {json.dumps(str(tmp_path / 'r'))}\n"
        'cell = "gru"\nhidden = 12\nvalid-fraction = 0.2\nsteps = 3\nbatch = 4\nbptt = 16\nembedding = 8\nlr = 0.5\n'
    )
    assert call("train", "--config", config, "--lr", "0.01", "--hidden", "10", "--quiet") == 0
    options = options_of(tmp_path / "r")
    wanted = {"cell": "gru", "hidden": 10, "valid_fraction": 0.2, "steps": 3, "lr": 0.01, "layers": 1}
    assert {name: options[name] for name in wanted} == wanted


def test_the_network_s_options_are_told_in_training_and_by_info(tmp_path: Path, text: Path, capsys: Capture) -> None:
    config = tmp_path / "run.toml"
    config.write_text("cell_options = {zoneout = 0.5, peepholes = true}\nlayer_options = {recompute = true}\n")
    run = tmp_path / "r"
    assert call("train", text, "--out", run, "--config", config, *FAST, "--cell-option", "projection_size=5") == 0
    words = "1 x lstm of 16 with projection_size=5, recompute=true"
    assert words in " ".join(capsys.readouterr().err.split())
    assert options_of(run)["cell_options"] == {"projection_size": 5}
    assert call("info", run) == 0
    assert words in capsys.readouterr().out
    assert call("info", run, "--json") == 0
    assert last_line(capsys)["network"]["cell_options"] == {"projection_size": 5}
    assert call("generate", run, "--length", "5") == 0


def test_a_budget_that_is_typed_wins_over_that_of_the_configuration_file(tmp_path: Path, text: Path) -> None:
    config = tmp_path / "run.toml"
    config.write_text("minutes = 10\n")
    assert call("train", text, "--out", tmp_path / "r", "--config", config, *FAST, "--quiet") == 0
    assert options_of(tmp_path / "r")["steps"] == 3
    assert options_of(tmp_path / "r")["minutes"] is None


def test_a_default_that_is_typed_wins_over_the_configuration_file(tmp_path: Path, text: Path) -> None:
    config = tmp_path / "run.toml"
    config.write_text("seed = 5\n")
    assert call("train", text, "--out", tmp_path / "r", "--config", config, "--seed", "0", *FAST, "--quiet") == 0
    assert options_of(tmp_path / "r")["seed"] == 0


def test_the_next_free_folder_is_taken(tmp_path: Path, text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for number in (1, 2):
        assert call("train", text, *FAST, "--quiet") == 0
        assert (tmp_path / "runs" / f"lm-{number}" / "model.safetensors").is_file()


def test_the_same_seed_writes_the_same_text(model: Path, capsys: Capture) -> None:
    texts = []
    for flags in (["--seed", "1"], ["--seed", "1"], ["--seed", "2"], ["--temperature", "0"], ["--top-k", "1"]):
        assert call("generate", model, "--length", "50", *flags) == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1] != texts[2]
    assert texts[3] == texts[4]
    assert "".join(elman.load(model).generate("", 50, seed=1)) + "\n" == texts[0]


def test_length_counts_tokens(model: Path, capsys: Capture) -> None:
    for length in (0, 1, 77):
        assert call("generate", model, "--length", str(length), "--prompt", "ab") == 0
        assert len(capsys.readouterr().out) == 2 + length + 1


def test_text_is_written_as_it_is_made(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Screen(io.StringIO):
        shown: list[int]

        def flush(self) -> None:
            self.shown.append(len(self.getvalue()))

    screen = Screen()
    screen.shown = []
    monkeypatch.setattr(sys, "stdout", screen)
    assert call("generate", model, "--length", "20", "--seed", "1") == 0
    assert set(range(1, 21)) <= set(screen.shown)


def test_a_reader_that_goes_away_ends_the_writing_quietly(model: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "elman", "generate", str(model), "--length", "1000000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=tiny.environment(),
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert len(process.stdout.read(10)) == 10
        process.stdout.close()
        said = process.stderr.read()
        assert (process.wait(timeout=60), said) == (0, b"")


def test_unknown_characters_are_counted_and_reported(model: Path, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "other.txt").write_text("the zebra 中.\n")
    unknown = sum(c not in tiny.TEXT for c in "the zebra 中.\n")
    assert call("evaluate", model, tmp_path / "other.txt") == 0
    assert f"{unknown} tokens are not in the model's vocabulary" in capsys.readouterr().out
    assert call("evaluate", model, tmp_path / "other.txt", "--json") == 0
    assert last_line(capsys)["unknown"] == unknown
    assert call("generate", model, "--prompt", "zebra 中", "--length", "5") == 0
    out, err = capsys.readouterr()
    assert out.startswith("zebra 中")
    assert "4 tokens of the prompt are not in the model's vocabulary" in err
    assert "'z', 'b', 'r', '中'" in err


def test_info_says_what_a_model_is(model: Path, capsys: Capture) -> None:
    assert call("info", model) == 0
    shown = capsys.readouterr().out
    parameters = elman.load(model).parameter_count
    for part in (
        f"{parameters:,}",
        "embedding of 8",
        "char, vocabulary",
        "native (what auto",
        "bits per character",
        "40 updates",
    ):
        assert part in shown
    assert call("info", model, "--json") == 0
    facts = last_line(capsys)
    assert facts["parameters"] == parameters
    assert facts["network"]["hidden"] == 16
    assert facts["training"]["scores"]["steps"] == 40


def test_the_version(capsys: Capture) -> None:
    assert call("--version") == 0
    assert capsys.readouterr().out == f"elman {elman.__version__}\n"


@pytest.mark.parametrize("command", ["train", "evaluate", "generate", "info", "cells"])
def test_every_command_has_a_help_page_with_an_example(command: str, capsys: Capture) -> None:
    for help_flag in ("--help", "-h"):
        assert call(command, help_flag) == 0
        assert f"elman {command}" in capsys.readouterr().out


def test_every_option_has_its_flag(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert call("train", "--help") == 0
    shown = capsys.readouterr().out
    for name in option_names():
        assert flag(name) in shown
    for name in ("--out", "--resume", "--overwrite", "--config", "--json", "--quiet"):
        assert name in shown
    assert str(TrainOptions().hidden) in shown


def test_help_comes_fast(tmp_path: Path) -> None:
    times = []
    for _ in range(3):
        began = time.monotonic()
        assert tiny.elman("--help", cwd=tmp_path).returncode == 0
        times.append(time.monotonic() - began)
    # It takes about 0.3 s alone on a machine; without an import too many it stays well below this on a busy one.
    assert min(times) < 1.5
