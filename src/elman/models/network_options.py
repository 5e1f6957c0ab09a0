"""What a run trains: cell, layers, sizes, input and output layer."""

from dataclasses import dataclass, field
from typing import Any

from elman.models.option import option, told


@dataclass(frozen=True, kw_only=True)
class NetworkOptions:
    """Options of the group "Network": see `elman.models.options.TrainOptions`."""

    cell: str = option("lstm", "The recurrent cell (for a list: elman cells).")
    cell_options: dict[str, Any] = field(
        default_factory=dict,
        metadata=told("An option of the cell, zoneout=0.1 for example (for a list: elman cells CELL)."),
    )
    layer_options: dict[str, Any] = field(
        default_factory=dict,
        metadata=told("An option of the layers around the cell (for a list: docs/cells.md)."),
    )
    hidden: int = option(448, "Hidden units a layer and direction.", within="at least 1")
    layers: int = option(1, "Recurrent layers.", within="at least 1")
    embedding: int = option(128, "Size of a token's embedding.", within="at least 1")
    dropout: float = option(
        0.1, "Dropout after the embedding, between layers and after the last.", within="at least 0 and less than 1"
    )
    bidirectional: bool = option(True, "Read from both ends.")
    pooling: str = option(
        "max",
        "What of the outputs is read: the last states, their mean, maximum, or attention.",
        choices=("last", "mean", "max", "attention"),
    )
    frames: str = option(
        "conv",
        "The input layer: a convolution, of pictures or over time, or frames as they are.",
        choices=("conv", "flat"),
    )
    channels: int = option(
        32, "Channels of the first convolution of pictures; later ones have more.", within="at least 1"
    )
    differences: bool = option(False, "Read beside each frame how it differs from the one before.")
    character_embedding: int = option(32, "Size of a character's embedding.", within="at least 1")
    character_hidden: int = option(
        64, "Units, each direction, of the layer over a word's characters.", within="at least 1"
    )
    output: str = option(
        "crf",
        "The output layer: all tags of a sentence together (a conditional random field), or each by itself.",
        choices=("crf", "softmax"),
    )
    tie: bool = option(False, "Share the embedding with the output layer.")
    share: bool = option(True, "One embedding for source and target.")
    attention: str = option(
        "general",
        "How what was read is scored: by products (dot, general) or a layer (additive).",
        choices=("dot", "general", "additive"),
    )
    beam: int = option(5, "Beginnings that the search for a translation keeps; 1 is greedy.", within="at least 1")
    alpha: float = option(1.0, "How much longer translations are preferred; 0 for not at all.", within="0 or more")
    look_back: int = option(
        96,
        "Steps that a forecast looks back on; 0: whole series, of which each step forecasts the next.",
        within="0 or more",
    )
    horizon: int = option(24, "Steps to forecast.", within="at least 1")
    segment: int | None = option(
        None, "Steps that are one step of the cell. None: a quarter of the look-back.", within="at least 1"
    )
    joint: bool = option(False, "Forecast all columns together, each by all of them.")
    head: str = option(
        "direct",
        "How the horizon is forecast: all segments at once, or each from the one before it.",
        choices=("direct", "autoregressive"),
    )
    linear: bool = option(True, "Add to a direct forecast what a linear model makes of the window.")
    loss: str = option(
        "absolute",
        "What a forecast is, and its loss: a point (absolute or squared error), quantiles, a distribution of numbers (normal, "
        "student), of counts (poisson), of on and off (bernoulli).",
        choices=("absolute", "squared", "quantile", "normal", "student", "poisson", "bernoulli"),
    )
    quantiles: str = option("0.1,0.5,0.9", "Levels of the quantiles to forecast, with commas.")
    scaling: str = option(
        "auto",
        "How each window is scaled: by its last value, mean, mean and deviation, or not. auto: last; mean for counts; none "
        "for on and off, and for whole series.",
        choices=("auto", "last", "mean", "standard", "none"),
    )
