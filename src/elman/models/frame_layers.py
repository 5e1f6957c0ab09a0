"""Input layers for sequences of frames: rows of features, or pictures.

    standardise      x ← (x - mean) / deviation, not beyond ±10       of each feature, or channel, over the training part
    differences      x_t ← [x_t; x_t - x_{t-1}]                       what moves, beside what is there
    stack            x_t ← [x_{tn}; …; x_{tn+n-1}]                    n frames are one step: fewer, richer steps
    features, conv   e_t = ReLU(LN(W * x_{t-k} … x_{t+k}))            over time; backwards alone, if the network is causal
    features, flat   e_t = x_t
    pictures, conv   a convolution 7 x 7 that quarters height and width, two of 3 x 3 that halve them, each with group norm and
                     ReLU; e_t = ReLU(LN(W x + b)) of all that comes out
    pictures, flat   e_t = ReLU(LN(W x_t)) of all pixels

No frame of the padding is looked at, nor does it change any other: what stands there is set to zero first, and pictures of
it aren't computed.
"""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.functional import pad

from elman.axes import Bool, Float, Int, Tensor
from elman.layers import Dropout
from elman.layers.frames import stack_frames

FRAME_LAYERS = ("conv", "flat")

# Standardised values go no further: a pixel that was nearly always black in training is no reason for a thousand.
_FURTHEST = 10.0
_KERNEL = 5
# Kernel and stride of the first convolution of pictures: a wide one, at a quarter of the height and width. Two of 3 x 3 in its
# place take two thirds longer and learn slower.
_FIRST = (7, 4)


class Standardise(nn.Module):
    """x (T, B, D, …) less the mean, over the deviation, both (D); not beyond ±10. A deviation of zero counts as one."""

    mean_D: Tensor
    scale_D: Tensor

    def __init__(self, mean: Sequence[float], deviation: Sequence[float]) -> None:
        super().__init__()
        scale_D = torch.tensor([1 / value if value > 0 else 1.0 for value in deviation])
        self.register_buffer("mean_D", torch.tensor(mean, dtype=scale_D.dtype), persistent=False)
        self.register_buffer("scale_D", scale_D, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        shape = (-1, *[1] * (x.dim() - 3))
        x = x.to(self.mean_D.dtype)
        return ((x - self.mean_D.view(shape)) * self.scale_D.view(shape)).clamp(-_FURTHEST, _FURTHEST)


class Frames(nn.Module):
    """Frames x (T, B, D) or pictures (T, B, C, height, width), and lengths (B), in; steps (T', B, E) and their lengths out.

    mean, deviation   of each feature or channel          picture   (height, width), or None for features
    size              E of a layer                        output_size   E of what comes out
    """

    def __init__(
        self,
        mean: Sequence[float],
        deviation: Sequence[float],
        *,
        layer: str = "conv",
        size: int = 128,
        picture: tuple[int, int] | None = None,
        channels: int = 32,
        stack: int = 1,
        differences: bool = False,
        causal: bool = False,
        dropout: float = 0.0,
        maps: bool = False,
    ) -> None:
        super().__init__()
        self.standardise = Standardise(mean, deviation)
        self.differences, self.stack = differences, stack
        self.picture = picture
        features = len(mean) * (1 + differences) * stack
        self.encode: nn.Module
        if picture is None:
            self.encode = FeatureConvolution(features, size, causal) if layer == "conv" else nn.Identity()
            self.output_size = size if layer == "conv" else features
        elif layer == "conv":
            self.encode = PictureConvolution(features, picture, channels, None if maps else size, dropout)
            self.output_size = self.encode.output_size
        else:
            height, width = picture
            flat = nn.Linear(features * height * width, size)
            self.encode = nn.Sequential(nn.Flatten(), flat, nn.LayerNorm(size), nn.ReLU())
            self.output_size = size

    def forward(self, x: Tensor, lengths_B: Int[Tensor, "B"]) -> tuple[Tensor, Int[Tensor, "B"]]:
        valid_TB = _valid(x, lengths_B)
        # Set, not multiplied: what stands in the padding may be NaN.
        x = self.standardise(x).masked_fill(~_over(valid_TB, x), 0)
        if self.differences:
            x = torch.cat([x, torch.diff(x, dim=0, prepend=x[:1]).masked_fill(~_over(valid_TB, x), 0)], dim=2)
        if self.stack > 1:
            pixels = x.shape[3:]
            x, lengths_B = stack_frames(x.flatten(2), lengths_B, self.stack)
            x, valid_TB = x.unflatten(2, (-1, *pixels)), _valid(x, lengths_B)
        if self.picture is None:
            e = self.encode(x)
            return e.masked_fill(~_over(valid_TB, e), 0), lengths_B
        if not valid_TB.any():
            return x.new_zeros(*x.shape[:2], *self.step_shape), lengths_B
        found = self.encode(x[valid_TB])
        e = found.new_zeros(*x.shape[:2], *found.shape[1:])
        e[valid_TB] = found
        return e, lengths_B

    @property
    def step_shape(self) -> tuple[int, ...]:
        """The shape of a step: (E), or (C, height, width) of a map."""
        return getattr(self.encode, "map_shape", None) or (self.output_size,)


class FeatureConvolution(nn.Module):
    """A convolution over time: x (T, B, D) in, e (T, B, E) out; T stays."""

    def __init__(self, features: int, size: int, causal: bool) -> None:
        super().__init__()
        self.weight = nn.Conv1d(features, size, _KERNEL)
        self.norm = nn.LayerNorm(size)
        self.around = (_KERNEL - 1, 0) if causal else (_KERNEL // 2, _KERNEL // 2)

    def forward(self, x_TBD: Float[Tensor, "T B D"]) -> Float[Tensor, "T B E"]:
        e_BET = self.weight(pad(x_TBD.permute(1, 2, 0), self.around))
        return self.norm(e_BET.permute(2, 0, 1)).relu()


class PictureConvolution(nn.Module):
    """Pictures (N, C, height, width) in, vectors (N, E) out, or maps (N, C', height / 8, width / 8) if `size` is None."""

    def __init__(
        self, channels_in: int, picture: tuple[int, int], channels: int, size: int | None, dropout: float = 0.0
    ) -> None:
        super().__init__()
        widths = [channels, 2 * channels, 2 * channels][: 2 if size is None else 3]
        layers: list[nn.Module] = []
        height, width = picture
        kernel, stride = _FIRST
        for width_in, width_out in zip([channels_in, *widths], widths, strict=False):
            layers += [
                nn.Conv2d(width_in, width_out, kernel, stride, kernel // 2),
                nn.GroupNorm(1, width_out),
                nn.ReLU(),
            ]
            height, width = -(-height // stride), -(-width // stride)
            kernel, stride = 3, 2
        self.layers = nn.Sequential(*layers)
        self.map_shape = (widths[-1], height, width) if size is None else None
        flat = widths[-1] * height * width
        self.output_size = flat if size is None else size
        # Without the norm ReLU units die: frames of a clip differ little from each other.
        self.project = None if size is None else nn.Sequential(nn.Linear(flat, size), nn.LayerNorm(size), nn.ReLU())
        self.dropout = Dropout(dropout)

    def forward(self, x: Float[Tensor, "N C height width"]) -> Tensor:
        # With channels last, convolutions on a processor are half as fast again.
        maps = self.layers(x.contiguous(memory_format=torch.channels_last))
        return maps if self.project is None else self.project(self.dropout(maps.flatten(1)))


def _valid(x: Tensor, lengths_B: Tensor) -> Bool[Tensor, "T B"]:
    return torch.arange(len(x), device=x.device)[:, None] < lengths_B


def _over(valid_TB: Tensor, x: Tensor) -> Tensor:
    """The mask with an axis of one for each further axis of x."""
    return valid_TB.view(*valid_TB.shape, *[1] * (x.dim() - 2))
