"""The registry: every cell by its name, with the options that it has and no others."""

from dataclasses import dataclass, fields
from typing import Any, ClassVar

import pytest

from elman.cells import ALL_INNER_OPTIONS, CELLS, Cell, GRUCell, LSTMCell, cell_named, cell_options, read_cell_options
from elman.cells.elman import ElmanCell
from elman.errors import OptionError

every_name = pytest.mark.parametrize("name", CELLS)


@dataclass(frozen=True)
class BareCell(ElmanCell):
    """A cell that has no place for the options inside a step."""

    name: ClassVar[str] = "bare"
    inner_options: ClassVar[frozenset[str]] = frozenset()


@every_name
def test_a_cell_is_made_by_its_name(name: str) -> None:
    cell = cell_named(name, 8)
    assert type(cell) is CELLS[name]
    assert cell == CELLS[name](8)
    assert (cell.name, cell.hidden_size) == (name, 8)


@every_name
def test_a_cell_says_what_it_is_and_where_it_comes_from(name: str) -> None:
    kind = CELLS[name]
    assert kind.title
    assert kind.citation
    assert name == name.lower()
    assert len(kind.gates) == len(set(kind.gates)) > 0


@every_name
def test_every_option_has_a_default_of_its_own_kind_that_the_cell_takes(name: str) -> None:
    options = cell_options(CELLS[name])
    defaults = {option.name: option.default for option in options.values()}
    assert {key: option.checked(defaults[key]) for key, option in options.items()} == defaults
    assert cell_named(name, 8, **defaults) == cell_named(name, 8)


@every_name
def test_the_options_are_the_fields_that_there_is_a_place_for(name: str) -> None:
    kind = CELLS[name]
    missing = {field.name for field in fields(kind)} - set(cell_options(kind))
    assert missing == {"hidden_size", "input_size"} | (ALL_INNER_OPTIONS - kind.inner_options)


def test_an_option_without_a_place_is_not_there() -> None:
    assert set(cell_options(ElmanCell)) - set(cell_options(BareCell)) == ALL_INNER_OPTIONS


@pytest.mark.parametrize(
    ("name", "options", "cell"),
    [
        ("lstm", {"coupled": True, "peepholes": True}, LSTMCell(8, coupled=True, peepholes=True)),
        ("lstm", {"zoneout": [0.1, 0.05], "clip_state": 3}, LSTMCell(8, zoneout=(0.1, 0.05), clip_state=3.0)),
        ("lstm", {"projection_size": 3, "layer_norm": True}, LSTMCell(8, projection_size=3, layer_norm=True)),
        ("gru", {"reset_after": False, "bias": False}, GRUCell(8, False, False)),
    ],
    ids=str,
)
def test_options_are_the_cell_s_fields(name: str, options: dict[str, Any], cell: Cell) -> None:
    made = cell_named(name, 8, **options)
    assert made == cell
    # A cell is a key of what was traced.
    assert hash(made) == hash(cell)


def test_options_are_read_as_they_are_typed() -> None:
    assert read_cell_options("lstm", ["zoneout=0.1,0.05", "coupled=true", "clip-state=none"]) == {
        "zoneout": (0.1, 0.05),
        "coupled": True,
        "clip_state": None,
    }


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("lstn", {}, r"cell='lstn' is not known: did you mean 'lstm'.* from elman, lstm, gru"),
        ("LSTM", {}, "cell='LSTM' is not known: did you mean 'lstm'"),
        ("quantum", {}, r"cell='quantum' is not known: .*elman, lstm, gru"),
        ("gru", {"peepholes": True}, r"'peepholes' is no option of the cell 'gru': .*reset_after"),
        ("gru", {"input_size": 3}, "'input_size' is no option of the cell 'gru'"),
        ("lstm", {"projection_size": "3"}, "projection_size='3' must be a whole number"),
        ("lstm", {"zoneout": 2}, r"zoneout=2\.0 must be a probability"),
        ("lstm", {"zoneout": (0.1, 0.1, 0.1)}, "3 probabilities"),
        ("elman", {"nonlinearity": "sine"}, "nonlinearity='sine' is not known"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused_with_what_there_is(name: str, options: dict[str, Any], says: str) -> None:
    with pytest.raises(OptionError, match=says):
        cell_named(name, 8, **options)
