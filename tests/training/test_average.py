"""The running mean of the weights: its equation, its place in validation."""

import torch
from torch import nn

from elman.training.average import WeightAverage


def test_the_mean_follows_its_equation() -> None:
    network = nn.Linear(3, 2).double()
    average = WeightAverage(network, 0.9)
    expected = network.weight.detach().clone()
    for step in range(1, 200):
        with torch.no_grad():
            network.weight.normal_()
        average.update(step)
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * network.weight.detach()
    torch.testing.assert_close(average.tensors["weight"], expected, rtol=1e-12, atol=1e-12)


def test_in_place_the_network_has_the_mean_and_then_its_own_weights_again() -> None:
    network = nn.Linear(3, 2)
    average = WeightAverage(network, 0.9)
    mean = average.tensors["weight"].clone()
    with torch.no_grad():
        network.weight.add_(1)
    own = network.weight.detach().clone()
    with average.in_place():
        assert torch.equal(network.weight, mean)
    assert torch.equal(network.weight, own)
    assert torch.equal(average.tensors["weight"], mean)


def test_without_a_decay_there_is_none() -> None:
    network = nn.Linear(3, 2)
    average = WeightAverage(network, 0.0)
    average.update(1)
    before = network.weight.detach().clone()
    with average.in_place():
        assert torch.equal(network.weight, before)
    assert average.tensors == {}
