"""Video: pictures of one size from any container, decoded when they are wanted; and every file that can't be used."""

from collections.abc import Callable
from pathlib import Path

import clips
import numpy as np
import pytest

from elman.data import videos
from elman.data.bad_rows import BadRows
from elman.data.examples import Reading
from elman.data.signals import Cache, read_all
from elman.data.video import FrameForm, has_colours, read_video
from elman.data.videos import Film, read_films
from elman.errors import DataError, OptionError

FORM = FrameForm(16, grey=True)


@pytest.mark.parametrize(
    # A GIF has few colours, which are mixed by dots.
    ("name", "codec", "off"),
    [("a.mp4", "mpeg4", 8), ("a.mp4", "libx264", 8), ("a.webm", "libvpx", 8), ("a.gif", "gif", 24)],
)
def test_pictures_are_those_that_were_encoded(tmp_path: Path, name: str, codec: str, off: int) -> None:
    pictures = clips.moving_square("right", 5)
    path = clips.write_clip(tmp_path / name, pictures, codec)
    found = read_video(path, FrameForm(32))
    assert found.dtype == np.uint8
    assert found.shape == (5, 3, 32, 32)
    assert np.abs(found.astype(int) - pictures.transpose(0, 3, 1, 2)).mean() < off


def test_pictures_are_scaled_made_grey_and_thinned_out(tmp_path: Path) -> None:
    path = clips.write_clip(tmp_path / "a.mp4", clips.moving_square("right", 10), rate=10)
    assert read_video(path, FORM).shape == (10, 1, 16, 16)
    whole, fewer = read_video(path, FORM), read_video(path, FrameForm(16, 5.0, grey=True))
    assert np.array_equal(fewer, whole[::2])
    assert len(read_video(path, FrameForm(16, 100.0))) == 10
    with pytest.raises(OptionError, match="frame_size=4"):
        FrameForm(4)


def test_colours_are_seen_where_there_are_some(tmp_path: Path) -> None:
    pictures = clips.moving_square("right", 3)
    assert not has_colours(clips.write_clip(tmp_path / "a.mp4", pictures))
    pictures[:, 8:24, 8:24] = (250, 20, 20)
    assert has_colours(clips.write_clip(tmp_path / "b.mp4", pictures))


def changing(path: Path) -> Path:
    """Two WebM files behind each other are one, the second of which has another size."""
    parts = []
    for size in (32, 48):
        part = clips.write_clip(path.with_name(f"{size}.webm"), clips.moving_square("down", 3, size), "libvpx")
        parts.append(part.read_bytes())
        part.unlink()
    path.write_bytes(b"".join(parts))
    return path


def cut_short(path: Path) -> Path:
    clips.write_clip(path, np.random.default_rng(0).integers(0, 255, (30, 32, 32, 3), np.uint8))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def cut_behind_its_header(path: Path) -> Path:
    import av

    whole = clips.write_clip(path, np.random.default_rng(0).integers(0, 255, (30, 32, 32, 3), np.uint8))
    moved = path.with_name("moved.mp4")
    with av.open(str(whole)) as source, av.open(str(moved), "w", options={"movflags": "faststart"}) as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    path.write_bytes(moved.read_bytes()[: moved.stat().st_size * 2 // 3])
    moved.unlink()
    return path


def sound_alone(path: Path) -> Path:
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def text(path: Path) -> Path:
    path.write_text("not a video\n" * 50, encoding="utf-8")
    return path


def empty(path: Path) -> Path:
    path.write_bytes(b"")
    return path


BAD: dict[str, tuple[Callable[[Path], Path], str]] = {
    "text.mp4": (text, "damaged, cut short, or no video though its name says so"),
    "empty.mp4": (empty, "is empty"),
    "cut.mp4": (cut_short, "damaged, cut short, or no video"),
    "cut-behind.mp4": (cut_behind_its_header, "is cut short|damaged, cut short"),
    "sound.mp4": (sound_alone, "has no pictures"),
    "changing.webm": (changing, "changes its size at frame 4, from 32 x 32 to 48 x 48"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_clip_that_cannot_be_used_is_an_error_that_names_it(tmp_path: Path, name: str) -> None:
    make, says = BAD[name]
    with pytest.raises(DataError, match=rf"{name}.*({says})"):
        read_video(make(tmp_path / name), FORM)


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.mp4 does not exist"):
        read_video(tmp_path / "none.mp4", FORM)
    with pytest.raises(DataError, match="is a folder"):
        read_video(tmp_path, FORM)


def films(source: Path, bad: BadRows | None = None, room: int = 0, **options: object) -> Reading[Film]:
    chosen: dict = {"form": FORM, **options}
    return read_films([source], cache=Cache(room), bad=bad or BadRows(strict=True), **chosen)


def test_a_folder_a_class_and_a_table_give_the_same(tmp_path: Path) -> None:
    folder = clips.write_classes(tmp_path / "data", 2)
    by_folder = films(folder)
    assert "a class a folder (2)" in by_folder.understood
    rows = "".join(
        f"data/{item.label}/{Path(item.path).name},{item.label},{n}\n" for n, item in enumerate(by_folder.items)
    )
    (tmp_path / "a.csv").write_text("file,label,who\n" + rows, encoding="utf-8")
    by_table = films(tmp_path / "a.csv", group="who")
    assert [(a.label, a.steps, a.digest) for a in by_folder.items] == [
        (a.label, a.steps, a.digest) for a in by_table.items
    ]
    assert [item.group for item in by_table.items] == ["0", "1", "2", "3"]
    assert by_table.columns == {"path": "file", "label": "label"}
    assert [item.steps for item in by_folder.items] == [6, 7, 6, 7]


def test_one_bad_clip_among_many_is_skipped_counted_and_named(tmp_path: Path) -> None:
    folder = clips.write_classes(tmp_path / "data", 2)
    text(folder / "down" / "x.mp4")
    bad = BadRows()
    assert len(films(folder, bad).items) == 4
    assert bad.count == 1
    assert "x.mp4" in bad.notes()[0]
    with pytest.raises(DataError, match=r"x\.mp4: is damaged"):
        films(folder)


def test_columns_that_are_not_there_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("what,label\nsomething,up\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"none of them looks like paths of video.*--path"):
        films(path)
    with pytest.raises(DataError, match=r"has no column 'clip'.*--path"):
        films(path, path="clip")
    with pytest.raises(DataError, match="video without a label"):
        films(clips.write_clip(tmp_path / "a.mp4", clips.moving_square("down", 2)))


def test_one_class_alone_is_refused(tmp_path: Path) -> None:
    clips.write_clip(tmp_path / "down" / "a.mp4", clips.moving_square("down", 2))
    with pytest.raises(DataError, match="all clips have the class 'down'"):
        films(tmp_path)


def test_clips_are_decoded_when_they_are_wanted_and_kept_while_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def counted(path: str, form: FrameForm) -> np.ndarray:
        read.append(Path(path).name)
        return read_video(path, form)

    monkeypatch.setattr(videos, "read_video", counted)
    folder = clips.write_classes(tmp_path, 2)
    size = 6 * 16 * 16
    items = films(folder, room=size).items
    assert sorted(read) == ["0.mp4", "0.mp4", "1.mp4", "1.mp4"]
    read.clear()
    for item in items:
        assert len(item.frames()) == len(item) == item.steps
    # One of six pictures had room; the others are decoded again, each time.
    assert len(read) == 3


def test_files_are_read_side_by_side_in_threads_that_end() -> None:
    import threading

    before = threading.active_count()
    assert read_all([3, 1, 2], lambda x: 2 * x) == [6, 2, 4]

    def fails(x: int) -> int:
        raise DataError(f"no {x}")

    with pytest.raises(DataError, match="no 1"):
        read_all([1, 2, 3], fails)
    assert threading.active_count() == before
