"""Cells with a matrix for a state against plain-PyTorch forms of the packages xlstm and fla-core (`make test-peers`)."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from laws import Case, Results, assert_same, by_engine, random_case, values_and_gradients
from torch import Tensor
from torch.nn import functional
from xlstm.blocks.mlstm.backends import chunkwise_simple

from elman.cells.gated_deltanet import GatedDeltaNetCell
from elman.cells.mamba2 import Mamba2Cell
from elman.cells.mlstm import MLSTMCell
from elman.engines import Engine

every_engine = pytest.mark.parametrize("engine", [Engine.REFERENCE, Engine.SCAN], ids=str)
# fla-core's forms compute in float32, whatever they are given.
_SINGLE = 2e-5


def _naive(folder: str, name: str) -> Callable[..., Any]:
    """A function of fla-core's file of plain forms, without its package, whose import wants a GPU's compiler."""
    (root,) = importlib.util.find_spec("fla").submodule_search_locations
    path = Path(root, "ops", folder, "naive.py")
    spec = importlib.util.spec_from_file_location(f"fla_{folder}_naive", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, name)


def _heads(x_TBG: Tensor, heads: int) -> Tensor:
    """(B, T, A, _), as fla-core has arrays."""
    return x_TBG.transpose(0, 1).unflatten(-1, (heads, -1))


def _flat(o: Tensor, S: Tensor, gate: Tensor) -> Results:
    """Ours of its outputs (B, T, A, P) and its last state (B, A, K, P)."""
    return {"y": o.transpose(0, 1).flatten(2) * gate, "final S": S.flatten(1)}


def _by_xlstm(case: Case) -> Results:
    """Its divisor without the 1e-6 that it adds. Its gates i and f read q, k and v, which the paper's don't: only what comes
    after the gates is compared."""
    cell = case.cell
    parts = functional.linear(case.x_TBD, case.weights["weight_ih"], case.weights["bias_ih"]).split(cell.gate_sizes, -1)
    q, k, v, i, f, o = (part.transpose(0, 1) for part in parts)
    q, k, v = (part.unflatten(-1, (cell.heads, -1)).transpose(1, 2).contiguous() for part in (q, k, v))
    i, f = (part.transpose(1, 2).contiguous() for part in (i, f))
    C, n = (
        s.unflatten(-1, (cell.heads, *sizes)) for s, sizes in zip(case.state, ((cell.keys, -1), (-1,)), strict=False)
    )
    # Where the scale stands makes k, and so C and n, larger by √K.
    scale = cell.keys**0.5
    h, (C, n, m) = chunkwise_simple(
        q, k, v, i, f, C * scale, n * scale, case.state.m, 4, return_last_state=True, eps=0.0
    )
    y = torch.sigmoid(o) * h.transpose(1, 2).flatten(2)
    final = {"final C": C.flatten(1) / scale, "final n": n.flatten(1) / scale, "final m": m.flatten(1)}
    return {"y": y.transpose(0, 1), **final}


@every_engine
@pytest.mark.parametrize("heads", [1, 3])
def test_mlstm_equals_xlstms_from_a_state_that_is_not_zero(engine: Engine, heads: int) -> None:
    """Values of all states, and all gradients."""
    case = random_case(MLSTMCell(6, heads=heads, chunk_size=5), 12, 3, 4, 1, "cpu")

    assert_same(values_and_gradients(case, by_engine(engine)), values_and_gradients(case, _by_xlstm), 1e-10)


def _by_fla_deltanet(name: str) -> Callable[[Case], Results]:
    run = _naive("gated_delta_rule", name)

    def compute(case: Case) -> Results:
        cell = case.cell
        u = functional.linear(case.x_TBD, case.weights["weight_ih"], case.weights["bias_ih"])
        q, k, v, a, b, z = u.split(cell.gate_sizes, -1)
        q, k, v = (_heads(functional.silu(part), cell.heads) for part in (q, k, v))
        q, k = (part / (part.square().sum(-1, keepdim=True) + 1e-6).sqrt() for part in (q, k))
        g = (-case.weights["a_log"].exp() * functional.softplus(a)).transpose(0, 1)
        state = case.state.S.unflatten(-1, (cell.heads, cell.keys, -1))
        given = {"q": q, "k": k, "v": v, "beta": torch.sigmoid(b).transpose(0, 1), "g": g}
        o, S = run(**given, initial_state=state, output_final_state=True)
        return _flat(o, S, functional.silu(z))

    return compute


@every_engine
@pytest.mark.parametrize("name", ["naive_recurrent_gated_delta_rule", "naive_chunk_gated_delta_rule"])
def test_gated_deltanet_equals_fla_cores(engine: Engine, name: str) -> None:
    case = random_case(GatedDeltaNetCell(6, heads=2, key_size=4, chunk_size=5), 12, 3, 4, 2, "cpu")
    values = by_engine(engine)(case)

    assert_same(_doubles(values), _doubles(_by_fla_deltanet(name)(case)), _SINGLE)


def _by_fla_mamba2(name: str) -> Callable[[Case], Results]:
    run = _naive("simple_gla", name)

    def compute(case: Case) -> Results:
        cell = case.cell
        u = functional.linear(case.x_TBD, case.weights["weight_ih"], case.weights["bias_ih"])
        *parts, d = u.split(cell.gate_sizes, -1)
        z, x, B, C = map(functional.silu, parts)
        step = functional.softplus(d).transpose(0, 1)
        B, C = (_heads(part, 1).expand(-1, -1, cell.heads, -1) for part in (B, C))
        x = _heads(x, cell.heads)
        state = case.state.S.unflatten(-1, (cell.heads, cell.state_size, -1)).float()
        g = -case.weights["a_log"].exp() * step
        o, S = run(C, B * step.unsqueeze(-1), x, g, initial_state=state, output_final_state=True, scale=1.0)
        return _flat(o + case.weights["skip"].unsqueeze(-1) * x, S, z)

    return compute


@every_engine
@pytest.mark.parametrize("name", ["naive_recurrent_simple_gla", "naive_chunk_simple_gla"])
def test_mamba2_equals_fla_cores_attention_with_decay(engine: Engine, name: str) -> None:
    """With queries C, keys Δ B and values x; the skip and the gate are added to it."""
    case = random_case(Mamba2Cell(6, heads=2, state_size=5, chunk_size=5), 12, 3, 4, 3, "cpu")
    values = by_engine(engine)(case)

    assert_same(_doubles(values), _doubles(_by_fla_mamba2(name)(case)), _SINGLE)


def _doubles(results: Results) -> Results:
    return {name: value.detach().double() for name, value in results.items()}
