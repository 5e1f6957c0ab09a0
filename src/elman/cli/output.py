"""Writing to standard output for as long as somebody reads it."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from elman.errors import RunError


@contextmanager
def whole_output(what: str) -> Iterator[None]:
    """Around what writes: a reader that goes away ends it quietly, a full disk is a `RunError` about `what`."""
    try:
        yield
    except BrokenPipeError:
        # The reader went away (`elman generate | head`): nothing is wrong, and nothing more can be said.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise RunError(f"{what} could not be written: {error.strerror}. Free some space and try again.") from error
