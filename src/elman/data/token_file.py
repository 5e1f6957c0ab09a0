"""Token numbers on disk, so that a text may be larger than memory."""

import tempfile
from collections.abc import Callable, Iterable

import numpy as np

from elman.errors import DataError


def on_disk(
    pieces: Iterable[np.ndarray], vocabulary: int, watch: Callable[[np.ndarray], object] | None = None
) -> np.ndarray:
    """All pieces of token numbers, one after the other, as an array (N,) that is read from a file where it is looked at.

    The type is the smallest that `vocabulary` numbers fit into. The file has no name: it lies where the system keeps
    temporary files (TMPDIR), and is gone with the array. `watch` is given each piece. Raises `DataError` if there is no
    room for it.
    """
    kind = np.dtype(next(kind for kind in (np.uint8, np.uint16, np.int32) if vocabulary - 1 <= np.iinfo(kind).max))
    count = 0
    try:
        with tempfile.TemporaryFile() as file:
            for piece in pieces:
                if watch is not None:
                    watch(piece)
                count += len(piece)
                file.write(piece.astype(kind).tobytes())
            file.flush()
            if not count:
                return np.zeros(0, kind)
            return np.memmap(file, kind, mode="r", shape=(count,))
    except OSError as error:
        raise DataError(
            f"the tokens of the text can't be written to {tempfile.gettempdir()} ({error.strerror}): make room there, or "
            "name another folder in the environment variable TMPDIR."
        ) from error
