"""Remedies tried: each trained on the run's own data from the same start, side by side with the run as it was.

Advice that wasn't tested on one's own data is a guess. Each candidate has the run's options with the remedy's on top, so the
same seed, data, batches and budget; what it gained is the difference of the validation losses.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from elman.errors import ElmanError, RunError
from elman.models.folder import CONFIG, read_config
from elman.models.options import BUDGETS, TrainOptions
from elman.models.sources import recall
from elman.probe.measure import probe
from elman.training.run import train


def try_each(
    folder: Path,
    remedies: Sequence[Mapping[str, Any]],
    data: Sequence[str] | None,
    minutes: float,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Train the run as it was, and with each remedy, for so many minutes each; `say` is told of each when it is done.

    Gives "tried": minutes, and for each run its option, loss_nats, gained_nats, horizon (the lag at which the gradient of the
    longest-lived state is down to 1 %; None: beyond what was looked at), or the error that it ended in. Raises `RunError` for a
    folder that doesn't say how it was made.
    """
    config = read_config(folder)
    record = config["training"]
    if "options" not in record or "sources" not in record:
        raise RunError(f"{folder / CONFIG} doesn't say how the run was made: its remedies can't be tried.")
    sources = None if record["sources"] is None else [recall(folder, source) for source in record["sources"]]
    if data is not None:
        sources = list(data)
    base = {name: value for name, value in record["options"].items() if name not in (*BUDGETS, "patience")}
    if data is not None:
        base |= {"valid": None, "test": None}
    runs: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as space:
        for number, option in enumerate([{}, *(remedy["option"] for remedy in remedies)]):
            out = Path(space) / str(number)
            found: dict[str, Any] = {"option": dict(option)}
            try:
                options = with_remedy(base, option)
                result = train(sources, out=out, quiet=True, minutes=minutes, patience=0, **options)
                found |= {"loss_nats": result.scores["loss_nats"], "steps": result.steps, "horizon": _horizon(out)}
            except ElmanError as error:
                if not number:
                    raise
                found["error"] = str(error)
            else:
                found["gained_nats"] = (runs[0] if runs else found)["loss_nats"] - found["loss_nats"]
            runs.append(found)
            say(_line(found))
    return {"tried": {"minutes": minutes, "runs": runs}}


def with_remedy(options: Mapping[str, Any], remedy: Mapping[str, Any]) -> dict[str, Any]:
    """The options with a remedy's on top; of tables, entry by entry. What belongs to a former cell goes with it.

    Raises `OptionError` if they don't go together.
    """
    changed = dict(options)
    if "cell" in remedy:
        changed["cell_options"] = {}
    for name, value in remedy.items():
        if isinstance(value, Mapping):
            table = dict(changed.get(name, {}))
            # Two ways of setting the same biases: the new one.
            for rival in {"chrono", "forget_bias"} if {"chrono", "forget_bias"} & set(value) else ():
                table.pop(rival, None)
            changed[name] = {**table, **value}
        else:
            changed[name] = value
    TrainOptions(**changed)
    return changed


def _horizon(folder: Path) -> float | None:
    """Where the gradient of the longest-lived state is down to 1 %."""
    lags = [horizon["lag_1_percent"] for horizon in probe(folder).horizons]
    return None if None in lags else max(lags)


def _line(found: Mapping[str, Any]) -> str:
    name = ", ".join(f"{key} {value}" for key, value in found["option"].items()) or "as it was"
    if "error" in found:
        return f"{name}: {found['error']}"
    return f"{name}: {found['loss_nats']:.4f} nats after {found['steps']} updates, {found['gained_nats']:+.4f} gained"
