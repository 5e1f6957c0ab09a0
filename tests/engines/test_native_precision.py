"""How close the native engine is to the truth over long sequences: the reference engine in float64 is the truth.

Errors are relative to the largest number of an array. What PyTorch's switches allow is lost, and no more than that.
"""

from collections.abc import Callable, Iterator
from functools import cache

import pytest
import torch
from laws import Case, LeakyCell, NormedLSTMCell, Results, by_engine, random_case, values_and_gradients
from torch import Tensor

from elman.cells import Cell, ElmanCell, GRUCell, LSTMCell
from elman.engines import Engine, native

STEPS = 512
CELLS: dict[str, Callable[[int], Cell]] = {
    "tanh": ElmanCell,
    "lstm": LSTMCell,
    "gru": GRUCell,
    "gru_reset_before": lambda size: GRUCell(size, reset_after=False),
    # A layer norm of one unit gives nothing but its bias, and of two hardly more than a sign.
    "normed_lstm": lambda size: NormedLSTMCell(max(size, 3)),
    "leaky": lambda size: LeakyCell(max(size, 3)),
    "smooth_leaky": lambda size: LeakyCell(max(size, 3), rectifier="softplus"),
}
# (H, B): every batch from 1 to 7 and every size, odd with odd.
SIZES = [(1, 1), (1, 6), (3, 2), (17, 7), (63, 3), (63, 4), (100, 5)]

# Inputs that PyTorch's own loss is taken on.
_DRAWS = 4

every_cell = pytest.mark.parametrize("name", CELLS)
# At a kink the least rounding turns a gradient on or off.
smooth_cells = pytest.mark.parametrize("name", [name for name in CELLS if name != "leaky"])
every_size = pytest.mark.parametrize(("hidden", "batch"), SIZES)


@cache
def case_of(name: str, hidden: int, batch: int, steps: int = STEPS, draw: int = 0) -> Case:
    """Weights as a new layer has them, spread by 1/√(3H): neither a memory that explodes nor one that is gone at once."""
    case = random_case(CELLS[name](hidden), steps, batch, features=5, seed=hidden + batch + 1000 * draw, device="cpu")
    shrunk = {key: (value.detach() * 3**-0.5).requires_grad_() for key, value in case.weights.items()}
    return case.with_leaves({**case.leaves(), **shrunk})


@cache
def truth(name: str, hidden: int, batch: int, steps: int = STEPS, draw: int = 0) -> Results:
    return detached(values_and_gradients(case_of(name, hidden, batch, steps, draw), by_engine(Engine.REFERENCE)))


def computed(
    name: str,
    hidden: int,
    batch: int,
    steps: int = STEPS,
    dtype: torch.dtype = torch.float32,
    engine: Engine = Engine.NATIVE,
    draw: int = 0,
) -> Results:
    case = case_of(name, hidden, batch, steps, draw)
    case = case.with_leaves({key: value.detach().to(dtype).requires_grad_() for key, value in case.leaves().items()})
    return detached(values_and_gradients(case, by_engine(engine)))


@cache
def loss_by_halves(name: str, hidden: int, batch: int, steps: int = STEPS) -> float:
    """How far PyTorch itself is from the truth under autocast, at most in a few draws: some cells hardly bear products of
    halves, and how rounding falls is chance."""
    worst = 0.0
    for draw in range(_DRAWS):
        with torch.autocast("cpu", torch.bfloat16):
            rounded = computed(name, hidden, batch, steps, engine=Engine.REFERENCE, draw=draw)
        exact = truth(name, hidden, batch, steps, draw)
        worst = max(worst, *(relative_error(rounded[key], value) for key, value in exact.items()))
    return worst


def detached(results: Results) -> Results:
    return {key: value.detach() for key, value in results.items()}


def relative_error(actual: Tensor, exact: Tensor) -> float:
    return (actual.double() - exact).abs().max().item() / max(exact.abs().max().item(), 1e-30)


def assert_close(actual: Results, expected: Results, values: float, gradients: float) -> None:
    """Each array within so much of its largest number."""
    assert actual.keys() == expected.keys()
    for key, exact in expected.items():
        allowed = gradients if key.startswith("gradient") else values
        error = relative_error(actual[key], exact)
        assert error <= allowed, f"{key} is off by {error:.1e} of its largest number: allowed are {allowed:.0e}"


def assert_as_good_as_halves_allow(actual: Results, name: str, hidden: int, batch: int, steps: int = STEPS) -> None:
    """Within 2e-2; of a cell that loses more by PyTorch under autocast, not more than there."""
    assert_within(2e-2, 1, actual, name, hidden, batch, steps)


def assert_as_good_as_high_allows(actual: Results, name: str, hidden: int, batch: int, steps: int = STEPS) -> None:
    """Within 5e-5; if there are such products, of a cell that bears halves badly a hundredth of what PyTorch loses by them."""
    assert_within(5e-5, 1 / 100 if native.has_precision("high") else 0, actual, name, hidden, batch, steps)


def assert_within(limit: float, share: float, actual: Results, name: str, hidden: int, batch: int, steps: int) -> None:
    for key, exact in truth(name, hidden, batch, steps).items():
        error = relative_error(actual[key], exact)
        if error > limit:
            allowed = share * loss_by_halves(name, hidden, batch, steps)
            assert error <= allowed, f"{key} is off by {error:.1e} of its largest number: allowed are {allowed:.0e}"


@pytest.fixture
def matmul_precision() -> Iterator[Callable[[str], None]]:
    """Sets PyTorch's precision of products, and sets it back."""
    before = torch.get_float32_matmul_precision()
    yield torch.set_float32_matmul_precision
    torch.set_float32_matmul_precision(before)


@every_size
@every_cell
def test_float32_stays_close_over_512_steps(name: str, hidden: int, batch: int) -> None:
    """Rounding is all the difference, and doesn't pile up."""
    assert_close(computed(name, hidden, batch), truth(name, hidden, batch), values=1e-5, gradients=1e-4)


@every_size
@every_cell
def test_float64_is_exact_over_512_steps(name: str, hidden: int, batch: int) -> None:
    """In double precision nothing but the last digits differs."""
    actual = computed(name, hidden, batch, dtype=torch.float64)

    assert_close(actual, truth(name, hidden, batch), values=1e-10, gradients=1e-10)


@every_size
@smooth_cells
def test_autocast_costs_the_digits_of_bfloat16_and_no_more(name: str, hidden: int, batch: int) -> None:
    """Products of halves, sums and states of full precision. The state comes back in float32."""
    with torch.autocast("cpu", torch.bfloat16):
        actual = computed(name, hidden, batch)

    assert {key: value.dtype for key, value in actual.items()} == dict.fromkeys(actual, torch.float32)
    assert_as_good_as_halves_allow(actual, name, hidden, batch)


@every_size
@smooth_cells
def test_medium_products_cost_the_digits_of_bfloat16_and_no_more(
    name: str, hidden: int, batch: int, matmul_precision: Callable[[str], None]
) -> None:
    """`torch.set_float32_matmul_precision("medium")` allows products of halves."""
    matmul_precision("medium")

    assert_as_good_as_halves_allow(computed(name, hidden, batch), name, hidden, batch)


@every_size
@every_cell
def test_high_products_are_nearly_those_of_float32(
    name: str, hidden: int, batch: int, matmul_precision: Callable[[str], None]
) -> None:
    """`"high"` allows three products of halves, whose sum has nearly the digits of one of float32."""
    matmul_precision("high")

    assert_as_good_as_high_allows(computed(name, hidden, batch), name, hidden, batch)


@every_cell
def test_double_precision_knows_no_faster_products(name: str, matmul_precision: Callable[[str], None]) -> None:
    """Switches that are about float32 leave float64 alone, bit for bit."""
    plain = computed(name, 17, 7, dtype=torch.float64)
    matmul_precision("medium")
    with torch.autocast("cpu", torch.bfloat16):
        switched = computed(name, 17, 7, dtype=torch.float64)

    assert all(torch.equal(switched[key], value) for key, value in plain.items())


@every_cell
def test_autocast_to_float16_computes_in_full(name: str) -> None:
    """There are no products of that kind on a processor: they are made in full, and the results are float32."""
    plain = computed(name, 17, 7)
    with torch.autocast("cpu", torch.float16):
        cast = computed(name, 17, 7)

    assert all(torch.equal(cast[key], value) for key, value in plain.items())


@pytest.mark.parametrize("hidden", [1, 3, 17, 63, 100])
@every_cell
def test_a_single_step_is_as_close(name: str, hidden: int, matmul_precision: Callable[[str], None]) -> None:
    """T = 1: a sequence whose every step is the first and the last, in every precision."""
    expected = truth(name, hidden, 4, steps=1)

    assert_close(computed(name, hidden, 4, steps=1, dtype=torch.float64), expected, values=1e-12, gradients=1e-12)
    assert_close(computed(name, hidden, 4, steps=1), expected, values=1e-5, gradients=1e-5)
    matmul_precision("high")
    assert_as_good_as_high_allows(computed(name, hidden, 4, steps=1), name, hidden, 4, steps=1)
    matmul_precision("medium")
    assert_as_good_as_halves_allow(computed(name, hidden, 4, steps=1), name, hidden, 4, steps=1)
