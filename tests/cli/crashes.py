"""Starts a run and kills it at every moment that could leave a file half written, again and again, until it is through.

    python crashes.py FIRST RUN TEXT [FLAG ...]

A child process trains; it is killed (SIGKILL) at the nth of its file operations: before a file is synced, between that and
its renaming, and after it; n begins at FIRST. Then another child resumes, or starts if there is nothing to resume, and
gets one operation further. Prints how many were killed.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

# Imported here once, not by each child.
import matplotlib.figure  # noqa: F401
import torch._dynamo
import torch.utils.tensorboard  # noqa: F401

import elman.training.run  # noqa: F401
from elman.cli.main import main


def die_at(moment: int) -> None:
    """Kill this process at its `moment`th file operation."""
    left = iter(range(moment, -1, -1))

    def counted(function: Any) -> Any:
        def operation(*arguments: Any, **named: Any) -> Any:
            if next(left) == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **named)

        return operation

    os.fsync = counted(os.fsync)
    Path.replace = counted(Path.replace)  # type: ignore[method-assign]


def child(arguments: list[str], moment: int) -> bool:
    """Run the command line in a child process; says whether it lived."""
    number = os.fork()
    if number == 0:
        die_at(moment)
        try:
            main(arguments)
        except SystemExit as stopped:
            os._exit(int(stopped.code or 0))
    _, status = os.waitpid(number, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return False
    assert os.WEXITSTATUS(status) == 0, f"exit code {os.WEXITSTATUS(status)} when resumed after {moment} operations"
    return True


first, folder, text, *flags = sys.argv[1:]
killed = 0
while not child(
    ["train", "--resume", folder, "--quiet"]
    if (Path(folder) / "config.json").exists()
    else ["train", text, "--out", folder, "--quiet", *flags],
    int(first) + killed,
):
    killed += 1
print("killed:", killed)  # noqa: T201
