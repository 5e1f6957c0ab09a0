"""Where a run's data came from, as its folder remembers it."""

from collections.abc import Sequence
from pathlib import Path

from elman.data.text import Document, Source
from elman.errors import RunError
from elman.files import write_atomically


def remember(folder: Path, sources: Sequence[Source]) -> list[dict[str, str]]:
    """The sources as a later start can read them: a file's absolute path, or a copy of what came from no file."""
    remembered = []
    for number, source in enumerate(sources, 1):
        if isinstance(source, Document):
            write_atomically(folder / f"input-{number}.txt", source.text)
            remembered.append({"copy": f"input-{number}.txt", "name": source.name})
        else:
            remembered.append({"path": str(Path(source).resolve())})
    return remembered


def recall(folder: Path, remembered: dict[str, str]) -> Source:
    """A source that `remember` noted. Raises `RunError` if its copy is gone."""
    if "path" in remembered:
        return remembered["path"]
    path = folder / remembered["copy"]
    try:
        return Document(remembered["name"], path.read_bytes().decode())
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"{path} can't be read ({error}): the run can't go on without its text. Restore it.") from error
