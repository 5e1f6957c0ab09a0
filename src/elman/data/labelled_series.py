"""Series of numbers with a class each, as their readers give them."""

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class Series:
    """A series (T, D) of float32 and its class, or None where that isn't known. `where` is like "train.ts, line 12".

    name      what tells it from others of its source      group   what it is kept together with, in a split
    """

    values_TD: np.ndarray
    label: str | None
    where: str
    name: str = ""
    group: str = ""

    def __len__(self) -> int:
        return len(self.values_TD)

    def frames(self) -> np.ndarray:
        """The values (T, D)."""
        return self.values_TD

    @property
    def fingerprint(self) -> str:
        """What of it is learnt from."""
        return repr((self.label, self.group, blake2b(self.values_TD.tobytes(), digest_size=16).hexdigest()))


@dataclass(frozen=True)
class Columns:
    """What a table is to be read by: names of columns, or numbers from 1; None is guessed."""

    id: str | None = None
    time: str | None = None
    label: str | None = None
    group: str | None = None
    values: tuple[str, ...] = ()


@dataclass
class Found:
    """What a reader of one file gives: its series before anything is filled in, and how it was understood."""

    series: list[Series]
    understood: str
    columns: dict[str, Any] = field(default_factory=dict)
