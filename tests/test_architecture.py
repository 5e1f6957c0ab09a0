"""The house: who may import whom, how long a file may be, and what the first import may cost."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
import tiny

import elman

ROOT = Path(elman.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))

# At the bottom, for everyone; "elman" itself is its `__init__`, which imports nothing of the house.
GROUND = {"elman", "axes", "errors", "files"}
# `cells -> programs -> engines -> layers -> models -> training -> cli`; `data` stands beside them, below `models`,
# as does `convert`, above `layers`; and `testing` above `engines`, for users and tests alone.
MAY_IMPORT = {
    "axes": set(),
    "errors": set(),
    "files": {"errors"},
    "cells": GROUND,
    "data": GROUND,
    "programs": GROUND | {"cells"},
    "engines": GROUND | {"cells", "programs", "_native"},
    "layers": GROUND | {"cells", "engines"},
    "testing": GROUND | {"cells", "engines"},
    "convert": GROUND | {"cells", "layers"},
    "models": GROUND | {"cells", "engines", "layers", "data"},
    "probe": GROUND | {"cells", "engines", "layers", "data", "models"},
    "training": GROUND | {"cells", "engines", "layers", "data", "models", "probe"},
    "sklearn": GROUND | {"data", "models", "training"},
    "cli": GROUND | {"cells", "engines", "layers", "convert", "data", "models", "probe", "training"},
    "__main__": {"cli"},
}
_UNSAFE = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}


def imported(source: str, module: str) -> set[str]:
    """Every dotted name that a module's source imports, wherever in it the import stands."""
    names: set[str] = set()
    package = module.split(".")[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            start = ".".join([*base, *([node.module] if node.module else [])])
            names |= {f"{start}.{alias.name}" for alias in node.names}
    return names


def rooms(source: str, module: str) -> set[str]:
    """The rooms of the house that a module's source imports from, its own apart."""
    found = set()
    for name in imported(source, module):
        parts = name.split(".")
        if parts[0] == "elman":
            inside = len(parts) > 1 and ((ROOT / parts[1]).is_dir() or (ROOT / f"{parts[1]}.py").is_file())
            found.add(parts[1] if inside else "elman")
    return found - {module.split(".")[1]}


def unsafe(source: str, module: str) -> set[str]:
    """What in a module's source reads or writes pickles."""
    found = {name for name in imported(source, module) if name.split(".")[0] in _UNSAFE}
    found |= imported(source, module) & {"torch.load", "torch.save"}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            dotted = f"{node.value.id}.{node.attr}"
            found |= {dotted} & {"torch.load", "torch.save"}
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            found.add("allow_pickle")
    return found


def name_of(path: Path) -> str:
    return ".".join(["elman", *path.relative_to(ROOT).with_suffix("").parts])


every_module = pytest.mark.parametrize("path", MODULES, ids=name_of)


@every_module
def test_imports_go_one_way_only(path: Path) -> None:
    module = name_of(path)
    room = module.split(".")[1]
    if module == "elman.__init__":
        # What it names is imported when it is first used; that block is read by type checkers only.
        return
    assert rooms(path.read_text(encoding="utf-8"), module) <= MAY_IMPORT[room]


def test_the_package_itself_imports_nothing_of_the_house_when_it_is_imported() -> None:
    tree = ast.parse((ROOT / "__init__.py").read_text(encoding="utf-8"))
    at_once = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    names = {name for node in at_once for name in imported(ast.unparse(node), "elman.__init__")}
    assert names
    assert not {name for name in names if name.startswith("elman")}


@every_module
def test_no_module_reads_or_writes_pickles(path: Path) -> None:
    assert unsafe(path.read_text(encoding="utf-8"), name_of(path)) == set()


@every_module
def test_a_file_is_at_most_400_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


@pytest.mark.parametrize(
    ("source", "room"),
    [
        ("from elman.cli.main import main", "cli"),
        ("import elman.training.loop as loop", "training"),
        ("from elman import layers", "layers"),
        ("def f():\n    from elman.models.folder import load", "models"),
        ("from ..training import options", "training"),
        ("if TYPE_CHECKING:\n    from elman.cli import info", "cli"),
        ("from elman import __version__", "elman"),
    ],
)
def test_an_import_is_seen_wherever_it_stands(source: str, room: str) -> None:
    assert rooms(source, "elman.cells.lstm") == {room}


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "def f():\n    import joblib",
        "torch.load('x')",
        "from torch import save",
        "numpy.load('x', allow_pickle=True)",
    ],
)
def test_a_pickle_is_seen(source: str) -> None:
    assert unsafe(source, "elman.files")


def test_safetensors_is_no_pickle() -> None:
    assert not unsafe("import safetensors.torch\nsafetensors.torch.save(x)", "elman.files")


_LOADED = """
import sys
import elman
from elman.cli.main import main
commands = ("train", "evaluate", "predict", "generate", "probe", "info", "cells", "convert", "demo")
for arguments in (["--help"], ["--version"], *([name, "--help"] for name in commands)):
    try:
        main(arguments)
    except SystemExit as stopped:
        assert not stopped.code, (arguments, stopped.code)
heavy = {"torch", "matplotlib", "tokenizers", "numpy", "safetensors", "tensorboard", "onnx", "h5py", "keras"}
print("loaded:", sorted(heavy & set(sys.modules)))
"""


def test_the_package_and_every_help_page_load_no_heavy_library() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _LOADED], capture_output=True, text=True, env=tiny.environment(), timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "loaded: []"
