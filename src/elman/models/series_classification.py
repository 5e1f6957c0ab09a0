"""The classifier of series of numbers: see `elman.models.signal_classification` for the network."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from elman.data.bad_rows import BadRows
from elman.data.examples import Reading
from elman.data.labelled_series import Series
from elman.data.missing import MISSING
from elman.data.series_examples import read_series
from elman.data.text import Source
from elman.errors import DataError, ModelFolderError, ShapeError
from elman.models.folder import CONFIG, entry
from elman.models.signal_classification import SignalClassifier

_ROLES = ("id", "time", "label")


@dataclass(frozen=True)
class SeriesFront:
    """How series are read: the columns of a table as they were in training, and the rule for missing values."""

    columns: dict[str, Any] = field(default_factory=dict)
    missing: str = "error"


class SeriesClassifier(SignalClassifier):
    """Series (T, B, D) in, logits (B, V) out."""

    task: ClassVar[str] = "classify-series"
    steps_at_once = 1 << 15

    def sequences(self, inputs: Sequence[Any]) -> list[Series]:
        """Series, or arrays (T, D), as signals. Raises `ShapeError` for arrays of another shape."""
        return [each if isinstance(each, Series) else self._signal(np.asarray(each, np.float32)) for each in inputs]

    def sequences_of(self, examples: Sequence[Series]) -> Sequence[Series]:
        return examples

    def _signal(self, values_TD: np.ndarray) -> Series:
        if values_TD.ndim != 2 or values_TD.shape[1] != self.config.features:
            raise ShapeError(
                f"a series has the shape {values_TD.shape}: this model reads (steps, features) with {self.config.features} "
                "features."
            )
        return Series(values_TD, None, "an array")

    def read(
        self, sources: Sequence[Source], encoding: str, bad: BadRows, labelled: bool, **columns: Any
    ) -> Reading[Series]:
        chosen = self.front.columns | columns
        reading = read_series(
            sources,
            **chosen,
            missing=self.front.missing,
            encoding=encoding,
            bad=bad,
            labelled=labelled,
            training=False,
        )
        found = reading.items[0]
        if found.values_TD.shape[1] != self.config.features:
            raise DataError(
                f"{found.where} has {found.values_TD.shape[1]} features, but the model was trained on {self.config.features}."
            )
        return reading

    def read_inputs(
        self, source: Source, *, column: str | None = None, encoding: str = "utf-8", bad: BadRows | None = None
    ) -> Iterator[tuple[str, Series]]:
        """(where, series) of each series of a file; `column` is of no use here."""
        del column
        for item in self.read([source], encoding, bad or BadRows(strict=True), labelled=False).items:
            yield item.where, item

    def answer(self, inputs: Sequence[Series]) -> list[dict[str, Any]]:
        """What `elman predict` says of each series."""
        return [
            {"series": item.name, "label": p.label, "probability": p.probability, "probabilities": p.probabilities}
            for item, p in zip(inputs, self.predict_batch(inputs), strict=True)
        ]

    @classmethod
    def front_from_folder(cls, folder: Path, config: dict[str, Any]) -> SeriesFront:
        stored = entry(folder, config, "series", dict)
        columns, missing = stored.get("columns"), stored.get("missing")
        if not isinstance(columns, dict) or missing not in MISSING or not set(columns) <= {*_ROLES, "values"}:
            raise ModelFolderError(f"{folder / CONFIG} is damaged: 'series' says nothing that can be understood.")
        return SeriesFront(columns, missing)

    def front_for_folder(self) -> dict[str, Any]:
        return {"series": {"columns": self.front.columns, "missing": self.front.missing}}

    def input_in_words(self) -> dict[str, str]:
        features, names = self.config.features, self.front.columns.get("values", ())
        return {"series": f"{features} feature{'s' * (features > 1)}{': ' * bool(names)}{', '.join(names)}"}
