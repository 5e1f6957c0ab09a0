"""What to change, in order, each with its reason.

A remedy is a mapping of options of `elman train`. The order is that of what usually helps most for least: what changes the
recurrence (a gated cell), what lets its gates stay open (chrono initialisation, forget bias), what keeps its products from
shrinking or growing (orthogonal initialisation, layer norm, clipping), a shortcut (residual connections), a longer window. What
the network has already isn't among them.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from elman.layers import RecurrentLayers
from elman.probe.result import ProbeResult
from elman.probe.verdict import MANY, in_steps, longest_lived, outlives

_GATED = "lstm"


def remedies(result: ProbeResult, layers: RecurrentLayers) -> Iterator[dict[str, Any]]:
    """The remedies for what was found in a network whose recurrent layers are such as these."""
    kind = type(layers.cell)
    lags = [horizon["lag_1_percent"] for horizon, _ in longest_lived(result)]
    forgets = [lag for lag in lags if lag is not None]
    explodes = any(layer["verdict"] == "explodes" for layer in result.spectrum)
    gone = f"the gradient is gone after {in_steps(min(forgets))}" if forgets else ""
    if forgets and not kind.keep_gates:
        yield _remedy(
            {"cell": _GATED},
            f"a gated cell: {gone}, and no gate keeps the state; one that is added to, not multiplied, carries the gradient on",
        )
    if forgets and kind.keep_gates and layers.bias and layers.chrono is None:
        longest = result.lags[-1]
        yield _remedy(
            {"layer_options": {"chrono": float(max(longest, 3))}},
            f"chrono initialisation: gates that begin open for up to {longest} steps, where {gone}",
        )
        if layers.forget_bias is None:
            yield _remedy(
                {"layer_options": {"forget_bias": 1.0}},
                "a forget bias of 1: gates begin more open than closed, and the gradient passes from the first update on",
            )
    square = "weight_hh" in layers.cell.weight_shapes(layers.input_size) and not kind.diagonal
    if (forgets or explodes) and square and layers.init == "uniform":
        yield _remedy(
            {"layer_options": {"init": "orthogonal"}},
            "orthogonal recurrent matrices: all their singular values are 1, so a product of many neither shrinks nor grows",
        )
    if (_stuck(result) or explodes) and "layer_norm" in kind.inner_options and not layers.cell.layer_norm:
        yield _remedy(
            {"cell_options": {"layer_norm": True}},
            "layer norm: it brings what enters gates and tanhs back to where they have a slope",
        )
    clipping = result.clipping
    if explodes and clipping is not None and clipping["norm_after"] == clipping["norm_before"]:
        yield _remedy(
            {"clip": clipping["norm_before"]},
            "clipping at the norm that is usual here: the dynamics explode, so a single batch can throw the weights far off",
        )
    if forgets and result.model["layers"] > 1 and layers.connections == "plain":
        yield _remedy(
            {"layer_options": {"connections": "residual"}},
            f"residual connections: past {result.model['layers']} layers the gradient has a way that no layer shrinks",
        )
    window = result.model.get("window")
    if window is not None and outlives(result, window):
        yield _remedy(
            {"bptt": 2 * window},
            f"a longer window: the gradient outlives the {window} steps that training looks back",
        )


def _remedy(option: Mapping[str, Any], reason: str) -> dict[str, Any]:
    return {"option": dict(option), "reason": reason}


def _stuck(result: ProbeResult) -> bool:
    """Whether some gate or tanh is saturated most of the time."""
    gates = [max(gate["at_0"], gate["at_1"]) for layer in result.saturation for gate in layer["gates"]]
    tanhs = [tanh["at_1"] for layer in result.saturation for tanh in layer["tanh"]]
    return any(share >= MANY for share in (*gates, *tanhs))
