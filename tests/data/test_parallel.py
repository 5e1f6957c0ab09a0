"""Texts and their translations: two files, or two columns; what doesn't belong together is refused."""

import json
from pathlib import Path

import pytest

from elman.data.bad_rows import BadRows
from elman.data.examples import Pair
from elman.data.parallel import read_pairs
from elman.data.text import Document, Source
from elman.errors import DataError

ONE, OTHER = "Bir ağaç.\nİki ağaç.\nÜç.", "一棵树。\n两棵树。\n三。"


def both(one: str, other: str) -> list[Source]:
    return [Document("a.tr", one), Document("a.zh", other)]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_two_files_are_read_line_by_line(tmp_path: Path, end: str) -> None:
    (tmp_path / "a.tr").write_bytes(("\ufeff" + ONE.replace("\n", end)).encode())
    (tmp_path / "a.zh").write_bytes(OTHER.replace("\n", end).encode())
    expected = [
        Pair(source, target, f"{tmp_path / 'a.tr'}, line {number}")
        for number, (source, target) in enumerate(zip(ONE.split("\n"), OTHER.split("\n"), strict=True), 1)
    ]
    reading = read_pairs([tmp_path / "a.tr", tmp_path / "a.zh"], bad=BadRows(strict=True))
    assert reading.items == expected
    assert reading.understood == f"line by line: the source is {tmp_path / 'a.tr'}, the target {tmp_path / 'a.zh'}"
    assert read_pairs([tmp_path], bad=BadRows(strict=True)).items == expected


@pytest.mark.parametrize(
    ("content", "options", "source", "target"),
    [
        ("en,tr\na tree,bir ağaç\n", {}, "a tree", "bir ağaç"),
        ("target,id,source\nbir ağaç,1,a tree\n", {}, "a tree", "bir ağaç"),
        ("en,tr\na tree,bir ağaç\n", {"source": "tr"}, "bir ağaç", "a tree"),
        ("en,tr\na tree,bir ağaç\n", {"target": "en"}, "bir ağaç", "a tree"),
        ("id,en,tr\n1,a tree,bir ağaç\n", {"source": "2", "target": "tr"}, "a tree", "bir ağaç"),
        ("a tree,bir ağaç\n", {}, "a tree", "bir ağaç"),
    ],
)
def test_a_table_has_two_columns_named_or_known(
    content: str, options: dict[str, str], source: str, target: str
) -> None:
    reading = read_pairs([Document("a.csv", content)], bad=BadRows(strict=True), **options)  # type: ignore[arg-type]
    assert [(pair.source, pair.target) for pair in reading.items] == [(source, target)]
    again = read_pairs([Document("b.csv", content)], bad=BadRows(strict=True), **reading.columns)  # type: ignore[arg-type]
    assert again.items == [Pair(source, target, reading.items[0].where.replace("a.csv", "b.csv"))]


def test_json_lines_are_a_table_too() -> None:
    content = json.dumps({"src": "مرحبا", "tgt": "👋"})
    reading = read_pairs([Document("a.jsonl", content)], bad=BadRows(strict=True))
    assert reading.items == [Pair("مرحبا", "👋", "a.jsonl, line 1")]
    assert reading.understood == "the source is column 'src' and the target is column 'tgt'"


def test_for_prediction_a_target_is_none_where_it_is_absent() -> None:
    for source in (
        Document("a.txt", "one\ntwo\n"),
        Document("a.csv", "source\none\ntwo\n"),
        Document("a.csv", "source,target\none,\ntwo,\n"),
    ):
        items = read_pairs([source], bad=BadRows(strict=True), labelled=False).items
        assert [(pair.source, pair.target) for pair in items] == [("one", None), ("two", None)]
    pairs = read_pairs([Document("a.csv", "en,x\none,1\n")], source="en", target="de", bad=BadRows(), labelled=False)
    assert pairs.items[0].source == "one"


@pytest.mark.parametrize(
    ("sources", "where", "said"),
    [
        (both("a\n\nc", "x\ny\nz"), "a.tr, line 2", "its source is empty"),
        (both("a\nb\nc", "x\n \nz"), "a.tr, line 2", "its target is empty"),
        (both("a\n\nc", "x\n\nz"), "a.tr, line 2", "its source and its target are empty"),
        (both("a\nb\0\nc", "x\ny\nz"), "a.tr, line 2", "it holds a NUL"),
        (both("a\nb\nc", "x\ny\0\nz"), "a.tr, line 2", "in the target, it holds a NUL"),
        (both("a\n" + "b" * 1_000_001 + "\nc", "x\ny\nz"), "a.tr, line 2", "it has 1,000,001 characters"),
        ([Document("a.csv", "source,target\na,x\nb,\nc,z\n")], "a.csv, line 3", "its target is empty"),
    ],
)
def test_a_bad_pair_is_skipped_on_both_sides(sources: list[Source], where: str, said: str) -> None:
    bad = BadRows()
    assert [(pair.source, pair.target) for pair in read_pairs(sources, bad=bad).items] == [("a", "x"), ("c", "z")]
    assert bad.notes()[0].startswith(f"1 bad row was skipped ({where}: {said}")
    with pytest.raises(DataError, match=f"^{where}: "):
        read_pairs(sources, bad=BadRows(strict=True))


@pytest.mark.parametrize(
    ("sources", "options", "said"),
    [
        (both("a\nb\nc", "x\ny"), {}, "a.tr has 3 lines but a.zh has 2"),
        (both("a", "x\ny\nz"), {}, "a.tr has 1 lines but a.zh has 3"),
        (both("", ""), {}, "nothing that can be used"),
        ([Document("a.txt", "a\nb")], {}, "1 text file can't be read line by line"),
        ([Document(f"{n}.txt", "a\nb") for n in "abc"], {}, "3 text files can't"),
        (
            [Document("a.csv", "id,en,tr\n1,a,b\n")],
            {},
            "columns id, en, tr: name two of them with --source and --target",
        ),
        ([Document("a.csv", "en,tr\na,b\n")], {"source": "fr"}, "no column 'fr': name one of en, tr with --source"),
        ([Document("a.csv", "en,tr\na,b\n")], {"source": "en", "target": "en"}, "can't both be the column 'en'"),
    ],
)
def test_what_does_not_belong_together_is_refused(sources: list[Source], options: dict[str, str], said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_pairs(sources, bad=BadRows(), **options)  # type: ignore[arg-type]
