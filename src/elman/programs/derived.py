"""What a step makes of weights alone, as softplus(Λ) of an RG-LRU: once for a whole sequence, by PyTorch, not at each step.

To a program such a vector is a weight like others; its gradient goes on to those that it is made of by autograd.
"""

import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

# Those of two operands take a number on either side.
_FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
    "neg": operator.neg,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "exp": torch.exp,
    "sqrt": torch.sqrt,
    "log": torch.log,
    "softplus": functional.softplus,
}
CAN_DERIVE = frozenset({*_FUNCTIONS, "max", "min"})


class Rows(NamedTuple):
    """`size` elements of a weight, or of what was derived before, from `first` on."""

    weight: str
    first: int
    size: int


class Derived(NamedTuple):
    """A vector of `width` elements: an operation on others and on numbers, element by element."""

    operation: str
    operands: tuple[Rows | float, ...]
    width: int


@dataclass
class Uses:
    """What a step reads of the weights: their names, and what is derived from them, in order, by its name."""

    names: list[str] = field(default_factory=list)
    derived: dict[str, Derived] = field(default_factory=dict)

    def derive(self, operation: str, operands: tuple[Rows | float, ...]) -> str:
        """The name of what comes of this operation. Equal expressions are one."""
        width = max(operand.size for operand in operands if isinstance(operand, Rows))
        wanted = Derived(operation, operands, width)
        for name, known in self.derived.items():
            if known == wanted:
                return name
        name = f"derived {len(self.derived)}"
        self.derived[name] = wanted
        return name


def derive(plan: Iterable[tuple[str, Derived]], weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights, and with them what the plan derives."""
    found = dict(weights)
    for name, derived in plan:
        values = [
            found[operand.weight].narrow(0, operand.first, operand.size) if isinstance(operand, Rows) else operand
            for operand in derived.operands
        ]
        found[name] = _apply(derived.operation, values)
    return found


def _apply(operation: str, values: list[Tensor | float]) -> Tensor:
    if operation not in {"max", "min"}:
        return _FUNCTIONS[operation](*values)
    x, y = values
    if isinstance(x, Tensor) and isinstance(y, Tensor):
        return torch.maximum(x, y) if operation == "max" else torch.minimum(x, y)
    array, limit = (x, y) if isinstance(x, Tensor) else (y, x)
    # The gradient at a limit that is a number is that of a clamp.
    return torch.clamp(array, min=limit) if operation == "max" else torch.clamp(array, max=limit)  # type: ignore[arg-type]
