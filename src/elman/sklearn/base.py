"""What all estimators share: parameters, training, and what scikit-learn asks of an estimator of sequences."""

import tempfile
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.base import BaseEstimator  # type: ignore[import-untyped]
from sklearn.utils import check_random_state  # type: ignore[import-untyped]

from elman.errors import TrainingDivergedError, TrainingInterruptedError
from elman.models.device import find_device
from elman.models.folder import WEIGHTS, load_weights, save_weights
from elman.models.options import BUDGETS, TrainOptions
from elman.models.tasks import task_named
from elman.training.loop import Trainer
from elman.training.progress import Display, SilentDisplay, make_display


class SequenceEstimator(BaseEstimator):
    """What all have: parameters, training, and what scikit-learn asks of an estimator of sequences."""

    _task: ClassVar[str]

    def _options(self, **settled: Any) -> TrainOptions:
        """The options of training: what the data settled, over parameters that were given, over the task's defaults."""
        given = {name: value for name, value in self.get_params(deep=False).items() if value is not None}
        # Searches draw numbers of numpy's kinds.
        given = {name: value.item() if isinstance(value, np.generic) else value for name, value in given.items()}
        seed = given.pop("random_state", None)
        if "seed" not in settled:
            given["seed"] = seed if isinstance(seed, int) else int(check_random_state(seed).randint(2**31 - 1))
        del given["verbose"]
        options = TrainOptions(**task_named(self._task).filled({**given, **settled}))
        # What a clock decides isn't the same twice.
        return options if any(name in given for name in BUDGETS) else options.changed(epochs=options.max_epochs)

    def _kind(self) -> Any:
        """What splits items, makes a network and trains it: the task's."""
        return task_named(self._task).kind

    def _train(self, items: Any) -> tuple[Any, int, Any]:
        """A network trained on the items, of which a seeded part decides which weights are kept; its updates; and its task."""
        options, kind = self._options(), self._kind()
        parts = kind.split(items, options)
        if hasattr(kind, "settle"):
            options = self._options(seed=options.seed, **kind.settle(parts, options))
        # The first says what was read.
        for note in parts.notes[1:]:
            warnings.warn(note, stacklevel=3)
        # Training draws from torch's global generator; the caller's own draws go on as if it had not.
        with torch.random.fork_rng(), tempfile.TemporaryDirectory() as folder:
            network = kind.fit(parts, options).to(find_device(options.device))
            task = kind.task(parts, network, options)
            display: Display = make_display(network) if self.get_params(deep=False)["verbose"] else SilentDisplay()
            with closing(display), _no_folder_to_go_on_with():
                trainer = Trainer(task, options, Path(folder), lambda: save_weights(Path(folder), network), [display])
                steps = trainer.fit().step
            load_weights(network, Path(folder) / WEIGHTS)
        return network.eval(), steps, task

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.one_d_array = True
        tags.input_tags.string = True
        tags.target_tags.required = True
        tags.non_deterministic = self.get_params(deep=False)["minutes"] is not None
        return tags


@contextmanager
def _no_folder_to_go_on_with() -> Iterator[None]:
    """An estimator's folder ends with its training: errors say nothing of it, and an interrupt ends a search as well."""
    try:
        yield
    except TrainingInterruptedError as error:
        # A search goes on after an error, if it is told to; who interrupts it means all of it.
        raise KeyboardInterrupt from error
    except TrainingDivergedError as error:
        raise TrainingDivergedError("training diverged: give a lower lr, or look for odd values among X.") from error
