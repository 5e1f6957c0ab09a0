"""A recurrent regressor of series: one or more numbers for a whole sequence.

    z = V p + c        p = pooling of h_1 … h_T, as in `elman.models.signal_classification`
    y = μ + σ z        mean and deviation of the targets over the training part

Trained by the mean of (z - (y - μ) / σ)²; so the trivial baseline, μ for every series, comes to 1 on the training part.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from elman.axes import Float, Int, Tensor
from elman.data.buckets import Buckets, in_order
from elman.data.frames import FrameScale
from elman.data.labelled_series import Series
from elman.data.split import hold_out
from elman.engines import Engine
from elman.models.options import TrainOptions
from elman.models.parts import Parts, budget_note, count_note
from elman.models.series_classification import SeriesClassifier
from elman.models.signal_classification import SignalConfig

# A target that is always the same is learnt as it is: no division by zero.
_LEAST_DEVIATION = 1e-12


@dataclass(frozen=True, eq=False)
class Measured:
    """A series and the numbers (V) that belong to it."""

    series: Series
    targets_V: np.ndarray

    @property
    def fingerprint(self) -> str:
        """What of it is learnt from."""
        return f"{self.series.fingerprint} {self.targets_V.tobytes().hex()}"


class SeriesRegressor(nn.Module):
    """Series (T, B, D) and lengths (B) in, standardised targets (B, V) out; `predict` gives them as they were."""

    def __init__(
        self,
        config: SignalConfig,
        scale: FrameScale,
        targets: tuple[np.ndarray, np.ndarray],
        engine: Engine | str = Engine.AUTO,
    ) -> None:
        super().__init__()
        self.config = config
        self.mean_V, self.deviation_V = targets
        # What a classifier reads of series is what a regressor reads: its logits are the targets.
        names = [str(place) for place in range(config.classes)]
        self.reader = SeriesClassifier(config, names, names[0], scale, engine=engine)

    def forward(self, x_TBD: Float[Tensor, "T B D"], lengths_B: Int[Tensor, "B"]) -> Float[Tensor, "B V"]:
        z_BV: Tensor = self.reader(x_TBD, lengths_B)
        return z_BV

    def standardised(self, targets_NV: np.ndarray) -> np.ndarray:
        """(y - μ) / σ."""
        return (targets_NV - self.mean_V) / self.deviation_V

    @torch.no_grad()
    def predict(self, inputs: Sequence[Series | np.ndarray]) -> np.ndarray:
        """The targets (N, V) of series, in order. Raises `ShapeError` for arrays that are not (steps, features)."""
        sequences, was_training = self.reader.sequences(inputs), self.training
        self.eval()
        found_NV = np.zeros((len(sequences), self.config.classes))
        for places in in_order([len(sequence) for sequence in sequences], self.reader.steps_at_once):
            z_BV = self(*self.reader.batch([sequences[place] for place in places]))
            found_NV[places] = z_BV.double().cpu().numpy()
        self.train(was_training)
        return self.mean_V + self.deviation_V * found_NV

    def score(self, items: Sequence[Measured]) -> dict[str, float]:
        """`loss_nats`, the mean square error of standardised targets; `mse` and `mae` as they are; the mean's as baseline."""
        targets_NV = np.stack([item.targets_V for item in items])
        error_NV = self.predict([item.series for item in items]) - targets_NV
        trivial_NV = self.mean_V - targets_NV
        return {
            "loss_nats": float(np.square(error_NV / self.deviation_V).mean()),
            **{
                f"{before}{name}": float(value)
                for before, each_NV in (("", error_NV), ("baseline_", trivial_NV))
                for name, value in (("mse", np.square(each_NV).mean()), ("mae", np.abs(each_NV).mean()))
            },
        }

    @staticmethod
    def headline(scores: dict[str, float]) -> str:
        """Scores as a person reads them."""
        return f"MSE {scores['mse']:.4g} (the mean {scores['baseline_mse']:.4g}), MAE {scores['mae']:.4g}"

    def loss_in_words(self, loss_nats: float) -> str:
        """What part of the targets' variance is left."""
        return f"{loss_nats:.0%} of the variance"

    @staticmethod
    def selection(scores: dict[str, float]) -> float:
        """The weights of the least square error are kept."""
        return scores["loss_nats"]


class RegressionKind:
    """How a regressor's training begins, for series that are in memory."""

    def split(self, items: Sequence[Measured], options: TrainOptions) -> Parts[Measured]:
        """A seeded part is held out. Raises `DataError` if none can be."""
        kept, valid = hold_out(list(items), None, options.valid_fraction, options.seed)
        return Parts(kept, valid, None, ["data: series in memory"])

    def fit(self, data: Parts[Measured], options: TrainOptions) -> SeriesRegressor:
        scale = FrameScale.fit(item.series.values_TD for item in data.train)
        targets_NV = np.stack([item.targets_V for item in data.train])
        deviation_V = targets_NV.std(0)
        deviation_V[deviation_V < _LEAST_DEVIATION] = 1.0
        config = SignalConfig.of(options, len(scale.mean), targets_NV.shape[1])
        torch.manual_seed(options.seed)
        return SeriesRegressor(config, scale, (targets_NV.mean(0), deviation_V), options.engine)

    def task(self, data: Parts[Measured], network: SeriesRegressor, options: TrainOptions) -> "RegressionTask":
        return RegressionTask(data, network, options)


class RegressionTask:
    """Each epoch reads every series once, in batches of like length; no state is carried from one to another."""

    def __init__(self, data: Parts[Measured], network: SeriesRegressor, options: TrainOptions) -> None:
        self.network = network
        self._data = data
        targets_NV = network.standardised(np.stack([item.targets_V for item in data.train]))
        self._targets_NV = torch.from_numpy(targets_NV.astype(np.float32))
        self._buckets = Buckets([len(item.series) for item in data.train], options.batch_tokens, options.seed)
        self.steps_per_epoch = len(self._buckets)
        self.fingerprint = data.fingerprint
        budget = budget_note(options, "steps", self.steps_per_epoch)
        self.notes = [*data.notes, count_note("series", data), budget]

    def batch(self, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """Series side by side, lengths (B) and standardised targets (B, V)."""
        places, reader = self._buckets[step], self.network.reader
        x_TBD, lengths_B = reader.batch([self._data.train[place].series for place in places])
        return x_TBD, lengths_B, self._targets_NV[places].to(reader.device)

    def carries_state(self, step: int) -> bool:  # noqa: ARG002
        return False

    def loss(self, batch: tuple[Tensor, Tensor, Tensor], state: Any) -> tuple[Tensor, Any]:  # noqa: ARG002
        x_TBD, lengths_B, targets_BV = batch
        return (self.network(x_TBD, lengths_B).float() - targets_BV).square().mean(), None

    def size(self, batch: tuple[Tensor, Tensor, Tensor]) -> int:
        return int(batch[1].sum())

    def validate(self) -> dict[str, float]:
        return self.network.score(self._data.valid)

    def final_scores(self) -> tuple[dict[str, float], None]:
        return self.validate(), None

    def sample(self) -> str:
        """Nothing: a number says little by itself."""
        return ""

    def draw(self, folder: Path) -> list[Path]:  # noqa: ARG002
        return []
