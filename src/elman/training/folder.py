"""The folder of a run: made whole, and never overwritten by mistake."""

import itertools
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from elman.data.text import STANDARD_INPUT, Document, Source, find_files, read_documents
from elman.errors import ModelFolderError, RunError
from elman.models.folder import read_config


def refuse_existing(out: Path, overwrite: bool, inputs: Sequence[Source | None]) -> None:
    """Raise `RunError` if `out` holds something, unless it is a run to overwrite that none of the inputs lies in."""
    try:
        if not out.exists() or (out.is_dir() and not any(out.iterdir())):
            return
    except OSError as error:
        raise RunError(f"{out} can't be looked into: {error.strerror}. Name another --out.") from error
    if not overwrite:
        raise RunError(
            f"{out} exists: go on with it (elman train --resume {out}), replace it (--overwrite), or name another --out."
        )
    try:
        read_config(out)
    except ModelFolderError as error:
        raise RunError(f"{out} is no run of elman's, so --overwrite will not delete it: name another --out.") from error
    for path in inputs:
        if isinstance(path, (str, Path)) and Path(path).resolve().is_relative_to(out.resolve()):
            raise RunError(f"{path} lies in {out}, which --overwrite would delete: name another --out.")


def make_folder(folder: Path, describe: Callable[[Path], None]) -> Path:
    """Make the run's folder with its description in it, all at once: it is never there without."""
    beside = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    try:
        beside.mkdir(parents=True)
        describe(beside)
        if folder.exists():
            shutil.rmtree(folder)
        beside.rename(folder)
    except OSError as error:
        raise RunError(f"the folder {folder} can't be made: {error.strerror}. Name another --out.") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return folder


def next_free(parent: Path, name: str) -> Path:
    """The first of NAME-1, NAME-2, … that isn't there; made, so that a run that starts beside this one takes another."""
    for number in itertools.count(1):
        folder = parent / f"{name}-{number}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise RunError(f"the folder {folder} can't be made: {error.strerror}. Name an --out.") from error
        return folder
    raise AssertionError("there is always a next number")


def taken_in(source: Source, encoding: str) -> Source:
    """Standard input, which can be read only once, as a document; any other source as it is."""
    return read_documents([source], encoding)[0] if str(source) == STANDARD_INPUT else source


def parts(source: Source) -> Sequence[Source]:
    """A folder's files as they are now."""
    return [source] if isinstance(source, Document) else find_files(Path(source))
