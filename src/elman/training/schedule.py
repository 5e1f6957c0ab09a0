"""How long a run lasts and how its learning rate goes."""

import math
from dataclasses import dataclass

from elman.training.options import TrainOptions


@dataclass(frozen=True)
class Schedule:
    """Learning rate over a budget of updates or of seconds: linear warm-up, then a half cosine down to `_FLOOR`.

    Counted in updates, all of it is a function of the step alone, so that a resumed run repeats it exactly; counted in
    time, the cosine follows the clock and ends when the time does.
    """

    peak: float
    warmup: int
    steps: int | None
    seconds: float | None

    @classmethod
    def of(cls, options: TrainOptions, steps_per_epoch: int) -> "Schedule":
        kind, amount = options.budget
        if kind == "minutes":
            return cls(options.lr, options.warmup, None, 60 * amount)
        steps = int(amount) if kind == "steps" else max(1, round(amount * steps_per_epoch))
        # A short run must not spend itself warming up.
        return cls(options.lr, min(options.warmup, steps // 10), steps, None)

    def fraction(self, step: int, seconds: float) -> float:
        """How much of the budget is spent: 0 to 1."""
        spent = step / self.steps if self.steps is not None else seconds / self.seconds  # type: ignore[operator]
        return min(spent, 1.0)

    def learning_rate(self, step: int, fraction: float) -> float:
        """The rate of the update that takes `step` to `step + 1`."""
        rise = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        fall = _FLOOR + (1 - _FLOOR) * (1 + math.cos(math.pi * fraction)) / 2
        return self.peak * rise * fall


# The last updates still move: a fiftieth of the peak.
_FLOOR = 0.02
