"""Derivatives by differences, for functions that may have kinks.

A difference of sixth order with step h reads its function within 3 h of a point. It is right where the function is smooth
there, and says nothing where it isn't: near the kink of a ReLU or a clip. Which of the two holds is seen from the values
alone: of a smooth function, the differences with steps h and h / 2 agree. So h is halved until they do, and a direction
along which they never agree is replaced by another. Gradients, which are what is tested, take no part in that choice: a wrong
one can't pass by being left out.
"""

from collections.abc import Callable
from functools import cache

# Of sixth order: truncation is h⁶ times the seventh derivative, over 140.
_STENCIL = {-3: -1 / 60, -2: 9 / 60, -1: -45 / 60, 1: 45 / 60, 2: -9 / 60, 3: 1 / 60}
# From steps so large that rounding is 1e-13, to steps at which it is 1e-11.
_STEPS = tuple(2.0**-power for power in range(7, 14))


def difference(function: Callable[[float], float], step: float) -> float:
    """The derivative of `function` at 0, by central differences of sixth order."""
    return sum(factor * function(k * step) for k, factor in _STENCIL.items()) / step


def smooth_difference(function: Callable[[float], float], tolerance: float) -> float | None:
    """The derivative at 0, to `tolerance` (relative to 1 + its size), or None where the function isn't smooth around 0."""
    # Steps h and h / 2 share two points.
    function = cache(function)
    before = difference(function, _STEPS[0])
    for step in _STEPS[1:]:
        here = difference(function, step)
        if abs(here - before) <= tolerance * (1 + abs(here)):
            return here
        before = here
    return None
