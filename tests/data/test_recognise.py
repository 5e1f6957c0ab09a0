"""What data is taken for, and the reason that the user is told."""

from pathlib import Path

import pytest

from elman.data.recognise import recognise
from elman.data.text import Document
from elman.errors import DataError

PROSE = "It was the best of times,\nit was the worst of times,\n\nit was the age of wisdom.\n"
UNIVERSAL = "# text = a\n1\tthe\tthe\tDET\tDT\t_\t0\troot\t_\t_\n\n1\ta\ta\tDET\tDT\t_\t0\troot\t_\t_\n"
REVIEWS = "".join(f"film {i} was {'good' if i % 2 else 'bad'} enough\t{i % 2}\n" for i in range(20))
CAPTIONS = "".join(f"tree number {i}\tağaç sayısı {i}\n" for i in range(20))


@pytest.mark.parametrize(
    ("name", "text", "task", "reason"),
    [
        ("a.txt", PROSE, "lm", "a.txt is text without columns"),
        ("a.txt", "今天天气很好\nIşık, ağaç\n", "lm", "without columns"),
        ("a.conllu", UNIVERSAL, "tag", "CoNLL"),
        ("a.txt", UNIVERSAL, "tag", "words and tags in columns"),
        (
            "a.txt",
            "EU B-ORG\nrejects O\n\nGerman B-MISC\ncall O\nto O\nboycott O\n",
            "tag",
            "empty lines between sentences",
        ),
        ("a.txt", "red rose\nblue violet\n\nsweet sugar\nso you\n", "lm", "without columns"),
        ("a.jsonl", '{"tokens": ["a"], "ner_tags": [1]}', "tag", "lists of words and tags"),
        ("a.jsonl", '{"text": "a b", "label": "x"}', "classify", "texts (column 'text') and labels (column 'label')"),
        ("a.csv", "text,label\na b,x\nc d,y\n", "classify", "labels (column 'label')"),
        ("a.tsv", REVIEWS, "classify", "texts (column '1') and labels (column '2')"),
        ("a.txt", REVIEWS, "classify", "a.txt is a table"),
        ("a.tsv", CAPTIONS, "translate", "two columns of texts (1, 2)"),
        ("a.csv", "source,target\n早上好,günaydın\n", "translate", "two columns of texts (source, target)"),
        ("a.csv", "text\nonly a text\n", "lm", "without labels"),
        ("a.csv", "".join(f"2020-01-{i:02},{i / 8},{i / 4}\n" for i in range(10, 30)) * 2, "forecast", "over time"),
    ],
)
def test_a_file_is_taken_by_its_name_and_its_first_lines(
    tmp_path: Path, name: str, text: str, task: str, reason: str
) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    found, why = recognise([path])
    assert (found, reason in why) == (task, True), why
    assert why.endswith((".", ")."))
    assert recognise([Document(name, text)])[0] == task


def folder(root: Path, *names: str, text: str = PROSE) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


def test_a_folder_of_folders_is_classes(tmp_path: Path) -> None:
    task, why = recognise([folder(tmp_path, "pos/1.txt", "neg/1.txt", "README")])
    assert task == "classify"
    assert "a folder of 2 folders" in why


def test_a_folder_of_texts_stays_text_but_the_other_way_is_told(tmp_path: Path) -> None:
    task, why = recognise([folder(tmp_path, "Arabic.txt", "Chinese.txt", "Turkish.txt")])
    assert task == "lm"
    assert "3 text files" in why
    assert "`--task classify` reads it as a class a file" in why


def test_a_folder_is_taken_by_the_tables_or_sentences_in_it(tmp_path: Path) -> None:
    assert recognise([folder(tmp_path / "a", "1.tsv", "2.tsv", text=REVIEWS)])[0] == "classify"
    treebank = folder(tmp_path / "b", "x.conllu", text=UNIVERSAL)
    assert recognise([folder(treebank, "LICENSE.txt")])[0] == "tag"


def test_two_files_with_equally_many_lines_are_translations(tmp_path: Path) -> None:
    folder(tmp_path, "a.en", "a.de")
    task, why = recognise([tmp_path / "a.en", tmp_path / "a.de"])
    assert task == "translate"
    assert "4 lines each" in why
    folder(tmp_path, "a.de", text=PROSE + "and more\n")
    assert recognise([tmp_path / "a.en", tmp_path / "a.de"])[0] == "lm"
    assert recognise([Document("a", "one line"), Document("b", "one line")])[0] == "lm"


def test_standard_input_is_not_looked_at() -> None:
    task, why = recognise(["-"])
    assert task == "lm"
    assert "--task" in why


def test_what_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere does not exist"):
        recognise([tmp_path / "nowhere"])


@pytest.mark.parametrize(
    ("table", "task"),
    [
        ("path,text\na.wav,one two\nb.wav,three\n", "transcribe"),
        ("audio,sentence,age,gender\na.flac,one two,7,f\nb.flac,three,9,m\n", "transcribe"),
        ("a.wav,one two three\nb.wav,four\nc.wav,five six\n", "transcribe"),
        ("filename\tonset\toffset\tevent_label\na.wav\t0.1\t0.5\tdog\na.wav\t0.7\t0.9\tcat\n", "tag-sound"),
        ("path,start,end,label\na.ogg,0,1,x\n", "tag-sound"),
        ("path,label\na.wav,yes\nb.wav,no\nc.wav,yes\n", "classify-sound"),
        ("path,start,end,text\na.wav,0,1,one two\n", "transcribe"),
        ("text,label\na.wav is a file,x\nanother text,y\nand so on,x\nthe last,y\n", "classify"),
    ],
)
def test_tables_of_sound_files_are_told_by_their_columns(table: str, task: str) -> None:
    found, why = recognise([Document("t.csv" if "\t" not in table else "t.tsv", table)])
    assert found == task
    assert "t." in why


def test_a_folder_of_folders_of_sounds_is_told(tmp_path: Path) -> None:
    for name in ("x/a.wav", "y/b.wav"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(b"RIFF")
    task, why = recognise([tmp_path])
    assert task == "classify-sound"
    assert "2 folders of sounds" in why


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("date,load,heat\n2024-01-01,1,2\n2024-01-02,3,4\n2024-01-03,5,6\n", "numbers over time (column 'date')"),
        ("unique_id,ds,y\na,1,2\na,2,4\nb,1,3\n", "numbers over time (column 'ds'), by series (column 'unique_id')"),
        ("moment,load\n2024-01-01 10:00,1\n2024-01-01 11:00,3.5\n", "numbers over time (column 'moment')"),
    ],
)
def test_a_table_of_numbers_over_time_is_to_forecast(text: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text(text, encoding="utf-8")
    task, why = recognise([tmp_path / "data.csv"])
    assert task == "forecast"
    assert reason in why


@pytest.mark.parametrize(
    "text",
    [
        "date,review,label\n2024-01-01,fine,good\n2024-01-02,dull,bad\n",
        "x,y\n1,2\n3,4\n",
        "time,reading,state\n1,0.5,on\n2,0.7,off\n3,0.1,on\n",
    ],
)
def test_a_table_with_words_or_without_a_time_is_not(text: str, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text(text, encoding="utf-8")
    assert recognise([tmp_path / "data.csv"])[0] != "forecast"
