"""The command line: parse, call, print. Nothing here computes; torch is imported by the commands that need it."""

import signal
import sys
from types import FrameType
from typing import Any

import typer

from elman import __version__
from elman.cli.cells import cells
from elman.cli.convert import convert
from elman.cli.demo import demo
from elman.cli.evaluate import evaluate
from elman.cli.generate import generate
from elman.cli.info import info
from elman.cli.predict import predict
from elman.cli.probe import probe
from elman.cli.train import train
from elman.errors import ElmanError

app = typer.Typer(
    name="elman",
    help="Train, run and explain recurrent networks.\n\n"
    "Begin with `elman train`: it learns the reference text that Python carries, and says where the model is.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (train, evaluate, predict, generate, probe, info, cells, convert):
    app.command()(command)
app.add_typer(demo, name="demo")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"elman {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_print_version, is_eager=True, help="Print the version."),
) -> None:
    pass


def main(arguments: list[str] | None = None) -> Any:
    """Run the command line; an error that elman raises on purpose is a message and an exit code, not a traceback."""
    # Ctrl-C leaves as any other exit does. A KeyboardInterrupt that hits Python inside an `exec` (imports make named tuples
    # so) is remembered, and kills the process by SIGINT at its end, however well it was caught.
    former = signal.signal(signal.SIGINT, _leave)
    try:
        app(arguments)
    except ElmanError as error:
        typer.echo(f"elman: {error}", err=True)
        sys.exit(error.exit_code)
    finally:
        signal.signal(signal.SIGINT, former)


def _leave(number: int, _: FrameType | None) -> None:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    main()
