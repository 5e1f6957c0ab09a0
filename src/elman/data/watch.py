"""Who wants to know how far the reading of a file has come: nobody, until someone says so."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

# The name of what is read, and how many bytes of it.
Watcher = Callable[[str, int], None]

_watcher: ContextVar[Watcher | None] = ContextVar("watcher", default=None)


@contextmanager
def watched(watcher: Watcher) -> Iterator[None]:
    """Within this, `watcher` is told of what is read."""
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)


def tell(name: str, read: int) -> None:
    """So many bytes of this have been read."""
    watcher = _watcher.get()
    if watcher is not None:
        watcher(name, read)
