"""Ctrl-C and SIGKILL: nothing is lost, and a run that goes on ends bit for bit as one that was left alone."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tiny
from tiny import call

import elman
from elman.training.logs import read_metrics

OPTIONS = {**tiny.OPTIONS, "hidden": 48, "steps": 200, "validations": 10, "patience": 0, "dropout": 0.2}
FLAGS = tiny.as_flags(OPTIONS)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The weights that 200 steps come to when nothing happens."""
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "text.txt").write_text(tiny.TEXT, encoding="utf-8")
    run = elman.train(folder / "text.txt", out=folder / "run", quiet=True, **OPTIONS).run
    return (run / "model.safetensors").read_bytes()


def start(*arguments: str | Path, cwd: Path) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "elman", "train", *map(str, arguments)],
        cwd=cwd,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=tiny.environment(),
    )


def wait_for(path: Path, process: subprocess.Popen) -> None:
    """Until the run has written this file."""
    deadline = time.monotonic() + 60
    while not path.exists():
        assert process.poll() is None, process.stderr and process.stderr.read().decode()
        assert time.monotonic() < deadline
        time.sleep(0.005)


def end(process: subprocess.Popen) -> tuple[int, str]:
    _, err = process.communicate(timeout=60)
    return process.returncode, err.decode()


def test_a_run_killed_at_random_moments_ends_as_one_left_alone(tmp_path: Path, text: Path, undisturbed: bytes) -> None:
    folder, moments = tmp_path / "run", random.Random(7)
    killed = 0
    process = start(text, "--out", folder, *FLAGS, cwd=tmp_path)
    for first in ("config.json", "checkpoint.safetensors"):
        wait_for(folder / first, process)
        time.sleep(moments.uniform(0, 0.15))
        process.kill()
        code, _ = end(process)
        killed += code == -signal.SIGKILL
        process = start("--resume", folder, cwd=tmp_path)
    code, err = end(process)
    assert code == 0, err
    assert killed
    assert (folder / "model.safetensors").read_bytes() == undisturbed


def crash(first: int, folder: Path, text: Path, *flags: str) -> int:
    """Kill a run at every write, from its `first` one on: see `crashes.py`. Gives how often it was killed."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("crashes.py")), str(first), str(folder), str(text), *flags],
        capture_output=True,
        text=True,
        cwd=folder.parent,
        env=tiny.environment(),
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[-1])


def test_a_run_killed_at_every_write_ends_as_one_left_alone(tmp_path: Path, text: Path) -> None:
    options = {**OPTIONS, "steps": 40, "validations": 3}
    whole = elman.train(text, out=tmp_path / "whole", quiet=True, **options).run
    # Its folder is complete after five: `tokenizer.json` and `config.json` are written and renamed.
    assert crash(5, tmp_path / "run", text, *tiny.as_flags(options)) > 5
    for name in ("model.safetensors", "tokenizer.json"):
        assert (tmp_path / "run" / name).read_bytes() == (whole / name).read_bytes()
    assert [line["step"] for line in read_metrics(tmp_path / "run") if line["kind"] == "valid"] == [14, 27, 40]


def test_a_run_killed_while_its_folder_is_made_can_be_started_again(tmp_path: Path, text: Path) -> None:
    crash(0, tmp_path / "run", text, *tiny.as_flags({**OPTIONS, "steps": 1}))
    assert (tmp_path / "run" / "model.safetensors").is_file()


def test_ctrl_c_saves_exits_with_130_and_the_run_goes_on_as_if_nothing_had_been(
    tmp_path: Path, text: Path, undisturbed: bytes
) -> None:
    folder = tmp_path / "run"
    process = start(text, "--out", folder, *FLAGS, cwd=tmp_path)
    wait_for(folder / "checkpoint.safetensors", process)
    process.send_signal(signal.SIGINT)
    code, err = end(process)
    assert code == 130, err
    assert "Traceback" not in err
    assert f"--resume {folder}" in err
    assert "everything is saved" in err
    assert call("info", folder) == 0
    assert call("train", "--resume", folder, "--quiet") == 0
    assert (folder / "model.safetensors").read_bytes() == undisturbed


def test_ctrl_c_before_the_first_step_is_no_traceback(tmp_path: Path, text: Path) -> None:
    folder = tmp_path / "run"
    process = start(text, "--out", folder, *FLAGS, cwd=tmp_path)
    wait_for(folder / "config.json", process)
    process.send_signal(signal.SIGINT)
    code, err = end(process)
    assert code == 130, err
    assert "Traceback" not in err
