"""Bad rows: one among many is skipped, counted and reported; a strict reader stops at the first."""

from elman.errors import DataError

_SHOWN = 3


class BadRows:
    """Rows that couldn't be used. `strict`: the first one is an error."""

    def __init__(self, strict: bool = False) -> None:
        self._strict = strict
        self._count = 0
        self._first: list[str] = []

    def skip(self, where: str, wrong: str) -> None:
        """Note the row at `where` ("train.tsv, line 12") and what is `wrong` with it. Raises `DataError` if strict."""
        if self._strict:
            raise DataError(f"{where}: {wrong}. Mend it, or leave --strict away to go on without such rows.")
        self._count += 1
        if len(self._first) < _SHOWN:
            self._first.append(f"{where}: {wrong}")

    @property
    def count(self) -> int:
        return self._count

    def notes(self) -> list[str]:
        """What to tell the user: nothing, or how many rows were skipped and what was wrong with the first."""
        if not self._count:
            return []
        rows = "1 bad row was" if self._count == 1 else f"{self._count:,} bad rows were"
        more = "; …" if self._count > len(self._first) else ""
        return [f"{rows} skipped ({'; '.join(self._first)}{more}); --strict stops at the first."]


def check_enough(name: str, good: int, skipped: int, bad: BadRows, remedy: str) -> None:
    """Raise `DataError` if no row could be used, or if more were skipped than used: that is no mishap, but the wrong file."""
    if not good:
        raise nothing_left(name, bad, remedy)
    if skipped > good:
        wrong = (
            f"{skipped:,} of {skipped + good:,} rows of {name} are bad: is it the right file, format and --encoding?"
        )
        raise DataError(" ".join([wrong, *bad.notes()]))


def nothing_left(name: str, bad: BadRows, remedy: str) -> DataError:
    """The error for a part of which no row could be used."""
    return DataError(" ".join([f"{name} holds nothing that can be used: {remedy}", *bad.notes()]))
