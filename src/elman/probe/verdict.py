"""What the figures come to: sentences that carry them, and remedies in order, each with its reason.

A remedy is a mapping of options of `elman train`. The order is that of what usually helps most for least: what changes the
recurrence (a gated cell), what lets its gates stay open (forget bias, chrono initialisation), what keeps its products from
shrinking or growing (orthogonal initialisation, layer norm, clipping), shortcuts (residual connections), a longer window.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from elman.cells import CELLS
from elman.probe.horizon import half_saved_by
from elman.probe.result import ProbeResult

# A share of saturated gates, dead units or ±1 tanhs worth a word.
_MANY, _SOME = 0.5, 0.1
# Clipping that takes more than this part of the gradient.
_HELD = 0.5
_GATED = "lstm"


def judged(result: ProbeResult) -> ProbeResult:
    """The result with its verdict and remedies."""
    return replace(result, verdict=list(_sentences(result)), remedies=list(_remedies(result)))


def _sentences(result: ProbeResult) -> Iterator[str]:
    for horizon, curve in _longest_lived(result):
        yield _of_gradient(horizon, curve["median"], result.lags[-1])
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
    if window is not None and _outlives(result, window):
        yield (
            f"training's windows end after {window} steps, while at that lag the gradient of some layer is still above 1 % of "
            "where it began: what lies further back is read, but not learnt from"
        )


def _longest_lived(result: ProbeResult) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Of each layer, in each direction, the state whose gradient lives longest: what the layer can learn from it can."""
    places: dict[tuple[int, bool], list[int]] = {}
    for place, horizon in enumerate(result.horizons):
        places.setdefault((horizon["layer"], horizon["state"].endswith("backwards")), []).append(place)
    for own in places.values():
        best = max(own, key=lambda place: _lag(result.horizons[place]))
        yield result.horizons[best], result.gradient[best]


def _lag(horizon: Mapping[str, Any]) -> tuple[float, float]:
    """How long a gradient lives: to 1 %, then to 1/e."""
    return tuple(math.inf if horizon[key] is None else horizon[key] for key in ("lag_1_percent", "lag_1_e"))  # type: ignore[return-value]


def _of_gradient(horizon: Mapping[str, Any], median: Sequence[float | None], last: int) -> str:
    name = f"layer {horizon['layer']}" + (", backwards," if horizon["state"].endswith("backwards") else "")
    known = [value for value in median if value is not None]
    if not any(known):
        return f"{name}: no gradient arrives at all: what it holds doesn't enter the loss"
    if max(known) > 10 * next(value for value in known if value):
        lag = median.index(max(known))
        return f"{name}: the gradient grows on its way back, to {max(known) / known[0]:.3g} times at lag {lag}"
    if horizon["lag_1_percent"] is not None:
        third = horizon["lag_1_e"]
        within = "" if third is None else f" (to 1/e within {_steps(third)})"
        return (
            f"{name} forgets after {_steps(horizon['lag_1_percent'])}: by then its gradient has fallen to 1 %{within}"
        )
    if horizon["lag_1_e"] is not None:
        return (
            f"{name} learns from far back: its gradient falls to 1/e within {_steps(horizon['lag_1_e'])}, and is still above "
            f"1 % at lag {last}"
        )
    return f"{name} learns from as far back as was looked: at lag {last} its gradient is above 1/e of where it began"


def _of_context(result: ProbeResult) -> Iterator[str]:
    steps, losses = result.context["steps"], result.context["loss_nats"]
    if not steps:
        return
    half = half_saved_by(result.context)
    if half is None:
        yield f"context saves nothing to speak of: the loss is {losses[0]:.3f} nats with one step and {losses[-1]:.3f} with {steps[-1]}"
        return
    saved = losses[0] - min(losses)
    forgets = [horizon["lag_1_percent"] for horizon, _ in _longest_lived(result)]
    yield (
        f"seeing {steps[-1]} steps instead of one saves {saved:.3f} nats of {losses[0]:.3f}; half of that is saved by the "
        f"last {_steps(half)}"
    )
    if forgets and None not in forgets:
        learnt = max(forgets)
        beyond = _share_beyond(steps, losses, learnt)
        yield f"{beyond:.0%} of the loss that context saves this network lies beyond the {_steps(learnt)} that it learns from"


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
    name = f"layer {layer['layer']}" + (", backwards," if "direction" in layer else "")
    words = {
        "explodes": "states that lie a little apart part ever further: gradients can explode",
        "forgets": f"states that lie apart meet, e-fold in {_steps(-1 / leading) if leading < 0 else 'no time'}",
        "edge": "states that lie apart stay so: it sits at the edge between forgetting and exploding",
    }
    return f"{name}: Lyapunov exponent {leading:+.3g} a step; {words[layer['verdict']]}"


def _of_saturation(layer: Mapping[str, Any]) -> Iterator[str]:
    name = f"layer {layer['layer']}" + (", backwards" if "direction" in layer else "")
    for gate in layer["gates"]:
        for where, share in (("closed", gate["at_0"]), ("open", gate["at_1"])):
            if share >= _MANY:
                yield f"{name}: the gate {gate['name']} is all but {where} {share:.0%} of the time"
    for tanh in layer["tanh"]:
        if tanh["at_1"] >= _MANY:
            yield f"{name}: {tanh['name']} is at ±1 {tanh['at_1']:.0%} of the time, where it has hardly any slope"
    if layer["dead"] >= _SOME:
        yield f"{name}: {layer['dead']:.0%} of the units are dead: they hardly change, whatever is read"
    for state in {norm["state"]: None for norm in layer["state_norms"]}:
        norms = [norm for norm in layer["state_norms"] if norm["state"] == state]
        if len(norms) > 3 and norms[-1]["median"] > 1.5 * norms[-2]["median"] > 2.0 * norms[-3]["median"]:
            yield (
                f"{name}: the state {state} drifts: its norm is {norms[-1]['median']:.3g} after {norms[-1]['step']} steps, and grows"
            )


def _remedies(result: ProbeResult) -> Iterator[dict[str, Any]]:
    cells = {name.strip() for name in result.model["cell"].split(",")}
    kinds = [CELLS[name] for name in cells if name in CELLS]
    forgets = [h for h, _ in _longest_lived(result) if h["lag_1_percent"] is not None]
    explodes = [layer for layer in result.spectrum if layer["verdict"] == "explodes"]
    last = result.lags[-1]
    if forgets:
        worst = min(h["lag_1_percent"] for h in forgets)
        gated = any(kind.keep_gates for kind in kinds)
        if not gated:
            yield _remedy(
                {"cell": _GATED},
                f"a gated cell: without a gate that keeps its state the gradient is gone after {_steps(worst)}; a state that is "
                "added to, not multiplied, carries it on",
            )
        else:
            yield _remedy(
                {"layer_options": {"chrono": float(max(last, 3))}},
                f"chrono initialisation: keep gates that begin open for up to {last} steps; the gradient is gone after {_steps(worst)}",
            )
            yield _remedy(
                {"layer_options": {"forget_bias": 1.0}},
                "a forget bias of 1: gates begin more open than closed, so that the gradient passes from the first update on",
            )
    if (forgets or explodes) and any(
        "weight_hh" in kind(8).weight_shapes(8) and not kind.diagonal for kind in _plain(kinds)
    ):
        yield _remedy(
            {"layer_options": {"init": "orthogonal"}},
            "orthogonal recurrent matrices: all their singular values are 1, so that a product of many neither shrinks nor grows",
        )
    stuck = any(
        gate["at_0"] >= _MANY or gate["at_1"] >= _MANY for layer in result.saturation for gate in layer["gates"]
    )
    stuck = stuck or any(tanh["at_1"] >= _MANY for layer in result.saturation for tanh in layer["tanh"])
    if (stuck or explodes) and all("layer_norm" in kind.inner_options for kind in kinds):
        yield _remedy(
            {"cell_options": {"layer_norm": True}},
            "layer norm: it brings what enters gates and tanhs back to where they have a slope",
        )
    if explodes and result.clipping is not None and result.clipping["norm_after"] == result.clipping["norm_before"]:
        yield _remedy({"clip": 1.0}, "clipping: the dynamics explode, so a single batch can throw the weights far off")
    if result.model["layers"] > 1 and forgets:
        yield _remedy(
            {"layer_options": {"connections": "residual"}},
            f"residual connections: past {result.model['layers']} layers the gradient has a way that no layer shrinks",
        )
    window = result.model.get("window")
    if window is not None and _outlives(result, window):
        yield _remedy(
            {"bptt": 2 * window},
            f"a longer window: the gradient outlives the {window} steps that training looks back",
        )


def _remedy(option: dict[str, Any], reason: str) -> dict[str, Any]:
    return {"option": option, "reason": reason}


def _plain(kinds: Sequence[Any]) -> list[Any]:
    """Those that can be made of a size alone."""
    return [kind for kind in kinds if kind.name != "conv_lstm"]


def _outlives(result: ProbeResult, window: int) -> bool:
    """Whether the gradient of some state is still above 1 % at the end of a window."""
    if result.lags[-1] < window:
        return False
    return any(
        curve["median"][window] is not None
        and curve["median"][0]
        and curve["median"][window] > 0.01 * curve["median"][0]
        for curve in result.gradient
    )


def _steps(number: float) -> str:
    rounded = round(number, 1) if number < 10 else round(number)
    return f"{rounded:g} step" + ("" if rounded == 1 else "s")
