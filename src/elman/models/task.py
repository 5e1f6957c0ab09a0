"""What training needs to know of a task: batches by number, a loss, scores. Training knows no task by name."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn

from elman.data.text import Source
from elman.models.options import TrainOptions
from elman.models.tasks import TaskFacts

Scores = dict[str, float]


@runtime_checkable
class Task(Protocol):
    """A network and the data that it learns from.

    `batch(step)` is a pure function of the step, so a run that goes on from step N needs nothing but N; whether the state
    is carried into a step is one too.
    """

    @property
    def network(self) -> Any:
        """The network to train: a `Model`."""

    @property
    def steps_per_epoch(self) -> int:
        """Steps that read the whole training part once."""

    @property
    def fingerprint(self) -> str:
        """A hash of what it learns from and is scored on: another one means that the data changed."""

    @property
    def notes(self) -> list[str]:
        """What a person should know before the run starts, a line each."""

    def batch(self, step: int) -> Any:
        """The inputs and targets of a step."""

    def carries_state(self, step: int) -> bool:
        """Whether this step goes on where the one before it ended."""

    def loss(self, batch: Any, state: Any) -> tuple[Tensor, Any]:
        """Mean loss in nats over a batch, from a carried state (None: a fresh one); and the state after it."""

    def size(self, batch: Any) -> int:
        """How many units a batch has."""

    def validate(self) -> Scores:
        """Scores on the validation part, as often as asked: `Model.selection` of them decides which weights are kept."""

    def final_scores(self) -> tuple[Scores, Scores | None]:
        """At the end, as exact as can be: scores on the validation part, and on the test part if there is one.

        Beside a score `x` stands `baseline_x`, that of the task's trivial baseline.
        """

    def sample(self) -> str:
        """A short text that shows what the network does."""

    def draw(self, folder: Path) -> list[Path]:
        """Pictures of what was learnt. Needs matplotlib."""


@runtime_checkable
class Model(Protocol):
    """A network with all that an answer needs, as it lies in a folder: see `elman.models.folder`.

    `task` is its name in `elman.models.tasks`, `config` its sizes and options, a frozen dataclass.
    """

    task: str
    config: Any
    recurrent: Any
    parameter_count: int

    @classmethod
    def from_folder(cls, folder: Path, config: dict[str, Any], engine: Any) -> "Model":
        """The network that `config` describes, its weights not yet read. Raises `ModelFolderError`."""

    def save_vocabularies(self, folder: Path) -> dict[str, Any]:
        """Write the files of what was fitted, but the weights; gives the keys of `config.json` that tell of them."""

    def description(self) -> dict[str, str]:
        """The parts of the network in words, for `elman info`."""

    def evaluate(self, data: Source | Sequence[Source], encoding: str, *, watch: Callable[[float], None]) -> Any:
        """Scores of labelled data: a value with `to_dict()`."""

    @staticmethod
    def headline(scores: Scores) -> str:
        """Scores as a person reads them."""

    def loss_in_words(self, loss_nats: float) -> str:
        """What a training loss comes to in a unit that says more, or nothing."""

    @staticmethod
    def selection(scores: Scores) -> float:
        """What decides which weights are kept: the lower, the better."""


@runtime_checkable
class TaskKind(Protocol):
    """How a task begins: from data to a network and what trains it. Each step but `task` leaves nothing behind.

    One that has options which may be left to the data ("auto") has a method `settle(data, options)` besides, which gives what
    they come to.
    """

    def read(self, sources: Sequence[Source] | None, options: TrainOptions) -> Any:
        """The training, validation and test parts. Raises `DataError` for what can't be used."""

    def fit(self, data: Any, options: TrainOptions) -> nn.Module:
        """The network, its vocabularies fitted on the training part alone, its weights drawn after `manual_seed`."""

    def task(self, data: Any, network: Any, options: TrainOptions) -> Task:
        """What can be trained; `network` may come from `fit` or from the folder of a run that goes on."""


def settled(facts: TaskFacts, kind: TaskKind, data: Any, given: dict[str, Any]) -> TrainOptions:
    """The options of a run, once its data has been read: what was left to the data is settled, and defaults follow from it."""
    options = TrainOptions(**facts.filled(given))
    if not hasattr(kind, "settle"):
        return options
    return TrainOptions(**facts.filled({**given, **kind.settle(data, options)}))
