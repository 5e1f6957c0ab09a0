"""`elman cells`."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from elman.layers.catalogue import CellFacts


def cells(
    name: Annotated[str | None, typer.Argument(help="Show this cell in full.", show_default=False)] = None,
    input_size: Annotated[int, typer.Option("--input", help="Features that a layer reads.")] = 128,
    hidden_size: Annotated[int, typer.Option("--hidden", help="Hidden units of a layer.")] = 256,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """List the cells, or show one in full: its equations, weights, states and options.

    Parameters are those of one layer. Its cost is that of one step of one sequence: the multiply-accumulates of its matrix
    products, the input's among them. The engine is what auto comes to on this machine's processor.

    Examples:

        elman cells

        elman cells lstm --hidden 512

        elman cells --json
    """
    from elman.layers.catalogue import describe_cells  # noqa: PLC0415

    facts = describe_cells([name] if name else None, input_size, hidden_size)
    if as_json:
        dicts = [cell.to_dict() for cell in facts]
        typer.echo(json.dumps(dicts[0] if name else dicts))
    elif name:
        _show(facts[0])
    else:
        _list(facts)


def _list(facts: "list[CellFacts]") -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.measure import Measurement  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    from elman.layers.catalogue import common_options  # noqa: PLC0415

    common = common_options(facts)
    table = Table(box=None, pad_edge=False, header_style=None)
    for heading in ("cell", "what it is", "gates", "states"):
        table.add_column(heading, no_wrap=heading == "cell")
    for heading in ("parameters", "cost"):
        table.add_column(heading, justify="right", no_wrap=True)
    for heading in ("engine", "scans", "streams", "options of its own", "source"):
        table.add_column(heading)
    for cell in facts:
        table.add_row(
            cell.name,
            cell.title,
            " ".join(cell.gates),
            " ".join(cell.states),
            f"{cell.parameters:,}",
            f"{cell.cost:,}",
            cell.engine,
            _yes(cell.scans),
            _yes(cell.streams),
            ", ".join(name for name in cell.options if name not in common),
            cell.citation,
        )
    console = Console(highlight=False, markup=False)
    # A file or another program gets whole lines.
    if not console.is_terminal:
        console.width = Measurement.get(Console(width=10_000), console.options.update(width=10_000), table).maximum
    console.print(table)
    typer.echo(f"\noptions of every cell: {', '.join(common)}\nelman cells NAME shows one in full.")


def _show(cell: "CellFacts") -> None:
    from elman.cells import as_text  # noqa: PLC0415

    def line(what: str, parts: Any) -> None:
        typer.echo(f"  {what:<12} {parts}")

    typer.echo(f"{cell.name}: {cell.title} ({cell.citation})\n\n{cell.equations}\n\n{cell.summary}\n")
    typer.echo(f"A layer of {cell.hidden_size} units that reads {cell.input_size} features:")
    line("gates", " ".join(cell.gates))
    line("states", ", ".join(f"{name} ({size})" for name, size in cell.states.items()))
    line("weights", ", ".join(f"{name} {shape}" for name, shape in cell.shapes_in_words.items()))
    line("parameters", f"{cell.parameters:,}")
    line("cost", f"{cell.cost:,} multiply-accumulates a step")
    line("engine", f"{cell.engine} (what auto comes to on this machine)")
    line("scans", _yes(cell.scans))
    line("streams", _yes(cell.streams))
    for index, option in enumerate(cell.options.values()):
        line("" if index else "options", f"{option.name}={as_text(option.default)} ({option.kind_in_words})")


def _yes(answer: bool) -> str:
    return "yes" if answer else "no"
