"""The contract of a cell: one step of a recurrent network, and what a step needs to know.

A cell is a frozen value. It owns no parameters and no state: it says which weights it has (`weight_shapes`), which states
(`state_sizes`), what of a step doesn't depend on the state (`project`), and the step itself. Engines run it over time,
layers hold its weights.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from elman.axes import Float, Tensor
from elman.cells.operations import affine
from elman.errors import OptionError

Weights = Mapping[str, Tensor]
# A NamedTuple of arrays (B, size), one for each state of the cell.
State = Any
_AnyState = TypeVar("_AnyState", bound=tuple)


@dataclass(frozen=True)
class Cell(ABC):
    """One step of a recurrent network of `hidden_size` units.

    Weights go by the names of `torch.nn`: `weight_ih` (G, D), `weight_hh` (G, H), `bias_ih` (G), `bias_hh` (G), where G is
    the number of gates times H and the gates stand in the order of `gates`.
    """

    hidden_size: int
    bias: bool = True

    name: ClassVar[str]
    gates: ClassVar[tuple[str, ...]]
    # The NamedTuple class of the cell's state; its first field is the hidden state h.
    state_type: ClassVar[Any]

    def __post_init__(self) -> None:
        check_size("hidden_size", self.hidden_size)

    @property
    def output_size(self) -> int:
        """Size of y_t: what the next layer reads."""
        return self.hidden_size

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """Size of each state, in the order of `state_type`'s fields."""
        return (self.hidden_size,) * len(self.state_type._fields)

    def weight_shapes(self, input_size: int) -> dict[str, tuple[int, ...]]:
        """Name and shape of each weight, in the order in which `torch.nn` registers (and draws) them."""
        rows = len(self.gates) * self.hidden_size
        shapes: dict[str, tuple[int, ...]] = {
            "weight_ih": (rows, input_size),
            "weight_hh": (rows, self.output_size),
        }
        if self.bias:
            shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
        return shapes

    def initial_state(self, batch: int, like: Tensor) -> State:
        """The state before the first step: zeros (B, size), with the dtype and on the device of `like` (a weight)."""
        return self.state_type(*(like.new_zeros(batch, size) for size in self.state_sizes))

    def project(self, weights: Weights, x: Float[Tensor, "*steps D"]) -> Float[Tensor, "*steps G"]:
        """u_t = W x_t + b_ih: all that does not depend on the state, one product for the whole sequence."""
        return affine(x, weights["weight_ih"], weights.get("bias_ih"))

    @abstractmethod
    def step(self, weights: Weights, u_BG: Float[Tensor, "B G"], state: State) -> tuple[Float[Tensor, "B H"], State]:
        """One step: (u_t, state before) -> (y_t, state after). Pure: changes nothing that it is given."""


def check_size(name: str, value: Any) -> None:
    """Raise `OptionError` unless `value` is a whole number of at least 1."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise OptionError(f"{name}={value!r} must be a whole number of at least 1.")


def map_state(function: Callable[..., Tensor], *states: _AnyState) -> _AnyState:
    """Apply `function` to each array of one state, or to the matching arrays of several; the state's type stays."""
    values = [function(*arrays) for arrays in zip(*states, strict=True)]
    first = states[0]
    return type(first)._make(values) if hasattr(first, "_make") else type(first)(values)
