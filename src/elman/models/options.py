"""The options of a training run: one frozen value. Flags, TOML keys, the run's `config.json` and `--help` derive from it."""

import math
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from elman.errors import OptionError, choices
from elman.models.tasks import AUTO, TASKS, task_named, tasks_with

BUDGETS = ("minutes", "epochs", "steps")


def _option(default: Any, help: str, *, choices: Iterable[str] = (), group: str = "Training") -> Any:
    return field(default=default, metadata=_told(help, choices, group))


def _told(help: str, choices: Iterable[str] = (), group: str = "Network") -> dict[str, Any]:
    return {"help": help, "choices": tuple(choices), "group": group}


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """How to train a network. Raises `OptionError` for values that make no sense.

    `cell_options` and `layer_options` may be given as a mapping of values, or as texts NAME=VALUE; the mapping is kept.
    `valid` and `test` may be one path or several. The defaults are those of most tasks; `elman.models.tasks` has where a task
    differs, and `elman.train` and the command line fill them in.
    """

    task: str = _option(
        AUTO,
        "What to learn; auto looks at the data and says what it took it for.",
        choices=(AUTO, *TASKS),
        group="Data",
    )
    valid: str | list[str] | tuple[str, ...] | None = _option(  # noqa: RUF009
        None, "Validation data: whatever DATA may be. Otherwise a part of DATA is held out.", group="Data"
    )
    valid_fraction: float = _option(
        0.1, "Part of DATA held out for validation: of running text its end, of examples a seeded part.", group="Data"
    )
    test: str | list[str] | tuple[str, ...] | None = _option(  # noqa: RUF009
        None, "Test data, scored once at the end: whatever DATA may be.", group="Data"
    )
    test_fraction: float = _option(0.0, "Part of DATA held out for the test, where there is no --test.", group="Data")
    text: str | None = _option(
        None, "The column of the text (of the word, to tag): its name, or number from 1. None: guessed.", group="Data"
    )
    label: str | None = _option(
        None, "The column of the label (of the tag): its name, or number from 1. None: guessed.", group="Data"
    )
    source: str | None = _option(
        None, "The column of what to translate: its name, or number from 1. None: guessed.", group="Data"
    )
    target: str | None = _option(
        None, "The column of its translation: its name, or number from 1. None: guessed.", group="Data"
    )
    id: str | None = _option(
        None, "The column that tells series apart: its name, or number from 1. None: guessed.", group="Data"
    )
    time: str | None = _option(None, "The column of the time: its name, or number from 1. None: guessed.", group="Data")
    values: str | list[str] | tuple[str, ...] | None = _option(  # noqa: RUF009
        None, "A column to forecast. None: y, else all columns of numbers that nothing else is.", group="Data"
    )
    past: str | list[str] | tuple[str, ...] | None = _option(  # noqa: RUF009
        None, "A column that goes with what is to forecast, and is known up to now.", group="Data"
    )
    known: str | list[str] | tuple[str, ...] | None = _option(  # noqa: RUF009
        None, "A column that goes with what is to forecast, and is known ahead.", group="Data"
    )
    calendar: bool = _option(
        False, "Read besides what time stamps say of the calendar: hour, day of the week, of the year.", group="Data"
    )
    missing: str = _option(
        "error",
        "What becomes of a value that is missing, NaN or infinite in a series: an error, the value before it, or the line "
        "between its neighbours.",
        choices=("error", "carry", "interpolate"),
        group="Data",
    )
    season: int | None = _option(
        None,
        "Steps of a season, for a trivial forecast and the score mase. (None: a day of hours, a week of days …)",
        group="Data",
    )
    strict: bool = _option(False, "Stop at the first bad row, where bad rows are skipped and counted.", group="Data")
    encoding: str = _option("utf-8", "Encoding of all texts.", group="Data")
    normalisation: str = _option(
        "none", "Unicode normalisation of texts before anything else.", choices=("none", "nfc", "nfkc"), group="Data"
    )
    lowercase: bool = _option(False, "Read all letters as small ones.", group="Data")
    tokenizer: str = _option(
        "char",
        "What a token is; auto is char for texts of a word or two, else word.",
        choices=("auto", "char", "byte", "word", "bpe"),
        group="Data",
    )
    vocabulary: int | None = _option(None, "Most tokens to keep, for word (all words) and bpe (4096).", group="Data")
    minimum_count: int = _option(1, "How often a token must be in the training part to be kept.", group="Data")

    cell: str = _option("lstm", "The recurrent cell (for a list: elman cells).", group="Network")
    cell_options: dict[str, Any] = field(
        default_factory=dict,
        metadata=_told("An option of the cell, zoneout=0.1 for example (for a list: elman cells CELL)."),
    )
    layer_options: dict[str, Any] = field(
        default_factory=dict,
        metadata=_told("An option of the layers around the cell (for a list: docs/cells.md)."),
    )
    hidden: int = _option(448, "Hidden units a layer and direction.", group="Network")
    layers: int = _option(1, "Recurrent layers.", group="Network")
    embedding: int = _option(128, "Size of a token's embedding.", group="Network")
    dropout: float = _option(0.1, "Dropout after the embedding, between layers and after the last.", group="Network")
    bidirectional: bool = _option(True, "Read from both ends.", group="Network")
    pooling: str = _option(
        "max",
        "What of the outputs is read: the last states, their mean, maximum, or attention.",
        choices=("last", "mean", "max", "attention"),
        group="Network",
    )
    character_embedding: int = _option(32, "Size of a character's embedding.", group="Network")
    character_hidden: int = _option(
        64, "Units, each direction, of the layer over a word's characters.", group="Network"
    )
    output: str = _option(
        "crf",
        "The output layer: all tags of a sentence together (a conditional random field), or each by itself.",
        choices=("crf", "softmax"),
        group="Network",
    )
    tie: bool = _option(False, "Share the embedding with the output layer.", group="Network")
    share: bool = _option(True, "One embedding for source and target.", group="Network")
    attention: str = _option(
        "general",
        "How what was read is scored: by products (dot, general) or a layer (additive).",
        choices=("dot", "general", "additive"),
        group="Network",
    )
    beam: int = _option(5, "Beginnings that the search for a translation keeps; 1 is greedy.", group="Network")
    alpha: float = _option(1.0, "How much longer translations are preferred; 0 for not at all.", group="Network")

    look_back: int = _option(
        96,
        "Steps that a forecast looks back on; 0: whole series, of which each step forecasts the next.",
        group="Network",
    )
    horizon: int = _option(24, "Steps to forecast.", group="Network")
    segment: int | None = _option(
        None, "Steps that are one step of the cell. None: a quarter of the look-back.", group="Network"
    )
    joint: bool = _option(False, "Forecast all columns together, each by all of them.", group="Network")
    head: str = _option(
        "direct",
        "How the horizon is forecast: all segments at once, or each from the one before it.",
        choices=("direct", "autoregressive"),
        group="Network",
    )
    loss: str = _option(
        "absolute",
        "What a forecast is, and its loss: a point (absolute or squared error), quantiles, a distribution of numbers (normal, "
        "student), of counts (poisson), of on and off (bernoulli).",
        choices=("absolute", "squared", "quantile", "normal", "student", "poisson", "bernoulli"),
        group="Network",
    )
    quantiles: str = _option("0.1,0.5,0.9", "Levels of the quantiles to forecast, with commas.", group="Network")
    scaling: str = _option(
        "auto",
        "How each window is scaled: by its last value, mean, mean and deviation, or not. auto: last; mean for counts; none "
        "for on and off, and for whole series.",
        choices=("auto", "last", "mean", "standard", "none"),
        group="Network",
    )

    minutes: float | None = _option(None, "Train for so many minutes (10 if no budget is given).")
    epochs: float | None = _option(None, "Train for so many passes over the data.")
    steps: int | None = _option(None, "Train for so many updates.")
    max_epochs: float | None = _option(
        None, "With a budget in minutes, at most so many passes: small data is learnt by then."
    )
    batch: int = _option(32, "Streams, or windows of a series, that are read side by side.")
    batch_tokens: int = _option(1024, "Tokens of a batch of sequences, their padding among them.")
    bptt: int = _option(64, "Steps of a window: how far gradients go back. State is carried further.")
    lr: float = _option(3e-3, "Highest learning rate; warm-up before it, cosine after it.")
    warmup: int = _option(100, "Updates of warm-up.")
    clip: float = _option(1.0, "Largest norm of the gradient; 0 for no clipping.")
    weight_decay: float = _option(0.1, "AdamW's weight decay, on matrices only.")
    smoothing: float = _option(0.0, "Label smoothing: the part of the target that goes to all classes alike.")
    word_dropout: float = _option(0.0, "How often training reads a token as the unknown one.")
    rare_dropout: float = _option(
        0.0, "How often training reads a word that it has n times as the unknown one: this / (this + n)."
    )
    averaging: float = _option(
        0.0,
        "Validate and keep a running mean of the weights, with this decay: 0.99 is over some 100 updates; 0 for none.",
    )
    validations: int = _option(12, "How often to validate over the whole budget.")
    patience: int = _option(4, "Stop after so many validations without a better one; 0 for never.")
    seed: int = _option(0, "Seed of initial weights and dropout.")
    device: str = _option("auto", "Where to run.", choices=("auto", "cpu", "cuda", "mps"))
    engine: str = _option("auto", "What runs the cells.", choices=("auto", "scan", "native", "torch", "reference"))
    precision: str = _option("fp32", "Precision of products.", choices=("fp32", "bf16"))

    def __post_init__(self) -> None:
        for option in fields(self):
            self._check_kind(option.name, getattr(self, option.name), option.metadata["choices"])
        for name in ("valid", "test", "values", "past", "known"):
            self._one_or_more(name)
        for name in (
            "hidden",
            "layers",
            "embedding",
            "character_embedding",
            "character_hidden",
            "batch",
            "batch_tokens",
            "bptt",
            "validations",
            "minimum_count",
            "beam",
            "horizon",
        ):
            self._check(name, getattr(self, name) >= 1, "must be at least 1")
        self._check("seed", 0 <= self.seed < 2**63, "must be a whole number from 0 to 2⁶³ - 1")
        for name in ("warmup", "clip", "weight_decay", "patience", "alpha", "rare_dropout", "look_back"):
            self._check(name, getattr(self, name) >= 0, "must be 0 or more")
        for name in (*BUDGETS, "max_epochs", "lr"):
            self._check(name, getattr(self, name) is None or getattr(self, name) > 0, "must be more than 0")
        for name in ("dropout", "smoothing", "word_dropout", "averaging", "test_fraction"):
            self._check(name, 0 <= getattr(self, name) < 1, "must be at least 0 and less than 1")
        self._check("valid_fraction", 0 < self.valid_fraction < 1, "must lie between 0 and 1")
        self._check("test_fraction", self.test_fraction + self.valid_fraction < 1, "leaves nothing to train on")
        self._check("vocabulary", self.vocabulary is None or self.vocabulary >= 1, "must be at least 1")
        for name in ("segment", "season"):
            self._check(name, getattr(self, name) is None or getattr(self, name) >= 1, "must be at least 1")
        self._check("quantiles", bool(self.levels), "must be numbers between 0 and 1, in order, commas between them")
        for name in ("valid", "test"):
            self._check(
                name, "-" not in (getattr(self, name) or ()), "can't be standard input, which is for DATA: name a file"
            )
        given = [name for name in BUDGETS if getattr(self, name) is not None]
        if len(given) > 1:
            raise OptionError(f"{flag(given[0])} and {flag(given[1])} are both budgets: give one of them.")
        self._check_task()
        self._check_network()

    def _one_or_more(self, name: str) -> None:
        """A single path is one of one."""
        value = getattr(self, name)
        if value is not None:
            object.__setattr__(self, name, (value,) if isinstance(value, str) else tuple(value))

    def _check_task(self) -> None:
        """No option of another task: it would do nothing."""
        if self.task == AUTO:
            return
        own = task_named(self.task)
        for option in fields(self):
            others = tasks_with(option.name)
            value = getattr(self, option.name)
            if (
                others
                and option.name not in own.options
                and value not in (option.default, own.defaults.get(option.name))
            ):
                raise OptionError(
                    f"{flag(option.name)} {value!r} is nothing for the task {self.task}, only for {' and '.join(others)}: "
                    "leave it out."
                )

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
        if kind is tuple:
            fits = isinstance(value, str) or (
                isinstance(value, (list, tuple)) and bool(value) and all(isinstance(part, str) for part in value)
            )
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
    def levels(self) -> tuple[float, ...]:
        """The quantiles as numbers; none if they are not in order between 0 and 1."""
        try:
            found = tuple(float(level) for level in self.quantiles.split(","))
        except ValueError:
            return ()
        return found if sorted({0.0, 1.0, *found}) == [0.0, *found, 1.0] else ()

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

    def of_task(self) -> dict[str, Any]:
        """Those that the task has: what a run's folder notes."""
        own = task_named(self.task).options
        return {name: value for name, value in self.to_dict().items() if name in own or not tasks_with(name)}


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
    tuple: "a text or a list of texts",
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
        # A path or several: several.
        part = [part for part in get_args(hint) if part is not NoneType][-1]
        return get_origin(part) or part, True
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
