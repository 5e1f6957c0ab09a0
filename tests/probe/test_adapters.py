"""The probe takes a task apart as it is: the losses of its rows and steps are those that training means over."""

from pathlib import Path
from typing import Any

import pytest
import torch
from task_data import SIGNAL_TASKS, TEXT_TASKS, series, texts

from elman.models.options import TrainOptions
from elman.models.tasks import task_named
from elman.probe.adapter import Adapter
from elman.probe.adapters import Tagger, adapter_of
from elman.probe.measure import lag_norms
from elman.probe.signal_adapters import ForecastSeries, SoundTagger, Transcriber
from elman.probe.subject import Sizes
from elman.probe.tap import undisturbed
from elman.probe.task_subject import TaskSubject
from elman.probe.training import glance

_WINDOWS = {"look_back": 24, "horizon": 9, "segment": 4, "batch": 8}
_CASES: list[Any] = [
    *(pytest.param(name, make, {}, id=name) for name, make in [*TEXT_TASKS, *SIGNAL_TASKS] if name != "forecast"),
    pytest.param("forecast", series, _WINDOWS, id="forecast"),
    pytest.param("forecast", series, {**_WINDOWS, "head": "autoregressive", "loss": "normal"}, id="forecast-in-turn"),
    pytest.param("forecast", series, {"look_back": 0, "horizon": 1, "batch_tokens": 512}, id="forecast-whole"),
    pytest.param(
        "forecast",
        series,
        {"look_back": 0, "horizon": 1, "batch_tokens": 512, "joint": True, "loss": "student"},
        id="forecast-joint",
    ),
]


def task_of(name: str, make: Any, folder: Path, given: dict[str, Any]) -> Any:
    facts = task_named(name)
    sizes = {"hidden": 8, "embedding": 8, "batch_tokens": 60, "steps": 1, "dropout": 0.0, "smoothing": 0.0}
    known = {key: value for key, value in (sizes | given).items() if key != "smoothing" or "smoothing" in facts.options}
    options = TrainOptions(**facts.filled(known))
    data = facts.kind.read(make(folder), options)
    return facts.kind.task(data, facts.kind.fit(data, options), options)


def losses_of(adapter: Adapter, task: Any, batch: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """All losses of a batch, at every step that has one, and how much each weighs in training's mean."""
    steps_B = adapter.steps(batch)
    assert steps_B is not None
    if adapter.at(batch, 1, torch.Generator()) is None:
        weights_B = batch[3] if isinstance(adapter, Transcriber) else torch.ones(len(steps_B))
        return adapter.score(task, batch, None, None).losses_B, weights_B
    losses, weights = [], []
    for step in range(int(steps_B.max())):
        at_B = torch.minimum(torch.tensor(step), steps_B - 1)
        losses.append(adapter.score(task, batch, None, at_B).losses_B)
        weights.append((steps_B > step).float())
    return torch.cat(losses), torch.cat(weights)


@pytest.mark.parametrize(("name", "make", "given"), _CASES)
def test_losses_of_rows_and_steps_come_to_what_is_trained(
    name: str, make: Any, given: dict[str, Any], tmp_path: Path
) -> None:
    task = task_of(name, make, tmp_path, given)
    adapter = adapter_of(task.network, task.batch(0))
    assert type(adapter) is not Adapter
    with undisturbed(task.network), torch.no_grad():
        for step in range(min(task.steps_per_epoch, 3)):
            batch = task.batch(step)
            losses_N, weights_N = losses_of(adapter, task, batch)
            expected, _ = task.loss(batch, None)
            if isinstance(adapter, Tagger):
                # A random field's loss has transitions in it besides.
                assert losses_N.isfinite().all()
                continue
            torch.testing.assert_close((losses_N * weights_N).sum() / weights_N.sum(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("name", "make", "given"), _CASES)
def test_nothing_is_hidden_by_a_cut_as_long_as_the_sequence_and_all_that_is_older_by_a_shorter_one(
    name: str, make: Any, given: dict[str, Any], tmp_path: Path
) -> None:
    task = task_of(name, make, tmp_path, given)
    batch = task.batch(0)
    adapter = adapter_of(task.network, batch)
    if not adapter.truncates:
        with pytest.raises(NotImplementedError):
            adapter.cut(batch, None, 3)
        return
    longest = int(adapter.steps(batch).max())  # type: ignore[union-attr]
    at_B = adapter.at(batch, longest - 1, torch.Generator().manual_seed(0))
    with undisturbed(task.network), torch.no_grad():
        whole = adapter.score(task, batch, None, at_B).losses_B
        for steps in (longest, longest + 7):
            kept, kept_at = adapter.cut(batch, at_B, steps)
            torch.testing.assert_close(adapter.score(task, kept, None, kept_at).losses_B, whole, rtol=1e-5, atol=1e-6)
        kept, kept_at = adapter.cut(batch, at_B, 1)
        assert int(adapter.steps(kept).max()) <= (2 if isinstance(adapter, (Tagger, SoundTagger)) else 1)  # type: ignore[union-attr]
        assert adapter.score(task, kept, None, kept_at).losses_B.isfinite().all()


@pytest.mark.parametrize("head", ["direct", "autoregressive"])
def test_of_a_forecast_the_steps_of_the_window_are_looked_at_and_not_those_of_the_head(
    head: str, tmp_path: Path
) -> None:
    task = task_of("forecast", series, tmp_path, {**_WINDOWS, "head": head})
    subject = TaskSubject(task, 100, Sizes(), torch.Generator().manual_seed(0))
    with undisturbed(task.network):
        (curve,) = lag_norms(subject)
    assert curve.passage.batch == 8
    assert curve.reach == subject.lags == 5
    # The first step of the window is seen through five others, the last through none.
    assert (curve.norms_KB[:6] > 0).all()


def test_the_gradient_of_a_forecast_is_that_of_each_row_s_own_loss(tmp_path: Path) -> None:
    """Rows don't touch each other: a row alone has the same gradient by lag as among others."""
    task = task_of("forecast", series, tmp_path, {"look_back": 0, "horizon": 1, "batch_tokens": 512})
    batch = task.batch(0)
    adapter = adapter_of(task.network, batch)
    assert isinstance(adapter, ForecastSeries)
    subject = TaskSubject(task, 20, Sizes(), torch.Generator().manual_seed(0))
    with undisturbed(task.network):
        (among,) = lag_norms(subject)
        subject._batches, subject._at_B = [adapter.first_rows(subject._batches[0], 1)], subject._at_B[:1]  # type: ignore[index]
        (alone,) = lag_norms(subject)
    torch.testing.assert_close(alone.norms_KB, among.norms_KB[:, :1], rtol=1e-4, atol=1e-8, equal_nan=True)


def test_a_transcriber_is_looked_through_from_the_end_of_each_sound(tmp_path: Path) -> None:
    task = task_of("transcribe", texts, tmp_path, {"batch_tokens": 400})
    subject = TaskSubject(task, 1000, Sizes(), torch.Generator().manual_seed(0))
    with undisturbed(task.network):
        found = lag_norms(subject)
    assert {one.norms_KB.shape[1] for one in found} == {found[0].passage.batch}
    assert max(one.reach for one in found) == subject.lags
    assert all((one.norms_KB[0] > 0).any() for one in found)


@pytest.mark.parametrize(("name", "make", "given"), _CASES)
def test_training_can_glance_through_time_in_every_task(
    name: str, make: Any, given: dict[str, Any], tmp_path: Path
) -> None:
    found = glance(task_of(name, make, tmp_path, given), 0)
    assert found["lags"] >= 1
    assert all(isinstance(value, float) for value in found.values())
    assert any("dead" in name for name in found)
