"""The recurrent layers in the middle of every model: which cell, how many, how wide, with which options."""

from dataclasses import dataclass, field
from typing import Any

from elman.cells import as_text, read_cell_options
from elman.engines import Engine
from elman.layers import RecurrentLayers, layers_of, read_layer_options


@dataclass(frozen=True, kw_only=True)
class StackConfig:
    """Sizes and options that all models have.

    `cell_options` are those of the cell, `layer_options` those of the layers around it: a value each by name. Raises
    `OptionError` for a cell, an option or a value that isn't known.
    """

    cell: str = "lstm"
    hidden: int = 448
    layers: int = 1
    embedding: int = 128
    dropout: float = 0.0
    cell_options: dict[str, Any] = field(default_factory=dict)
    layer_options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "cell_options", read_cell_options(self.cell, self.cell_options))
        object.__setattr__(self, "layer_options", read_layer_options(self.layer_options))

    @property
    def recurrent_in_words(self) -> str:
        """The recurrent layers in a few words: how many of which cell and size, and with which options."""
        options = [f"{name}={as_text(value)}" for name, value in {**self.cell_options, **self.layer_options}.items()]
        return f"{self.layers} x {self.cell} of {self.hidden}" + (f" with {', '.join(options)}" if options else "")

    def recurrent_layers(self, input_size: int, engine: Engine | str, bidirectional: bool = False) -> RecurrentLayers:
        """The layers; dropout acts between them."""
        layers: RecurrentLayers = layers_of(
            self.cell,
            input_size,
            self.hidden,
            num_layers=self.layers,
            dropout=self.dropout if self.layers > 1 else 0.0,
            bidirectional=bidirectional,
            engine=engine,
            **self.cell_options,
            **self.layer_options,
        )
        return layers
