"""The next batch is made while the network is busy with this one."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any


class Prefetch:
    """`batch`, a pure function of the step, called one step ahead in a thread of its own, which ends with `close`.

    Steps may be asked for in any order; what was made ahead is used if it is the one. An error of `batch` is raised when its
    step is asked for.
    """

    def __init__(self, batch: Callable[[int], Any]) -> None:
        self._batch = batch
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="elman-batches")
        self._ahead: tuple[int, Future[Any]] | None = None

    def __call__(self, step: int) -> Any:
        """The batch of this step."""
        ahead = self._ahead
        if ahead is None or ahead[0] != step:
            ahead = step, self._thread.submit(self._batch, step)
        batch = ahead[1].result()
        self._ahead = step + 1, self._thread.submit(self._batch, step + 1)
        return batch

    def close(self) -> None:
        """Wait for what is being made, and end the thread."""
        self._thread.shutdown(wait=True, cancel_futures=True)
