"""Series and their classes from .ts files, arrays and tables: what is read, what is filled in, what is refused and where."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from elman.data.bad_rows import BadRows
from elman.data.examples import Reading
from elman.data.labelled_series import Series
from elman.data.missing import fill_missing
from elman.data.series_examples import read_series
from elman.errors import DataError

HEADER = "# a comment\n@problemName Tiny\n@timeStamps false\n@dimensions 2\n@classLabel true up down\n@data\n"
GOOD = HEADER + "1,2,3:4,5,6:up\n7,8:9,10:down\n"
LONG = "series,time,x,y,class\na,0,1,2,up\nb,0,5,6,down\na,1,3,4,up\nb,2,7,8,down\n"


def read(path: Path, bad: BadRows | None = None, **options: Any) -> Reading[Series]:
    return read_series([path], bad=bad or BadRows(strict=True), **options)


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_a_ts_file_has_a_series_a_line_of_any_length(tmp_path: Path) -> None:
    reading = read(write(tmp_path / "a.ts", GOOD))
    first, second = reading.items
    assert first.values_TD.dtype == np.float32
    assert first.values_TD.tolist() == [[1, 4], [2, 5], [3, 6]]
    assert second.values_TD.tolist() == [[7, 9], [8, 10]]
    assert [item.label for item in reading.items] == ["up", "down"]
    assert second.where.endswith("a.ts, line 8")
    assert "2 dimensions" in reading.understood


def test_a_univariate_ts_file_needs_no_dimensions(tmp_path: Path) -> None:
    text = "@problemName A\n@univariate true\n@classLabel true 0 1\n@data\n1.5,2:0\n-3e-1,NaN,4:1\n"
    items = read(write(tmp_path / "a.ts", text), missing="interpolate").items
    assert items[0].values_TD.tolist() == [[1.5], [2]]
    assert items[1].values_TD[:, 0] == pytest.approx([-0.3, 1.85, 4])


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("1,2:up", "line 7: it has 1 dimensions between colons, where 2 were told of"),
        ("1,x:2,3:up", "line 7: 'x' in dimension 1 is no number"),
        ("1,2:3:up", "line 7: its dimensions have 1 and 2 values"),
        ("1,2:3,4:left", r"line 7: its class 'left' is not among those of the header \(up, down\)"),
        (":: up", "line 7: it has 2 dimensions|line 7: it has no steps"),
    ],
)
def test_a_bad_line_of_a_ts_file_is_skipped_counted_and_named(tmp_path: Path, line: str, says: str) -> None:
    path = write(tmp_path / "a.ts", HEADER + line + "\n" + GOOD.removeprefix(HEADER))
    bad = BadRows()
    assert len(read(path, bad).items) == 2
    assert bad.count == 1
    with pytest.raises(DataError, match=says):
        read(path)


STAMPED = HEADER.replace("@timeStamps false", "@timeStamps true")


@pytest.mark.parametrize(
    "line",
    ["(0,1),(0.5,2):(0,3),(0.5,?):up", "(2024-01-31 15:00:00,1), (2024-01-31 16:00:00,2):"
     "(2024-01-31 15:00:00,3), (2024-01-31 16:00:00,?): up"],
)  # fmt: skip
def test_a_ts_file_may_have_a_time_stamp_with_each_value(tmp_path: Path, line: str) -> None:
    path = write(tmp_path / "a.ts", STAMPED + line + "\n" + line.replace("up", "down"))
    items = read(path, missing="carry").items
    assert [item.values_TD.tolist() for item in items] == [[[1, 3], [2, 3]]] * 2
    assert [item.label for item in items] == ["up", "down"]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("(0,1),(0,2):(0,1),(0,2):up", "the time 0 is there twice in dimension 1"),
        ("(1,1),(2,1):(1,1),(0,2):up", "the time 0 lies before that of the value before it in dimension 2"),
        ("(noon,1):(noon,1):up", "'noon' is no time in dimension 1"),
        ("(0,1),(1,2):(0,1),(2,2):up", "different time stamps"),
        ("1,2:3,4:up", "dimension 1 is not of pairs"),
        ("(0,x):(0,1):up", "'x' in dimension 1 is no number"),
    ],
)
def test_a_bad_time_stamp_of_a_ts_file_is_named(tmp_path: Path, line: str, says: str) -> None:
    path = write(tmp_path / "a.ts", STAMPED + line + "\n(0,1):(0,1):up\n(0,1):(0,1):down\n")
    bad = BadRows()
    assert len(read(path, bad).items) == 2
    assert bad.count == 1
    with pytest.raises(DataError, match=f"line 7: .*{says}"):
        read(path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("let a = 1;\n", r"a\.ts, line 1: it begins with 'let a = 1;'"),
        ("@problemName A\n", "has no line @data"),
        (GOOD.replace("@classLabel true up down", "@targetLabel true"), "numbers as targets"),
        (GOOD.replace("@classLabel true up down", "@classLabel true"), "followed by the names of the classes"),
        (GOOD.replace("@dimensions 2", "@dimensions two"), "@dimensions must be followed by a whole number"),
        (GOOD.replace("@classLabel true up down\n", "").replace(":up", "").replace(":down", ""), "has no label"),
        (HEADER, "holds nothing that can be used"),
        (GOOD.replace("7,8:9,10:down", "7,8:9,10:up"), "all series have the class 'up'"),
    ],
)
def test_a_ts_file_that_cannot_be_understood_is_an_error(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        read(write(tmp_path / "a.ts", text))


def test_arrays_are_series_whose_ends_of_nan_are_no_steps(tmp_path: Path) -> None:
    x = np.arange(12.0).reshape(3, 2, 2)
    x[1, 1] = np.nan
    np.savez(tmp_path / "a.npz", X=x, y=np.array([3, 1, 3]))
    items = read(tmp_path / "a.npz").items
    assert [item.values_TD.tolist() for item in items] == [[[0, 1], [2, 3]], [[4, 5]], [[8, 9], [10, 11]]]
    assert [item.label for item in items] == ["3", "1", "3"]
    assert items[1].where.endswith("a.npz, row 2")
    np.savez(tmp_path / "b.npz", X=np.ones((2, 5), bool), y=["a", "b"])
    assert [item.values_TD.shape for item in read(tmp_path / "b.npz").items] == [(5, 1), (5, 1)]
    np.save(tmp_path / "c.npy", x)
    assert [item.label for item in read(tmp_path / "c.npy", labelled=False).items] == [None] * 3


def test_arrays_that_are_none_of_series_are_refused_by_name(tmp_path: Path) -> None:
    def refused(says: str, name: str = "a.npz", **arrays: Any) -> None:
        if arrays:
            np.savez(tmp_path / name, **arrays)
        with pytest.raises(DataError, match=rf"{name}.*{says}"):
            read(tmp_path / name)

    refused("holds Z, but no array X", Z=np.ones(3))
    refused(r"shape \(3,\)", X=np.ones(3), y=np.ones(3))
    refused("values of the kind <U1", X=np.array([["a", "b"]]), y=["a"])
    refused("a label for each of the 2 series", X=np.ones((2, 3, 1)), y=["a"])
    refused("has no label", X=np.ones((2, 3, 1)))
    # An array of objects would have to be unpickled.
    np.savez(tmp_path / "o.npz", X=np.array([[1], [2, 3]], dtype=object), y=["a", "b"])
    refused("objects in place of numbers", "o.npz")
    (tmp_path / "b.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:100])
    refused("damaged", "b.npz")
    (tmp_path / "c.npy").write_bytes(b"")
    refused("damaged", "c.npy")


def test_a_table_has_a_row_a_step_and_series_may_be_mixed(tmp_path: Path) -> None:
    reading = read(write(tmp_path / "a.csv", LONG))
    assert [item.values_TD.tolist() for item in reading.items] == [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]
    assert [(item.name, item.label) for item in reading.items] == [("a", "up"), ("b", "down")]
    assert reading.columns == {"id": "series", "time": "time", "label": "class", "values": ("x", "y")}
    assert "features are x, y" in reading.understood


def test_columns_are_those_that_are_named(tmp_path: Path) -> None:
    text = "who,when,what,kind,v\n1,2024-01-01 10:00,p,x,1\n1,2024-01-01 11:00,p,x,2\n2,2024-01-01,q,z,3\n"
    options = {"id": "who", "time": "when", "label": "kind", "group": "what"}
    reading = read(write(tmp_path / "a.csv", text), **options)
    assert [(item.label, item.group, len(item)) for item in reading.items] == [("x", "p", 2), ("z", "q", 1)]
    with pytest.raises(DataError, match=r"has no column 'whom'.*--id"):
        read(tmp_path / "a.csv", **{**options, "id": "whom"})
    with pytest.raises(DataError, match=r"none of them is known to tell series apart.*--id"):
        read(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("a,1,9,9,up", r"line 6: the series 'a' can't be used: its time 1 is there twice"),
        ("a,0.5,9,9,up", "its time 0.5 lies before that of the row before it"),
        ("a,soon,9,9,up", "'soon' is no time"),
        ("a,2,9,9,down", "its label is 'up' before and 'down' here"),
        ("a,2,much,9,up", "'much' in column 'x' is no number"),
        (",2,9,9,up", "its id .column 'series'. is empty"),
        ("a,2,9", "it has 3 cells"),
    ],
)
def test_a_bad_row_of_a_table_costs_its_series_and_is_named(tmp_path: Path, row: str, says: str) -> None:
    more = "c,0,1,1,up\nd,0,1,1,up\n"
    path = write(tmp_path / "a.csv", LONG + row + "\n" + more)
    bad = BadRows()
    reading = read(path, bad)
    assert bad.count == 1
    assert len(reading.items) in (3, 4)
    with pytest.raises(DataError, match=says):
        read(path)


def test_new_data_needs_no_labels(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", LONG.replace(",class", "").replace(",up", "").replace(",down", ""))
    items = read(path, labelled=False, id="series", time="time", label="class", values=["y", "x"]).items
    assert [item.values_TD.tolist() for item in items] == [[[2, 1], [4, 3]], [[6, 5], [8, 7]]]
    with pytest.raises(DataError, match="has no column 'z', which is among the features that were learnt"):
        read(path, labelled=False, values=["y", "z"])


def test_missing_values_are_filled_as_said() -> None:
    x = np.array([[np.nan, 1], [2, np.inf], [np.nan, 5], [8, np.nan]])
    assert fill_missing(x, "carry", "x").tolist() == [[2, 1], [2, 1], [2, 5], [8, 5]]
    assert fill_missing(x, "interpolate", "x").tolist() == [[2, 1], [2, 3], [5, 5], [8, 5]]
    with pytest.raises(
        DataError, match=r"a\.ts, line 3: a value is missing or not finite \(step 1, feature 1\).*--missing carry"
    ):
        fill_missing(x, "error", "a.ts, line 3")
    with pytest.raises(DataError, match="feature 2 has no value at all"):
        fill_missing(np.array([[1, np.nan]]), "carry", "x")


def test_a_missing_value_in_a_file_stops_unless_it_is_said_what_to_do(tmp_path: Path) -> None:
    path = write(tmp_path / "a.ts", GOOD.replace("7,8:", "7,?:"))
    with pytest.raises(DataError, match=r"line 8: a value is missing .*--missing"):
        read(path, BadRows())
    assert read(path, missing="carry").items[1].values_TD.tolist() == [[7, 9], [7, 10]]


def test_series_of_other_features_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.ts", GOOD)
    write(tmp_path / "b.ts", "@univariate true\n@classLabel true up down\n@data\n1,2:up\n")
    with pytest.raises(DataError, match=r"b\.ts, line 4 has 1 features, but .*a\.ts, line 7 has 2"):
        read_series([tmp_path], bad=BadRows())
