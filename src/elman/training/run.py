"""A run, from data to a model's folder. `elman.train` is here.

The run's folder holds the model (see `elman.models.folder`; its weights are the best by validation) and besides:

    checkpoint.safetensors   where training stands, to go on from
    metrics.jsonl            what was measured, a line each; events.out.* the same for TensorBoard
    curves.png               losses over time
    standard-input.txt       what was read from standard input, if anything
"""

import importlib.util
import shutil
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from elman.data.text import STANDARD_INPUT, Document, Source, read_documents
from elman.data.tokenizer import TextTokenizer
from elman.errors import ModelFolderError, OptionError, RunError
from elman.files import write_atomically
from elman.models.folder import CONFIG, TOKENIZER, WEIGHTS, load_weights, read_config, save_description, save_weights
from elman.models.language_task import score_report
from elman.models.scoring import score_tokens
from elman.training.curves import draw_curves
from elman.training.logs import MetricsLog, TensorBoardLog
from elman.training.loop import Trainer
from elman.training.options import BUDGETS, TrainOptions, check_names, flag
from elman.training.prepare import Prepared, prepare, read_texts
from elman.training.progress import Display, SilentDisplay, make_display

_SAVED_INPUT = "standard-input.txt"
# At the end of a run longer texts are scored in parallel streams; `elman evaluate` always carries the state throughout.
_EXACT_UP_TO = 500_000
# What may differ when a run goes on: how long it takes and where it runs, not what it computes.
_RESUMABLE = (*BUDGETS, "patience", "device", "engine")
_SAMPLE_TOKENS = 300


@dataclass(frozen=True)
class TrainResult:
    """What a run came to.

    run                the run's folder; `elman.load(run)` gives the model
    scores             of the best weights on the validation part; `test_scores` on the test text, if one was given
    parameters         how many numbers training adjusted
    steps, seconds     updates, and seconds of training over all starts
    trained_tokens     tokens read in training
    sample             a short text that the model wrote
    """

    run: Path
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
    """Train a language model on text and leave it in a folder.

    data       a file, a folder, "-" for standard input, or several; None: the reference text that Python carries
    out        the run's folder; None: the next free `runs/lm-N`. One that exists is refused unless `overwrite`
    resume     go on with this run instead, with its data and options; only the budget, `patience`, `device` and `engine`
               may be given anew
    quiet      show nothing on standard error
    options    the fields of `TrainOptions`

    Raises `DataError`, `OptionError`, `RunError`, `ModelFolderError` for what can't be used, `TrainingDivergedError`,
    `TrainingInterruptedError`.
    """
    check_names(options, "elman.train")
    sources = None if data is None else [data] if isinstance(data, Source) else list(data)
    # Training draws from torch's global generator; the caller's own draws go on as if it had not.
    with torch.random.fork_rng():
        if resume is not None:
            if sources is not None or out is not None or overwrite:
                raise OptionError(
                    "--resume goes on with its own data and folder: leave out DATA, --out and --overwrite."
                )
            folder = Path(resume)
            longer = any(options.get(name) is not None for name in BUDGETS)
            prepared = _reopen(folder, options)
        else:
            longer = False
            folder, prepared = _open(sources, None if out is None else Path(out), overwrite, TrainOptions(**options))
        per_char = prepared.model.tokenizer.kind != "word"
        with closing(SilentDisplay() if quiet else make_display(per_char)) as display:
            return _fit(folder, prepared, display, longer)


def _open(
    sources: Sequence[Source] | None, out: Path | None, overwrite: bool, options: TrainOptions
) -> tuple[Path, Prepared]:
    """A fresh run. Its folder is made last, so that bad input leaves nothing behind."""
    if out is not None:
        _refuse_existing(out, overwrite)
    if sources is not None:
        # Standard input can be read once only, so it is kept: here as a document, later as a file of the run's.
        sources = [read_documents([s], options.encoding)[0] if s == STANDARD_INPUT else s for s in sources]
    texts = read_texts(sources, options)
    tokenizer = TextTokenizer.fit(options.tokenizer, texts.train, options.vocabulary)
    prepared = prepare(texts, tokenizer, options)
    folder = _make_folder(out)
    record = {
        "sources": _remember(folder, sources),
        "fingerprint": prepared.fingerprint,
        "options": _absolute(options).to_dict(),
    }
    save_description(folder, prepared.model, record)
    return folder, prepared


def _reopen(folder: Path, given: dict[str, Any]) -> Prepared:
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
    except (KeyError, TypeError) as error:
        raise RunError(f"{folder / CONFIG} doesn't say how the run was made ({error}): it can't be resumed.") from error
    if sources is not None:
        saved = folder / _SAVED_INPUT
        sources = [Document("standard input", _read_saved(saved)) if s == _SAVED_INPUT else s for s in sources]
    tokenizer = TextTokenizer.load(config["tokenizer"], folder / TOKENIZER)
    prepared = prepare(read_texts(sources, options), tokenizer, options)
    if prepared.fingerprint != fingerprint:
        raise RunError(
            f"the data of {folder} has changed since the run began, so it can't go on as it would have: "
            "put the data back, or start a new run."
        )
    save_description(folder, prepared.model, {**record, "options": options.to_dict()})
    return prepared


def _fit(folder: Path, prepared: Prepared, display: Display, longer: bool) -> TrainResult:
    model, options = prepared.model, prepared.options
    for note in [*prepared.notes, f"run: {folder}"]:
        display.note(note)
    trainer = Trainer(prepared.task, options, folder, lambda: save_weights(folder, model), [display])
    if trainer.resume(longer):
        display.note(f"going on from step {trainer.progress.step}")
    with closing(MetricsLog(folder, trainer.progress.step)) as metrics:
        trainer.observers.append(metrics)
        if importlib.util.find_spec("tensorboard"):
            with closing(TensorBoardLog(folder, trainer.progress.step)) as board:
                trainer.observers.append(board)
                progress = trainer.fit()
        else:
            display.note("note: no TensorBoard events are written: pip install 'elman[tensorboard]' for them.")
            progress = trainer.fit()
    if trainer.stopped_early:
        display.note(f"stopped: validation has not improved {progress.stale} times in a row.")
    if importlib.util.find_spec("matplotlib"):
        draw_curves(folder)
    else:
        display.note("note: curves.png was not drawn: pip install 'elman[figures]' for it.")
    return _score(folder, prepared, trainer)


def _score(folder: Path, prepared: Prepared, trainer: Trainer) -> TrainResult:
    """Score the best weights, note the scores in the folder, and let the model write."""
    model = prepared.model
    load_weights(model, folder / WEIGHTS)

    def score(part: tuple[Any, int]) -> dict[str, float]:
        streams = 1 if len(part[0]) <= _EXACT_UP_TO else prepared.options.batch
        return score_report(score_tokens(model, *part, streams=streams))

    progress = trainer.progress
    result = TrainResult(
        run=folder,
        scores=score(prepared.valid),
        test_scores=None if prepared.test is None else score(prepared.test),
        parameters=model.parameter_count,
        steps=progress.step,
        seconds=progress.seconds,
        trained_tokens=progress.units,
        sample="".join(model.generate("", _SAMPLE_TOKENS, temperature=0.8, seed=prepared.options.seed)),
    )
    record = read_config(folder)["training"]
    scores = {name: value for name, value in result.to_dict().items() if name != "run"}
    save_description(folder, model, {**record, "scores": scores})
    return result


def _refuse_existing(out: Path, overwrite: bool) -> None:
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not overwrite:
        raise RunError(
            f"{out} exists: go on with it (elman train --resume {out}), replace it (--overwrite), "
            "or name another --out."
        )
    try:
        read_config(out)
    except ModelFolderError as error:
        raise RunError(f"{out} is no run of elman's, so --overwrite will not delete it: name another --out.") from error


def _make_folder(out: Path | None) -> Path:
    try:
        if out is None:
            return _next_free(Path("runs"))
        if out.exists():
            shutil.rmtree(out)
        out.mkdir(parents=True)
        return out
    except OSError as error:
        raise RunError(f"the folder {out or 'runs'} can't be made: {error.strerror}. Name another --out.") from error


def _next_free(parent: Path) -> Path:
    parent.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        folder = parent / f"lm-{number}"
        try:
            folder.mkdir()
        except FileExistsError:
            number += 1
        else:
            return folder


def _remember(folder: Path, sources: Sequence[Source] | None) -> list[str] | None:
    """The sources as a later start can read them: absolute paths; standard input as a copy in the run's folder."""
    if sources is None:
        return None
    for source in sources:
        if isinstance(source, Document):
            write_atomically(folder / _SAVED_INPUT, source.text)
    return [_SAVED_INPUT if isinstance(source, Document) else str(Path(source).resolve()) for source in sources]


def _read_saved(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise RunError(f"{path} can't be read: {error.strerror}. The run can't go on without its text.") from error


def _absolute(options: TrainOptions) -> TrainOptions:
    paths = {name: getattr(options, name) for name in ("valid", "test")}
    return options.changed(**{name: str(Path(path).resolve()) for name, path in paths.items() if path is not None})
