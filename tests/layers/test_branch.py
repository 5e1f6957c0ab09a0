"""Many next steps from one state: each is what the layers give for it alone."""

from typing import Any

import pytest
import torch
from torch import Tensor

import elman
from elman.cells import CELLS
from elman.errors import OptionError
from elman.layers import RecurrentLayers, layers_of

B, D, H, N = 3, 4, 8, 5


def make(name: str, num_layers: int = 1, **options: Any) -> tuple[RecurrentLayers, Tensor, Any]:
    """Layers, N inputs for each row, and the state after a few steps."""
    torch.manual_seed(0)
    layers = layers_of(name, D, H, num_layers=num_layers, dtype=torch.float64, **options)
    x_NBD = torch.randn(N, B, D, dtype=torch.float64)
    _, state, _ = layers.run(torch.randn(6, B, D, dtype=torch.float64), None)
    return layers, x_NBD, state


def one_by_one(layers: RecurrentLayers, x_NBD: Tensor, state: Any) -> Tensor:
    return torch.cat([layers.run(x_BD[None], state)[0] for x_BD in x_NBD])  # type: ignore[misc]


def gradients(y: Tensor, layers: RecurrentLayers, x: Tensor) -> tuple[Tensor, ...]:
    weighed = (y * torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view_as(y)).sum()
    return torch.autograd.grad(weighed, [x, *layers.parameters()], retain_graph=True, materialize_grads=True)


def assert_same(layers: RecurrentLayers, x_NBD: Tensor, state: Any) -> None:
    x_NBD = x_NBD.requires_grad_()
    found, expected = layers.branch(x_NBD, state), one_by_one(layers, x_NBD, state)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    for a, b in zip(gradients(found, layers, x_NBD), gradients(expected, layers, x_NBD), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", sorted(CELLS))
def test_of_every_cell_each_is_the_step_by_itself_with_all_gradients(name: str) -> None:
    assert_same(*make(name))


@pytest.mark.parametrize("connections", ["plain", "residual", "highway", "dense"])
def test_layers_of_every_connection(connections: str) -> None:
    assert_same(*make("gru", num_layers=3, connections=connections))


@pytest.mark.parametrize(
    "option", [{"layer_norm": True}, {"clip_state": 0.1}, {"clip_gradient": 10.0}, {"zoneout": 0.3}]
)
def test_options_of_a_step(option: dict[str, Any]) -> None:
    layers, x_NBD, state = make("lstm", **option)
    assert_same(layers.eval(), x_NBD, state)


@pytest.mark.parametrize("connections", ["plain", "residual"])
def test_rows_with_the_same_inputs(connections: str) -> None:
    layers, x_NMD, state = make("gru", num_layers=2, connections=connections)
    kinds_B = torch.tensor([1, 0, 1])
    expected = one_by_one(layers, x_NMD[:, kinds_B], state)
    torch.testing.assert_close(layers.branch(x_NMD[:, :2], state, kinds_B), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("option", ["recurrent_dropout", "zoneout", "variational_dropout"])
def test_in_training_each_drops_for_itself(option: str) -> None:
    layers, x_NBD, state = make("lstm", **{option: 0.5})
    same_NBD = x_NBD[:1].expand(N, -1, -1)
    layers.train()
    y_NBH = layers.branch(same_NBD, state, generator=torch.Generator().manual_seed(1))
    again_NBH = layers.branch(same_NBD, state, generator=torch.Generator().manual_seed(1))
    assert torch.equal(y_NBH, again_NBH)
    assert not torch.equal(y_NBH, layers.eval().branch(same_NBD, state))
    # What is drawn once for a whole sequence is the same for every step that might come next.
    assert torch.equal(y_NBH[0], y_NBH[1]) == (option == "variational_dropout")


def test_what_reads_backwards_has_no_next_step() -> None:
    layers = elman.GRU(D, H, bidirectional=True)
    with pytest.raises(OptionError, match="no next step"):
        layers.branch(torch.randn(N, B, D), (torch.zeros(2, B, H),))
