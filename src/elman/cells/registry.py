"""Every cell by its name, and a cell from a name and options: what `--cell` and `elman cells` go by."""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from typing import Any, get_type_hints

from elman.cells.antisymmetric import AntisymmetricCell, GatedAntisymmetricCell
from elman.cells.atr import ATRCell
from elman.cells.bistable import BRCCell, NBRCCell
from elman.cells.cell import ALL_INNER_OPTIONS, Cell
from elman.cells.cfn import CFNCell
from elman.cells.conv_lstm import ConvLSTMCell
from elman.cells.delayed import TauGRUCell
from elman.cells.elman import ElmanCell
from elman.cells.fast import FastGRNNCell, FastRNNCell
from elman.cells.gated_deltanet import GatedDeltaNetCell
from elman.cells.gru import GRUCell
from elman.cells.hgrn import HGRNCell
from elman.cells.independent import IndRNNCell
from elman.cells.intersection import IntersectionRNNCell
from elman.cells.irnn import IRNNCell
from elman.cells.janet import JANETCell
from elman.cells.jordan import JordanCell
from elman.cells.lem import LEMCell
from elman.cells.light import LightRUCell, LiGRUCell
from elman.cells.lru import LRUCell
from elman.cells.lstm import LSTMCell
from elman.cells.lstm_variants import (
    MCLSTMCell,
    MultiplicativeLSTMCell,
    OriginalLSTMCell,
    PeepholeLSTMCell,
    ResLSTMCell,
    WMCLSTMCell,
)
from elman.cells.mamba2 import Mamba2Cell
from elman.cells.mgu import MGUCell, MiRU1Cell, MiRU2Cell
from elman.cells.mingru import MinGRUCell, MinLSTMCell
from elman.cells.minimal import MinimalRNNCell
from elman.cells.mlstm import MLSTMCell
from elman.cells.mogrifier import MogrifierLSTMCell
from elman.cells.mut import MUT1Cell, MUT2Cell, MUT3Cell
from elman.cells.nas import NASCell
from elman.cells.options import Option, read_options
from elman.cells.oscillators import CoRNNCell, UnICORNNCell
from elman.cells.qrnn import QRNNCell
from elman.cells.ran import RANCell
from elman.cells.rglru import RGLRUCell
from elman.cells.scrn import SCRNCell
from elman.cells.sgrn import SGRNCell
from elman.cells.sgu import DSGUCell, SGUCell
from elman.cells.slstm import SLSTMCell
from elman.cells.sru import SRUCell
from elman.cells.star import STARCell
from elman.cells.typed import TGRUCell, TLSTMCell, TRNNCell
from elman.cells.ugrnn import UGRNNCell
from elman.errors import OptionError, choices

_KINDS: tuple[type[Cell], ...] = (
    ElmanCell,
    IRNNCell,
    JordanCell,
    LSTMCell,
    OriginalLSTMCell,
    PeepholeLSTMCell,
    MultiplicativeLSTMCell,
    MCLSTMCell,
    WMCLSTMCell,
    ResLSTMCell,
    MogrifierLSTMCell,
    SLSTMCell,
    MLSTMCell,
    GatedDeltaNetCell,
    Mamba2Cell,
    NASCell,
    ConvLSTMCell,
    GRUCell,
    MGUCell,
    MiRU1Cell,
    MiRU2Cell,
    MUT1Cell,
    MUT2Cell,
    MUT3Cell,
    LiGRUCell,
    LightRUCell,
    TauGRUCell,
    JANETCell,
    MinimalRNNCell,
    UGRNNCell,
    IntersectionRNNCell,
    RANCell,
    ATRCell,
    CFNCell,
    STARCell,
    SGRNCell,
    SGUCell,
    DSGUCell,
    SCRNCell,
    TRNNCell,
    TGRUCell,
    TLSTMCell,
    IndRNNCell,
    BRCCell,
    NBRCCell,
    AntisymmetricCell,
    GatedAntisymmetricCell,
    CoRNNCell,
    UnICORNNCell,
    LEMCell,
    FastRNNCell,
    FastGRNNCell,
    # Linear in their states, or element by element.
    MinGRUCell,
    MinLSTMCell,
    QRNNCell,
    SRUCell,
    HGRNCell,
    LRUCell,
    RGLRUCell,
)
CELLS: dict[str, type[Cell]] = {kind.name: kind for kind in _KINDS}


def cell_kind(name: str) -> type[Cell]:
    """The class of the cell called `name`. Raises `OptionError`, with the names there are, if it isn't known."""
    if name not in CELLS:
        raise OptionError(f"cell={name!r} is not known: {choices(name, *CELLS)}")
    return CELLS[name]


def cell_named(name: str, hidden_size: int, **options: Any) -> Cell:
    """The cell called `name` with `hidden_size` units.

    Raises `OptionError`, with what there is, for a name or an option that isn't known, and for values that make no sense.
    """
    return cell_kind(name)(hidden_size, **read_cell_options(name, options))


def cell_options(kind: type[Cell]) -> dict[str, Option]:
    """The options of a cell by name; less those inside a step that it has no place for."""
    hints = get_type_hints(kind)
    absent = {"hidden_size", "input_size"} | (ALL_INNER_OPTIONS - kind.inner_options)
    return {
        field.name: Option(
            field.name,
            hints[field.name],
            field.default if field.default_factory is MISSING else field.default_factory(),
        )
        for field in fields(kind)
        if field.init and field.name not in absent
    }


def read_cell_options(name: str, given: Mapping[str, Any] | Sequence[str]) -> dict[str, Any]:
    """Options of the cell called `name`, from values or from texts NAME=VALUE: see `elman.cells.options`.

    Raises `OptionError` for a cell or an option that isn't known, and for a value of another kind than the option's.
    """
    return read_options(f"the cell {name!r}", cell_options(cell_kind(name)), given)
