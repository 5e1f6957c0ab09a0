"""Texts and their classes: from tables and folders, by columns named or guessed; what is refused."""

from pathlib import Path

import pytest

from elman.data.bad_rows import BadRows
from elman.data.classes import read_examples
from elman.data.examples import Example, Reading
from elman.data.text import Document
from elman.errors import DataError

CSV = "text,label\nAğaç güzel,tr\n今天天气很好,zh\nمرحبا,ar\n"


def read(content: str, name: str = "a.csv", strict: bool = True, **options: object) -> Reading[Example]:
    return read_examples([Document(name, content)], bad=BadRows(strict), **options)  # type: ignore[arg-type]


def pairs(reading: Reading[Example]) -> list[tuple[str, str | None]]:
    return [(example.text, example.label) for example in reading.items]


def folder(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(text.encode())
    return root


def test_an_example_has_its_text_its_label_and_its_line() -> None:
    assert read(CSV).items == [
        Example("Ağaç güzel", "tr", "a.csv, line 2"),
        Example("今天天气很好", "zh", "a.csv, line 3"),
        Example("مرحبا", "ar", "a.csv, line 4"),
    ]


@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_a_file_with_a_byte_order_mark_and_any_line_end_is_read_alike(tmp_path: Path, end: str) -> None:
    (tmp_path / "a.csv").write_bytes(("\ufeff" + CSV.replace("\n", end)).encode())
    assert pairs(read_examples([tmp_path / "a.csv"], bad=BadRows(strict=True))) == pairs(read(CSV))


def test_columns_are_taken_by_their_known_names_whatever_they_hold() -> None:
    reading = read("id,Label,Sentence,notes\n1,a,x,long long long\n2,b,y,long long long\n")
    assert pairs(reading) == [("x", "a"), ("y", "b")]
    assert reading.columns == {"text": "Sentence", "label": "Label"}
    assert reading.understood == "the text is column 'Sentence', the label column 'Label'"


def test_columns_without_known_names_are_the_longest_texts_and_the_fewest_values() -> None:
    rows = "".join(f"{i}\t{'good' if i % 2 else 'bad'}\tfilm number {i} is long\tsame\n" for i in range(60))
    reading = read(rows, "a.tsv")
    assert reading.columns == {"text": "3", "label": "2"}
    assert pairs(reading)[:2] == [("film number 0 is long", "bad"), ("film number 1 is long", "good")]


def test_named_columns_overrule() -> None:
    assert pairs(read("text,label,x,y\na,b,c,d\ne,f,g,h\n", text="x", label="y")) == [("c", "d"), ("g", "h")]
    assert pairs(read("text,label,class\na,b,c\ne,f,g\n", text="label")) == [("b", "c"), ("f", "g")]
    assert pairs(read("text,label\nlong text,b\nlonger text,c\n", label="text")) == [
        ("b", "long text"),
        ("c", "longer text"),
    ]


def test_the_columns_of_one_part_read_another_alike() -> None:
    columns = read("a,b,z\none text,1,2\nanother text,2,2\n", label="b").columns
    assert pairs(read("z,b,a\n9,8,7\n9,7,6\n", **columns)) == [("7", "8"), ("6", "7")]


def test_columns_may_be_numbered_where_they_have_names() -> None:
    assert pairs(read("a,b,c\nx,1,one\ny,2,two\n", text="3", label="1")) == [("one", "x"), ("two", "y")]


def test_a_name_that_is_asked_for_makes_a_header() -> None:
    short = "yorum,duygu\ngüzel,iyi\nberbat,kötü\n"
    assert pairs(read(short, text="yorum", label="duygu")) == [("güzel", "iyi"), ("berbat", "kötü")]
    assert pairs(read(short, text="yorum", label="duygu", labelled=False))[0] == ("güzel", "iyi")


def test_a_folder_a_class_is_read_however_deep(tmp_path: Path) -> None:
    files = {
        "neg/1.txt": "bad\nfilm\n",
        "pos/a/2.txt": "👍",
        "pos/1.txt": "güzel",
        ".git/config": "x",
        "README": "read me",
    }
    reading = read_examples([folder(tmp_path / "d", files)], bad=BadRows(strict=True))
    assert pairs(reading) == [("bad\nfilm\n", "neg"), ("güzel", "pos"), ("👍", "pos")]
    assert reading.items[0].where == str(tmp_path / "d" / "neg" / "1.txt")
    assert reading.understood == "a class a folder (2), with a text a file"


def test_a_file_a_class_has_an_example_a_line(tmp_path: Path) -> None:
    root = folder(tmp_path / "d", {"Türkçe.txt": "Ayşe\r\n\r\nIşık\r\n", "中文.txt": "王\n"})
    reading = read_examples([root], bad=BadRows(strict=True))
    assert pairs(reading) == [("Ayşe", "Türkçe"), ("Işık", "Türkçe"), ("王", "中文")]
    assert reading.items[1].where == f"{root / 'Türkçe.txt'}, line 3"
    assert reading.understood == "a class a file (2), with a text a line"
    named = read_examples([root / "Türkçe.txt", root / "中文.txt"], bad=BadRows(strict=True))
    assert named == reading


def test_a_folder_of_tables_is_one_table(tmp_path: Path) -> None:
    root = folder(tmp_path, {"1.csv": "text,label\na,x\n", "2.csv": "label,text\ny,b\n"})
    assert pairs(read_examples([root], bad=BadRows(strict=True))) == [("a", "x"), ("b", "y")]


def test_for_prediction_a_label_is_none_where_it_is_absent() -> None:
    assert pairs(read("text\na\nb\n", labelled=False)) == [("a", None), ("b", None)]
    assert pairs(read("text,id\na,1\nb,1\n", labelled=False, text="text", label="class")) == [("a", None), ("b", None)]
    assert pairs(read("text,label\na,\nb,x\n", labelled=False)) == [("a", None), ("b", "x")]


def test_for_prediction_a_file_of_lines_will_do(tmp_path: Path) -> None:
    path = folder(tmp_path, {"a.txt": "bir\n\niki\n"}) / "a.txt"
    assert read_examples([path], bad=BadRows(strict=True), labelled=False).items == [
        Example("bir", None, f"{path}, line 1"),
        Example("iki", None, f"{path}, line 3"),
    ]


@pytest.mark.parametrize(
    ("row", "said"),
    [(" ,zh", "its text is empty"), ("a,", "its label \\(column 'label'\\) is empty"), ("a", "it has 1 cell")],
)
def test_a_row_without_text_or_label_is_skipped_and_counted(row: str, said: str) -> None:
    bad = BadRows()
    reading = read_examples([Document("a.csv", CSV + row + "\n")], bad=bad)
    assert pairs(reading) == pairs(read(CSV))
    assert bad.count == 1
    with pytest.raises(DataError, match=f"a.csv, line 5: {said}"):
        read(CSV + row + "\n")


def test_a_bad_text_of_a_folder_is_skipped_and_counted(tmp_path: Path) -> None:
    root = folder(tmp_path, {"a/1.txt": "x", "b/1.txt": "y", "b/2.txt": "", "b/3.txt": "z"})
    (root / "a" / "2.txt").write_bytes(b"\xff")
    (root / "a" / "3.txt").write_bytes(b"x" * 1_000_001)
    bad = BadRows()
    assert pairs(read_examples([root], bad=bad)) == [("x", "a"), ("y", "b"), ("z", "b")]
    assert bad.count == 3
    for name in ("a/2.txt: is not utf-8", "a/3.txt: it has 1,000,001", "b/2.txt: is empty"):
        assert name.replace("/", str(root / "a")[-2:-1]) in bad.notes()[0]


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        (CSV, {"label": "klass"}, r"no column 'klass': name one of text, label with --label"),
        (CSV, {"text": "3"}, r"no column '3': name one of text, label with --text"),
        ("a b\t1\nc d\t2\n", {"label": "label"}, r"it has no header: columns are numbered\): name one of 1, 2 "),
        (CSV, {"text": "text", "label": "text"}, "can't both be the column 'text'"),
        ("text\na\nb\n", {}, "a label is needed"),
        ("text,label\na,x\nb,x\n", {}, "the value 'x' alone: there must be two classes"),
        ("text,label\n", {}, "nothing that can be used.*no row"),
        (CSV + "a\nb\nc\nd\n", {}, "4 of 7 rows of a.csv are bad.*line 5: it has 1 cell"),
        ("text,label\n,x\n,y\n", {}, "nothing that can be used.*line 2: its text is empty"),
        ("text,label\n" + "".join(f"t{i},l{i}\n" for i in range(50)), {}, "50 distinct values in 50 rows.*--label"),
        ("text,label\n" + "".join(f"t,l{i % 1001}\n" for i in range(4004)), {}, "1,001 distinct values.*--label"),
    ],
)
def test_what_can_not_be_learnt_from_is_refused(text: str, options: dict[str, str], said: str) -> None:
    with pytest.raises(DataError, match=said) as caught:
        read(text, strict=False, **options)
    assert "a.csv" in str(caught.value)


def test_few_rows_may_have_a_class_each_and_a_test_part_a_single_one() -> None:
    assert len(read("text,label\n" + "".join(f"t{i},l{i}\n" for i in range(49))).items) == 49
    assert len(read("text,label\na,x\nb,x\n", training=False).items) == 2


def test_a_text_file_alone_is_no_table(tmp_path: Path) -> None:
    path = folder(tmp_path, {"a.txt": "one\ntwo\n"}) / "a.txt"
    with pytest.raises(DataError, match=r"a\.txt is no table"):
        read_examples([path], bad=BadRows())
