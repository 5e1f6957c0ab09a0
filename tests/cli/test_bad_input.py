"""Bad input: exit code 2, no traceback, a message that names the thing and says what to do, nothing left and nothing lost."""

import json
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tiny
from tiny import FLAGS, call

import elman

Capture = pytest.CaptureFixture[str]


def refused(capsys: Capture, *arguments: Any, says: tuple[str, ...]) -> str:
    """Run the command line, which must refuse: gives what it said."""
    assert call(*arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    # Typer folds its own messages into a box.
    flat = " ".join(err.replace("│", " ").split())
    for part in says:
        assert part in flat, err
    return err


BAD_TEXTS: dict[str, tuple[bytes, str, str]] = {
    "empty": (b"", "is empty", "nothing to read"),
    "binary": (b"\x7fELF\x02\x01\x01\x00" + bytes(100), "binary", "give text"),
    "wrongly_encoded": ("déjà vu ".encode("latin-1") * 500, "not utf-8", "--encoding"),
    "utf_16": (tiny.TEXT.encode("utf-16-le"), "binary", "--encoding utf-16"),
    "blank": (b" \n" * 5000, "white space", "nothing to learn"),
    "shorter_than_one_window": (b"fifteen letters", "shorter than one window", "--bptt"),
}


@pytest.mark.parametrize("name", BAD_TEXTS)
def test_a_bad_text_is_refused_and_leaves_nothing_behind(name: str, tmp_path: Path, capsys: Capture) -> None:
    data, wrong, remedy = BAD_TEXTS[name]
    path = tmp_path / "bad.txt"
    path.write_bytes(data)
    said = refused(capsys, "train", path, "--out", tmp_path / "r", *FLAGS, says=(wrong, remedy))
    if name != "shorter_than_one_window":
        assert "bad.txt" in said
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", [name for name in BAD_TEXTS if not name.startswith("shorter")])
def test_a_bad_text_can_not_be_scored(name: str, model: Path, tmp_path: Path, capsys: Capture) -> None:
    data, wrong, _ = BAD_TEXTS[name]
    (tmp_path / "bad.txt").write_bytes(data)
    refused(capsys, "evaluate", model, tmp_path / "bad.txt", says=("bad.txt", wrong))


@pytest.mark.parametrize("where", ["data", "--valid", "--test"])
def test_a_missing_file_is_refused(where: str, text: Path, tmp_path: Path, capsys: Capture) -> None:
    missing = tmp_path / "none.txt"
    given = [missing] if where == "data" else [text, where, missing]
    refused(capsys, "train", *given, "--out", tmp_path / "r", *FLAGS, says=("none.txt does not exist",))
    assert list(tmp_path.iterdir()) == [text]


def test_a_file_too_many_that_is_bad_is_refused_by_its_own_name(text: Path, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "bad.txt").write_bytes(b"")
    said = refused(capsys, "train", text, tmp_path / "bad.txt", "--out", tmp_path / "r", *FLAGS, says=("bad.txt",))
    assert "text.txt" not in said


def test_a_text_in_place_of_a_file_name_is_refused(tmp_path: Path, capsys: Capture) -> None:
    refused(capsys, "train", "once upon a time " * 50, "--out", tmp_path / "r", says=("give a text file",))


def test_too_long_a_name_is_refused_everywhere(text: Path, model: Path, tmp_path: Path, capsys: Capture) -> None:
    long = "x" * 1000
    refused(capsys, "train", text, "--out", tmp_path / long, *FLAGS, says=("xxx",))
    refused(capsys, "train", "--resume", long, says=("xxx",))
    refused(capsys, "info", long, says=("xxx",))
    refused(capsys, "evaluate", model, long, says=("xxx",))


@pytest.mark.parametrize("encoding", ["klingon", "hex"])
def test_an_encoding_that_is_not_one_is_refused(encoding: str, text: Path, tmp_path: Path, capsys: Capture) -> None:
    refused(capsys, "train", text, "--out", tmp_path / "r", "--encoding", encoding, says=(encoding,))
    assert not (tmp_path / "r").exists()


def test_an_out_that_exists_is_refused_with_the_three_ways_on(text: Path, tmp_path: Path, capsys: Capture) -> None:
    run = tmp_path / "r"
    run.mkdir()
    (run / "thesis.tex").write_text("work")
    says = ("r exists", f"--resume {run}", "--overwrite", "--out")
    refused(capsys, "train", text, "--out", run, *FLAGS, says=says)
    refused(capsys, "train", text, "--out", run, "--overwrite", *FLAGS, says=("no run of elman's", "another --out"))
    refused(capsys, "train", text, "--out", text, *FLAGS, says=("text.txt exists",))
    assert (run / "thesis.tex").read_text() == "work"
    assert text.read_text() == tiny.TEXT


def test_an_out_that_can_not_be_made_is_refused(text: Path, capsys: Capture) -> None:
    refused(capsys, "train", text, "--out", text / "r", *FLAGS, says=("can't be made", "another --out"))


@pytest.mark.parametrize(
    "flags",
    [
        ["--hidden", "0"],
        ["--dropout", "1"],
        ["--lr", "-1"],
        ["--lr", "nan"],
        ["--valid-fraction", "2"],
        ["--steps", "0"],
        ["--seed", "99999999999999999999"],
        ["--vocabulary", "9", "--tokenizer", "bpe"],
        ["--minutes", "1", "--epochs", "1"],
        ["--cell", "rnn"],
        ["--cell-option", "zoneout=2", "--layers", "2"],
        ["--cell-option", "zoneout"],
        ["--cell-option", "colour=red"],
        ["--layer-option", "bidirectional=true"],
        ["--hidden", "many"],
        ["--colour", "red"],
        ["--resume", "somewhere"],
    ],
    ids=" ".join,
)
def test_a_flag_that_makes_no_sense_is_refused_by_its_name(
    flags: list[str], text: Path, tmp_path: Path, capsys: Capture
) -> None:
    named = "zoneout=2" if "zoneout=2" in flags else flags[0][2:]
    refused(capsys, "train", text, "--out", tmp_path / "r", *flags, says=(named,))
    assert list(tmp_path.iterdir()) == [text]


@pytest.mark.parametrize(
    "flags",
    [
        ["--length", "-1"],
        ["--temperature", "-1"],
        ["--temperature", "nan"],
        ["--top-k", "0"],
        ["--top-p", "2"],
        ["--seed", "99999999999999999999"],
        ["--device", "gpu"],
        ["--engine", "quantum"],
    ],
    ids=" ".join,
)
def test_a_flag_of_generate_that_makes_no_sense_is_refused_by_its_name(
    flags: list[str], model: Path, capsys: Capture
) -> None:
    refused(capsys, "generate", model, *flags, says=(flags[0][2:].replace("-", "_"), flags[1]))


def test_a_prompt_that_is_no_text_is_refused(model: Path, capsys: Capture) -> None:
    refused(capsys, "generate", model, "--prompt", "a\udcff", "--length", "5", says=("prompt",))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("hiden = 3", ("'hiden'", "did you mean 'hidden'")),
        ("zzz = 3", ("'zzz'", "not known")),
        ("[network]\nhidden = 3", ("'network'", "not known")),
        ("hidden = ", ("not valid TOML",)),
        ('hidden = "3"', ("--hidden", "whole number")),
        ("cell_options = 3", ("--cell-option", "a table")),
        ("cell_options = {zoneout = '0.1'}", ("--cell-option", "zoneout", "a number")),
        ("[layer_options]\nchorno = 3", ("--layer-option", "'chorno'")),
        ("data = 3", ("data",)),
        ("data = [1, 2]", ("data",)),
        ("out = 3", ("out",)),
        ("resume = 3", ("resume",)),
        ('overwrite = "no"', ("overwrite",)),
    ],
)
def test_a_configuration_that_makes_no_sense_is_refused(
    content: str, says: tuple[str, ...], text: Path, tmp_path: Path, capsys: Capture
) -> None:
    config = tmp_path / "run.toml"
    config.write_text(content)
    data = [] if content.startswith(("data", "resume")) else [text]
    out = [] if content.startswith(("out", "resume")) else ["--out", tmp_path / "r"]
    refused(capsys, "train", *data, *out, "--config", config, "--steps", "1", says=says)
    assert sorted(tmp_path.iterdir()) == [config, text]


def test_a_missing_configuration_is_refused(text: Path, tmp_path: Path, capsys: Capture) -> None:
    refused(capsys, "train", text, "--config", tmp_path / "no.toml", says=("no.toml can't be read",))


@pytest.mark.parametrize("command", ["evaluate", "generate", "info", "resume"])
@pytest.mark.parametrize(
    "defect", ["no_folder", "no_config", "newer", "damaged_config", "damaged_tokenizer", "wrong_shapes"]
)
def test_a_model_s_folder_that_is_not_whole_is_refused(
    command: str, defect: str, model: Path, text: Path, tmp_path: Path, capsys: Capture
) -> None:
    folder = tmp_path / "copy"
    if defect != "no_folder":
        shutil.copytree(model, folder)
    config = folder / "config.json"
    if defect == "no_config":
        config.unlink()
    elif defect == "damaged_config":
        config.write_bytes(config.read_bytes()[:50])
    elif defect == "damaged_tokenizer":
        (folder / "tokenizer.json").write_bytes(b"{}")
    elif defect == "newer":
        config.write_text(json.dumps({**json.loads(config.read_text()), "format_version": 99}))
    elif defect == "wrong_shapes":
        content = json.loads(config.read_text())
        content["network"]["hidden"] = content["training"]["options"]["hidden"] = 17
        config.write_text(json.dumps(content))
    arguments = {
        "evaluate": ["evaluate", folder, text],
        "generate": ["generate", folder],
        "info": ["info", folder],
        "resume": ["train", "--resume", folder],
    }[command]
    named = {"no_folder": "copy", "damaged_tokenizer": "tokenizer.json", "wrong_shapes": ".safetensors"}
    refused(capsys, *arguments, says=(named.get(defect, "config.json"),))


@pytest.mark.parametrize("command", ["evaluate", "generate", "info"])
@pytest.mark.parametrize("defect", ["missing", "truncated"])
def test_weights_that_are_missing_or_cut_short_are_refused(
    command: str, defect: str, model: Path, text: Path, tmp_path: Path, capsys: Capture
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(model, folder)
    weights = folder / "model.safetensors"
    if defect == "missing":
        weights.unlink()
    else:
        weights.write_bytes(weights.read_bytes()[:-100])
    data = [text] if command == "evaluate" else []
    refused(capsys, command, folder, *data, says=("model.safetensors", defect if defect == "missing" else "cut short"))


def test_a_truncated_checkpoint_is_refused_and_the_model_stays(model: Path, tmp_path: Path, capsys: Capture) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(model, folder)
    (folder / "checkpoint.safetensors").write_bytes(b"half")
    refused(capsys, "train", "--resume", folder, "--steps", "50", says=("checkpoint.safetensors", "--overwrite"))
    assert (folder / "model.safetensors").read_bytes() == (model / "model.safetensors").read_bytes()


def test_a_loss_that_turns_nan_stops_and_says_so(text: Path, tmp_path: Path, capsys: Capture) -> None:
    flags = [*FLAGS, "--lr", "1e38", "--quiet"]
    refused(capsys, "train", text, "--out", tmp_path / "r", *flags, says=("diverged at step", "--lr"))
    assert not list((tmp_path / "r").glob(".*"))


def test_a_disk_that_fills_during_a_checkpoint_loses_nothing(model: Path, text: Path, tmp_path: Path) -> None:
    # A process that may write no file as large as a checkpoint, though the model itself has room.
    size = ((model / "checkpoint.safetensors").stat().st_size + (model / "model.safetensors").stat().st_size) // 2

    def full_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    folder = tmp_path / "r"
    shutil.copytree(model, folder)
    config = json.loads((folder / "config.json").read_text())
    config["training"]["sources"] = [{"path": str(text)}]
    (folder / "config.json").write_text(json.dumps(config))
    before = (folder / "checkpoint.safetensors").read_bytes()
    done = tiny.elman("train", "--resume", folder, "--steps", "80", cwd=tmp_path, preexec_fn=full_disk)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    last = done.stderr.splitlines()[-1]
    for part in ("checkpoint.safetensors could not be written", "is whole", "Free some space"):
        assert part in last
    assert (folder / "checkpoint.safetensors").read_bytes() == before
    assert not list(folder.glob(".*"))
    assert elman.train(resume=folder, quiet=True).steps == 80


def test_a_full_disk_under_the_output_is_no_traceback(model: Path, tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "elman", "generate", str(model), "--length", "5"],
            stdout=full,
            stderr=subprocess.PIPE,
            cwd=tmp_path,
            env=tiny.environment(),
            timeout=60,
            check=False,
        )
    assert done.returncode != 0
    assert b"Traceback" not in done.stderr
