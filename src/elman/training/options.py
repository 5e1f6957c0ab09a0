"""The options of a training run: one frozen value. Flags, TOML keys, the run's `config.json` and `--help` derive from it."""

import math
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from elman.errors import OptionError, choices

BUDGETS = ("minutes", "epochs", "steps")


def _option(default: Any, help: str, *, choices: Iterable[str] = (), group: str = "Training") -> Any:
    return field(default=default, metadata=_told(help, choices, group))


def _told(help: str, choices: Iterable[str] = (), group: str = "Network") -> dict[str, Any]:
    return {"help": help, "choices": tuple(choices), "group": group}


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """How to train a language model. Raises `OptionError` for values that make no sense.

    `cell_options` and `layer_options` may be given as a mapping of values, or as texts NAME=VALUE; the mapping is kept.
    """

    valid: str | None = _option(
        None, "Validation text: a file or folder. Otherwise a part of DATA is held out.", group="Data"
    )
    valid_fraction: float = _option(0.1, "Part of DATA, at its end, held out for validation.", group="Data")
    test: str | None = _option(None, "Test text, scored once at the end: a file or folder.", group="Data")
    encoding: str = _option("utf-8", "Encoding of all texts.", group="Data")
    tokenizer: str = _option("char", "What a token is.", choices=("char", "byte", "word", "bpe"), group="Data")
    vocabulary: int | None = _option(None, "Most tokens to keep, for word (all words) and bpe (4096).", group="Data")

    cell: str = _option("lstm", "The recurrent cell (for a list: elman cells).", group="Network")
    cell_options: dict[str, Any] = field(
        default_factory=dict,
        metadata=_told("An option of the cell, zoneout=0.1 for example (for a list: elman cells CELL)."),
    )
    layer_options: dict[str, Any] = field(
        default_factory=dict,
        metadata=_told("An option of the layers around the cell (for a list: docs/cells.md)."),
    )
    hidden: int = _option(448, "Hidden units a layer.", group="Network")
    layers: int = _option(1, "Recurrent layers.", group="Network")
    embedding: int = _option(128, "Size of a token's embedding.", group="Network")
    dropout: float = _option(0.1, "Dropout after the embedding, between layers and after the last.", group="Network")
    tie: bool = _option(False, "Share the embedding with the output layer.", group="Network")

    minutes: float | None = _option(None, "Train for so many minutes (10 if no budget is given).")
    epochs: float | None = _option(None, "Train for so many passes over the text.")
    steps: int | None = _option(None, "Train for so many updates.")
    batch: int = _option(32, "Streams that are read side by side.")
    bptt: int = _option(64, "Steps of a window: how far gradients go back. State is carried further.")
    lr: float = _option(3e-3, "Highest learning rate; warm-up before it, cosine after it.")
    warmup: int = _option(100, "Updates of warm-up.")
    clip: float = _option(1.0, "Largest norm of the gradient; 0 for no clipping.")
    weight_decay: float = _option(0.1, "AdamW's weight decay, on matrices only.")
    validations: int = _option(12, "How often to validate over the whole budget.")
    patience: int = _option(4, "Stop after so many validations without a better one; 0 for never.")
    seed: int = _option(0, "Seed of initial weights and dropout.")
    device: str = _option("auto", "Where to run.", choices=("auto", "cpu", "cuda", "mps"))
    engine: str = _option("auto", "What runs the cells.", choices=("auto", "native", "torch", "reference"))
    precision: str = _option("fp32", "Precision of products.", choices=("fp32", "bf16"))

    def __post_init__(self) -> None:
        for option in fields(self):
            self._check_kind(option.name, getattr(self, option.name), option.metadata["choices"])
        for name in ("hidden", "layers", "embedding", "batch", "bptt", "validations"):
            self._check(name, getattr(self, name) >= 1, "must be at least 1")
        self._check("seed", 0 <= self.seed < 2**63, "must be a whole number from 0 to 2⁶³ - 1")
        for name in ("warmup", "clip", "weight_decay", "patience"):
            self._check(name, getattr(self, name) >= 0, "must be 0 or more")
        for name in (*BUDGETS, "lr"):
            self._check(name, getattr(self, name) is None or getattr(self, name) > 0, "must be more than 0")
        self._check("dropout", 0 <= self.dropout < 1, "must be at least 0 and less than 1")
        self._check("valid_fraction", 0 < self.valid_fraction < 1, "must lie between 0 and 1")
        self._check("vocabulary", self.vocabulary is None or self.vocabulary >= 1, "must be at least 1")
        for name in ("valid", "test"):
            self._check(name, getattr(self, name) != "-", "can't be standard input, which is for DATA: name a file")
        given = [name for name in BUDGETS if getattr(self, name) is not None]
        if len(given) > 1:
            raise OptionError(f"{flag(given[0])} and {flag(given[1])} are both budgets: give one of them.")
        self._check_network()

    def _check_network(self) -> None:
        """The cell by the names that there are, and its options and those of the layers by their kinds."""
        # They import torch, which a help page does without.
        from elman.cells import CELLS, cell_named, read_cell_options  # noqa: PLC0415
        from elman.layers import read_layer_options  # noqa: PLC0415

        self._check("cell", self.cell in CELLS, f"is not known: {choices(self.cell, *CELLS).rstrip('.')}")
        readers = {
            "cell_options": lambda given: read_cell_options(self.cell, given),
            "layer_options": read_layer_options,
        }
        for name, read in readers.items():
            try:
                object.__setattr__(self, name, read(getattr(self, name)))
            except OptionError as error:
                raise OptionError(f"{flag(name)} {error}") from error
        cell_named(self.cell, self.hidden, **self.cell_options)

    def _check_kind(self, name: str, value: Any, choices: tuple[str, ...]) -> None:
        kind, optional = kind_of(name)
        if value is None and optional:
            return
        fits = type(value) is kind or (kind is float and type(value) is int)
        if kind is dict:
            # The names of a table, or the texts of a list.
            fits = isinstance(value, (dict, list, tuple)) and all(isinstance(part, str) for part in value)
        self._check(name, fits, f"must be {_KIND_NAMES[kind]}")
        if kind is float:
            self._check(name, math.isfinite(value), "must be a finite number")
        if choices:
            self._check(name, value in choices, f"is not known: choose from {', '.join(choices)}")

    def _check(self, name: str, fine: bool, what: str) -> None:
        if not fine:
            raise OptionError(f"{flag(name)} {getattr(self, name)!r} {what}.")

    @property
    def budget(self) -> tuple[str, float]:
        """What the run's length is counted in, and how much of it there is."""
        for name in BUDGETS:
            if getattr(self, name) is not None:
                return name, getattr(self, name)
        return "minutes", 10.0

    def changed(self, **values: Any) -> "TrainOptions":
        """These options with some values changed; a new budget replaces the old one, None leaves it."""
        return TrainOptions(**with_one_budget(self.to_dict(), values))

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def with_one_budget(values: Mapping[str, Any], newer: Mapping[str, Any]) -> dict[str, Any]:
    """`values` overruled by `newer`; a budget in `newer` (None is none) takes the place of any in `values`."""
    newer = {name: value for name, value in newer.items() if not (name in BUDGETS and value is None)}
    overruled = BUDGETS if any(name in BUDGETS for name in newer) else ()
    return {**{name: value for name, value in values.items() if name not in overruled}, **newer}


_KIND_NAMES = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    bool: "true or false",
    dict: "a table of options or a list of NAME=VALUE",
}


def flag(name: str) -> str:
    """The command line's name of an option; of a table's options each is given by itself."""
    one = name.removesuffix("s") if kind_of(name)[0] is dict else name
    return "--" + one.replace("_", "-")


def kind_of(name: str) -> tuple[type, bool]:
    """The type of an option's value, and whether it may be None."""
    hint = get_type_hints(TrainOptions)[name]
    if get_origin(hint) is UnionType:
        return next(part for part in get_args(hint) if part is not NoneType), True
    return get_origin(hint) or hint, False


def option_names() -> tuple[str, ...]:
    return tuple(option.name for option in fields(TrainOptions))


def check_names(names: Iterable[str], where: str, also: Iterable[str] = ()) -> None:
    """Raise `OptionError` if one of `names` is no option, and say which it may have been."""
    known = sorted([*option_names(), *also])
    for name in names:
        if name not in known:
            raise OptionError(f"{where} has the key {name!r}, which is not known: {choices(name, *known)}")


def read_toml(path: Path, also: Iterable[str] = ()) -> dict[str, Any]:
    """The keys of a TOML file, hyphens as underscores. Raises `OptionError` for a bad file or unknown keys."""
    try:
        content: Mapping[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise OptionError(f"the configuration {path} can't be read: {error.strerror}.") from error
    except ValueError as error:
        raise OptionError(f"the configuration {path} is not valid TOML: {error}.") from error
    values = {key.replace("-", "_"): value for key, value in content.items()}
    check_names(values, str(path), also)
    return values
