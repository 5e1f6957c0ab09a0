"""Shares of what is stuck are counted by hand, and gates are called what the cell calls them."""

import pytest
import torch
from test_gradients import layers_of

from elman.cells import CELLS
from elman.layers import Recurrent
from elman.probe.saturation import Saturation, activations, names_of
from elman.probe.tap import Step, find_stacks, tapped, undisturbed


def steps_of(layers: Recurrent, steps: int = 12, scale: float = 1.0) -> list[Step]:
    x_TBD = scale * torch.randn(steps, 3, layers.input_size, dtype=torch.float64)
    with undisturbed(layers), tapped(find_stacks(layers), keep=True) as passages, torch.no_grad():
        layers(x_TBD)
    return passages[0].steps


def counted(layers: Recurrent, steps: list[Step]) -> dict:
    saturation = Saturation(layers.cell)
    with torch.no_grad():
        for step in steps:
            saturation.add(step)
    return saturation.to_dict()


@pytest.mark.parametrize(
    ("name", "options", "names"),
    [
        ("lstm", {}, ["forget", "candidate", "input", "output", "tanh of c"]),
        ("lstm", {"peepholes": True}, ["forget", "candidate", "input", "output", "tanh of c"]),
        ("lstm", {"coupled": True}, ["forget", "candidate", "output", "tanh of c"]),
        ("gru", {}, ["reset", "update", "candidate"]),
        ("gru", {"reset_after": False}, ["reset", "update", "candidate"]),
        ("elman", {}, ["h"]),
        ("elman", {"nonlinearity": "hard_sigmoid"}, ["h"]),
        ("minimalrnn", {}, ["z", "u"]),
        ("janet", {}, ["f", "f 2", "c"]),
        ("elman", {"nonlinearity": "relu"}, []),
    ],
)
def test_gates_have_the_cell_s_own_names(name: str, options: dict, names: list[str]) -> None:
    layers = layers_of(name, options)
    assert sorted(names_of(layers.cell, steps_of(layers)[3])) == sorted(names)


@pytest.mark.parametrize("name", list(CELLS))
def test_every_cell_s_gates_are_told_apart(name: str) -> None:
    layers = layers_of(name, {})
    step = steps_of(layers)[3]
    names = names_of(layers.cell, step)
    assert len(set(names)) == len(names) == len(activations(layers.cell, step))


def test_shares_are_those_of_the_equations() -> None:
    layers = layers_of("lstm", {})
    steps = steps_of(layers, scale=8.0)
    found = counted(layers, steps)
    weights = dict(layers.named_parameters())
    rows = []
    for step in steps:
        u = step.u_BG + step.before.h @ weights["weight_hh_l0"].T + weights["bias_hh_l0"]
        rows.append(u.detach())
    i, f, g, o = torch.stack(rows).chunk(4, dim=-1)
    expected = {name: part.sigmoid() for name, part in (("input", i), ("forget", f), ("output", o))}
    assert len(found["gates"]) == len(expected)
    for gate in found["gates"]:
        value = expected[gate["name"]]
        assert gate["at_0"] == pytest.approx(float((value < 0.05).double().mean()))
        assert gate["at_1"] == pytest.approx(float((value > 0.95).double().mean()))
    candidate = next(tanh for tanh in found["tanh"] if tanh["name"] == "candidate")
    assert candidate["at_1"] == pytest.approx(float((g.tanh().abs() > 0.95).double().mean()))
    assert candidate["at_1"] > 0.3


def test_rows_that_have_ended_are_not_counted() -> None:
    layers = layers_of("gru", {})
    steps = steps_of(layers)
    one = Saturation(layers.cell)
    with torch.no_grad():
        for step in steps:
            one.add(step, torch.tensor([False, True, False]))
    lone = [
        Step(step.weights, step.u_BG[1:2], type(step.before)(step.before.h[1:2]), type(step.after)(step.after.h[1:2]))
        for step in steps
    ]
    assert one.to_dict() == counted(layers, lone)


def test_a_unit_that_hardly_changes_is_dead() -> None:
    layers = layers_of("elman", {})
    with torch.no_grad():
        for name in ("weight_ih_l0", "weight_hh_l0"):
            getattr(layers, name)[1] = 0
        layers.weight_ih_l0[2] *= 1e-6
        layers.weight_hh_l0[2] = 0
    assert counted(layers, steps_of(layers, 30))["dead"] == 0.5


def test_norms_of_a_stream_are_noted_at_powers_of_two() -> None:
    layers = layers_of("lstm", {})
    steps = steps_of(layers, 20)
    found = counted(layers, steps)["state_norms"]
    assert [(norm["step"], norm["state"]) for norm in found] == [(n, s) for n in (1, 2, 4, 8, 16) for s in "hc"]
    assert found[-1]["median"] == pytest.approx(float(steps[15].after.c.norm(dim=-1).median()))
