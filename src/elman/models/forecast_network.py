"""A recurrent network that forecasts: over segments of a window, or over whole series step by step.

    window           z' = (z - shift) / width                            of each window by itself, see `window_scale`
    input layer      e_k = relu(W [segment k of z' and covariates] + b)  segments of S steps, projected
    recurrent layers h_1 … h_n = cell(e_1 … e_n)
    direct head      h'_j = cell([position_j; channel], from h_n)        each segment of the horizon by itself, in parallel
    output layer     S values of D columns, `Output.size` numbers each, = V dropout(h'_j) + c
    linear path      of these the one that moves the forecast up or down, + A dropout(z'); with `linear`, of a direct head

This is SegRNN (Lin et al., arXiv 2308.11200): a long window is a few steps, and errors of one segment of the horizon don't go
on into the next. With the autoregressive head each segment that was forecast (its point) is read in turn to forecast the next,
in training as in use. With look_back = 0 whole series are read step by step, and each step forecasts the next one; it is then
given what the next one really was.

The linear path is what a linear model would forecast of a column (as DLinear, Zeng et al., arXiv 2205.13504, without its
averages): A is zero at first, so that it takes what the recurrent layers leave. In training windows may be made larger or
smaller, z' by 1/s and what is forecast by s, with s = e^(a n), n normal: a forecast should not hang on how strong a pattern is.

Where columns are forecast each by itself, an example is one column of a window, and the network knows it by an embedding. The
embedding of a channel that it doesn't know is the mean of the others.
"""

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.functional import pad

from elman.axes import Float, Int, Tensor
from elman.engines import Engine
from elman.errors import OptionError
from elman.layers import Dropout
from elman.models.forecast_outputs import output_of
from elman.models.stack import StackConfig

SCALINGS = ("last", "mean", "standard", "none")
_SMALL = 1e-5


@dataclass(frozen=True, kw_only=True)
class ForecastConfig(StackConfig):
    """Sizes and options: what `config.json` holds under "network".

    columns       D, values a step that are forecast together          channels     how many embeddings of channels
    past, known   how many covariates of each kind
    segment       steps that are one step of the cell                  quantiles    levels, for loss "quantile" and for answers
    """

    look_back: int
    horizon: int
    segment: int
    columns: int
    channels: int
    past: int
    known: int
    head: str = "direct"
    loss: str = "absolute"
    quantiles: list[float]
    scaling: str = "last"
    # Folders that are older don't have it, and have none.
    linear: bool = field(default_factory=bool)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.look_back < 0 or min(self.horizon, self.segment, self.columns) < 1:
            raise OptionError("look_back must be at least 0, horizon, segment and columns at least 1.")
        if self.embedding % 2:
            raise OptionError(
                f"--embedding {self.embedding} must be even: half of it tells the position, half the channel."
            )

    @property
    def head_in_words(self) -> str:
        if not self.look_back:
            return "each step forecasts the next"
        return f"{self.head}, {self.horizon} steps ahead, {self.segment} at a time"


class Batch(NamedTuple):
    """Windows as tensors, F = T + horizon: see `elman.data.windows.Windows`."""

    z_FBD: Float[Tensor, "F B D"]
    past_TBP: Float[Tensor, "T B P"]
    known_FBK: Float[Tensor, "F B K"]
    channels_B: Int[Tensor, "B"]


class ForecastNetwork(nn.Module):
    """`forecast` for windows, `follow` for whole series; both give the parameters of `output` for each value.

    Initialiser: recurrent layers as their cell says; embeddings of positions and channels N(0, 1); the rest as
    `torch.nn.Linear`, but the linear path, which is zero.
    """

    def __init__(self, config: ForecastConfig, engine: Engine | str = Engine.AUTO) -> None:
        super().__init__()
        self.config = config
        self.output = output_of(config.loss, config.quantiles)
        width, step = config.embedding, config.segment
        self.projection = nn.Linear(step * (config.columns + config.past + config.known), width)
        self.recurrent = config.recurrent_layers(width, engine)
        self.dropout = Dropout(config.dropout)
        self.values = nn.Linear(self.recurrent.output_size, step * config.columns * self.output.size)
        half = width // 2
        self.direct = bool(config.look_back) and config.head == "direct"
        if config.channels:
            self.channels = nn.Parameter(torch.randn(config.channels, half if self.direct else width))
        if self.direct:
            self.positions = nn.Parameter(
                torch.randn(math.ceil(config.horizon / step), half if config.channels else width)
            )
            if config.known:
                self.ahead = nn.Linear(step * config.known, width)
            if config.linear:
                self.linear = nn.Parameter(torch.zeros(config.horizon, config.look_back))

    @property
    def parameter_count(self) -> int:
        """Numbers that training adjusts."""
        return sum(parameter.numel() for parameter in self.parameters())

    @property
    def device(self) -> torch.device:
        return self.projection.weight.device

    def forecast(self, batch: Batch, amplitude: float = 0.0) -> Float[Tensor, "N B D Q"]:
        """The parameters of each value of the horizon (N steps), from the window before it, which may be a shorter one.

        In training windows that are scaled are made larger or smaller, by a factor e^n where n has the deviation `amplitude`.
        """
        config = self.config
        look_back, step = len(batch.past_TBP), config.segment
        z_TBD = batch.z_FBD[:look_back]
        shift_BD, width_BD = window_scale(z_TBD, config.scaling)
        if self.training and amplitude and config.scaling != "none":
            width_BD = width_BD * (amplitude * torch.randn_like(width_BD[:, :1])).exp()
        scaled_TBD = (z_TBD - shift_BD) / width_BD
        read_TBD = torch.cat([scaled_TBD, batch.past_TBP, batch.known_FBK[:look_back]], -1)
        e_NBD = self._projected(_segments(_whole_segments(read_TBD, step, front=True), step), batch.channels_B)
        h_NBH, state = self._run(e_NBD, None)
        known_NBK = _segments(_whole_segments(batch.known_FBK[look_back:], step, front=False), step)
        if self.direct:
            raw = self._direct(state, known_NBK, batch.channels_B)[: config.horizon]
            if config.linear:
                raw = self._with_linear(raw, scaled_TBD)
        else:
            raw = self._in_turn(h_NBH[-1:], state, known_NBK, batch.channels_B)
        shift, width = shift_BD[None, ..., None], width_BD[None, ..., None]
        return self.output.read(raw[: config.horizon], shift, width)

    def follow(self, batch: Batch, lengths_B: Int[Tensor, "B"]) -> Float[Tensor, "T B D Q"]:
        """The parameters of the value after each step, of whole series of these lengths."""
        read_TBD = torch.cat([batch.z_FBD[:-1], batch.past_TBP, batch.known_FBK[1:]], -1)
        e_TBD = self.dropout(self._projected(read_TBD, batch.channels_B))
        h_TBH, _ = self.recurrent(e_TBD, lengths=lengths_B)
        raw = self._values(h_TBH)
        return self.output.read(raw, raw.new_zeros(1), raw.new_ones(1))

    def _direct(
        self, state: tuple, known_NBK: Float[Tensor, "N B K"], channels_B: Int[Tensor, "B"]
    ) -> Float[Tensor, "T B D Q"]:
        """Every segment of the horizon is one step from the state after the window."""
        e_NMD = self.positions[:, None]
        kinds_B: Tensor | None = torch.zeros_like(channels_B)
        if self.config.channels:
            # Rows of a channel read the same, unless something is known ahead of each.
            channels_MD, kinds_B = self._channels(channels_B), None
            if not self.config.known and bool((channels_B >= 0).all()):
                channels_MD, kinds_B = self.channels, channels_B
            e_NMD = torch.cat([e_NMD.expand(-1, len(channels_MD), -1), channels_MD.expand(len(e_NMD), -1, -1)], -1)
        if self.config.known:
            e_NMD, kinds_B = e_NMD + self.ahead(known_NBK), None
        return self._values(self.recurrent.branch(e_NMD, state, kinds_B))

    def _with_linear(
        self, raw: Float[Tensor, "N B D Q"], scaled_TBD: Float[Tensor, "T B D"]
    ) -> Float[Tensor, "N B D Q"]:
        """A linear forecast added to the location of each value. Of a shorter window the last columns of A count."""
        weights_NT = self.linear[:, self.config.look_back - len(scaled_TBD) :]
        linear_NBD = (weights_NT @ self.dropout(scaled_TBD).flatten(1)).unflatten(1, scaled_TBD.shape[1:])
        at = self.output.location
        moved = raw[..., at : at + 1] + linear_NBD.unsqueeze(-1)
        return torch.cat([raw[..., :at], moved, raw[..., at + 1 :]], -1)

    def _in_turn(
        self,
        h_1BH: Float[Tensor, "1 B H"],
        state: tuple,
        known_NBK: Float[Tensor, "N B K"],
        channels_B: Int[Tensor, "B"],
    ) -> Float[Tensor, "T B D Q"]:
        """Each segment of the horizon is forecast from the one before it."""
        config = self.config
        found: list[Tensor] = []
        batch = len(channels_B)
        for known_BK in known_NBK:
            if found:
                point_SBD = self.output.point(self.output.read(found[-1], h_1BH.new_zeros(1), h_1BH.new_ones(1)))
                known_SBK = known_BK.reshape(batch, config.segment, config.known).transpose(0, 1)
                past_SBP = point_SBD.new_zeros(config.segment, batch, config.past)
                segment_1BD = _segments(torch.cat([point_SBD, past_SBP, known_SBK], -1), config.segment)
                h_1BH, state = self._run(self._projected(segment_1BD, channels_B), state)
            found.append(self._values(h_1BH))
        return torch.cat(found)

    def _run(self, x_NBD: Float[Tensor, "N B D"], state: tuple | None) -> tuple[Float[Tensor, "N B H"], Any]:
        h_NBH: Any
        h_NBH, after, _ = self.recurrent.run(x_NBD, state)
        return h_NBH, after

    def _projected(self, segments_NBD: Float[Tensor, "N B D"], channels_B: Int[Tensor, "B"]) -> Float[Tensor, "N B E"]:
        e_NBD = self.projection(segments_NBD)
        if self.config.channels and not self.direct:
            e_NBD = e_NBD + self._channels(channels_B)
        return torch.relu(e_NBD)

    def _values(self, h_NBH: Float[Tensor, "N B H"]) -> Float[Tensor, "T B D Q"]:
        config = self.config
        count, batch = h_NBH.shape[:2]
        raw = self.values(self.dropout(h_NBH)).reshape(count, batch, config.segment, config.columns, self.output.size)
        return raw.transpose(1, 2).reshape(count * config.segment, batch, config.columns, self.output.size)

    def _channels(self, channels_B: Int[Tensor, "B"]) -> Float[Tensor, "B E"]:
        known_BD = self.channels[channels_B.clamp(min=0)]
        return torch.where(channels_B[:, None] < 0, self.channels.mean(0), known_BD)


def window_scale(z_TBD: Float[Tensor, "T B D"], scaling: str) -> tuple[Float[Tensor, "B D"], Float[Tensor, "B D"]]:
    """Shift and width of each window: z' = (z - shift) / width.

    last       its last value, and 1
    mean       0, and the mean of |z|; of a window of zeros 1              (Salinas et al., arXiv 1704.04110)
    standard   its mean and deviation; of a constant window 1              (Kim et al., ICLR 2022)
    none       0 and 1
    """
    zero_BD, one_BD = torch.zeros_like(z_TBD[0]), torch.ones_like(z_TBD[0])
    if scaling == "last":
        return z_TBD[-1], one_BD
    if scaling == "mean":
        size_BD = z_TBD.abs().mean(0)
        return zero_BD, torch.where(size_BD > _SMALL, size_BD, one_BD)
    if scaling == "standard":
        deviation_BD = z_TBD.std(0, correction=0)
        return z_TBD.mean(0), torch.where(deviation_BD > _SMALL, deviation_BD, one_BD)
    return zero_BD, one_BD


def _whole_segments(x_TBD: Float[Tensor, "T B D"], step: int, front: bool) -> Float[Tensor, "N B D"]:
    """As many steps as make whole segments: zeros before the first, or behind the last."""
    more = -len(x_TBD) % step
    return pad(x_TBD, (0, 0, 0, 0, more, 0) if front else (0, 0, 0, 0, 0, more)) if more else x_TBD


def _segments(x_TBD: Float[Tensor, "T B D"], step: int) -> Float[Tensor, "N B E"]:
    """Each `step` steps as one, side by side."""
    steps, batch, width = x_TBD.shape
    return x_TBD.reshape(steps // step, step, batch, width).transpose(1, 2).reshape(steps // step, batch, step * width)
