"""Reading safetensors files: tensors by name and the texts of the header; and what damaged archives raise."""

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import safetensors

from elman.axes import Tensor
from elman.errors import ConvertError

# What `zipfile`, and what reads in an archive, raise for one that is damaged.
ARCHIVE_ERRORS = (
    OSError,
    ValueError,
    KeyError,
    EOFError,
    RuntimeError,
    NotImplementedError,
    zlib.error,
    zipfile.BadZipFile,
)


class Contents(NamedTuple):
    """What a safetensors file holds."""

    tensors: dict[str, Tensor]
    metadata: dict[str, str]


def read_safetensors(path: Path) -> Contents:
    """Read a whole file. Raises `ConvertError` if it isn't there, isn't safetensors or is damaged."""
    with _opened(path) as file:
        return Contents({name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {})  # noqa: SIM118


def read_header(path: Path) -> tuple[list[str], dict[str, str]]:
    """The names of a file's tensors, and the texts of its header. Raises as `read_safetensors` does."""
    with _opened(path) as file:
        return list(file.keys()), file.metadata() or {}


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            yield file
    except (safetensors.SafetensorError, OSError) as error:
        raise ConvertError(f"{path} is no safetensors file, or is damaged: {error}.") from error
