"""How far back: the lag at which the gradient has fallen, and how much of its context a network makes use of.

The memory horizon is the first lag at which the median gradient is at most 1/e, and at most 1 %, of that at lag 0, by linear
interpolation of its logarithm between lags: of g(k) = a^k these are -1 / ln a and ln 0.01 / ln a. If the gradient at lag 0 is
zero, as of a state that nothing reads in its own step, the first lag where it isn't takes its place.

The use of context needs no gradient: the mean loss at the same scored steps when the network sees but the last m steps and
starts from a fresh state before them, for m = 1, 2, 4, … (U. Khandelwal et al., ACL 2018, arXiv 1805.04623, for LSTM language
models). It falls while more context helps, and is flat where it doesn't.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

from elman.axes import Tensor


def fallen_to(median: Sequence[float | None], share: float) -> float | None:
    """The lag at which a curve has fallen to this share of where it began; None if it hasn't."""
    known = [(lag, value) for lag, value in enumerate(median) if value is not None]
    begun = next((place for place, (_, value) in enumerate(known) if value > 0), None)
    if begun is None:
        return None
    bound = known[begun][1] * share
    lag_before, before = known[begun]
    for lag, value in known[begun + 1 :]:
        if value <= bound:
            if value <= 0:
                return float(lag)
            part = math.log(before / bound) / math.log(before / value)
            return lag_before + part * (lag - lag_before)
        lag_before, before = lag, value
    return None


def use_of_context(see: Callable[[int], Tensor | None], longest: int) -> dict[str, list[Any]]:
    """Mean losses in nats by how many steps are seen, up to `longest`; without a step where that makes no sense."""
    steps = [1]
    while steps[-1] < longest:
        steps.append(min(2 * steps[-1], longest))
    losses = []
    with torch.no_grad():
        for seen in steps:
            found = see(seen)
            if found is None:
                return {"steps": [], "loss_nats": []}
            losses.append(float(found.double().mean()))
    return {"steps": steps, "loss_nats": losses}


def half_saved_by(context: dict[str, list[Any]]) -> float | None:
    """How many steps must be seen for half of what all of the context saves; None if it saves nothing to speak of.

    What it saves is the difference between the loss that sees one step and the lowest one; less than 0.01 nats is nothing.
    """
    steps, losses = context["steps"], context["loss_nats"]
    if len(steps) < 2 or losses[0] - min(losses) < 0.01:
        return None
    half = (losses[0] + min(losses)) / 2
    for place in range(1, len(steps)):
        if losses[place] <= half:
            before, after = losses[place - 1], losses[place]
            part = (before - half) / (before - after)
            return float(steps[place - 1] + part * (steps[place] - steps[place - 1]))
    return None
