"""Sentences with tags: formats, columns, what is left out, and what is refused."""

import json
from pathlib import Path

import pytest

from elman.data.bad_rows import BadRows
from elman.data.conll import read_sentences
from elman.data.examples import Reading, Sentence
from elman.data.text import Document
from elman.errors import DataError


def universal(*rows: str) -> str:
    """Lines of CoNLL-U from "number word tag"; others as they are."""
    lines = []
    for row in rows:
        cells = row.split("|")
        lines.append(
            row if len(cells) < 3 else "\t".join([*cells[:2], "_", cells[2], "X" + cells[2], *["_"] * 4, "last"])
        )
    return "\n".join(lines) + "\n"


UNIVERSAL = universal(
    "# text = Ağaç, 8 300", "1-2|Ağaç'tan|_", "1|Ağaç|NOUN", "2|'tan|ADP", "3|8 300|NUM", "3.1|boş|VERB", ""
)
JSON_FIRST, JSON_LAST = '{"words": ["a", "b"], "tags": ["X", "X"]}\n', '{"words": ["f"], "tags": ["X"]}\n'
COLUMNS = "-DOCSTART- -X- O O\n\nEU NNP B-NP B-ORG\n# NN I-NP O\n\n今天 NN B-NP O\n👩‍👩‍👧 NN I-NP B-PER\n"


def read(content: str, name: str = "a.conll", strict: bool = True, **options: object) -> Reading[Sentence]:
    return read_sentences([Document(name, content)], bad=BadRows(strict), **options)  # type: ignore[arg-type]


def test_conll_u_gives_forms_and_upos_without_ranges_and_empty_nodes() -> None:
    reading = read(UNIVERSAL + universal("1|مرحبا|INTJ"))
    assert reading.items == [
        Sentence(("Ağaç", "'tan", "8 300"), ("NOUN", "ADP", "NUM"), "a.conll, line 3"),
        Sentence(("مرحبا",), ("INTJ",), "a.conll, line 8"),
    ]
    assert reading.understood == "CoNLL-U: the word is FORM, the tag UPOS"


@pytest.mark.parametrize(
    ("label", "tag"), [("XPOS", "XNOUN"), ("xpos", "XNOUN"), ("5", "XNOUN"), ("FEATS", "_"), ("10", "last")]
)
def test_another_column_of_conll_u_is_named_or_numbered(label: str, tag: str) -> None:
    tags = read(UNIVERSAL, label=label).items[0].tags
    assert tags is not None
    assert tags[0] == tag


def test_columns_give_the_first_and_the_last() -> None:
    reading = read(COLUMNS)
    assert reading.items == [
        Sentence(("EU", "#"), ("B-ORG", "O"), "a.conll, line 3"),
        Sentence(("今天", "👩‍👩‍👧"), ("O", "B-PER"), "a.conll, line 6"),
    ]
    assert reading.understood == "columns: the word is column 1, the tag column 4"
    assert read(COLUMNS, label="2").items[0].tags == ("NNP", "NN")
    assert read(COLUMNS, text="2", label="3").items[0].words == ("NNP", "NN")


def test_words_of_columns_by_tabs_may_hold_spaces_and_comments_may_stand_before_a_sentence() -> None:
    content = "# id 0003\tdomain\tx\nNew York\tB-LOC\n#tag\tO\n\n# id\nParis\tB-LOC\n"
    assert [sentence.words for sentence in read(content).items] == [("New York", "#tag"), ("Paris",)]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_file_with_a_byte_order_mark_and_any_line_end_is_read_alike(tmp_path: Path, end: str) -> None:
    for name, content in (("a.conllu", UNIVERSAL), ("b.conll", COLUMNS)):
        (tmp_path / name).write_bytes(("\ufeff" + content.replace("\n", end)).encode())
        reading = read_sentences([tmp_path / name], bad=BadRows(strict=True))
        assert [(item.words, item.tags) for item in reading.items] == [(i.words, i.tags) for i in read(content).items]


def test_a_folder_gives_its_sentences_without_what_lies_beside_them(tmp_path: Path) -> None:
    (tmp_path / "LICENSE.txt").write_text("You may copy this.\n", encoding="utf-8")
    for name in ("b.conllu", "a.conllu"):
        (tmp_path / name).write_text(universal(f"1|{name}|X"), encoding="utf-8")
    assert [item.words for item in read_sentences([tmp_path], bad=BadRows(strict=True)).items] == [
        ("a.conllu",),
        ("b.conllu",),
    ]


def test_json_lines_give_lists_by_known_or_named_keys() -> None:
    row = {"id": 1, "tokens": ["今天", "é"], "ner_tags": [0, 3], "other": ["X", "Y"], "lemmas": ["a", "b"]}
    content = json.dumps(row) + "\n\n" + json.dumps(row | {"tokens": ["x", "y"]}) + "\n"
    reading = read(content, "a.jsonl")
    assert reading.items[1] == Sentence(("x", "y"), ("0", "3"), "a.jsonl, line 3")
    assert reading.understood == "JSON lines: the words are 'tokens', the tags 'ner_tags'"
    assert read(content, "a.jsonl", text="lemmas", label="other").items[0].tags == ("X", "Y")


def test_for_prediction_tags_are_none_where_they_are_absent() -> None:
    assert read("one\ntwo\n\nthree\n", labelled=False).items == [
        Sentence(("one", "two"), None, "a.conll, line 1"),
        Sentence(("three",), None, "a.conll, line 4"),
    ]
    assert read('{"words": ["a"]}\n', "a.jsonl", labelled=False).items[0].tags is None
    assert read(universal("1|a|_", "2|b|X"), labelled=False).items[0].tags is None


@pytest.mark.parametrize(
    ("content", "line", "said"),
    [
        (
            "a O\nb O\n\nc O\nd\ne O\n\nf O\n",
            5,
            "it has 1 column, but the others have 2 (its sentence begins at line 4)",
        ),
        ("a O\nb O\n\nc O O\ne O\n\nf O\n", 4, "it has 3 columns"),
        ("a\tO\nb\tO\n\nc\t\n\nf\tO\n", 4, "it has no tag"),
        ("a\tO\nb\tO\n\n\tO\n\nf\tO\n", 4, "its word is empty"),
        ("a O\nb O\n\nc\0 O\n\nf O\n", 4, "NUL"),
        (
            universal("1|a|X", "2|b|X", "", "1\tc\tX", "2|d|X", "", "1|f|X"),
            4,
            "it has 3 columns, but the others have 10",
        ),
        (universal("1|a|X", "2|b|X", "", "one|c|X", "", "1|f|X"), 4, "'one', is no word number"),
        (universal("1|a|X", "2|b|X", "", "1|c|_", "", "1|f|X"), 4, "it has no tag"),
        (
            JSON_FIRST + '\n\n{"words": ["c"], "tags": []}\n' + JSON_LAST,
            4,
            "no tags",
        ),
        (
            JSON_FIRST + '{"words": ["c"], "tags": ["X", "Y"]}\n' + JSON_LAST,
            2,
            "1 words but 2 tags",
        ),
        (
            JSON_FIRST + '{"words": "c", "tags": "X"}\n' + JSON_LAST,
            2,
            "are no list",
        ),
        (
            JSON_FIRST + '{"words": [""], "tags": ["X"]}\n' + JSON_LAST,
            2,
            "words is empty",
        ),
    ],
)
def test_a_sentence_with_a_bad_line_is_skipped_and_named_by_that_line(content: str, line: int, said: str) -> None:
    bad = BadRows()
    assert [item.words for item in read_sentences([Document("a", content)], bad=bad).items] == [("a", "b"), ("f",)]
    assert bad.count == 1
    assert f"a, line {line}: " in bad.notes()[0]
    assert said in bad.notes()[0]
    with pytest.raises(DataError, match=f"^a, line {line}: "):
        read(content, "a")


@pytest.mark.parametrize(
    ("content", "options", "said"),
    [
        (
            UNIVERSAL,
            {"label": "POS"},
            "no column 'POS': name one of ID, FORM, .* or a number from 1 to 10 with --label",
        ),
        (COLUMNS, {"label": "5"}, "no column '5': name one of 1, 2, 3, 4 with --label"),
        (COLUMNS, {"text": "0"}, "no column '0': .* with --text"),
        ("one\ntwo\n", {}, "one column alone"),
        ("", {}, "no sentence with words and tags"),
        ('{"words": ["a"], "x": ["b"]}', {}, "no key of the names tags, .*: name one of words, x with --label"),
        ('{"words": ["a"], "x": ["b"]}', {"text": "y", "label": "x"}, "no key 'y': .* with --text"),
        (universal("1|a|_"), {}, "nothing that can be used.*it has no tag"),
    ],
)
def test_what_has_no_words_and_tags_is_refused(content: str, options: dict[str, str], said: str) -> None:
    with pytest.raises(DataError, match=said) as caught:
        read(content, strict=False, **options)
    assert "a.conll" in str(caught.value)
