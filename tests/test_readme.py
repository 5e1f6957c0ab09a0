"""What the READMEs show runs, and both show the same."""

import re
from pathlib import Path

import pytest
import tiny

ROOT = Path(__file__).parents[1]


def screen_of_python(name: str) -> str:
    """The README's Python, without comments."""
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / name).read_text(encoding="utf-8"), re.DOTALL)
    return "\n".join(line.split("#")[0].rstrip() for line in code.splitlines() if not line.startswith("#"))


def test_the_screen_of_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("book.txt", "other.txt"):
        Path(name).write_text(tiny.TEXT)
    code = screen_of_python("README.md").replace("minutes=1", "steps=3, hidden=8, batch=4, bptt=16, quiet=True")
    assert "steps=3" in code
    names: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), names)
    assert tuple(names["h"].shape) == (50, 3, 64)  # type: ignore[attr-defined]


def test_both_languages_show_the_same_python() -> None:
    assert screen_of_python("README.md") == screen_of_python("README.zh.md")


@pytest.mark.parametrize("name", ["README.md", "README.zh.md", "ARCHITECTURE.md", "docs/guide.md"])
def test_links_lead_somewhere(name: str) -> None:
    page = ROOT / name
    links = re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("name", ["README.md", "README.zh.md"])
def test_flags_that_are_shown_are_there(name: str) -> None:
    known = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    shown = set(re.findall(r"elman [a-z]+ .*", (ROOT / name).read_text(encoding="utf-8")))
    flags = {flag for line in shown for flag in re.findall(r"(?<!\S)--[a-z-]+", line)}
    assert flags
    assert [flag for flag in flags if flag not in known] == []
