"""An ONNX graph as the import reads it: who makes which tensor, what is constant, what is only a view of what."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy

from elman.convert.optional import needed
from elman.errors import ConvertError

MIN_OPSET = 14
# The axes of a recurrent node's output Y, and of what the next one reads.
_TIME, _DIRECTION, _BATCH, _UNITS = "time", "direction", "batch", "units"
_VIEWS = {"Identity", "Dropout", "Transpose", "Squeeze", "Reshape"}


def read_model(path: str | Path) -> "Graph":
    """The graph in a file. Raises `ConvertError` if there is none, or it is damaged."""
    onnx = needed("onnx", "onnx")
    damaged = needed("google.protobuf.message", "onnx").DecodeError
    try:
        model = onnx.load(str(path))
    except OSError as error:
        raise ConvertError(f"{path} can't be read: {error.strerror or error}.") from error
    except (damaged, ValueError, onnx.checker.ValidationError) as error:
        raise ConvertError(f"{path} is no ONNX model, or is damaged: {error}.") from error
    return Graph(model)


class Graph:
    """The main graph of an `onnx.ModelProto`, local functions put in their places.

    Raises `ConvertError` for an opset that is too old, and for recurrent nodes inside loops and branches.
    """

    def __init__(self, model: Any) -> None:
        versions = [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
        if not versions:
            raise ConvertError("the model says no opset: it is no ONNX model, or is damaged.")
        if max(versions) < MIN_OPSET:
            raise ConvertError(
                f"the model has opset {max(versions)}: elman reads {MIN_OPSET} and later. Export it with a later one, or "
                "convert it by onnx.version_converter."
            )
        if model.functions:
            model = needed("onnx.inliner", "onnx").inline_local_functions(model)
        self._model, self._graph = model, model.graph
        self._shapes: dict[str, Any] | None = None
        self._opset = max(versions)
        self._makers = {name: node for node in self._graph.node for name in node.output if name}
        self._tensors = {tensor.name: tensor for tensor in self._graph.initializer}
        self._constants: dict[str, numpy.ndarray | None] = {}

    def nodes(self, operators: Collection[str]) -> list[Any]:
        """The nodes of these operators, in the order of the data."""
        for node in self._graph.node:
            if _operators_inside(node) & set(operators):
                raise ConvertError(
                    f"the node {self.name_of(node)!r} ({node.op_type}) has recurrent nodes inside: elman reads those of the "
                    "main graph only."
                )
        found = [node for node in self._graph.node if node.op_type in operators and node.domain in ("", "ai.onnx")]
        for node in found:
            if len(node.input) < 3:
                raise ConvertError(
                    f"the node {self.name_of(node)!r} ({node.op_type}) lacks inputs: it reads X, W and R."
                )
        return found

    def name_of(self, node: Any) -> str:
        """A name that is the node's alone: its own, or that of what it makes, if it has none or another has it too."""
        alike = sum(node.name == other.name for other in self._graph.node)
        return str(node.name if node.name and alike == 1 else next(name for name in node.output if name))

    def attributes(self, node: Any) -> dict[str, Any]:
        """The attributes of a node, texts as `str`."""
        helper = needed("onnx.helper", "onnx")

        def text(value: Any) -> Any:
            return value.decode(errors="replace") if isinstance(value, bytes) else value

        found = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
        return {
            name: [text(item) for item in value] if isinstance(value, (list, tuple)) else text(value)
            for name, value in found.items()
        }

    def constant(self, name: str) -> numpy.ndarray | None:
        """The numbers of a tensor that depends on no input of the model; None if it does."""
        if name not in self._constants:
            self._constants[name] = self._computed(name)
        return self._constants[name]

    def _computed(self, name: str) -> numpy.ndarray | None:
        if name in self._tensors:
            try:
                return numpy.asarray(needed("onnx.numpy_helper", "onnx").to_array(self._tensors[name]))
            except ValueError as error:
                raise ConvertError(f"the tensor {name!r} of the model is damaged: {error}.") from error
        node = self._makers.get(name)
        if node is None:
            return None
        feeds = {given: self.constant(given) for given in node.input if given}
        if any(array is None for array in feeds.values()):
            return None
        evaluator = needed("onnx.reference", "onnx").ReferenceEvaluator
        results = evaluator(node, opsets={"": self._opset}).run(None, feeds)
        return dict(zip(node.output, results, strict=False))[name]

    def source_of(self, node: Any, operators: Collection[str]) -> Any | None:
        """The recurrent node whose output `node` reads as its sequence, through views alone; None if there is none.

        Raises `ConvertError` if it reads such an output in another layout than (T, B, directions·H).
        """
        views, name = [], node.input[0]
        while (
            (maker := self._makers.get(name)) is not None
            and maker.op_type in _VIEWS
            and name == maker.output[0]
            and maker.input
        ):
            views.append(maker)
            name = maker.input[0]
        if maker is None or maker.op_type not in operators or name != maker.output[0]:
            return None
        axes: list[tuple[str, ...]] = [(_TIME,), (_DIRECTION,), (_BATCH,), (_UNITS,)]
        directions = 2 if self.attributes(maker).get("direction") == "bidirectional" else 1
        for view in reversed(views):
            axes = self._seen(view, axes, directions)
        # A direction that is alone is no axis in what is read.
        flat = [tuple(axis for axis in group if directions == 2 or axis != _DIRECTION) for group in axes]
        if flat != [(_TIME,), (_BATCH,), (_DIRECTION, _UNITS) if directions == 2 else (_UNITS,)]:
            read = ", ".join("·".join(group) or "1" for group in flat)
            raise ConvertError(
                f"the node {self.name_of(node)!r} reads the output of {self.name_of(maker)!r} as ({read}): layers of one stack "
                "read (time, batch, units)."
            )
        return maker

    def _seen(self, view: Any, axes: list[tuple[str, ...]], directions: int) -> list[tuple[str, ...]]:
        """The axes after a view. Raises `ConvertError` for one that can't be understood."""
        if view.op_type == "Transpose":
            order = self.attributes(view).get("perm", list(reversed(range(len(axes)))))
            return [axes[axis] for axis in order]
        if view.op_type == "Squeeze":
            array = self.constant(view.input[1]) if len(view.input) > 1 else None
            dropped = [] if array is None else [int(axis) % len(axes) for axis in array.ravel()]
            if dropped and all(axes[axis] == (_DIRECTION,) for axis in dropped) and directions == 1:
                return [group for axis, group in enumerate(axes) if axis not in dropped]
        if view.op_type == "Reshape" and len(view.input) > 1 and self._joins_last_two(view, len(axes)):
            return [*axes[:-2], axes[-2] + axes[-1]]
        if view.op_type in ("Identity", "Dropout"):
            return axes
        raise ConvertError(
            f"the node {self.name_of(view)!r} ({view.op_type}) stands between recurrent nodes, and what it does to their axes "
            "can't be read off the model. Export it with dynamic axes, and with constants folded."
        )

    def _joins_last_two(self, reshape: Any, axes: int) -> bool:
        """Whether a Reshape makes one axis of the last two and leaves the others as they are."""
        wanted = self.constant(reshape.input[1])
        # 0 copies an axis, -1 is what is left.
        if wanted is not None and wanted.tolist() == [0] * (axes - 2) + [-1]:
            return not self.attributes(reshape).get("allowzero", 0)
        before, after = self._sizes(reshape.input[0]), self._sizes(reshape.output[0])
        known = len(before) == axes and len(after) == axes - 1 and None not in (*before, *after)
        return known and before[:-2] == after[:-1]

    def _sizes(self, name: str) -> list[Any]:
        """What is known of a tensor's shape: a number or a name for each axis, None where there is neither."""
        if self._shapes is None:
            model = needed("onnx.shape_inference", "onnx").infer_shapes(self._model, data_prop=True)
            infos = (*model.graph.value_info, *model.graph.input, *model.graph.output)
            self._shapes = {info.name: info.type.tensor_type.shape.dim for info in infos}
        return [axis.dim_value or axis.dim_param or None for axis in self._shapes.get(name, [])]


def _operators_inside(node: Any) -> set[str]:
    """The operators in the subgraphs of a node."""
    inside: set[str] = set()
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            for inner in graph.node:
                inside |= {inner.op_type} | _operators_inside(inner)
    return inside
