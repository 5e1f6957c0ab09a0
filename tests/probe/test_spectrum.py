"""Exponents and singular values of linear recurrences are known."""

import math

import pytest
import torch
from torch import Tensor

from elman.cells import CELLS
from elman.layers import Recurrent
from elman.probe.spectrum import jacobian, spectrum
from elman.probe.tap import Step, find_stacks, tapped, undisturbed


def steps_of(layers: Recurrent, steps: int, batch: int = 2) -> list[Step]:
    x_TBD = torch.randn(steps, batch, layers.input_size, dtype=torch.float64)
    with undisturbed(layers), tapped(find_stacks(layers), keep=True) as passages:
        layers(x_TBD)
    return passages[0].steps


def linear(matrix: Tensor) -> Recurrent:
    """h_t = A h_{t-1} + W x_t."""
    layers = Recurrent("elman", 2, len(matrix), nonlinearity="identity", dtype=torch.float64)
    with torch.no_grad():
        layers.weight_hh_l0.copy_(matrix)
    return layers


def rotation() -> Tensor:
    return torch.linalg.qr(torch.randn(6, 6, dtype=torch.float64))[0]


def test_exponents_are_the_logarithms_of_known_eigenvalues() -> None:
    """Of a symmetric A, and of one that is not normal, whose singular values are others."""
    values = torch.tensor([1.1, 0.9, 0.6, 0.4, 0.2, 0.1], dtype=torch.float64)
    turned, skewed = rotation(), torch.eye(6, dtype=torch.float64) + 0.3 * torch.randn(6, 6, dtype=torch.float64)
    for basis in (turned, skewed):
        matrix = basis @ torch.diag(values) @ torch.linalg.inv(basis)
        layers = linear(matrix)
        found = spectrum(layers.cell, steps_of(layers, 400))
        assert found.exponents == pytest.approx(values.log().tolist(), abs=1e-8)
        assert found.singular_values == pytest.approx(torch.linalg.svdvals(matrix).tolist(), abs=1e-10)
        assert found.verdict == "explodes"


def test_an_orthogonal_recurrence_is_at_the_edge() -> None:
    layers = linear(rotation())
    found = spectrum(layers.cell, steps_of(layers, 50))
    assert found.exponents == pytest.approx([0] * 6, abs=1e-12)
    assert found.singular_values == pytest.approx([1] * 6, abs=1e-12)
    assert found.verdict == "edge"


def test_a_contraction_forgets() -> None:
    layers = linear(0.5 * rotation())
    found = spectrum(layers.cell, steps_of(layers, 50))
    assert found.exponents == pytest.approx([math.log(0.5)] * 6, abs=1e-12)
    assert found.verdict == "forgets"


def test_a_pair_of_complex_eigenvalues_has_one_rate() -> None:
    turn = torch.tensor([[math.cos(1), -math.sin(1)], [math.sin(1), math.cos(1)]], dtype=torch.float64)
    layers = linear(torch.block_diag(0.9 * turn, 0.5 * turn))
    found = spectrum(layers.cell, steps_of(layers, 200))
    assert found.exponents == pytest.approx([math.log(0.9)] * 2 + [math.log(0.5)] * 2, abs=1e-8)


def test_what_does_not_come_from_the_state_before_has_no_rate() -> None:
    layers = linear(torch.diag(torch.tensor([0.5, 0.0], dtype=torch.float64)))
    leading, gone = spectrum(layers.cell, steps_of(layers, 40)).exponents
    assert leading == pytest.approx(math.log(0.5), abs=1e-12)
    assert gone < -100


def test_only_the_leading_ones_are_those_of_all() -> None:
    layers = linear(rotation() @ torch.diag(torch.linspace(0.2, 0.9, 6, dtype=torch.float64)))
    steps = steps_of(layers, 300)
    whole, some = spectrum(layers.cell, steps), spectrum(layers.cell, steps, exponents=2)
    assert some.exponents == pytest.approx(whole.exponents[:2], abs=1e-6)


@pytest.mark.parametrize("name", list(CELLS))
def test_the_jacobian_of_every_cell_is_that_of_automatic_differentiation(name: str) -> None:
    frame = {"frame": (1, 2)} if name == "conv_lstm" else {}
    layers = Recurrent(name, 4, 4, dtype=torch.float64, **frame)
    step = steps_of(layers, 3)[2]
    before = [s[1:2].detach() for s in step.before]

    def joined(*state: Tensor) -> Tensor:
        _, after = layers.cells[0].advance(step.weights, step.u_BG[1:2].detach(), layers.cell.state_type(*state))
        return torch.cat([s + 0 * old for s, old in zip(after, state, strict=True)], dim=-1)[0]

    whole = torch.autograd.functional.jacobian(joined, tuple(before))
    expected = torch.cat([part[:, 0] for part in whole], dim=-1)
    torch.testing.assert_close(jacobian(layers.cells[0], step, row=1), expected, rtol=0, atol=1e-12)


def test_a_held_back_gradient_is_no_derivative() -> None:
    layers = Recurrent("elman", 2, 6, nonlinearity="identity", clip_gradient=1e-3, dtype=torch.float64)
    with torch.no_grad():
        layers.weight_hh_l0.copy_(rotation())
    assert spectrum(layers.cell, steps_of(layers, 20)).exponents == pytest.approx([0] * 6, abs=1e-12)
