"""One option of a training run: its default, its help, and what it may be."""

from collections.abc import Callable, Iterable
from dataclasses import field
from typing import Any

# What a number may be, in the words of the message if it isn't.
BOUNDS: dict[str, Callable[[Any], bool]] = {
    "at least 1": lambda value: value >= 1,
    "at least 8": lambda value: value >= 8,
    "0 or more": lambda value: value >= 0,
    "more than 0": lambda value: value > 0,
    "between 0 and 1": lambda value: 0 < value < 1,
    "at least 0 and less than 1": lambda value: 0 <= value < 1,
    "a part, from 0 to 1": lambda value: 0 <= value <= 1,
    "a whole number from 0 to 2⁶³ - 1": lambda value: 0 <= value < 2**63,
}


def option(default: Any, help: str, *, choices: Iterable[str] = (), within: str | None = None) -> Any:
    """A field of a dataclass of options; `choices` or `within` (of `BOUNDS`) say what it may be, None apart."""
    return field(default=default, metadata=told(help, choices, within))


def told(help: str, choices: Iterable[str] = (), within: str | None = None) -> dict[str, Any]:
    """The same as the metadata of a field that is made otherwise."""
    return {"help": help, "choices": tuple(choices), "within": within}
