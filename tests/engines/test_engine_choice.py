"""Which engine runs a cell: what auto comes to, and what a named engine that can't serve says."""

from dataclasses import dataclass

import pytest
import torch
from jaxtyping import TypeCheckError
from laws import by_engine, every_cell, plain_cells, random_case

from elman.cells import Cell, ElmanCell, ElmanState, GRUCell
from elman.engines import Engine, native, resolve, scan
from elman.errors import ElmanError, EngineError


@dataclass(frozen=True)
class _Leaky(Cell):
    """A cell of a user's own, that no fused layer computes."""

    name = "leaky"
    gates = ("h",)
    state_type = ElmanState

    def step(self, weights, u_BG, state):
        h_BH = 0.5 * state.h + u_BG @ weights["weight_hh"].T
        return h_BH.sin(), ElmanState(h_BH)


@dataclass(frozen=True)
class _Altered(GRUCell):
    """A subclass may compute something else than its parent."""

    def step(self, weights, u_BG, state):
        y_BH, state = super().step(weights, u_BG, state)
        return 2 * y_BH, state


@every_cell
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_auto_takes_the_native_engine_on_a_processor(make_cell, dtype: torch.dtype) -> None:
    assert resolve("auto", make_cell(3), torch.zeros(1, dtype=dtype)) is Engine.NATIVE


@plain_cells
def test_auto_takes_the_fused_layers_where_the_core_cannot_serve(make_cell) -> None:
    assert resolve("auto", make_cell(3), torch.zeros(1, dtype=torch.bfloat16)) is Engine.TORCH


@pytest.mark.parametrize("engine", ["reference", "torch", "native"])
def test_a_named_engine_is_taken(engine: str) -> None:
    assert resolve(engine, ElmanCell(3)) == engine
    assert resolve(Engine(engine), ElmanCell(3)) == engine


def test_auto_falls_back_to_the_reference() -> None:
    assert resolve("auto", _Leaky(3)) is Engine.REFERENCE


def test_native_engine_named_for_what_is_no_program_says_which_operation_and_which_there_are() -> None:
    with pytest.raises(EngineError, match=r"engine='native'.*'leaky'.*no operation 'sin'; it has .*sigmoid"):
        resolve("native", _Leaky(3))


@pytest.mark.usefixtures("unchecked_types")
@pytest.mark.parametrize(
    ("dtype", "device", "said"), [(torch.float16, "cpu", "float16"), (torch.float32, "cuda", "on a CPU")]
)
def test_native_engine_named_for_other_tensors_says_why_not(dtype: torch.dtype, device: str, said: str) -> None:
    class Like:
        pass

    like = Like()
    like.dtype, like.device = dtype, torch.device(device)
    assert said in native.why_not(ElmanCell(3), like)


def test_a_cell_of_ones_own_runs_by_auto() -> None:
    """And a subclass of a built-in cell isn't mistaken for its parent."""
    case = random_case(_Altered(3), steps=4, batch=2, features=2, seed=1, device="cpu")
    plain = random_case(GRUCell(3), steps=4, batch=2, features=2, seed=1, device="cpu")

    torch.testing.assert_close(
        by_engine(Engine.AUTO)(case)["y"], 2 * by_engine(Engine.AUTO)(plain)["y"], rtol=1e-12, atol=1e-12
    )


def test_torch_engine_named_for_a_foreign_cell_says_why_not_and_what_to_do() -> None:
    with pytest.raises(EngineError, match=r"engine='torch'.*'leaky'.*'auto' or 'reference'"):
        resolve("torch", _Leaky(3))


@pytest.mark.usefixtures("unchecked_types")
@pytest.mark.parametrize("wrong", ["cudnn", "Torch", "", None, 3])
def test_an_unknown_engine_is_named_with_the_known_ones(wrong: object) -> None:
    with pytest.raises(
        EngineError, match=rf"engine='{wrong}' is not known: choose from auto, reference, scan, torch, native"
    ):
        resolve(wrong, ElmanCell(3))


def test_scan_refuses_an_engine_as_resolve_does() -> None:
    case = random_case(ElmanCell(3), steps=2, batch=1, features=2, seed=1, device="cpu")

    with pytest.raises(EngineError, match="nowhere"):
        scan(case.cell, case.weights, case.x_TBD, case.state, engine="nowhere")


def test_engine_error_is_also_a_runtime_error() -> None:
    assert issubclass(EngineError, RuntimeError)
    assert issubclass(EngineError, ElmanError)


def test_annotations_are_checked_while_these_tests_run() -> None:
    """If the import hook were off, wrong shapes would go unseen."""
    case = random_case(ElmanCell(3), steps=2, batch=2, features=2, seed=1, device="cpu")

    with pytest.raises(TypeCheckError, match="lengths_B"):
        scan(case.cell, case.weights, case.x_TBD, case.state, torch.tensor([1, 1, 1]))
