"""Every error that elman raises on purpose.

Each message names the thing, says what was wrong with it, and what to do. The command line prints the message and exits
with `exit_code`; a Python user catches `ElmanError`, or the built-in error that the class also is.
"""


class ElmanError(Exception):
    """The root of all errors raised on purpose."""

    exit_code = 2


class ShapeError(ElmanError, ValueError):
    """An array has the wrong shape, layout or dtype."""


class OptionError(ElmanError, ValueError):
    """An option, a configuration key or a combination of them makes no sense."""


class EngineError(ElmanError, RuntimeError):
    """An engine was named that can't serve here."""


class DataError(ElmanError, ValueError):
    """A file or a text can't be read, or is too short, or isn't text."""


class ModelFolderError(ElmanError, ValueError):
    """A model's folder is incomplete, damaged, newer than this elman, or contradicts itself."""

    def __init__(self, wrong: str, remedy: str = "Restore the folder from where it was made, or train again.") -> None:
        super().__init__(f"{wrong} {remedy}")


class RunError(ElmanError, RuntimeError):
    """A run's folder can't be written, resumed, or holds what must not be overwritten."""


class TrainingDivergedError(ElmanError, ArithmeticError):
    """The loss or the gradient became NaN or infinite; the last good checkpoint stands."""


class TrainingInterruptedError(ElmanError):
    """A signal ended the training; everything was saved first."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number


class TraceError(EngineError):
    """A cell's step does what a program can't say; the reference engine still runs it."""


class ConvertError(ElmanError, ValueError):
    """Weights or a file of another library can't be understood, or what a layer computes has no place in that library."""


class ProbeError(ElmanError, ValueError):
    """A network can't be looked through: it has no recurrent layer, weights that are no numbers, or data that don't fit."""


class CellError(ElmanError, AssertionError):
    """A cell breaks one of the laws that `elman.testing.check_cell` holds it to."""


def choices(name: str, *known: str) -> str:
    """What an error says of a name that isn't known: those that are like it, and all there are."""
    import difflib  # noqa: PLC0415

    near = difflib.get_close_matches(name.lower(), known)
    return (f"did you mean {' or '.join(map(repr, near))}? Choose" if near else "choose") + f" from {', '.join(known)}."
