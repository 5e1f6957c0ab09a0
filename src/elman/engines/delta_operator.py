"""The gated delta rule in the core, as operators of PyTorch: `torch.ops.elman.delta` and its backward.

`elman.h` (`elman_delta`) has the equations and what each array is. A state is (B, A·K·P), as a gated DeltaNet has it.
"""

import torch
from torch import Tensor

from elman import _native
from elman.engines.call import require
from elman.engines.memory import empty
from elman.engines.operators import LIBRARY
from elman.errors import ShapeError

LIBRARY.define(
    "delta(Tensor u, Tensor decay, Tensor state, Tensor? fresh, Tensor? lengths, Tensor? reset, "
    "int heads, int keys, int chunk, bool keep) -> (Tensor y, Tensor last, Tensor borders)"
)
LIBRARY.define(
    "delta_backward(Tensor? dy, Tensor? dlast, Tensor u, Tensor decay, Tensor state, Tensor? fresh, Tensor? lengths, "
    "Tensor? reset, Tensor borders, int heads, int keys, int chunk) "
    "-> (Tensor du, Tensor ddecay, Tensor dstate, Tensor dfresh)"
)


def delta(
    u: Tensor,
    decay: Tensor,
    state: Tensor,
    fresh: Tensor | None,
    lengths: Tensor | None,
    reset: Tensor | None,
    heads: int,
    keys: int,
    chunk: int,
    keep: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Go through sequences in chunks.

    u        (T, B, G): q, k, v, a, b and, if there is so much, z
    decay    (A), -e^A
    fresh    (A·K·P) the state after a reset; None is zero
    keep     whether a backward pass will read the borders

    Gives y (T, B, A·P), last (B, A·K·P) and the states at borders of chunks.
    """
    _check(u, decay, state, fresh, lengths, reset, heads, keys, chunk)
    values = _values(state, heads, keys)
    y, last, borders = _results(u, decay, state, fresh, lengths, reset, heads, keys, chunk, keep)
    if u.numel() > 0:
        y = empty(u, u.shape[0] * u.shape[1], heads * values).view(y.shape)
    given = _held(u, decay, lengths, reset, state, fresh, borders if keep else None)
    _run(False, u, heads, keys, values, chunk, [*given, y, last])
    return y, last, borders


def delta_backward(
    dy: Tensor | None,
    dlast: Tensor | None,
    u: Tensor,
    decay: Tensor,
    state: Tensor,
    fresh: Tensor | None,
    lengths: Tensor | None,
    reset: Tensor | None,
    borders: Tensor,
    heads: int,
    keys: int,
    chunk: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of `delta` for those of y and last: of u, decay, state and fresh."""
    _check(u, decay, state, fresh, lengths, reset, heads, keys, chunk)
    values = _values(state, heads, keys)
    steps, batch = u.shape[:2]
    shapes = {
        "dy": (dy, (steps, batch, heads * values)),
        "dlast": (dlast, tuple(state.shape)),
        "borders": (borders, _border_shape(u, state, chunk)),
    }
    require(shapes, u.dtype)
    if dy is None:
        dy = u.new_zeros(steps, batch, heads * values)
    du = empty(u, steps * batch, u.shape[2]).view(u.shape)
    ddecay, dstate, dfresh = torch.empty_like(decay), torch.empty_like(state), state.new_zeros(state.shape[1])
    given = _held(u, decay, lengths, reset, state, fresh, borders, dy, dlast)
    _run(True, u, heads, keys, values, chunk, [*given, du, ddecay, dstate, None if reset is None else dfresh])
    return du, ddecay, dstate, dfresh


def _run(
    backwards: bool, u: Tensor, heads: int, keys: int, values: int, chunk: int, arrays: list[Tensor | None]
) -> None:
    steps, batch, columns = u.shape
    _native.delta(
        backwards,
        u.element_size(),
        torch.get_num_threads(),
        columns > _ungated(heads, keys, values),
        steps,
        batch,
        heads,
        keys,
        values,
        chunk,
        [0 if array is None else array.data_ptr() for array in arrays],
    )


def _held(*arrays: Tensor | None) -> list[Tensor | None]:
    """Each as the core reads it; they have to be held while it runs."""
    return [None if array is None else array.contiguous() for array in arrays]


def _values(state: Tensor, heads: int, keys: int) -> int:
    return state.shape[1] // (heads * keys)


def _ungated(heads: int, keys: int, values: int) -> int:
    return heads * (2 * keys + values + 2)


def _border_shape(u: Tensor, state: Tensor, chunk: int) -> tuple[int, ...]:
    # One axis, so that export never asks whether one of several is 1.
    return (u.shape[1] * ((u.shape[0] - 1) // chunk) * state.shape[1],)


def _results(
    u: Tensor,
    decay: Tensor,  # noqa: ARG001
    state: Tensor,
    fresh: Tensor | None,  # noqa: ARG001
    lengths: Tensor | None,  # noqa: ARG001
    reset: Tensor | None,  # noqa: ARG001
    heads: int,
    keys: int,
    chunk: int,
    keep: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Empty tensors in the shapes of the results of `delta`."""
    y = u.new_empty(*u.shape[:2], heads * _values(state, heads, keys))
    borders = u.new_empty(_border_shape(u, state, chunk) if keep else (0,))
    return y, torch.empty_like(state, memory_format=torch.contiguous_format), borders


def _backward_fake(
    dy: Tensor | None,  # noqa: ARG001
    dlast: Tensor | None,  # noqa: ARG001
    u: Tensor,
    decay: Tensor,
    state: Tensor,
    *rest: object,  # noqa: ARG001
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    own = torch.contiguous_format
    return (
        torch.empty_like(u, memory_format=own),
        torch.empty_like(decay, memory_format=own),
        torch.empty_like(state, memory_format=own),
        state.new_empty(state.shape[1]),
    )


def _check(
    u: Tensor,
    decay: Tensor,
    state: Tensor,
    fresh: Tensor | None,
    lengths: Tensor | None,
    reset: Tensor | None,
    heads: int,
    keys: int,
    chunk: int,
) -> None:
    """Raise `ShapeError` unless all shapes and dtypes fit each other: the core reads memory as it is told to."""
    if u.dim() != 3 or u.dtype not in (torch.float32, torch.float64):
        raise ShapeError(
            f"u has shape {tuple(u.shape)} and dtype {u.dtype}: give (T, B, G), torch.float32 or torch.float64."
        )
    if min(heads, keys, chunk) < 1:
        raise ShapeError(f"heads={heads}, keys={keys}, chunk={chunk}: give whole numbers above zero.")
    steps, batch, columns = u.shape
    size = state.shape[-1]
    values = size // (heads * keys)
    ungated = _ungated(heads, keys, values)
    if size == 0 or size != heads * keys * values or columns not in (ungated, ungated + heads * values):
        raise ShapeError(
            f"u has {columns} columns and a state {size}: with {heads} heads and keys of {keys} a state has "
            f"{heads * keys} for each value P, and u {heads}·(2·{keys} + P + 2), or {heads}·P more with a gate."
        )
    shapes: dict[str, tuple[Tensor | None, tuple[int, ...]]] = {
        "decay": (decay, (heads,)),
        "state": (state, (batch, size)),
        "fresh": (fresh, (size,)),
        "lengths": (lengths, (batch,)),
        "reset": (reset, (steps, batch)),
    }
    require(shapes, u.dtype)


LIBRARY.impl("delta", delta, "CPU")
LIBRARY.impl("delta_backward", delta_backward, "CPU")
torch.library.register_fake("elman::delta", _results, lib=LIBRARY)
torch.library.register_fake("elman::delta_backward", _backward_fake, lib=LIBRARY)
