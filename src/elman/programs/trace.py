"""Reading a cell's `step` as a graph: it is called once, on arrays that note what is done to them.

A traced array is a tensor without numbers (on PyTorch's "meta" device), so that shapes are checked as ever and a step may
use PyTorch's own functions or those of `elman.cells.operations`. It is a row of *pieces*: the gates of u, the columns of a
state. `split` hands out pieces; everything else goes piece by piece.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from elman.cells import Cell, Mask
from elman.errors import TraceError
from elman.programs.derived import CAN_DERIVE, Derived, Rows, Uses
from elman.programs.graph import NUMBER, POINTWISE, Graph, Matrix, Node

# Rows of the arrays that are traced: any number but 1, which would broadcast unseen.
_ROWS = 2


@dataclass(frozen=True)
class TracedStep:
    """A step as a graph. The leaves are `u`, `before NAME` for each state, masks by their names, and `weight NAME` for weights
    that are used element by element."""

    graph: Graph
    u_width: int
    # (name, width) of each state, in order.
    states: tuple[tuple[str, int], ...]
    y: tuple[Node, ...]
    # The pieces of each state after the step, in the order of `states`.
    after: tuple[tuple[Node, ...], ...]
    # Names of the weights that the step reads, and of what it makes of weights alone.
    weights: tuple[str, ...]
    derived: dict[str, Derived]
    masks: dict[str, Mask]
    # How far from zero the gradient may be that goes on to the step before.
    gradient_limit: float | None


def trace(cell: Cell, masked: bool = False) -> TracedStep:
    """The graph of `cell.advance`; `masked`, with its masks. Raises `TraceError` if it does what a program can't say."""
    graph = Graph()
    # Only for cells that read x itself does its size matter.
    features = cell.input_size or 1
    shapes = cell.weight_shapes(features)
    uses = Uses()
    given: dict[str, _Traced] = {
        name: _Weight.make(graph, name, shape, cell.piece_size, uses) for name, shape in shapes.items()
    }
    masks = cell.masks if masked else {}
    given |= {name: _Traced.leaf(graph, name, mask.size, cell.piece_size) for name, mask in masks.items()}
    meta = {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
    u_width = cell.project(meta, torch.empty(1, features, device="meta")).shape[-1]
    states = tuple(zip(cell.state_type._fields, cell.state_sizes, strict=True))
    # The reverse limits gradients by itself.
    unlimited = replace(cell, clip_gradient=None) if cell.clip_gradient is not None else cell
    try:
        y, after = unlimited.advance(
            given,
            _Traced.leaf(graph, "u", u_width, cell.piece_size),
            cell.state_type(*(_Traced.leaf(graph, f"before {name}", size, cell.piece_size) for name, size in states)),
        )
    except TraceError as error:
        raise TraceError(f"the step of {cell.name!r} can't be a program: {error}") from error
    results: dict[str, tuple[Any, int]] = {"y": (y, cell.output_size)}
    results |= {f"the state {name}": (s, size) for (name, size), s in zip(states, after, strict=True)}
    for name, (value, size) in results.items():
        if not isinstance(value, _Traced) or value.shape[-1] != size or any(p.width == NUMBER for p in value.pieces):
            raise TraceError(
                f"the step of {cell.name!r} gives for {name} something else than {size} columns for each row."
            )
    pieces = [value.pieces for value, _ in results.values()]
    names = tuple(dict.fromkeys(uses.names))
    return TracedStep(
        graph, u_width, states, pieces[0], tuple(pieces[1:]), names, uses.derived, masks, cell.clip_gradient
    )


class _Traced(Tensor):
    """An array (rows, width) of a graph."""

    graph: Graph
    pieces: tuple[Node, ...]

    @staticmethod
    def of(graph: Graph, pieces: tuple[Node, ...]) -> "_Traced":
        width = sum(max(piece.width, 1) for piece in pieces)
        array = torch.empty(_ROWS, width, device="meta").as_subclass(_Traced)
        array.graph, array.pieces = graph, pieces
        return array

    @staticmethod
    def leaf(graph: Graph, name: str, width: int, piece: int, first: int = 0) -> "_Traced":
        if width % piece:
            piece = width
        return _Traced.of(graph, tuple(graph.leaf(name, first + column, piece) for column in range(0, width, piece)))

    @classmethod
    def __torch_function__(cls, function: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        if function in _PASSIVE:
            return super().__torch_function__(function, types, args, kwargs or {})
        name = getattr(function, "__name__", str(function))
        if function not in _RULES:
            known = ", ".join(dict.fromkeys(getattr(f, "__name__", str(f)).strip("_") for f in _RULES))
            raise TraceError(f"a program has no operation {name!r}; it has {known}.")
        try:
            return _RULES[function](*args, **(kwargs or {}))
        except TypeError as error:
            raise TraceError(f"{name!r} is called in a form that a program doesn't have ({error}).") from error


class _Weight(_Traced):
    """A weight, or some of its rows: a matrix, which only a product takes, or a vector, one row for all."""

    called: str
    first: int
    piece: int
    uses: Uses
    turned: bool

    @staticmethod
    def make(
        graph: Graph, name: str, shape: tuple[int, ...], piece: int, uses: Uses, first: int = 0, turned: bool = False
    ) -> "_Weight":
        array = torch.empty(shape, device="meta").as_subclass(_Weight)
        array.graph, array.called, array.uses, array.piece, array.first = graph, name, uses, piece, first
        array.turned = turned
        return array


def _pieces(x: Any, graph: Graph) -> tuple[Node, ...]:
    if isinstance(x, _Weight):
        if x.dim() != 1:
            raise TraceError(f"the matrix {x.called} is used otherwise than in a product.")
        x.uses.names.append(x.called)
        if x.shape[0] == 1 and x.piece > 1:
            return (graph.leaf(f"weight {x.called}", x.first, NUMBER),)
        return _Traced.leaf(graph, f"weight {x.called}", x.shape[0], x.piece, x.first).pieces
    if isinstance(x, _Traced):
        return x.pieces
    if isinstance(x, (int, float)):
        return (graph.constant(x),)
    raise TraceError(
        f"a {type(x).__name__} from outside of the step takes part: only u, the state, weights and numbers can."
    )


def _pointwise(operation: str, *operands: Any) -> _Traced:
    graph = next(x.graph for x in operands if isinstance(x, _Traced))
    if operation in CAN_DERIVE and all(map(_is_shared, operands)):
        return _derived(operation, operands)
    rows = [_pieces(x, graph) for x in operands]
    count = max(len(row) for row in rows)
    rows = [row * count if len(row) == 1 and row[0].width == NUMBER else row for row in rows]
    for parts in zip(*rows, strict=True) if len({len(row) for row in rows}) == 1 else [()]:
        widths = {part.width for part in parts} - {NUMBER}
        if not parts or len(widths) > 1:
            shown = " and ".join("+".join(str(part.width) for part in row) for row in rows)
            raise TraceError(f"{operation!r} has operands of {shown} columns: they must be cut alike.")
    return _Traced.of(graph, tuple(graph.pointwise(operation, *parts) for parts in zip(*rows, strict=True)))


def _is_shared(x: Any) -> bool:
    """Whether this is a vector among the weights, or a number."""
    return (isinstance(x, _Weight) and x.dim() == 1) or isinstance(x, (int, float))


def _derived(operation: str, operands: Sequence[Any]) -> _Weight:
    """What is made of weights alone is one of them."""
    weights = [x for x in operands if isinstance(x, _Weight)]
    sizes = {x.shape[0] for x in weights} - {1}
    if len(sizes) > 1:
        raise TraceError(f"{operation!r} has weights of {' and '.join(map(str, sorted(sizes)))} elements.")
    first = weights[0]
    # A program doesn't read them, but a second derivative, which goes by the cell's own step, does.
    first.uses.names += [x.called for x in weights if x.called not in first.uses.derived]
    parts = tuple(Rows(x.called, x.first, x.shape[0]) if isinstance(x, _Weight) else float(x) for x in operands)
    name = first.uses.derive(operation, parts)
    return _Weight.make(first.graph, name, (first.uses.derived[name].width,), first.piece, first.uses)


def _product(x: Any, weight: Any, bias: Any = None) -> _Traced:
    if (
        not isinstance(weight, _Weight)
        or weight.dim() != 2
        or weight.turned
        or isinstance(x, _Weight)
        or not isinstance(x, _Traced)
    ):
        raise TraceError("a product takes an array of the step and a matrix of the cell's weights, as it is.")
    if x.shape[-1] != weight.shape[1]:
        raise TraceError(f"the product with {weight.called} takes {weight.shape[1]} columns and gets {x.shape[-1]}.")
    if bias is not None and not isinstance(bias, _Weight):
        raise TraceError(f"the bias of the product with {weight.called} is not a weight of the cell.")
    weight.uses.names.append(weight.called)
    if bias is not None:
        weight.uses.names.append(bias.called)
    out = weight.shape[0]
    matrix = Matrix(weight.called, weight.first, out)
    if bias is not None:
        matrix = Matrix(weight.called, weight.first, out, bias.called, bias.first)
    return _Traced.of(weight.graph, tuple(weight.graph.product(_row(x), matrix, False, _widths(weight, out))))


def _row(x: Any) -> tuple[Node, ...]:
    """The pieces of a product's input: all of one width, as the reverse product gives them so."""
    if len({piece.width for piece in x.pieces}) > 1:
        raise TraceError("a product's input has pieces of different widths: make a product of each and add them.")
    return x.pieces


def _widths(weight: _Weight, out: int) -> list[int]:
    """How a product of `out` columns is cut: into pieces as the cell's arrays are."""
    piece = weight.piece if out % weight.piece == 0 else out
    return [piece] * (out // piece)


def _turn(weight: Any) -> _Weight:
    if not isinstance(weight, _Weight) or weight.dim() != 2 or weight.turned:
        raise TraceError("only a matrix of the cell's weights can be transposed, for a product x @ W.T.")
    shape = (weight.shape[1], weight.shape[0])
    return _Weight.make(weight.graph, weight.called, shape, weight.piece, weight.uses, weight.first, True)


def _matmul(x: Any, weight: Any) -> _Traced:
    if not isinstance(weight, _Weight) or weight.dim() != 2 or isinstance(x, _Weight) or not isinstance(x, _Traced):
        raise TraceError(
            "a matrix product is that of an array of the step with a weight of the cell: x @ W.T or x @ W."
        )
    if weight.turned:
        shape = (weight.shape[1], weight.shape[0])
        return _product(x, _Weight.make(weight.graph, weight.called, shape, weight.piece, weight.uses, weight.first))
    if x.shape[-1] != weight.shape[0]:
        raise TraceError(f"the product with {weight.called} takes {weight.shape[0]} columns and gets {x.shape[-1]}.")
    weight.uses.names.append(weight.called)
    matrix = Matrix(weight.called, weight.first, weight.shape[0])
    widths = _widths(weight, weight.shape[1])
    return _Traced.of(weight.graph, tuple(weight.graph.product(_row(x), matrix, True, widths)))


def _split(x: Any, parts: int, dim: int = 0) -> tuple[_Traced, ...]:
    if isinstance(x, _Weight):
        if dim not in {0, -x.dim()} or x.shape[0] % parts or x.turned:
            raise TraceError(f"the weight {x.called} can only be cut into equal groups of rows.")
        rows = x.shape[0] // parts
        shape = (rows, *x.shape[1:])
        return tuple(_Weight.make(x.graph, x.called, shape, x.piece, x.uses, x.first + i * rows) for i in range(parts))
    if dim not in {-1, 1} or len(x.pieces) % parts:
        raise TraceError(f"an array of {len(x.pieces)} pieces can't be cut into {parts} along axis {dim}.")
    size = len(x.pieces) // parts
    return tuple(_Traced.of(x.graph, x.pieces[i * size : (i + 1) * size]) for i in range(parts))


def _split_sizes(x: Any, size: Any, dim: int = 0) -> tuple[_Traced, ...]:
    """`torch.split`: pieces of so many columns each, or of one size and what is left."""
    if isinstance(x, _Weight):
        raise TraceError(f"the weight {x.called} is cut by chunk, into equal groups of rows.")
    width = x.shape[-1]
    sizes = [min(size, width - at) for at in range(0, width, size)] if isinstance(size, int) else list(size)
    found, pieces = [], list(x.pieces)
    for wanted in sizes:
        taken: list[Node] = []
        while pieces and sum(piece.width for piece in taken) < wanted:
            taken.append(pieces.pop(0))
        if dim not in {-1, 1} or sum(piece.width for piece in taken) != wanted:
            raise TraceError(
                f"an array of {len(x.pieces)} pieces can't be cut into columns of {sizes} along axis {dim}."
            )
        found.append(_Traced.of(x.graph, tuple(taken)))
    return tuple(found)


def _concat(arrays: Any, dim: int = 0) -> _Traced:
    graph = next((x.graph for x in arrays if isinstance(x, _Traced)), None)
    if dim not in {-1, 1} or graph is None or any(isinstance(x, _Weight) for x in arrays):
        raise TraceError("arrays of the step are put side by side: torch.cat(arrays, dim=-1).")
    return _Traced.of(graph, tuple(piece for x in arrays for piece in _pieces(x, graph)))


def _clamp(x: Any, min: Any = None, max: Any = None) -> _Traced:
    for operation, limit in (("max", min), ("min", max)):
        if limit is not None:
            if not isinstance(limit, (int, float)):
                raise TraceError("the limits of a clamp are numbers.")
            x = _pointwise(operation, x, limit)
    return x


def _softplus(x: Any, beta: float = 1, threshold: float = 20) -> _Traced:
    if (beta, threshold) != (1, 20):
        raise TraceError("softplus has no other beta or threshold than 1 and 20.")
    return _pointwise("softplus", x)


def _mean(x: Any, dim: int, keepdim: bool = False) -> _Traced:
    if dim not in {-1, 1} or not keepdim:
        raise TraceError("a mean goes over the columns of a row: mean(x, dim=-1, keepdim=True).")
    total = None
    for piece in x.pieces:
        part = x.graph.row_sum(piece)
        total = part if total is None else x.graph.pointwise("add", total, part)
    assert total is not None
    return _Traced.of(x.graph, (x.graph.pointwise("mul", total, x.graph.constant(1 / x.shape[-1])),))


def _layer_norm(x: Any, shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> _Traced:
    if tuple(shape) != (x.shape[-1],):
        raise TraceError("a layer norm goes over all columns of a row.")
    if len(x.pieces) == 1:
        y = _Traced.of(x.graph, (x.graph.normalised(x.pieces[0], float(eps)),))
    else:
        centred = _pointwise("sub", x, _mean(x, -1, True))
        deviation = _pointwise("sqrt", _pointwise("add", _mean(_pointwise("mul", centred, centred), -1, True), eps))
        y = _pointwise("mul", centred, _pointwise("div", 1.0, deviation))
    y = y if weight is None else _pointwise("mul", y, weight)
    return y if bias is None else _pointwise("add", y, bias)


def _getter(name: str) -> Any:
    """What `tensor.name` calls."""
    return getattr(Tensor, name).__get__


def _rules() -> dict[Any, Callable]:
    """What each function of PyTorch means in a graph."""
    rules: dict[Any, Callable] = {
        functional.linear: _product,
        functional.layer_norm: _layer_norm,
        torch.layer_norm: lambda x, shape, weight=None, bias=None, eps=1e-5, _=True: _layer_norm(
            x, shape, weight, bias, eps
        ),
        torch.matmul: _matmul,
        Tensor.matmul: _matmul,
        Tensor.__matmul__: _matmul,
        torch.mm: _matmul,
        torch.t: _turn,
        Tensor.t: _turn,
        _getter("T"): _turn,
        _getter("mT"): _turn,
        torch.chunk: _split,
        Tensor.chunk: _split,
        torch.split: _split_sizes,
        Tensor.split: _split_sizes,
        torch.cat: _concat,
        torch.concat: _concat,
        torch.clamp: _clamp,
        torch.clip: _clamp,
        Tensor.clamp: _clamp,
        Tensor.clip: _clamp,
        torch.maximum: lambda a, b: _pointwise("max", a, b),
        torch.minimum: lambda a, b: _pointwise("min", a, b),
        functional.softplus: _softplus,
        functional.silu: lambda x: _pointwise("mul", x, _pointwise("sigmoid", x)),
        torch.mean: _mean,
        Tensor.mean: _mean,
        Tensor.__rsub__: lambda x, other: _pointwise("sub", other, x),
        torch.rsub: lambda x, other: _pointwise("sub", other, x),
        Tensor.__rdiv__: lambda x, other: _pointwise("div", other, x),
        functional.relu: lambda x: _pointwise("relu", x),
        functional.sigmoid: lambda x: _pointwise("sigmoid", x),
        functional.tanh: lambda x: _pointwise("tanh", x),
    }

    def pointwise(operation: str, operands: int) -> Callable:
        if operands == 1:
            return lambda x: _pointwise(operation, x)
        return lambda a, b: _pointwise(operation, a, b)

    # Each under all names that it has: torch.add, Tensor.add, Tensor.__add__, Tensor.__radd__.
    others = {"add": ["__radd__"], "mul": ["__rmul__"], "div": ["__truediv__", "true_divide"]}
    for operation, operands in POINTWISE.items():
        # In PyTorch max and min go over an axis, and softplus has settings.
        if operation in {"max", "min", "softplus", "at_least", "copy", "normalise", "d_normalise"}:
            continue
        for name in [operation, f"__{operation}__", *others.get(operation, [])]:
            rules |= {
                getattr(home, name): pointwise(operation, operands) for home in (torch, Tensor) if hasattr(home, name)
            }
    return rules


_RULES = _rules()
# What tells of an array and computes nothing.
_PASSIVE = {
    _getter("shape"),
    _getter("dtype"),
    _getter("device"),
    Tensor.dim,
    Tensor.size,
    Tensor.__repr__,
    Tensor.as_subclass,
}
