"""What the READMEs and the page on cells show runs, and both READMEs show the same."""

import re
from pathlib import Path

import pytest
import tiny
import typechecks

from elman.cells import ALL_INNER_OPTIONS, operations
from elman.engines import native

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


@pytest.mark.parametrize(
    "name", ["README.md", "README.zh.md", "ARCHITECTURE.md", "docs/guide.md", "docs/your-own-cell.md"]
)
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


OWN_CELL = (ROOT / "docs" / "your-own-cell.md").read_text(encoding="utf-8")


def test_the_page_on_cells_of_ones_own_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """All of its Python, block after block, as one program."""
    blocks = re.findall(r"```python\n(.*?)```", OWN_CELL, re.DOTALL)
    names: dict[str, object] = {"__name__": "page"}
    with typechecks.off():
        for block in blocks:
            exec(compile(block, "your-own-cell.md", "exec"), names)

    printed = capsys.readouterr().out
    assert names["losses"][-1] < names["losses"][0] / 2  # type: ignore[index]
    assert f"{names['layers'].engine}" == ("native" if native.instruction_set() else "reference")  # type: ignore[attr-defined]
    assert "NormedOverTheBatch(7) breaks law 8 on the reference engine" in printed
    assert "LeakyCell(8, layer_norm=True, recurrent_dropout=0.2, zoneout=0.1)" in printed
    if native.instruction_set():
        assert "a program has no operation 'sin'; it has " in printed


def test_the_page_on_cells_names_every_operation_and_option() -> None:
    tables = "\n".join(line for line in OWN_CELL.splitlines() if line.startswith("|"))
    named = set(re.findall(r"`([a-z_]+)`", tables))
    assert named == {*operations.__all__, *ALL_INNER_OPTIONS} - {"ACTIVATIONS", "activation"}
