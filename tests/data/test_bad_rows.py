"""Bad rows: skipped and counted, or the first one is an error."""

import pytest

from elman.data.bad_rows import BadRows, nothing_left
from elman.errors import DataError


def test_no_bad_row_leaves_no_note() -> None:
    assert BadRows().notes() == []


def test_what_was_skipped_is_counted_and_the_first_are_shown() -> None:
    bad = BadRows()
    bad.skip("a.csv, line 3", "its text is empty")
    assert bad.notes() == ["1 bad row was skipped (a.csv, line 3: its text is empty); --strict stops at the first."]
    for line in range(4, 1204):
        bad.skip(f"a.csv, line {line}", "it is wrong")
    [note] = bad.notes()
    assert bad.count == 1201
    assert note.startswith(
        "1,201 bad rows were skipped (a.csv, line 3: its text is empty; a.csv, line 4: it is wrong; "
    )
    assert "line 5" in note
    assert "line 6" not in note


def test_a_strict_reader_stops_at_the_first() -> None:
    bad = BadRows(strict=True)
    with pytest.raises(DataError, match=r"^a\.csv, line 3: its text is empty\. .*--strict"):
        bad.skip("a.csv, line 3", "its text is empty")


def test_where_nothing_is_left_the_first_bad_rows_are_named() -> None:
    bad = BadRows()
    bad.skip("a.csv, line 1", "its text is empty")
    assert "a.csv, line 1" in str(nothing_left("a.csv", bad, "it has no rows."))
