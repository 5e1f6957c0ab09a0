"""`elman demo`."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

demo = typer.Typer(help="Demonstrations of how recurrent networks behave.", no_args_is_help=True)


@demo.callback()
def _demo() -> None:
    """Demonstrations of how recurrent networks behave."""


@demo.command()
def vanishing(
    out: Annotated[
        Path, typer.Option(help="Where the figure goes, as .png or .svg; its numbers go beside it as JSON.")
    ] = Path("vanishing.png"),
    seed: Annotated[int, typer.Option(help="Seed of weights and sequences.")] = 0,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the numbers as one JSON object, as the last line.")
    ] = False,
) -> None:
    """See gradients vanish: an Elman network, LSTMs and GRUs of about the same size learn to remember over 10 to 400 steps.

    Each is trained for each lag from the start. The figure has the gradient by lag before training and after it, and the share
    of right answers against the lag. It takes two to three minutes on two cores, and the same seed gives the same numbers.

    Example:

        elman demo vanishing --out vanishing.png
    """
    from elman.errors import OptionError  # noqa: PLC0415
    from elman.probe.demo import plots_of_vanishing  # noqa: PLC0415
    from elman.probe.demo import vanishing as show  # noqa: PLC0415
    from elman.probe.pictures import draw_beside, new_figure  # noqa: PLC0415
    from elman.probe.report import as_json as in_json  # noqa: PLC0415

    if out.suffix.lower() not in (".png", ".svg"):
        raise OptionError(f"--out {str(out)!r} must end in .png or .svg.")
    # What can't be drawn or written is an error now, not after minutes.
    new_figure(1, 1)
    if not out.parent.is_dir():
        raise OptionError(f"--out {str(out)!r}: there is no folder {out.parent}.")
    found = show(seed, watch=lambda line: typer.echo(line, err=True))
    from elman.files import write_atomically  # noqa: PLC0415

    write_atomically(out.with_suffix(".json"), in_json(found) + "\n")
    draw_beside(plots_of_vanishing(found), out)
    if as_json:
        typer.echo(json.dumps(found))
        return
    for line in _in_words(found):
        typer.echo(line)
    typer.echo(f"figure: {out}")


def _in_words(found: dict[str, Any]) -> list[str]:
    """Success by lag as a table, and what is left of the gradient."""
    lags = found["lags"]
    lines = [f"{'right answers at lag':<24}" + "".join(f"{lag:>7}" for lag in lags)]
    for network in found["networks"]:
        name = f"{network['name']} ({network['parameters']:,})"
        lines.append(f"{name:<24}" + "".join(f"{share:>7.0%}" for share in network["success"]))
    lines += ["", f"of the gradient is left {found['probed']} steps back, before and after training:"]
    for network in found["networks"]:
        if "before" in network:
            ends = " ".join(f"{network[when]['median'][-1]:>10.1e}" for when in ("before", "after"))
            lines.append(f"{network['name']:<24}{ends}")
    return lines
