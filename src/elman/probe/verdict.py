"""What the figures come to: sentences that carry them."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from elman.probe.horizon import half_saved_by
from elman.probe.result import ProbeResult

# A share of saturated gates or tanhs, and of dead units, worth a word.
MANY, _SOME = 0.5, 0.1
# Clipping that leaves less than this part of the gradient.
_HELD = 0.5
# Growth of a norm over twice the steps that is a drift.
_DRIFT = 1.3


def sentences(result: ProbeResult) -> Iterator[str]:
    """The verdict, a sentence each: gradients layer by layer, context, dynamics, saturation, clipping, window."""
    for horizon, curve in longest_lived(result):
        yield _of_gradient(horizon, curve["median"])
    yield from _of_context(result)
    for layer in result.spectrum:
        yield _of_spectrum(layer)
    for layer in result.saturation:
        yield from _of_saturation(layer)
    if result.clipping is not None and result.clipping["norm_after"] < _HELD * result.clipping["norm_before"]:
        yield (
            f"clipping takes the gradient's norm from {result.clipping['norm_before']:.3g} to "
            f"{result.clipping['norm_after']:.3g}: the learning rate is in effect that much lower"
        )
    window = result.model.get("window")
    if window is not None and outlives(result, window):
        yield (
            f"training's windows end after {window} steps, while at that lag the gradient of some layer is still above 1 % of "
            "where it began: what lies further back is read, but not learnt from"
        )


def longest_lived(result: ProbeResult) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Of each layer, in each direction, the state whose gradient lives longest: what the layer can learn from it can."""
    places: dict[tuple[int, bool], list[int]] = {}
    known = [sum(value is not None for value in curve["median"]) for curve in result.gradient]
    for place, horizon in enumerate(result.horizons):
        # A stack that runs for one step more has nothing to fall.
        if known[place] < 2 <= max(known):
            continue
        places.setdefault((horizon["layer"], horizon["state"].endswith("backwards")), []).append(place)
    for own in places.values():
        best = max(own, key=lambda place: _lag(result.horizons[place]))
        yield result.horizons[best], result.gradient[best]


def _lag(horizon: Mapping[str, Any]) -> tuple[float, float]:
    """How long a gradient lives: to 1 %, then to 1/e."""
    return tuple(math.inf if horizon[key] is None else horizon[key] for key in ("lag_1_percent", "lag_1_e"))  # type: ignore[return-value]


def _of_gradient(horizon: Mapping[str, Any], median: Sequence[float | None]) -> str:
    name = f"layer {horizon['layer']}" + (", backwards," if horizon["state"].endswith("backwards") else "")
    last = max((lag for lag, value in enumerate(median) if value is not None), default=0)
    known = [value for value in median if value is not None]
    if not any(known):
        return f"{name.rstrip(',')}: no gradient arrives at all: what it holds doesn't enter the loss"
    if max(known) > 10 * next(value for value in known if value):
        lag = median.index(max(known))
        return (
            f"{name.rstrip(',')}: the gradient grows on its way back, to {max(known) / known[0]:.3g} times at lag {lag}"
        )
    if horizon["lag_1_percent"] is not None:
        third = horizon["lag_1_e"]
        within = "" if third is None else f" (to 1/e within {in_steps(third)})"
        return (
            f"{name} forgets after {in_steps(horizon['lag_1_percent'])}: by then its gradient has fallen to 1 %{within}"
        )
    if horizon["lag_1_e"] is not None:
        return (
            f"{name} learns from far back: its gradient falls to 1/e within {in_steps(horizon['lag_1_e'])}, and is still above "
            f"1 % at lag {last}"
        )
    return f"{name} learns from as far back as was looked: at lag {last} its gradient is above 1/e of where it began"


def _of_context(result: ProbeResult) -> Iterator[str]:
    steps, losses = result.context["steps"], result.context["loss_nats"]
    if not steps:
        return
    half = half_saved_by(result.context)
    if half is None:
        yield (
            f"context saves nothing to speak of: the loss is {losses[0]:.3f} nats with one step and {losses[-1]:.3f} with "
            f"{steps[-1]}"
        )
        return
    saved = losses[0] - min(losses)
    forgets = [horizon["lag_1_percent"] for horizon, _ in longest_lived(result)]
    yield (
        f"seeing {steps[-1]} steps instead of one saves {saved:.3f} nats of {losses[0]:.3f}; half of that is saved by the "
        f"last {in_steps(half)}"
    )
    if forgets and None not in forgets:
        learnt = max(forgets)
        beyond = _share_beyond(steps, losses, learnt)
        yield f"{beyond:.0%} of the loss that context saves this network lies beyond the {in_steps(learnt)} that it learns from"


def _share_beyond(steps: Sequence[int], losses: Sequence[float], lag: float) -> float:
    """Which part of what context saves needs more than `lag` steps, by interpolation."""
    best, first = min(losses), losses[0]
    at = losses[-1]
    for place in range(1, len(steps)):
        if steps[place] >= lag:
            part = (lag - steps[place - 1]) / (steps[place] - steps[place - 1])
            at = losses[place - 1] + max(0.0, part) * (losses[place] - losses[place - 1])
            break
    return min(1.0, max(0.0, (at - best) / (first - best)))


def _of_spectrum(layer: Mapping[str, Any]) -> str:
    leading = layer["exponents"][0]
    name = f"layer {layer['layer']}" + (", backwards" if "direction" in layer else "")
    words = {
        "explodes": "states that lie a little apart part ever further: gradients can explode",
        "forgets": f"states that lie apart meet, e-fold in {in_steps(-1 / leading) if leading < 0 else 'no time'}",
        "edge": "states that lie apart stay so: it sits at the edge between forgetting and exploding",
    }
    return f"{name}: Lyapunov exponent {leading:+.3g} a step; {words[layer['verdict']]}"


def _of_saturation(layer: Mapping[str, Any]) -> Iterator[str]:
    name = f"layer {layer['layer']}" + (", backwards" if "direction" in layer else "")
    for gate in layer["gates"]:
        for where, share in (("closed", gate["at_0"]), ("open", gate["at_1"])):
            if share >= MANY:
                yield f"{name}: the gate {gate['name']} is all but {where} {share:.0%} of the time"
    for tanh in layer["tanh"]:
        if tanh["at_1"] >= MANY:
            yield f"{name}: {tanh['name']} is at ±1 {tanh['at_1']:.0%} of the time, where it has hardly any slope"
    if layer["dead"] >= _SOME:
        yield f"{name}: {layer['dead']:.0%} of the units are dead: they hardly change, whatever is read"
    for state in {norm["state"]: None for norm in layer["state_norms"]}:
        norms = [norm for norm in layer["state_norms"] if norm["state"] == state]
        if len(norms) > 3 and _grows(norms[-2], norms[-1]) and _grows(norms[-3], norms[-2]):
            last = norms[-1]
            yield f"{name}: the state {state} drifts: its norm is {last['median']:.3g} after {last['step']} steps, and grows"


def _grows(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether a norm is much larger after twice as many steps."""
    return bool(after["median"] > _DRIFT * before["median"])


def outlives(result: ProbeResult, window: int) -> bool:
    """Whether the gradient of some state is still above 1 % at the end of a window."""
    if result.lags[-1] < window:
        return False
    return any(
        curve["median"][window] is not None
        and curve["median"][0]
        and curve["median"][window] > 0.01 * curve["median"][0]
        for curve in result.gradient
    )


def in_steps(number: float) -> str:
    rounded = round(number, 1) if number < 10 else round(number)
    return f"{rounded:g} step" + ("" if rounded == 1 else "s")
