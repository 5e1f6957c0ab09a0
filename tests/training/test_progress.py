"""What a person sees: plain lines where there is no terminal, a bar where there is one, nothing when quiet."""

import io
import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import tiny
from rich.console import Console

import elman
from elman.models.language import LanguageModel
from elman.training import progress
from elman.training.checkpoint import Progress
from elman.training.progress import BarDisplay, LineDisplay, ReadingDisplay, SilentDisplay, make_display

REPORT = {"loss_nats": math.log(2), "learning_rate": 1e-3, "gradient_norm": 0.5, "tokens_per_second": 12_345.6}
SCORES = {"loss_nats": 1.5, "bits_per_char": 2.16, "perplexity": 4.5, "tokens": 100, "unknown": 0}
PROGRESS = Progress(step=30, seconds=60.0, best=1.25, best_step=20, stale=1)


class _Speaker:
    """Says what a language model over `kind` says."""

    headline = staticmethod(LanguageModel.headline)

    def __init__(self, kind: str) -> None:
        self.tokenizer = SimpleNamespace(kind=kind)

    def loss_in_words(self, loss_nats: float) -> str:
        return LanguageModel.loss_in_words(self, loss_nats)  # type: ignore[arg-type]


CHARACTERS, WORDS = _Speaker("char"), _Speaker("word")


def test_where_there_is_no_terminal_there_are_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    display = make_display(CHARACTERS)
    assert isinstance(display, LineDisplay)
    display.note("a note")
    display.trained(PROGRESS, 0.25, REPORT)
    display.validated(PROGRESS, 0.25, SCORES)
    display.close()
    out, err = capsys.readouterr()
    assert out == ""
    note, training, validation = err.splitlines()
    assert note == "a note"
    for part in ("25%", "step 30", "0.693", "1.00 bits", "best valid 1.250", "12,346 tokens/s", "3:00 left"):
        assert part in training
    for part in ("1.5000 nats", "2.1600 bits per character", "step 30", "best was 1.2500 at step 20"):
        assert part in validation


def test_words_are_counted_in_perplexity(capsys: pytest.CaptureFixture[str]) -> None:
    display = LineDisplay(WORDS)
    display.trained(Progress(step=1, seconds=1.0), 0.0, REPORT)
    display.validated(Progress(step=1, seconds=4000.0, best=1.5, best_step=1), 0.5, SCORES)
    training, validation = capsys.readouterr().err.splitlines()
    assert "perplexity 2.0" in training
    assert "? left" in training
    assert "perplexity 4.50" in validation
    assert "1:06:40" in validation
    assert "best so far" in validation


def test_lines_come_no_more_often_than_every_ten_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    display = LineDisplay(CHARACTERS)
    for _ in range(5):
        display.trained(PROGRESS, 0.5, REPORT)
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_on_a_terminal_there_is_a_bar_and_notes_stay_above_it() -> None:
    screen = io.StringIO()
    display = BarDisplay(Console(file=screen, force_terminal=True, width=200, highlight=False), CHARACTERS)
    display.note("a note with [brackets]")
    display.trained(PROGRESS, 0.25, REPORT)
    display.validated(PROGRESS, 0.25, SCORES)
    display.close()
    shown = screen.getvalue()
    assert "a note with [brackets]" in shown
    assert "12,346 tokens/s" in shown
    assert "2.1600 bits per character" in shown


def test_quiet_shows_nothing(text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    display = SilentDisplay()
    display.note("a note")
    display.close()
    elman.train(text, out=tmp_path / "r", quiet=True, **{**tiny.OPTIONS, "steps": 2})
    assert capsys.readouterr() == ("", "")


def test_a_run_says_what_it_does_on_standard_error(
    text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "valid.txt").write_text("zebra\n")
    elman.train(text, out=tmp_path / "r", valid=str(tmp_path / "valid.txt"), **{**tiny.OPTIONS, "batch": 999})
    out, err = capsys.readouterr()
    assert out == ""
    for part in (
        f"{len(tiny.TEXT):,} characters to train on, 6 to validate on",
        "1 x lstm of 16, embedding 8",
        "40 steps",
        "the text is too short for 999 streams",
        "3 of 7 validation tokens are not in the training text",
        f"run: {tmp_path / 'r'}",
        "valid ",
        "best so far",
    ):
        assert part in err


def test_long_reading_shows_how_far_it_has_come(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = iter([0.0, 1.0, 11.0, 11.0, 12.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(seconds))
    display = ReadingDisplay()
    for read in (1_000_000, 2_500_000_000, 2_600_000_000):
        display("big.txt", read)
    display.close()
    assert capsys.readouterr().err == "reading big.txt: 2,500 MB\n"
