"""The options of a run: every field is checked, TOML keys are the fields' names, unknown ones get a suggestion."""

import json
import math
from dataclasses import FrozenInstanceError, fields
from pathlib import Path
from typing import Any

import pytest

from elman.cells import CELLS
from elman.errors import OptionError
from elman.models.options import BUDGETS, TrainOptions, check_names, flag, group_of, kind_of, option_names, read_toml

# Values of every other kind than the field's own.
_WRONG_KIND: dict[type, list[Any]] = {
    int: ["3", 3.0, 2.5, True, [3]],
    float: ["0.3", True, [0.3], math.nan, math.inf],
    str: [3, True, ["a"], Path("a")],
    bool: [1, 0, "yes"],
    tuple: [3, True, [], [3], {"a": 1}],
    dict: ["zoneout=0.1", 3, True, [3], ["zoneout"], {3: 1}],
}
_OUT_OF_RANGE: dict[str, list[Any]] = {
    **{
        name: [0, -1]
        for name in ("hidden", "layers", "embedding", "batch", "batch_tokens", "bptt", "validations", "minimum_count")
    },
    **{name: [-1] for name in ("warmup", "patience")},
    **{name: [-0.1] for name in ("clip", "weight_decay", "rare_dropout")},
    **{name: [0, 0.0, -1.0] for name in ("minutes", "epochs", "max_epochs", "lr")},
    "steps": [0, -5],
    "vocabulary": [0, -1],
    **{name: [-0.1, 1, 1.5] for name in ("dropout", "smoothing", "word_dropout", "averaging", "test_fraction")},
    "task": ["classification", ""],
    "pooling": ["median"],
    "normalisation": ["nfd"],
    "valid_fraction": [0, 1, -0.5, 1.5],
    "seed": [2**64, -(2**64)],
    "cell": ["rnn", "LSTM", ""],
    "cell_options": [
        {"colour": 1},
        {"zoneout": "0.1"},
        {"peepholes": 1},
        ["zoneout=much"],
        ["bias=true", "bias=false"],
        {"input_size": 3},
    ],
    "layer_options": [{"colour": 1}, {"recompute": 1}, ["recompute=1"], {"bidirectional": True}],
    "tokenizer": ["chars", ""],
    "device": ["gpu"],
    "engine": ["quantum"],
    "precision": ["fp16"],
}


def cases(table: dict[str, list[Any]]) -> Any:
    return pytest.mark.parametrize(
        ("name", "value"), [pytest.param(n, v, id=f"{n}={v!r}") for n, values in table.items() for v in values]
    )


@cases({name: _WRONG_KIND[kind_of(name)[0]] for name in option_names()})
def test_a_value_of_the_wrong_kind_is_refused_by_its_flag(name: str, value: Any) -> None:
    with pytest.raises(OptionError, match=f"^{flag(name)} "):
        TrainOptions(**{name: value})


@cases({name: [None] for name in option_names() if not kind_of(name)[1]})
def test_nothing_is_refused_where_there_must_be_something(name: str, value: None) -> None:
    with pytest.raises(OptionError, match=f"^{flag(name)} "):
        TrainOptions(**{name: value})


@cases(_OUT_OF_RANGE)
def test_a_value_that_makes_no_sense_is_refused_by_its_flag(name: str, value: Any) -> None:
    with pytest.raises(OptionError, match=f"^{flag(name)} "):
        TrainOptions(**{name: value})


def test_every_field_has_a_help_text_a_group_and_a_default_that_is_allowed() -> None:
    assert TrainOptions()
    for option in fields(TrainOptions):
        assert option.metadata["help"].endswith((".", ")"))
        assert group_of(option.name) in ("Data", "Network", "Training")


def test_a_whole_number_may_stand_for_a_fraction() -> None:
    assert TrainOptions(minutes=3, lr=1, dropout=0).budget == ("minutes", 3)


@pytest.mark.parametrize("pair", [("minutes", "epochs"), ("epochs", "steps"), ("minutes", "steps")])
def test_two_budgets_are_refused_by_both_names(pair: tuple[str, str]) -> None:
    with pytest.raises(OptionError, match=f"{flag(pair[0])} and {flag(pair[1])} are both budgets"):
        TrainOptions(**dict.fromkeys(pair, 1))


def test_without_a_budget_it_is_ten_minutes() -> None:
    assert TrainOptions().budget == ("minutes", 10.0)


def test_a_new_budget_replaces_the_old_one_and_nothing_leaves_it() -> None:
    options = TrainOptions(steps=5, lr=0.1)
    assert options.changed(epochs=2).budget == ("epochs", 2)
    assert options.changed(patience=1).budget == ("steps", 5)
    assert options.changed(epochs=2).lr == 0.1


@pytest.mark.parametrize("name", BUDGETS)
def test_a_budget_that_is_none_is_no_budget(name: str) -> None:
    assert TrainOptions(steps=5).changed(**{name: None}).budget == ("steps", 5)


def test_options_are_a_value_that_survives_its_dictionary() -> None:
    options = TrainOptions(steps=5, cell="gru", valid="a.txt")
    assert TrainOptions(**options.to_dict()) == options
    with pytest.raises(FrozenInstanceError):
        options.lr = 1.0  # type: ignore[misc]


def test_a_table_may_be_given_as_values_or_as_texts() -> None:
    wanted = {"zoneout": (0.1, 0.05), "coupled": True}
    assert TrainOptions(cell_options={"zoneout": [0.1, 0.05], "coupled": True}).cell_options == wanted
    assert TrainOptions(cell_options=["zoneout=0.1,0.05", "coupled=true"]).cell_options == wanted
    assert TrainOptions(layer_options=["recompute=true"]).layer_options == {"recompute": True}
    assert TrainOptions().cell_options == TrainOptions().layer_options == {}


def test_a_table_survives_json() -> None:
    options = TrainOptions(cell_options={"zoneout": (0.1, 0.05), "clip_state": None})
    assert TrainOptions(**json.loads(json.dumps(options.to_dict()))) == options


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"cell": "lstn"}, "--cell 'lstn' is not known: did you mean 'lstm'"),
        ({"cell": "quantum"}, r"--cell 'quantum' is not known: .*elman, irnn, "),
        (
            {"cell": "gru", "cell_options": {"peepholes": True}},
            r"--cell-option 'peepholes' is no option of the cell 'gru': .*zoneout.*reset_after",
        ),
        ({"cell_options": ["zoneot=0.1"]}, "did you mean 'zoneout'"),
        ({"cell_options": ["zoneout=much"]}, "--cell-option zoneout='much' must be a number"),
        ({"cell_options": {"zoneout": 1.5}}, r"zoneout=1\.5 must be a probability"),
        ({"cell_options": {"projection_size": 99}, "hidden": 8}, r"99.*hidden_size=8"),
        ({"layer_options": {"recompte": True}}, r"--layer-option 'recompte' is no option of the layers: .*'recompute'"),
    ],
    ids=str,
)
def test_the_network_s_options_are_checked_with_what_there_is(options: dict[str, Any], says: str) -> None:
    with pytest.raises(OptionError, match=says):
        TrainOptions(**options)


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_can_be_chosen(cell: str) -> None:
    assert TrainOptions(cell=cell).cell == cell


def toml(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "run.toml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_keys_are_read_with_hyphens_or_underscores(tmp_path: Path) -> None:
    path = toml(tmp_path, 'cell = "gru"\nvalid-fraction = 0.2\nweight_decay = 0\ntie = true\ndata = ["a", "b"]\n')
    assert read_toml(path, also=["data"]) == {
        "cell": "gru",
        "valid_fraction": 0.2,
        "weight_decay": 0,
        "tie": True,
        "data": ["a", "b"],
    }


@pytest.mark.parametrize(
    ("key", "near"),
    [("hiden", "hidden"), ("drop-out", "dropout"), ("valid-frac", "valid_fraction"), ("epoch", "epochs")],
)
def test_an_unknown_key_is_refused_with_the_nearest_known_one(key: str, near: str, tmp_path: Path) -> None:
    with pytest.raises(OptionError) as caught:
        read_toml(toml(tmp_path, f"{key} = 1\n"))
    assert "run.toml" in str(caught.value)
    assert key.replace("-", "_") in str(caught.value)
    assert f"did you mean {near!r}" in str(caught.value)


def test_a_table_is_a_table_of_toml_or_a_list(tmp_path: Path) -> None:
    for content in ("[cell-options]\nzoneout = 0.1\n", "cell_options = ['zoneout=0.1']", "cell_options.zoneout = 0.1"):
        values = read_toml(toml(tmp_path, content))
        assert TrainOptions(**values).cell_options == {"zoneout": 0.1}


def test_an_unknown_key_like_no_other_is_refused_with_all_there_are(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"'zzz'.*bptt.*warmup"):
        read_toml(toml(tmp_path, "zzz = 1\n"))
    with pytest.raises(OptionError, match="'network'"):
        read_toml(toml(tmp_path, "[network]\nhidden = 3\n"))


@pytest.mark.parametrize("content", ["cell = ", "= 3", "cell = gru", b"cell = '\xff'", "cell='a'\ncell='b'"], ids=str)
def test_a_file_that_is_no_toml_is_refused_by_name(content: str | bytes, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"run\.toml is not valid TOML"):
        read_toml(toml(tmp_path, content))


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"none\.toml can't be read: No such file"):
        read_toml(tmp_path / "none.toml")


def test_names_are_checked_where_python_calls_too() -> None:
    check_names(["lr", "data"], "here", also=["data"])
    with pytest.raises(OptionError, match="here has the key 'learning_rate'"):
        check_names(["learning_rate"], "here")
