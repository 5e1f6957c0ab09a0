"""Series made a little different each time that training reads them. All draws come from a generator that is handed in.

shift     moved by up to this part of their length; what is moved in is the value at the end
stretch   up to 1 + `stretch` times faster or slower, between steps by the line through them
"""

from dataclasses import dataclass

import numpy as np

from elman.errors import OptionError


@dataclass(frozen=True)
class SeriesAugmentation:
    """What is changed, and how much at most; see above. Raises `OptionError` for values that make no sense."""

    shift: float = 0.0
    stretch: float = 0.0

    def __post_init__(self) -> None:
        for name, most in (("shift", 1), ("stretch", 9)):
            if not 0 <= getattr(self, name) <= most:
                raise OptionError(f"{name}={getattr(self, name)!r} must lie between 0 and {most} for series.")

    def __call__(self, values_TD: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """The series (T, D), changed; the one given stays as it is."""
        steps = len(values_TD)
        if self.stretch and steps > 1:
            speed = np.exp(generator.uniform(-1, 1) * np.log1p(self.stretch))
            values_TD = between(values_TD, np.linspace(0, steps - 1, max(1, round(steps / speed))))
        if self.shift:
            steps = len(values_TD)
            later = round(generator.uniform(-self.shift, self.shift) * steps)
            values_TD = values_TD[(np.arange(steps) - later).clip(0, steps - 1)]
        return values_TD


def between(values_TD: np.ndarray, at_S: np.ndarray) -> np.ndarray:
    """The series at these places (S), which may lie between steps."""
    before = np.minimum(at_S.astype(np.intp), len(values_TD) - 2)
    part = (at_S - before).astype(values_TD.dtype)[:, None]
    return values_TD[before] * (1 - part) + values_TD[before + 1] * part
