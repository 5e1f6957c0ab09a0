"""The convolutional LSTM: an LSTM over frames, whose products are convolutions.

    i_t, f_t, o_t = σ(W * X_t + b_ih + U * H_{t-1} + b_hh)      each with channels of its own, * a convolution
    G_t = tanh(W * X_t + b_ih + U * H_{t-1} + b_hh)
    C_t = f_t ⊙ C_{t-1} + i_t ⊙ G_t
    H_t = o_t ⊙ tanh(C_t)

Frames keep their size: zeros stand around them, and kernels are odd. With `peepholes`, p_i ⊙ C_{t-1}, p_f ⊙ C_{t-1} and
p_o ⊙ C_t are added inside the gates, with a weight for each unit; with `coupled` gates i_t = 1 - f_t:
`elman.cells.lstm`, of which this is a kind.

To a layer a frame is a row of numbers, channel by channel and in it line by line: inputs (B, D) with D =
C_in·height·width, states (B, H) with H = C·height·width. `elman.ConvLSTM` takes frames as frames. A program has no
convolution, so the reference engine runs this cell.

Source: X. Shi et al., "Convolutional LSTM network", arXiv 1506.04214, equation 3. Its peepholes are an option here, off
by default as in most implementations; the second bias is that of torch's layers.

Weights (gate order i f g o, or f g o if coupled; k×k kernels):

    weight_ih (4C, C_in, k, k)     weight_hh (4C, C, k, k)     bias_ih (4C)     bias_hh (4C)
    weight_ph (3H), if there are peepholes: p_i p_f p_o; (2H) if coupled: p_f p_o

Initialiser: uniform as `torch.nn.Conv2d`, weights and biases in ±1/√(C_in·k·k); for U and p, C stands for C_in.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch.nn.functional import conv2d

from elman.axes import Float, Tensor
from elman.cells.cell import Weights
from elman.cells.checks import check_size
from elman.cells.lstm import LSTMCell
from elman.cells.operations import split_rows
from elman.errors import OptionError


@dataclass(frozen=True)
class ConvLSTMCell(LSTMCell):
    """One step of the convolutional LSTM; `frame` is (height, width), and `hidden_size` channels times height times width.

    Raises `OptionError` for sizes that don't make whole frames, for an even kernel, and for a projection.
    """

    frame: tuple[int, int] = (1, 1)
    kernel_size: int = 3

    name: ClassVar[str] = "conv_lstm"
    title: ClassVar[str] = "Convolutional LSTM"
    citation: ClassVar[str] = "Shi et al. 2015, arXiv 1506.04214"
    reads_input: ClassVar[bool] = True
    inner_options: ClassVar[frozenset[str]] = frozenset({"variational_dropout", "recurrent_dropout"})

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.projection_size:
            raise OptionError(
                f"proj_size={self.projection_size}: a convolutional LSTM has no projection. Leave it out."
            )
        _area(self.frame)
        check_size("kernel_size", self.kernel_size)
        if self.kernel_size % 2 == 0:
            raise OptionError(f"kernel_size={self.kernel_size} must be odd, so that frames keep their size.")
        self._channels("hidden_size", self.hidden_size)
        if self.input_size:
            self._channels("input_size", self.input_size)

    @classmethod
    def of_frames(cls, channels: int, frame: tuple[int, int], **options: Any) -> "ConvLSTMCell":
        """The cell with so many channels on frames (height, width)."""
        check_size("channels", channels)
        return cls(channels * _area(frame), frame=frame, **options)

    @property
    def channels(self) -> int:
        """Channels of the hidden state's frames."""
        return self._channels("hidden_size", self.hidden_size)

    def weight_shapes(self, input_size: int) -> dict[str, tuple[int, ...]]:
        shapes = super().weight_shapes(input_size)
        rows = len(self.gate_names) * self.channels
        kernel = (self.kernel_size, self.kernel_size)
        shapes["weight_ih"] = (rows, input_size // _area(self.frame), *kernel)
        shapes["weight_hh"] = (rows, self.channels, *kernel)
        return shapes | {name: (rows,) for name in ("bias_ih", "bias_hh") if name in shapes}

    def initialise(self, weights: Weights) -> None:
        for name, weight in weights.items():
            kernel = weights["weight_ih" if name.endswith("_ih") else "weight_hh"][0]
            torch.nn.init.uniform_(weight, -(kernel.numel() ** -0.5), kernel.numel() ** -0.5)

    def project(self, weights: Weights, x: Float[Tensor, "*steps D"]) -> Float[Tensor, "*steps G"]:
        """W * X_t + b_ih."""
        return self._convolve(x, weights["weight_ih"], weights.get("bias_ih"))

    def recur(self, weights: Weights, h_BH: Float[Tensor, "B H"], part: int = 0, parts: int = 1) -> Tensor:
        """U * H + b_hh."""
        kernels = split_rows(weights["weight_hh"], parts)[part]
        bias = split_rows(weights["bias_hh"], parts)[part] if "bias_hh" in weights else None
        if "mask_h" in weights:
            h_BH = h_BH * weights["mask_h"]
        return self._convolve(h_BH, kernels, bias)

    def _convolve(self, rows: Tensor, kernels: Tensor, bias: Tensor | None) -> Tensor:
        frames = rows.reshape(-1, kernels.shape[1], *self.frame)
        return conv2d(frames, kernels, bias, padding="same").reshape(*rows.shape[:-1], -1)

    def _channels(self, name: str, size: int) -> int:
        channels, rest = divmod(size, _area(self.frame))
        if rest or not channels:
            height, width = self.frame
            raise OptionError(
                f"{name}={size} must be a number of channels times the frame's {height} x {width} units, such as "
                f"{height * width}."
            )
        return channels


def _area(frame: Any) -> int:
    """Units of one channel. Raises `OptionError` if this is no frame."""
    if not isinstance(frame, tuple) or len(frame) != 2:
        raise OptionError(f"frame={frame!r} must be a pair (height, width).")
    for name, size in zip(("height", "width"), frame, strict=True):
        check_size(name, size)
    return int(frame[0] * frame[1])
