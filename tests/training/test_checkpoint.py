"""A checkpoint: what is loaded goes on bit for bit as what was saved would have."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from elman.errors import RunError
from elman.models.options import TrainOptions
from elman.training import checkpoint
from elman.training.checkpoint import NAME, Progress
from elman.training.loop import make_optimizer


class Small(nn.Module):
    def __init__(self, size: int = 3) -> None:
        super().__init__()
        self.layer = nn.Linear(size, size)
        self.dropout = nn.Dropout(0.5)

    def step(self, optimizer: torch.optim.Optimizer, carried: Tensor) -> Tensor:
        y = self.layer(self.dropout(carried))
        optimizer.zero_grad()
        (y - 1).square().sum().backward()
        optimizer.step()
        return y.detach()


def made(size: int = 3) -> tuple[Small, torch.optim.Optimizer]:
    network = Small(size)
    return network, make_optimizer(network, TrainOptions(lr=0.1))


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Path, list[Tensor], Progress]:
    """A folder with a checkpoint after 3 steps, what the next 3 steps came to, and the progress that was saved."""
    network, optimizer = made()
    carried = torch.ones(2, 3)
    for _ in range(3):
        carried = network.step(optimizer, carried)
    progress = Progress(step=3, seconds=1.25, units=600, best=2.5, best_step=2, stale=1)
    checkpoint.save(tmp_path, network, optimizer, carried, progress)
    for _ in range(3):
        carried = network.step(optimizer, carried)
    return tmp_path, [carried, *(p.detach() for p in network.parameters())], progress


def test_what_is_loaded_goes_on_bit_for_bit(saved: tuple[Path, list[Tensor], Progress]) -> None:
    folder, wanted, progress = saved
    torch.manual_seed(99)
    network, optimizer = made()
    carried, loaded = checkpoint.load(folder, network, optimizer)
    assert loaded == progress
    for _ in range(3):
        carried = network.step(optimizer, carried)
    for ours, theirs in zip([carried, *network.parameters()], wanted, strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize(
    "carried", [None, (torch.ones(1, 2, 3), torch.zeros(1, 2, 3)), torch.ones(1, 2, 3)], ids=["none", "pair", "one"]
)
def test_the_carried_state_keeps_its_form(tmp_path: Path, carried: Any) -> None:
    network, optimizer = made()
    checkpoint.save(tmp_path, network, optimizer, carried, Progress())
    loaded, progress = checkpoint.load(tmp_path, *made())
    assert progress == Progress()
    assert type(loaded) is type(carried)
    if carried is not None:
        torch.testing.assert_close(loaded, carried, rtol=0, atol=0)


def test_a_best_that_is_still_infinite_survives(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, *made(), None, Progress(best=float("inf")))
    assert checkpoint.load(tmp_path, *made())[1].best == float("inf")


def rewrite(change: Callable[[dict[str, Tensor], dict[str, Any]], Any]) -> Callable[[Path], Any]:
    def damage(path: Path) -> None:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = json.loads(file.metadata()["progress"])
        tensors = safetensors.torch.load_file(path)
        change(tensors, metadata)
        path.write_bytes(safetensors.torch.save(tensors, metadata={"progress": json.dumps(metadata)}))

    return damage


def cut(part: float) -> Callable[[Path], Any]:
    return lambda path: path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])


@pytest.mark.parametrize(
    "damage",
    [
        *(pytest.param(cut(part), id=f"cut_{part}") for part in (0, 0.001, 0.1, 0.5, 0.9, 0.9999)),
        pytest.param(lambda path: path.write_bytes(b"\x80\x04pickle" * 100), id="noise"),
        pytest.param(lambda path: path.write_bytes(safetensors.torch.save({"a": torch.ones(1)})), id="no_progress"),
        pytest.param(
            rewrite(lambda _, progress: progress.pop("step") and progress.update(steps=1)), id="other_progress"
        ),
        pytest.param(rewrite(lambda tensors, _: tensors.pop("network.layer.bias")), id="no_parameter"),
        pytest.param(rewrite(lambda tensors, _: tensors.pop("second_moment.layer.bias")), id="no_moment"),
        pytest.param(rewrite(lambda tensors, _: tensors.pop("generator.cpu")), id="no_generator"),
        pytest.param(
            rewrite(lambda tensors, _: tensors.update({"generator.cpu": torch.ones(3)})), id="other_generator"
        ),
        pytest.param(
            rewrite(lambda tensors, _: tensors.update({"network.layer.bias": torch.ones(1)})), id="other_shape"
        ),
    ],
)
def test_a_damaged_checkpoint_is_refused_by_name(
    saved: tuple[Path, list[Tensor], Progress], damage: Callable[[Path], Any]
) -> None:
    folder, _, _ = saved
    damage(folder / NAME)
    with pytest.raises(RunError, match=rf"{NAME} is damaged and can't be resumed.*--overwrite"):
        checkpoint.load(folder, *made())


def test_a_checkpoint_of_another_network_is_refused(saved: tuple[Path, list[Tensor], Progress]) -> None:
    with pytest.raises(RunError, match=NAME):
        checkpoint.load(saved[0], *made(5))
