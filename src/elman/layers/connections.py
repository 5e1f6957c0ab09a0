"""How a layer's output y joins what the layer was given, x, on the way to the next layer. D is the size of x, H that of y.

    plain      y' = y
    residual   y' = y + x                          He et al., arXiv 1512.03385
    highway    y' = t ⊙ y + (1 - t) ⊙ x            Srivastava et al., arXiv 1505.00387
               t  = σ(W_t x + b_t)
    dense      y' = y; a layer reads x side by side with the outputs of all layers before it, in order, and the last layer's
               output is the output                Huang et al., arXiv 1608.06993

Where D isn't H, residual and highway take S x in place of x, S a matrix without bias. x is what the layer before gave: dropout
acts on what the layer reads, not on the way past it. The first layer's x is the input.

Highway is along depth, with t from x alone, and 1 - t for the carry. The highway LSTM of Zhang et al., arXiv 1510.08983, joins
the cell states of neighbouring layers instead.

    weight_skip_l{k}   S    (H, D), where D isn't H        uniform in ±1/√D
    weight_carry_l{k}  W_t  (H, D)                         uniform in ±1/√D
    bias_carry_l{k}    b_t  (H)                            -1, so that at first a layer passes on more than it changes
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

CONNECTIONS = ("plain", "residual", "highway", "dense")


def connection_shapes(connections: str, input_size: int, output_size: int) -> dict[str, tuple[int, ...]]:
    """Name and shape of each parameter that a layer's connection has."""
    shapes: dict[str, tuple[int, ...]] = {}
    if connections in {"residual", "highway"} and input_size != output_size:
        shapes["weight_skip"] = (output_size, input_size)
    if connections == "highway":
        shapes |= {"weight_carry": (output_size, input_size), "bias_carry": (output_size,)}
    return shapes


def initialise_connection(weights: Mapping[str, Tensor]) -> None:
    """Fill the parameters of a connection."""
    for name, weight in weights.items():
        if name == "bias_carry":
            nn.init.constant_(weight, -1.0)
        else:
            bound = weight.shape[1] ** -0.5
            nn.init.uniform_(weight, -bound, bound)


def connect(connections: str, weights: Mapping[str, Tensor], x_TBD: Tensor, y_TBH: Tensor) -> Tensor:
    """y' (T, B, H): what goes to the next layer."""
    if connections in {"plain", "dense"}:
        return y_TBH
    past_TBH = linear(x_TBD, weights["weight_skip"]) if "weight_skip" in weights else x_TBD
    if connections == "residual":
        return y_TBH + past_TBH
    t_TBH = torch.sigmoid(linear(x_TBD, weights["weight_carry"], weights["bias_carry"]))
    return t_TBH * y_TBH + (1 - t_TBH) * past_TBH
