"""Checkpoints: all that a run needs to go on as if it had never stopped, in one file that is never half written.

    checkpoint.safetensors    tensors: network.*, average.*, first_moment.*, second_moment.*, carried.*, generator.*
                              metadata: `progress`, as JSON

Whatever else a run depends on (options, data, vocabulary) stands in the run's folder beside it.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from elman.errors import RunError
from elman.files import write_atomically

NAME = "checkpoint.safetensors"
NONE: Mapping[str, Tensor] = {}


@dataclass
class Progress:
    """Where a run stands.

    step         updates done               seconds     time spent training, over all starts
    units        tokens seen                best        the lowest value of `Model.selection` in a validation
    best_step    where it was               stale       validations since then
    """

    step: int = 0
    seconds: float = 0.0
    units: int = 0
    best: float = float("inf")
    best_step: int = 0
    stale: int = 0


def save(
    folder: Path,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    carried: Any,
    progress: Progress,
    average: Mapping[str, Tensor] = NONE,
) -> None:
    """Write the checkpoint; the former one stays whole until this one is complete. `average`: the mean weights by name."""
    tensors: dict[str, Tensor] = {f"network.{name}": parameter for name, parameter in network.named_parameters()}
    tensors |= {f"average.{name}": mean for name, mean in average.items()}
    for name, parameter in network.named_parameters():
        moments = optimizer.state.get(parameter)
        if moments:
            tensors[f"first_moment.{name}"] = moments["exp_avg"]
            tensors[f"second_moment.{name}"] = moments["exp_avg_sq"]
    tensors |= {f"carried.{i}": state for i, state in enumerate(_as_tuple(carried))}
    tensors["generator.cpu"] = torch.get_rng_state()
    if torch.cuda.is_available():
        tensors["generator.cuda"] = torch.cuda.get_rng_state()
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    content = safetensors.torch.save(whole, metadata={"progress": json.dumps(asdict(progress))})
    write_atomically(folder / NAME, content)


def load(
    folder: Path, network: nn.Module, optimizer: torch.optim.Optimizer, average: Mapping[str, Tensor] = NONE
) -> tuple[Any, Progress]:
    """Put everything back, into `average` and the random generators too; gives the carried state and the progress.

    Raises `RunError` if the file is damaged or isn't of this network.
    """
    path = folder / NAME
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            progress = Progress(**json.loads(file.metadata()["progress"]))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        _restore(tensors, network, optimizer, progress)
        for name, mean in average.items():
            mean.copy_(tensors[f"average.{name}"])
    except (safetensors.SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise RunError(f"{path} is damaged and can't be resumed: {error}. Start again with --overwrite.") from error
    device = next(network.parameters()).device
    carried = tuple(tensors[f"carried.{i}"].to(device) for i in range(sum(k.startswith("carried.") for k in tensors)))
    return (carried if len(carried) > 1 else carried[0] if carried else None), progress


def _restore(
    tensors: dict[str, Tensor], network: nn.Module, optimizer: torch.optim.Optimizer, progress: Progress
) -> None:
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            stored = tensors[f"network.{name}"]
            if stored.shape != parameter.shape:
                raise ValueError(f"{name} has shape {tuple(stored.shape)}, the network {tuple(parameter.shape)}")
            parameter.copy_(stored)
            if f"first_moment.{name}" in tensors:
                optimizer.state[parameter] = {
                    "step": torch.tensor(float(progress.step), device=_step_device(optimizer, parameter)),
                    "exp_avg": tensors[f"first_moment.{name}"].to(parameter.device),
                    "exp_avg_sq": tensors[f"second_moment.{name}"].to(parameter.device),
                }

    torch.set_rng_state(tensors["generator.cpu"])
    if torch.cuda.is_available() and "generator.cuda" in tensors:
        torch.cuda.set_rng_state(tensors["generator.cuda"])


def _step_device(optimizer: torch.optim.Optimizer, parameter: Tensor) -> torch.device:
    # A fused AdamW keeps its count of steps beside the parameter, others keep it on the CPU.
    return parameter.device if optimizer.defaults.get("fused") else torch.device("cpu")


def _as_tuple(state: Any) -> tuple[Tensor, ...]:
    if state is None:
        return ()
    return (state,) if isinstance(state, Tensor) else tuple(state)
