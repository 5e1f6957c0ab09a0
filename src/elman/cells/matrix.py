"""What cells with a matrix for a state have in common: heads, and gates of several sizes in one product."""

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from elman.axes import Bool, Float, Int, Tensor
from elman.cells.cell import Cell, Weights
from elman.cells.checks import check_size
from elman.cells.chunks import Chunks
from elman.cells.operations import affine, concat
from elman.errors import OptionError

# Where the size of a step, softplus of a bias, is at first.
_STEPS = (0.001, 0.1)


@dataclass(frozen=True)
class MatrixCell(Cell):
    """A cell whose state is a matrix for each of `heads` heads, (key, value), in a row one head after another.

    A scan takes chunks of `chunk_size` steps: what it gives is the same for all, how fast it is isn't. Nothing but a state of
    matrices recurs, so there is no `weight_hh`.

    Raises `OptionError` for heads that don't divide the units.
    """

    heads: int = 1
    chunk_size: int = 64

    recurrent_gates: ClassVar[tuple[str, ...]] = ()
    scans: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_size("heads", self.heads)
        check_size("chunk_size", self.chunk_size)
        if self.hidden_size % self.heads:
            raise OptionError(f"heads={self.heads} must divide hidden_size={self.hidden_size} without a remainder.")

    @property
    def value_size(self) -> int:
        """Units of a head."""
        return self.hidden_size // self.heads

    @property
    @abstractmethod
    def gate_sizes(self) -> tuple[int, ...]:
        """Rows of each gate in `weight_ih`, in the order of `gate_names`."""

    @property
    @abstractmethod
    def keys(self) -> int:
        """Size of a key."""

    @property
    def piece_size(self) -> int:
        return self.value_size

    def weight_shapes(self, input_size: int) -> dict[str, tuple[int, ...]]:
        rows = sum(self.gate_sizes)
        return {"weight_ih": (rows, input_size)} | ({"bias_ih": (rows,)} if self.bias else {})

    def split_gates(self, rows: Tensor) -> tuple[Tensor, ...]:
        return rows.split(self.gate_sizes)

    def inputs_of_gates(self, weights: Weights, x: Float[Tensor, "*steps D"]) -> Float[Tensor, "*steps G"]:
        """W x + b."""
        return affine(x, weights["weight_ih"], weights.get("bias_ih"))

    def project(self, weights: Weights, x: Float[Tensor, "*steps D"]) -> Float[Tensor, "*steps G"]:
        """All that doesn't depend on the state: W x + b, and what each gate makes of its part."""
        return concat(self.gate_values(weights, x))

    def gate_values(self, weights: Weights, x: Float[Tensor, "*steps D"]) -> tuple[Tensor, ...]:
        """What `project` gives, gate by gate."""
        return self.inputs_of_gates(weights, x).split(self.gate_sizes, dim=-1)

    def parameters(self, weights: Weights) -> Float[Tensor, "R A"]:
        """What `by_chunks` reads of the weights besides W and b: R numbers for each head."""
        return next(iter(weights.values())).new_empty(0, self.heads)

    @abstractmethod
    def by_chunks(
        self,
        chunks: Chunks,
        u_NBSG: Float[Tensor, "N B S G"],
        parameters_RA: Float[Tensor, "R A"],
        state: Any,
        fresh: Any,
    ) -> tuple[Float[Tensor, "T B H"], Any]:
        """The scan, from W x + b and `parameters` on."""

    def scan(
        self,
        run: Callable[..., Any],  # noqa: ARG002
        weights: Weights,
        x_TBD: Float[Tensor, "T B D"],
        state: Any,
        lengths_B: Int[Tensor, "B"] | None = None,
        reset_TB: Bool[Tensor, "T B"] | None = None,
        *,
        fresh: Any,
    ) -> tuple[Float[Tensor, "T B H"], Any]:
        chunks = Chunks.of(x_TBD, self.chunk_size, lengths_B, reset_TB)
        u_NBSG = self.inputs_of_gates(weights, chunks.cut(x_TBD))
        return self.by_chunks(chunks, u_NBSG, self.parameters(weights), state, fresh)


@dataclass(frozen=True)
class KeyedCell(MatrixCell):
    """One with queries and keys of each head's own; `key_size` 0 is the size of a value.

    Raises `OptionError` for another size of a key that is none.
    """

    key_size: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.key_size != 0 or isinstance(self.key_size, bool):
            check_size("key_size", self.key_size)

    @property
    def keys(self) -> int:
        """Size of a key."""
        return self.key_size or self.value_size


def initialise_decay(cell: MatrixCell, weights: Weights, gate: str) -> None:
    """Decays exp(-e^A softplus(x)) as Mamba-2 has them at first: e^A uniform in 1 to 16, and biases, of which all are zero but
    those of x, where softplus of the bias is log-uniform in 0.001 to 0.1."""
    with torch.no_grad():
        weights["a_log"].uniform_(1, 16).log_()
        if cell.bias:
            weights["bias_ih"].zero_()
            bias = cell.split_gates(weights["bias_ih"])[cell.gate_names.index(gate)]
            size = torch.empty_like(bias).uniform_(*map(math.log, _STEPS)).exp_()
            # The inverse of softplus, log(e^x - 1).
            bias.copy_(size + torch.log(-torch.expm1(-size)))
