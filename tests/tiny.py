"""What the tests of data, training and the command line share: a small text, a small network, elman as a user runs it."""

import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

TEXT = "the cat sat on the mat.\nthe dog sat on the log.\n" * 60

OPTIONS: dict[str, Any] = {
    "hidden": 16,
    "embedding": 8,
    "batch": 4,
    "bptt": 16,
    "steps": 40,
    "validations": 4,
    "device": "cpu",
}


def as_flags(options: Mapping[str, Any]) -> list[str]:
    """Options as the command line takes them."""
    return [part for name, value in options.items() for part in ("--" + name.replace("_", "-"), str(value))]


FLAGS = as_flags(OPTIONS)

# `run("name", **options)` trains the tiny network and gives a `TrainResult`.
Run = Callable[..., Any]


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """No file of this process may grow beyond `size` bytes: a disk that is full."""
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, former[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)


def environment() -> dict[str, str]:
    """One thread a process: many processes share few cores."""
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def elman(*arguments: str | Path, cwd: Path, stdin: bytes | None = None, **options: Any) -> subprocess.CompletedProcess:
    """Run `python -m elman` in a process of its own, as a user does; output as text."""
    done = subprocess.run(
        [sys.executable, "-m", "elman", *map(str, arguments)],
        cwd=cwd,
        input=stdin,
        stdin=None if stdin is not None else subprocess.DEVNULL,
        capture_output=True,
        env=environment(),
        timeout=120,
        check=False,
        **options,
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def call(*arguments: str | Path) -> int:
    """Run the command line in this process; gives the exit code. What it raises besides `SystemExit` is a traceback."""
    from elman.cli.main import main

    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    return int(stopped.value.code or 0)
