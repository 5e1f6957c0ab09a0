"""Writing files so that a reader, or the next start after a crash, never finds half of one."""

import os
from pathlib import Path

from elman.errors import RunError

_UNFINISHED = ".tmp"


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write beside `path`, sync, rename: `path` holds either what it held before, or all of `content`.

    Raises `RunError` if it can't be written (a full disk, no permission); the former file is then untouched.
    """
    data = content.encode() if isinstance(content, str) else content
    beside = path.with_name(f".{path.name}.{os.getpid()}{_UNFINISHED}")
    try:
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        kept = "The file that was there before is whole." if path.exists() else "No file was left behind."
        raise RunError(
            f"{path} could not be written: {error.strerror}. {kept} Free some space and try again."
        ) from error
    finally:
        beside.unlink(missing_ok=True)


def clear_unfinished(folder: Path) -> None:
    """Remove what a killed process was writing in `folder` and can't finish."""
    for path in folder.glob(f".*{_UNFINISHED}"):
        path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    # A rename is only durable once the folder itself is synced. Windows has no way to open a folder, and needs none.
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
