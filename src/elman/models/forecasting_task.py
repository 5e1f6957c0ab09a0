"""Forecasting as a task to train: parts one after the other in time, windows in random order, or whole series."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from elman.data.bad_rows import BadRows
from elman.data.buckets import Buckets
from elman.data.scales import fit_scales
from elman.data.series import Columns, Reach, Series, SeriesReading, continued, hold_out_ends, long_enough
from elman.data.series_table import read_series
from elman.data.stamps import Clock
from elman.data.text import Source
from elman.errors import DataError, OptionError
from elman.models.forecast_network import ForecastConfig
from elman.models.forecast_outputs import RAW
from elman.models.forecast_pictures import draw_backtest, draw_forecasts
from elman.models.forecast_scores import ForecastScores
from elman.models.forecasting import ForecastingModel, SeriesFacts, check_values
from elman.models.options import TrainOptions

# Windows of a validation while training; at the end all are scored.
_VALIDATED = 1024
# Whole series are a few updates a pass: with minutes for a budget they are learnt by so many passes and updates, and learnt by
# heart later.
_PASSES, _UPDATES = 150.0, 1000


@dataclass(frozen=True)
class SeriesParts:
    """The series of each part, their columns and clock, and what a person should know of how they were read."""

    train: list[Series]
    valid: list[Series]
    test: list[Series] | None
    columns: Columns
    clock: Clock
    notes: list[str]

    @property
    def fingerprint(self) -> str:
        """A hash of what is learnt from and validated on, wherever it was read."""
        digest = hashlib.sha256()
        for part in (self.train, self.valid):
            for one in part:
                digest.update(f"{one.id} {one.begin}".encode())
                for array in (one.stamps_T, one.y_TD, one.past_TP, one.known_FK):
                    digest.update(np.ascontiguousarray(array).tobytes())
            digest.update(b"end of the part")
        return digest.hexdigest()


class ForecastingKind:
    """How a forecaster's training begins."""

    def read(self, sources: Sequence[Source] | None, options: TrainOptions) -> SeriesParts:
        if sources is None:
            raise DataError("there is nothing to forecast: give DATA, a table with a row a step.")
        bad = BadRows(options.strict)
        asked = Columns(
            options.id, options.time, *(tuple(names or ()) for names in (options.values, options.past, options.known))
        )
        found = read_series(sources, asked, missing=options.missing, encoding=options.encoding, bad=bad)

        def more(part: Sequence[Source]) -> list[Series]:
            return read_series(
                part, found.columns, missing=options.missing, clock=found.clock, encoding=options.encoding, bad=bad
            ).series

        valid = None if options.valid is None else more(list(options.valid))
        test = None if options.test is None else more(list(options.test))
        return split_series(
            found.series, valid, test, found.columns, found.clock, options, bad, [f"data: {found.understood}"]
        )

    def split(self, found: SeriesReading, options: TrainOptions) -> SeriesParts:
        """The parts of series that are in memory."""
        notes = [f"data: {found.understood}"]
        return split_series(
            found.series, None, None, found.columns, found.clock, options, BadRows(options.strict), notes
        )

    def settle(self, data: SeriesParts, options: TrainOptions) -> dict[str, Any]:
        """At most how many passes, of whole series, if the options don't say."""
        if options.look_back or options.max_epochs is not None:
            return {}
        updates = -(-sum(map(len, data.train)) // options.batch_tokens)
        return {"max_epochs": max(_PASSES, float(-(-_UPDATES // updates)))}

    def fit(self, data: SeriesParts, options: TrainOptions) -> ForecastingModel:
        values, joint = data.columns.values, options.joint
        season = options.season or _season(data)
        scales = fit_scales(data.train, values, joint=joint, standardise=options.loss not in RAW, season=season)
        facts = SeriesFacts(data.columns, data.clock, scales, options.missing, options.calendar, season)
        extra = data.clock.calendar(data.train[0].stamps_T[:1]).shape[1] if options.calendar else 0
        config = ForecastConfig(
            cell=options.cell,
            hidden=options.hidden,
            layers=options.layers,
            embedding=options.embedding,
            dropout=options.dropout,
            cell_options=options.cell_options,
            layer_options=options.layer_options,
            look_back=options.look_back,
            horizon=options.horizon,
            segment=segment_of(options),
            columns=len(values) if joint else 1,
            channels=0 if joint else len(scales.channels),
            past=len(data.columns.past),
            known=len(data.columns.known) + extra,
            head=options.head,
            linear=options.linear and options.head == "direct" and options.look_back > 0,
            loss=options.loss,
            quantiles=list(options.levels),
            scaling=scaling_of(options),
        )
        torch.manual_seed(options.seed)
        return ForecastingModel(config, facts, options.engine)

    def task(self, data: SeriesParts, network: ForecastingModel, options: TrainOptions) -> "ForecastingTask":
        return ForecastingTask(data, network, options)


def _season(data: SeriesParts) -> int:
    """The season that the step makes likely, if there are two of them to learn from; else 1."""
    guess = data.clock.season
    return guess if max(map(len, data.train)) >= 2 * guess else 1


def split_series(
    series: list[Series],
    valid: list[Series] | None,
    test: list[Series] | None,
    columns: Columns,
    clock: Clock,
    options: TrainOptions,
    bad: BadRows,
    notes: list[str],
) -> SeriesParts:
    """The parts: those that are given, and for the others the ends of the series. Raises `DataError` if one would be empty."""
    if not options.look_back and options.horizon != 1:
        raise OptionError(
            f"--look-back 0 reads whole series, of which each step forecasts the next: --horizon {options.horizon} must be 1."
        )
    if options.calendar and clock.style in ("number", "row"):
        raise OptionError(
            "--calendar needs time stamps that are dates: leave it out, or name their column with --time."
        )
    reach = Reach(options.look_back, options.horizon)
    fractions = (
        0.0 if valid is not None else options.valid_fraction,
        0.0 if test is not None else options.test_fraction,
    )
    train, held_valid, held_test = hold_out_ends(series, fractions, reach, bad)
    # A test part goes on where what is there before it ends: the part to validate on, or the one to train on.
    valid = held_valid if valid is None else long_enough(continued(valid, train, clock, reach), reach, bad)
    if test is not None:
        test = long_enough(continued(test, [*train, *valid], clock, reach), reach, bad)
    test = test if test is not None else held_test or None
    for name, part in (("train on", train), ("validate", valid), ("test", test)):
        if part is not None and not part:
            raise DataError(" ".join([f"no series is long enough to {name}.", *bad.notes()]))
        check_values(part or [], options.loss)
    return SeriesParts(train, valid, test, columns, clock, [*notes, *bad.notes()])


def segment_of(options: TrainOptions) -> int:
    """Steps of a segment: as told, else 1 of whole series, and of windows a quarter, if the horizon is as long."""
    if not options.look_back:
        return 1
    return options.segment or max(min(options.look_back // 4, options.horizon), 1)


def scaling_of(options: TrainOptions) -> str:
    """How windows are scaled: as told, else not at all for whole series and on and off, by their mean for counts."""
    fitting = {"bernoulli": ("none",), "poisson": ("mean", "none")}.get(
        options.loss, ("last", "mean", "standard", "none")
    )
    if not options.look_back:
        fitting = ("none",)
    if options.scaling == "auto":
        return fitting[0]
    if options.scaling not in fitting:
        what = f"--loss {options.loss}" if options.look_back else "--look-back 0"
        raise OptionError(
            f"--scaling {options.scaling} doesn't go with {what}: choose from auto, {', '.join(fitting)}."
        )
    return options.scaling


class ForecastingTask:
    """Each epoch reads every window of the training part once, in random order, or every whole series."""

    def __init__(self, data: SeriesParts, network: ForecastingModel, options: TrainOptions) -> None:
        self.network = network
        self._data, self._options = data, options
        self._train, self._valid = network.frames(data.train), network.frames(data.valid)
        self._test = None if data.test is None else network.frames(data.test)
        self._whole = not network.config.look_back
        self._buckets = Buckets(self._train.lengths_S.tolist(), options.batch_tokens, options.seed)
        # An example is a window of one column, unless columns are forecast together.
        self._size = max(options.batch // (1 if options.joint else len(data.columns.values)), 1)
        self.steps_per_epoch = len(self._buckets) if self._whole else -(-len(self._train) // self._size)
        self._order: tuple[int, np.ndarray] = (-1, np.empty(0, np.int64))
        self._scored: dict[str, ForecastScores] = {}
        self.fingerprint = data.fingerprint
        self.notes = self._notes()

    def batch(self, step: int) -> Any:
        """Windows; or whole series, and their lengths."""
        if self._whole:
            return self.network.follow_batch(self._train, self._buckets[step])
        epoch, place = divmod(step, self.steps_per_epoch)
        if self._order[0] != epoch:
            generator = np.random.default_rng((self._options.seed, epoch))
            self._order = (epoch, generator.permutation(len(self._train)))
        numbers_B = self._order[1][place * self._size : (place + 1) * self._size]
        return self.network.batch(self._train[numbers_B])

    def carries_state(self, step: int) -> bool:  # noqa: ARG002
        return False

    def loss(self, batch: Any, state: Any) -> tuple[Tensor, Any]:  # noqa: ARG002
        """The mean over values; in nats a step, of all columns, where they are forecast together as a distribution."""
        network = self.network
        if self._whole:
            windows, lengths_B = batch
            parameters = network.follow(windows, lengths_B)[:-1].float()
            z_FBD = windows.z_FBD[1:-1]
            there_FB = torch.arange(1, len(z_FBD) + 1, device=lengths_B.device)[:, None] < lengths_B
            losses = network.output.loss(parameters, z_FBD)[there_FB]
        else:
            parameters = network.forecast(batch, self._options.amplitude).float()
            losses = network.output.loss(parameters, batch.z_FBD[network.config.look_back :])
        return losses.mean() * (network.config.columns if network.output.distribution else 1), None

    def size(self, batch: Any) -> int:
        windows = batch[0] if self._whole else batch
        return int(batch[1].sum()) if self._whole else windows.z_FBD.shape[0] * windows.z_FBD.shape[1]

    def validate(self) -> dict[str, float]:
        return self.network.score(self._valid, at_most=_VALIDATED).to_dict()

    def final_scores(self) -> tuple[dict[str, float], dict[str, float] | None]:
        self._scored = {"valid": self.network.score(self._valid)}
        if self._test is not None:
            self._scored["test"] = self.network.score(self._test)
        scores = {part: found.to_dict() for part, found in self._scored.items()}
        return scores["valid"], scores.get("test")

    def sample(self) -> str:
        """The next steps of a series, as the network sees them from the end of what was held out."""
        part = self._data.test or self._data.valid
        rows = self.network.answer(part[:1])[: min(self.network.config.horizon, 5)]
        return "".join(" ".join(_shown(value) for value in row.values()) + "\n" for row in rows)

    def draw(self, folder: Path) -> list[Path]:
        part, frames = ("valid", self._valid) if self._test is None else ("test", self._test)
        drawn = [draw_forecasts(folder / f"forecast-{part}.png", part, self.network, frames)]
        if self._scored[part].mae_F:
            drawn.append(draw_backtest(folder / f"backtest-{part}.png", part, self.network, frames, self._scored[part]))
        return drawn

    def _notes(self) -> list[str]:
        data, options, config = self._data, self._options, self.network.config
        parts = {"train on": data.train, "validate": data.valid, "test": data.test or []}
        steps = ", ".join(
            f"{sum(len(one) - one.begin for one in part):,} to {name}" for name, part in parts.items() if part
        )
        what = f"{options.batch_tokens:,} steps" if self._whole else f"{self._size:,} windows"
        return [
            *data.notes,
            f"steps: {steps}; {len(self.network.facts.scales.channels):,} channels",
            f"forecast: {config.head_in_words}; loss {config.loss}, scaling {config.scaling}",
            f"training: {options.budget_in_words}, {what} a batch, {self.steps_per_epoch:,} updates an epoch",
        ]


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
