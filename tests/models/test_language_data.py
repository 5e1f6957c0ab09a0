"""The parts of a text: of a long one no more is held out than it takes to tell."""

from pathlib import Path

import pytest

from elman.data.text import characters
from elman.models import language_data
from elman.models.language_data import read_texts
from elman.models.options import TrainOptions


def test_no_more_of_a_long_text_is_held_out_than_it_takes_to_tell_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "text.txt").write_text("abcdefghi\n" * 100)
    options = TrainOptions(task="lm", valid_fraction=0.2)
    texts = read_texts([tmp_path / "text.txt"], options)
    assert (characters(texts.train), characters(texts.valid), texts.notes) == (800, 200, [])
    monkeypatch.setattr(language_data, "HELD_OUT", 50)
    texts = read_texts([tmp_path / "text.txt"], options)
    assert (characters(texts.train), characters(texts.valid)) == (950, 50)
    (note,) = texts.notes
    assert "last 50 characters" in note
    assert "less than 20%" in note
    assert "--valid" in note


def test_a_text_that_is_named_for_validation_is_taken_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language_data, "HELD_OUT", 50)
    (tmp_path / "text.txt").write_text("abcdefghi\n" * 100)
    texts = read_texts([tmp_path / "text.txt"], TrainOptions(task="lm", valid=str(tmp_path / "text.txt")))
    assert (characters(texts.train), characters(texts.valid), texts.notes) == (1000, 1000, [])
