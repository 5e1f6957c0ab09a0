"""The one list of tasks: what each is called, where it is at home, and which options are its own.

Nothing here imports torch, so that help pages can be made from it. A task's network and what trains it stand in files of this
folder, readers of its data in `elman.data`. Training, checkpoints, folders and the command line know tasks from here alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from elman.errors import OptionError, choices

AUTO = "auto"


@dataclass(frozen=True)
class TaskFacts:
    """A task.

    name       as `--task` has it                       title      what its model is called in a sentence
    network    "module:class" of the network            trainer    "module:class" of the `TaskKind` that trains it
    example    a command that uses the model, with {run} for its folder
    reads_folders   whether a folder means more than the files in it
    options    those of `TrainOptions` that not every task has, and this one has
    defaults   of options, where they differ from those of `TrainOptions`
    """

    name: str
    title: str
    network: str
    trainer: str
    example: str
    reads_folders: bool = False
    options: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)

    @property
    def network_kind(self) -> Any:
        """The network's class; imports torch."""
        return _load(self.network)

    @property
    def kind(self) -> Any:
        """The `TaskKind` that reads data, makes the network and trains it; imports torch."""
        return _load(self.trainer)()

    def filled(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Options that were given, over this task's defaults."""
        return {**self.defaults, **given, "task": self.name}


def _load(path: str) -> Any:
    module, name = path.split(":")
    return getattr(import_module(module), name)


TASKS: dict[str, TaskFacts] = {
    facts.name: facts
    for facts in (
        TaskFacts(
            name="lm",
            title="a language model",
            network="elman.models.language:LanguageModel",
            trainer="elman.models.language_task:LanguageKind",
            example="elman generate {run} --prompt 'The '",
            options=("tokenizer", "tie", "batch", "bptt"),
        ),
        TaskFacts(
            name="classify",
            title="a classifier of texts",
            network="elman.models.classification:ClassificationModel",
            trainer="elman.models.classification_task:ClassificationKind",
            example="echo 'a text' | elman predict {run}",
            reads_folders=True,
            options=(
                "text", "label", "test_fraction", "strict", "normalisation", "lowercase", "minimum_count",
                "tokenizer", "bidirectional", "pooling", "batch_tokens", "smoothing", "word_dropout",
            ),
            defaults={
                "tokenizer": "auto",
                "normalisation": "nfc",
                "hidden": 192,
                "embedding": 300,
                "dropout": 0.5,
                "word_dropout": 0.1,
                "smoothing": 0.1,
                "averaging": 0.99,
                "batch_tokens": 512,
                "max_epochs": 15,
                "patience": 0,
            },
        ),
        TaskFacts(
            name="tag",
            title="a tagger of words",
            network="elman.models.tagging:TaggingModel",
            trainer="elman.models.tagging_task:TaggingKind",
            example="echo 'words between spaces' | elman predict {run}",
            reads_folders=True,
            options=(
                "text", "label", "test_fraction", "strict", "normalisation", "lowercase", "minimum_count",
                "bidirectional", "character_embedding", "character_hidden", "output", "batch_tokens", "word_dropout",
                "rare_dropout",
            ),
            defaults={
                "normalisation": "nfc",
                "lowercase": True,
                "hidden": 192,
                "layers": 2,
                "dropout": 0.4,
                "word_dropout": 0.1,
                "weight_decay": 0.01,
                "averaging": 0.995,
                "max_epochs": 12,
                "patience": 0,
            },
        ),
        TaskFacts(
            name="translate",
            title="a translator",
            network="elman.models.translation:TranslationModel",
            trainer="elman.models.translation_task:TranslationKind",
            example="echo 'a text' | elman predict {run}",
            reads_folders=True,
            options=(
                "source", "target", "test_fraction", "strict", "normalisation", "lowercase", "tokenizer",
                "attention", "tie", "share", "beam", "alpha", "batch_tokens", "smoothing",
            ),
            defaults={
                "tokenizer": "bpe",
                "vocabulary": 6000,
                "normalisation": "nfc",
                "hidden": 256,
                "embedding": 256,
                "dropout": 0.3,
                "tie": True,
                "smoothing": 0.1,
                "batch_tokens": 512,
                "weight_decay": 0.01,
            },
        ),
        TaskFacts(
            name="forecast",
            title="a forecaster of series",
            network="elman.models.forecasting:ForecastingModel",
            trainer="elman.models.forecasting_task:ForecastingKind",
            example="elman predict {run} series.csv",
            options=(
                "id", "time", "values", "past", "known", "calendar", "missing", "season", "test_fraction", "strict",
                "look_back", "horizon", "segment", "joint", "head", "loss", "quantiles", "scaling", "batch", "batch_tokens",
            ),
            defaults={
                "cell": "gru",
                "hidden": 256,
                "embedding": 256,
                "dropout": 0.5,
                "batch": 256,
                "batch_tokens": 512,
                "lr": 1e-3,
                "averaging": 0.99,
            },
        ),
    )
}  # fmt: skip


def task_named(name: str) -> TaskFacts:
    """The task called `name`. Raises `OptionError`, with those that are like it, if there is none."""
    if name not in TASKS:
        raise OptionError(f"--task {name!r} is not known: {choices(name, AUTO, *TASKS)}")
    return TASKS[name]


def tasks_with(option: str) -> tuple[str, ...]:
    """The tasks that have this option; empty if all of them do."""
    return tuple(name for name, facts in TASKS.items() if option in facts.options)
