"""A result as `elman probe` gives it, made up."""

import math
from typing import Any


def example(layers: int = 2, furthest: int = 100, name: str = "lstm") -> dict[str, Any]:
    """A network of so many layers with states h and c, measured up to `furthest` steps back."""
    lags = list(range(furthest + 1))

    def fall(horizon: float) -> list[float]:
        return [0.3 * math.exp(-lag / horizon) for lag in lags]

    pairs = [
        (layer, state, horizon)
        for layer in range(1, layers + 1)
        for state, horizon in (("h", 4.0), ("c", 14.0 * layer))
    ]
    return {
        "format": 1,
        "model": {"cell": name, "layers": layers, "hidden": 64, "parameters": 123456, "task": "lm", "window": 64},
        "lags": lags,
        "gradient": [
            {
                "layer": layer,
                "state": state,
                "median": fall(horizon),
                "low": [value / 2 for value in fall(horizon)],
                "high": [value * 2 for value in fall(horizon)],
            }
            for layer, state, horizon in pairs
        ],
        "horizons": [
            {
                "layer": layer,
                "state": state,
                "lag_1_e": horizon,
                "lag_1_percent": None if horizon > 20 else 4.6 * horizon,
            }
            for layer, state, horizon in pairs
        ],
        "context": {
            "steps": [0, 1, 2, 4, 8, 16, 32, 64],
            "loss_nats": [3.1, 2.4, 2.0, 1.7, 1.52, 1.45, 1.432, 1.431],
        },
        "spectrum": [
            {
                "layer": layer,
                "exponents": [0.02 - 0.05 * place for place in range(24)],
                "singular_values": [1.4 * 0.85**place for place in range(24)],
                "verdict": "forgets",
            }
            for layer in range(1, layers + 1)
        ],
        "saturation": [
            {
                "layer": layer,
                "gates": [
                    {"name": "input", "at_0": 0.12, "at_1": 0.03},
                    {"name": "forget", "at_0": 0.01, "at_1": 0.31},
                    {"name": "output", "at_0": 0.07, "at_1": 0.05},
                ],
                "tanh": [{"name": "candidate", "at_1": 0.22}],
                "dead": 0.0,
                "state_norms": [
                    {"step": 10 * place, "state": "c", "median": 2 + math.log1p(place)} for place in range(20)
                ],
            }
            for layer in range(1, layers + 1)
        ],
        "clipping": {"norm_before": 2.31, "norm_after": 1.0},
        "verdict": [
            "Layer 1 forgets after 14 steps; half of the loss that context could save lies beyond that.",
            "Layer 2 reaches 28 steps back.",
        ],
        "remedies": [
            {
                "option": {"cell": "lstm"},
                "reason": "A gated cell keeps its state while its gate is open.",
                "gained": 0.12,
            },
            {"option": {"layer_options": {"chrono": 200}}, "reason": "Gates that are open at first.", "gained": -0.01},
            {"option": {"bptt": 128}, "reason": "The window ends before the horizon does."},
        ],
        "notes": ["sequences are shorter than 200 steps: measured up to 100."],
        "seconds": 3.25,
    }
