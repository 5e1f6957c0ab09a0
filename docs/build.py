"""Write the parts of the documentation that come from the code, so that they can't disagree with it.

python docs/build.py            writes docs/command-line.md, docs/cells.md and docs/reference.md
python docs/build.py --check    exits with 1 if they are not what the code says
"""

import inspect
import os
import sys
from collections.abc import Iterable
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

# Help is laid out for the terminal that it is printed on: here for one that is always the same.
os.environ |= {"COLUMNS": "100", "TERMINAL_WIDTH": "100", "NO_COLOR": "1", "TERM": "dumb"}

from typer.testing import CliRunner

from elman.cells import Cell, Option, as_text
from elman.cli.main import app
from elman.layers import layer_options
from elman.layers.catalogue import HIDDEN_SIZE, INPUT_SIZE, common_options, describe_cells
from elman.models.options import TrainOptions, flag, kind_of

HERE = Path(__file__).parent
HEAD = "<!-- Written by docs/build.py from the code: change the code, then run `make docs`. -->\n\n"


def command_line() -> str:
    """Each command's help, and the options of training as a table."""
    parts = ["# The command line\n"]
    for command in ("train", "evaluate", "predict", "generate", "probe", "info", "cells", "convert", "demo vanishing"):
        result = CliRunner().invoke(app, [*command.split(), "--help"])
        text = "\n".join(line.rstrip() for line in result.output.strip("\n").splitlines())
        parts.append(f"## elman {command}\n\n```text\n{text}\n```\n")
    parts.append(
        "## Keys of a configuration file\n\n`elman train --config FILE.toml` takes every option as a key of the name below "
        "(hyphens do as well), and besides `data`, `out`, `overwrite`, `resume`. Flags win over the file, "
        "those of a table over all of it: `cell_options = {zoneout = 0.1, layer_norm = true}`. A key that isn't known is an "
        "error.\n\n| key | type | default | meaning |\n|---|---|---|---|\n"
        + "".join(map(_option_row, fields(TrainOptions)))
    )
    return HEAD + "\n".join(parts)


_KINDS: dict[type, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    tuple: "a path or a list of paths",
    dict: "table",
}


def _option_row(option: Any) -> str:
    kind, optional = kind_of(option.name)
    choices = option.metadata["choices"]
    what = " or ".join(f"`{choice}`" for choice in choices) if choices else _KINDS[kind]
    empty = kind is dict or (optional and option.default is None)
    default = "" if empty else f"`{as_text(option.default)}`"
    return f"| `{option.name}` ({flag(option.name)}) | {what} | {default} | {option.metadata['help']} |\n"


def cells() -> str:
    """What each cell is: a table of all, then each with its equations, weights and options."""
    facts = describe_cells()
    common = common_options(facts)
    sizes = f"D = {INPUT_SIZE} features and H = {HIDDEN_SIZE} hidden units"
    rows = [
        f"| [`{cell.name}`](#{cell.name}) | {cell.title} | {' '.join(cell.gates)} | {' '.join(cell.states)} | "
        f"{cell.parameters:,} | {cell.cost:,} | {_yes(cell.scans)} | {_yes(cell.streams)} | {cell.citation} |\n"
        for cell in facts
    ]
    parts = [
        "# Cells\n",
        "`elman train --cell NAME` takes any of them, with `--cell-option NAME=VALUE` and `--layer-option NAME=VALUE` as often "
        "as you like. `elman cells` prints this table for sizes of yours, and which engine runs each cell on your machine; "
        "`elman cells NAME` shows one.\n",
        f"Parameters are those of one layer with {sizes}. The cost is that of one step of one sequence: the "
        "multiply-accumulates of its matrix products, the input's among them; what goes element by element is not counted. "
        "A cell *scans* if a sequence can be computed without a loop over time, and *streams* if its state never grows.\n",
        "| cell | | gates | states | parameters | cost | scans | streams | source |\n|---|---|---|---|--:|--:|---|---|---|\n"
        + "".join(rows),
        "## Options of every cell\n\n" + _options(facts[0].options[name] for name in common),
        _docstring(Cell) + "\n",
        "## Options of the layers\n\n" + _options(layer_options().values()),
    ]
    told: set[str] = set()
    for cell in facts:
        # Cells of one family share a file, and its docstring.
        equations = "" if cell.equations in told else f"```text\n{cell.equations}\n```\n\n"
        told.add(cell.equations)
        own = [option for name, option in cell.options.items() if name not in common]
        weights = ", ".join(f"`{name}` {shape}" for name, shape in cell.shapes_in_words.items())
        parts.append(
            f"## {cell.name}\n\n{cell.title}. {cell.citation}.\n\n{equations}```text\n{cell.summary}\n```\n\n"
            f"Weights with {sizes}: {weights}.\n" + ("\n" + _options(own) if own else "")
        )
    return HEAD + "\n".join(parts)


def _options(options: Iterable[Option]) -> str:
    rows = [f"| `{option.name}` | {option.kind_in_words} | `{as_text(option.default)}` |\n" for option in options]
    return "| option | is | default |\n|---|---|---|\n" + "".join(rows)


def _yes(answer: bool) -> str:
    return "yes" if answer else "no"


REFERENCE: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("elman.layers.rnn", ("RNN", "LSTM", "GRU", "Recurrent")),
    ("elman.layers.connections", ()),
    ("elman.layers.initialise", ()),
    ("elman.models.sequence", ("SequenceModel", "SequenceOutput")),
    ("elman.models.language", ("LanguageModel", "LanguageModel.generate", "LanguageModel.evaluate")),
    ("elman.models.sampling", ("Sampling",)),
    ("elman.models.scoring", ("Scores",)),
    ("elman.models.folder", ("load",)),
    ("elman.training.run", ("train", "TrainResult")),
    ("elman.probe.measure", ("probe",)),
    ("elman.probe.result", ("ProbeResult",)),
    ("elman.sklearn", ("SequenceClassifier", "SequenceTagger", "SequenceRegressor", "Forecaster")),
    ("elman.data.text", ("read_documents",)),
    ("elman.data.tokenizer", ()),
    ("elman.cells.cell", ("Cell", "Cell.project", "Cell.step")),
    ("elman.testing", ("check_cell", "CheckReport", "instruction_sets", "using_instruction_set")),
    ("elman.engines", ("scan", "branch")),
    ("elman.engines.reference", ()),
    ("elman.engines.fused", ()),
    ("elman.convert", ()),
    ("elman.convert.pytorch", ("from_pytorch", "to_pytorch")),
    ("elman.convert.keras", ("KerasLayer", "from_keras", "to_keras", "to_keras_objects")),
    ("elman.convert.flax", ("from_flax", "to_flax")),
    ("elman.convert.onnx_export", ("to_onnx",)),
    ("elman.convert.onnx_import", ("from_onnx",)),
    ("elman.convert.onnx_weights", ()),
    ("elman.convert.store", ("save", "load")),
    ("elman.convert.files", ("read", "write")),
    ("elman.convert.stack", ("Told",)),
    ("elman.convert.keras_files", ()),
    ("elman.errors", ()),
)


def reference() -> str:
    """The docstrings of the public modules and of what is public in them."""
    parts = ["# Reference\n"]
    for name, members in REFERENCE:
        module = import_module(name)
        parts.append(f"## {name}\n\n{_docstring(module)}\n")
        parts += [
            f"### {member}\n\n{_signature(_member(module, member))}{_docstring(_member(module, member))}\n"
            for member in members
        ]
        if name == "elman.errors":
            parts += [f"### {error.__name__}\n\n{inspect.getdoc(error)}\n" for error in _errors(module)]
    return HEAD + "\n".join(parts)


def _member(module: ModuleType, path: str) -> Any:
    value: Any = module
    for part in path.split("."):
        value = getattr(value, part)
    return value


def _errors(module: ModuleType) -> Iterable[type]:
    return [value for value in vars(module).values() if inspect.isclass(value) and value.__module__ == module.__name__]


def _docstring(thing: Any) -> str:
    return f"```text\n{inspect.getdoc(thing)}\n```"


def _signature(thing: Any) -> str:
    function = thing.__init__ if inspect.isclass(thing) and "__init__" in vars(thing) else thing
    if inspect.isclass(function):
        return ""
    shown = [
        p.name if p.default is p.empty or p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL) else f"{p.name}={p.default!r}"
        for p in inspect.signature(function).parameters.values()
        if p.name != "self"
    ]
    return f"`{thing.__name__}({', '.join(shown)})`\n\n"


def main() -> int:
    pages = {HERE / f"{page.__name__.replace('_', '-')}.md": page() for page in (command_line, cells, reference)}
    if "--check" not in sys.argv:
        for path, text in pages.items():
            path.write_text(text, encoding="utf-8")
        return 0
    stale = [path.name for path, text in pages.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if stale:
        sys.stderr.write(f"docs/{', docs/'.join(stale)} not what the code says: run `make docs` and commit.\n")
    return bool(stale)


if __name__ == "__main__":
    sys.exit(main())
