"""Forecasts of series: the network with all that an answer needs, from rows of a table to the rows that come next."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from elman.axes import Float, Int, Tensor
from elman.data.bad_rows import BadRows
from elman.data.scales import Scales, channel_names
from elman.data.series import Columns, Reach, Series, SeriesReading, long_enough
from elman.data.series_table import read_series
from elman.data.stamps import Clock
from elman.data.text import Source
from elman.data.windows import Frames, Windows
from elman.engines import Engine
from elman.errors import DataError, ModelFolderError, OptionError
from elman.files import write_atomically
from elman.models.folder import CONFIG, build, existing, read_network_config
from elman.models.forecast_network import Batch, ForecastConfig, ForecastNetwork
from elman.models.forecast_outputs import RAW
from elman.models.forecast_scores import ForecastScores, ScoreSums, trivial_steps, trivial_windows

SERIES = "series.json"
# Values of a batch when nothing is learnt.
_VALUES = 1 << 19


@dataclass(frozen=True)
class SeriesFacts:
    """What was found out from the data: how it is read, and the scales of the training part.

    missing     the rule for what is missing, see `elman.data.missing`
    calendar    whether what time stamps say of the calendar is read besides
    season      steps of a season, for the trivial forecast and for MASE
    """

    columns: Columns
    clock: Clock
    scales: Scales
    missing: str
    calendar: bool
    season: int


class ForecastingModel(ForecastNetwork):
    """Windows or whole series in, forecasts out; `facts` say how series are read and scaled.

    Initialiser: of what is on or off, and forecast together, the last bias is the log odds of the training part.
    """

    task: ClassVar[str] = "forecast"
    # Of each of its scores that has a baseline.
    lower_is_better: ClassVar[bool] = True

    def __init__(self, config: ForecastConfig, facts: SeriesFacts, engine: Engine | str = Engine.AUTO) -> None:
        super().__init__(config, engine)
        self.facts = facts
        if config.loss == "bernoulli" and facts.scales.joint:
            on_D = torch.from_numpy(facts.scales.level_C).float().clamp(1e-4, 1 - 1e-4)
            with torch.no_grad():
                self.values.bias.copy_(on_D.logit().repeat(config.segment))

    @property
    def reach(self) -> Reach:
        return Reach(self.config.look_back, self.config.horizon)

    @property
    def levels(self) -> list[float]:
        """The levels of quantiles that it can tell: none of a mere point."""
        return self.config.quantiles if self.output.distribution or self.config.loss == "quantile" else []

    def frames(self, series: Sequence[Series]) -> Frames:
        """Series as the network reads them."""
        facts = self.facts
        return Frames(
            series,
            facts.scales,
            facts.columns.values,
            facts.clock,
            self.reach,
            standardise=self.config.loss not in RAW,
            calendar=facts.calendar,
        )

    def batch(self, windows: Windows) -> Batch:
        """Windows as tensors; where columns are forecast each by itself, an example is a column."""
        z_FBD, past_TBP, known_FBK = (torch.from_numpy(array).to(self.device) for array in windows[:3])
        channels_BD = torch.from_numpy(windows.channels_BD).to(self.device)
        if self.facts.scales.joint:
            return Batch(z_FBD, past_TBP, known_FBK, channels_BD[:, 0])
        columns = z_FBD.shape[2]
        return Batch(
            z_FBD.flatten(1)[..., None],
            past_TBP.repeat_interleave(columns, 1),
            known_FBK.repeat_interleave(columns, 1),
            channels_BD.flatten(),
        )

    def follow_batch(self, frames: Frames, series_B: np.ndarray) -> tuple[Batch, Int[Tensor, "B"]]:
        """Whole series as tensors, and their lengths: each step forecasts the one after it."""
        windows, lengths_B = frames.whole(series_B)
        copies = 1 if self.facts.scales.joint else windows.z_FBD.shape[2]
        return self.batch(windows), torch.from_numpy(lengths_B).repeat_interleave(copies).to(self.device)

    @torch.no_grad()
    def score(
        self, frames: Frames, watch: Callable[[float], None] | None = None, at_most: int | None = None
    ) -> ForecastScores:
        """Scores over all windows, or about `at_most` of them, evenly spaced."""
        was_training = self.training
        self.eval()
        sums = ScoreSums(self.output, self.levels, self.config.loss, self.config.columns)
        if self.config.look_back:
            self._score_windows(frames, sums, watch, at_most)
        else:
            self._score_series(frames, sums, watch)
        self.train(was_training)
        return sums.scores()

    def _score_windows(
        self, frames: Frames, sums: ScoreSums, watch: Callable[[float], None] | None, at_most: int | None
    ) -> None:
        numbers_N = np.arange(0, len(frames), max(len(frames) // at_most, 1) if at_most else 1)
        size = max(_VALUES // (frames.channels_SD.shape[1] * (self.config.look_back + self.config.horizon)), 1)
        for start in range(0, len(numbers_N), size):
            windows = frames[numbers_N[start : start + size]]
            batch = self.batch(windows)
            level_BD, change_BD = self._scales(windows)
            trivial = trivial_windows(batch.z_FBD, level_BD, self.config.look_back, self.facts.season)
            sums.add(self.forecast(batch), batch.z_FBD[self.config.look_back :], trivial, level_BD, change_BD)
            if watch is not None:
                watch(min((start + size) / len(numbers_N), 1.0))

    def _score_series(self, frames: Frames, sums: ScoreSums, watch: Callable[[float], None] | None) -> None:
        for done, place in enumerate(np.argsort(frames.lengths_S, kind="stable"), 1):
            batch, lengths_B = self.follow_batch(frames, np.array([place]))
            level_BD, change_BD = self._scales(frames.whole(np.array([place]))[0])
            # The last step forecasts what hasn't come yet.
            parameters = self.follow(batch, lengths_B)[:-1]
            z_FBD = batch.z_FBD[:-1]
            steps_F = torch.arange(1, len(z_FBD), device=self.device)
            scored_FB = (steps_F >= int(frames.begins_S[place]))[:, None].expand(-1, z_FBD.shape[1])
            trivial = trivial_steps(z_FBD, level_BD, self.facts.season)
            sums.add(parameters, z_FBD[1:], trivial, level_BD, change_BD, scored_FB)
            if watch is not None:
                watch(done / len(frames.series))

    def _scales(self, windows: Windows) -> tuple[Float[Tensor, "B D"], Float[Tensor, "B D"]]:
        """The level and the change of each channel, laid out as the batch is."""
        scales_BD = torch.from_numpy(windows.scales_BD4[..., 2:].astype(np.float32)).to(self.device)
        if not self.facts.scales.joint:
            scales_BD = scales_BD.flatten(0, 1)[:, None]
        return scales_BD[..., 0], scales_BD[..., 1]

    def read(self, sources: Sequence[Source], encoding: str, bad: BadRows) -> SeriesReading:
        """Series of tables like those that it learnt from."""
        facts = self.facts
        return read_series(sources, facts.columns, missing=facts.missing, clock=facts.clock, encoding=encoding, bad=bad)

    def evaluate(
        self,
        data: Source | Sequence[Source],
        encoding: str = "utf-8",
        *,
        bad: BadRows | None = None,
        watch: Callable[[float], None] | None = None,
    ) -> ForecastScores:
        """A rolling back-test: from each step on that has enough before and behind it the horizon is forecast and scored.

        Raises `DataError` for what can't be read, and if no series is long enough.
        """
        bad = bad or BadRows(strict=True)
        sources = [data] if isinstance(data, Source) else list(data)
        series = long_enough(self.read(sources, encoding, bad).series, self.reach, bad)
        if not series:
            raise DataError(" ".join(["no series is long enough to be scored.", *bad.notes()]))
        check_values(series, self.config.loss)
        return self.score(self.frames(series), watch)

    def read_inputs(
        self, source: Source, *, column: str | None = None, encoding: str = "utf-8", bad: BadRows | None = None
    ) -> Iterator[tuple[str, Series]]:
        """(where, series) for each series of a table: it is forecast from its last row on. A shorter one is a bad row."""
        if column is not None:
            raise OptionError("--text is nothing for forecasts: columns are those that the model was trained on.")
        bad = bad or BadRows(strict=True)
        for one in self.read([source], encoding, bad).series:
            least = max(self.config.look_back, 1)
            if len(one) < least:
                bad.skip(one.where, f"it has {len(one):,} steps, fewer than the model looks back on, {least:,}")
                continue
            ahead = len(one.known_FK) - len(one)
            if self.facts.columns.known and ahead < self.config.horizon:
                raise DataError(
                    f"{one.where}: {', '.join(self.facts.columns.known)} must be known {self.config.horizon} steps ahead, but "
                    f"there are {ahead} rows after the last value: add rows with these columns and no value."
                )
            yield one.where, one

    def answer(self, series: Sequence[Series]) -> list[dict[str, Any]]:
        """What `elman predict` says of each series: a row for each channel and step of the horizon."""
        found = self.predict(series)
        clock = self.facts.clock
        rows = []
        for one, forecast in zip(series, found, strict=True):
            stamps = [clock.text(int(stamp)) for stamp in clock.after(int(one.stamps_T[-1]), self.config.horizon)]
            names = channel_names(one.id, self.facts.columns.values, joint=False)
            for place, name in enumerate(names):
                for step, stamp in enumerate(stamps):
                    row = {"unique_id": name, "ds": stamp, "y": float(forecast["y"][step, place])}
                    rows.append(row | {f"q{level:g}": float(forecast[level][step, place]) for level in self.levels})
        return rows

    def picture_of(self, series: Sequence[Series]) -> bytes:
        """What `elman predict` draws of these series, as PNG."""
        from elman.models.forecast_pictures import picture_of_next  # noqa: PLC0415

        return picture_of_next(self, series)

    def predict(self, series: Sequence[Series]) -> list[dict[Any, np.ndarray]]:
        """Of each series what comes after its last step: see `forecasts_at`."""
        if not series:
            return []
        frames = self.frames(series)
        return self._forecasts(frames, np.arange(len(series)), frames.lengths_S)

    def forecasts_at(self, frames: Frames, series: int, firsts: np.ndarray) -> list[dict[Any, np.ndarray]]:
        """What was to be said of the horizons of a series that begin at these steps, by what came before each.

        Each in the units of the data: "y", the point, and each level a quantile, arrays (horizon, D).
        """
        return self._forecasts(frames, np.full(len(firsts), series), firsts)

    @torch.no_grad()
    def _forecasts(self, frames: Frames, series_B: np.ndarray, first_B: np.ndarray) -> list[dict[Any, np.ndarray]]:
        was_training = self.training
        self.eval()
        if self.config.look_back:
            parameters = self.forecast(self.batch(frames.at(series_B, first_B)))
        else:
            parameters = self._after_each(frames, series_B, first_B)
        self.train(was_training)
        wanted: dict[Any, Tensor] = {"y": self.output.point(parameters)}
        wanted |= {level: self.output.quantile(parameters, level) for level in self.levels}
        shape = (len(parameters), len(series_B), -1)
        arrays = {name: value.double().cpu().numpy().reshape(shape) for name, value in wanted.items()}
        mean_BD, deviation_BD = frames.scales_SD4[series_B, :, 0], frames.scales_SD4[series_B, :, 1]
        return [
            {name: array[:, place] * deviation_BD[place] + mean_BD[place] for name, array in arrays.items()}
            for place in range(len(series_B))
        ]

    def _after_each(self, frames: Frames, series_B: np.ndarray, first_B: np.ndarray) -> Tensor:
        """The parameters of these steps of whole series."""
        followed = {
            place: self.follow(*self.follow_batch(frames, np.array([place]))) for place in np.unique(series_B).tolist()
        }
        each = [followed[place][first - 1] for place, first in zip(series_B.tolist(), first_B.tolist(), strict=True)]
        return torch.cat(each)[None]

    @classmethod
    def from_folder(
        cls, folder: Path, config: dict[str, Any], engine: Engine | str = Engine.AUTO
    ) -> "ForecastingModel":
        """The network that a folder describes, without its weights. Raises `ModelFolderError`."""
        network = read_network_config(folder, ForecastConfig, config["network"])
        facts = _read_facts(existing(folder, SERIES))
        wanted = (network.columns, network.channels)
        values = facts.columns.values
        joint = facts.scales.joint
        if wanted != ((len(values), 0) if joint else (1, len(facts.scales.channels))):
            raise ModelFolderError(
                f"{folder / CONFIG} and {folder / SERIES} have different numbers of columns: they belong to different models."
            )
        return build(folder, lambda: cls(network, facts, engine))

    def save_vocabularies(self, folder: Path) -> dict[str, Any]:
        """Write `series.json`: columns, clock, scales. `config.json` needs no more."""
        facts = self.facts
        content = {
            "columns": asdict(facts.columns),
            "clock": asdict(facts.clock),
            "scales": facts.scales.to_dict(),
            "missing": facts.missing,
            "calendar": facts.calendar,
            "season": facts.season,
        }
        write_atomically(folder / SERIES, json.dumps(content, ensure_ascii=False) + "\n")
        return {}

    def description(self) -> dict[str, str]:
        """The parts of the network in words."""
        config, facts = self.config, self.facts
        shown = ", ".join(facts.scales.channels[:8]) + (", …" if len(facts.scales.channels) > 8 else "")
        together = "together" if facts.scales.joint else "each by itself"
        return {
            "series": f"{len(facts.scales.channels):,} channels {together}: {shown}",
            "time": facts.clock.in_words,
            "input layer": f"segments of {config.segment}, projected to {config.embedding}",
            "recurrent": config.recurrent_in_words,
            "output": f"{config.loss}; {config.head_in_words}" + ", and a linear path" * config.linear,
            "scaling": config.scaling,
            "dropout": f"{config.dropout:g}",
        }

    @staticmethod
    def headline(scores: dict[str, float]) -> str:
        """Scores as a person reads them."""
        shown = [
            f"{name} {scores[name]:.4f}"
            + (f" (trivial {scores[f'baseline_{name}']:.4f})" if f"baseline_{name}" in scores else "")
            for name in ("nll", "mse", "mae", "mase", "pinball", "coverage")
            if name in scores
        ]
        return ", ".join([*shown[:4], *shown[4:]]) + f" over {scores['windows']:,.0f} windows"

    def loss_in_words(self, loss_nats: float) -> str:  # noqa: ARG002
        """Nothing: the loss is all that there is to say."""
        return ""

    @staticmethod
    def selection(scores: dict[str, float]) -> float:
        """The weights of the lowest loss are kept."""
        return scores["loss_nats"]


def check_values(series: Sequence[Series], loss: str) -> None:
    """Raise `DataError` for a value that the loss isn't for: counts are whole, on and off are 1 and 0."""
    for one in series:
        if loss == "poisson" and ((one.y_TD < 0) | (one.y_TD != np.floor(one.y_TD))).any():
            raise DataError(
                f"{one.where}: --loss poisson is for counts, but there are values that are none: take another."
            )
        if loss == "bernoulli" and not np.isin(one.y_TD, (0, 1)).all():
            raise DataError(f"{one.where}: --loss bernoulli is for 0 and 1, but there are other values: take another.")


def _read_facts(path: Path) -> SeriesFacts:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        columns: dict[str, Any] = {
            name: tuple(v) if isinstance(v, list) else v for name, v in content["columns"].items()
        }
        return SeriesFacts(
            Columns(**columns),
            Clock(**content["clock"]),
            Scales.from_dict(content["scales"]),
            str(content["missing"]),
            bool(content["calendar"]),
            int(content["season"]),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelFolderError(f"{path} is damaged: {error}.") from error
