"""How well forecasts do, over all windows of a part: errors, quantiles, likelihood, and what trivial forecasts come to.

All in the units of z, in which each channel of the training part has mean 0 and deviation 1 (counts, and on and off, are as
they are).

    mse, mae     mean squared and absolute error of the point
    mase         mean absolute error over the mean change of the training part in one season (Hyndman and Koehler, 2006);
                 channels that don't change are left out
    pinball      mean pinball loss of the quantiles          coverage    share of values between the lowest and the highest
    nll          mean -ln p(z), in nats; summed over columns that are forecast together

The trivial forecasts are the last value, the value a season ago, and the mean of the training part; `baseline_x` is the best of
them, by each score. For nll it is the distribution of the training part, whatever came before.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from elman.axes import Bool, Float, Tensor
from elman.errors import DataError
from elman.models.forecast_outputs import Output, pinball

TRIVIAL = ("last", "season", "mean")


@dataclass(frozen=True)
class ForecastScores:
    """`values` by name, as `to_dict` gives them; `mae_F` the error of each step ahead, and `windows` how many there were."""

    values: dict[str, float]
    mae_F: list[float]
    windows: int

    def to_dict(self) -> dict[str, float]:
        """Under the names that `--json`, `metrics.jsonl` and `config.json` use."""
        return {**self.values, "windows": self.windows}


@dataclass
class ScoreSums:
    """Sums over batches. `levels` are those of the quantiles to score; `columns` how many are forecast together."""

    output: Output
    levels: Sequence[float]
    loss: str
    columns: int
    windows: int = 0
    _sums: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    _counts: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    _errors_F: list[float] = field(default_factory=list)

    def add(
        self,
        parameters: Float[Tensor, "F B D Q"],
        z_FBD: Float[Tensor, "F B D"],
        trivial: dict[str, Float[Tensor, "F B D"]],
        level_BD: Float[Tensor, "B D"],
        change_BD: Float[Tensor, "B D"],
        scored_FB: Bool[Tensor, "F B"] | None = None,
    ) -> None:
        """Forecasts of the values z; `scored_FB` are those that count, all if None."""
        steps, batch = z_FBD.shape[:2]
        there_FB = torch.ones(steps, batch, dtype=torch.bool, device=z_FBD.device) if scored_FB is None else scored_FB
        there_FBD = there_FB[..., None].expand_as(z_FBD)
        steady_BD = change_BD <= 0
        each_FBD = torch.where(steady_BD, 1.0, change_BD).expand_as(z_FBD)
        changing_FBD = there_FBD & ~steady_BD

        def errors(prefix: str, point_FBD: Tensor) -> None:
            error_FBD = (point_FBD - z_FBD).double()
            self._mean(f"{prefix}mse", error_FBD.square(), there_FBD)
            self._mean(f"{prefix}mae", error_FBD.abs(), there_FBD)
            self._mean(f"{prefix}mase", error_FBD.abs() / each_FBD, changing_FBD)

        point_FBD = self.output.point(parameters)
        errors("", point_FBD)
        for name, trivial_FBD in trivial.items():
            errors(f"baseline_{name}_", trivial_FBD)
        self._mean("loss_nats", self.output.loss(parameters, z_FBD).double(), there_FBD)
        if self.output.distribution:
            self._mean("baseline_nll", marginal_nll(self.loss, z_FBD, level_BD).double(), there_FBD)
        if self.levels:
            quantiles = [self.output.quantile(parameters, level) for level in self.levels]
            for level, quantile_FBD in zip(self.levels, quantiles, strict=True):
                self._mean("pinball", pinball(z_FBD - quantile_FBD, level).double(), there_FBD)
            inside_FBD = (quantiles[0] <= z_FBD) & (z_FBD <= quantiles[-1])
            self._mean("coverage", inside_FBD.double(), there_FBD)
        if scored_FB is None:
            error_F = (point_FBD - z_FBD).abs().double().mean(2).sum(1).tolist()
            self._errors_F = [a + b for a, b in zip(self._errors_F or [0.0] * steps, error_F, strict=True)]
        self.windows += batch if scored_FB is None else int(there_FB.sum())

    def _mean(self, name: str, values_FBD: Tensor, there_FBD: Tensor) -> None:
        self._sums[name] += float(values_FBD[there_FBD].sum())
        self._counts[name] += int(there_FBD.sum())

    def scores(self) -> ForecastScores:
        """The means. Raises `DataError` if there was nothing to score."""
        if not self.windows:
            raise DataError(
                "there is nothing to score: give series with as many steps as --look-back and --horizon need."
            )
        mean = {name: total / self._counts[name] for name, total in self._sums.items() if self._counts[name]}
        loss = mean.pop("loss_nats")
        found: dict[str, float] = {}
        if self.output.distribution:
            # Of columns that are forecast together, of all of them.
            found |= {"nll": loss * self.columns, "baseline_nll": mean.pop("baseline_nll") * self.columns}
            loss *= self.columns
        errors = ("mae", "mse") if self.loss == "absolute" else ("mse", "mae")
        for name in (*errors, "mase", "pinball", "coverage"):
            if name in mean:
                found[name] = mean[name]
            each = {kind: mean[f"baseline_{kind}_{name}"] for kind in TRIVIAL if f"baseline_{kind}_{name}" in mean}
            if each:
                found[f"baseline_{name}"] = min(each.values())
                found |= {f"baseline_{kind}_{name}": value for kind, value in each.items()}
        found["loss_nats"] = loss
        return ForecastScores(found, [error / self.windows for error in self._errors_F], self.windows)


def trivial_windows(z_FBD: Float[Tensor, "F B D"], level_BD: Tensor, look_back: int, season: int) -> dict[str, Tensor]:
    """The trivial forecasts of the horizon of some windows. What is a season ago is so before the horizon begins."""
    horizon = len(z_FBD) - look_back
    last_FBD = z_FBD[look_back - 1].expand(horizon, -1, -1)
    found = {"last": last_FBD, "mean": level_BD.expand_as(last_FBD)}
    if 1 < season <= look_back:
        found["season"] = z_FBD[look_back - season + torch.arange(horizon, device=z_FBD.device) % season]
    return found


def trivial_steps(z_FBD: Float[Tensor, "F B D"], level_BD: Tensor, season: int) -> dict[str, Tensor]:
    """The trivial forecasts of each step after the first, of whole series."""
    found = {"last": z_FBD[:-1], "mean": level_BD.expand_as(z_FBD[1:])}
    if 1 < season < len(z_FBD):
        # In the first season there is none ago: the last value.
        found["season"] = torch.cat([z_FBD[: season - 1], z_FBD[:-season]])
    return found


def marginal_nll(loss: str, z_FBD: Float[Tensor, "F B D"], level_BD: Tensor) -> Tensor:
    """-ln p of each value by the distribution of the training part."""
    if loss == "poisson":
        rate_BD = level_BD.clamp(min=1e-3)
        return rate_BD - z_FBD * rate_BD.log() + torch.lgamma(z_FBD + 1)
    if loss == "bernoulli":
        on_BD = level_BD.clamp(1e-4, 1 - 1e-4)
        return -(z_FBD * on_BD.log() + (1 - z_FBD) * torch.log1p(-on_BD))
    return 0.5 * z_FBD.square() + 0.5 * math.log(2 * math.pi)
