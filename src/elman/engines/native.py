"""The native engine: any cell whose step is a program, on a CPU, forwards and backwards, by the core in `native/`.

Precision follows the switches of PyTorch: `torch.set_float32_matmul_precision` and `torch.autocast("cpu", torch.bfloat16)`
decide in which precision products are made; states and carried gradients are float32 (or float64) always. Where a processor
has no faster products of that precision, they are made in full. What the core has no derivative for, second derivatives,
forward mode, `torch.func`'s transforms, goes through the reference engine by itself.
"""

import os
import threading
import warnings
from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch.autograd import forward_ad
from torch.utils._python_dispatch import _disable_current_modes

from elman.axes import Bool, Float, Int, Tensor
from elman.cells import Cell, Masks, State, Weights
from elman.engines import reference
from elman.engines.padding import without_padding
from elman.errors import ElmanError, EngineError, OptionError, TraceError
from elman.programs import CellPrograms, Derived, derive, programs_of

try:
    from elman import _native
except ImportError as error:
    _native = None  # type: ignore[assignment]
    _missing = str(error)
else:
    from elman.engines import operators

    _missing = ""
    _wanted = os.environ.get("ELMAN_ISA")
    if _wanted and _wanted not in _native.isas().split():
        warnings.warn(
            f"ELMAN_ISA={_wanted!r} is not an instruction set that this machine has: choose from "
            f"{', '.join(_native.isas().split())}. {_native.isa()} is used.",
            stacklevel=2,
        )

_FULL, _BF16, _BF16X3 = range(3)
_PRECISIONS = {"highest": _FULL, "high": _BF16X3, "medium": _BF16}
_DTYPES = (torch.float32, torch.float64)
# The cell of each text, for derivatives that only the reference engine has.
_cells: dict[str, Cell] = {}
_lock = threading.Lock()
_Facts = tuple[str, tuple[str, ...], bool, tuple[str, ...], tuple[str, ...]]


def why_not(cell: Cell, like: Tensor | None = None) -> str | None:
    """The reason why this engine can't run `cell` on tensors such as `like`, or None if it can."""
    if _native is None:
        return _how_to_get()
    if like is not None and like.device.type not in {"cpu", "meta"}:
        return f"it runs on a CPU, and the weights are on {like.device}"
    if like is not None and like.dtype not in _DTYPES:
        return f"it computes in float32 or float64, and the weights are {like.dtype}"
    return _untraceable(cell)


def say_once_if_missing() -> None:
    """Warn, the first time, that networks run slower than they could."""
    if _native is None and not torch.compiler.is_compiling():
        _warn_of_missing()


@cache
def _warn_of_missing() -> None:
    warnings.warn(f"elman runs by PyTorch's layers, which are slower on a CPU: {_how_to_get()}.", stacklevel=2)


def _how_to_get() -> str:
    return (
        f"the native core is not installed ({_missing}); where there is a C++ compiler, "
        "`pip install --force-reinstall --no-deps elman` builds it"
    )


def reuses_memory(arrays: Sequence[Tensor]) -> bool:
    """Whether what is made of these may stand in memory of the core's (`elman.engines.memory`): nothing transforms the call."""
    return _native is not None and plain(arrays) and not beyond_the_core(arrays)


def instruction_set() -> str | None:
    """The instruction set in use, or None if the core isn't installed."""
    return None if _native is None else _native.isa()


def instruction_sets() -> tuple[str, ...]:
    """The instruction sets that the core has for this machine, the plainest first; none if it isn't installed."""
    return () if _native is None else tuple(_native.isas().split())


def has_precision(name: str) -> bool:
    """Whether the core has products of its own for this `torch.set_float32_matmul_precision`, and doesn't make them in full."""
    return _native is not None and _native.has_precision(_PRECISIONS[name])


def use_instruction_set(name: str) -> None:
    """Use another one from now on. Raises `OptionError` if this machine hasn't it, `EngineError` if there is no core."""
    if _native is None:
        raise EngineError(f"instruction set {name!r} can't be used: {_how_to_get()}.")
    if name not in instruction_sets():
        raise OptionError(f"instruction set {name!r} is not there: choose from {', '.join(instruction_sets())}.")
    _native.use_isa(name)


def scan(
    cell: Cell,
    weights: Weights,
    x_TBD: Float[Tensor, "T B D"],
    state: State,
    lengths_B: Int[Tensor, "B"] | None = None,
    reset_TB: Bool[Tensor, "T B"] | None = None,
    *,
    masks: Masks | None = None,
    fresh: State | None = None,
    reverse: bool = False,
    all_states: bool = False,
) -> tuple[Float[Tensor, "T B H"], State] | tuple[Float[Tensor, "T B H"], State, State]:
    """Run `cell` by the core: see `elman.engines.scan` for the meaning of each argument."""
    text, names, projected, y_states, mask_names = _facts(cell, all_states, bool(masks))
    leaves = [*weights.values(), x_TBD, *state, *(fresh or ())]
    if not torch.compiler.is_compiling() and beyond_the_core(leaves):
        return reference.scan(
            cell,
            weights,
            x_TBD,
            state,
            lengths_B,
            reset_TB,
            masks=masks,
            fresh=fresh,
            reverse=reverse,
            all_states=all_states,
        )
    dtype = state[0].dtype
    x = x_TBD.to(dtype) if projected else cell.project(weights, without_padding(x_TBD, lengths_B)).to(dtype)
    keep = all_states or (torch.is_grad_enabled() and any(leaf.requires_grad for leaf in leaves))
    given = derive(_derived(cell, bool(masks)), weights)
    arguments = (
        x,
        [given[name].to(dtype) for name in names],
        torch.cat(state, dim=1) if len(state) > 1 else state[0],
        None if reset_TB is None else _fresh(cell, state[0], fresh),
        lengths_B,
        reset_TB,
        [masks[name].to(dtype) for name in mask_names] if masks else [],
        text,
        reverse,
        _precision(),
        keep,
    )
    # Where nothing transforms the call: the operator's own dispatch would take longer than a short sequence.
    at_once = plain(leaves)
    if at_once and keep and torch.is_grad_enabled():
        x, own_weights, *others, _ = arguments
        y_TBH, last, states, _, _ = _Scan.apply(x, *others, *own_weights)
    elif at_once:
        y_TBH, last, states, _, _ = operators.scan(*arguments)
    else:
        y_TBH, last, states, _, _ = torch.ops.elman.scan(*arguments)
    sizes = list(cell.state_sizes)
    final = type(state)(*(s.contiguous() for s in last.split(sizes, dim=1)))
    if not all_states:
        return y_TBH, final
    own = iter(
        states.split([size for name, size in zip(state._fields, sizes, strict=True) if name not in y_states], dim=2)
    )
    return y_TBH, final, type(state)(*(y_TBH if name in y_states else next(own) for name in state._fields))


# To torch.compile these are constants: it must not look into how a cell is traced.
@torch.compiler.assume_constant_result
def _untraceable(cell: Cell) -> str | None:
    return _traced(cell, False, False)[1]


@torch.compiler.assume_constant_result
def _facts(cell: Cell, all_states: bool, masked: bool) -> _Facts:
    """The programs as text, the weights that the operator takes, whether it projects, the states whose value is y, and the
    masks."""
    return _facts_of(cell, all_states, masked)


@torch.compiler.assume_constant_result
def _derived(cell: Cell, masked: bool) -> tuple[tuple[str, Derived], ...]:
    """What is made of the weights alone, by its name, in order."""
    programs = _traced(cell, False, masked)[0]
    return () if programs is None else tuple(programs.derived)


@cache
def _traced(cell: Cell, all_states: bool, masked: bool) -> tuple[CellPrograms | None, str | None]:
    """The programs of a cell, or why there are none."""
    # A trace computes nothing, and must not be noted by whoever is tracing the call.
    with _disable_current_modes():
        try:
            return programs_of(cell, all_states, masked), None
        except TraceError as error:
            return None, str(error).rstrip(".")


@cache
def _facts_of(cell: Cell, all_states: bool, masked: bool) -> _Facts:
    programs = _traced(cell, all_states, masked)[0]
    assert programs is not None
    text = programs.to_text()
    with _lock:
        _cells[text] = cell
    names = tuple(operators.compiled(text).weights)
    return text, names, programs.projected, tuple(programs.y_states), tuple(name for name, _, _ in programs.masks)


def _precision() -> int:
    if torch.is_autocast_enabled("cpu"):
        return _BF16 if torch.get_autocast_dtype("cpu") is torch.bfloat16 else _FULL
    return _matmul_precision()


@torch.compiler.assume_constant_result
def _matmul_precision() -> int:
    return _PRECISIONS[torch.get_float32_matmul_precision()]


def _fresh(cell: Cell, like: Tensor, fresh: State | None) -> Tensor:
    """The state after a reset, (S)."""
    return torch.cat([s.squeeze(0).to(like.dtype) for s in fresh or cell.initial_state(1, like)])


def beyond_the_core(leaves: Sequence[Tensor]) -> bool:
    """Whether a derivative or a transform is under way that the core doesn't know."""
    if torch._C._functorch.maybe_current_level() is not None:
        return True
    return forward_ad._current_level >= 0 and any(forward_ad.unpack_dual(leaf).tangent is not None for leaf in leaves)


def plain(leaves: Sequence[Tensor]) -> bool:
    """Whether these are tensors in a CPU's memory and nothing looks on: then an operator may be called without its dispatch."""
    return (
        not torch.compiler.is_compiling()
        and torch._C._len_torch_dispatch_stack() == 0
        and all(type(leaf) in {Tensor, torch.nn.Parameter} and leaf.is_cpu for leaf in leaves)
    )


def _save(ctx: Any, inputs: tuple, output: tuple) -> None:
    x, weights, state, fresh, lengths, reset, masks, text, reverse, precision, _ = inputs
    y, _, states, rows, kept = output
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(rows, kept)
    ctx.facts = (text, reverse, precision, len(masks), y.shape[-1])
    if lengths is not None:
        # They are there once more, as packed rows.
        y = states = None
    ctx.save_for_backward(x, state, fresh, lengths, reset, y, states, rows, kept, *masks, *weights)


def _backward(ctx: Any, dy: Tensor | None, dlast: Tensor | None, dstates: Tensor | None, *_: Any) -> tuple:
    x, state, fresh, lengths, reset, y, states, rows, kept, *others = ctx.saved_tensors
    text, reverse, precision, mask_count, width = ctx.facts
    masks, weights = others[:mask_count], others[mask_count:]
    if torch.is_grad_enabled() and not torch.compiler.is_compiling():
        dx, dstate, dfresh, dweights = _differentiable_backward(
            text, reverse, dy, dlast, dstates, x, weights, state, fresh, lengths, reset, masks
        )
    else:
        if lengths is not None:
            y, states = rows[:, :width], rows[:, width:]
        dx, dstate, dfresh, dweights = torch.ops.elman.scan_backward(
            dy,
            dlast,
            dstates,
            x,
            weights,
            state,
            fresh,
            lengths,
            reset,
            masks,
            y,
            states,
            kept,
            text,
            reverse,
            precision,
        )
    none = [None] * mask_count
    return dx, list(dweights), dstate, None if fresh is None else dfresh, None, None, none, None, None, None, None


class _Scan(torch.autograd.Function):
    """The operator and its derivative as autograd takes them with the least ado; weights come last."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, *rest: Any) -> Any:
        others, weights = rest[: _Scan.OTHERS], rest[_Scan.OTHERS :]
        inputs = (x, weights, *others, True)
        outputs = operators.scan(*inputs)
        _save(ctx, inputs, outputs)
        return outputs

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple:
        dx, dweights, dstate, dfresh, *_ = _backward(ctx, *gradients)
        return dx, dstate, dfresh, *[None] * (_Scan.OTHERS - 2), *dweights

    # state, fresh, lengths, reset, masks, programs, reverse, precision
    OTHERS = 8


def _differentiable_backward(
    text: str,
    reverse: bool,
    dy: Tensor | None,
    dlast: Tensor | None,
    dstates: Tensor | None,
    x: Tensor,
    weights: Sequence[Tensor],
    state: Tensor,
    fresh: Tensor | None,
    lengths: Tensor | None,
    reset: Tensor | None,
    masks: Sequence[Tensor],
) -> tuple[Tensor | None, Tensor | None, Tensor | None, list[Tensor | None]]:
    """The same gradients by the reference engine, with a graph of their own: for second derivatives."""
    cell = _cells.get(text)
    if cell is None:
        raise ElmanError(
            "a second derivative was asked for a network that was made by torch.export: only the program of its cell is there, "
            "which has first derivatives. Take it of the module itself."
        )
    programs = operators.compiled(text)
    named = dict(zip(programs.weights, weights, strict=True))
    source: Any = cell if programs.programs.projected else _Projected(cell)
    sizes = list(cell.state_sizes)
    own = cell.state_type(*state.split(sizes, dim=1))
    results = reference.scan(
        source,
        named,
        x,
        own,
        lengths,
        reset,
        masks={name: mask for (name, _, _), mask in zip(programs.programs.masks, masks, strict=True)},
        fresh=None if fresh is None else cell.state_type(*fresh.unsqueeze(0).split(sizes, dim=1)),
        reverse=reverse,
        all_states=True,
    )
    y, last, sequences = results  # type: ignore[misc]
    outputs: list[Tensor] = [y, torch.cat(last, dim=1)]
    others = [s for name, s in zip(own._fields, sequences, strict=True) if name not in programs.programs.y_states]
    gradients = [dy, dlast]
    if dstates is not None and others:
        outputs.append(torch.cat(others, dim=2))
        gradients.append(dstates)
    wanted = [(output, gradient) for output, gradient in zip(outputs, gradients, strict=True) if gradient is not None]
    inputs = [x, state, *([] if fresh is None else [fresh]), *weights]
    needed = [leaf for leaf in inputs if leaf.requires_grad]
    found = torch.autograd.grad(
        [output for output, _ in wanted],
        needed,
        [gradient for _, gradient in wanted],
        create_graph=True,
        allow_unused=True,
    )
    by_leaf = iter(found)
    dx, dstate, *dothers = [next(by_leaf) if leaf.requires_grad else None for leaf in inputs]
    return dx, dstate, None if fresh is None else dothers[0], dothers if fresh is None else dothers[1:]


class _Projected:
    """A cell whose projection has been made: x is u."""

    def __init__(self, cell: Cell) -> None:
        self._cell = cell

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cell, name)

    @staticmethod
    def project(weights: Weights, x: Tensor) -> Tensor:  # noqa: ARG004
        return x


if _native is not None:
    torch.library.register_autograd("elman::scan", _backward, setup_context=_save, lib=operators.LIBRARY)
