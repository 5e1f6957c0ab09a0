"""A model is a folder: `config.json`, `model.safetensors`, `tokenizer.json`. No pickle.

    config.json         format_version, elman_version, task, tokenizer, network (sizes and options), and what training noted
    model.safetensors   the parameters, by name; a shared one once
    tokenizer.json      in the format of Hugging Face's tokenizers

A folder of a newer format version is refused, and so is one whose parts are missing, damaged, or contradict each other.
"""

import json
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import Any, get_origin, get_type_hints

import safetensors
import safetensors.torch
import torch

from elman import __version__
from elman.data.tokenizer import TextTokenizer
from elman.engines import Engine
from elman.errors import ElmanError, EngineError, ModelFolderError, OptionError
from elman.files import write_atomically
from elman.models.language import LanguageConfig, LanguageModel

FORMAT_VERSION = 1
CONFIG, WEIGHTS, TOKENIZER = "config.json", "model.safetensors", "tokenizer.json"


def save_description(folder: Path, model: LanguageModel, training: dict[str, Any]) -> None:
    """Write all of a model's folder but the weights. `training` is noted in `config.json`."""
    model.tokenizer.save(folder / TOKENIZER)
    config = {
        "format_version": FORMAT_VERSION,
        "elman_version": __version__,
        "task": "lm",
        "tokenizer": model.tokenizer.kind,
        "network": asdict(model.config),
        "training": training,
    }
    write_atomically(folder / CONFIG, json.dumps(config, indent=2, ensure_ascii=False) + "\n")


def save_weights(folder: Path, model: LanguageModel) -> None:
    """Write the parameters, a shared one once."""
    tensors = {name: parameter.detach().cpu().contiguous() for name, parameter in model.named_parameters()}
    write_atomically(folder / WEIGHTS, safetensors.torch.save(tensors, metadata={"format": "pt"}))


def load(folder: str | Path, engine: Engine | str = Engine.AUTO, device: str | torch.device = "cpu") -> LanguageModel:
    """The model in `folder`, in evaluation mode. Raises `ModelFolderError` for a folder that isn't whole."""
    folder = Path(folder)
    config = read_config(folder)
    tokenizer = TextTokenizer.load(config["tokenizer"], _existing(folder, TOKENIZER))
    network = _network_config(folder, config["network"])
    if len(tokenizer) != network.vocabulary:
        raise ModelFolderError(
            f"{folder / TOKENIZER} has {len(tokenizer)} tokens, but {CONFIG} says {network.vocabulary}: "
            "they belong to different models."
        )
    try:
        model = LanguageModel(network, tokenizer, engine)
    except EngineError:
        raise
    except (ElmanError, RuntimeError) as error:
        raise _impossible(folder, error) from error
    load_weights(model, folder / WEIGHTS)
    return model.to(device).eval()


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
    for key, kind in {"task": str, "tokenizer": str, "network": dict, "training": dict}.items():
        if not isinstance(config.get(key), kind):
            raise ModelFolderError(f"{path} is damaged: the key {key!r} is missing or of the wrong type.")
    if config["task"] != "lm":
        raise ModelFolderError(
            f"{path} is of the task {config['task']!r}, which this elman does not know.", "Upgrade elman."
        )
    return config


def _existing(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.is_file():
        if name == WEIGHTS:
            raise ModelFolderError(
                f"{path} is missing: training has not come to its first validation yet.",
                f"Go on with elman train --resume {folder}",
            )
        raise ModelFolderError(f"{path} is missing: the folder is incomplete.")
    return path


def _network_config(folder: Path, network: dict[str, Any]) -> LanguageConfig:
    kinds = {name: get_origin(hint) or hint for name, hint in get_type_hints(LanguageConfig).items()}
    # The options came later: a folder may be older.
    wrong = [f.name for f in fields(LanguageConfig) if f.default_factory is MISSING and f.name not in network]
    wrong += [name for name, value in network.items() if name in kinds and not _fits(kinds[name], value)]
    unknown = sorted(set(network) - set(kinds))
    if wrong or unknown:
        what = f"missing or of the wrong type: {', '.join(wrong)}" if wrong else f"unknown: {', '.join(unknown)}"
        raise ModelFolderError(f"{folder / CONFIG} is damaged: in 'network', {what}.")
    try:
        return LanguageConfig(**network)
    except OptionError as error:
        raise _impossible(folder, error) from error


def _fits(kind: type, value: Any) -> bool:
    return type(value) is kind or (kind is float and type(value) is int)


def _impossible(folder: Path, error: Exception) -> ModelFolderError:
    return ModelFolderError(f"{folder / CONFIG} describes no network that can be made: {str(error).rstrip('.')}.")


def load_weights(model: LanguageModel, path: Path) -> None:
    """Put the parameters in `path` into `model`. Raises `ModelFolderError` if they are missing, damaged, or don't fit."""
    _existing(path.parent, path.name)
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
