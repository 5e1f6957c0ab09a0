"""The equations of `flax.linen`'s cells, stated from its documentation on trees of numpy arrays, and layers made of them."""

from collections.abc import Sequence
from typing import Any

import numpy

Array = numpy.ndarray


def dense(part: dict[str, Array], x: Array) -> Array:
    return x @ part["kernel"] + part.get("bias", 0)


def sigmoid(x: Array) -> Array:
    return 1 / (1 + numpy.exp(-x))


def step(tree: dict[str, Any], x: Array, state: tuple[Array, ...], nonlinearity: str) -> tuple[Array, ...]:
    """One step of the cell that the tree is of; the state is (h) or (h, c)."""

    def gate(letter: str) -> Array:
        return dense(tree["i" + letter], x) + dense(tree["h" + letter], state[0])

    if "ii" in tree:
        c = sigmoid(gate("f")) * state[1] + sigmoid(gate("i")) * numpy.tanh(gate("g"))
        return sigmoid(gate("o")) * numpy.tanh(c), c
    if "ir" in tree:
        z = sigmoid(gate("z"))
        n = numpy.tanh(dense(tree["in"], x) + sigmoid(gate("r")) * dense(tree["hn"], state[0]))
        return ((1 - z) * n + z * state[0],)
    f = {"tanh": numpy.tanh, "relu": lambda x: numpy.maximum(x, 0)}[nonlinearity]
    return (f(gate("")),)


def layers(
    cells: Sequence[dict[str, Any]], x: Array, states: Sequence[Array], bidirectional: bool, nonlinearity: str
) -> list[Array]:
    """Outputs and final states (layers times directions, B, H) of cells one on top of the other; x is (B, T, D)."""
    directions = 1 + bidirectional
    final: list[tuple[Array, ...]] = []
    for first in range(0, len(cells), directions):
        outputs = []
        for direction in range(directions):
            state = tuple(array[first + direction] for array in states)
            ys = []
            for t in range(x.shape[1])[:: -1 if direction else 1]:
                state = step(cells[first + direction], x[:, t], state, nonlinearity)
                ys.append(state[0])
            outputs.append(numpy.stack(ys[:: -1 if direction else 1], axis=1))
            final.append(state)
        x = numpy.concatenate(outputs, axis=-1)
    return [x, *(numpy.stack(arrays) for arrays in zip(*final, strict=True))]
