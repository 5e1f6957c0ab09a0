"""The native engine as operators of PyTorch: `torch.ops.elman.scan` and its backward.

Proper operators, so that autograd, `torch.compile` and `torch.export` know them. All about the cell is in one argument, the
text of its programs (`elman.programs`). A state is one array (B, S), the cell's states side by side.

What has to be there for the backward pass are results of the operator: the sequences of the states that are not y, and
`kept`. With lengths, y and these sequences are there once more as packed rows.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from elman.engines.call import Array, Call, compiled, require
from elman.engines.memory import empty
from elman.programs import CellPrograms

_Results = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
LIBRARY = torch.library.Library("elman", "DEF")
LIBRARY.define(
    "scan(Tensor x, Tensor[] weights, Tensor state, Tensor? fresh, Tensor? lengths, Tensor? reset, Tensor[] masks, "
    "str programs, bool reverse, int precision, bool keep) -> (Tensor y, Tensor last, Tensor states, Tensor rows, Tensor kept)"
)
LIBRARY.define(
    "scan_backward(Tensor? dy, Tensor? dlast, Tensor? dstates, Tensor x, Tensor[] weights, Tensor state, Tensor? fresh, "
    "Tensor? lengths, Tensor? reset, Tensor[] masks, Tensor rows_y, Tensor rows_states, Tensor kept, str programs, "
    "bool reverse, int precision) -> (Tensor dx, Tensor dstate, Tensor dfresh, Tensor[] dweights)"
)


def scan(
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
    keep: bool,
) -> _Results:
    """Run a cell over a sequence.

    x       (T, B, D), or u (T, B, G) if the cell projects otherwise than by its `weight_ih`
    state   (B, S)
    fresh   (S) the state after a reset; None is zero
    masks   (T, B, size) or (B, size) each, in the order of the programs
    keep    whether a backward pass, or somebody who wants all states, will read what is kept

    Gives y (T, B, H), last (B, S), states (T, B, S'), rows (N, H + S'), kept (N, K) for N valid steps in all. The
    last three have no rows unless they are needed.
    """
    call = Call(x, weights, state, fresh, lengths, reset, masks, programs, reverse, precision)
    plan, layout, (steps, batch) = call.plan, call.layout, x.shape[:2]
    if layout.rows == 0:
        y, _, *others = (result.zero_() for result in _results(x, state, lengths, plan, keep, 0))
        return y, state.clone(), *others  # type: ignore[return-value]
    own_width = sum(width for _, width in plan.sequences)
    y = empty(x, layout.rows, plan.y_width)
    states = empty(x, layout.rows if keep else 0, own_width)
    rows = x.new_empty(0, plan.y_width + own_width)
    if lengths is not None and keep:
        rows = empty(x, layout.rows, plan.y_width + own_width)
        y, states = rows[:, : plan.y_width], rows[:, plan.y_width :]
    u = call.project()
    kept = u if keep and plan.keeps_u else empty(x, layout.rows if keep else 0, plan.kept_width)
    if plan.kept_padding:
        kept[:, -plan.kept_padding :] = 0

    arrays = {"u": Array(u), "y": Array(y), "kept": Array(kept), **call.masks}
    finals: dict[str, Tensor] = {}
    column = 0
    for name, width in plan.states:
        initial, fresh_row = call.initial(name), call.fresh(name)
        if name in plan.y_states:
            arrays[f"before {name}"] = Array(y, initial, fresh_row)
        elif keep:
            own = states[:, column : column + width]
            column += width
            arrays |= {f"before {name}": Array(own, initial, fresh_row), f"after {name}": Array(own)}
        else:
            # A sequence without steps ends as it began.
            finals[name] = initial.clone()
            arrays[f"before {name}"] = Array(None, initial, fresh_row)
            arrays[f"carry {name} out"] = Array(None, final=finals[name])
    if keep:
        call.run(call.compiled.training, plan.training, arrays)
    else:
        call.run(call.compiled.inference, plan.inference, arrays)
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
    masks: Sequence[Tensor],  # noqa: ARG001
    programs: str,
    reverse: bool,  # noqa: ARG001
    precision: int,  # noqa: ARG001
    keep: bool,
) -> _Results:
    rows: Any = x.shape[0] * x.shape[1]
    if lengths is not None and keep:
        # How many steps are valid only the values tell.
        rows = torch.library.get_ctx().new_dynamic_size()
    return _results(x, state, lengths, compiled(programs).programs, keep, rows)


def _results(
    x: Tensor, state: Tensor, lengths: Tensor | None, plan: CellPrograms, keep: bool, row_count: int
) -> _Results:
    """Empty tensors in the shapes of the results of `scan`; `row_count` steps of all sequences together are valid."""
    steps, batch = x.shape[:2]
    own_width = sum(width for _, width in plan.sequences)
    with_states = keep and (lengths is None or plan.all_states)
    return (
        x.new_empty(steps, batch, plan.y_width),
        torch.empty_like(state),
        x.new_empty(steps if with_states else 0, batch, own_width),
        x.new_empty(row_count if keep and lengths is not None else 0, plan.y_width + own_width),
        x.new_empty(row_count if keep else 0, plan.kept_width),
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
    masks: Sequence[Tensor],
    rows_y: Tensor,
    rows_states: Tensor,
    kept: Tensor,
    programs: str,
    reverse: bool,
    precision: int,
) -> tuple[Tensor, Tensor, Tensor, list[Tensor]]:
    """Gradients of `scan` for those of its results; `rows_y` and `rows_states` are y and states, as packed rows if there are
    lengths. Gives the gradients of x, state, fresh and the weights."""
    call = Call(x, weights, state, fresh, lengths, reset, masks, programs, reverse, precision)
    plan, layout = call.plan, call.layout
    given = {"dy": dy, "dlast": dlast, "dstates": dstates, "rows_y": rows_y, "rows_states": rows_states, "kept": kept}
    _check_gradients(call, given, x, lengths is not None)
    if layout.rows == 0:
        dstate = torch.zeros_like(state) if dlast is None else dlast.clone()
        return torch.zeros_like(x), dstate, state.new_zeros(state.shape[1]), [torch.zeros_like(w) for w in weights]
    y, states = rows_y.flatten(0, -2), rows_states.flatten(0, -2)
    if dy is None:
        dy = x.new_zeros(*x.shape[:2], plan.y_width)
    du = empty(x, layout.rows, plan.u_width)
    arrays = {
        "dy": Array(layout.gather(dy).contiguous()),
        "u": Array(kept if plan.keeps_u else call.x_rows),
        "kept": Array(kept),
        "du": Array(du),
        **call.masks,
    }
    dfresh = state.new_zeros(state.shape[1])
    gradients = {"du": du}
    for product in plan.products:
        if product.gradient not in gradients:
            gradients[product.gradient] = empty(x, layout.rows, product.width)
            arrays[product.gradient] = Array(gradients[product.gradient])
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
                d_rows = (
                    x.new_zeros(layout.rows, width)
                    if dstates is None
                    else layout.gather(dstates[..., column : column + width])
                )
                arrays[f"d {name}"] = Array(d_rows.contiguous())
            column += width
        arrays[f"before {name}"] = Array(sequences[name], initial, call.fresh(name))
        arrays[f"after {name}"] = Array(sequences[name])
        carried = dlast_rows[:, first : first + width].contiguous()
        first += width
        finals[name] = carried.clone()
        arrays[f"carried {name}"] = Array(None, carried)
        arrays[f"dcarry {name} out"] = Array(None, final=finals[name], cut=dfresh[first - width : first])
    sums = x.new_zeros(plan.backward.accumulators)
    call.run(call.compiled.backward, plan.backward, arrays, backwards=True, accumulators=sums)

    dweights = dict.fromkeys(call.weights)
    befores: dict[str, Tensor] = {}
    for product in plan.products:
        source = call.product_source(product, sequences, kept, befores)
        call.add_product(
            dweights, product.weight, product.first, gradients[product.gradient], source, product.transposed
        )
    dx_rows = du
    if plan.projected:
        call.add_product(dweights, "weight_ih", 0, du, [(0, layout.rows, call.x_rows, 0)])
        dx_rows = call.multiply(du, call.weights["weight_ih"], transposed=False)
    _add_sums(plan, sums, dweights, call.weights)
    dx = layout.scatter(dx_rows)
    dstate = layout.unsort(torch.cat([finals[name] for name, _ in plan.states], dim=1))
    found = [torch.zeros_like(call.weights[name]) if d is None else d for name, d in dweights.items()]
    return dx, dstate, dfresh, found


def _add_sums(plan: CellPrograms, sums: Tensor, dweights: dict[str, Tensor | None], weights: dict[str, Tensor]) -> None:
    """Gradients of vectors: sums over all rows, which the core has made."""
    for part in plan.sums:
        target = dweights[part.weight]
        if target is None:
            target = dweights[part.weight] = torch.zeros_like(weights[part.weight])
        added = sums[part.accumulator : part.accumulator + part.width]
        if part.of_number:
            target[part.column] += added.sum()
        else:
            target[part.column : part.column + part.width] += added


def _check_gradients(call: Call, given: dict[str, Tensor | None], x: Tensor, packed: bool) -> None:
    """Raise `ShapeError` unless these are gradients of the results of `scan`, and what it kept."""
    plan, (steps, batch) = call.plan, x.shape[:2]
    own_width = sum(width for _, width in plan.sequences)
    rows = (call.layout.rows,) if packed else (steps, batch)
    shapes = {
        "dy": (steps, batch, plan.y_width),
        "dlast": (batch, sum(width for _, width in plan.states)),
        "dstates": (steps, batch, own_width),
        "rows_y": (*rows, plan.y_width),
        "rows_states": (*rows, own_width),
        "kept": (call.layout.rows, plan.kept_width),
    }
    # States that are no results have no gradient: what stands there isn't read.
    asked = {name: (array, shapes[name]) for name, array in given.items() if plan.all_states or name != "dstates"}
    require(asked, x.dtype)


def _scan_backward_fake(
    dy: Tensor | None,  # noqa: ARG001
    dlast: Tensor | None,  # noqa: ARG001
    dstates: Tensor | None,  # noqa: ARG001
    x: Tensor,
    weights: Sequence[Tensor],
    state: Tensor,
    *rest: object,  # noqa: ARG001
) -> tuple[Tensor, Tensor, Tensor, list[Tensor]]:
    dweights = [torch.empty_like(weight) for weight in weights]
    return torch.empty_like(x), torch.empty_like(state), state.new_empty(state.shape[1]), dweights


LIBRARY.impl("scan", scan, "CPU")
LIBRARY.impl("scan_backward", scan_backward, "CPU")
torch.library.register_fake("elman::scan", _scan_fake, lib=LIBRARY)
torch.library.register_fake("elman::scan_backward", _scan_backward_fake, lib=LIBRARY)
