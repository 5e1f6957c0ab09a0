"""`elman.ConvLSTM`: layers of the convolutional LSTM, for sequences of frames."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from elman.cells import cell_options, check_size, map_state
from elman.cells.conv_lstm import ConvLSTMCell
from elman.errors import ShapeError
from elman.layers.recurrent import RecurrentLayers


class ConvLSTM(RecurrentLayers):
    """Convolutional LSTM on frames of one size, (height, width): see `elman.cells.conv_lstm`.

    Called on x (T, B, C_in, height, width), or (B, T, C_in, height, width) if `batch_first`, or (T, C_in, height, width),
    and an optional state (h, c), each (L·directions, B, C, height, width), gives (outputs, (h, c)): outputs lie as x, with
    C channels, or those of both directions. A call takes besides what `elman.LSTM` takes: `lengths`, `reset`,
    `return_all_states`.

    Options of the cell (`peepholes`, `coupled`, `zoneout`, ...) and of layers are given by name. Raises `ShapeError` for
    frames that don't fit and `OptionError` for options that don't.
    """

    def __init__(
        self,
        input_channels: int,
        channels: int,
        frame: tuple[int, int],
        kernel_size: int = 3,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        **options: Any,
    ) -> None:
        own = {name: options.pop(name) for name in cell_options(ConvLSTMCell) if name in options}
        cell = ConvLSTMCell.of_frames(channels, frame, kernel_size=kernel_size, bias=bias, **own)
        check_size("input_channels", input_channels)
        input_size = input_channels * cell.hidden_size // channels
        super().__init__(
            cell.for_input(input_size), input_size, num_layers, batch_first, dropout, bidirectional, **options
        )
        self.input_channels = input_channels
        self.channels = channels
        self.frame = frame
        self.kernel_size = kernel_size

    def initial_state(self, batch: int) -> Any:
        """The state before the first step: (h, c), each (L·directions, B, C, height, width)."""
        return tuple(map(self._frames, super().initial_state(batch)))

    def forward(  # type: ignore[override]
        self,
        input: Tensor,
        hx: Any = None,
        *,
        lengths: Tensor | Sequence[int] | None = None,
        reset: Tensor | None = None,
        return_all_states: bool = False,
        generator: torch.Generator | None = None,
    ) -> Any:
        state = None
        if hx is not None:
            if not isinstance(hx, (list, tuple)) or len(hx) != 2:
                raise ShapeError("the state of a ConvLSTM is a pair (h, c).")
            state = (self._rows("the state h", hx[0], self.channels), self._rows("the state c", hx[1], self.channels))
        x = self._rows("the input", input, self.input_channels)
        y, last, states = self.run(x, state, lengths, reset, return_all_states, generator)
        final = tuple(map(self._frames, last))
        if return_all_states:
            return self._frames(y), final, [map_state(self._frames, after) for after in states]
        return self._frames(y), final

    def _rows(self, what: str, frames: Any, channels: int) -> Tensor:
        if not isinstance(frames, Tensor):
            raise ShapeError(f"{what} is a {type(frames).__name__}: give a torch.Tensor.")
        if frames.dim() not in (4, 5) or tuple(frames.shape[-3:]) != (channels, *self.frame):
            raise ShapeError(
                f"{what} has shape {tuple(frames.shape)}: the last three axes must be {(channels, *self.frame)}, that is "
                "(channels, height, width), after two axes, or one for a single sequence."
            )
        return frames.flatten(-3)

    def _frames(self, rows: Any) -> Tensor:
        frames: Tensor = rows.unflatten(-1, (-1, *self.frame))
        return frames
