"""The loop: state carried and cut, gradients clipped, the best weights kept, an early stop, nothing kept of a NaN."""

import copy
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from torch import Tensor

from elman.data.text import Document
from elman.errors import TrainingDivergedError
from elman.models.language_data import Texts
from elman.models.language_task import LanguageKind, LanguageTask
from elman.models.options import TrainOptions
from elman.training import checkpoint
from elman.training.loop import Trainer

Loss = tuple[Tensor, Any]


class Watch:
    """Trains the tiny network and notes what happens at each step and validation."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.options = TrainOptions(**{**tiny.OPTIONS, "dropout": 0.0, **options})
        texts = Texts([Document("train", tiny.TEXT)], [Document("valid", tiny.TEXT[:200])], None)
        kind = LanguageKind()
        self.task: LanguageTask = kind.task(texts, kind.fit(texts, self.options), self.options)
        self.network = self.task.network
        self.before: list[Any] = []
        self.gradients: list[list[Tensor]] = []
        self.kept: list[int] = []
        self.reports: list[dict[str, float]] = []
        self.trainer = Trainer(self.task, self.options, folder, self._keep, [self])
        optimizer = self.trainer._optimizer
        optimizer.register_step_pre_hook(self._about_to_step)

    def _about_to_step(self, *_: Any) -> None:
        self.before.append(copy.deepcopy(self.network))
        self.gradients.append([p.grad.clone() for p in self.network.parameters()])  # type: ignore[union-attr]

    def _keep(self) -> None:
        self.kept.append(self.trainer.progress.step)

    def trained(self, progress: Any, fraction: float, report: dict[str, float]) -> None:  # noqa: ARG002
        self.reports.append(report)

    def validated(self, progress: Any, fraction: float, scores: dict[str, float]) -> None:
        pass

    def norms(self) -> list[float]:
        return [math.sqrt(sum(float(g.square().sum()) for g in gradient)) for gradient in self.gradients]


def detached(state: Any) -> Any:
    return state.detach() if isinstance(state, Tensor) else tuple(part.detach() for part in state)


@pytest.mark.parametrize("cell", ["elman", "lstm", "gru"])
def test_state_is_carried_from_window_to_window_and_gradients_are_cut_there(tmp_path: Path, cell: str) -> None:
    watch = Watch(tmp_path, cell=cell, steps=3, clip=0.0, validations=1)
    watch.trainer.fit()
    state = None
    for step, network in enumerate(watch.before):
        network.zero_grad()
        loss, after = watch.task.loss.__func__(_Of(network), watch.task.batch(step), state)  # type: ignore[attr-defined]
        loss.backward()
        for parameter, gradient in zip(network.parameters(), watch.gradients[step], strict=True):
            torch.testing.assert_close(parameter.grad, gradient, rtol=1e-6, atol=1e-8)
        state = detached(after)
    # A fresh state at the second window would give another gradient.
    network = watch.before[1]
    network.zero_grad()
    watch.task.loss.__func__(_Of(network), watch.task.batch(1), None)[0].backward()  # type: ignore[attr-defined]
    apart = [(p.grad - g).abs().max() for p, g in zip(network.parameters(), watch.gradients[1], strict=True)]
    assert max(apart) > 1e-5


class _Of:
    """Stands for a task when its loss is computed with the network of an earlier moment."""

    def __init__(self, network: torch.nn.Module) -> None:
        self.network = network


def test_each_epoch_begins_with_a_fresh_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    states: list[bool] = []
    real = LanguageTask.loss

    def loss(task: LanguageTask, batch: Any, state: Any) -> Loss:
        states.append(state is not None)
        return real(task, batch, state)

    monkeypatch.setattr(LanguageTask, "loss", loss)
    watch = Watch(tmp_path, epochs=2, steps=None, validations=1)
    watch.trainer.fit()
    epoch = watch.task.steps_per_epoch
    assert epoch > 2
    assert states == [step % epoch != 0 for step in range(2 * epoch)]
    assert watch.trainer.progress.units == 2 * watch.task.streams.steps * watch.task.streams.batch


def test_gradients_are_clipped_to_the_norm_that_is_asked_for(tmp_path: Path) -> None:
    free, clipped = (Watch(tmp_path, steps=5, validations=1, clip=clip) for clip in (0.0, 0.01))
    free.trainer.fit()
    clipped.trainer.fit()
    assert min(free.norms()) > 0.02
    assert clipped.norms() == pytest.approx([0.01] * 5, rel=1e-3)
    # What is reported is the norm before clipping.
    assert free.reports[-1]["gradient_norm"] == pytest.approx(sum(free.norms()) / 5, rel=1e-4)
    assert clipped.reports[-1]["gradient_norm"] > 0.02


def scripted(monkeypatch: pytest.MonkeyPatch, losses: list[float]) -> None:
    """Validations give these losses, in order."""
    script = iter(losses)
    monkeypatch.setattr(LanguageTask, "validate", lambda _: {"loss_nats": next(script)})


def test_the_best_weights_are_those_kept_and_not_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, [3.0, 2.0, 2.5, 2.0])
    watch = Watch(tmp_path, steps=40, validations=4, patience=0)
    progress = watch.trainer.fit()
    assert watch.kept == [10, 20]
    assert (progress.best, progress.best_step, progress.stale, progress.step) == (2.0, 20, 2, 40)


def test_it_stops_early_when_validation_no_longer_improves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, [3.0, 2.0, 2.5, 2.4, 0.0])
    watch = Watch(tmp_path, steps=80, validations=8, patience=2)
    assert watch.trainer.fit().step == 40
    assert watch.trainer.stopped_early


def test_one_better_validation_gives_patience_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, [3.0, 3.1, 2.0, 2.5, 1.9, 2.0, 1.8, 1.7])
    watch = Watch(tmp_path, steps=80, validations=8, patience=2)
    assert watch.trainer.fit().step == 80
    assert not watch.trainer.stopped_early


@pytest.mark.parametrize(("steps", "validations", "wanted"), [(40, 4, 4), (5, 12, 5), (41, 7, 7), (1, 1, 1)])
def test_it_validates_as_often_as_is_asked_for_and_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int, validations: int, wanted: int
) -> None:
    at: list[int] = []
    watch = Watch(tmp_path, steps=steps, validations=validations, patience=0)
    monkeypatch.setattr(
        LanguageTask, "validate", lambda _: at.append(watch.trainer.progress.step) or {"loss_nats": 1.0}
    )
    watch.trainer.fit()
    assert len(at) == wanted
    assert at[-1] == steps


def spoil_from(step: int, spoil: Callable[[Tensor], Tensor], watch: Watch) -> Any:
    real = LanguageTask.loss

    def loss(task: LanguageTask, batch: Any, state: Any) -> Loss:
        value, after = real(task, batch, state)
        return (spoil(value) if watch.trainer.progress.step >= step else value), after

    return loss


@pytest.mark.parametrize("spoil", [lambda loss: loss * math.nan, lambda loss: loss * math.inf], ids=["nan", "infinite"])
def test_a_loss_that_is_not_finite_stops_the_run_and_the_last_good_checkpoint_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Tensor], Tensor]
) -> None:
    watch = Watch(tmp_path, steps=40, validations=4, patience=0)
    monkeypatch.setattr(LanguageTask, "loss", spoil_from(25, spoil, watch))
    with pytest.raises(TrainingDivergedError) as caught:
        watch.trainer.fit()
    assert "diverged at step 25" in str(caught.value)
    assert str(tmp_path / checkpoint.NAME) in str(caught.value)
    assert "lower --lr (now 0.003)" in str(caught.value)
    again = Watch(tmp_path, steps=40, validations=4, patience=0)
    assert again.trainer.resume()
    assert again.trainer.progress.step == 20
    assert all(torch.isfinite(parameter).all() for parameter in again.network.parameters())


def test_a_gradient_that_is_not_finite_stops_the_run_before_it_touches_the_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoil(loss: Tensor) -> Tensor:
        # Finite itself, with an infinite slope: the square root at zero.
        return loss.detach() + torch.sqrt((loss - loss.detach()).abs())

    watch = Watch(tmp_path, steps=40, validations=4, patience=0)
    monkeypatch.setattr(LanguageTask, "loss", spoil_from(3, spoil, watch))
    with pytest.raises(TrainingDivergedError, match=r"step 3.*No checkpoint had been written yet"):
        watch.trainer.fit()
    assert all(torch.isfinite(parameter).all() for parameter in watch.network.parameters())
    assert len(watch.gradients) == 3


def test_a_validation_that_is_not_finite_is_never_the_best(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, [math.nan, 3.0, math.nan, math.inf])
    watch = Watch(tmp_path, steps=40, validations=4, patience=0)
    watch.trainer.fit()
    assert watch.kept == [20]


def test_biases_do_not_decay_and_matrices_do(tmp_path: Path) -> None:
    watch = Watch(tmp_path, weight_decay=0.3)
    decays = {
        id(parameter): group["weight_decay"]
        for group in watch.trainer._optimizer.param_groups
        for parameter in group["params"]
    }
    for parameter in watch.network.parameters():
        assert decays.pop(id(parameter)) == (0.3 if parameter.dim() > 1 else 0.0)
    assert not decays


def test_the_rate_follows_the_schedule(tmp_path: Path) -> None:
    watch = Watch(tmp_path, steps=40, lr=0.01, warmup=4)
    rates: list[float] = []
    watch.trainer._optimizer.register_step_pre_hook(lambda optimizer, *_: rates.append(optimizer.param_groups[0]["lr"]))
    watch.trainer.fit()
    schedule = watch.trainer.schedule
    assert rates == [schedule.learning_rate(step, step / 40) for step in range(40)]
