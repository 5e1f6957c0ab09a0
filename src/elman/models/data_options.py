"""What a run reads: which parts, which columns, how texts, sounds and pictures become tokens and frames."""

from dataclasses import dataclass

from elman.models.option import option
from elman.models.tasks import AUTO, TASKS


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """Options of the group "Data": see `elman.models.options.TrainOptions`."""

    task: str = option(
        AUTO, "What to learn; auto looks at the data and says what it took it for.", choices=(AUTO, *TASKS)
    )
    valid: str | list[str] | tuple[str, ...] | None = option(  # noqa: RUF009
        None, "Validation data: whatever DATA may be. Otherwise a part of DATA is held out."
    )
    valid_fraction: float = option(
        0.1,
        "Part of DATA held out for validation: of running text its end, of examples a seeded part.",
        within="between 0 and 1",
    )
    test: str | list[str] | tuple[str, ...] | None = option(  # noqa: RUF009
        None, "Test data, scored once at the end: whatever DATA may be."
    )
    test_fraction: float = option(
        0.0, "Part of DATA held out for the test, where there is no --test.", within="at least 0 and less than 1"
    )
    text: str | None = option(
        None, "The column of the text (of the word, to tag): its name, or number from 1. None: guessed."
    )
    label: str | None = option(None, "The column of the label (of the tag): its name, or number from 1. None: guessed.")
    source: str | None = option(None, "The column of what to translate: its name, or number from 1. None: guessed.")
    target: str | None = option(None, "The column of its translation: its name, or number from 1. None: guessed.")
    path: str | None = option(None, "The column of the sound files' paths: its name, or number from 1. None: guessed.")
    start: str | None = option(
        None, "The column of where in a file it starts, in seconds: its name, or number. None: guessed."
    )
    end: str | None = option(
        None, "The column of where in a file it ends, in seconds: its name, or number. None: guessed."
    )
    group: str | None = option(
        None, "The column of what a split must keep together (a speaker): its name, or number from 1."
    )
    id: str | None = option(None, "The column that tells series apart: its name, or number from 1. None: guessed.")
    time: str | None = option(None, "The column of the time: its name, or number from 1. None: guessed.")
    values: str | list[str] | tuple[str, ...] | None = option(  # noqa: RUF009
        None, "A column to forecast. None: y, else all columns of numbers that nothing else is."
    )
    past: str | list[str] | tuple[str, ...] | None = option(  # noqa: RUF009
        None, "A column that goes with what is to forecast, and is known up to now."
    )
    known: str | list[str] | tuple[str, ...] | None = option(  # noqa: RUF009
        None, "A column that goes with what is to forecast, and is known ahead."
    )
    calendar: bool = option(
        False, "Read besides what time stamps say of the calendar: hour, day of the week, of the year."
    )
    season: int | None = option(
        None,
        "Steps of a season, for a trivial forecast and the score mase. (None: a day of hours, a week of days …)",
        within="at least 1",
    )
    missing: str = option(
        "error",
        "What becomes of a value that is missing, NaN or infinite in a series: an error, the value before it, or the line "
        "between its neighbours.",
        choices=("error", "carry", "interpolate"),
    )
    strict: bool = option(False, "Stop at the first bad row, where bad rows are skipped and counted.")
    encoding: str = option("utf-8", "Encoding of all texts.")
    normalisation: str = option(
        "none", "Unicode normalisation of texts before anything else.", choices=("none", "nfc", "nfkc")
    )
    lowercase: bool = option(False, "Read all letters as small ones.")
    tokenizer: str = option(
        "char",
        "What a token is; auto is char for texts of a word or two, else word.",
        choices=("auto", "char", "byte", "word", "bpe"),
    )
    vocabulary: int | None = option(
        None, "Most tokens to keep, for word (all words) and bpe (4096).", within="at least 1"
    )
    minimum_count: int = option(1, "How often a token must be in the training part to be kept.", within="at least 1")
    rate: int | None = option(
        None,
        "Samples a second that sound is brought to. None: what most files have, at most 16000.",
        within="at least 1",
    )
    mels: int = option(40, "Bands of a frame of sound.", within="at least 1")
    window: float = option(25.0, "Milliseconds of sound that a frame looks at.", within="more than 0")
    hop: float = option(10.0, "Milliseconds from a frame to the next.", within="more than 0")
    stack: int = option(1, "Frames joined to one step.", within="at least 1")
    frame_size: int = option(64, "Pixels of a side that pictures of a video are scaled to.", within="at least 8")
    frame_rate: float = option(0.0, "Pictures a second that are taken of a video; 0 for all.", within="0 or more")
    colour: str = option(
        "auto",
        "Whether pictures are read with their colours; auto: if the first clips have any.",
        choices=("auto", "rgb", "grey"),
    )
