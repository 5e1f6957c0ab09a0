"""The tutorial's network as a whole: input layer → recurrent layers → output layer.

    h_t = f(W x_t + U h_{t-1} + b)      cell "elman"; for "lstm" and "gru" see their files in `elman.cells`
    y_t = V h_t + c

`model.recurrent` holds W = `weight_ih_l0`, U = `weight_hh_l0`, and b as the sum `bias_ih_l0 + bias_hh_l0`;
`model.output` holds V = `weight` and c = `bias`.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn

from elman.layers import layers_of


class SequenceOutput(NamedTuple):
    """What a sequence gives: y and h of every step, and the state after the last.

    y      (T, B, V) or (T, V): outputs
    h      (T, B, H) or (T, H): hidden states of the top recurrent layer, those that y is made from
    state  what to pass in to go on: a tensor (L, B, H), for the LSTM a pair (h, c) of them; no B axis if x had none
    """

    y: Tensor
    h: Tensor
    state: Any


class SequenceModel(nn.Module):
    """Called on x (T, B, D) or (T, D) and an optional state (zero if left out), gives a `SequenceOutput`.

    cell      the name of any cell that `elman.cells` has: "elman", "lstm", "gru", …
    options   any keyword of the recurrent layers or of the cell (see `elman.layers.rnn`): `num_layers`, `bias`, `dropout`,
              `engine`, `device`, `dtype`; for "elman" `nonlinearity="tanh" | "relu"`, for "lstm" `proj_size`; …

    Raises `OptionError` for a cell or a size that makes no sense, `ShapeError` when called on x of another shape.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int | Sequence[int],
        output_size: int,
        cell: str = "elman",
        **options: Any,
    ) -> None:
        super().__init__()
        self.recurrent = layers_of(cell, input_size, hidden_size, **options)
        placing = {key: options[key] for key in ("device", "dtype") if key in options}
        self.output = nn.Linear(self.recurrent.output_size, output_size, **placing)

    def forward(
        self,
        x: Tensor,
        state: Any = None,
        *,
        lengths: Tensor | Sequence[int] | None = None,
        reset: Tensor | None = None,
    ) -> SequenceOutput:
        h, last = self.recurrent(x, state, lengths=lengths, reset=reset)
        return SequenceOutput(self.output(h), h, last)
