"""`elman.probe`: everything that there is to measure of a network and its data, in one value."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from elman.errors import OptionError
from elman.probe.gradients import LagNorms, Scored, gradient_by_lag
from elman.probe.horizon import fallen_to, use_of_context
from elman.probe.modules import Loss
from elman.probe.opening import open_subject
from elman.probe.remedies import remedies
from elman.probe.result import ProbeResult
from elman.probe.saturation import Saturation
from elman.probe.spectrum import spectrum
from elman.probe.subject import ROWS, Sizes, Subject, check_weights
from elman.probe.tap import Passage, tapped, undisturbed
from elman.probe.verdict import sentences


def probe(
    model: Any,
    data: Any = None,
    *,
    lags: int | None = None,
    seed: int = 0,
    loss: Loss | None = None,
    clip: float | None = None,
    window: int | None = None,
    rows: int = ROWS,
    device: str = "auto",
    **columns: Any,
) -> ProbeResult:
    """Look through time in a network.

    model     the folder of a run; a model of elman's of any task; an `elman.layers` layer; a module of your own with
              `torch.nn.RNN`, `LSTM`, `GRU` or elman's layers in it; or a cell (`elman.cells.Cell`)
    data      for a model of elman's: whatever it was trained on is like; None: the run's own validation part, for a folder
              alone. For a module: a batch, or a list of batches, see `elman.probe.modules`
    lags      how far back to look. None: twice as far as training's gradients went, if that is known, else 100
    seed      of what is drawn: windows, scored steps, directions
    loss      for a module: (module, batch) -> losses
    clip      the gradient's largest norm in training; None: what the run has, or no clipping
    window    the steps that training's gradients went back; None: what the run has
    rows      how many rows are sampled for the gradient
    device    where to run a folder's model
    columns   options of reading data, as `elman evaluate` has them: `text`, `label`, …

    Figures repeat bit for bit on a processor. The network is left as it was. Raises `ProbeError` for a network that can't be
    looked through and weights that are no numbers, `OptionError` for options that make no sense, and what reading data raises.
    """
    _check(lags=lags, rows=rows, window=window)
    began = time.monotonic()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        generator = torch.Generator().manual_seed(seed)
        subject, run_clip = open_subject(model, data, loss, lags, window, Sizes(rows=rows), generator, device, columns)
        found = measure(subject, seed, run_clip if clip is None else clip)
    return replace(found, seconds=round(time.monotonic() - began, 3))


def measure(subject: Subject, seed: int = 0, clip: float | None = None) -> ProbeResult:
    """All measurements of a subject, and what they come to in words."""
    check_weights(subject.network)
    norm = _gradient_norm(subject)
    with undisturbed(subject.network):
        gradients = lag_norms(subject)
        with subject.stacks():
            context = use_of_context(subject.see, subject.lags + 1)
        long = streams(subject)
        spectra = [found for stream in long if (found := stream.spectrum(seed)) is not None]
        saturations = [stream.saturation() for stream in long]
    # What a sequence is to a network, its layers alone may know: joined frames and segments are fewer steps.
    lags = max(one.reach for one in gradients)
    cut = (
        [f"lags are cut to {lags}: no layer runs more than {lags + 1} steps of a sequence."]
        if lags < subject.lags
        else []
    )
    curves, horizons = curves_of([one.cut(lags) for one in gradients])
    notes = [*subject.notes, *cut, *_stack_notes(_numbers([one.passage for one in gradients]))]
    if not context["steps"]:
        notes.append("use of context: not measured, since it isn't plain what a shorter sequence is to this network.")
    result = ProbeResult(
        model=subject.facts.to_dict(),
        lags=list(range(lags + 1)),
        gradient=curves,
        horizons=horizons,
        context=context,
        spectrum=spectra,
        saturation=saturations,
        clipping=None if norm is None else {"norm_before": norm, "norm_after": min(norm, clip) if clip else norm},
        notes=notes,
    )
    with subject.stacks() as stacks:
        layers = next(iter(stacks.values()))
    return replace(result, verdict=list(sentences(result)), remedies=list(remedies(result, layers)))


def lag_norms(subject: Subject) -> list[LagNorms]:
    """Gradient by lag of one batch of the subject; the network undisturbed."""
    with subject.stacks() as stacks, tapped(stacks, graph=True) as passages, torch.enable_grad():
        scored = subject.score()
        if len(scored.losses_B) == 1 and passages[0].batch > 1:
            # A mean over rows: each has a row's share of it.
            scored = Scored(scored.losses_B * passages[0].batch, scored.at_B)
        return gradient_by_lag(_counted(subject, passages), scored, subject.lags, subject.aligned)


@dataclass(frozen=True)
class Stream:
    """A layer in one direction over a long stream: where it stands, and each run of it in order."""

    where: dict[str, Any]
    runs: list[Passage]

    def saturation(self) -> dict[str, Any]:
        found = Saturation(self.runs[0].cell)
        with torch.no_grad():
            for run in self.runs:
                for number, step in enumerate(run.steps):
                    found.add(step, run.lengths_B > number)
        return {**self.where, **found.to_dict()}

    def spectrum(self, seed: int) -> dict[str, Any] | None:
        # Padding is no data: as long as all of the rows run.
        whole = [step for run in self.runs for step in run.steps[: int(run.lengths_B.min())]]
        return {**self.where, **spectrum(self.runs[0].cell, whole, seed=seed).to_dict()} if whole else None


def streams(subject: Subject) -> list[Stream]:
    """Each layer and direction over a long stream; the network undisturbed."""
    with subject.stacks() as stacks, tapped(stacks, keep=True) as passages, torch.no_grad():
        subject.stream()
    passages = _counted(subject, passages)
    together: dict[tuple[str, int, bool], list[Passage]] = {}
    for passage in passages:
        together.setdefault((*_key(passage), passage.backwards), []).append(passage)
    layers = _numbers(passages)
    return [
        Stream({"layer": layers[stack, layer], **({"direction": "backwards"} if backwards else {})}, runs)
        for (stack, layer, backwards), runs in together.items()
    ]


def _gradient_norm(subject: Subject) -> float | None:
    """The norm of the gradient by all parameters together, as training sees it before clipping."""
    parameters = [parameter for parameter in subject.network.parameters() if parameter.requires_grad]
    if not parameters:
        return None
    was_training = subject.network.training
    subject.network.eval()
    with torch.enable_grad(), subject.stacks():
        loss = subject.mean_loss()
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
    subject.network.train(was_training)
    norms = [gradient.norm() for gradient in gradients if gradient is not None]
    return float(torch.stack(norms).norm()) if norms else None


def curves_of(gradients: Sequence[LagNorms]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The quartiles by lag of each layer and state, and their horizons, under the names of the JSON form."""
    layers = _numbers([one.passage for one in gradients])
    curves, horizons = [], []
    for one in gradients:
        low, median, high = one.quartiles()
        state = f"{one.state}, backwards" if one.passage.backwards else one.state
        where = {"layer": layers[_key(one.passage)], "state": state}
        curves.append({**where, "median": median, "low": low, "high": high})
        falls = {"lag_1_e": fallen_to(median, math.exp(-1)), "lag_1_percent": fallen_to(median, 0.01)}
        horizons.append({**where, **falls})
    return curves, horizons


def _numbers(passages: Sequence[Passage]) -> dict[tuple[str, int], int]:
    """The layers of all stacks, numbered from 1."""
    return {key: number for number, key in enumerate(dict.fromkeys(map(_key, passages)), 1)}


def _counted(subject: Subject, passages: list[Passage]) -> list[Passage]:
    """The passages that are looked at."""
    if not subject.first_run:
        return passages
    firsts: dict[Any, Passage] = {}
    for passage in passages:
        firsts.setdefault((*_key(passage), passage.direction), passage)
    return list(firsts.values())


def _key(passage: Passage) -> tuple[str, int]:
    return passage.stack, passage.layer


def _stack_notes(layers: dict[tuple[str, int], int]) -> list[str]:
    """Which layers are which, if there are several stacks."""
    stacks: dict[str, list[int]] = {}
    for (stack, _), number in layers.items():
        stacks.setdefault(stack, []).append(number)
    if len(stacks) < 2:
        return []
    return [
        f"layer{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}: {stack}"
        for stack, numbers in stacks.items()
    ]


def _check(**numbers: int | None) -> None:
    for name, value in numbers.items():
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise OptionError(f"{name}={value!r} must be a whole number, 1 or more.")
