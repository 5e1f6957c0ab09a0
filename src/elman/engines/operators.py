"""The native engine as operators of PyTorch: `torch.ops.elman.scan` and its backward.

Proper operators, so that autograd, `torch.compile` and `torch.export` know them. All about the cell is in one argument, the text
of its programs (`elman.programs`). A state is one array (B, S), the cell's states side by side.

What has to be there for the backward pass are results of the operator: the sequences of the states that are not y, and
`kept`. With lengths, y and these sequences are there once more as packed rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from elman import _native
from elman.engines.layout import Layout, layout_of
from elman.errors import ShapeError
from elman.programs import CellPrograms, ProductPlan, Program

_Results = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
LIBRARY = torch.library.Library("elman", "DEF")
LIBRARY.define(
    "scan(Tensor x, Tensor[] weights, Tensor state, Tensor? fresh, Tensor? lengths, Tensor? reset, str programs, "
    "bool reverse, int precision, bool keep) -> (Tensor y, Tensor last, Tensor states, Tensor rows, Tensor kept)"
)
LIBRARY.define(
    "scan_backward(Tensor? dy, Tensor? dlast, Tensor? dstates, Tensor x, Tensor[] weights, Tensor state, Tensor? fresh, "
    "Tensor? lengths, Tensor? reset, Tensor rows_y, Tensor rows_states, Tensor kept, str programs, bool reverse, "
    "int precision) -> (Tensor dx, Tensor dstate, Tensor[] dweights)"
)


def scan(
    x: Tensor,
    weights: Sequence[Tensor],
    state: Tensor,
    fresh: Tensor | None,
    lengths: Tensor | None,
    reset: Tensor | None,
    programs: str,
    reverse: bool,
    precision: int,
    keep: bool,
) -> _Results:
    """Run a cell over a sequence.

    x       (T, B, D), or u (T, B, G) if the cell projects otherwise than by its `weight_ih`
    state   (B, S)
    fresh   (S) the state after a reset; None is zero
    keep    whether a backward pass, or somebody who wants all states, will read what is kept

    Gives y (T, B, H), last (B, S), states (T, B, S'), rows (T·B, H + S'), kept (T·B, K); the last three have no rows unless they
    are needed, and with lengths only as many as there are valid steps hold anything.
    """
    call = _Call(x, weights, state, fresh, lengths, reset, programs, reverse, precision)
    plan, layout, (steps, batch) = call.plan, call.layout, x.shape[:2]
    own_width = sum(width for _, width in plan.sequences)
    y = _empty(x, steps * batch, plan.y_width)
    states = _empty(x, steps * batch if keep else 0, own_width)
    rows = x.new_empty(0, plan.y_width + own_width)
    if lengths is not None and keep:
        rows = _empty(x, steps * batch, plan.y_width + own_width)
        y, states = rows[:, : plan.y_width], rows[:, plan.y_width :]
    kept = _empty(x, steps * batch if keep else 0, plan.kept_width)

    arrays = {"u": _Array(call.project()), "y": _Array(y), "kept": _Array(kept)}
    finals: dict[str, Tensor] = {}
    column = 0
    for name, width in plan.states:
        initial, fresh_row = call.initial(name), call.fresh(name)
        if name in plan.y_states:
            arrays[f"before {name}"] = _Array(y, initial, fresh_row)
        elif keep:
            own = states[:, column : column + width]
            column += width
            arrays |= {f"before {name}": _Array(own, initial, fresh_row), f"after {name}": _Array(own)}
        else:
            # A sequence without steps ends as it began.
            finals[name] = initial.clone()
            arrays[f"before {name}"] = _Array(None, initial, fresh_row)
            arrays[f"carry {name} out"] = _Array(None, final=finals[name])
    if keep:
        call.run(call.compiled.training, plan.training, arrays)
    else:
        call.run(call.compiled.inference, plan.inference, arrays)
    # With lengths fewer rows are used than there are, and an operator's results hold nothing undefined.
    for result in (rows, kept):
        result[layout.rows :] = 0
    for name, _ in plan.states:
        if name not in finals:
            sequence = arrays[f"before {name}"].rows
            assert sequence is not None
            finals[name] = layout.last(sequence, call.initial(name))
    last = layout.unsort(torch.cat([finals[name] for name, _ in plan.states], dim=1))

    if lengths is None:
        return y.view(steps, batch, plan.y_width), last, states.view(steps if keep else 0, batch, own_width), rows, kept
    states = layout.scatter(states) if keep and plan.all_states else x.new_empty(0, batch, own_width)
    return layout.scatter(y), last, states, rows, kept


def _scan_fake(
    x: Tensor,
    weights: Sequence[Tensor],  # noqa: ARG001
    state: Tensor,
    fresh: Tensor | None,  # noqa: ARG001
    lengths: Tensor | None,
    reset: Tensor | None,  # noqa: ARG001
    programs: str,
    reverse: bool,  # noqa: ARG001
    precision: int,  # noqa: ARG001
    keep: bool,
) -> _Results:
    plan = compiled(programs).programs
    steps, batch = x.shape[:2]
    own_width = sum(width for _, width in plan.sequences)
    with_states = keep and (lengths is None or plan.all_states)
    return (
        x.new_empty(steps, batch, plan.y_width),
        torch.empty_like(state),
        x.new_empty(steps if with_states else 0, batch, own_width),
        x.new_empty(steps * batch if keep and lengths is not None else 0, plan.y_width + own_width),
        x.new_empty(steps * batch if keep else 0, plan.kept_width),
    )


def scan_backward(
    dy: Tensor | None,
    dlast: Tensor | None,
    dstates: Tensor | None,
    x: Tensor,
    weights: Sequence[Tensor],
    state: Tensor,
    fresh: Tensor | None,
    lengths: Tensor | None,
    reset: Tensor | None,
    rows_y: Tensor,
    rows_states: Tensor,
    kept: Tensor,
    programs: str,
    reverse: bool,
    precision: int,
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Gradients of `scan` for those of its results; `rows_y` and `rows_states` are y and states, as packed rows if there are
    lengths. Gives the gradients of x, state and the weights."""
    call = _Call(x, weights, state, fresh, lengths, reset, programs, reverse, precision)
    plan, layout = call.plan, call.layout
    y, states = rows_y.flatten(0, -2), rows_states.flatten(0, -2)
    if dy is None:
        dy = x.new_zeros(*x.shape[:2], plan.y_width)
    du = _empty(x, layout.rows, plan.u_width)
    arrays = {"dy": _Array(layout.gather(dy).contiguous()), "kept": _Array(kept), "du": _Array(du)}
    gradients = {"du": du}
    for product in plan.products:
        if product.gradient not in gradients:
            gradients[product.gradient] = _empty(x, layout.rows, product.width)
            arrays[product.gradient] = _Array(gradients[product.gradient])
    dlast_rows = state.new_zeros(state.shape) if dlast is None else layout.sort(dlast)
    finals: dict[str, Tensor] = {}
    sequences: dict[str, Tensor] = {}
    column = first = 0
    for name, width in plan.states:
        initial = call.initial(name)
        sequences[name] = y
        if name not in plan.y_states:
            sequences[name] = states[:, column : column + width]
            if plan.all_states:
                d_rows = x.new_zeros(layout.rows, width) if dstates is None else layout.gather(dstates[..., column : column + width])
                arrays[f"d {name}"] = _Array(d_rows.contiguous())
            column += width
        arrays[f"before {name}"] = _Array(sequences[name], initial, call.fresh(name))
        arrays[f"after {name}"] = _Array(sequences[name])
        carried = dlast_rows[:, first : first + width].contiguous()
        first += width
        finals[name] = carried.clone()
        arrays[f"carried {name}"] = _Array(None, carried)
        arrays[f"dcarry {name} out"] = _Array(None, final=finals[name])
    sums = x.new_zeros(plan.backward.accumulators)
    call.run(call.compiled.backward, plan.backward, arrays, backwards=True, accumulators=sums)

    dweights = dict.fromkeys(call.weights)
    befores: dict[str, Tensor] = {}
    for product in plan.products:
        source = call.product_source(product, sequences, kept, befores)
        call.add_product(dweights, product.weight, product.first, gradients[product.gradient], source)
    dx_rows = du
    if plan.projected:
        call.add_product(dweights, "weight_ih", 0, du, [(0, layout.rows, call.x_rows, 0)])
        dx_rows = call.multiply(du, call.weights["weight_ih"], transposed=False)
    for part in plan.sums:
        target = dweights[part.weight]
        if target is None:
            target = dweights[part.weight] = torch.zeros_like(call.weights[part.weight])
        target[part.column : part.column + part.width] += sums[part.accumulator : part.accumulator + part.width]
    dx = layout.scatter(dx_rows)
    dstate = layout.unsort(torch.cat([finals[name] for name, _ in plan.states], dim=1))
    found = [torch.zeros_like(call.weights[name]) if d is None else d for name, d in dweights.items()]
    return dx, dstate, found


def _scan_backward_fake(
    dy: Tensor | None,  # noqa: ARG001
    dlast: Tensor | None,  # noqa: ARG001
    dstates: Tensor | None,  # noqa: ARG001
    x: Tensor,
    weights: Sequence[Tensor],
    state: Tensor,
    *rest: object,  # noqa: ARG001
) -> tuple[Tensor, Tensor, list[Tensor]]:
    return torch.empty_like(x), torch.empty_like(state), [torch.empty_like(weight) for weight in weights]


@dataclass(frozen=True)
class Compiled:
    """The programs of a cell, and their code as the core holds it."""

    programs: CellPrograms
    training: "_native.Step"
    inference: "_native.Step"
    backward: "_native.Step"

    @property
    def weights(self) -> list[str]:
        """Names of the operator's weights, in order."""
        first = ["weight_ih", *(["bias_ih"] if self.programs.input_bias else [])] if self.programs.projected else []
        return first + self.programs.weights


@lru_cache(maxsize=256)
def compiled(text: str) -> Compiled:
    """The programs in a text, ready to run."""
    programs = CellPrograms.from_text(text)

    def step(program: Program) -> "_native.Step":
        return _native.Step(program.code, program.constants)

    return Compiled(programs, step(programs.training), step(programs.inference), step(programs.backward))


@dataclass(frozen=True)
class _Array:
    """What stands for an array of a program: see `elman_array` in elman.h. Rows may be columns of a wider tensor."""

    rows: Tensor | None
    initial: Tensor | None = None
    fresh: Tensor | None = None
    final: Tensor | None = None

    def pointers(self) -> tuple[int, int, int, int, int]:
        data, initial, fresh, final = (_address(t) for t in (self.rows, self.initial, self.fresh, self.final))
        return data, 0 if self.rows is None else self.rows.stride(0), initial, fresh, final


_NOTHING = (0, 0, 0, 0, 0)
# Below this many bytes PyTorch's own memory is as good.
_LARGE = 1 << 20


def _empty(like: Tensor, rows: int, columns: int) -> Tensor:
    """An empty (rows, columns): if it is large, in memory that the core uses again and again."""
    size = rows * columns * like.element_size()
    if size < _LARGE:
        return like.new_empty(rows, columns)
    return _native.buffer(size).view(like.dtype).view(rows, columns)


def _address(tensor: Tensor | None) -> int:
    return 0 if tensor is None else tensor.data_ptr()


def _check(
    plan: CellPrograms,
    weights: dict[str, Tensor],
    x: Tensor,
    state: Tensor,
    fresh: Tensor | None,
    lengths: Tensor | None,
    reset: Tensor | None,
) -> None:
    """Raise `ShapeError` unless all shapes and dtypes are those of the programs: the core reads memory as it is told to."""
    steps, batch = x.shape[:2]
    size = sum(width for _, width in plan.states)
    features = weights["weight_ih"].shape[1] if plan.projected else plan.u_width
    wanted = [("x", x, (steps, batch, features), x.dtype), ("state", state, (batch, size), x.dtype)]
    wanted += [(name, weight, shape, x.dtype) for name, weight in weights.items() for shape in [(plan.weight_shapes | {"weight_ih": (plan.u_width, features)})[name]]]
    wanted += [("fresh", fresh, (size,), x.dtype)] if fresh is not None else []
    wanted += [("lengths", lengths, (batch,), torch.int64)] if lengths is not None else []
    wanted += [("reset", reset, (steps, batch), torch.bool)] if reset is not None else []
    for name, array, shape, dtype in wanted:
        if tuple(array.shape) != tuple(shape) or array.dtype != dtype:
            raise ShapeError(f"{name} has shape {tuple(array.shape)} and dtype {array.dtype}: give {tuple(shape)} and {dtype}.")


class _Call:
    """What the forward and the backward pass have in common: inputs in the form that the core reads."""

    def __init__(
        self,
        x: Tensor,
        weights: Sequence[Tensor],
        state: Tensor,
        fresh: Tensor | None,
        lengths: Tensor | None,
        reset: Tensor | None,
        programs: str,
        reverse: bool,
        precision: int,
    ) -> None:
        self.compiled = compiled(programs)
        self.plan = self.compiled.programs
        self.weights = {name: w.contiguous() for name, w in zip(self.compiled.weights, weights, strict=True)}
        _check(self.plan, self.weights, x, state, fresh, lengths, reset)
        self.layout: Layout = layout_of(x.shape[0], x.shape[1], lengths, reverse)
        self.x_rows = self.layout.gather(x).contiguous()
        self._state = self.layout.sort(state)
        self._fresh = fresh
        self._reset_N = None if reset is None else self.layout.reset_rows(reset)
        self._precision = precision
        self._real_bytes = x.element_size()
        self._threads = torch.get_num_threads()
        self._columns: dict[str, slice] = {}
        at = 0
        for name, width in self.plan.states:
            self._columns[name] = slice(at, at + width)
            at += width

    def initial(self, name: str) -> Tensor:
        """(B, size) of a state before the first step, sorted."""
        return self._state[:, self._columns[name]].contiguous()

    def fresh(self, name: str) -> Tensor | None:
        """(size) of a state after a reset, or None for zero."""
        return None if self._fresh is None else self._fresh[self._columns[name]].contiguous()

    def project(self) -> Tensor:
        """u of all rows."""
        if not self.plan.projected:
            return self.x_rows
        return self.multiply(self.x_rows, self.weights["weight_ih"], transposed=True, bias=self.weights.get("bias_ih"))

    def run(
        self,
        step: "_native.Step",
        program: Program,
        arrays: dict[str, _Array],
        backwards: bool = False,
        accumulators: Tensor | None = None,
    ) -> None:
        """Run a program over all rows."""
        layout = self.layout
        places = []
        for name in program.arrays:
            if name.startswith("weight "):
                places.append((_address(self.weights[name.removeprefix("weight ")]), *_NOTHING[1:]))
            else:
                places.append(arrays[name].pointers() if name in arrays else _NOTHING)
        packed = []
        for use in program.weights:
            weight = self.weights[use.weight][use.first : use.first + use.rows]
            strides = weight.stride()[::-1] if use.transposed else weight.stride()
            bias = None if use.bias is None else self.weights[use.bias][use.bias_first :]
            packed.append((_address(weight), *strides, _address(bias)))
        step.run(
            self._real_bytes,
            self._precision,
            backwards,
            self._threads,
            layout.steps,
            # With lengths, sequences without a step take no part.
            layout.batch if layout.rows_T is None else int(layout.rows_T[0]) if layout.steps else 0,
            _address(layout.rows_T),
            _address(layout.offset_T),
            layout.reverse,
            _address(self._reset_N),
            places,
            packed,
            _address(accumulators),
        )

    def multiply(self, a_NK: Tensor, weight: Tensor, transposed: bool, bias: Tensor | None = None) -> Tensor:
        """a Wᵀ + bias, or a W."""
        columns, inner = weight.shape if transposed else weight.shape[::-1]
        c_NM = _empty(a_NK, a_NK.shape[0], columns)
        b_strides = (weight.stride(1), weight.stride(0)) if transposed else (weight.stride(0), weight.stride(1))
        _native.multiply(
            self._real_bytes, self._precision, self._threads, False, a_NK.shape[0], columns, inner, a_NK.data_ptr(), a_NK.stride(0), 1,
            weight.data_ptr(), *b_strides, _address(bias), c_NM.data_ptr(), columns,
        )  # fmt: skip
        return c_NM

    def product_source(
        self, product: ProductPlan, sequences: dict[str, Tensor], kept: Tensor, befores: dict[str, Tensor]
    ) -> list[tuple[int, int, Tensor, int]]:
        """The inputs of a product: (first row, rows, tensor, its first row) for one part of the rows after the other."""
        layout = self.layout
        if product.source == "kept":
            return [(0, layout.rows, kept[:, product.column : product.column + product.inner], 0)]
        name = product.source.removeprefix("before ")
        columns = slice(product.column, product.column + product.inner)
        sequence, initial = sequences[name], self.initial(name)
        if layout.rows_T is None and self._reset_N is None:
            # All rows but the first step's follow others in place.
            batch, rest = layout.batch, layout.rows - layout.batch
            if layout.reverse:
                return [(rest, batch, initial[:, columns], 0), (0, rest, sequence[:, columns], batch)]
            return [(0, batch, initial[:, columns], 0), (batch, rest, sequence[:, columns], 0)]
        if name not in befores:
            befores[name] = layout.before(sequence, initial, self._reset_N, self.fresh(name))
        return [(0, layout.rows, befores[name][:, columns], 0)]

    def add_product(
        self,
        dweights: dict[str, Tensor | None],
        name: str,
        first_row: int,
        gradient_NG: Tensor,
        source: list[tuple[int, int, Tensor, int]],
    ) -> None:
        """Add (gradient)ᵀ (source) to the gradient of a weight, to its rows from `first_row` on."""
        whole, out = dweights[name], gradient_NG.shape[1]
        only_part = out < self.weights[name].shape[0]
        accumulate = whole is not None or only_part
        if whole is None:
            whole = dweights[name] = (torch.zeros_like if only_part else torch.empty_like)(self.weights[name])
        target, inner, size = whole[first_row:], whole.shape[1], self._real_bytes
        for first, rows, tensor, start in source:
            _native.multiply(
                size, self._precision, self._threads, accumulate, out, inner, rows,
                gradient_NG.data_ptr() + first * gradient_NG.stride(0) * size, 1, gradient_NG.stride(0),
                tensor.data_ptr() + start * tensor.stride(0) * size, tensor.stride(0), 1, 0, target.data_ptr(), inner,
            )  # fmt: skip
            accumulate = True


LIBRARY.impl("scan", scan, "CPU")
LIBRARY.impl("scan_backward", scan_backward, "CPU")
torch.library.register_fake("elman::scan", _scan_fake, lib=LIBRARY)
torch.library.register_fake("elman::scan_backward", _scan_backward_fake, lib=LIBRARY)
