"""What a person sees while a run goes on, on standard error: a bar on a terminal, plain lines elsewhere."""

import math
import sys
import time
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar

from elman.training.checkpoint import Progress

_SECONDS_BETWEEN_LINES = 10.0


class Display(Protocol):
    """Shows a run: an observer that also takes notes (single lines that stay) and must be closed."""

    def note(self, text: str) -> None: ...

    def trained(self, progress: Progress, fraction: float, report: dict[str, float]) -> None: ...

    def validated(self, progress: Progress, fraction: float, scores: dict[str, float]) -> None: ...

    def probed(self, progress: Progress, fraction: float, values: dict[str, float]) -> None: ...

    def close(self) -> None: ...


class Speaker(Protocol):
    """What says figures in words: a `Model`."""

    def headline(self, scores: dict[str, float]) -> str: ...

    def loss_in_words(self, loss_nats: float) -> str: ...


def make_display(model: Speaker) -> Display:
    """A bar if standard error is a terminal, else plain lines, in the model's words."""
    console = Console(stderr=True, highlight=False)
    return BarDisplay(console, model) if console.is_terminal else LineDisplay(model)


class SilentDisplay:
    """Shows nothing."""

    def note(self, text: str) -> None:
        pass

    def trained(self, progress: Progress, fraction: float, report: dict[str, float]) -> None:
        pass

    def validated(self, progress: Progress, fraction: float, scores: dict[str, float]) -> None:
        pass

    def probed(self, progress: Progress, fraction: float, values: dict[str, float]) -> None:
        pass

    def close(self) -> None:
        pass


class LineDisplay:
    """A plain line every ten seconds and for each validation."""

    def __init__(self, model: Speaker) -> None:
        self._model = model
        self._last = -math.inf

    def note(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)  # noqa: T201

    def trained(self, progress: Progress, fraction: float, report: dict[str, float]) -> None:
        if time.monotonic() - self._last >= _SECONDS_BETWEEN_LINES:
            self._last = time.monotonic()
            self.note(_training_line(progress, fraction, report, self._model))

    def validated(self, progress: Progress, fraction: float, scores: dict[str, float]) -> None:  # noqa: ARG002
        self.note(_validation_line(progress, scores, self._model))

    def probed(self, progress: Progress, fraction: float, values: dict[str, float]) -> None:  # noqa: ARG002
        self.note(_probe_line(progress, values))

    def close(self) -> None:
        pass


class BarDisplay:
    """A bar with the latest figures; validations stay above it."""

    def __init__(self, console: Console, model: Speaker) -> None:
        self._model = model
        self._bar = Bar(BarColumn(bar_width=24), TextColumn("{task.description}"), console=console, transient=True)
        self._task = self._bar.add_task("starting", total=1.0)
        self._bar.start()

    def note(self, text: str) -> None:
        self._bar.console.print(text, markup=False)

    def trained(self, progress: Progress, fraction: float, report: dict[str, float]) -> None:
        text = _training_line(progress, fraction, report, self._model)
        self._bar.update(self._task, completed=fraction, description=text)

    def validated(self, progress: Progress, fraction: float, scores: dict[str, float]) -> None:
        self.note(_validation_line(progress, scores, self._model))
        self._bar.update(self._task, completed=fraction)

    def probed(self, progress: Progress, fraction: float, values: dict[str, float]) -> None:  # noqa: ARG002
        self.note(_probe_line(progress, values))

    def close(self) -> None:
        self._bar.stop()


def _training_line(progress: Progress, fraction: float, report: dict[str, float], model: Speaker) -> str:
    loss = report["loss_nats"]
    best = "" if math.isinf(progress.best) else f" · best valid {abs(progress.best):.3f}"
    words = model.loss_in_words(loss)
    left = progress.seconds * (1 - fraction) / fraction if fraction else math.inf
    return (
        f"{fraction:4.0%} step {progress.step} · loss {loss:.3f}{f' ({words})' if words else ''}{best} · "
        f"{report['tokens_per_second']:,.0f} tokens/s · {_duration(left)} left"
    )


def _validation_line(progress: Progress, scores: dict[str, float], model: Speaker) -> str:
    verdict = (
        "best so far" if progress.stale == 0 else f"best was {abs(progress.best):.4f} at step {progress.best_step}"
    )
    return f"valid {model.headline(scores)} · step {progress.step}, {_duration(progress.seconds)} · {verdict}"


def _probe_line(progress: Progress, values: dict[str, float]) -> str:
    lags = [value for name, value in values.items() if name.endswith("lag_1_percent")]
    return f"probe gradient down to 1 % at lag {max(lags):.1f} of {values['lags']:.0f} · step {progress.step}"


def _duration(seconds: float) -> str:
    if math.isinf(seconds):
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
