"""`elman train`."""

import inspect
import json
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from elman.errors import OptionError
from elman.models.options import TrainOptions, flag, group_of, kind_of, read_toml, with_one_budget
from elman.models.tasks import TASKS, task_named, tasks_with

_EXAMPLES = """

Examples:

    elman train

    elman train book.txt --minutes 5 --cell gru

    elman train book.txt --cell lstm --cell-option layer_norm=true --cell-option zoneout=0.1

    elman train texts/ --test held-out.txt --json

    elman train ptb.train.txt --valid ptb.valid.txt --tokenizer word --tie

    elman train reviews.csv --text review --label stars --minutes 5

    elman train spam/ --task classify --test held-out/

    elman train load.csv --look-back 96 --horizon 24 --loss quantile

    elman train --resume runs/lm-1 --minutes 20
"""

# What a configuration file may hold besides the options: the other arguments of `elman.train`.
_OTHER_KEYS: dict[str, tuple[type, ...]] = {"data": (str, list), "out": (str,), "overwrite": (bool,), "resume": (str,)}


def _train(
    context: typer.Context,
    data: Annotated[
        list[str] | None,
        typer.Argument(
            help="Files, a folder, or - for standard input. None: the reference text of Python.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The run's folder.", show_default="the next free runs/TASK-N")
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(help="Go on with this run, with its data and options.", show_default=False),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a run that exists at --out.")] = False,
    config: Annotated[
        Path | None,
        typer.Option(help="A TOML file with any of these options as keys; flags win.", show_default=False),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the result as one JSON object, as the last line.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show nothing while training.")] = False,
    **options: Any,
) -> None:
    """Train a recurrent network on what you have, and leave it in a folder.

    Running text makes a language model, texts with labels a classifier, words with tags a tagger, texts with their
    translations a translator, numbers over time a forecaster. What DATA was taken for is said first.
    """
    from elman.training.run import train as run  # noqa: PLC0415

    given: dict[str, Any] = {} if config is None else _read_config(config)
    flags = {"data": data, "out": out, "resume": resume, "overwrite": overwrite, **options}
    # Only what was typed: a default must not overrule the configuration file, nor a run that goes on.
    given = with_one_budget(given, {name: value for name, value in flags.items() if _typed(context, name)})
    result = run(given.pop("data", None), quiet=quiet, **given)

    typer.echo(result.sample, nl=not result.sample.endswith("\n"))
    if as_json:
        typer.echo(json.dumps(result.to_dict()))
        return
    headline = task_named(result.task).network_kind.headline
    for part, scores in (("validation", result.scores), ("test", result.test_scores)):
        if scores:
            typer.echo(f"{part}: {headline(scores)}")
    typer.echo(
        f"{result.parameters:,} parameters, {result.steps:,} updates, {result.seconds:.0f} s, "
        f"{result.tokens_per_second:,.0f} tokens/s\nmodel: {result.run}\n"
        f"try:   {task_named(result.task).example.format(run=result.run)}"
    )


def _read_config(path: Path) -> dict[str, Any]:
    values = read_toml(path, also=_OTHER_KEYS)
    for name, kinds in _OTHER_KEYS.items():
        value = values.get(name)
        parts = value if isinstance(value, list) else []
        if value is not None and not (isinstance(value, kinds) and all(isinstance(part, str) for part in parts)):
            what = {"data": "a path or a list of paths", "overwrite": "true or false"}.get(name, "a path")
            raise OptionError(f"{path}: {name} = {value!r} must be {what}.")
    return values


def _typed(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _option_parameters() -> list[inspect.Parameter]:
    """A flag for each field of `TrainOptions`."""
    parameters = []
    for option in fields(TrainOptions):
        kind, _ = kind_of(option.name)
        meta = option.metadata
        name = flag(option.name)
        declaration: Any = typer.Option(
            f"{name}/--no-{name[2:]}" if kind is bool else name,
            help=_help(option.name, meta["help"]),
            rich_help_panel=group_of(option.name),
            show_default=kind is not dict and option.default is not None,
            metavar="NAME=VALUE" if kind is dict else None,
        )
        value: Any = Literal[meta["choices"]] if meta["choices"] else list[str] if kind in (dict, tuple) else kind
        default = None if kind is dict else option.default
        annotation = Annotated[value | None if default is None else value, declaration]
        parameters.append(
            inspect.Parameter(option.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        )
    return parameters


def _help(name: str, text: str) -> str:
    """What an option is; the tasks that have it, if not all do; and where their defaults differ."""
    only = tasks_with(name)
    told = []
    for facts in TASKS.values():
        told += [f"{facts.name}: {facts.defaults[name]}"] if name in facts.defaults else []
        differ = {kind: own[name] for kind, own in facts.by_tokenizer.items() if name in own}
        told += [f"{facts.name} of {kind}s: {value}" for kind, value in differ.items()]
    return " ".join([text, *([f"For {', '.join(only)}."] if only else []), *([f"({', '.join(told)})"] if told else [])])


def _with_options(function: Any) -> Any:
    signature = inspect.signature(function)
    own = [p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    function.__signature__ = signature.replace(parameters=[*own, *_option_parameters()])
    function.__name__ = "train"
    function.__doc__ += _EXAMPLES
    return function


train = _with_options(_train)
