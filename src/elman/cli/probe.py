"""`elman probe`."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from elman.errors import OptionError


def probe(
    model: Annotated[Path, typer.Argument(help="The model's folder.", show_default=False)],
    data: Annotated[
        list[str] | None,
        typer.Argument(
            help="What it was trained on is like: files or a folder. None: the run's own validation part.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Write a report: .html, .png or .json by the name's end.", show_default=False),
    ] = None,
    lags: Annotated[
        int | None,
        typer.Option(help="How many steps to look back.", show_default="twice the training's window, else 100"),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of what is drawn.")] = 0,
    text: Annotated[str | None, typer.Option(help="The column of the text, if it isn't guessed.")] = None,
    label: Annotated[str | None, typer.Option(help="The column of the label, if it isn't guessed.")] = None,
    try_remedies: Annotated[
        bool, typer.Option("--try-remedies", help="Train each remedy from the same start, and say what it gains.")
    ] = False,
    minutes: Annotated[float, typer.Option(help="With --try-remedies: how long each is trained.")] = 1.0,
    device: Annotated[str, typer.Option(help="Where to run: auto, cpu, cuda, mps.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, as the last line.")] = False,
) -> None:
    """Look through time: how far back a network learns and remembers, why, and what to change.

    Measures the gradient by lag of each layer, the use of context, the spectrum of the dynamics, and saturation; says in words
    what they come to, and lists remedies. With --try-remedies they are trained on the same data from the same start.

    Examples:

        elman probe runs/lm-1

        elman probe runs/lm-1 other.txt --lags 400 --out report.html

        elman probe runs/lm-1 --try-remedies --minutes 2
    """
    from elman.probe.measure import probe as look  # noqa: PLC0415

    _check(out, minutes)
    columns: dict[str, Any] = {name: value for name, value in (("text", text), ("label", label)) if value is not None}
    found = look(model, data or None, lags=lags, seed=seed, device=device, **columns).to_dict()
    if try_remedies:
        from elman.training.remedies import try_each  # noqa: PLC0415

        found |= try_each(model, found["remedies"], data or None, minutes, lambda line: typer.echo(line, err=True))
    if out is not None:
        _write(found, out)
    if as_json:
        typer.echo(json.dumps(found))
        return
    for line in _in_words(found):
        typer.echo(line)
    if out is not None:
        typer.echo(f"report: {out}")


def _check(out: Path | None, minutes: float) -> None:
    if not minutes > 0:
        raise OptionError(f"--minutes {minutes!r} must be more than 0.")
    if out is not None and out.suffix.lower() not in (".html", ".png", ".json"):
        raise OptionError(f"--out {str(out)!r} must end in .html, .png or .json.")


def _write(found: dict[str, Any], out: Path) -> None:
    """The report, by what its name ends in."""
    from elman.files import write_atomically  # noqa: PLC0415

    if out.suffix.lower() == ".json":
        write_atomically(out, json.dumps(found, indent=2) + "\n")
        return
    from elman.probe.report import write_picture, write_report  # noqa: PLC0415

    (write_picture if out.suffix.lower() == ".png" else write_report)(found, out)


def _in_words(found: dict[str, Any]) -> list[str]:
    model = found["model"]
    lines = [
        f"{model['layers']} x {model['cell']} of {model['hidden']}, {model['parameters']:,} parameters; "
        f"lags 0 to {found['lags'][-1]}",
        *(f"note: {note}" for note in found["notes"]),
        "",
        *(f"- {sentence}." for sentence in found["verdict"]),
    ]
    if found["remedies"]:
        lines += ["", "What to change, in this order:"]
    for number, remedy in enumerate(found["remedies"], 1):
        lines.append(f"{number}. {_flags(remedy['option'])}\n   {remedy['reason']}.")
    if "tried" in found:
        lines += [
            "",
            f"Trained from the same start, {found['tried']['minutes']:g} minutes each:",
            *_table(found["tried"]),
        ]
    return lines


def _flags(option: dict[str, Any]) -> str:
    """Options as the command line takes them."""
    from elman.cells import as_text  # noqa: PLC0415
    from elman.models.options import flag  # noqa: PLC0415

    parts = []
    for name, value in option.items():
        if isinstance(value, dict):
            parts += [f"{flag(name)} {key}={as_text(one)}" for key, one in value.items()]
        else:
            parts.append(f"{flag(name)} {value}")
    return " ".join(parts)


def _table(tried: dict[str, Any]) -> list[str]:
    """What each came to: the loss, what it gained, and how far back its gradient reaches."""
    lines = [f"  {'':<44} {'loss':>8} {'gained':>8} {'1 % at lag':>11}"]
    for run in tried["runs"]:
        name = _flags(run["option"]) or "as it was"
        if run.get("error"):
            lines.append(f"  {name:<44} {run['error']}")
            continue
        horizon = "beyond" if run["horizon"] is None else f"{run['horizon']:.1f}"
        lines.append(f"  {name:<44} {run['loss_nats']:>8.4f} {run['gained_nats']:>+8.4f} {horizon:>11}")
    return lines
