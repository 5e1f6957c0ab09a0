"""A call of the core: tensors in the form that it reads, memory for what it writes, products over all steps at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from elman import _native
from elman.engines.layout import Layout, layout_of
from elman.engines.memory import empty
from elman.errors import ShapeError
from elman.programs import CellPrograms, ProductPlan, Program


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
        return list(dict.fromkeys(first + self.programs.weights))


@lru_cache(maxsize=256)
def compiled(text: str) -> Compiled:
    """The programs in a text, ready to run."""
    programs = CellPrograms.from_text(text)

    def step(program: Program) -> "_native.Step":
        return _native.Step(program.code, program.constants)

    return Compiled(programs, step(programs.training), step(programs.inference), step(programs.backward))


@dataclass(frozen=True)
class Array:
    """What stands for an array of a program: see `elman_array` in elman.h. Rows may be columns of a wider tensor."""

    rows: Tensor | None
    initial: Tensor | None = None
    fresh: Tensor | None = None
    final: Tensor | None = None
    cut: Tensor | None = None

    def pointers(self) -> tuple[int, int, int, int, int, int]:
        data, *others = (_address(t) for t in (self.rows, self.initial, self.fresh, self.final, self.cut))
        initial, fresh, final, cut = others
        return data, 0 if self.rows is None else self.rows.stride(0), initial, fresh, final, cut


_NOTHING = (0, 0, 0, 0, 0, 0)


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
    masks: Sequence[Tensor],
) -> None:
    """Raise `ShapeError` unless all shapes and dtypes are those of the programs: the core reads memory as it is told to."""
    if x.dim() != 3 or x.dtype not in (torch.float32, torch.float64):
        raise ShapeError(
            f"x has shape {tuple(x.shape)} and dtype {x.dtype}: give (T, B, D), torch.float32 or torch.float64."
        )
    steps, batch = x.shape[:2]
    size = sum(width for _, width in plan.states)
    matrix = weights.get("weight_ih")
    features = matrix.shape[-1] if plan.projected and matrix is not None else plan.u_width
    shapes = plan.weight_shapes | {"x": (steps, batch, features), "state": (batch, size)}
    if plan.projected:
        shapes["weight_ih"] = (plan.u_width, features)
    shapes |= {"fresh": (size,), "lengths": (batch,), "reset": (steps, batch)}
    given = {"x": x, "state": state, "fresh": fresh, "lengths": lengths, "reset": reset, **weights}
    if len(masks) != len(plan.masks):
        raise ShapeError(f"{len(masks)} masks were given: give {len(plan.masks)}.")
    for mask, (name, width, every_step) in zip(masks, plan.masks, strict=True):
        shapes[name], given[name] = ((steps, batch, width) if every_step else (batch, width)), mask
    require({name: (array, shapes[name]) for name, array in given.items()}, x.dtype)


def require(arrays: dict[str, tuple[Tensor | None, tuple[int, ...]]], dtype: torch.dtype) -> None:
    """Raise `ShapeError` unless each array that is there has its shape and dtype; flags and lengths have one of their own."""
    for name, (array, shape) in arrays.items():
        wanted = {"lengths": torch.int64, "reset": torch.bool}.get(name, dtype)
        if array is not None and (tuple(array.shape) != tuple(shape) or array.dtype != wanted):
            raise ShapeError(
                f"{name} has shape {tuple(array.shape)} and dtype {array.dtype}: give {tuple(shape)} and {wanted}."
            )


class Call:
    """What the forward and the backward pass have in common: inputs in the form that the core reads."""

    def __init__(
        self,
        x: Tensor,
        weights: Sequence[Tensor],
        state: Tensor,
        fresh: Tensor | None,
        lengths: Tensor | None,
        reset: Tensor | None,
        masks: Sequence[Tensor],
        programs: str,
        reverse: bool,
        precision: int,
    ) -> None:
        self.compiled = compiled(programs)
        self.plan = self.compiled.programs
        names = self.compiled.weights
        if len(weights) != len(names):
            raise ShapeError(f"{len(weights)} weights were given: give {len(names)}, {', '.join(names)}.")
        self.weights = {name: w.contiguous() for name, w in zip(names, weights, strict=True)}
        _check(self.plan, self.weights, x, state, fresh, lengths, reset, masks)
        self.layout: Layout = layout_of(x.shape[0], x.shape[1], lengths, reverse)
        self.x_rows = self.layout.gather(x).contiguous()
        self._state = self.layout.sort(state)
        # A row for each step of each sequence, or for each sequence.
        self.masks = {
            name: Array((self.layout.gather(mask) if every_step else self.layout.sort(mask)).contiguous())
            for mask, (name, _, every_step) in zip(masks, self.plan.masks, strict=True)
        }
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
        bias = self.weights["bias_ih"] if self.plan.input_bias else None
        return self.multiply(self.x_rows, self.weights["weight_ih"], transposed=True, bias=bias)

    def run(
        self,
        step: "_native.Step",
        program: Program,
        arrays: dict[str, Array],
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
        packed: list[tuple[int, int, int, int]] = []
        for use in program.weights:
            weight = self.weights[use.weight][use.first : use.first + use.rows]
            row, column = weight.stride()[::-1] if use.transposed else weight.stride()
            bias = None if use.bias is None else self.weights[use.bias][use.bias_first :]
            packed.append((_address(weight), row, column, _address(bias)))
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
        c_NM = empty(a_NK, a_NK.shape[0], columns)
        b_strides = (weight.stride(1), weight.stride(0)) if transposed else (weight.stride(0), weight.stride(1))
        _native.multiply(
            self._real_bytes, self._precision, self._threads, False, a_NK.shape[0], columns, inner,
            a_NK.data_ptr(), a_NK.stride(0), 1, weight.data_ptr(), *b_strides, _address(bias), c_NM.data_ptr(), columns,
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
        transposed: bool = False,
    ) -> None:
        """Add (gradient)ᵀ (source), or (source)ᵀ (gradient), to the gradient of a weight, to its rows from `first_row` on."""
        whole, out = dweights[name], source[0][2].shape[1] if transposed else gradient_NG.shape[1]
        only_part = out < self.weights[name].shape[0]
        accumulate = whole is not None or only_part
        if whole is None:
            whole = dweights[name] = (torch.zeros_like if only_part else torch.empty_like)(self.weights[name])
        target, inner, size = whole[first_row:], whole.shape[1], self._real_bytes
        for first, rows, tensor, start in source:
            left, right = (gradient_NG[first:], tensor[start:])[:: -1 if transposed else 1]
            _native.multiply(
                size, self._precision, self._threads, accumulate, out, inner, rows, left.data_ptr(), 1, left.stride(0),
                right.data_ptr(), right.stride(0), 1, 0, target.data_ptr(), inner,
            )  # fmt: skip
            accumulate = True
