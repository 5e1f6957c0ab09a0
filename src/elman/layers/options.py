"""The options of recurrent layers: whose they are, and whether they make sense."""

import inspect
import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from typing import Any

import torch

from elman.axes import Tensor
from elman.cells import Cell, check_size
from elman.errors import OptionError
from elman.layers.connections import CONNECTIONS

MERGES = ("concat", "sum")


def split_options(
    kind: type[Cell], options: Mapping[str, Any], layers: type, named: Collection[str] = ()
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What of `options` goes to a cell of `kind`, and what to the layers; those `named` are arguments already.

    Raises `OptionError`, with what there is, for an option that neither has.
    """
    cells = [field.name for field in fields(kind) if field.name not in {"hidden_size", "input_size", *named}]
    own = [
        name
        for name, parameter in inspect.signature(layers).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    ]
    unknown = [name for name in options if name not in {*cells, *own}]
    if unknown:
        raise OptionError(
            f"there is no option {', '.join(unknown)}: the cell {kind.name!r} has {', '.join(cells)}; "
            f"its layers have {', '.join(own)}."
        )
    return (
        {name: value for name, value in options.items() if name in cells},
        {name: value for name, value in options.items() if name not in cells},
    )


def first_width(hidden_size: Any) -> Any:
    """The width of the first layer, of `hidden_size` as it was given: one for all, or one for each."""
    return hidden_size[0] if isinstance(hidden_size, (list, tuple)) and hidden_size else hidden_size


def layer_widths(hidden_size: int | Sequence[int], num_layers: int) -> list[int]:
    """The width of each layer. Raises `OptionError` if there are neither one nor `num_layers` of them."""
    if not isinstance(hidden_size, (list, tuple)):
        check_size("hidden_size", hidden_size)
        return [hidden_size] * num_layers  # type: ignore[list-item]
    if len(hidden_size) != num_layers:
        raise OptionError(
            f"hidden_size={hidden_size!r} has {len(hidden_size)} widths, and num_layers is {num_layers}: "
            "give one for each layer."
        )
    for width in hidden_size:
        check_size("each width in hidden_size", width)
    return list(hidden_size)


def check_numbers(**numbers: Any) -> None:
    """Raise `OptionError` for what isn't a number, by the names of the options; None is an option left out."""
    for name, value in numbers.items():
        if value is not None and not (_is_number(value) and abs(value) < float("inf")):
            raise OptionError(f"{name}={value!r} must be a number, or left out.")


def check_probabilities(**probabilities: Any) -> None:
    """Raise `OptionError` for what isn't a probability, by the names of the options."""
    for name, value in probabilities.items():
        if not (_is_number(value) and 0 <= value <= 1):
            raise OptionError(f"{name}={value!r} must be a probability, a number from 0 to 1.")


def check_dropout(dropout: float, num_layers: int) -> None:
    """Warn if there is nothing between layers to drop. To be called by a constructor that a public one calls."""
    if dropout and num_layers == 1:
        warnings.warn(
            f"dropout={dropout} acts between layers and there is one: give num_layers greater than 1, or no dropout.",
            stacklevel=4,
        )


def check_directions(bidirectional: bool, reverse: bool, merge: str) -> None:
    """Raise `OptionError` for what makes no sense together."""
    if merge not in MERGES:
        raise OptionError(f"merge={merge!r} is not known: choose from {', '.join(MERGES)}.")
    if merge != "concat" and not bidirectional:
        raise OptionError(
            f"merge={merge!r} joins two directions and there is one: give bidirectional=True, or leave it out."
        )
    if reverse and bidirectional:
        raise OptionError(
            "reverse=True runs one direction backwards, and bidirectional=True has both: give one of them."
        )


def check_connections(connections: str) -> None:
    """Raise `OptionError`, with the names there are, for one that isn't known."""
    if connections not in CONNECTIONS:
        raise OptionError(f"connections={connections!r} is not known: choose from {', '.join(CONNECTIONS)}.")


def check_memory(forget_bias: float | None, chrono: float | None) -> None:
    """Raise `OptionError` for biases of long memory that make no sense."""
    check_numbers(forget_bias=forget_bias, chrono=chrono)
    if chrono is not None and chrono <= 2:
        raise OptionError(f"chrono={chrono!r} is the longest time to remember, in steps: give more than 2.")
    if forget_bias is not None and chrono is not None:
        raise OptionError(f"forget_bias={forget_bias!r} and chrono={chrono!r} set the same biases: give one of them.")


def check_generator(generator: Any, like: Tensor) -> None:
    """Raise `OptionError` for what masks for `like` can't be drawn from."""
    if generator is None:
        return
    if not isinstance(generator, torch.Generator):
        raise OptionError(
            f"generator={generator!r} is a {type(generator).__name__}: give a torch.Generator, or None for torch's own."
        )
    if generator.device.type != like.device.type:
        raise OptionError(
            f"generator= draws on {generator.device}, and the weights are on {like.device}: "
            f"give torch.Generator({like.device.type!r})."
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
