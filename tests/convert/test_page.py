"""What docs/convert.md shows runs."""

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "convert.md").read_text(encoding="utf-8")


def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    code = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
    exec(compile(code, "convert.md", "exec"), {})
    shown = re.findall(r"print\(.*# (.*)", code)
    assert len(shown) == 2
    assert capsys.readouterr().out.splitlines() == shown


def test_flags_that_are_shown_are_there() -> None:
    help_page = (Path(__file__).parents[2] / "docs" / "command-line.md").read_text(encoding="utf-8")
    flags = set(re.findall(r"--[a-z-]+", PAGE))
    assert flags
    assert [flag for flag in flags if flag not in help_page] == []
