r"""How well a tagger of sound does: the share of right labels, and F1 of events as sed_eval counts them.

An event that was found is right if there is one of its label, none found for it before, with

    |onset - onset'| <= 0.2 s     and     |offset - offset'| <= max(0.2 s, half of the right event's length)

(Mesaros, Heittola and Virtanen, Applied Sciences 6(6), 2016; the defaults of sed_eval's `EventBasedMetrics`).
Found and right ones are matched so that as many as can be are right.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from elman.data.examples import Event
from elman.errors import DataError

COLLAR, PART = 0.2, 0.5


@dataclass(frozen=True)
class EventScores:
    """Scores over all steps and events.

    accuracy    the share of steps whose label is right     loss_nats   mean over steps of -ln P(label)
    event_f1    2 TP / (2 TP + FP + FN), of events; 0 if there are none on both sides
    steps       how many there are                          events, recordings   how many are right, and how many files

    `baseline_…` are the scores of the most frequent label of the training part, said always.
    """

    accuracy: float
    event_f1: float
    event_precision: float
    event_recall: float
    loss_nats: float
    steps: int
    events: int
    recordings: int
    baseline_accuracy: float
    baseline_event_f1: float

    def to_dict(self) -> dict[str, float]:
        """Under the names that `--json`, `metrics.jsonl` and `config.json` use."""
        return asdict(self)


def score_events(
    labels: Sequence[np.ndarray],
    log_probabilities: Sequence[np.ndarray],
    right: Sequence[Sequence[Event]],
    found: Sequence[Sequence[Event]],
    usual: int,
    usual_events: Sequence[Sequence[Event]],
) -> EventScores:
    """Scores of ln P (S, V) against the labels (S) of each recording, and of events. Raises `DataError` if there is none."""
    labels_S = np.concatenate([np.zeros(0, np.int64), *labels])
    if not len(labels_S):
        raise DataError("there is nothing to score: give at least one sound with its events.")
    log_p_SV = np.concatenate(log_probabilities)
    precision, recall, f1 = event_f1(right, found)
    return EventScores(
        accuracy=float((log_p_SV.argmax(-1) == labels_S).mean()),
        event_f1=f1,
        event_precision=precision,
        event_recall=recall,
        loss_nats=float(-log_p_SV[np.arange(len(labels_S)), labels_S].mean()),
        steps=len(labels_S),
        events=sum(map(len, right)),
        recordings=len(labels),
        baseline_accuracy=float((labels_S == usual).mean()),
        baseline_event_f1=event_f1(right, usual_events)[2],
    )


def event_f1(right: Sequence[Sequence[Event]], found: Sequence[Sequence[Event]]) -> tuple[float, float, float]:
    """Precision, recall and F1 of the events of recordings."""
    hits = sum(matched(true, said) for true, said in zip(right, found, strict=True))
    counted, wanted = sum(map(len, found)), sum(map(len, right))
    return hits / max(counted, 1), hits / max(wanted, 1), 2 * hits / max(counted + wanted, 1)


def matched(right: Sequence[Event], found: Sequence[Event]) -> int:
    """The most pairs of a right event and a found one that fit: a largest matching, by paths that make it larger."""
    fits = [[place for place, said in enumerate(found) if _fit(true, said)] for true in right]
    owner: dict[int, int] = {}

    def give(event: int, seen: set[int]) -> bool:
        for place in fits[event]:
            if place not in seen:
                seen.add(place)
                if place not in owner or give(owner[place], seen):
                    owner[place] = event
                    return True
        return False

    return sum(give(event, set()) for event in range(len(right)))


def _fit(true: Event, said: Event) -> bool:
    late = max(COLLAR, PART * (true.end - true.start))
    return true.label == said.label and abs(true.start - said.start) <= COLLAR and abs(true.end - said.end) <= late
