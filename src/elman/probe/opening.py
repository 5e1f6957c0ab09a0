"""From what a user names to what is measured: a run's folder, a model with its data, or a module."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from elman.cells import Cell
from elman.data.text import STANDARD_INPUT, Document, Source
from elman.errors import DataError, OptionError, ProbeError
from elman.models.device import find_device
from elman.models.folder import load, read_config
from elman.models.options import TrainOptions
from elman.models.sources import recall
from elman.models.task import Model
from elman.models.tasks import TASKS
from elman.probe.modules import Loss, ModuleSubject
from elman.probe.subject import Sizes, Subject
from elman.probe.task_subject import TaskSubject, longest_row

_LAGS = 100


def open_subject(
    model: Any,
    data: Any,
    loss: Loss | None,
    lags: int | None,
    window: int | None,
    sizes: Sizes,
    generator: torch.Generator,
    device: str,
    columns: Mapping[str, Any],
) -> tuple[Subject, float | None]:
    """The subject, and the norm that its training clips gradients to, if that is known: see `elman.probe.measure.probe`."""
    options: dict[str, Any] = {}
    sources, fingerprint = None, None
    if isinstance(model, (str, Path)):
        folder = Path(model)
        config = read_config(folder)
        options = dict(config["training"].get("options", {}))
        if data is None:
            remembered = config["training"].get("sources")
            sources = None if remembered is None else [recall(folder, source) for source in remembered]
            fingerprint = config["training"].get("fingerprint")
        model = load(folder, device=find_device(device))
    if not isinstance(model, (torch.nn.Module, Cell)):
        raise ProbeError(
            f"{type(model).__name__} is nothing to look through: give the folder of a run, a network or a cell."
        )
    if isinstance(model, Model) and data is None and not options:
        raise ProbeError("there is no data to look at: give DATA, or the folder of the run, which remembers its own.")
    if not isinstance(model, Model):
        if columns:
            raise OptionError(
                f"{', '.join(columns)}: options of reading files are for models of elman's. Leave them out."
            )
        return ModuleSubject(model, data, loss, lags or _LAGS, sizes, generator), None
    given = None if data is None else [data] if isinstance(data, Source) else list(data)
    read = _options(model, options, columns)
    kind = TASKS[model.task].kind
    parts = kind.read(sources, read) if given is None else _all_of(kind, given, read)
    # Before anything else is done with them: a task may take in its parts.
    changed = fingerprint is not None and kind.task(parts, model, read).fingerprint != fingerprint
    subject = _task_subject(model, parts, read, lags, window, sizes, generator)
    if changed:
        subject.notes.append("the data has changed since the run was made: what is looked at is what it is now.")
    return subject, read.clip if options else None


def _options(model: Any, options: Mapping[str, Any], columns: Mapping[str, Any]) -> TrainOptions:
    """The options of the run, or the defaults of the task."""
    facts = TASKS[model.task]
    network = {name: getattr(model.config, name) for name in ("cell", "hidden", "layers")}
    return TrainOptions(**facts.filled({**network, **options, **columns}))


def _task_subject(
    model: Any,
    parts: Any,
    options: TrainOptions,
    lags: int | None,
    window: int | None,
    sizes: Sizes,
    generator: torch.Generator,
) -> TaskSubject:
    """The validation part in batches as training makes them."""
    kind = TASKS[model.task].kind
    parts = replace(parts, train=parts.valid)
    own = TASKS[model.task].options
    if "bptt" not in own:
        if "batch_tokens" in own:
            longest = longest_row(kind.task(parts, model, options))
            if longest is not None:
                options = options.changed(batch_tokens=max(1, sizes.rows * longest))
        return TaskSubject(kind.task(parts, model, options), lags or _LAGS, sizes, generator, window)
    window = window or options.bptt
    wanted = lags or 2 * window
    task, reached = _windows(kind, parts, model, options, wanted, sizes)
    subject = TaskSubject(task, reached, sizes, generator, window)
    if reached < wanted:
        subject.notes.append(f"lags are cut to {reached}: the text is too short for windows of {wanted + 1} tokens.")
    return subject


def _windows(kind: Any, parts: Any, model: Any, options: TrainOptions, lags: int, sizes: Sizes) -> tuple[Any, int]:
    """Streams in windows of lags + 1 steps; of fewer where the text has no more."""
    while True:
        try:
            return kind.task(parts, model, options.changed(bptt=lags + 1, batch=sizes.rows)), lags
        except DataError:
            if lags <= 1:
                raise
            lags //= 2


def _all_of(kind: Any, given: Sequence[Source], options: TrainOptions) -> Any:
    """The parts of data of which all is looked at: the part to validate holds it all."""
    options = options.changed(test=None, test_fraction=0.0)
    paths = [str(source) for source in given if not isinstance(source, Document) and str(source) != STANDARD_INPUT]
    if len(paths) == len(given):
        return kind.read(given, options.changed(valid=paths))
    # What can be read only once is put together again after a part was held out.
    parts = kind.read(given, options.changed(valid=None))
    return replace(parts, valid=[*parts.train, *parts.valid])
