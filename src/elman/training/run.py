"""A run, from data to a model's folder. `elman.train` is here.

The run's folder holds the model (see `elman.models.folder`; its weights are the best by validation) and besides:

    checkpoint.safetensors   where training stands, to go on from
    metrics.jsonl            what was measured, a line each; events.out.* the same for TensorBoard
    curves.png               losses over time
    input-1.txt …            texts that came from no file: standard input, documents made in Python
    lint.json                what the linter found (see `elman.probe.lint`)
    …                        pictures that the task draws
"""

import importlib.util
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from elman.data.recognise import recognise
from elman.data.text import Source
from elman.data.watch import watched
from elman.errors import OptionError, RunError
from elman.files import clear_unfinished
from elman.models.device import find_device
from elman.models.folder import CONFIG, WEIGHTS, load_weights, model_of, read_config, save_description, save_weights
from elman.models.options import BUDGETS, TrainOptions, check_names, flag
from elman.models.sources import recall, remember
from elman.models.task import Task, settled
from elman.models.tasks import AUTO, TASKS, TaskFacts, task_named
from elman.probe.findings import CODES, Lint
from elman.probe.lint import WatchedParts, lint_end, lint_start
from elman.training.checkpoint import Progress
from elman.training.curves import draw_curves
from elman.training.folder import make_folder, next_free, parts, refuse_existing, taken_in
from elman.training.logs import MetricsLog, TensorBoardLog
from elman.training.loop import Trainer
from elman.training.progress import Display, ReadingDisplay, SilentDisplay, make_display

# What may differ when a run goes on: how long it takes and where it runs, not what it computes.
_RESUMABLE = (*BUDGETS, "max_epochs", "patience", "device", "engine")


@dataclass(frozen=True)
class TrainResult:
    """What a run came to.

    run                the run's folder; `elman.load(run)` gives the model
    task               what was learnt
    scores             of the best weights on the validation part; `test_scores` on the test part, if there is one
    parameters         how many numbers training adjusted
    steps, seconds     updates, and seconds of training over all starts
    trained_tokens     tokens read in training
    sample             a short text that shows what the model does
    """

    run: Path
    task: str
    scores: dict[str, float]
    test_scores: dict[str, float] | None
    parameters: int
    steps: int
    seconds: float
    trained_tokens: int
    sample: str

    @property
    def tokens_per_second(self) -> float:
        return self.trained_tokens / max(self.seconds, 1e-9)

    def to_dict(self) -> dict[str, Any]:
        """One flat mapping under the stable names that `--json` prints."""
        test = {f"test_{name}": value for name, value in (self.test_scores or {}).items()}
        return {
            "task": self.task,
            **self.scores,
            **test,
            "parameters": self.parameters,
            "steps": self.steps,
            "seconds": round(self.seconds, 3),
            "trained_tokens": self.trained_tokens,
            "tokens_per_second": round(self.tokens_per_second, 1),
            "run": str(self.run),
        }


def train(
    data: Source | Sequence[Source] | None = None,
    *,
    out: str | Path | None = None,
    resume: str | Path | None = None,
    overwrite: bool = False,
    quiet: bool = False,
    **options: Any,
) -> TrainResult:
    """Train a network on data and leave it in a folder.

    data       a file, a folder, "-" for standard input, or several; None: the reference text that Python carries
    out        the run's folder; None: the next free `runs/TASK-N`. One that exists is refused unless `overwrite`
    resume     go on with this run instead, with its data and options; only the budget, `patience`, `device` and `engine`
               may be given anew
    quiet      show nothing on standard error
    options    the fields of `TrainOptions`; what is left out is as good for the task as we know

    Raises `DataError`, `OptionError`, `RunError`, `ModelFolderError` for what can't be used, `TrainingDivergedError`,
    `TrainingInterruptedError`.
    """
    check_names(options, "elman.train")
    sources = None if data is None else [data] if isinstance(data, Source) else list(data)
    # Training draws from torch's global generator; the caller's own draws go on as if it had not.
    with torch.random.fork_rng():
        if resume is not None and (sources is not None or out is not None or overwrite):
            raise OptionError("--resume goes on with its own data and folder: leave out DATA, --out and --overwrite.")
        with _reading_shown(quiet):
            if resume is not None:
                run = _reopen(Path(resume), options)
            else:
                run = _open(sources, None if out is None else Path(out), overwrite, options)
        longer = resume is not None and any(options.get(name) is not None for name in BUDGETS)
        with closing(SilentDisplay() if quiet else make_display(run.task.network)) as display:
            return _fit(run, display, longer)


@contextmanager
def _reading_shown(quiet: bool) -> Iterator[None]:
    if quiet:
        yield
        return
    with closing(ReadingDisplay()) as display, watched(display):
        yield


@dataclass(frozen=True)
class _Run:
    """A run that can start, or go on. `notes` is what a person should know of its data, `lint` what is wrong with it."""

    folder: Path
    options: TrainOptions
    task: Task
    notes: list[str]
    lint: Lint


def _open(sources: Sequence[Source] | None, out: Path | None, overwrite: bool, given: dict[str, Any]) -> _Run:
    """A fresh run. Its folder is made last, so that bad input leaves nothing behind."""
    # What makes no sense for any task is said before data is looked at.
    encoding = TrainOptions(**{name: value for name, value in given.items() if name != "task"}).encoding
    if out is not None:
        refuse_existing(out, overwrite, [*(sources or []), *_paths(given.get("valid")), *_paths(given.get("test"))])
    if sources is not None:
        sources = [taken_in(source, encoding) for source in sources]
        for source in sources:
            # What isn't there is said before a task looks at it.
            parts(source)
    facts, why = _choose(given.get("task", AUTO), sources, encoding)
    if sources is not None and not facts.reads_folders:
        sources = [part for source in sources for part in parts(source)]
    options = TrainOptions(**facts.filled(given))
    kind = facts.kind
    data = kind.read(sources, options)
    options = settled(facts, kind, data, given)
    device = find_device(options.device)
    watched, lint = WatchedParts(data), Lint()
    task = kind.task(data, kind.fit(watched.parts, options).to(device), options)
    lint.check("scale-from-test", watched.finding)

    def describe(folder: Path) -> None:
        record = {
            "sources": None if sources is None else remember(folder, sources),
            "fingerprint": task.fingerprint,
            "options": _absolute(options).of_task(),
        }
        save_description(folder, task.network, record)

    folder = make_folder(next_free(Path("runs"), facts.name) if out is None else out, describe)
    return _Run(folder, options, task, why, lint)


def _choose(task: str, sources: Sequence[Source] | None, encoding: str) -> tuple[TaskFacts, list[str]]:
    """The task that was named, or that the data looks like, and then why."""
    if sources is None:
        return task_named("lm" if task == AUTO else task), []
    if task != AUTO and not any(facts.of == task for facts in TASKS.values()):
        return task_named(task), []
    name, why = recognise(sources, encoding)
    facts = task_named(name)
    if task in (AUTO, facts.of):
        return facts, [f"task: {name}. {why}"]
    return task_named(task), []


def _reopen(folder: Path, given: dict[str, Any]) -> _Run:
    """A run that goes on, with the data and options that its folder names."""
    config = read_config(folder)
    fixed = sorted(name for name, value in given.items() if name not in _RESUMABLE and value is not None)
    if fixed:
        raise OptionError(
            f"{flag(fixed[0])} can't change when a run goes on: only {', '.join(map(flag, _RESUMABLE))} can. "
            "Leave it out, or start a new run."
        )
    record = config["training"]
    try:
        options = TrainOptions(**record["options"]).changed(**given)
        sources, fingerprint = record["sources"], record["fingerprint"]
        if sources is not None:
            sources = [recall(folder, source) for source in sources]
    except (KeyError, TypeError) as error:
        raise RunError(f"{folder / CONFIG} doesn't say how the run was made ({error}): it can't be resumed.") from error
    clear_unfinished(folder)
    kind = task_named(config["task"]).kind
    data = kind.read(sources, options)
    # As at first: before the first checkpoint the weights are those that were drawn then.
    torch.manual_seed(options.seed)
    network = model_of(folder, config, options.engine).to(find_device(options.device))
    task = kind.task(data, network, options)
    if task.fingerprint != fingerprint:
        raise RunError(
            f"the data of {folder} has changed since the run began, so it can't go on as it would have: "
            "put the data back, or start a new run."
        )
    save_description(folder, network, {**record, "options": options.of_task()})
    return _Run(folder, options, task, [], Lint.read(folder))


def _fit(run: _Run, display: Display, longer: bool) -> TrainResult:
    folder, task, model = run.folder, run.task, run.task.network
    network = (
        f"network: {model.config.recurrent_in_words}, embedding {model.config.embedding}, "
        f"{model.parameter_count:,} parameters, engine {model.recurrent.engine}, {model.device}"
    )
    for note in [*run.notes, *task.notes, network, f"run: {folder}"]:
        display.note(note)
    trainer = Trainer(task, run.options, folder, lambda: save_weights(folder, model), [display])
    if trainer.resume(longer):
        display.note(f"going on from step {trainer.progress.step}")
    else:
        lint_start(task, run.lint)
        run.lint.save(folder)
    for note in run.lint.notes(CODES):
        display.note(note)
    with closing(MetricsLog(folder, trainer.progress.step)) as metrics:
        trainer.observers.append(metrics)
        if importlib.util.find_spec("tensorboard"):
            with closing(TensorBoardLog(folder, trainer.progress.step)) as board:
                trainer.observers.append(board)
                trainer.fit()
        else:
            display.note("note: no TensorBoard events are written: pip install 'elman[tensorboard]' for them.")
            trainer.fit()
    if trainer.stopped_early:
        display.note(f"stopped: validation has not improved {trainer.progress.stale} times in a row.")
    result = _score(run, trainer.progress)
    if importlib.util.find_spec("matplotlib"):
        draw_curves(folder)
        task.draw(folder)
    else:
        display.note("note: no pictures were drawn: pip install 'elman[figures]' for them.")
    for note in _lint_result(run, result):
        display.note(note)
    return result


def _score(run: _Run, progress: Progress) -> TrainResult:
    """Score the best weights, note the scores in the folder, and let the model show what it does."""
    model = run.task.network
    load_weights(model, run.folder / WEIGHTS)
    scores, test_scores = run.task.final_scores()
    result = TrainResult(
        run=run.folder,
        task=model.task,
        scores=scores,
        test_scores=test_scores,
        parameters=model.parameter_count,
        steps=progress.step,
        seconds=progress.seconds,
        trained_tokens=progress.units,
        sample=run.task.sample(),
    )
    record = read_config(run.folder)["training"]
    noted = {name: value for name, value in result.to_dict().items() if name not in ("run", "task")}
    save_description(run.folder, model, {**record, "scores": noted})
    return result


def _lint_result(run: _Run, result: TrainResult) -> list[str]:
    """What the linter has to say when a run has ended."""
    scores = {"validation": result.scores, "test": result.test_scores or {}}
    found = lint_end(run.task, scores, run.lint)
    run.lint.save(run.folder)
    return found


def _absolute(options: TrainOptions) -> TrainOptions:
    parts = {name: getattr(options, name) for name in ("valid", "test")}
    return options.changed(
        **{name: [str(Path(path).resolve()) for path in paths] for name, paths in parts.items() if paths is not None}
    )


def _paths(given: Any) -> list[str]:
    return [] if given is None else [given] if isinstance(given, str) else list(given)
