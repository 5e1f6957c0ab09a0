"""Tasks with one fault each, and the same tasks without it."""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import elman

STEPS, BATCH, WIDTH, CLASSES, EPOCH = 12, 4, 3, 5, 6


class Network(nn.Module):
    """Recurrent layers and a read-out; `hoards`: it keeps its state from call to call, whatever it is given."""

    def __init__(self, inputs: int, hoards: bool = False, **options: Any) -> None:
        super().__init__()
        self.recurrent = elman.GRU(inputs, 8, **options)
        self.output = nn.Linear(8, CLASSES)
        self.hoards = hoards
        self.hoard: Any = None

    def forward(self, x: Tensor, state: Any = None, lengths: Any = None) -> tuple[Tensor, Any]:
        if self.hoards:
            state = self.hoard
        h, state = self.recurrent(x, state, lengths=lengths)
        self.hoard = state.detach()
        return self.output(h), state


@dataclass
class Base:
    """What the linter doesn't look at."""

    network: Any = None
    steps_per_epoch: int = EPOCH
    fingerprint: str = ""
    notes: list[str] = field(default_factory=list)

    def size(self, batch: Any) -> int:
        return len(batch[0])

    def validate(self) -> dict[str, float]:
        return {}

    def final_scores(self) -> tuple[dict[str, float], None]:
        return {}, None

    def sample(self) -> str:
        return ""

    def draw(self, folder: Any) -> list[Any]:  # noqa: ARG002
        return []


@dataclass
class Windows(Base):
    """Windows of streams of symbols, each of which is to be told from those before it.

    shuffled   windows come in another order           carried   the state goes from window to window
    ignored    what is carried is not looked at        lost      the state after a window is not given back
    """

    shuffled: bool = False
    carried: bool = True
    ignored: bool = False
    lost: bool = False
    window: int = STEPS

    def __post_init__(self) -> None:
        generator = torch.Generator().manual_seed(1)
        self.stream = torch.randint(CLASSES, (EPOCH * self.window + 1, BATCH), generator=generator)
        self.network = self.network or Network(CLASSES)
        self.order = [3, 0, 5, 1, 4, 2] if self.shuffled else list(range(EPOCH))

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        start = self.order[step % EPOCH] * self.window
        piece = self.stream[start : start + self.window + 1]
        return piece[:-1], piece[1:]

    def carries_state(self, step: int) -> bool:
        return self.carried and step % EPOCH != 0

    def loss(self, batch: tuple[Tensor, Tensor], state: Any) -> tuple[Tensor, Any]:
        inputs_TB, targets_TB = batch
        x = nn.functional.one_hot(inputs_TB, CLASSES).to(self.network.output.weight.dtype)
        logits, state = self.network(x, None if self.ignored else state)
        return cross_entropy(logits.flatten(0, 1), targets_TB.flatten()), None if self.lost else state


@dataclass
class Padded(Base):
    """Sequences of mixed lengths, each step of which has a class.

    scored   padded steps count                        read      padded steps are read, backwards, before the others
    divided  the sum is divided by all steps           told_by   how padding is known: "lengths", "mask" or "marker"
    floats   padding of the inputs is zeros            scale     of the inputs
    """

    scored: bool = False
    read: bool = False
    divided: bool = False
    told_by: str = "lengths"
    batch_first: bool = False
    scale: float = 1.0

    def __post_init__(self) -> None:
        self.network = self.network or Network(WIDTH, bidirectional=False, reverse=True)

    def batch(self, step: int) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(step % EPOCH)
        lengths = torch.tensor([STEPS, 3, STEPS - 2, 7])
        mask = torch.arange(STEPS).unsqueeze(1) < lengths
        x = self.scale * torch.randn(STEPS, BATCH, WIDTH, generator=generator) * mask.unsqueeze(-1)
        y = torch.randint(CLASSES, (STEPS, BATCH), generator=generator)
        y = y.masked_fill(~mask, -100 if self.told_by == "marker" else 0)
        parts = {"x": x, "y": y, "mask": mask} if self.told_by == "mask" else {"x": x, "lengths": lengths, "y": y}
        if self.batch_first:
            parts = {name: part.transpose(0, 1) if part.dim() > 1 else part for name, part in parts.items()}
        return parts

    def carries_state(self, step: int) -> bool:  # noqa: ARG002
        return False

    def loss(self, batch: dict[str, Tensor], state: Any) -> tuple[Tensor, Any]:  # noqa: ARG002
        if self.batch_first:
            batch = {name: part.transpose(0, 1) if part.dim() > 1 else part for name, part in batch.items()}
        x, y = batch["x"], batch["y"]
        lengths = batch["mask"].sum(0) if "mask" in batch else batch["lengths"]
        logits, _ = self.network(x, lengths=None if self.read else lengths)
        losses = cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="none").view(y.shape)
        valid = torch.arange(len(x)).unsqueeze(1) < lengths
        total = losses.sum() if self.scored else losses[valid].sum()
        return total / (losses.numel() if self.divided or self.scored else valid.sum()), None
