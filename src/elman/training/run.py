"""A run, from data to a model's folder. `elman.train` is here.

The run's folder holds the model (see `elman.models.folder`; its weights are the best by validation) and besides:

    checkpoint.safetensors   where training stands, to go on from
    metrics.jsonl            what was measured, a line each; events.out.* the same for TensorBoard
    curves.png               losses over time
    input-1.txt …            texts that came from no file: standard input, documents made in Python
"""

import importlib.util
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from elman.data.text import Source
from elman.data.tokenizer import TextTokenizer
from elman.errors import OptionError, RunError
from elman.files import clear_unfinished
from elman.models.folder import CONFIG, TOKENIZER, WEIGHTS, load_weights, read_config, save_description, save_weights
from elman.models.language_task import score_report
from elman.models.scoring import score_tokens
from elman.training.curves import draw_curves
from elman.training.folder import make_folder, next_free, parts, recall, refuse_existing, remember
from elman.training.logs import MetricsLog, TensorBoardLog
from elman.training.loop import Trainer
from elman.training.options import BUDGETS, TrainOptions, check_names, flag
from elman.training.prepare import Prepared, prepare, read_texts
from elman.training.progress import Display, SilentDisplay, make_display

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
        refuse_existing(out, overwrite, [*(sources or []), options.valid, options.test])
    if sources is not None:
        sources = [part for source in sources for part in parts(source, options.encoding)]
    texts = read_texts(sources, options)
    tokenizer = TextTokenizer.fit(options.tokenizer, texts.train, options.vocabulary)
    prepared = prepare(texts, tokenizer, options)

    def describe(folder: Path) -> None:
        record = {
            "sources": None if sources is None else remember(folder, sources),
            "fingerprint": prepared.fingerprint,
            "options": _absolute(options).to_dict(),
        }
        save_description(folder, prepared.model, record)

    return make_folder(next_free(Path("runs")) if out is None else out, describe), prepared


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
        if sources is not None:
            sources = [recall(folder, source) for source in sources]
    except (KeyError, TypeError) as error:
        raise RunError(f"{folder / CONFIG} doesn't say how the run was made ({error}): it can't be resumed.") from error
    clear_unfinished(folder)
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


def _absolute(options: TrainOptions) -> TrainOptions:
    paths = {name: getattr(options, name) for name in ("valid", "test")}
    return options.changed(**{name: str(Path(path).resolve()) for name, path in paths.items() if path is not None})
