"""What forecasts say: losses and quantiles against torch.distributions and scipy, gradients, and laws."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import distributions

from elman.models.forecast_outputs import (
    LOSSES,
    Bernoulli,
    Normal,
    Output,
    Poisson,
    Quantiles,
    Student,
    output_of,
    pinball,
    student_quantile,
)

LEVELS = (0.05, 0.3, 0.5, 0.8, 0.99)


def parameters(output: Output, count: int = 40, seed: int = 0) -> torch.Tensor:
    """Parameters of some values, float64, in windows of different scales."""
    generator = torch.Generator().manual_seed(seed)
    raw = 2 * torch.randn(count, output.size, generator=generator, dtype=torch.float64)
    shift = torch.randn(count, 1, generator=generator, dtype=torch.float64)
    width = torch.rand(count, 1, generator=generator, dtype=torch.float64) + 0.2
    return output.read(raw, shift, width)


def reference(output: Output, found: torch.Tensor) -> distributions.Distribution:
    if isinstance(output, Normal):
        return distributions.Normal(found[:, 0], found[:, 1])
    if isinstance(output, Student):
        return distributions.StudentT(output.degrees.double(), found[:, 0], found[:, 1])
    if isinstance(output, Poisson):
        return distributions.Poisson(found[:, 0])
    return distributions.Bernoulli(logits=found[:, 0])


@pytest.mark.parametrize("kind", [Normal, Student, Poisson, Bernoulli])
def test_likelihoods_and_means_are_those_of_the_distribution(kind: type[Output]) -> None:
    output = kind().double()
    found = parameters(output)
    expected = reference(output, found)
    z = expected.sample()
    torch.testing.assert_close(output.loss(found, z), -expected.log_prob(z))
    torch.testing.assert_close(output.point(found), expected.mean)


@pytest.mark.parametrize("level", LEVELS)
def test_quantiles_are_those_of_the_distribution(level: float) -> None:
    stats = pytest.importorskip("scipy.stats")
    for kind in (Normal, Student, Poisson, Bernoulli):
        output = kind().double()
        found = parameters(output)
        columns = found.detach().numpy().T
        expected = {
            Normal: lambda c: stats.norm.ppf(level, c[0], c[1]),
            Student: lambda c, o=output: stats.t.ppf(level, float(o.degrees.detach()), c[0], c[1]),
            Poisson: lambda c: stats.poisson.ppf(level, c[0]),
            Bernoulli: lambda c: stats.bernoulli.ppf(level, 1 / (1 + np.exp(-c[0]))),
        }[kind](columns)
        torch.testing.assert_close(
            output.quantile(found, level).detach(), torch.from_numpy(expected), rtol=1e-6, atol=1e-6
        )


@given(level=st.floats(0.001, 0.999), nu=st.floats(2, 300))
def test_student_quantiles_are_symmetric_and_near_the_normal_for_many_degrees(level: float, nu: float) -> None:
    assert student_quantile(level, nu) == pytest.approx(-student_quantile(1 - level, nu), abs=1e-6)
    normal = float(torch.special.ndtri(torch.tensor(level, dtype=torch.float64)))
    assert student_quantile(level, 5000.0) == pytest.approx(normal, abs=0.02)


def test_large_counts_have_quantiles_too() -> None:
    stats = pytest.importorskip("scipy.stats")
    rate = torch.tensor([[1e-3], [0.5], [40.0], [12345.0]], dtype=torch.float64)
    for level in LEVELS:
        assert Poisson().quantile(rate, level).tolist() == stats.poisson.ppf(level, rate[:, 0].numpy()).tolist()


@given(seed=st.integers(0, 1000))
def test_quantiles_never_cross(seed: int) -> None:
    found = parameters(Quantiles(LEVELS), seed=seed)
    assert (found.diff(dim=-1) >= 0).all()
    for kind in (Normal, Student, Poisson, Bernoulli):
        output = kind().double()
        each = torch.stack([output.quantile(parameters(output, seed=seed), level) for level in LEVELS])
        assert (each.diff(dim=0) >= 0).all()


def test_the_pinball_loss_is_least_at_the_quantile() -> None:
    z = torch.linspace(0, 1, 1001, dtype=torch.float64)
    for level in (0.1, 0.5, 0.9):
        losses = [float(pinball(z - guess, level).mean()) for guess in torch.linspace(0, 1, 101)]
        assert int(np.argmin(losses)) == pytest.approx(100 * level, abs=1)
    output = Quantiles((0.1, 0.9))
    loss = output.loss(torch.tensor([[1.0, 2.0]]), torch.tensor([3.0]))
    assert float(loss) == pytest.approx((0.1 * 2 + 0.9 * 1) / 2)


@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_match_finite_differences(loss: str) -> None:
    output = output_of(loss, LEVELS).double()
    generator = torch.Generator().manual_seed(1)
    raw = torch.randn(6, output.size, generator=generator, dtype=torch.float64, requires_grad=True)
    z = torch.tensor([0.0, 1, 1, 0, 1, 0], dtype=torch.float64)
    shift, width = torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda raw: output.loss(output.read(raw, shift, width), z), raw)


def test_student_learns_its_degrees_and_keeps_a_variance() -> None:
    output = Student()
    output.loss(torch.tensor([[0.0, 1.0]]), torch.tensor([4.0])).sum().backward()
    assert output.freedom.grad is not None
    assert float(output.freedom.grad) != 0
    with torch.no_grad():
        output.freedom.fill_(-50)
    assert float(output.degrees.detach()) == pytest.approx(2)
    assert math.isfinite(student_quantile(0.9, 2.0))
