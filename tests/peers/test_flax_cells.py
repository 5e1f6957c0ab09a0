"""To and from the cells of Flax itself: gate by gate, from states that are not zero, in both directions and many layers."""

from typing import Any

import flax.linen
import jax
import numpy
import pytest
import torch
from flax.linen import GRUCell, LSTMCell, OptimizedLSTMCell, SimpleCell

import elman
from elman.convert import from_flax, to_flax

INPUT_SIZE, HIDDEN_SIZE, STEPS, BATCH = 3, 5, 7, 4
CELLS: dict[str, tuple[type, str, dict[str, Any]]] = {
    "lstm": (LSTMCell, "LSTM", {}),
    "lstm_optimised": (OptimizedLSTMCell, "LSTM", {}),
    "gru": (GRUCell, "GRU", {}),
    "tanh": (SimpleCell, "RNN", {"nonlinearity": "tanh"}),
    "relu": (SimpleCell, "RNN", {"nonlinearity": "relu"}),
}
every_cell = pytest.mark.parametrize("kind", CELLS)
every_direction = pytest.mark.parametrize("bidirectional", [False, True], ids=["forwards", "both_ways"])
every_depth = pytest.mark.parametrize("num_layers", [1, 3], ids=lambda n: f"{n}_layers")


class Layers(flax.linen.Module):
    """Flax's own layers of layers: what a user would write."""

    kind: str
    num_layers: int
    bidirectional: bool

    @flax.linen.compact
    def __call__(self, x: Any, states: Any) -> Any:
        made, _, options = CELLS[self.kind]
        own = {"activation_fn": flax.linen.relu} if options.get("nonlinearity") == "relu" else {}
        final = []
        for k in range(self.num_layers):
            runs = [flax.linen.RNN(made(HIDDEN_SIZE, **own), return_carry=True) for _ in range(1 + self.bidirectional)]
            if self.bidirectional:
                both = flax.linen.Bidirectional(*runs, return_carry=True)
                carries, x = both(x, initial_carry=tuple(states[2 * k : 2 * k + 2]))
                final += carries
            else:
                carry, x = runs[0](x, initial_carry=states[k])
                final.append(carry)
        return x, final


def states(layers: Any) -> list[torch.Tensor]:
    places = layers.num_layers * (1 + layers.bidirectional)
    return [torch.randn(places, BATCH, HIDDEN_SIZE) for _ in layers.cell.state_sizes]


def carries(before: list[torch.Tensor]) -> list[Any]:
    """States as Flax's cells carry them: h alone, or (c, h)."""
    arrays = [array.numpy() for array in before]
    return [arrays[0][k] if len(arrays) == 1 else (arrays[1][k], arrays[0][k]) for k in range(len(arrays[0]))]


def assert_same(layers: Any, module: Layers, params: Any) -> None:
    x, before = torch.randn(BATCH, STEPS, INPUT_SIZE), states(layers)
    y, final = module.apply({"params": params}, x.numpy(), carries(before))
    with torch.no_grad():
        ours, after = layers(x, tuple(before) if len(before) > 1 else before[0])
    after = list(after) if len(before) > 1 else [after]
    flipped = [carry[::-1] if len(before) > 1 else (carry,) for carry in final]
    theirs = [y, *(numpy.stack(arrays) for arrays in zip(*flipped, strict=True))]
    for mine, other in zip([ours, *after], theirs, strict=True):
        numpy.testing.assert_allclose(mine.numpy(), numpy.asarray(other), atol=1e-5, rtol=0)


@every_cell
@every_direction
@every_depth
def test_cells_of_flax_become_layers_and_layers_become_cells(kind, bidirectional, num_layers) -> None:
    _, name, options = CELLS[kind]
    module = Layers(kind, num_layers, bidirectional)
    ours = getattr(elman, name)(
        INPUT_SIZE, HIDDEN_SIZE, num_layers, batch_first=True, bidirectional=bidirectional, **options
    )
    x = numpy.zeros((BATCH, STEPS, INPUT_SIZE), "float32")
    made = module.init(jax.random.key(0), x, carries(states(ours)))["params"]
    # Biases of zeros, with which Flax begins, would hide where they go.
    drawn = jax.tree.map(
        lambda leaf: numpy.random.default_rng(3).uniform(-0.5, 0.5, leaf.shape).astype("float32"), made
    )

    assert_same(from_flax(drawn, bidirectional=bidirectional, **options), module, drawn)

    written = to_flax(ours)
    renamed = {name.replace("LSTMCell", CELLS[kind][0].__name__): tree for name, tree in written.items()}
    assert jax.tree.structure(renamed) == jax.tree.structure(dict(made))
    assert_same(ours, module, renamed)


@every_cell
def test_what_bidirectional_itself_names_is_read(kind) -> None:
    made, _, options = CELLS[kind]
    both = flax.linen.Bidirectional(flax.linen.RNN(made(HIDDEN_SIZE)), flax.linen.RNN(made(HIDDEN_SIZE)))
    x = numpy.random.default_rng(4).standard_normal((BATCH, STEPS, INPUT_SIZE)).astype("float32")
    params = both.init(jax.random.key(0), x)
    if options.get("nonlinearity") == "relu":
        options = {"nonlinearity": "tanh"}
    ours = from_flax(params, **options)

    assert ours.bidirectional
    numpy.testing.assert_allclose(
        ours(torch.from_numpy(x))[0].detach().numpy(), both.apply(params, x), atol=1e-5, rtol=0
    )
