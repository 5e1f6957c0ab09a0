"""The options of a training run: one frozen value. Flags, TOML keys, the run's `config.json` and `--help` derive from it."""

import math
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from elman.errors import OptionError, choices
from elman.models.data_options import DataOptions
from elman.models.network_options import NetworkOptions
from elman.models.option import BOUNDS
from elman.models.tasks import AUTO, task_named, tasks_with
from elman.models.training_options import TrainingOptions

BUDGETS = ("minutes", "epochs", "steps")

# As the help shows them.
GROUPS = {"Data": DataOptions, "Network": NetworkOptions, "Training": TrainingOptions}


@dataclass(frozen=True, kw_only=True)
class TrainOptions(TrainingOptions, NetworkOptions, DataOptions):
    """How to train a network. Raises `OptionError` for values that make no sense.

    `cell_options` and `layer_options` may be given as a mapping of values, or as texts NAME=VALUE; the mapping is kept.
    `valid` and `test` may be one path or several. The defaults are those of most tasks; `elman.models.tasks` has where a task
    differs, and `elman.train` and the command line fill them in.
    """

    def __post_init__(self) -> None:
        for option in fields(self):
            value, within = getattr(self, option.name), option.metadata["within"]
            self._check_kind(option.name, value, option.metadata["choices"])
            if within and value is not None:
                self._check(option.name, BOUNDS[within](value), f"must be {within}")
        for name in ("valid", "test", "values", "past", "known"):
            self._one_or_more(name)
        self._check("quantiles", bool(self.levels), "must be numbers between 0 and 1, in order, commas between them")
        self._check("test_fraction", self.test_fraction + self.valid_fraction < 1, "leaves nothing to train on")
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

    @property
    def budget_in_words(self) -> str:
        """The run's length as a person reads it."""
        kind, amount = self.budget
        return f"{amount:g} {kind}" + (
            f", at most {self.max_epochs:g} epochs" if kind == "minutes" and self.max_epochs else ""
        )

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


def group_of(name: str) -> str:
    """The group that an option belongs to."""
    return next(group for group, own in GROUPS.items() if name in own.__annotations__)


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
