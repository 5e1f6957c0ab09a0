"""A running mean of the weights: what is validated and kept is less at the mercy of the last batches than the weights are.

    m_t = d_t m_{t-1} + (1 - d_t) w_t,        d_t = min(d, (1 + t) / (10 + t))

so that the first weights, which nobody wants, are soon forgotten (Polyak and Juditsky, SIAM J. Control Optim. 30, 1992; the
rising decay as in TensorFlow's ExponentialMovingAverage).
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """The mean m of a network's parameters, under their names; `decay` 0 keeps none, and the weights are taken as they are."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self._network = network
        self._decay = decay
        self.tensors: dict[str, Tensor] = {}
        if decay:
            self.tensors = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after update number `step`, counted from 1."""
        if self.tensors:
            decay = min(self._decay, (1 + step) / (10 + step))
            means = list(self.tensors.values())
            torch._foreach_lerp_(means, [p.detach() for p in self._network.parameters()], 1 - decay)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The network has the mean for its weights, and its own again afterwards."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for name, parameter in self._network.named_parameters() if self.tensors else ():
            own = parameter.detach().clone()
            parameter.copy_(self.tensors[name])
            self.tensors[name].copy_(own)
