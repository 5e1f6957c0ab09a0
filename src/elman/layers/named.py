"""The options of recurrent layers that a model may be given by name, beside those of its cell."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, get_type_hints

from elman.cells import Option, read_options
from elman.layers.recurrent import RecurrentLayers

# Those that leave a network causal and that no other option of a model decides, such as its device.
_NAMES = (
    "connections",
    "weight_drop",
    "locked_dropout",
    "init",
    "forget_bias",
    "chrono",
    "learn_initial_state",
    "recompute",
)


def layer_options() -> dict[str, Option]:
    """The options by name, of the kinds and with the defaults that the layers' own arguments have."""
    hints, parameters = get_type_hints(RecurrentLayers.__init__), inspect.signature(RecurrentLayers.__init__).parameters
    return {name: Option(name, hints[name], parameters[name].default) for name in _NAMES}


def read_layer_options(given: Mapping[str, Any] | Sequence[str]) -> dict[str, Any]:
    """Options of the layers, from values or from texts NAME=VALUE: see `elman.cells.options`.

    Raises `OptionError` for one that isn't known, and for a value of another kind than the option's.
    """
    return read_options("the layers", layer_options(), given)
