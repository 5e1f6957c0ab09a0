"""A model is a folder: `config.json`, `model.safetensors`, `tokenizer.json`. No pickle.

    config.json         format_version, elman_version, task, network (sizes and options), what training noted, and what the
                        task fitted: which tokenizer, labels, …
    model.safetensors   the parameters, by name; a shared one once
    tokenizer.json      in the format of Hugging Face's tokenizers

A folder of a newer format version is refused, and so is one whose parts are missing, damaged, or contradict each other.
"""

import json
from collections.abc import Callable
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import Any, TypeVar, get_origin, get_type_hints

import safetensors
import safetensors.torch
import torch

from elman import __version__
from elman.engines import Engine
from elman.errors import ElmanError, EngineError, ModelFolderError, OptionError
from elman.files import write_atomically
from elman.models.tasks import TASKS

FORMAT_VERSION = 1
CONFIG, WEIGHTS, TOKENIZER = "config.json", "model.safetensors", "tokenizer.json"

T = TypeVar("T")


def save_description(folder: Path, model: Any, training: dict[str, Any]) -> None:
    """Write all of a model's folder but the weights. `training` is noted in `config.json`."""
    config = {
        "format_version": FORMAT_VERSION,
        "elman_version": __version__,
        "task": model.task,
        **model.save_vocabularies(folder),
        "network": asdict(model.config),
        "training": training,
    }
    write_atomically(folder / CONFIG, json.dumps(config, indent=2, ensure_ascii=False) + "\n")


def save_weights(folder: Path, model: Any) -> None:
    """Write the parameters, a shared one once."""
    tensors = {name: parameter.detach().cpu().contiguous() for name, parameter in model.named_parameters()}
    write_atomically(folder / WEIGHTS, safetensors.torch.save(tensors, metadata={"format": "pt"}))


def load(folder: str | Path, engine: Engine | str = Engine.AUTO, device: str | torch.device = "cpu") -> Any:
    """The model in `folder`, in evaluation mode: a `LanguageModel`, `ClassificationModel`, … as its task says.

    Raises `ModelFolderError` for a folder that isn't whole.
    """
    folder = Path(folder)
    model = model_of(folder, read_config(folder), engine)
    load_weights(model, folder / WEIGHTS)
    return model.to(device).eval()


def model_of(folder: Path, config: dict[str, Any], engine: Engine | str = Engine.AUTO) -> Any:
    """The model that a folder describes, its weights as they are drawn. Raises `ModelFolderError`."""
    return TASKS[config["task"]].network_kind.from_folder(folder, config, engine)


def read_config(folder: Path) -> dict[str, Any]:
    """`config.json`, checked: a mapping of this format version with the keys that it must have."""
    path = folder / CONFIG
    try:
        is_folder, text = folder.is_dir(), path.read_text(encoding="utf-8") if path.is_file() else None
    except OSError as error:
        raise ModelFolderError(f"{path} can't be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ModelFolderError(f"{path} is damaged: {error}.") from error
    if not is_folder:
        raise ModelFolderError(f"{folder} is not a folder.", "Give the folder that `elman train` wrote.")
    if text is None:
        raise ModelFolderError(f"{path} is missing: the folder is incomplete.")
    try:
        config = json.loads(text)
    except ValueError as error:
        raise ModelFolderError(f"{path} is damaged: {error}.") from error
    if not isinstance(config, dict):
        raise ModelFolderError(f"{path} is damaged: it holds no mapping.")
    version = config.get("format_version")
    if not isinstance(version, int) or version < 1:
        raise ModelFolderError(f"{path} says no format_version: it wasn't written by elman, or it is damaged.")
    if version > FORMAT_VERSION:
        raise ModelFolderError(
            f"{path} has format version {version}; this elman ({__version__}) reads up to {FORMAT_VERSION}.",
            f"It was written by elman {config.get('elman_version', 'of a later version')}: upgrade elman.",
        )
    entry(folder, config, "task", str)
    entry(folder, config, "network", dict)
    entry(folder, config, "training", dict)
    if config["task"] not in TASKS:
        raise ModelFolderError(
            f"{path} is of the task {config['task']!r}, which this elman does not know.", "Upgrade elman."
        )
    return config


def entry(folder: Path, config: dict[str, Any], key: str, kind: type[T]) -> T:
    """What `config.json` has under this key. Raises `ModelFolderError` if it is missing or of another kind."""
    if not isinstance(config.get(key), kind):
        raise ModelFolderError(f"{folder / CONFIG} is damaged: the key {key!r} is missing or of the wrong type.")
    value: T = config[key]
    return value


def existing(folder: Path, name: str) -> Path:
    """A part of a model's folder. Raises `ModelFolderError` if it is missing."""
    path = folder / name
    if not path.is_file():
        if name == WEIGHTS:
            raise ModelFolderError(
                f"{path} is missing: training has not come to its first validation yet.",
                f"Go on with elman train --resume {folder}",
            )
        raise ModelFolderError(f"{path} is missing: the folder is incomplete.")
    return path


def read_network_config(folder: Path, kind: type[T], network: dict[str, Any]) -> T:
    """The sizes and options of a network, each checked. Raises `ModelFolderError`."""
    kinds = {name: get_origin(hint) or hint for name, hint in get_type_hints(kind).items()}
    # The options came later: a folder may be older.
    must: Any = [f for f in fields(kind) if f.default_factory is MISSING]  # type: ignore[arg-type]
    wrong = [f.name for f in must if f.name not in network]
    wrong += [name for name, value in network.items() if name in kinds and not _fits(kinds[name], value)]
    unknown = sorted(set(network) - set(kinds))
    if wrong or unknown:
        what = f"missing or of the wrong type: {', '.join(wrong)}" if wrong else f"unknown: {', '.join(unknown)}"
        raise ModelFolderError(f"{folder / CONFIG} is damaged: in 'network', {what}.")
    try:
        return kind(**network)
    except OptionError as error:
        raise _impossible(folder, error) from error


def build(folder: Path, make: Callable[[], T]) -> T:
    """Make a network as the folder says. Raises `ModelFolderError` if it can't be made."""
    try:
        return make()
    except EngineError:
        raise
    except (ElmanError, RuntimeError) as error:
        raise _impossible(folder, error) from error


def _fits(kind: type, value: Any) -> bool:
    return type(value) is kind or (kind is float and type(value) is int)


def _impossible(folder: Path, error: Exception) -> ModelFolderError:
    return ModelFolderError(f"{folder / CONFIG} describes no network that can be made: {str(error).rstrip('.')}.")


def load_weights(model: Any, path: Path) -> None:
    """Put the parameters in `path` into `model`. Raises `ModelFolderError` if they are missing, damaged, or don't fit."""
    existing(path.parent, path.name)
    try:
        tensors = safetensors.torch.load_file(path)
    except (safetensors.SafetensorError, OSError) as error:
        raise ModelFolderError(f"{path} is damaged or cut short: {error}.") from error
    expected = dict(model.named_parameters())
    for name in sorted(expected.keys() | tensors.keys()):
        if name not in tensors:
            raise ModelFolderError(f"{path} lacks the parameter {name!r} that {CONFIG} calls for.")
        if name not in expected:
            raise ModelFolderError(f"{path} holds the parameter {name!r} that {CONFIG} has no place for.")
        stored, wanted = tuple(tensors[name].shape), tuple(expected[name].shape)
        if stored != wanted:
            raise ModelFolderError(f"{path}: the parameter {name!r} has shape {stored}, {CONFIG} calls for {wanted}.")
    with torch.no_grad():
        for name, parameter in expected.items():
            parameter.copy_(tensors[name])
