"""Look through time in any recurrent network: how far back it learns and remembers, and what to change.

`elman.probe(model, data)` measures (see `elman.probe.measure.probe`); `elman.probe.report` draws. So the package can be called.
"""

import sys
from types import ModuleType
from typing import Any


class _Room(ModuleType):
    """A package of this house that is called as a function."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        from elman.probe.measure import probe  # noqa: PLC0415

        return probe(*arguments, **options)


sys.modules[__name__].__class__ = _Room
