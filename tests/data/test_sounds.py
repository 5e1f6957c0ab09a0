"""Tables and folders of sounds: what is read, by which columns, and what becomes of rows that can't be used."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("soundfile")
pytest.importorskip("soxr")
pytest.importorskip("kaldi_native_fbank")

import sounds

from elman.data.bad_rows import BadRows
from elman.data.examples import Event
from elman.data.sounds import group_of, read_clips, read_recordings
from elman.data.text import Document
from elman.errors import DataError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three sounds of a second, and a silent one, in a folder of their own."""
    for place, name in enumerate(("a", "b", "c")):
        sounds.write(tmp_path / "wav" / f"{name}.wav", sounds.tone(1.0, 300.0 * (place + 1)))
    sounds.write(tmp_path / "wav" / "silent.wav", np.zeros(8000))
    return tmp_path


def table(folder: Path, text: str, name: str = "t.csv") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_paths_are_relative_to_the_table_s_own_folder(folder: Path) -> None:
    reading = read_clips([table(folder, "path,label\nwav/a.wav,x\nwav/b.wav,y\n")], bad=BadRows(True))
    assert [(clip.path, clip.label) for clip in reading.items] == [
        (str(folder / "wav/a.wav"), "x"),
        (str(folder / "wav/b.wav"), "y"),
    ]
    assert [clip.seconds for clip in reading.items] == [1.0, 1.0]
    assert reading.items[0].digest != reading.items[1].digest
    assert reading.columns == {"path": "path", "label": "label"}
    assert reading.understood == "the path is column 'path', the label is column 'label'"


@pytest.mark.parametrize(
    "text",
    [
        "audio,sentence,age\nwav/a.wav,one two,7\nwav/b.wav,three,8\n",
        "wav/a.wav\tone two\nwav/b.wav\tthree\n",
        '{"audio_filepath": "wav/a.wav", "text": "one two"}\n{"audio_filepath": "wav/b.wav", "text": "three"}\n',
    ],
)
def test_what_is_said_is_read_with_and_without_a_header(folder: Path, text: str) -> None:
    reading = read_clips([table(folder, text, "t.txt")], spoken=True, bad=BadRows(True))
    assert [clip.label for clip in reading.items] == ["one two", "three"]


def test_a_part_of_a_file_and_its_group(folder: Path) -> None:
    text = "who,file,begin,stop,kind\nu,wav/a.wav,0.1,0.4,x\nv,wav/a.wav,0.5,,y\n"
    path = table(folder, text)
    reading = read_clips([path], start="begin", label="kind", group="who", bad=BadRows(True))
    assert [(clip.start, clip.end, clip.group) for clip in reading.items] == [(0.1, 0.4, "u"), (0.5, None, "v")]
    assert [round(clip.seconds, 3) for clip in reading.items] == [0.3, 0.5]
    assert [group_of(clip) for clip in reading.items] == ["u", "v"]
    assert "group" not in reading.columns
    with pytest.raises(DataError, match="has no column 'speaker'"):
        read_clips([path], group="speaker", bad=BadRows(True))


def test_a_folder_a_class(folder: Path) -> None:
    for name in ("x/1.wav", "x/deep/2.flac", "y/3.ogg"):
        sounds.write(folder / "classes" / name, sounds.noise(800))
    (folder / "classes" / "README.txt").write_text("what this is")
    reading = read_clips([folder / "classes"], bad=BadRows(True))
    assert [(Path(clip.path).name, clip.label) for clip in reading.items] == [
        ("1.wav", "x"),
        ("2.flac", "x"),
        ("3.ogg", "y"),
    ]
    assert reading.understood == "a class a folder (2), with a sound a file"


def test_without_labels_files_and_folders_will_do(folder: Path) -> None:
    bad = BadRows()
    reading = read_clips([folder / "wav"], labelled=False, bad=bad)
    assert [Path(clip.path).name for clip in reading.items] == ["a.wav", "b.wav", "c.wav"]
    assert "silent.wav: is silent" in bad.notes()[0]
    one = read_clips([folder / "wav/a.wav"], labelled=False, bad=BadRows(True)).items
    assert [clip.label for clip in one] == [None]
    with pytest.raises(DataError, match="is sound without a label"):
        read_clips([folder / "wav/a.wav"], bad=BadRows(True))


BAD_ROWS = {
    "wav/none.wav,x,,": "does not exist",
    "wav/silent.wav,x,,": "is silent",
    "wav/damaged.wav,x,,": "is damaged, or no sound",
    ",x,,": "its path .column 'path'. is empty",
    "wav/a.wav,,,": "its label .column 'label'. is empty",
    "wav/a.wav,x,soon,": "its start 'soon' is no time",
    "wav/a.wav,x,-1,": "its start '-1' is no time",
    "wav/a.wav,x,nan,": "its start 'nan' is no time",
    "wav/a.wav,x,0.5,0.5": "its end, 0.5 s, doesn't come after its start, 0.5 s",
    "wav/a.wav,x,0.5,2": "lasts 1.000 s: it has no part from 0.5 s to 2 s",
    "wav/a.wav,x": "it has 2 cells",
}


@pytest.mark.parametrize("row", BAD_ROWS)
def test_a_bad_row_is_skipped_counted_and_named(folder: Path, row: str) -> None:
    (folder / "wav" / "damaged.wav").write_text("no sound " * 20)
    good = "".join(f"wav/{name}.wav,{label},,\n" for name, label in ("ax", "by", "cx"))
    path = table(folder, f"path,label,start,end\n{good}{row}\n")
    bad = BadRows()
    assert len(read_clips([path], bad=bad).items) == 3
    assert bad.count == 1
    assert "t.csv, line 5" in bad.notes()[0]
    with pytest.raises(DataError, match=f"line 5: .*{BAD_ROWS[row]}"):
        read_clips([path], bad=BadRows(strict=True))


def test_where_most_is_bad_it_is_an_error(folder: Path) -> None:
    path = table(folder, "path,label\nwav/a.wav,x\nwav/no.wav,y\nwav/none.wav,y\n")
    with pytest.raises(DataError, match="2 of 3 rows"):
        read_clips([path], bad=BadRows())
    with pytest.raises(DataError, match="none of them looks like the path"):
        read_clips([table(folder, "a,b\n1,2\n3,4\n")], bad=BadRows())


def test_events_are_gathered_by_file_in_order_of_time(folder: Path) -> None:
    rows = ("a.wav,0.5,0.7,x", "b.wav,0,0.2,y", "a.wav,0.1,0.3,y", "a.wav,0.6,0.9,x", "c.wav,,,")
    text = "path,start,end,label\n" + "".join(f"wav/{row}\n" for row in rows)
    reading = read_recordings([table(folder, text)], bad=BadRows(True))
    assert [item.events for item in reading.items] == [
        (Event(0.1, 0.3, "y"), Event(0.5, 0.9, "x")),
        (Event(0.0, 0.2, "y"),),
        (),
    ]
    assert [Path(item.path).name for item in reading.items] == ["a.wav", "b.wav", "c.wav"]


def test_columns_of_events_are_found_without_names(folder: Path) -> None:
    rows = "".join(
        f"wav/{name}.wav\t{start}\t{start + 0.25}\t{label}\n" for name, start, label in (("a", 0.5, "x"), ("b", 0, "y"))
    )
    reading = read_recordings([table(folder, rows, "t.tsv")], bad=BadRows(True))
    assert [item.events for item in reading.items] == [(Event(0.5, 0.75, "x"),), (Event(0.0, 0.25, "y"),)]


@pytest.mark.parametrize(
    ("row", "wrong"),
    [
        ("wav/a.wav,0.2,0.5,y", "it overlaps the event before it .'x'."),
        ("wav/a.wav,0.5,3,y", "a.wav: it lasts 1.000 s: the event 'y' can't end at 3 s"),
        ("wav/a.wav,0.5,,y", "its end .column 'end'. is empty"),
    ],
)
def test_a_bad_event_is_skipped(folder: Path, row: str, wrong: str) -> None:
    path = table(folder, f"path,start,end,label\nwav/a.wav,0,0.3,x\nwav/b.wav,0,0.3,y\n{row}\n")
    bad = BadRows()
    reading = read_recordings([path], bad=bad)
    assert [len(item.events or ()) for item in reading.items] == [1, 1]
    assert bad.count == 1
    with pytest.raises(DataError, match=wrong):
        read_recordings([path], bad=BadRows(strict=True))


def test_a_table_that_is_no_file_has_paths_relative_to_here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    document = Document("typed", "path,label\nwav/a.wav,x\nwav/b.wav,y\n")
    assert [clip.path for clip in read_clips([document], bad=BadRows(True)).items] == ["wav/a.wav", "wav/b.wav"]
