"""A file is written whole or not at all, and what stood there before is never lost."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from tiny import file_size_limit

from elman.errors import RunError
from elman.files import write_atomically


def no_space(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("content", [b"", b"bytes\0\xff", "text é 中\n", b"x" * 1_000_000])
def test_the_content_is_whole_and_nothing_else_is_left(tmp_path: Path, content: bytes | str) -> None:
    path = tmp_path / "file"
    write_atomically(path, "former")
    write_atomically(path, content)
    assert path.read_bytes() == (content if isinstance(content, bytes) else content.encode())
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_written_is_synced_before_it_is_renamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    real_sync, real_replace = os.fsync, Path.replace

    def sync(descriptor: int) -> None:
        seen.append("sync")
        real_sync(descriptor)

    def replace(path: Path, target: Path) -> Path:
        assert path.read_bytes() == b"new"
        assert path.parent == target.parent
        seen.append("rename")
        return real_replace(path, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(Path, "replace", replace)
    write_atomically(tmp_path / "file", b"new")
    # The file's content, its new name, then the folder that holds the name.
    assert seen == ["sync", "rename", "sync"]


@pytest.mark.parametrize("where", ["fsync", "replace"])
def test_a_write_that_fails_leaves_the_former_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    path = tmp_path / "file"
    write_atomically(path, "former")
    monkeypatch.setattr(*((os, "fsync") if where == "fsync" else (Path, "replace")), no_space)
    with pytest.raises(RunError, match=r"file could not be written: No space left.*was there before is whole.*space"):
        write_atomically(path, "new")
    assert path.read_text() == "former"
    assert list(tmp_path.iterdir()) == [path]


def test_a_first_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(RunError, match="No file was left behind"):
        write_atomically(tmp_path / "file", "new")
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_leaves_the_former_file_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"former" * 100)
    with file_size_limit(10_000), pytest.raises(RunError, match="could not be written"):
        write_atomically(path, b"x" * 100_000)
    assert path.read_bytes() == b"former" * 100
    assert list(tmp_path.iterdir()) == [path]
    write_atomically(path, b"x" * 100_000)
    assert path.stat().st_size == 100_000


def test_an_interrupted_write_leaves_the_former_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    path = tmp_path / "file"
    write_atomically(path, "former")
    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, "new")
    assert path.read_text() == "former"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_an_error_by_name(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"nowhere.file could not be written: No such file"):
        write_atomically(tmp_path / "nowhere" / "file", "new")
