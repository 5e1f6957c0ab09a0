"""The native engine on every kind of machine and in every kind of process: the same numbers, and none of its own failures."""

import multiprocessing
import os
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator

import pytest
import torch
from laws import (
    Case,
    MakeCell,
    Results,
    assert_same,
    by_engine,
    every_cell,
    random_case,
    reset_flags,
    values_and_gradients,
    with_padding,
)
from torch import Tensor

import elman
from elman import _native
from elman.cells import ElmanCell, GRUCell, LSTMCell
from elman.engines import Engine
from elman.testing import instruction_sets, using_instruction_set

ISAS = instruction_sets()
# One of these is used by itself: which, of those that differ in their products of bf16, a small product decides.
BEST = ISAS[ISAS.index("avx512") :] if "avx512" in ISAS else ISAS[-1:]


@pytest.fixture(params=ISAS)
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    """Every instruction set that this machine has, one after the other; afterwards what there was."""
    with using_instruction_set(request.param):
        yield request.param


@pytest.fixture
def back_to_one_thread() -> Iterator[None]:
    yield
    torch.set_num_threads(1)


def with_threads(count: int, case: Case, lengths: list[int] | None, reset: Tensor | None = None) -> Results:
    torch.set_num_threads(count)
    try:
        return values_and_gradients(case, by_engine(Engine.NATIVE, lengths, reset))
    finally:
        torch.set_num_threads(1)


def assert_bits_equal(actual: Results, expected: Results) -> None:
    assert actual.keys() == expected.keys()
    different = [name for name, value in actual.items() if not torch.equal(value, expected[name])]
    assert not different


@every_cell
def test_every_instruction_set_agrees_with_the_reference(isa: str, make_cell: MakeCell) -> None:
    """Odd sizes, on both sides of every vector's width, with lengths and resets, both ways in time."""
    assert _native.isa() == isa
    for size, batch, reverse in [(1, 2, False), (19, 4, True), (35, 7, True)]:
        case = random_case(make_cell(size), steps=9, batch=batch, features=3, seed=size, device="cpu")
        lengths = [9, 0, 4, 9, 1, 7, 8][:batch]
        case = with_padding(case, lengths, torch.nan)
        reset_TB = reset_flags(case, {(0, 0), (3, 0), (3, batch - 1), (8, 1)})
        for given in ((None, None), (lengths, reset_TB)):
            whole = case if given[0] else with_padding(case, [0] * batch, 0.5)
            actual, expected = (
                values_and_gradients(whole, by_engine(each, *given, reverse))
                for each in (Engine.NATIVE, Engine.REFERENCE)
            )
            assert_same(actual, expected)


@every_cell
def test_every_instruction_set_is_close_in_float32(isa: str, make_cell: MakeCell) -> None:
    """Single precision has vectors of its own."""
    assert _native.isa() == isa
    case = random_case(make_cell(21), steps=9, batch=5, features=3, seed=4, device="cpu")

    actual = values_and_gradients(case.to(torch.float32), by_engine(Engine.NATIVE, [9, 3, 0, 8, 9]))
    expected = values_and_gradients(case, by_engine(Engine.REFERENCE, [9, 3, 0, 8, 9]))

    for name, value in actual.items():
        exact = expected[name].detach()
        assert (value.detach() - exact).abs().max() <= 1e-4 * exact.abs().max(), name


def test_an_instruction_set_that_is_not_there_is_refused_and_nothing_changes() -> None:
    before = _native.isa()

    with pytest.raises(ValueError, match="instruction set"):
        _native.use_isa("nowhere")

    assert _native.isa() == before


@pytest.mark.parametrize(
    ("asked", "expected"),
    [*((isa, [isa]) for isa in dict.fromkeys([ISAS[0], ISAS[-1]])), ("nowhere", BEST), ("", BEST)],
)
def test_the_environment_chooses_the_instruction_set(asked: str, expected: list[str]) -> None:
    """ELMAN_ISA names one; a name that this machine doesn't know is said, and one of the best is used."""
    code = (
        "import torch, elman; from elman import _native\n"
        "y, _ = elman.LSTM(3, 5)(torch.ones(4, 2, 3)); y.sum().backward()\n"
        "assert y.isfinite().all(); print('isa', _native.isa())"
    )
    environment = {**os.environ, "ELMAN_ISA": asked, "OMP_NUM_THREADS": "1"}

    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] in expected
    assert ("ELMAN_ISA='nowhere' is not an instruction set" in done.stderr) == (asked == "nowhere")


@pytest.mark.parametrize("batch", [1, 5, 8, 16, 33])
@pytest.mark.parametrize("cell", [ElmanCell(40), LSTMCell(40), GRUCell(40), GRUCell(40, reset_after=False)], ids=repr)
@pytest.mark.usefixtures("back_to_one_thread")
def test_the_number_of_threads_changes_no_bit(cell: elman.cells.Cell, batch: int) -> None:
    """Values and gradients, with and without lengths, in both precisions."""
    case = random_case(cell, steps=30, batch=batch, features=24, seed=batch, device="cpu")
    lengths = [(7 * b + 30) % 31 for b in range(batch)]
    reset_TB = reset_flags(case, {(5, 0), (20, batch - 1), (20, batch // 2)})
    for each in (case, case.to(torch.float32)):
        for given in ((None, None), (lengths, None), (lengths, reset_TB)):
            alone = with_threads(1, each, *given)
            for threads in (2, 3):
                assert_bits_equal(with_threads(threads, each, *given), alone)


@pytest.mark.parametrize(("cell", "steps"), [(LSTMCell(160), 60), (LSTMCell(352, layer_norm=True), 9)], ids=repr)
@pytest.mark.parametrize("batch", [1, 33])
@pytest.mark.usefixtures("back_to_one_thread")
def test_the_number_of_threads_changes_no_bit_of_a_large_layer(batch: int, cell: elman.cells.Cell, steps: int) -> None:
    """Large enough that products over all steps are shared out too, or that threads share columns, not rows."""
    case = random_case(cell, steps=steps, batch=batch, features=96, seed=1, device="cpu").to(torch.float32)
    lengths = [(7 * b + steps) % (steps + 1) for b in range(batch)]
    for given in (None, lengths):
        alone = with_threads(1, case, given)
        for threads in (2, 3):
            assert_bits_equal(with_threads(threads, case, given), alone)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.usefixtures("back_to_one_thread")
def test_many_threads_of_python_compute_what_one_does(threads: int) -> None:
    """Eight layers in eight threads at once, forwards and backwards, again and again."""
    kinds = [LSTMCell, GRUCell, ElmanCell]
    cases = [
        random_case(kinds[i % 3](16 + i), steps=40, batch=3 + i, features=5, seed=i, device="cpu").to(torch.float32)
        for i in range(8)
    ]
    torch.set_num_threads(threads)
    alone = [values_and_gradients(case, by_engine(Engine.NATIVE)) for case in cases]
    together: list[list[Results]] = [[] for _ in cases]
    start = threading.Barrier(len(cases))

    def work(index: int) -> None:
        # In PyTorch each thread has a number of its own.
        torch.set_num_threads(threads)
        start.wait()
        for _ in range(4):
            together[index].append(values_and_gradients(cases[index], by_engine(Engine.NATIVE)))

    workers = [threading.Thread(target=work, args=(index,)) for index in range(len(cases))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)

    for results, expected in zip(together, alone, strict=True):
        assert len(results) == 4
        for each in results:
            assert_bits_equal(each, expected)


def test_a_cell_that_is_first_seen_by_many_threads_at_once_is_compiled_well() -> None:
    """Tracing, reversing and compiling happen at the first call: here at eight of them."""
    case = random_case(GRUCell(23, reset_after=False), steps=4, batch=2, features=3, seed=8, device="cpu")
    results: list[Results] = []
    start = threading.Barrier(8)

    def work() -> None:
        start.wait()
        results.append(values_and_gradients(case, by_engine(Engine.NATIVE)))

    workers = [threading.Thread(target=work) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)

    assert len(results) == 8
    expected = values_and_gradients(case, by_engine(Engine.REFERENCE))
    for each in results:
        assert_same(each, expected)


# A process that has threads and forks is what these tests are about; newer Pythons warn of it.
may_fork = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


@may_fork
@pytest.mark.parametrize("threads_of_child", [1, 2])
@pytest.mark.usefixtures("back_to_one_thread")
def test_a_forked_child_computes_the_same(threads_of_child: int) -> None:
    """A parent's threads aren't there after a fork: the child must not wait for them.

    In the child PyTorch's own operations would, if they are large and may use two threads: there all are small.
    """
    case = random_case(LSTMCell(64), steps=24, batch=16, features=24, seed=3, device="cpu").to(torch.float32)
    torch.set_num_threads(2)
    expected = values_and_gradients(case, by_engine(Engine.NATIVE))
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)

    def child() -> None:
        torch.set_num_threads(threads_of_child)
        results = values_and_gradients(case, by_engine(Engine.NATIVE))
        sender.send({name: value.detach().numpy().tobytes() for name, value in results.items()})

    process = context.Process(target=child)
    process.start()
    try:
        assert receiver.poll(20), "the child gave no answer"
        assert receiver.recv() == {name: value.detach().numpy().tobytes() for name, value in expected.items()}
        process.join(20)
        assert process.exitcode == 0
    finally:
        process.kill()
        process.join()


@may_fork
def test_a_fork_after_a_fork_computes_the_same() -> None:
    """In a fresh process: a grandchild after a child, each of which ran a layer with two threads; all go on afterwards."""
    code = """
import os, torch, elman
torch.manual_seed(0)
torch.set_num_threads(2)
layer = elman.GRU(24, 64)
x = torch.randn(24, 16, 24)

def train():
    layer.zero_grad()
    y = layer(x)[0]
    y.sum().backward()
    return [y.detach().numpy().tobytes(), *(p.grad.numpy().tobytes() for p in layer.parameters())]

before = train()
for generation in range(2):
    child = os.fork()
    if child:
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        good = train() == before
        os._exit(code if good else 3)
    if train() != before:
        os._exit(4)
os._exit(0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=40, check=False)

    assert done.returncode == 0, done.stderr


class _Collate:
    """A collate function that runs a layer."""

    def __init__(self, layer: elman.LSTM) -> None:
        self.layer = layer

    def __call__(self, items: list[Tensor]) -> Tensor:
        try:
            with torch.no_grad():
                return self.layer(torch.stack(items, dim=1))[0]
        except Exception:
            traceback.print_exc()
            raise


@may_fork
@pytest.mark.usefixtures("back_to_one_thread")
def test_workers_of_a_data_loader_run_layers() -> None:
    """Workers are forked from a process whose layer ran with two threads."""
    torch.set_num_threads(2)
    layer = elman.LSTM(6, 32)
    items = list(torch.randn(12, 20, 6))
    with torch.no_grad():
        expected = [layer(torch.stack(items[first : first + 4], dim=1))[0] for first in (0, 4, 8)]

    loader = torch.utils.data.DataLoader(
        items, batch_size=4, num_workers=2, collate_fn=_Collate(layer), multiprocessing_context="fork", timeout=60
    )

    assert all(torch.equal(y, wanted) for y, wanted in zip(loader, expected, strict=True))


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@every_cell
def test_what_is_not_finite_stays_in_its_row_and_after_its_step(
    make_cell: MakeCell, dtype: torch.dtype, value: float
) -> None:
    """Before the step and in all other rows every bit is what it was. A NaN is seen in the outputs from its step on.

    An infinity may be seen or not: a gate that is shut by it gives a finite number, as in the reference.
    """
    case = random_case(make_cell(19), steps=8, batch=5, features=3, seed=6, device="cpu")
    leaves = {name: leaf.detach().to(dtype) for name, leaf in case.leaves().items()}
    spoilt = {**leaves, "x": leaves["x"].clone()}
    spoilt["x"][3, 2, 1] = value

    clean, dirty = (by_engine(Engine.NATIVE)(case.with_leaves(each)) for each in (leaves, spoilt))
    reference = by_engine(Engine.REFERENCE)(case.with_leaves(spoilt))

    others = [0, 1, 3, 4]
    assert torch.equal(dirty["y"][:, others], clean["y"][:, others])
    assert torch.equal(dirty["y"][:3], clean["y"][:3])
    for name in case.state._fields:
        assert torch.equal(dirty[f"final {name}"][others], clean[f"final {name}"][others])
    for name, expected in reference.items():
        assert torch.equal(dirty[name].isnan(), expected.isnan()), name
        assert torch.equal(dirty[name].isinf(), expected.isinf()), name
    if value != value:  # noqa: PLR0124
        assert dirty["y"][3:, 2].isnan().all()
