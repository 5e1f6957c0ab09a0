"""Tables: formats, headers, line numbers, bad rows, and memory."""

import json
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elman.data.bad_rows import BadRows
from elman.data.delimited import has_header
from elman.data.table import read_table, table_format
from elman.data.text import Document
from elman.errors import DataError

TEXTS = ["Ağaç, ışık", "今天\n天气", 'مرحبا "بك"', "👩‍👩‍👧"]


def rows_of(text: str, name: str, strict: bool = True) -> tuple[list[str], list[tuple[int, list[str]]], BadRows]:
    bad = BadRows(strict)
    table = read_table(Document(name, text), bad=bad)
    rows = [(int(where.rsplit(" ", 1)[1]), list(row.values())) for where, row in table.rows]
    return table.columns, rows, bad


def test_csv_has_quotes_and_line_numbers_that_hold_after_quoted_line_breaks() -> None:
    text = 'text,label\r\n"Ağaç, ışık",1\r\n"今天\r\n天气",2\r\n\r\n"مرحبا ""بك""",3\r\n👩‍👩‍👧,4'
    columns, rows, _ = rows_of(text, "a.csv")
    assert columns == ["text", "label"]
    assert rows == [
        (number, [text, str(i)]) for i, (number, text) in enumerate(zip([2, 3, 6, 7], TEXTS, strict=True), 1)
    ]


def test_tsv_takes_quotation_marks_as_they_are() -> None:
    _, rows, _ = rows_of('text\tlabel\n"open\t1\nhe said "no"\t2\n', "a.tsv")
    assert rows == [(2, ['"open', "1"]), (3, ['he said "no"', "2"])]


@pytest.mark.parametrize("sign", [";", "\t"])
def test_csv_may_be_separated_otherwise(sign: str) -> None:
    columns, rows, _ = rows_of(f'text{sign}label\n"a{sign}b"{sign}1\nc, d{sign}2\n', "a.csv")
    assert columns == ["text", "label"]
    assert rows == [(2, [f"a{sign}b", "1"]), (3, ["c, d", "2"])]


def test_json_lines_become_text_and_keys_are_columns() -> None:
    objects = [{"text": TEXTS[0], "n": 1}, {"text": None, "n": True, "more": [1, "é"]}]
    columns, rows, _ = rows_of("\n".join(map(json.dumps, objects)) + "\n\n", "a.jsonl")
    assert columns == ["text", "n", "more"]
    assert rows == [(1, [TEXTS[0], "1"]), (2, ["", "true", '[1, "é"]'])]


def test_parquet_is_read_row_by_row(tmp_path: Path) -> None:
    polars = pytest.importorskip("polars")
    for path in (tmp_path / "a.parquet", tmp_path / "without-ending"):
        polars.DataFrame({"text": [*TEXTS, None], "n": range(5)}).write_parquet(path)
        table = read_table(path, bad=BadRows(strict=True))
        assert table.columns == ["text", "n"]
        rows = list(table.rows)
        assert rows[0] == (f"{path}, row 1", {"text": TEXTS[0], "n": "0"})
        assert [row["text"] for _, row in rows] == [*TEXTS, ""]


def test_a_damaged_parquet_file_is_refused_by_name(tmp_path: Path) -> None:
    pytest.importorskip("polars")
    (tmp_path / "a.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match=r"a\.parquet can't be read as Parquet"):
        read_table(tmp_path / "a.parquet", bad=BadRows())
    with pytest.raises(DataError, match=r"b\.parquet can't be read"):
        read_table(tmp_path / "b.parquet", bad=BadRows())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"text": "a"}\n', "jsonl"),
        ("a b\t1\nc d\t0\n", "tsv"),
        ("text,label\na,b\n", "csv"),
        ("It was the best of times,\nit was the worst of times,\n", None),
        ("one\n\ntwo\n", None),
        ("From\tADP\nthe\tDET\n\nAP\tPROPN\n", None),
        ("", None),
    ],
)
def test_a_table_without_an_ending_is_known_by_its_first_lines(text: str, expected: str | None) -> None:
    assert table_format(Document("standard input", text)) == expected


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([["text", "label"], ["a", "b"]], True),
        ([["Sentence", "CLASS"]], True),
        ([["", "text", "label"], ["0", "a", "b"]], True),
        ([["yorum", "puan"], ["çok güzel bir film", "5"], ["kötü bir film", "1"]], True),
        ([["yorum", "duygu"], *[["çok güzel bir film", "iyi"], ["kötü bir film", "kötü"]] * 10], True),
        ([["a fine film", "1"], ["a bad film", "0"]], False),
        ([["a fine film", "good"], *[["a bad film", "bad"], ["another film", "good"]] * 10], False),
        # A known name that is a value of its column; a first row with a value that is rare but no name.
        ([["how so", "question"], ["why", "question"], ["because", "answer"]], False),
        ([["a film that is long", "rare"], *[[f"film {i}", ["bad", "good"][i % 2]] for i in range(20)]], False),
        ([["x y", "x y"], ["a", "1"]], False),
        # Codes of languages are names among themselves, and values beside a text.
        ([["en", "tr"], ["a tree", "ağaç"]], True),
        ([["Guten Tag", "de"], ["günaydın", "tr"]], False),
    ],
)
def test_a_first_row_is_a_header_by_its_names_or_because_it_fits_no_column(
    rows: list[list[str]], expected: bool
) -> None:
    assert has_header(rows) == expected


def test_without_a_header_columns_are_numbered() -> None:
    columns, rows, _ = rows_of("a fine film\t1\na bad film\t0\n", "a.tsv")
    assert columns == ["1", "2"]
    assert rows[0] == (1, ["a fine film", "1"])


def test_a_nameless_column_of_a_header_has_its_number() -> None:
    assert rows_of(",text,label\n0,a,b\n", "a.csv")[0] == ["1", "text", "label"]


@pytest.mark.parametrize(
    ("name", "text", "line", "said", "left"),
    [
        ("a.csv", "text,label\na,1\nb\nc,2\n", 3, "it has 1 cell, but the columns are text, label", 2),
        ("a.csv", "text,label\na,1\nb,2,3\nc,2\n", 3, "it has 3 cells", 2),
        ("a.tsv", "a b\t1\nb c\t1\nd\ne f\t0\n", 3, "it has 1 cell, but the others have 2", 3),
        ("a.tsv", "text\tlabel\na\0\t1\nb\t2\n", 2, "NUL", 1),
        ("a.csv", "text,label\na\0,1\nb,2\n", 2, "NUL", 1),
        ("a.csv", 'text,label\n"a,1\nb,2\nc,3\n', 2, "quotation mark", 2),
        ("a.csv", 'text,label\n1,"a\n2,"b"\n3,c\n', 2, "quotation mark", 2),
        ("a.csv", "text,label\n" + "x" * 1_000_001 + ",1\nb,2\n", 2, "1,000,003 characters", 1),
        ("a.csv", 'text,label\na,1\n"b\n' + ("x" * 100_000 + "\n") * 11 + "c,2\n", 3, "quotation mark", 2),
        ("a.jsonl", '{"text": "a"}\n{"text": \n{"text": "b"}\n', 2, "no JSON", 2),
        ("a.jsonl", '{"text": "a"}\n[1]\n', 2, "no object", 1),
        ("a.jsonl", '{"text": "a"}\n' + "[" * 100_000 + "\n", 2, "no JSON", 1),
        ("a.jsonl", '{"text": "a"}\n{"text": "\\ud800"}\n', 2, "no Unicode", 1),
        ("a.jsonl", '{"text": "a"}\n{"text": "\\u0000"}\n', 2, "NUL", 1),
    ],
)
def test_a_bad_row_is_named_and_the_others_are_read(name: str, text: str, line: int, said: str, left: int) -> None:
    _, rows, bad = rows_of(text, name, strict=False)
    assert len(rows) == left
    assert f"{name}, line {line}: " in bad.notes()[0]
    assert said in bad.notes()[0]
    with pytest.raises(DataError, match=f"^{name}, line {line}: "):
        rows_of(text, name)


def test_undecodable_bytes_are_a_bad_row(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b'text,label\n"a\nb",1\ncaf\xe9,2\n"d\n\xff",3\ne,4\n')
    bad = BadRows()
    rows = [row for _, row in read_table(path, bad=bad).rows]
    assert rows == [{"text": "a\nb", "label": "1"}, {"text": "e", "label": "4"}]
    assert "line 4: it is not utf-8 text (byte 0xe9" in bad.notes()[0]
    assert "line 5: a quotation mark" in bad.notes()[0]


def test_a_cell_may_be_longer_than_the_csv_modules_default_limit() -> None:
    assert rows_of("text,label\n" + "x" * 900_000 + ",1\n", "a.csv")[1][0][1][0] == "x" * 900_000


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.csv", "", "no rows"),
        ("a.jsonl", "\n", "no rows"),
        ("a.json", '[{"text": "a"}]', "JSON array"),
        ("a.txt", "only prose\nhere\n", "no table"),
        ("a.parquet", "x", "Parquet"),
    ],
)
def test_what_is_no_table_is_refused_by_name(name: str, text: str, said: str) -> None:
    with pytest.raises(DataError, match=said) as caught:
        rows_of(text, name)
    assert name in str(caught.value)


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl"])
def test_memory_doesnt_grow_with_the_table(tmp_path: Path, suffix: str) -> None:
    def peak(rows: int) -> int:
        path = tmp_path / f"{rows}.{suffix}"
        sign = "\t" if suffix == "tsv" else ","
        row = json.dumps({"text": "x" * 100, "label": "1"}) if suffix == "jsonl" else f"{'x' * 100}{sign}1"
        path.write_text(f"{row}\n" * rows, encoding="utf-8")
        tracemalloc.start()
        assert sum(1 for _ in read_table(path, bad=BadRows()).rows) == rows
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    assert peak(20_000) < 1.2 * peak(3_000)


@given(
    st.lists(
        st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0\r")), min_size=2, max_size=2), min_size=1
    )
)
def test_what_csv_writes_is_read(cells: list[list[str]]) -> None:
    import csv
    import io

    written = io.StringIO()
    csv.writer(written, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows([["text", "label"], *cells])
    assert [row for _, row in rows_of(written.getvalue(), "a.csv")[1]] == [row for row in cells if any(row)]
