"""Libraries that only some formats need."""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from elman.errors import ConvertError


def needed(module: str, extra: str) -> Any:
    """Import a module of a library of elman's `extra`. Raises `ConvertError`, with what to install, if it isn't there."""
    if find_spec(module.split(".", maxsplit=1)[0]) is None:
        raise ConvertError(f"this needs the library {module}: install it by pip install 'elman[{extra}]'.")
    return import_module(module)
