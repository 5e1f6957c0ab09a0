"""The native engine as an operator of PyTorch: compiled, exported, transformed, derived twice, and called wrongly."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import typechecks
from laws import Case, LeakyCell, NormedLSTMCell, assert_same, by_engine, random_case, reset_flags, values_and_gradients
from torch import Tensor
from torch.autograd import forward_ad, gradgradcheck

import elman
from elman.cells import Cell, ElmanCell, GRUCell, LSTMCell
from elman.engines import Engine, native, operators, scan
from elman.errors import ShapeError
from elman.layers import layers_of

pytestmark = pytest.mark.usefixtures("unchecked_types")
# TorchDynamo looks into everything that is called, and gets lost in the checks of annotations: these tests run in a process
# that has none.
_UNHOOKED = "ELMAN_TESTS_UNHOOKED"


def without_checks(test: Callable) -> Callable | None:
    """A test that there is in that process alone: `test_what_is_compiled` runs it."""
    return test if _UNHOOKED in os.environ else None


CELLS = {
    "tanh": ElmanCell(3),
    "lstm": LSTMCell(3),
    "lstm_projected": LSTMCell(4, True, 2),
    "gru": GRUCell(3),
    "gru_reset_before": GRUCell(3, False, reset_after=False),
    "leaky": LeakyCell(3),
    "normed_lstm": NormedLSTMCell(3),
    "masked_lstm": LSTMCell(3, variational_dropout=0.3, recurrent_dropout=0.2, zoneout=0.2),
}
SMOOTH = ("tanh", "lstm", "lstm_projected", "gru", "gru_reset_before")
LENGTHS = [5, 0, 3]
LAYERS: dict[str, Callable[..., Any]] = {"rnn": elman.RNN, "gru": elman.GRU, "lstm": elman.LSTM}
# A cell with a scan of its own, which is made of others, and one with weights that are derived from others.
OWN = {"lru": partial(layers_of, "lru"), "rglru": partial(layers_of, "rglru")}
every_cell = pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
smooth_cells = pytest.mark.parametrize("cell", [CELLS[name] for name in SMOOTH], ids=SMOOTH)
every_layer = pytest.mark.parametrize("kind", LAYERS)
LIMITS = {"rtol": 1e-10, "atol": 1e-10}


@pytest.fixture
def unchecked_types() -> Iterator[None]:
    """As in conftest.py, which the process without checks leaves out."""
    with typechecks.off():
        yield


def test_what_is_compiled() -> None:
    """All tests of this file that compile."""
    tests = Path(__file__).parent.parent
    environment = {**os.environ, _UNHOOKED: "1", "PYTHONPATH": str(tests)}
    command = [sys.executable, "-m", "pytest", "--noconftest", "-p", "no:cacheprovider", "-k", "compiled_ or graphs"]
    done = subprocess.run(
        [*command, __file__],
        env=environment,
        cwd=tests.parent,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr


def small_case(cell: Cell, steps: int = 5, batch: int = 3) -> Case:
    return random_case(cell, steps, batch, features=2, seed=7, device="cpu")


def arguments(case: Case, all_states: bool = False, **changes: Any) -> dict[str, Any]:
    """What `torch.ops.elman.scan` takes for a case, by name, with some of it changed."""
    text, names, _, _, mask_names = native._facts(case.cell, all_states, bool(case.masks))
    size = sum(case.cell.state_sizes)
    given: dict[str, Any] = {
        "x": case.x_TBD,
        "weights": [case.weights[name] for name in names],
        "state": torch.cat(case.state, dim=1).detach().requires_grad_(),
        "fresh": None,
        "lengths": None,
        "reset": None,
        "masks": [case.masks[name] for name in mask_names],
        "programs": text,
        "reverse": False,
        "precision": 0,
        "keep": True,
    }
    given |= changes
    if given["fresh"] == "learnt":
        given["fresh"] = torch.linspace(-1, 1, size, dtype=torch.float64, requires_grad=True)
    return given


KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "lengths": {"lengths": torch.tensor(LENGTHS)},
    "reset": {"reset": torch.eye(5, 3, dtype=torch.bool)},
    "reset_to_a_learnt_state": {"reset": torch.eye(5, 3, dtype=torch.bool), "fresh": "learnt"},
    "reverse": {"reverse": True},
    "all_of_it": {
        "reverse": True,
        "reset": torch.eye(5, 3, dtype=torch.bool),
        "lengths": torch.tensor(LENGTHS),
        "fresh": "learnt",
    },
}


@pytest.mark.parametrize("kind", KINDS)
@every_cell
@pytest.mark.parametrize("all_states", [False, True])
def test_the_operator_keeps_the_rules_of_operators(cell: Cell, kind: str, all_states: bool) -> None:
    """Its schema is true, and what it says of shapes without computing is what it gives; autograd is registered well."""
    given = arguments(small_case(cell), all_states, **KINDS[kind])
    checks = ["test_schema", "test_autograd_registration", "test_faketensor"]
    if kind in {"plain", "all_of_it"} and not all_states:
        checks.append("test_aot_dispatch_dynamic")

    torch.library.opcheck(torch.ops.elman.scan, tuple(given.values()), test_utils=checks)


@pytest.mark.parametrize("kind", KINDS)
@every_cell
def test_the_operator_keeps_the_rules_where_nothing_is_kept(cell: Cell, kind: str) -> None:
    """keep=False is for calls that no gradient is asked of."""
    case = small_case(cell)
    case = case.with_leaves({name: value.detach() for name, value in case.leaves().items()})
    given = arguments(case, **KINDS[kind], keep=False)
    given["state"] = given["state"].detach()

    torch.library.opcheck(torch.ops.elman.scan, tuple(given.values()), test_utils=["test_schema", "test_faketensor"])


@every_cell
def test_keeping_or_not_changes_no_bit(cell: Cell) -> None:
    """The programs for training and for inference compute the same."""
    for kind in KINDS.values():
        with torch.no_grad():
            y, last, *_ = torch.ops.elman.scan(*arguments(small_case(cell), **kind).values())
            y_kept, last_kept, *_ = torch.ops.elman.scan(*arguments(small_case(cell), **kind, keep=False).values())
        assert torch.equal(y, y_kept)
        assert torch.equal(last, last_kept)


def outcome(call: Callable[..., Any], layer: Any, x: Tensor, *rest: Any) -> list[Tensor]:
    """Outputs, states and gradients of a call."""
    x = x.detach().requires_grad_()
    layer.zero_grad()
    y, last = call(x, *rest)
    states = last if isinstance(last, tuple) else (last,)
    total = (y * torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view_as(y)).sum() + sum(
        s.square().sum() for s in states
    )
    total.backward()
    gradients = [p.grad.clone() for p in layer.parameters()]
    return [y.detach(), *(s.detach() for s in states), x.grad, *gradients]


def same(actual: list[Tensor], expected: list[Tensor]) -> None:
    assert len(actual) == len(expected)
    for a, b in zip(actual, expected, strict=True):
        torch.testing.assert_close(a, b, **LIMITS)


@without_checks
@pytest.mark.parametrize("kind", LAYERS | OWN)
@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True, "batch_first": True}], ids=str)
def test_compiled_equals_eager(kind: str, options: dict[str, Any]) -> None:
    """One graph without a break, forwards and backwards, plain and with lengths and resets."""
    torch._dynamo.reset()
    layer = (LAYERS | OWN)[kind](3, 4, **options, dtype=torch.float64)
    swapped = bool(options)
    x = torch.randn(3, 6, 3, dtype=torch.float64) if swapped else torch.randn(6, 3, 3, dtype=torch.float64)
    reset = torch.rand(x.shape[:2]) < 0.3
    lengths = torch.tensor([6, 2, 0])

    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    same(outcome(compiled, layer, x), outcome(layer, layer, x))

    def run(x: Tensor, lengths: Tensor, reset: Tensor) -> Any:
        return layer(x, lengths=lengths, reset=reset)

    compiled = torch.compile(run, fullgraph=True, backend="aot_eager")
    same(outcome(compiled, layer, x, lengths, reset), outcome(run, layer, x, lengths, reset))


@without_checks
@pytest.mark.parametrize(
    "options",
    [
        {"hidden_size": [4, 3], "connections": "highway", "dropout": 0.5, "weight_drop": 0.5},
        {"bidirectional": True, "merge": "sum", "connections": "dense", "locked_dropout": True},
        {"reverse": True, "connections": "residual", "init": "orthogonal"},
        {
            "learn_initial_state": True,
            "layer_norm": True,
            "zoneout": 0.1,
            "variational_dropout": 0.5,
            "engine": "reference",
        },
    ],
    ids=["highway", "dense", "reverse", "cell"],
)
def test_compiled_options_in_evaluation_equal_eager(options: dict[str, Any]) -> None:
    """One graph without a break, with lengths and resets."""
    torch._dynamo.reset()
    layer = elman.GRU(3, **{"hidden_size": 4, "num_layers": 2, "dtype": torch.float64, **options}).eval()
    x, reset, lengths = torch.randn(6, 3, 3, dtype=torch.float64), torch.rand(6, 3) < 0.3, torch.tensor([6, 2, 0])

    def run(x: Tensor, lengths: Tensor, reset: Tensor) -> Tensor:
        return layer(x, lengths=lengths, reset=reset)[0]

    compiled = torch.compile(run, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x, lengths, reset), run(x, lengths, reset), **LIMITS)


@without_checks
@every_layer
def test_compiled_for_any_size_equals_eager(kind: str) -> None:
    """dynamic=True: one graph for many batches and lengths of time, values and gradients."""
    torch._dynamo.reset()
    layer = LAYERS[kind](3, 4, dtype=torch.float64)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager", dynamic=True)
    for steps, batch in [(5, 3), (2, 7), (9, 2), (30, 4)]:
        x = torch.randn(steps, batch, 3, dtype=torch.float64)
        same(outcome(compiled, layer, x), outcome(layer, layer, x))


@without_checks
@every_layer
def test_compiled_for_any_size_with_lengths_equals_eager(kind: str) -> None:
    """How many steps are valid is known when it runs, and not before."""
    torch._dynamo.reset()
    layer = LAYERS[kind](3, 4, dtype=torch.float64)

    def run(x: Tensor, lengths: Tensor) -> Any:
        return layer(x, lengths=lengths)

    compiled = torch.compile(run, fullgraph=True, backend="aot_eager", dynamic=True)
    for steps, batch in [(5, 3), (4, 7), (9, 2)]:
        x = torch.randn(steps, batch, 3, dtype=torch.float64)
        lengths = torch.randint(0, steps + 1, (batch,))
        same(outcome(compiled, layer, x, lengths), outcome(run, layer, x, lengths))


@pytest.mark.parametrize("lengths", [False, True])
@every_layer
def test_exported_equals_eager(kind: str, lengths: bool) -> None:
    """Exported with whatever batch and time, and called with others."""
    layer = LAYERS[kind](3, 4, num_layers=2, bidirectional=True)
    auto = torch.export.Dim.AUTO

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
            return self.layer(x, lengths=lengths)[0]

    shapes: tuple[Any, ...] = ({0: auto, 1: auto}, {0: auto} if lengths else None)
    model = Model()
    example = (torch.randn(5, 3, 3), torch.tensor([5, 1, 0]) if lengths else None)
    program = torch.export.export(model, example, dynamic_shapes=shapes).module()
    for steps, batch in [(5, 3), (8, 2), (3, 6)]:
        x = torch.randn(steps, batch, 3)
        given = torch.randint(0, steps + 1, (batch,)) if lengths else None
        with torch.no_grad():
            torch.testing.assert_close(program(x, given), model(x, given), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["lstm", "lru", "rglru", "mlstm", "gated_deltanet", "mamba2"])
def test_without_memory_there_are_shapes_alone(name: str) -> None:
    """On the device "meta", forwards and backwards."""
    layer = layers_of(name, 3, 4, device="meta")
    x = torch.empty(5, 2, 3, device="meta", requires_grad=True)
    with torch.no_grad():
        assert layer(x)[0].shape == (5, 2, 4)
    y, _ = layer(x)
    y.sum().backward()
    assert y.shape == (5, 2, 4)
    assert x.grad is not None
    assert x.grad.is_meta
    assert x.grad.shape == x.shape


@pytest.mark.parametrize("with_lengths", [False, True])
@smooth_cells
def test_second_derivatives_are_right(cell: Cell, with_lengths: bool) -> None:
    """Against differences of first derivatives."""
    case = small_case(cell, steps=3, batch=2)
    lengths = torch.tensor([3, 1]) if with_lengths else None
    leaves = case.leaves()

    def run(*values: Tensor) -> tuple[Tensor, ...]:
        each = case.with_leaves(dict(zip(leaves, values, strict=True)))
        y, last = scan(each.cell, each.weights, each.x_TBD, each.state, lengths, engine=Engine.NATIVE)
        return (y, *last)

    assert gradgradcheck(run, tuple(leaves.values()), fast_mode=True)


def by(case: Case, engine: Engine, x: Tensor, weight_hh: Tensor | None = None, lengths: Tensor | None = None) -> Tensor:
    weights = case.weights if weight_hh is None else {**case.weights, "weight_hh": weight_hh}
    y, last = scan(case.cell, weights, x, case.state, lengths, engine=engine)
    return torch.cat([y.flatten(), *(s.flatten() for s in last)])


# PyTorch itself makes its rules of forward mode by torch.jit.script.
@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")
@pytest.mark.parametrize("lengths", [None, torch.tensor([3, 0])], ids=["whole", "lengths"])
@every_cell
def test_transforms_of_functions_agree_with_the_reference(cell: Cell, lengths: Tensor | None) -> None:
    """vmap, jvp, jacrev, hessian, and forward mode."""
    case = small_case(cell, steps=3, batch=2)
    case = case.with_leaves({name: value.detach() for name, value in case.leaves().items()})
    x, tangent = case.x_TBD, torch.randn_like(case.x_TBD)
    weight = case.weights["weight_hh"]
    found = []
    for engine in (Engine.NATIVE, Engine.REFERENCE):

        def run(x: Tensor, w: Tensor = weight, engine: Engine = engine) -> Tensor:
            return by(case, engine, x, w, lengths)

        with forward_ad.dual_level():
            dual = forward_ad.unpack_dual(run(forward_ad.make_dual(x, tangent)))
        found.append(
            [
                torch.func.vmap(run)(torch.stack([x, tangent])),
                torch.func.vmap(run)(torch.stack([x, tangent]), torch.stack([weight, 2 * weight])),
                *torch.func.jvp(run, (x,), (tangent,)),
                torch.func.jacrev(run)(x),
                torch.func.jacrev(lambda w: run(x, w))(weight),
                torch.func.hessian(lambda x: run(x).square().sum())(x),
                torch.func.vmap(torch.func.grad(lambda x: run(x).sum()))(torch.stack([x, tangent])),
                dual.primal,
                dual.tangent,
            ]
        )
    same(found[0], found[1])


@without_checks
@every_layer
def test_autocast_works_in_graphs_too(kind: str) -> None:
    """Under autocast compiled and eager agree, and inputs may be halves, as the layer before gives them."""
    torch._dynamo.reset()
    layer = LAYERS[kind](8, 16)
    x = torch.randn(6, 3, 8)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    with torch.autocast("cpu", torch.bfloat16):
        eager, graph, halves = (call(given)[0] for call, given in ((layer, x), (compiled, x), (layer, x.bfloat16())))

    full = layer(x)[0]
    for y in (eager, graph, halves):
        assert y.dtype == torch.float32
        torch.testing.assert_close(y, full, rtol=0, atol=2e-2)
    torch.testing.assert_close(graph, eager, rtol=1e-6, atol=1e-6)


def _wrong() -> dict[str, Callable[[dict[str, Any]], dict[str, Any]]]:
    """Ways to call the operator wrongly: what each changes in good arguments (T, B, D, H = 5, 3, 2, 3)."""
    flags, whole = torch.zeros(5, 3, dtype=torch.bool), torch.tensor([5, 5, 5])
    return {
        "x_of_other_features": lambda _: {"x": torch.zeros(5, 3, 7, dtype=torch.float64)},
        "x_of_two_axes": lambda _: {"x": torch.zeros(5, 3, dtype=torch.float64)},
        "x_of_one_axis": lambda _: {"x": torch.zeros(5, dtype=torch.float64)},
        "x_of_four_axes": lambda _: {"x": torch.zeros(5, 3, 2, 2, dtype=torch.float64)},
        "x_of_other_dtype": lambda g: {"x": g["x"].float()},
        "x_whole": lambda g: {"x": g["x"].detach().long()},
        "all_halves": lambda g: {
            "x": g["x"].half(),
            "state": g["state"].half(),
            "weights": [w.half() for w in g["weights"]],
        },
        "state_of_other_batch": lambda g: {"state": g["state"][:2]},
        "state_of_other_size": lambda g: {"state": g["state"][:, :-1]},
        "state_of_other_dtype": lambda g: {"state": g["state"].float()},
        "fresh_of_other_size": lambda _: {"fresh": torch.zeros(1, dtype=torch.float64)},
        "lengths_too_long": lambda _: {"lengths": whole + 1},
        "lengths_below_zero": lambda _: {"lengths": whole - 6},
        "lengths_far_too_long": lambda _: {"lengths": whole + 2**40},
        "lengths_of_other_batch": lambda _: {"lengths": whole[:2]},
        "lengths_of_other_dtype": lambda _: {"lengths": whole.int()},
        "reset_of_other_shape": lambda _: {"reset": flags.t().contiguous()},
        "reset_of_other_dtype": lambda _: {"reset": flags.long()},
        "weights_turned": lambda g: {"weights": [w.t() if w.dim() == 2 else w for w in g["weights"]]},
        "weight_too_small": lambda g: {"weights": [*g["weights"][:-1], g["weights"][-1][:-1]]},
        "weight_of_other_dtype": lambda g: {"weights": [g["weights"][0].float(), *g["weights"][1:]]},
        "a_weight_too_few": lambda g: {"weights": g["weights"][:-1]},
        "a_weight_too_many": lambda g: {"weights": [*g["weights"], g["weights"][-1]]},
        "no_weights": lambda _: {"weights": []},
    }


WRONG = _wrong()


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("cell", [CELLS["lstm"], CELLS["tanh"]], ids=["lstm", "tanh"])
def test_a_wrong_call_is_an_error_and_no_crash(cell: Cell, keep: bool, wrong: str) -> None:
    """The core reads memory as it is told to: nothing wrong may get there."""
    given = arguments(small_case(cell), keep=keep)
    given |= WRONG[wrong](given)

    with pytest.raises(ShapeError):
        torch.ops.elman.scan(*given.values())


@pytest.mark.parametrize("wrong", ["none", "one_too_many", "of_other_size", "of_other_batch", "of_other_dtype"])
@pytest.mark.parametrize("keep", [False, True])
def test_wrong_masks_are_an_error_and_no_crash(keep: bool, wrong: str) -> None:
    """One for each that the cell draws, of its size, for each step or for each sequence."""
    given = arguments(small_case(CELLS["masked_lstm"]), keep=keep)
    first, *rest = given["masks"]
    given["masks"] = {
        "none": [],
        "one_too_many": [first, first, *rest],
        "of_other_size": [first[..., :-1], *rest],
        "of_other_batch": [first[..., :-1, :], *rest],
        "of_other_dtype": [first.float(), *rest],
    }[wrong]

    with pytest.raises(ShapeError):
        torch.ops.elman.scan(*given.values())


@pytest.mark.parametrize("kind", KINDS)
@every_cell
def test_memory_of_any_strides_will_do(cell: Cell, kind: str) -> None:
    """Transposed, expanded and cut arrays are read as what they say."""
    given = arguments(small_case(cell), **KINDS[kind])
    with torch.no_grad():
        expected = torch.ops.elman.scan(*given.values())
        strange = dict(given)
        strange["x"] = given["x"].transpose(0, 2).contiguous().transpose(0, 2)
        strange["weights"] = [torch.stack([w, w], dim=-1)[..., 0] for w in given["weights"]]
        strange["state"] = given["state"].t().contiguous().t()
        actual = torch.ops.elman.scan(*strange.values())

    for a, b in zip(actual, expected, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("all_states", [False, True])
@pytest.mark.parametrize("engine", [Engine.NATIVE, Engine.REFERENCE], ids=str)
@every_cell
def test_nothing_to_do_gives_the_state_back_and_gradients_of_zero(cell: Cell, engine: Engine, all_states: bool) -> None:
    """No steps, no sequences, and sequences without steps; with and without lengths and resets."""
    for steps, batch, with_lengths in [
        (0, 3, False),
        (0, 3, True),
        (4, 0, False),
        (4, 0, True),
        (0, 0, True),
        (4, 3, True),
    ]:
        case = small_case(cell, steps, batch)
        lengths = torch.zeros(batch, dtype=torch.long) if with_lengths else None
        for reset in (None, torch.ones(steps, batch, dtype=torch.bool)):
            for reverse in (False, True):
                y, last, *states = scan(
                    cell, case.weights, case.x_TBD, case.state, lengths, reset,
                    engine=engine, reverse=reverse, all_states=all_states,
                )  # fmt: skip
                assert y.shape == (steps, batch, cell.output_size)
                assert not y.any()
                for before, after in zip(case.state, last, strict=True):
                    assert torch.equal(before, after)
                for every in states:
                    assert [s.shape for s in every] == [(steps, batch, size) for size in cell.state_sizes]
                total = y.sum() + sum(s.sum() for s in last) + sum(s.sum() for every in states for s in every)
                names = list(case.leaves())
                gradients = torch.autograd.grad(total, list(case.leaves().values()), materialize_grads=True)
                for name, gradient in zip(names, gradients, strict=True):
                    assert torch.equal(gradient, torch.full_like(gradient, float(name.startswith("initial")))), name


@every_cell
def test_a_gradient_of_one_result_alone_is_right(cell: Cell) -> None:
    """Of the outputs only, or of one final state only: what isn't asked of counts as zero."""
    case = small_case(cell)
    for lengths in (None, LENGTHS):
        results = [
            by_engine(engine, lengths, reset_flags(case, {(2, 0)})) for engine in (Engine.NATIVE, Engine.REFERENCE)
        ]
        for name in results[0](case):
            actual, expected = (
                values_and_gradients(case, lambda c, compute=compute, name=name: {name: compute(c)[name]})
                for compute in results
            )
            assert_same(actual, expected)


def test_the_operator_is_the_one_that_layers_call() -> None:
    """The function that is called where nothing records is the one behind the operator."""
    given = arguments(small_case(CELLS["gru"]), keep=False)
    with torch.no_grad():
        direct, dispatched = operators.scan(*given.values()), torch.ops.elman.scan(*given.values())

    assert all(torch.equal(a, b) for a, b in zip(direct, dispatched, strict=True))


@pytest.mark.parametrize("wrong", ["dy", "dlast", "rows_y", "rows_states", "kept"])
@pytest.mark.parametrize("how", ["width", "rows", "dtype"])
def test_a_wrong_call_of_the_backward_operator_is_an_error_and_no_crash(wrong: str, how: str) -> None:
    """Autograd never makes one; a program that calls it directly may."""
    given = arguments(small_case(CELLS["lstm"]), keep=True)
    y, last, states, _, kept = torch.ops.elman.scan(*given.values())
    given.pop("keep")
    head = {"dy": y.detach(), "dlast": last.detach(), "dstates": None}
    saved = {"rows_y": y.detach(), "rows_states": states.detach(), "kept": kept}
    before = [name for name in given if name not in {"programs", "reverse", "precision"}]
    call = (
        head
        | {name: given[name] for name in before}
        | saved
        | {n: given[n] for n in ("programs", "reverse", "precision")}
    )
    change = {"width": lambda t: t[..., :1], "rows": lambda t: t[:-1], "dtype": lambda t: t.float()}[how]

    with torch.no_grad(), pytest.raises(ShapeError, match=wrong):
        torch.ops.elman.scan_backward(*(call | {wrong: change(call[wrong])}).values())
