"""`elman cells`: the list, one cell in full, JSON."""

import json

import pytest
from tiny import call

from elman.cells import CELLS
from elman.layers.catalogue import describe_cell

Capture = pytest.CaptureFixture[str]


def test_the_list_has_a_line_for_each_cell(capsys: Capture) -> None:
    assert call("cells") == 0
    heading, *lines = capsys.readouterr().out.splitlines()
    for column in ("cell", "gates", "states", "parameters", "cost", "engine", "scans", "streams", "options", "source"):
        assert column in heading
    for line, name in zip(lines, CELLS, strict=False):
        facts = describe_cell(name)
        assert line.split()[0] == name
        for part in (facts.title, f"{facts.parameters:,}", f"{facts.cost:,}", facts.engine, facts.citation):
            assert part in line
        assert " ".join(facts.gates) in line
    assert lines[len(CELLS)] == ""
    assert lines[len(CELLS) + 1].startswith("options of every cell: bias, ")


def test_sizes_can_be_given(capsys: Capture) -> None:
    assert call("cells", "--input", "3", "--hidden", "4") == 0
    assert f" {4 * (3 + 4) * 4 + 2 * 16} " in capsys.readouterr().out


@pytest.mark.parametrize("name", CELLS)
def test_one_cell_is_shown_in_full(name: str, capsys: Capture) -> None:
    assert call("cells", name, "--hidden", "16") == 0
    shown = capsys.readouterr().out
    facts = describe_cell(name, hidden_size=16)
    assert facts.equations in shown
    assert facts.summary in shown
    assert facts.citation in shown
    for weight, shape in facts.shapes_in_words.items():
        assert f"{weight} {shape}" in shown
    for option in facts.options:
        assert f" {option}=" in shown
    assert f"{facts.parameters:,}" in shown
    assert f"{facts.cost:,} multiply-accumulates" in shown


def test_json_holds_everything(capsys: Capture) -> None:
    assert call("cells", "--json") == 0
    every = json.loads(capsys.readouterr().out)
    assert [cell["name"] for cell in every] == list(CELLS)
    assert call("cells", "lstm", "--json") == 0
    lstm = json.loads(capsys.readouterr().out)
    assert lstm == next(cell for cell in every if cell["name"] == "lstm")
    assert set(lstm) >= {"name", "parameters", "cost", "scans", "streams", "citation", "engine", "equations", "weights"}
    assert lstm["states"] == {"h": 256, "c": 256}
    assert lstm["options"]["coupled"] == {"default": False, "kind": "true or false"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["lstn"], ("'lstn'", "did you mean 'lstm'", "gru")),
        (["quantum", "--json"], ("'quantum'", "lstm")),
        (["--hidden", "0"], ("hidden=0",)),
        (["lstm", "--input", "-3"], ("input=-3",)),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(arguments: list[str], says: tuple[str, ...], capsys: Capture) -> None:
    assert call("cells", *arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    for part in says:
        assert part in err
