"""What a forecast says of each value to come: a point, quantiles, or a distribution.

    absolute, squared   a point; mean |y - p|, mean (y - p)²
    quantile            levels q_1 < q_2 < …, which can't cross: each is the one before it and softplus of a number;
                        mean of the pinball loss, max(q (y - p_q), (q - 1)(y - p_q))       (Koenker and Bassett, 1978)
    normal              N(m, s²)                       student      m + s t, of ν degrees of freedom, which is learnt
    poisson             counts, of the rate λ          bernoulli    on or off, of P(on)

A network gives `size` numbers a value, in the units of its window, in which z = shift + width z'. `read` makes them the
parameters of z; losses of distributions are -ln p(z), in nats.
"""

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, softplus

from elman.axes import Float, Tensor

# No deviation is smaller: a value that can be foretold exactly would have an infinite density.
_LEAST = 1e-3


class Output(nn.Module):
    """The last axis of `raw` and `parameters` is `size`; `shift` and `width` have one element there."""

    size: int = 1
    # Which of the numbers of `raw` moves the whole forecast up or down.
    location: int = 0
    # A distribution has quantiles of any level, and its loss is in nats.
    distribution: ClassVar[bool] = False

    def read(self, raw: Float[Tensor, "*A Q"], shift: Tensor, width: Tensor) -> Float[Tensor, "*A Q"]:
        """The parameters of z."""
        return shift + width * raw

    def loss(self, parameters: Float[Tensor, "*A Q"], z: Float[Tensor, "*A"]) -> Float[Tensor, "*A"]:
        raise NotImplementedError

    def point(self, parameters: Float[Tensor, "*A Q"]) -> Float[Tensor, "*A"]:
        """The forecast as one number: the mean, or the median where there are quantiles."""
        return parameters[..., 0]

    def quantile(self, parameters: Float[Tensor, "*A Q"], level: float) -> Float[Tensor, "*A"]:
        """The value that z lies below with this probability."""
        raise NotImplementedError


class Absolute(Output):
    def loss(self, parameters: Float[Tensor, "*A Q"], z: Float[Tensor, "*A"]) -> Float[Tensor, "*A"]:
        return (parameters[..., 0] - z).abs()


class Squared(Output):
    def loss(self, parameters: Float[Tensor, "*A Q"], z: Float[Tensor, "*A"]) -> Float[Tensor, "*A"]:
        return (parameters[..., 0] - z).square()


class Quantiles(Output):
    def __init__(self, levels: Sequence[float]) -> None:
        super().__init__()
        self.levels = tuple(levels)
        self.size = len(self.levels)
        self.location = min(range(self.size), key=lambda place: abs(self.levels[place] - 0.5))

    def read(self, raw: Float[Tensor, "*A Q"], shift: Tensor, width: Tensor) -> Float[Tensor, "*A Q"]:
        # From the middle outwards, so that the middle one is as free as a point.
        middle = self.location
        above = softplus(raw[..., middle + 1 :]).cumsum(-1)
        below = softplus(raw[..., :middle]).flip(-1).cumsum(-1).flip(-1)
        centre = raw[..., middle : middle + 1]
        return shift + width * torch.cat([centre - below, centre, centre + above], -1)

    def loss(self, parameters: Float[Tensor, "*A Q"], z: Float[Tensor, "*A"]) -> Float[Tensor, "*A"]:
        return pinball(z[..., None] - parameters, parameters.new_tensor(self.levels)).mean(-1)

    def point(self, parameters: Float[Tensor, "*A Q"]) -> Float[Tensor, "*A"]:
        return parameters[..., self.location]

    def quantile(self, parameters: Float[Tensor, "*A Q"], level: float) -> Float[Tensor, "*A"]:
        return parameters[..., self.levels.index(level)]


def pinball(error: Tensor, level: Tensor | float) -> Tensor:
    """The loss of a quantile that is `error` below the truth."""
    return torch.maximum(level * error, (level - 1) * error)


class Normal(Output):
    size = 2
    distribution = True

    def read(self, raw: Float[Tensor, "*A Q"], shift: Tensor, width: Tensor) -> Float[Tensor, "*A Q"]:
        return torch.cat([shift + width * raw[..., :1], width * softplus(raw[..., 1:]) + _LEAST], -1)

    def loss(self, parameters: Float[Tensor, "*A Q"], z: Float[Tensor, "*A"]) -> Float[Tensor, "*A"]:
        mean, deviation = parameters.unbind(-1)
        return 0.5 * ((z - mean) / deviation).square() + deviation.log() + 0.5 * math.log(2 * math.pi)

    def quantile(self, parameters: Float[Tensor, "*A Q"], level: float) -> Float[Tensor, "*A"]:
        mean, deviation = parameters.unbind(-1)
        return mean + deviation * float(torch.special.ndtri(torch.tensor(level, dtype=torch.float64)))


class Student(Output):
    """ν = 2 + softplus(`freedom`), one for all values: more than 2, so that there is a variance."""

    size = 2
    distribution = True

    def __init__(self) -> None:
        super().__init__()
        self.freedom = nn.Parameter(torch.tensor([3.0]))

    @property
    def degrees(self) -> Float[Tensor, "1"]:
        return 2 + softplus(self.freedom)

    read = Normal.read

    def loss(self, parameters: Float[Tensor, "*A Q"], z: Float[Tensor, "*A"]) -> Float[Tensor, "*A"]:
        place, scale = parameters.unbind(-1)
        nu = self.degrees[0]
        constant = torch.lgamma((nu + 1) / 2) - torch.lgamma(nu / 2) - 0.5 * torch.log(nu * math.pi)
        return (nu + 1) / 2 * torch.log1p(((z - place) / scale).square() / nu) + scale.log() - constant

    def quantile(self, parameters: Float[Tensor, "*A Q"], level: float) -> Float[Tensor, "*A"]:
        place, scale = parameters.unbind(-1)
        return place + scale * student_quantile(level, float(self.degrees.detach()))


def student_quantile(level: float, nu: float) -> float:
    """The quantile of Student's t: with t = √ν tan θ, P(t < √ν tan θ) = 1/2 + C ∫₀^θ cos^{ν-1}, found by halving."""
    constant = math.exp(math.lgamma((nu + 1) / 2) - math.lgamma(nu / 2)) / math.sqrt(math.pi)
    nodes, weights = np.polynomial.legendre.leggauss(64)
    low, high = -math.pi / 2, math.pi / 2
    for _ in range(60):
        theta = (low + high) / 2
        area = theta / 2 * float(weights @ np.cos(theta / 2 * (nodes + 1)) ** (nu - 1))
        low, high = (theta, high) if 0.5 + constant * area < level else (low, theta)
    return math.sqrt(nu) * math.tan((low + high) / 2)


class Poisson(Output):
    distribution = True

    def read(self, raw: Float[Tensor, "*A Q"], shift: Tensor, width: Tensor) -> Float[Tensor, "*A Q"]:  # noqa: ARG002
        # There is no shift: a rate can't be negative.
        return width * softplus(raw) + _LEAST

    def loss(self, parameters: Float[Tensor, "*A Q"], z: Float[Tensor, "*A"]) -> Float[Tensor, "*A"]:
        rate = parameters[..., 0]
        return rate - z * rate.log() + torch.lgamma(z + 1)

    def quantile(self, parameters: Float[Tensor, "*A Q"], level: float) -> Float[Tensor, "*A"]:
        """The smallest count k with P(count ≤ k) ≥ level, found by halving."""
        rate = parameters[..., 0].double()
        low, high = torch.full_like(rate, -1), (rate + 12 * rate.sqrt() + 24).ceil()
        for _ in range(int(math.log2(float(high.max()) + 2)) + 2):
            middle = ((low + high) / 2).floor()
            enough = torch.special.gammaincc(middle.clamp(min=0) + 1, rate) >= level
            high = torch.where(enough & (middle >= 0), middle, high)
            low = torch.where(enough | (middle < 0), low, middle)
        return high.to(parameters.dtype)


class Bernoulli(Output):
    distribution = True

    def read(self, raw: Float[Tensor, "*A Q"], shift: Tensor, width: Tensor) -> Float[Tensor, "*A Q"]:  # noqa: ARG002
        # Log odds have no units.
        return raw

    def loss(self, parameters: Float[Tensor, "*A Q"], z: Float[Tensor, "*A"]) -> Float[Tensor, "*A"]:
        return binary_cross_entropy_with_logits(parameters[..., 0], z, reduction="none")

    def point(self, parameters: Float[Tensor, "*A Q"]) -> Float[Tensor, "*A"]:
        """P(on)."""
        return parameters[..., 0].sigmoid()

    def quantile(self, parameters: Float[Tensor, "*A Q"], level: float) -> Float[Tensor, "*A"]:
        return (parameters[..., 0].sigmoid() > 1 - level).to(parameters.dtype)


LOSSES = ("absolute", "squared", "quantile", "normal", "student", "poisson", "bernoulli")
# Numbers that mean themselves: they aren't standardised.
RAW = ("poisson", "bernoulli")


def output_of(loss: str, levels: Sequence[float]) -> Output:
    """The output that a loss is for."""
    if loss == "quantile":
        return Quantiles(levels)
    kinds: dict[str, type[Output]] = {
        "absolute": Absolute,
        "squared": Squared,
        "normal": Normal,
        "student": Student,
        "poisson": Poisson,
        "bernoulli": Bernoulli,
    }
    return kinds[loss]()
