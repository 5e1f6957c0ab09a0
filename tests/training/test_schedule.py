"""The learning rate: a linear rise, then half a cosine to the end of the budget, by updates or by the clock."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elman.models.options import TrainOptions
from elman.training.schedule import Schedule


def by_steps(steps: int, **options: float) -> Schedule:
    return Schedule.of(TrainOptions(steps=steps, **options), 7)  # type: ignore[arg-type]


def rates(schedule: Schedule, steps: int) -> list[float]:
    return [schedule.learning_rate(step, schedule.fraction(step, 0.0)) for step in range(steps)]


def test_the_rise_is_linear_and_reaches_the_peak() -> None:
    rising = rates(by_steps(100_000, lr=0.4, warmup=100), 100)
    assert rising[0] == pytest.approx(0.004, rel=1e-4)
    assert rising[49] == pytest.approx(0.2, rel=1e-4)
    assert rising[99] == pytest.approx(0.4, rel=1e-4)


def test_the_fall_is_half_a_cosine_to_a_fiftieth() -> None:
    falling = rates(by_steps(1001, lr=1.0, warmup=0), 1001)
    assert falling[0] == 1.0
    for step in (100, 500, 900):
        assert falling[step] == pytest.approx(0.02 + 0.98 * (1 + math.cos(math.pi * step / 1001)) / 2)
    assert falling[-1] == pytest.approx(0.02, rel=1e-3)


@given(st.integers(1, 500), st.integers(0, 200))
def test_it_rises_then_falls_and_is_never_zero_nor_above_the_peak(steps: int, warmup: int) -> None:
    all_rates = rates(by_steps(steps, lr=0.1, warmup=warmup), steps)
    top = all_rates.index(max(all_rates))
    assert all(0 < rate <= 0.1 for rate in all_rates)
    assert all_rates[: top + 1] == sorted(all_rates[: top + 1])
    assert all_rates[top:] == sorted(all_rates[top:], reverse=True)


def test_a_short_run_warms_up_for_a_tenth_of_it_at_most() -> None:
    assert by_steps(50, warmup=100).warmup == 5
    assert by_steps(5, warmup=100).warmup == 0
    assert by_steps(5000, warmup=100).warmup == 100


@pytest.mark.parametrize(("epochs", "steps"), [(1, 7), (3, 21), (0.5, 4), (0.01, 1)])
def test_epochs_are_so_many_passes(epochs: float, steps: int) -> None:
    assert Schedule.of(TrainOptions(epochs=epochs), 7).steps == steps


def test_minutes_follow_the_clock_and_not_the_steps() -> None:
    schedule = Schedule.of(TrainOptions(minutes=0.5), 7)
    assert schedule.fraction(10**6, 15.0) == 0.5
    assert schedule.fraction(0, 30.0) == 1.0
    assert schedule.fraction(0, 99.0) == 1.0


def test_a_fraction_of_steps_ignores_the_clock() -> None:
    assert by_steps(40).fraction(10, 1e9) == 0.25
    assert by_steps(40).fraction(50, 0.0) == 1.0


def test_of_two_budgets_the_one_that_is_spent_first_counts() -> None:
    schedule = Schedule.of(TrainOptions(minutes=1, max_epochs=2, warmup=100), steps_per_epoch=50)
    assert schedule.fraction(50, 6) == 0.5
    assert schedule.fraction(50, 45) == 0.75
    assert schedule.fraction(100, 6) == 1
    # A tenth of the updates at most warms up.
    assert schedule.learning_rate(9, 0) == schedule.peak
    assert Schedule.of(TrainOptions(minutes=1), 50).fraction(10**6, 30) == 0.5
