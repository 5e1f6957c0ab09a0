"""Tables of series, wide and long: what is read, and what is refused, by file and line."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from elman.data.bad_rows import BadRows
from elman.data.series import Columns, SeriesReading
from elman.data.series_table import read_series
from elman.data.text import Document
from elman.errors import DataError

WIDE = "date,load,heat\n2024-01-01,1,10\n2024-01-02,2,20\n2024-01-03,3,30\n"
LONG = "unique_id,ds,y\na,1,1.5\nb,1,10\na,2,2.5\nb,2,20\na,3,3.5\n"


def read(text: str, name: str = "data.csv", missing: str = "error", **columns: Any) -> SeriesReading:
    return read_series([Document(name, text)], Columns(**columns), missing=missing, bad=BadRows(strict=True))


def refused(text: str, **options: Any) -> str:
    with pytest.raises(DataError) as error:
        read(text, **options)
    return str(error.value)


def test_a_wide_table_has_a_column_a_series() -> None:
    found = read(WIDE)
    assert found.columns == Columns(time="date", values=("load", "heat"))
    (series,) = found.series
    assert series.y_TD.tolist() == [[1, 10], [2, 20], [3, 30]]
    assert found.clock.in_words == "1 day, 0:00:00 a step"
    assert "forecast: load, heat" in found.understood


def test_a_long_table_has_a_row_for_each_series_and_step() -> None:
    found = read(LONG)
    assert found.columns == Columns("unique_id", "ds", ("y",))
    assert [(series.id, series.y_TD[:, 0].tolist()) for series in found.series] == [
        ("a", [1.5, 2.5, 3.5]),
        ("b", [10, 20]),
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("data.tsv", LONG.replace(",", "\t")),
        ("data.jsonl", '{"unique_id": "a", "ds": 1, "y": 1.5}\n{"unique_id": "a", "ds": 2, "y": null}\n'),
    ],
)
def test_other_formats_are_read_alike(name: str, text: str) -> None:
    found = read(text, name, missing="carry")
    assert found.series[0].id == "a"
    assert found.series[0].y_TD[0, 0] == 1.5


def test_parquet_is_read_with_its_own_kinds(tmp_path: Path) -> None:
    polars = pytest.importorskip("polars")
    from datetime import datetime, timedelta

    times = [datetime(2024, 1, 1) + timedelta(hours=n) for n in range(4)]
    polars.DataFrame({"ds": times, "y": [1.0, 2.0, 3.0, 4.0]}).write_parquet(tmp_path / "x.parquet")
    found = read_series([tmp_path / "x.parquet"], Columns(), bad=BadRows(strict=True))
    assert found.clock.in_words == "1:00:00 a step"
    assert found.series[0].y_TD[:, 0].tolist() == [1, 2, 3, 4]


def test_without_a_time_rows_are_counted() -> None:
    found = read("load,heat\n1,2\n3,4\n")
    assert found.clock.style == "row"
    assert found.series[0].stamps_T.tolist() == [1, 2]


def test_covariates_stand_by_themselves_and_rows_without_a_value_are_the_future() -> None:
    text = "ds,y,wind,holiday\n1,5,0.1,0\n2,6,0.2,1\n3,,,0\n4,,,1\n"
    (series,) = read(text, past=("wind",), known=("holiday",)).series
    assert series.y_TD[:, 0].tolist() == [5, 6]
    assert series.past_TP[:, 0].tolist() == [0.1, 0.2]
    assert series.known_FK[:, 0].tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize(("missing", "values"), [("carry", [1, 1, 1, 4, 5, 5]), ("interpolate", [1, 2, 3, 4, 5, 5])])
def test_gaps_and_missing_values_are_filled_in_as_told(missing: str, values: list[float]) -> None:
    # Nothing in the second and the last row, and no third row.
    text = "ds,y\n1,1\n2,\n4,4\n5,5\n6,inf\n"
    (series,) = read(text, missing=missing).series
    assert series.y_TD[:, 0].tolist() == values
    assert series.stamps_T.tolist() == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ds,y\n1,1\n2,two\n3,3\n4,4\n", "data.csv, line 3: 'two' (column 'y') is no number"),
        ("ds,y\n1,1\nyesterday,2\n3,3\n", "data.csv, line 3: 'yesterday' (column 'ds') is no time stamp"),
        ("ds,y\n1,1\n2,nan\n3,3\n", "data.csv, line 3: the value of 'y' is missing or not finite"),
        ("ds,y\n1,1\n2,-inf\n3,3\n", "data.csv, line 3: the value of 'y' is missing or not finite"),
        ("ds,y\n1,1\n3,2\n2,3\n", "data.csv, line 4: the time stamp 2 lies before that of the row before it"),
        ("ds,y\n1,1\n2,2\n2,3\n", "data.csv, line 4: the time stamp 2 is there twice"),
        ("ds,y\n1,1\n2,2\n4,3\n5,4\n", "data.csv, line 4: 1 steps are missing between 2 and 4"),
        (
            "ds,y\n2024-01-01,1\n2024-01-02,2\n2024-01-03 06:00,3\n2024-01-04,3\n2024-01-05,3\n",
            "line 4: the time stamp",
        ),
        ("ds,y\n1,1\n2024-01-01,2\n", "kinds that don't go together"),
        ("unique_id,ds,y\na,1,1\n,2,2\n", "data.csv, line 3: the id (column 'unique_id') is empty"),
        ("ds,y\n1,\n2,\n", "the column 'y' has no number at all"),
        ("ds,word\n1,a\n2,b\n", "no column of numbers to forecast"),
    ],
)
def test_what_is_wrong_is_named_by_file_and_line(text: str, said: str) -> None:
    assert said in refused(text)


def test_a_column_that_is_not_there_is_named_with_those_that_are() -> None:
    assert "no column 'price'" in refused(WIDE, values=("price",))
    assert "both to forecast and a covariate" in refused(WIDE, values=("load",), past=("load",))


def test_a_table_that_would_be_mostly_filled_in_is_refused() -> None:
    text = "ds,y\n1,1\n2,2\n100000000,3\n"
    assert "too few to fill in the others" in refused(text, missing="carry")


def test_a_known_covariate_that_is_missing_is_named() -> None:
    assert "line 4: the value of 'holiday'" in refused("ds,y,holiday\n1,1,0\n2,2,1\n3,,\n4,,1\n", known=("holiday",))


def test_another_part_is_read_by_the_columns_and_clock_of_the_first() -> None:
    found = read(WIDE)
    more = read_series(
        [Document("more.csv", "date,heat,load\n2024-01-04,1,2\n")],
        found.columns,
        clock=found.clock,
        bad=BadRows(strict=True),
    )
    assert np.array_equal(more.series[0].y_TD, [[2, 1]])
    with pytest.raises(DataError, match="kinds that don't go together"):
        read_series([Document("more.csv", "date,heat,load\n4,1,2\n")], found.columns, clock=found.clock, bad=BadRows())
