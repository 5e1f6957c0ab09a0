r"""From an encoder that reads both ways to a decoder that writes one way: the state that the decoder starts from.

    s⁰ = g ⊙ s→ + (1 - g) ⊙ s←,   g = sigmoid(w)

for each state s of the cell and each layer: s→ is the forward direction's state after the last step, s← the backward
direction's after the first, and w is learnt, a number for each unit of the state. A mean of two states is a state, whatever
the cell keeps in it: what is bounded stays bounded, what counts stays positive, and a state that is a matrix costs no more
than itself. A matrix between (Bahdanau et al., arXiv 1409.0473) would give none of that.
"""

import torch
from torch import nn

from elman.axes import Tensor
from elman.cells import Cell

# One tensor (L, B, size) for each state of the cell.
States = tuple[Tensor, ...]


class Bridge(nn.Module):
    """Called on the final states of an encoder, (2·L, B, size) each, gives those to start a decoder of L layers: (L, B, size).

    Encoder and decoder are of the same cell, size and number of layers; layer l starts from layer l. Initialiser: w = 0.
    """

    def __init__(self, cell: Cell, layers: int) -> None:
        super().__init__()
        self._states = cell.state_type._fields
        for name, size in zip(self._states, cell.state_sizes, strict=True):
            self.register_parameter(f"weight_{name}", nn.Parameter(torch.zeros(layers, size)))

    def forward(self, final: States) -> States:
        states = []
        for name, both_LBH in zip(self._states, final, strict=True):
            share_L1H = getattr(self, f"weight_{name}").sigmoid().unsqueeze(1)
            states.append(share_L1H * both_LBH[0::2] + (1 - share_L1H) * both_LBH[1::2])
        return tuple(states)
