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
    of         the task that this one is, of other data than text: `--task` may name that, and the data decides
    options    those of `TrainOptions` that not every task has, and this one has
    defaults   of options, where they differ from those of `TrainOptions`
    by_tokenizer   of options, where they differ from those for a kind of tokenizer: words are more than characters, and rarer
    """

    name: str
    title: str
    network: str
    trainer: str
    example: str
    reads_folders: bool = False
    of: str | None = None
    options: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    by_tokenizer: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

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
        tokenizer = given.get("tokenizer", self.defaults.get("tokenizer"))
        return {**self.defaults, **self.by_tokenizer.get(tokenizer, {}), **given, "task": self.name}


def _load(path: str) -> Any:
    module, name = path.split(":")
    return getattr(import_module(module), name)


# How sound becomes frames, and what training does to it.
_SOUND = (
    "rate", "mels", "window", "hop", "stack", "bidirectional",
    "noise", "shift", "gain", "time_mask", "frequency_mask",
)  # fmt: skip
_SOUND_DEFAULTS: dict[str, Any] = {
    "hidden": 192,
    "embedding": 128,
    "dropout": 0.2,
    "bidirectional": False,
    "gain": 6.0,
    "time_mask": 0.1,
    "frequency_mask": 0.2,
    "batch_tokens": 2048,
    "weight_decay": 0.01,
    "averaging": 0.99,
    "patience": 0,
}

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
            by_tokenizer={
                "word": {"hidden": 512, "embedding": 256, "dropout": 0.4, "weight_decay": 0.01},
            },
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
                "rare_dropout",
            ),
            defaults={
                "tokenizer": "auto",
                "normalisation": "nfc",
                "hidden": 192,
                "embedding": 300,
                "dropout": 0.5,
                "rare_dropout": 1.0,
                "smoothing": 0.1,
                "averaging": 0.99,
                "batch_tokens": 512,
                "max_epochs": 15,
                "patience": 0,
            },
            by_tokenizer={
                "char": {
                    "hidden": 128, "embedding": 64, "dropout": 0.3, "pooling": "last", "smoothing": 0.0, "lr": 5e-3,
                },
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
                "dropout": 0.15,
                "tie": True,
                "smoothing": 0.1,
                "batch_tokens": 512,
                "weight_decay": 0.01,
            },
        ),
        TaskFacts(
            name="classify-series",
            title="a classifier of series",
            network="elman.models.series_classification:SeriesClassifier",
            trainer="elman.models.signal_task:SeriesKind",
            example="elman predict {run} new.ts",
            reads_folders=True,
            of="classify",
            options=(
                "label", "id", "time", "group", "missing", "test_fraction", "strict",
                "bidirectional", "pooling", "frames", "stack", "differences", "batch_tokens", "smoothing",
                "shift", "stretch",
            ),
            defaults={
                "frames": "flat",
                "hidden": 128,
                "layers": 2,
                "dropout": 0.2,
                "smoothing": 0.1,
                "averaging": 0.99,
                "batch_tokens": 2048,
                "weight_decay": 0.01,
                "patience": 0,
            },
        ),
        TaskFacts(
            name="classify-sound",
            title="a classifier of sounds",
            network="elman.models.sound_classification:SoundClassifier",
            trainer="elman.models.signal_task:SoundKind",
            example="elman predict {run} new.wav",
            reads_folders=True,
            of="classify",
            options=(
                "path", "label", "start", "end", "group", "test_fraction", "strict", "rate", "mels", "window", "hop",
                "bidirectional", "pooling", "frames", "stack", "differences", "batch_tokens", "smoothing",
                "noise", "shift", "gain", "time_mask", "frequency_mask", "cache",
            ),
            defaults={
                "frames": "flat",
                "cell": "gru",
                "hidden": 128,
                "layers": 2,
                "dropout": 0.2,
                "smoothing": 0.1,
                "averaging": 0.99,
                "batch_tokens": 2048,
                "weight_decay": 0.01,
                "time_mask": 0.1,
                "frequency_mask": 0.2,
                "gain": 6.0,
                "patience": 0,
            },
        ),
        TaskFacts(
            name="classify-video",
            title="a classifier of video",
            network="elman.models.video_classification:VideoClassifier",
            trainer="elman.models.signal_task:VideoKind",
            example="elman predict {run} new.mp4",
            reads_folders=True,
            of="classify",
            options=(
                "path", "label", "group", "test_fraction", "strict", "frame_size", "frame_rate", "colour",
                "bidirectional", "pooling", "frames", "channels", "stack", "differences", "batch_tokens", "smoothing",
                "shift", "zoom", "turn", "stretch", "flip", "cache",
            ),
            defaults={
                "cell": "gru",
                "hidden": 128,
                "dropout": 0.2,
                "smoothing": 0.1,
                "averaging": 0.99,
                "batch_tokens": 256,
                "lr": 0.001,
                "weight_decay": 0.05,
                "differences": True,
                "shift": 0.04,
                "zoom": 0.08,
                "turn": 4.0,
                "stretch": 0.4,
                "patience": 0,
            },
        ),
        TaskFacts(
            name="transcribe",
            title="a transcriber of sound",
            network="elman.models.transcription:TranscriptionModel",
            trainer="elman.models.transcription_task:TranscriptionKind",
            example="elman predict {run} sound.wav",
            reads_folders=True,
            options=(
                "path", "text", "start", "end", "group", "test_fraction", "strict", "normalisation", "lowercase", "tokenizer",
                *_SOUND, "beam", "batch_tokens",
            ),
            defaults={
                **_SOUND_DEFAULTS,
                "tokenizer": "auto",
                "normalisation": "nfc",
                "stack": 3,
                "cell": "gru",
                "hidden": 128,
                "layers": 2,
                "bidirectional": True,
                "beam": 1,
                "batch_tokens": 1024,
            },
        ),
        TaskFacts(
            name="tag-sound",
            title="a tagger of sound",
            network="elman.models.sound_tagging:SoundTaggingModel",
            trainer="elman.models.sound_tagging_task:SoundTaggingKind",
            example="elman predict {run} sound.wav",
            reads_folders=True,
            of="tag",
            options=(
                "path", "start", "end", "label", "group", "test_fraction", "strict", *_SOUND, "batch_tokens",
            ),
            defaults={**_SOUND_DEFAULTS, "stack": 2, "time_mask": 0.0, "batch_tokens": 1024},
        ),
        TaskFacts(
            name="forecast",
            title="a forecaster of series",
            network="elman.models.forecasting:ForecastingModel",
            trainer="elman.models.forecasting_task:ForecastingKind",
            example="elman predict {run} series.csv",
            options=(
                "id", "time", "values", "past", "known", "calendar", "missing", "season", "test_fraction", "strict",
                "look_back", "horizon", "segment", "joint", "head", "linear", "loss", "quantiles", "scaling", "amplitude",
                "batch", "batch_tokens",
            ),
            defaults={
                "cell": "gru",
                "hidden": 256,
                "embedding": 256,
                "dropout": 0.5,
                "batch": 256,
                "batch_tokens": 512,
                "amplitude": 0.3,
                "lr": 5e-4,
                "averaging": 0.995,
                "patience": 0,
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
