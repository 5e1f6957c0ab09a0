"""What cells ask of the numbers that they are given."""

import math
from typing import Any

from elman.errors import OptionError


def check_size(name: str, value: Any) -> None:
    """Raise `OptionError` unless `value` is a whole number of at least 1."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise OptionError(f"{name}={value!r} must be a whole number of at least 1.")


def check_number(
    name: str, value: Any, least: float | None = None, most: float | None = None, above: float | None = None
) -> None:
    """Raise `OptionError` unless `value` is a finite number, and within the limits that are given."""
    if not (isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)):
        raise OptionError(f"{name}={value!r} must be a finite number.")
    for fits, limit in (
        (least is None or value >= least, f"of at least {least}"),
        (most is None or value <= most, f"of at most {most}"),
        (above is None or value > above, f"above {above}"),
    ):
        if not fits:
            raise OptionError(f"{name}={value!r} must be a number {limit}.")


def check_probability(name: str, value: Any) -> None:
    """Raise `OptionError` unless `value` is from 0 to less than 1."""
    if not (isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1):
        raise OptionError(f"{name}={value!r} must be a probability, a number from 0 to less than 1.")
