"""Tokens a second in training: elman's own loop against a plain PyTorch loop with the same network, in one run.

    python benchmarks/train_lm.py [TEXT] [--cell lstm] [--rounds 7] [--steps 30] [--precision fp32]
    python benchmarks/train_lm.py [TEXT] --to 1.5 --updates 1500    # time until that validation loss, in nats

Both train on the same windows of the same text (default: tinyshakespeare beside the repository, else the text that Python
carries), in turns, from the same initial weights, with the same optimiser, dropout and clipping. First both take three
steps without dropout and must come to the same losses; the medians of the rounds are printed and the ratio with them.
`--precision bf16` is elman's alone: the plain loop stays in fp32.
"""

import argparse
import json
import math
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch
from torch import Tensor, nn

from elman.models.language_task import LanguageKind, LanguageTask
from elman.models.options import TrainOptions
from elman.training.loop import Trainer

TINYSHAKESPEARE = Path(__file__).parents[2] / "shared" / "data" / "tinyshakespeare" / "input.txt"
_PLAIN_LAYERS = {"elman": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


class PlainModel(nn.Module):
    """The same network as a PyTorch user would write it."""

    def __init__(self, vocabulary: int, options: TrainOptions) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, options.embedding)
        self.recurrent = _PLAIN_LAYERS[options.cell](options.embedding, options.hidden, options.layers)
        self.output = nn.Linear(options.hidden, vocabulary)
        self.dropout = nn.Dropout(options.dropout)

    def forward(self, tokens: Tensor, state: object) -> tuple[Tensor, object]:
        y, state = self.recurrent(self.dropout(self.embedding(tokens)), state)
        return self.output(self.dropout(y)), state


class PlainLoop:
    """A plain training loop: windows in order, state carried and detached, AdamW, clipping, a cosine schedule."""

    def __init__(self, task: LanguageTask, total_steps: int) -> None:
        options = task.options
        self.task = task
        self.model = PlainModel(task.network.config.vocabulary, options)
        self.model.load_state_dict(task.network.state_dict())
        self.clip = options.clip
        groups = [
            {"params": [p for p in self.model.parameters() if p.dim() > 1], "weight_decay": options.weight_decay},
            {"params": [p for p in self.model.parameters() if p.dim() <= 1], "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=options.lr, betas=(0.9, 0.99), fused=True)
        warmup = min(options.warmup, total_steps // 10)

        def rate(step: int) -> float:
            rise = min(1.0, (step + 1) / warmup) if warmup else 1.0
            return rise * (0.02 + 0.98 * (1 + math.cos(math.pi * min(step / total_steps, 1.0))) / 2)

        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, rate)
        self.state: object = None
        self.done = 0

    def step(self) -> float:
        self.model.train()
        inputs, targets = self.task.streams[self.done % len(self.task.streams)]
        if self.done % len(self.task.streams) == 0:
            self.state = None
        self.optimizer.zero_grad()
        logits, state = self.model(inputs, self.state)
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
        self.optimizer.step()
        self.schedule.step()
        self.state = tuple(s.detach() for s in state) if isinstance(state, tuple) else state.detach()
        self.done += 1
        return float(loss.detach())


def check(text: Path | None, options: TrainOptions) -> None:
    """Three steps of each from the same weights, without dropout: the same losses, or the figures mean nothing."""
    exact = options.changed(dropout=0.0)
    trainer, plain = contestants(text, exact, total_steps=100)
    for step in range(3):
        ours, theirs = trainer.step(trainer.fraction).loss_nats, plain.step()
        if abs(ours - theirs) > 1e-4 * abs(theirs):
            sys.exit(
                f"step {step}: elman's loss is {ours}, the plain loop's {theirs}: they don't train the same network."
            )


def contestants(text: Path | None, options: TrainOptions, total_steps: int) -> tuple[Trainer, PlainLoop]:
    options = options.changed(steps=total_steps)
    kind = LanguageKind()
    texts = kind.read(None if text is None else [text], options)
    task = kind.task(texts, kind.fit(texts, options), options)
    trainer = Trainer(task, options, Path(tempfile.gettempdir()), keep_best=lambda: None, observers=[])
    return trainer, PlainLoop(task, total_steps)


def time_to(nats: float, trainer: Trainer, plain: PlainLoop, block: int) -> None:
    """Train both in turns, a block of updates each, until both have come to this validation loss; print seconds."""
    network = trainer.task.network
    steps = {"elman": lambda: trainer.step(trainer.fraction), "plain PyTorch": plain.step}
    seconds = dict.fromkeys(steps, 0.0)
    reached: dict[str, float] = {}
    while len(reached) < len(steps) and trainer.fraction < 1:
        for name, step in steps.items():
            if name in reached:
                continue
            began = time.perf_counter()
            for _ in range(block):
                step()
            seconds[name] += time.perf_counter() - began
            loss = _validation_nats(trainer, plain.model if name != "elman" else network)
            print(f"{name:>14}: {seconds[name]:6.1f} s, {loss:.4f} nats", flush=True)
            if loss <= nats:
                reached[name] = seconds[name]
    print(
        json.dumps(
            {
                "to": nats,
                "seconds": reached,
                "ratio": reached.get("plain PyTorch", math.nan) / reached.get("elman", math.nan),
            }
        )
    )


def _validation_nats(trainer: Trainer, model: nn.Module) -> float:
    """The score of these weights in elman's own network: one way to score for both."""
    network = trainer.task.network
    own = {name: value.clone() for name, value in network.state_dict().items()}
    network.load_state_dict(model.state_dict())
    loss = trainer.task.validate()["loss_nats"]
    network.load_state_dict(own)
    return loss


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", nargs="?", type=Path, default=TINYSHAKESPEARE if TINYSHAKESPEARE.exists() else None)
    parser.add_argument("--cell", default="lstm", choices=sorted(_PLAIN_LAYERS))
    parser.add_argument("--hidden", type=int, default=TrainOptions.hidden)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=30, help="updates of each contestant in a round")
    parser.add_argument("--precision", default="fp32", choices=("fp32", "bf16"), help="of elman's products")
    parser.add_argument("--to", type=float, help="train both until this validation loss in nats, and compare the times")
    parser.add_argument(
        "--updates", type=int, default=1500, help="with --to: the budget that the learning rate falls over"
    )
    arguments = parser.parse_args()
    options = TrainOptions(cell=arguments.cell, hidden=arguments.hidden)

    check(arguments.text, options)
    options = options.changed(precision=arguments.precision)
    if arguments.to:
        time_to(arguments.to, *contestants(arguments.text, options, arguments.updates), arguments.steps)
        return
    trainer, plain = contestants(arguments.text, options, arguments.steps * (arguments.rounds + 1))
    tokens = trainer.task.size(trainer.task.batch(0)) * arguments.steps
    seconds: dict[str, list[float]] = {"elman": [], "plain PyTorch": []}
    for round_number in range(arguments.rounds + 1):
        turns = [("elman", lambda: trainer.step(trainer.fraction)), ("plain PyTorch", plain.step)]
        for name, step in turns if round_number % 2 else reversed(turns):
            began = time.perf_counter()
            for _ in range(arguments.steps):
                step()
            # The first round warms up.
            if round_number:
                seconds[name].append(time.perf_counter() - began)

    ratios = [theirs / ours for ours, theirs in zip(seconds["elman"], seconds["plain PyTorch"], strict=True)]
    report = {name: round(tokens / statistics.median(times)) for name, times in seconds.items()}
    text = arguments.text.name if arguments.text else "pydoc_data.topics"
    print(
        f"{text}, {options.layers} x {options.cell} of {options.hidden}, {options.precision}, torch {torch.__version__}, "
        f"{torch.get_num_threads()} threads, {arguments.rounds} rounds of {arguments.steps} updates in turns"
    )
    for name, rate in report.items():
        print(f"{name:>14}: {rate:>8,} tokens/s (median)")
    print(f"{'ratio':>14}: {statistics.median(ratios):8.3f} (median of rounds; {min(ratios):.3f} to {max(ratios):.3f})")
    print(json.dumps({"ratio": statistics.median(ratios), **report}))


if __name__ == "__main__":
    main()
