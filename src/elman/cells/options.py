"""Options by name: of which kind they are follows from annotations, their values come from a command line or from a file.

A cell's fields and a layer's keywords are read by this alike. On a command line a value is `true`, `3`, `0.1`, `0.1,0.05`,
`none` or a word; a file holds what JSON and TOML have, where a list stands for a tuple.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from elman.errors import OptionError, choices


@dataclass(frozen=True)
class Option:
    """An option: its name, its kind (an annotation, such as `float | None`) and its default."""

    name: str
    kind: Any
    default: Any

    @property
    def kind_in_words(self) -> str:
        return " or ".join(_in_words(kind) for kind in self._kinds)

    def from_text(self, text: str) -> Any:
        """The value that stands on a command line. Raises `OptionError` if it is none of this kind."""
        return self._first(_from_text, text)

    def checked(self, value: Any) -> Any:
        """The value that came from a file or a call, lists as tuples. Raises `OptionError` if it is none of this kind."""
        return self._first(_checked, value)

    def _first(self, read: Any, given: Any) -> Any:
        values = (read(kind, given) for kind in self._kinds)
        value = next((value for value in values if value is not MISSING), MISSING)
        if value is MISSING:
            raise OptionError(f"{self.name}={given!r} must be {self.kind_in_words}.")
        return value

    @property
    def _kinds(self) -> list[Any]:
        """What the value may be; a text last, since any text is one. What no text can say, such as a function, is left out."""
        parts = get_args(self.kind) if get_origin(self.kind) in {Union, UnionType} else (self.kind,)
        readable = [part for part in parts if part in _WORDS or get_origin(part) in {tuple, Literal}]
        return sorted(readable, key=lambda part: part is str)


def as_text(value: Any) -> str:
    """A value as a command line has it."""
    if isinstance(value, (tuple, list)):
        return ",".join(map(as_text, value))
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)


def read_options(owner: str, known: Mapping[str, Option], given: Mapping[str, Any] | Sequence[str]) -> dict[str, Any]:
    """The options that are given, as a mapping of values or as texts NAME=VALUE; hyphens in names stand for underscores.

    Raises `OptionError` for a name that `owner` (words for whose options they are) hasn't or that is given twice, and for a
    value that is none of its kind.
    """
    pairs = list(given.items()) if isinstance(given, Mapping) else [_pair(text) for text in given]
    values: dict[str, Any] = {}
    for written, value in pairs:
        name = written.replace("-", "_")
        if name not in known:
            raise OptionError(f"{written!r} is no option of {owner}: {choices(name, *known)}")
        if name in values:
            raise OptionError(f"{name!r} is given twice: give it once.")
        values[name] = known[name].checked(value) if isinstance(given, Mapping) else known[name].from_text(value)
    return values


def _pair(text: Any) -> tuple[str, str]:
    name, sign, value = text.partition("=") if isinstance(text, str) else ("", "", "")
    if not (name and sign):
        raise OptionError(f"{text!r} must be NAME=VALUE.")
    return name.strip(), value.strip()


_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", NoneType: "none"}


def _in_words(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return " or ".join(map(as_text, get_args(kind)))
    return _WORDS.get(kind, "several, with commas between them")


def _from_text(kind: Any, text: str) -> Any:
    """`text` as a value of `kind`, or MISSING."""
    if kind is bool:
        return {"true": True, "false": False}.get(text.lower(), MISSING)
    if kind is NoneType:
        return None if text.lower() == "none" else MISSING
    if kind in {int, float}:
        try:
            return _checked(kind, kind(text))
        except ValueError:
            return MISSING
    if get_origin(kind) is Literal:
        return next((value for value in get_args(kind) if as_text(value) == text), MISSING)
    if get_origin(kind) is tuple:
        return _all(_from_text, kind, text.split(","))
    return text


def _checked(kind: Any, value: Any) -> Any:
    """`value` if it is one of `kind`, or MISSING."""
    if kind is float:
        fits = type(value) in {int, float} and math.isfinite(value)
        return float(value) if fits else MISSING
    if get_origin(kind) is Literal:
        return next((known for known in get_args(kind) if known == value and type(known) is type(value)), MISSING)
    if get_origin(kind) is tuple:
        return _all(_checked, kind, value) if isinstance(value, (tuple, list)) else MISSING
    return value if type(value) is kind else MISSING


def _all(read: Any, kind: Any, parts: Sequence[Any]) -> Any:
    """Each part as a value of the kind that the tuple's annotation names."""
    values = tuple(read(get_args(kind)[0], part) for part in parts)
    return MISSING if MISSING in values else values
