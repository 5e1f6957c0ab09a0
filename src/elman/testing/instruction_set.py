"""The native core's instruction sets, so that a test can run under each that the machine has."""

from collections.abc import Iterator
from contextlib import contextmanager

from elman.engines import native


def instruction_sets() -> tuple[str, ...]:
    """The instruction sets that both the native core and this machine have, the plainest first; none without the core."""
    return native.instruction_sets()


@contextmanager
def using_instruction_set(name: str) -> Iterator[None]:
    """Run the native core with this instruction set, in this process, and afterwards with the former one.

    Raises `OptionError` for a name that isn't one of `instruction_sets()`, `EngineError` without the core.
    """
    before = native.instruction_set()
    native.use_instruction_set(name)
    try:
        yield
    finally:
        if before is not None:
            native.use_instruction_set(before)
