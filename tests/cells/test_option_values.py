"""Options by name: what a text or a file gives is a value of the option's kind, or an error that says what would be."""

import math
from collections.abc import Callable
from typing import Any, Literal

import pytest

from elman.cells import Option, as_text, read_options
from elman.errors import OptionError

# A kind; texts and the values that they stand for; texts that stand for none.
_KINDS: dict[str, tuple[Any, dict[str, Any], list[str]]] = {
    "bool": (bool, {"true": True, "false": False, "True": True}, ["1", "yes", ""]),
    "int": (int, {"3": 3, "-1": -1, "0": 0}, ["3.0", "three", "true", ""]),
    "float": (float, {"0.1": 0.1, "3": 3.0, "1e-3": 1e-3, "-2": -2.0}, ["nan", "inf", "none", "1,2", ""]),
    "text": (str, {"tanh": "tanh", "none": "none", "3": "3", "": ""}, []),
    "optional_number": (float | None, {"none": None, "None": None, "1.5": 1.5}, ["nothing", "true"]),
    "optional_text": (str | None, {"none": None, "tanh": "tanh"}, []),
    "numbers": (tuple[float, ...], {"0.1": (0.1,), "0.1,2": (0.1, 2.0)}, ["0.1,", "a,b", "nan,1"]),
    "number_or_numbers": (float | tuple[float, ...], {"0.1": 0.1, "0.1,0.05": (0.1, 0.05)}, ["x", "0.1;2"]),
    "text_or_function": (str | Callable[[float], float], {"orthogonal": "orthogonal"}, []),
    "words": (Literal["plain", "dense"], {"plain": "plain", "dense": "dense"}, ["residual", ""]),
}
every_kind = pytest.mark.parametrize("kind", _KINDS)


def option(kind: str) -> Option:
    return Option("size", _KINDS[kind][0], None)


@every_kind
def test_a_text_is_read_by_its_kind(kind: str) -> None:
    for text, value in _KINDS[kind][1].items():
        read = option(kind).from_text(text)
        assert (read, type(read)) == (value, type(value))


@every_kind
def test_a_value_is_written_as_a_text_that_is_read_as_the_same(kind: str) -> None:
    for value in _KINDS[kind][1].values():
        assert option(kind).from_text(as_text(value)) == value
        assert option(kind).checked(value) == value


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, (_, _, bad) in _KINDS.items() for text in bad])
def test_a_text_of_another_kind_is_refused_with_what_it_must_be(kind: str, text: str) -> None:
    with pytest.raises(OptionError) as caught:
        option(kind).from_text(text)
    assert str(caught.value) == f"size={text!r} must be {option(kind).kind_in_words}."


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("bool", 1),
        ("bool", "true"),
        ("int", 3.0),
        ("int", True),
        ("int", "3"),
        ("float", True),
        ("float", math.nan),
        ("float", math.inf),
        ("float", None),
        ("float", "0.1"),
        ("text", 3),
        ("text", None),
        ("optional_number", "none"),
        ("numbers", 0.1),
        ("numbers", "0.1"),
        ("numbers", [0.1, "0.2"]),
        ("number_or_numbers", [True]),
        ("words", "residual"),
    ],
)
def test_a_value_of_another_kind_is_refused(kind: str, value: Any) -> None:
    with pytest.raises(OptionError, match=r"^size=.* must be "):
        option(kind).checked(value)


def test_a_whole_number_stands_for_a_fraction_and_a_list_for_a_tuple() -> None:
    assert type(option("float").checked(2)) is float
    assert option("number_or_numbers").checked([0, 0.5]) == (0.0, 0.5)


@pytest.mark.parametrize("value", [0.1, 1e-17, 1 / 3, 1e300, 123456789.0, 448, -0.0])
def test_a_number_loses_nothing_as_a_text(value: float) -> None:
    assert float(as_text(value)) == value


KNOWN = {"rate": Option("rate", float, 0.0), "clip_state": Option("clip_state", float | None, None)}


def test_options_come_as_values_or_as_texts() -> None:
    wanted = {"rate": 0.1, "clip_state": None}
    assert read_options("it", KNOWN, {"rate": 0.1, "clip-state": None}) == wanted
    assert read_options("it", KNOWN, ["rate=0.1", "clip-state=none"]) == wanted
    assert read_options("it", KNOWN, {}) == read_options("it", KNOWN, []) == {}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["colour=red"], "'colour' is no option of it: choose from rate, clip_state."),
        ({"rat": 1}, "'rat' is no option of it: did you mean 'rate'? Choose from rate, clip_state."),
        (["rate"], "'rate' must be NAME=VALUE."),
        (["=3"], "'=3' must be NAME=VALUE."),
        (["rate=1", "rate=2"], "'rate' is given twice: give it once."),
        ({"clip-state": 1, "clip_state": 2}, "'clip_state' is given twice: give it once."),
        ({"rate": "0.1"}, "rate='0.1' must be a number."),
        (["rate=much"], "rate='much' must be a number."),
    ],
)
def test_what_is_no_option_is_refused(given: Any, says: str) -> None:
    with pytest.raises(OptionError) as caught:
        read_options("it", KNOWN, given)
    assert str(caught.value) == says
