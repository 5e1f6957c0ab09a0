"""Cells with a matrix for a state by the core: what their own scans give, as an operator of PyTorch, on any machine."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch
import typechecks
from laws import Case, assert_same, by_engine, random_case, values_and_gradients
from torch import Tensor
from torch.autograd import forward_ad, gradgradcheck

from elman.cells.gated_deltanet import GatedDeltaNetCell
from elman.cells.mamba2 import Mamba2Cell
from elman.cells.matrix import MatrixCell
from elman.cells.mlstm import MLSTMCell
from elman.engines import Engine, matrix, matrix_operator, scan
from elman.errors import ShapeError
from elman.layers import layers_of
from elman.testing import instruction_sets, using_instruction_set

pytestmark = pytest.mark.usefixtures("unchecked_types")
# TorchDynamo gets lost in the checks of annotations: what is compiled is tested in a process that has none.
_UNHOOKED = "ELMAN_TESTS_UNHOOKED"
CELLS: dict[str, MatrixCell] = {
    "deltanet": GatedDeltaNetCell(6, heads=2, chunk_size=3),
    "deltanet_ungated": GatedDeltaNetCell(6, heads=3, key_size=4, output_gate=False),
    "mlstm": MLSTMCell(6, heads=2, chunk_size=3),
    "mlstm_exp": MLSTMCell(6, heads=3, key_size=4, forget_gate="exp"),
    "mamba2": Mamba2Cell(6, heads=2, state_size=5, chunk_size=3),
    "mamba2_ungated": Mamba2Cell(6, False, heads=3, state_size=2, output_gate=False),
}
NAMES = ("gated_deltanet", "mlstm", "mamba2")
every_cell = pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
LENGTHS = torch.tensor([5, 0, 3])
KINDS: dict[str, dict[str, Any]] = {
    "whole": {},
    "lengths": {"lengths": LENGTHS},
    "resets": {"reset": torch.eye(5, 3, dtype=torch.bool)},
    "resets_to_a_learnt_state": {"reset": torch.eye(5, 3, dtype=torch.bool), "fresh": "learnt"},
    "all_of_it": {"lengths": LENGTHS, "reset": torch.eye(5, 3, dtype=torch.bool), "fresh": "learnt"},
}
every_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture
def unchecked_types() -> Iterator[None]:
    with typechecks.off():
        yield


def without_checks(test: Callable) -> Callable | None:
    """A test that there is in that process alone: `test_what_is_compiled` runs it."""
    return test if _UNHOOKED in os.environ else None


def test_what_is_compiled() -> None:
    """All tests of this file that compile."""
    tests = Path(__file__).parent.parent
    environment = {**os.environ, _UNHOOKED: "1", "PYTHONPATH": str(tests)}
    command = [sys.executable, "-m", "pytest", "--noconftest", "-p", "no:cacheprovider", "-k", "compiled_", __file__]
    done = subprocess.run(
        command, env=environment, cwd=tests.parent, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr


def arguments(cell: MatrixCell, **changes: Any) -> dict[str, Any]:
    """What `torch.ops.elman.chunks` takes, by name, with some of it changed."""
    generator = torch.Generator().manual_seed(3)

    def leaf(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=torch.float64, generator=generator).requires_grad_()

    signs = {GatedDeltaNetCell: [[-1.0]], MLSTMCell: [], Mamba2Cell: [[-1.0], [1.0]]}[type(cell)]
    signs = torch.tensor(signs, dtype=torch.float64).view(-1, 1)
    given: dict[str, Any] = {
        "u": leaf(5, 3, sum(cell.gate_sizes)),
        # The first of each head is a decay.
        "parameters": (signs * leaf(len(signs), cell.heads).detach().abs()).requires_grad_(),
        "state": leaf(3, sum(cell.state_sizes)),
        "fresh": None,
        "lengths": None,
        "reset": None,
        "form": matrix._form(cell),
        "keep": True,
    }
    given |= changes
    if given["fresh"] == "learnt":
        given["fresh"] = leaf(sum(cell.state_sizes))
    return given


@every_kind
@every_cell
def test_the_operator_keeps_the_rules_of_operators(cell: MatrixCell, kind: str) -> None:
    given = arguments(cell, **KINDS[kind])

    torch.library.opcheck(torch.ops.elman.chunks, tuple(given.values()))
    given = {name: value.detach() if isinstance(value, Tensor) else value for name, value in given.items()}
    torch.library.opcheck(
        torch.ops.elman.chunks, (*list(given.values())[:-1], False), test_utils=["test_schema", "test_faketensor"]
    )


@every_cell
def test_keeping_or_not_changes_no_bit(cell: MatrixCell) -> None:
    with torch.no_grad():
        kept = torch.ops.elman.chunks(*arguments(cell).values())
        others = torch.ops.elman.chunks(*arguments(cell, keep=False).values())

    assert torch.equal(kept[0], others[0])
    assert torch.equal(kept[1], others[1])
    assert others[2].numel() == 0


@every_kind
@every_cell
def test_second_derivatives_are_right(cell: MatrixCell, kind: str) -> None:
    given = arguments(cell, **KINDS[kind])
    names = [name for name, value in given.items() if isinstance(value, Tensor) and value.requires_grad]

    def run(*values: Tensor) -> tuple[Tensor, ...]:
        return tuple(matrix._Chunks.apply(*(given | dict(zip(names, values, strict=True))).values())[:2])

    assert gradgradcheck(run, tuple(given[name] for name in names), fast_mode=True)


def by_its_own_scan(case: Case, *rest: Any) -> Any:
    """Without the core."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matrix, "serves", lambda *_: False)
        return values_and_gradients(case, by_engine(Engine.SCAN, *rest))


@pytest.mark.parametrize("kind", [GatedDeltaNetCell, MLSTMCell, Mamba2Cell])
@pytest.mark.parametrize("isa", instruction_sets())
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_every_instruction_set_agrees_with_its_own_scan(kind: type[MatrixCell], isa: str, dtype: torch.dtype) -> None:
    """Sizes on both sides of every vector's width, with lengths and resets, both ways in time."""
    for keys, values, chunk in [(1, 1, 4), (7, 19, 16), (33, 16, 64)]:
        size = {"state_size" if kind is Mamba2Cell else "key_size": keys}
        cell = kind(3 * values, heads=3, chunk_size=chunk, **size)
        case = random_case(cell, 70, 4, 3, keys, "cpu").to(dtype)
        flags = torch.rand(70, 4, generator=torch.Generator().manual_seed(keys)) < 0.05
        for rest in ((None, None), ([70, 0, 33, 64], flags)):
            expected = by_its_own_scan(case, *rest, keys == 7)
            with using_instruction_set(isa):
                found = values_and_gradients(case, by_engine(Engine.SCAN, *rest, keys == 7))
            for name, value in found.items():
                limit = (1e-4 if dtype is torch.float32 else 1e-11) * (1 + expected[name].detach().abs().max())
                assert (value - expected[name]).detach().abs().max() <= limit, name


@pytest.fixture
def back_to_one_thread() -> Iterator[None]:
    yield
    torch.set_num_threads(1)


@pytest.mark.usefixtures("back_to_one_thread")
@pytest.mark.parametrize("kind", [GatedDeltaNetCell, MLSTMCell, Mamba2Cell])
def test_neither_threads_nor_other_rows_change_a_bit(kind: type[MatrixCell]) -> None:
    case = random_case(kind(48, heads=3, chunk_size=16), 50, 5, 3, 1, "cpu").to(torch.float32)
    found = []
    for threads in (1, 2, 4):
        torch.set_num_threads(threads)
        found.append(values_and_gradients(case, by_engine(Engine.SCAN, [50, 3, 0, 49, 17])))
    torch.set_num_threads(1)
    for others in found[1:]:
        assert all(torch.equal(value, others[name]) for name, value in found[0].items())

    with torch.no_grad():
        whole, _ = scan(case.cell, case.weights, case.x_TBD, case.state)
        for row in range(5):
            alone, _ = scan(
                case.cell,
                case.weights,
                case.x_TBD[:, row : row + 1],
                case.state._make(s[row : row + 1] for s in case.state),
            )
            torch.testing.assert_close(whole[:, row : row + 1], alone, rtol=1e-5, atol=1e-6)


def test_where_two_are_the_largest_each_gets_half_of_the_gradient() -> None:
    """Of an mLSTM's gates, and of |nᵀ q| and e^{-m}: all zeros and ones, so that each step has both ties."""
    case = random_case(MLSTMCell(1, forget_gate="exp"), 2, 1, 1, 0, "cpu")
    leaves = {name: torch.zeros_like(leaf) for name, leaf in case.leaves().items()}
    leaves["bias_ih"] = torch.tensor([0.5, 1, 1, 0, 0, 0], dtype=torch.float64)
    leaves["x"] += 1
    case = case.with_leaves({name: leaf.requires_grad_() for name, leaf in leaves.items()})
    # From n = 0 the first step makes n = 1, the second 2: the one has q n = 1/2, the other 1, which is e^0.
    by_core, by_fold = (values_and_gradients(case, by_engine(engine)) for engine in (Engine.SCAN, Engine.REFERENCE))

    assert by_fold["gradient of bias_ih"][3:5].ne(0).any()
    assert_same(by_core, by_fold)


@every_cell
def test_padding_is_not_read_and_gets_no_gradient(cell: MatrixCell) -> None:
    case = random_case(cell, 9, 3, 4, 8, "cpu")
    lengths = [9, 2, 0]
    poisoned = case.x_TBD.detach().clone()
    for row, length in enumerate(lengths):
        poisoned[length:, row] = torch.nan
    expected = values_and_gradients(case, by_engine(Engine.REFERENCE, lengths))

    found = values_and_gradients(
        case.with_leaves({**case.leaves(), "x": poisoned.requires_grad_()}), by_engine(Engine.SCAN, lengths)
    )

    assert_same(found, expected)


# What PyTorch itself has to say of its rules.
@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:There is a performance drop.*cummaxmin_backward:UserWarning")
@every_cell
def test_transforms_of_functions_agree_with_the_reference(cell: MatrixCell) -> None:
    case = random_case(cell, 5, 2, 4, 9, "cpu")
    case = case.with_leaves({name: value.detach() for name, value in case.leaves().items()})
    x, tangent = case.x_TBD, torch.randn_like(case.x_TBD)
    found = []
    for engine in (Engine.SCAN, Engine.REFERENCE):

        def run(x: Tensor, engine: Engine = engine) -> Tensor:
            y, last = scan(case.cell, case.weights, x, case.state, engine=engine)
            return torch.cat([y.flatten(), *(s.flatten() for s in last)])

        with forward_ad.dual_level():
            dual = forward_ad.unpack_dual(run(forward_ad.make_dual(x, tangent)))
        found.append([*torch.func.jvp(run, (x,), (tangent,)), torch.func.jacrev(run)(x), *dual])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


@every_cell
def test_autocast_and_float32_give_float32(cell: MatrixCell, recwarn: pytest.WarningsRecorder) -> None:
    case = random_case(cell, 9, 3, 4, 8, "cpu").to(torch.float32)
    y, _ = scan(case.cell, case.weights, case.x_TBD, case.state)
    with torch.autocast("cpu", torch.bfloat16):
        coarse, last = scan(case.cell, case.weights, case.x_TBD, case.state)

    assert coarse.dtype == last[0].dtype == torch.float32
    # Exponential gates make errors of their inputs larger.
    limit = 0.1 if getattr(cell, "forget_gate", None) == "exp" else 3e-2
    assert 0 < (y - coarse).abs().max() < limit * y.abs().max()
    coarse.sum().backward()
    assert all(weight.grad.dtype == torch.float32 for weight in case.weights.values())
    assert not recwarn


@every_cell
def test_it_is_the_core_that_runs_and_only_what_it_knows(cell: MatrixCell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells made from it are other cells."""
    case = random_case(cell, 9, 3, 4, 8, "cpu")
    calls: list[bool] = []
    inner = matrix_operator._run
    monkeypatch.setattr(matrix_operator, "_run", lambda back, *rest: (calls.append(back), inner(back, *rest)))

    class Other(type(cell)):  # type: ignore[misc]
        pass

    scan(case.cell, case.weights, case.x_TBD, case.state)[0].sum().backward()
    assert calls == [False, True]
    other = Other(**{field.name: getattr(cell, field.name) for field in fields(cell) if field.init})
    scan(other, case.weights, case.x_TBD, case.state)[0].sum().backward()
    scan(case.cell, case.weights, case.x_TBD, case.state, engine="reference")
    assert calls == [False, True]


def test_the_core_says_how_long_its_products_take(monkeypatch: pytest.MonkeyPatch) -> None:
    case = random_case(GatedDeltaNetCell(64, heads=2), 200, 3, 4, 8, "cpu")
    clock = torch.zeros(1, dtype=torch.int64)
    monkeypatch.setattr(matrix_operator, "product_time", clock)

    y, _ = scan(case.cell, case.weights, case.x_TBD, case.state)
    forwards = clock.item()
    y.sum().backward()

    assert 0 < forwards < clock.item() < 10**10


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"u": torch.zeros(5, 3, dtype=torch.float64)}, "u has shape"),
        ({"u": torch.zeros(5, 3, 28)}, "parameters has .*float64.*float32"),
        ({"u": torch.zeros(5, 3, 27, dtype=torch.float64)}, "u has shape"),
        ({"form": [0, 1, 0, 3, 3, 3]}, "form=.*above zero"),
        ({"form": [0, 1, 2, 3, 3]}, "form=.*chunk"),
        ({"form": [3, 1, 2, 3, 3, 3]}, "form=.*the cell below 3"),
        ({"form": [1, 1, 2, 3, 3, 3]}, "parameters has shape"),
        ({"parameters": torch.zeros(1, 3, dtype=torch.float64)}, "parameters has shape"),
        ({"state": torch.zeros(2, 18, dtype=torch.float64)}, "state has shape"),
        ({"fresh": torch.zeros(2, dtype=torch.float64)}, "fresh has shape"),
        ({"lengths": torch.zeros(3)}, "lengths has shape"),
        ({"reset": torch.zeros(5, 3)}, "reset has shape"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused_before_memory_is_read(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ShapeError, match=says):
        torch.ops.elman.chunks(*arguments(CELLS["deltanet"], **changes).values())


def outcome(call: Callable[..., Any], layer: Any, x: Tensor, *rest: Any) -> list[Tensor]:
    """Outputs, states and gradients of a call."""
    x = x.detach().requires_grad_()
    layer.zero_grad()
    y, last = call(x, *rest)
    states = last if isinstance(last, tuple) else (last,)
    total = (y * torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view_as(y)).sum()
    (total + sum(s.square().sum() for s in states)).backward()
    return [y.detach(), *(s.detach() for s in states), x.grad, *(p.grad.clone() for p in layer.parameters())]


@without_checks
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dynamic", [False, True])
def test_compiled_equals_eager(name: str, dynamic: bool) -> None:
    """One graph without a break, forwards and backwards, plain and with lengths and resets."""
    torch._dynamo.reset()
    layer = layers_of(name, 3, 4, heads=2, chunk_size=3, num_layers=2, dtype=torch.float64)

    def run(x: Tensor, lengths: Tensor | None = None, reset: Tensor | None = None) -> Any:
        return layer(x, lengths=lengths, reset=reset)

    compiled = torch.compile(run, fullgraph=True, backend="aot_eager", dynamic=dynamic)
    for steps, batch in [(6, 3), (9, 3), (4, 2)][: 3 if dynamic else 1]:
        x = torch.randn(steps, batch, 3, dtype=torch.float64)
        rest = (torch.randint(0, steps + 1, (batch,)), torch.rand(steps, batch) < 0.3)
        for given in ((), rest):
            for a, b in zip(outcome(compiled, layer, x, *given), outcome(run, layer, x, *given), strict=True):
                torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", NAMES)
def test_exported_equals_eager(name: str) -> None:
    """Exported with whatever batch and time, and called with others."""
    layer = layers_of(name, 3, 4, heads=2, chunk_size=3)
    auto = torch.export.Dim.AUTO

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x)[0]

    program = torch.export.export(Model(), (torch.randn(5, 3, 3),), dynamic_shapes=({0: auto, 1: auto},)).module()
    for steps, batch in [(5, 3), (8, 2)]:
        x = torch.randn(steps, batch, 3)
        with torch.no_grad():
            torch.testing.assert_close(program(x), layer(x)[0], rtol=1e-6, atol=1e-6)
