"""The IRNN: an Elman network of rectified linear units whose recurrent matrix starts as the identity.

    h_t = f(W x_t + b_ih + U h_{t-1} + b_hh)        f is ReLU, or another activation
    y_t = h_t

Source: Q. V. Le, N. Jaitly and G. E. Hinton, "A simple way to initialize recurrent networks of rectified linear units",
arXiv 1504.00941 (2015). The paper has one bias; two are kept, as in `ElmanCell`, whose step and weights these are.

Initialiser, the paper's: U the identity, W normal with deviation 0.001, biases 0.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch

from elman.cells.cell import Weights
from elman.cells.elman import ElmanCell


@dataclass(frozen=True)
class IRNNCell(ElmanCell):
    """h_t = f(u_t + U h_{t-1} + b_hh), U at first the identity. Raises `OptionError` for an f that isn't known."""

    nonlinearity: str = "relu"

    name: ClassVar[str] = "irnn"
    title: ClassVar[str] = "Identity RNN"
    citation: ClassVar[str] = "Le et al. 2015, arXiv 1504.00941"

    def initialise(self, weights: Weights) -> None:
        super().initialise(weights)
        torch.nn.init.normal_(weights["weight_ih"], 0, 0.001)
        torch.nn.init.eye_(weights["weight_hh"])
        for name in ("bias_ih", "bias_hh"):
            if name in weights:
                torch.nn.init.zeros_(weights[name])
