"""How long a run lasts and how its learning rate goes."""

import math
from dataclasses import dataclass

from elman.models.options import TrainOptions


@dataclass(frozen=True)
class Schedule:
    """Learning rate over a budget of updates, of seconds, or of both, whichever is spent first: linear warm-up, then a half
    cosine down to `_FLOOR`.

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
        most = None if options.max_epochs is None else max(1, round(options.max_epochs * steps_per_epoch))
        if kind == "minutes":
            warmup = options.warmup if most is None else min(options.warmup, most // 10)
            return cls(options.lr, warmup, most, 60 * amount)
        steps = int(amount) if kind == "steps" else max(1, round(amount * steps_per_epoch))
        # A short run must not spend itself warming up.
        return cls(options.lr, min(options.warmup, steps // 10), steps, None)

    def fraction(self, step: int, seconds: float) -> float:
        """How much of the budget is spent: 0 to 1."""
        by_step = 0.0 if self.steps is None else step / self.steps
        by_time = 0.0 if self.seconds is None else seconds / self.seconds
        return min(max(by_step, by_time), 1.0)

    def learning_rate(self, step: int, fraction: float) -> float:
        """The rate of the update that takes `step` to `step + 1`."""
        rise = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        fall = _FLOOR + (1 - _FLOOR) * (1 + math.cos(math.pi * fraction)) / 2
        return self.peak * rise * fall


# The last updates still move: a fiftieth of the peak.
_FLOOR = 0.02
