"""MNIST read one pixel a step, 784 steps: how well a stack of any cell classifies the digits after so many minutes.

    python benchmarks/pixels.py --cell mingru --minutes 30
    python benchmarks/pixels.py --cell gru --layers 1 --hidden 128 --permuted
    python benchmarks/pixels.py --data FOLDER --cell lru --minutes 1        # to see that it learns; nothing is written

FOLDER has the four files of MNIST, train-images-idx3-ubyte.gz and so on; by default it is shared/data/mnist beside the
repository. Rows follow each other; `--permuted` puts all pixels into one fixed random order. A layer is
x + dropout(A u ⊙ σ(B u)), u = cell(layer norm of x): the gated linear unit makes up for cells that are linear in their state.
`--plain` stacks the cells alone, by residual connections. The read-out reads the mean of the outputs over time, or the last.

AdamW; the rate rises for the first twentieth of the minutes and falls as a cosine to 0 by their end, so that a run ends when
its minutes do. 5,000 images of the training set are held out for validation; the test images are read once, at the end. Runs
of 5 minutes and more write benchmarks/results/pixels_CELL.json, or pixels_permuted_CELL.json.
"""

import argparse
import gzip
import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from timing import machine, write_results
from torch import Tensor, nn
from torch.nn import functional as F

import elman
from elman.cells import CELLS
from elman.errors import OptionError

MNIST = Path(__file__).parents[2] / "shared" / "data" / "mnist"
PIXELS, DIGITS = 784, 10
VALIDATION = 5000
WARMUP = 0.05
# Of the training set's.
MEAN, DEVIATION = 0.1307, 0.3081


@dataclass(frozen=True)
class Images:
    """Images (N, 784), bytes, and their digits (N)."""

    pixels_NT: Tensor
    digits_N: Tensor

    def __len__(self) -> int:
        return len(self.digits_N)

    def part(self, places: Tensor) -> "Images":
        return Images(self.pixels_NT[places], self.digits_N[places])

    def batches(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Sequences (T, B, 1) around zero, and their digits, in order."""
        for pixels, digits in zip(self.pixels_NT.split(size), self.digits_N.split(size), strict=True):
            yield (pixels.T[..., None].float() / 255 - MEAN) / DEVIATION, digits


def read_images(folder: Path, part: str, order: Tensor) -> Images:
    """The images of "train" or "t10k" with their pixels in this order."""
    numbers = {}
    for kind, head in (("images-idx3", 16), ("labels-idx1", 8)):
        path = folder / f"{part}-{kind}-ubyte.gz"
        if not path.is_file():
            sys.exit(f"{path} is not there: give the folder of MNIST's four .gz files with --data.")
        numbers[kind] = torch.frombuffer(bytearray(gzip.decompress(path.read_bytes())[head:]), dtype=torch.uint8)
    return Images(numbers["images-idx3"].view(-1, PIXELS)[:, order].contiguous(), numbers["labels-idx1"].long())


class Block(nn.Module):
    """Layer norm, one recurrent layer, a gated linear unit, and what came in added to it."""

    def __init__(self, recurrent: Callable[..., elman.Recurrent], hidden: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(hidden)
        self.recurrent = recurrent(hidden)
        self.gates = nn.Linear(self.recurrent.output_size, 2 * hidden)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x_TBH: Tensor) -> Tensor:
        y: Tensor = x_TBH + self.dropout(F.glu(self.gates(self.recurrent(self.norm(x_TBH))[0])))
        return y


class Classifier(nn.Module):
    """Pixels (T, B, 1) to logits (B, 10)."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        super().__init__()
        hidden = arguments.hidden
        own = {"engine": arguments.engine}

        def recurrent(input_size: int, **more: Any) -> elman.Recurrent:
            try:
                return elman.Recurrent(arguments.cell, input_size, hidden, **own, **more, chrono=arguments.chrono)
            except OptionError:
                # A cell without gates that keep its state has no place for it.
                return elman.Recurrent(arguments.cell, input_size, hidden, **own, **more)

        if arguments.plain:
            dropout = arguments.dropout if arguments.layers > 1 else 0.0
            stack = recurrent(1, num_layers=arguments.layers, connections="residual", dropout=dropout)
            self.stack: nn.Module = FirstOf(stack)
            width = stack.output_size
        else:
            blocks = [Block(recurrent, hidden, arguments.dropout) for _ in range(arguments.layers)]
            self.stack = nn.Sequential(nn.Linear(1, hidden), *blocks, nn.LayerNorm(hidden))
            width = hidden
        self.read_out = nn.Linear(width, DIGITS)
        self.pool = arguments.pool

    def forward(self, x_TB1: Tensor) -> Tensor:
        y_TBH = self.stack(x_TB1)
        logits: Tensor = self.read_out(y_TBH.mean(0) if self.pool == "mean" else y_TBH[-1])
        return logits


class FirstOf(nn.Module):
    """The outputs of recurrent layers, without the state."""

    def __init__(self, layers: elman.Recurrent) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)[0]
        return y


@torch.no_grad()
def accuracy(network: nn.Module, images: Images, batch: int = 250) -> float:
    """The share of images that it has right."""
    network.eval()
    right = sum(int((network(x).argmax(-1) == digits).sum()) for x, digits in images.batches(batch))
    network.train()
    return right / len(images)


def train(network: nn.Module, train_set: Images, validation: Images, arguments: argparse.Namespace) -> dict[str, Any]:
    """Train for these minutes, and give the curve. Time spent on validation counts; there are `--validations` of them."""
    matrices = [weight for weight in network.parameters() if weight.dim() > 1]
    others = [weight for weight in network.parameters() if weight.dim() <= 1]
    groups = [{"params": matrices, "weight_decay": arguments.weight_decay}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=arguments.lr)
    seconds, began = arguments.minutes * 60, time.perf_counter()
    steps = 0
    losses: list[float] = []
    points: list[dict[str, float]] = []
    while True:
        for x, digits in train_set.part(torch.randperm(len(train_set))).batches(arguments.batch):
            spent = (time.perf_counter() - began) / seconds
            if spent >= (len(points) + 1) / arguments.validations or spent >= 1:
                loss = sum(losses) / max(len(losses), 1)
                points.append(tell(spent * seconds, seconds, steps, loss, accuracy(network, validation)))
                losses = []
            # What validation took counts too.
            spent = (time.perf_counter() - began) / seconds
            if spent >= 1:
                return {"steps": steps, "epochs": steps * arguments.batch / len(train_set), "curve": points}
            for group in optimizer.param_groups:
                group["lr"] = arguments.lr * min(spent / WARMUP, 1) * (1 + math.cos(math.pi * spent)) / 2
            loss_now = F.cross_entropy(network(x), digits)
            optimizer.zero_grad()
            loss_now.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            steps += 1
            losses.append(float(loss_now.detach()))


def tell(spent: float, whole: float, steps: int, loss: float, share: float) -> dict[str, float]:
    """A point of the curve, printed as a line."""
    print(
        f"{spent / 60:5.1f} min, {steps:5d} steps, {steps / spent:.2f} steps/s, loss {loss:.4f}, "
        f"validation {share:.2%}, {max(whole - spent, 0) / 60:.1f} min left",
        file=sys.stderr,
        flush=True,
    )
    return {"seconds": spent, "steps": steps, "loss": loss, "validation": share}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=MNIST, metavar="FOLDER")
    parser.add_argument(
        "--cell", default="gru", choices=[name for name in CELLS if name != "conv_lstm"], metavar="NAME"
    )
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--hidden", type=int, default=96)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--lr", type=float, default=0.005)
    parser.add_argument("--weight-decay", type=float, default=0.01)
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument(
        "--chrono",
        type=float,
        default=56.0,
        help="steps to remember at first, for cells with gates that keep their state",
    )
    parser.add_argument("--pool", default="mean", choices=("mean", "last"))
    parser.add_argument("--plain", action="store_true", help="the cells alone, with residual connections")
    parser.add_argument("--permuted", action="store_true")
    parser.add_argument("--validations", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--engine", default="auto")
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)
    # The order of the pixels and what is held out are the same for all seeds.
    fixed = torch.Generator().manual_seed(0)
    order = torch.randperm(PIXELS, generator=fixed) if arguments.permuted else torch.arange(PIXELS)
    everything = read_images(arguments.data, "train", order)
    places = torch.randperm(len(everything), generator=fixed)
    validation, train_set = everything.part(places[:VALIDATION]), everything.part(places[VALIDATION:])
    network = Classifier(arguments)
    parameters = sum(weight.numel() for weight in network.parameters())
    print(f"{arguments.layers} x {arguments.cell} of {arguments.hidden}, {parameters:,} parameters", file=sys.stderr)
    results = train(network, train_set, validation, arguments)
    test = read_images(arguments.data, "t10k", order)
    results |= {"parameters": parameters, "test": accuracy(network, test)}
    print(
        f"test {results['test']:.2%} of {len(test):,} images, {parameters:,} parameters, {results['epochs']:.1f} epochs"
    )
    if arguments.minutes >= 5:
        settings = {name: value for name, value in vars(arguments).items() if name != "data"}
        name = f"pixels{'_permuted' * arguments.permuted}_{arguments.cell}"
        write_results(name, {"machine": machine(), "settings": settings, **results})


if __name__ == "__main__":
    main()
