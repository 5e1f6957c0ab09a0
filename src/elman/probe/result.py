"""What a probe found: plain values, the same for the same seed, in the form in which they are written as JSON."""

from dataclasses import dataclass, field
from typing import Any

FORMAT = 1


@dataclass(frozen=True)
class ProbeResult:
    """What a probe found. Layers are numbered from 1, those of several stacks one after the other; a state of a direction that
    runs backwards is "h, backwards".

    model        cell, layers, hidden, parameters, task, window (the steps that training's gradients go back, if known)
    lags         0 … K
    gradient     for each layer and state: median, low and high quartile of ‖∂ℓ_t/∂s_{t-k}‖ by lag   `elman.probe.gradients`
    horizons     for each layer and state: the lag where the median has fallen to 1/e, and to 1 %; None: beyond K
    context      steps that the network may see, and the mean loss then, in nats                    `elman.probe.horizon`
    spectrum     for each layer: Lyapunov exponents, singular values of single steps, in a word     `elman.probe.spectrum`
    saturation   for each layer: gates, tanhs, dead units, norms of the states over a long stream   `elman.probe.saturation`
    clipping     the gradient's norm before and after clipping; None where there is no loss to train by
    verdict      sentences
    remedies     in order: {"option": options of `elman train`, "reason": a sentence}; once they were tried, "tried" as well
    notes        what a person should know of how it was measured
    seconds      how long it took; the one value that differs from time to time
    """

    model: dict[str, Any]
    lags: list[int]
    gradient: list[dict[str, Any]]
    horizons: list[dict[str, Any]]
    context: dict[str, list[Any]]
    spectrum: list[dict[str, Any]]
    saturation: list[dict[str, Any]]
    clipping: dict[str, float] | None
    verdict: list[str] = field(default_factory=list)
    remedies: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """The mapping that `--json` prints and the report is drawn from."""
        names = (
            "model", "lags", "gradient", "horizons", "context", "spectrum", "saturation", "clipping", "verdict", "remedies",
            "notes", "seconds",
        )  # fmt: skip
        return {"format": FORMAT, **{name: getattr(self, name) for name in names}}
