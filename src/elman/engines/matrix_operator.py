"""Cells with a matrix for a state in the core, as operators of PyTorch: `torch.ops.elman.chunks` and its backward.

`elman.h` (`elman_chunks`) has the equations and what each array is. A state is one array (B, S), the cell's side by side. What
cell it is and its sizes travel as whole numbers, those of a `Form`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from elman import _native
from elman.engines.call import require
from elman.engines.memory import empty
from elman.engines.operators import LIBRARY
from elman.errors import ShapeError

LIBRARY.define(
    "chunks(Tensor u, Tensor parameters, Tensor state, Tensor? fresh, Tensor? lengths, Tensor? reset, int[] form, bool keep) "
    "-> (Tensor y, Tensor last, Tensor borders)"
)
LIBRARY.define(
    "chunks_backward(Tensor? dy, Tensor? dlast, Tensor u, Tensor parameters, Tensor state, Tensor? fresh, Tensor? lengths, "
    "Tensor? reset, Tensor borders, int[] form) -> (Tensor du, Tensor dparameters, Tensor dstate, Tensor dfresh)"
)

# Cells by their number in elman.h.
GATED_DELTANET, MLSTM, MAMBA2 = range(3)
_PARAMETERS = (1, 0, 2)
# For benchmarks: an int64 to which each call adds the nanoseconds that its threads were at products of matrices.
product_time: Tensor | None = None


class Form(NamedTuple):
    """Which cell; its option, an output gate or an exponential forget gate; its sizes; the longest chunk."""

    cell: int
    option: int
    heads: int
    keys: int
    values: int
    chunk: int

    @property
    def columns(self) -> int:
        """Of u."""
        if self.cell == MAMBA2:
            return self.heads * (self.values + 1 + self.option * self.values) + 2 * self.keys
        gate = self.values if self.option or self.cell == MLSTM else 0
        return self.heads * (2 * self.keys + self.values + 2 + gate)

    @property
    def state_size(self) -> int:
        return self.heads * (self.keys * self.values + (self.keys + 1 if self.cell == MLSTM else 0))

    def border_size(self, u: Tensor) -> int:
        """Of all states before chunks. One axis, so that export never asks whether one of several is 1."""
        return u.shape[1] * ((u.shape[0] - 1) // self.chunk) * self.state_size


def chunks(
    u: Tensor,
    parameters: Tensor,
    state: Tensor,
    fresh: Tensor | None,
    lengths: Tensor | None,
    reset: Tensor | None,
    form: Sequence[int],
    keep: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Go through sequences in chunks.

    u        (T, B, columns): W x + b
    parameters   (R, A): numbers for each head, those of `KeyedCell.parameters`
    fresh    (S) the state after a reset; None is zero
    keep     whether a backward pass will read the borders

    Gives y (T, B, A·P), last (B, S) and the states at borders of chunks.
    """
    sizes = _checked(u, parameters, state, fresh, lengths, reset, form)
    y, last, borders = _results(u, parameters, state, fresh, lengths, reset, form, keep)
    if u.shape[0] > 0:
        y = empty(u, u.shape[0] * u.shape[1], sizes.heads * sizes.values).view(y.shape)
    given = _held(u, parameters, lengths, reset, state, fresh, borders if keep else None)
    _run(False, u, sizes, [*given, y, last])
    return y, last, borders


def chunks_backward(
    dy: Tensor | None,
    dlast: Tensor | None,
    u: Tensor,
    parameters: Tensor,
    state: Tensor,
    fresh: Tensor | None,
    lengths: Tensor | None,
    reset: Tensor | None,
    borders: Tensor,
    form: Sequence[int],
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of `chunks` for those of y and last: of u, parameters, state and fresh."""
    sizes = _checked(u, parameters, state, fresh, lengths, reset, form)
    steps, batch = u.shape[:2]
    y_shape = (steps, batch, sizes.heads * sizes.values)
    shapes = {"dy": (dy, y_shape), "dlast": (dlast, tuple(state.shape)), "borders": (borders, (sizes.border_size(u),))}
    require(shapes, u.dtype)
    if dy is None:
        dy = u.new_zeros(y_shape)
    du, dparameters, dstate, dfresh = _gradients(dy, dlast, u, parameters, state)
    if steps > 0:
        du = empty(u, steps * batch, u.shape[2]).view(u.shape)
    given = _held(u, parameters, lengths, reset, state, fresh, borders, dy, dlast)
    written = [du, dparameters, dstate, None if reset is None else dfresh]
    _run(True, u, sizes, [*given, *written])
    return du, dparameters, dstate, dfresh if reset is not None else dfresh.zero_()


def _run(backwards: bool, u: Tensor, form: Form, arrays: list[Tensor | None]) -> None:
    _native.chunks(
        backwards,
        u.element_size(),
        torch.get_num_threads(),
        form.cell,
        bool(form.option),
        u.shape[0],
        u.shape[1],
        form.heads,
        form.keys,
        form.values,
        form.chunk,
        [0 if array is None else array.data_ptr() for array in [*arrays, product_time]],
    )


def _held(*arrays: Tensor | None) -> list[Tensor | None]:
    """Each as the core reads it; they have to be held while it runs."""
    return [None if array is None else array.contiguous() for array in arrays]


def _results(
    u: Tensor,
    parameters: Tensor,  # noqa: ARG001
    state: Tensor,
    fresh: Tensor | None,  # noqa: ARG001
    lengths: Tensor | None,  # noqa: ARG001
    reset: Tensor | None,  # noqa: ARG001
    form: Sequence[int],
    keep: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Empty tensors in the shapes of the results of `chunks`."""
    sizes = Form(*form)
    y = u.new_empty(*u.shape[:2], sizes.heads * sizes.values)
    return y, _like(state), u.new_empty(sizes.border_size(u) if keep else 0)


def _gradients(
    dy: Tensor | None,  # noqa: ARG001
    dlast: Tensor | None,  # noqa: ARG001
    u: Tensor,
    parameters: Tensor,
    state: Tensor,
    *rest: object,  # noqa: ARG001
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Empty tensors in the shapes of the results of `chunks_backward`."""
    return _like(u), _like(parameters), _like(state), state.new_empty(state.shape[1])


def _like(array: Tensor) -> Tensor:
    return torch.empty_like(array, memory_format=torch.contiguous_format)


def _checked(
    u: Tensor,
    parameters: Tensor,
    state: Tensor,
    fresh: Tensor | None,
    lengths: Tensor | None,
    reset: Tensor | None,
    form: Sequence[int],
) -> Form:
    """The form. Raise `ShapeError` unless all shapes and dtypes fit it: the core reads memory as it is told to."""
    if len(form) != len(Form._fields) or form[0] not in range(len(_PARAMETERS)) or min(form[2:]) < 1:
        names = ", ".join(Form._fields)
        raise ShapeError(f"form={list(form)}: give {names}, the cell below {len(_PARAMETERS)}, sizes above zero.")
    sizes = Form(*form)
    if u.dim() != 3 or u.dtype not in (torch.float32, torch.float64):
        raise ShapeError(
            f"u has shape {tuple(u.shape)} and dtype {u.dtype}: give (T, B, {sizes.columns}), torch.float32 or torch.float64."
        )
    steps, batch = u.shape[:2]
    shapes: dict[str, tuple[Tensor | None, tuple[int, ...]]] = {
        "u": (u, (steps, batch, sizes.columns)),
        "parameters": (parameters, (_PARAMETERS[sizes.cell], sizes.heads)),
        "state": (state, (batch, sizes.state_size)),
        "fresh": (fresh, (sizes.state_size,)),
        "lengths": (lengths, (batch,)),
        "reset": (reset, (steps, batch)),
    }
    require(shapes, u.dtype)
    return sizes


LIBRARY.impl("chunks", chunks, "CPU")
LIBRARY.impl("chunks_backward", chunks_backward, "CPU")
torch.library.register_fake("elman::chunks", _results, lib=LIBRARY)
torch.library.register_fake("elman::chunks_backward", _gradients, lib=LIBRARY)
