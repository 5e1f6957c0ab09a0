"""What cells ask of the numbers that they are given."""

import math
from typing import Any

from elman.errors import OptionError


def check_number(name: str, value: Any, low: float = -math.inf, high: float = math.inf) -> None:
    """Raise `OptionError` unless `value` is a finite number from `low` to `high`."""
    known = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not (known and math.isfinite(value) and low <= value <= high):
        limits = "" if math.isinf(low) and math.isinf(high) else f" from {low:g} to {high:g}"
        raise OptionError(f"{name}={value!r} must be a finite number{limits}.")
