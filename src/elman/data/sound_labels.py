"""Events as a label a step, and back. Step s lasts from s to s + 1 times `seconds`; its label is that of its middle."""

from collections.abc import Iterable, Sequence

import numpy as np

from elman.data.examples import Event, Recording
from elman.errors import DataError

# The label of a time in which nothing is heard.
NOTHING = "none"


def labels_of(recordings: Iterable[Recording]) -> list[str]:
    """The labels of recordings, `NOTHING` first. Raises `DataError` if there is no event at all."""
    found = {event.label for recording in recordings for event in recording.events or ()} - {NOTHING}
    if not found:
        raise DataError("there is no event in the training part: give a table with start, end and label of some.")
    return [NOTHING, *sorted(found)]


def numbered_steps(
    events: Sequence[Event], steps: int, seconds: float, labels: Sequence[str], start: float = 0.0
) -> np.ndarray:
    """The number of the label of each step (S), the first of which begins at `start`; int64."""
    numbers = {label: number for number, label in enumerate(labels)}
    middle_S = start + (np.arange(steps) + 0.5) * seconds
    labels_S = np.zeros(steps, np.int64)
    for event in events:
        labels_S[(middle_S >= event.start) & (middle_S < event.end)] = numbers[event.label]
    return labels_S


class EventReader:
    """Log probabilities of steps in, events out as soon as they are over: runs of one label that isn't `NOTHING`."""

    def __init__(self, labels: Sequence[str], seconds: float) -> None:
        self._labels, self._seconds = labels, seconds
        self._step, self._start, self._number = 0, 0, 0
        self._log_probability = 0.0

    def accept(self, log_probabilities_SV: np.ndarray) -> list[tuple[Event, float]]:
        """The events that end with these steps, each with the (geometric) mean of its label's probability."""
        found = []
        for number, log_p_V in zip(log_probabilities_SV.argmax(-1).tolist(), log_probabilities_SV, strict=True):
            if number != self._number:
                found += self._ended()
                self._number, self._start, self._log_probability = number, self._step, 0.0
            self._log_probability += float(log_p_V[number])
            self._step += 1
        return found

    def finish(self) -> list[tuple[Event, float]]:
        """The event that lasts to the end, if there is one."""
        found = self._ended()
        self._number = 0
        return found

    def _ended(self) -> list[tuple[Event, float]]:
        if not self._number:
            return []
        event = Event(self._start * self._seconds, self._step * self._seconds, self._labels[self._number])
        return [(event, float(np.exp(self._log_probability / (self._step - self._start))))]


def events_of(log_probabilities_SV: np.ndarray, labels: Sequence[str], seconds: float) -> list[Event]:
    """The events of a whole recording."""
    reader = EventReader(labels, seconds)
    return [event for event, _ in [*reader.accept(log_probabilities_SV), *reader.finish()]]
