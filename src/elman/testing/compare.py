"""How far two sets of results are apart."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from elman.axes import Tensor

# For float64 and values of the order of one.
TOLERANCE = 1e-11


@dataclass(frozen=True)
class Difference:
    """The largest difference between two sets of arrays: in which, how large, and in words."""

    size: float
    text: str


def largest_difference(actual: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> Difference:
    """|a - e| / (1 + |e|), the largest over all elements of all arrays; infinite for a NaN, or where names, shapes or dtypes
    are not the same."""
    if actual.keys() != expected.keys():
        return Difference(torch.inf, f"there are {', '.join(actual)}, expected are {', '.join(expected)}")
    largest = Difference(0.0, "no difference")
    for name, value in actual.items():
        found = _difference(name, value.detach(), expected[name].detach())
        largest = max(largest, found, key=lambda difference: difference.size)
    return largest


def assert_same(actual: Mapping[str, Tensor], expected: Mapping[str, Tensor], tolerance: float = TOLERANCE) -> None:
    """Same names, shapes, dtypes, and values: a NaN is never the same. A tolerance of 0 means bit for bit.

    Raises `AssertionError`.
    """
    found = largest_difference(actual, expected)
    if found.size > tolerance:
        raise AssertionError(f"{found.text} (allowed: {tolerance:.0e})")


def _difference(name: str, actual: Tensor, expected: Tensor) -> Difference:
    kinds = [f"shape {tuple(array.shape)}, {array.dtype}" for array in (actual, expected)]
    if kinds[0] != kinds[1] or actual.device != expected.device:
        return Difference(
            torch.inf, f"{name} has {kinds[0]} on {actual.device}, expected is {kinds[1]} on {expected.device}"
        )
    if not actual.numel():
        return Difference(0.0, "no difference")
    actual, expected = actual.double(), expected.double()
    apart = (actual - expected).abs() / (1 + expected.abs())
    # Infinities of the same sign have no difference, which is not a number.
    apart = torch.where(actual == expected, 0, apart).nan_to_num(nan=torch.inf)
    flat = int(apart.argmax())
    place = tuple(int(i) for i in torch.unravel_index(torch.tensor(flat), apart.shape))
    size = float(apart.reshape(-1)[flat])
    values = [float(array.reshape(-1)[flat]) for array in (actual, expected)]
    return Difference(size, f"{name} differs by {size:.1e}, at {place}: {values[0]:.6g} instead of {values[1]:.6g}")
