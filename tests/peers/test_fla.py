"""The HGRN against the plain-PyTorch part of the package fla-core, which `make test-peers` installs."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch
from laws import Case, Results, assert_same, random_case, values_and_gradients

from elman.cells.hgrn import HGRNCell
from elman.engines import Engine, scan


def _naive() -> ModuleType:
    """Its file alone: the package around it needs Triton."""
    package = importlib.util.find_spec("fla")
    assert package is not None
    assert package.submodule_search_locations
    path = Path(next(iter(package.submodule_search_locations))) / "ops" / "hgrn" / "naive.py"
    spec = importlib.util.spec_from_file_location("fla_hgrn_naive", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


naive = _naive()


@pytest.mark.parametrize("engine", [Engine.REFERENCE, Engine.NATIVE])
@pytest.mark.parametrize("lower_bound", [0.0, 0.6])
def test_hgrn_equals_flas_from_a_state_that_is_not_zero(lower_bound: float, engine: Engine) -> None:
    """Values and all gradients, in float32, which is what it computes in."""
    case = random_case(HGRNCell(6, lower_bound=lower_bound), 9, 3, 4, 1, "cpu").to(torch.float32)

    def by_elman(case: Case) -> Results:
        y, last = scan(case.cell, case.weights, case.x_TBD, case.state, engine=engine)
        return {"y": y, "h": last.h}

    def by_fla(case: Case) -> Results:
        """It has (B, T, H), log f, and what is added to the state; the gate of the output belongs to its layer."""
        sums = torch.nn.functional.linear(case.x_TBD, case.weights["weight_ih"], case.weights["bias_ih"])
        f, i, g = sums.transpose(0, 1).chunk(3, dim=-1)
        f = lower_bound + (1 - lower_bound) * f.sigmoid()
        h, last = naive.naive_recurrent_hgrn((1 - f) * torch.nn.functional.silu(i), f.log(), case.state.h, True)
        return {"y": (g.sigmoid() * h).transpose(0, 1), "h": last}

    assert_same(values_and_gradients(case, by_elman), values_and_gradients(case, by_fla), 1e-5)
