"""How benchmarks/memory_tasks.py lets one cell learn one problem: one recurrent layer, a linear read-out, Adam, longer and
longer sequences."""

import math
import time
from dataclasses import dataclass
from typing import Any

import torch
from memory_problems import LONGEST, PROBLEMS, TRAINED, UNASKED, Problem
from torch import nn

import elman
from elman.errors import OptionError

# Sequences that scores are taken on.
FRESH = 256
# The next length comes after so many batches in a row that are right; what counts as right.
ROW, RIGHT = 5, {"parity": 0.97, "counting": 1.0, "adding": 0.99, "copying": 0.9, "recall": 0.97}


@dataclass(frozen=True)
class Run:
    """What a process of its own does: one cell, one problem, one seed, and a share of the budget."""

    task: str
    cell: str
    seed: int
    share: float = 1.0


def learn(run: Run) -> dict[str, Any]:
    """The best of the attempts, one for each learning rate, as a record of results."""
    problem = PROBLEMS[run.task]
    began = time.process_time()
    found = []
    for rate in problem.rates:
        found.append(Attempt(run, problem, rate).learn())
        if found[-1]["solved"]:
            break
    best = max(found, key=lambda record: record["merit"])
    seconds = time.process_time() - began
    return {"task": run.task, "cell": run.cell, "seed": run.seed, "seconds": seconds, **best}


class Attempt:
    """One network at one learning rate.

    The rate falls as a cosine to 2 % over the budget: updates, or seconds of the processor if those are up first. Gradients are
    clipped to a norm of 1.
    """

    def __init__(self, run: Run, problem: Problem, rate: float) -> None:
        torch.manual_seed(run.seed)
        self.run, self.problem, self.rate = run, problem, rate
        self.generator = torch.Generator().manual_seed(run.seed)
        self.recurrent, self.memory = layers_with_memory(run, problem)
        self.read_out = nn.Linear(self.recurrent.output_size, problem.classes)
        self.weights = [*self.recurrent.parameters(), *self.read_out.parameters()]
        self.optimizer = torch.optim.Adam(self.weights, lr=rate)
        self.updates = self.level = 0

    def learn(self) -> dict[str, Any]:
        problem, last = self.problem, len(self.problem.lengths) - 1
        limits = [run_out * self.run.share / len(problem.rates) for run_out in (problem.updates, problem.seconds)]
        began, row = time.process_time(), 0
        while True:
            spent = max(self.updates / limits[0], (time.process_time() - began) / limits[1])
            if spent >= problem.full_from and self.level < last:
                self.level, row = last, 0
            share = self.step(spent) if spent < 1 else None
            if share is None:
                break
            row = row + 1 if share >= RIGHT[self.run.task] else 0
            if problem.patience and self.level == last and row == problem.patience:
                break
            if self.level < last and row == ROW:
                self.level, row = self.level + 1, 0
        scores, merit, solved = SCORES[self.run.task](self)
        return {
            "scores": scores,
            "merit": merit,
            "solved": solved,
            "rate": self.rate,
            "memory": self.memory,
            "updates": self.updates,
            "trained to": problem.lengths[self.level],
            "parameters": sum(weight.numel() for weight in self.weights),
        }

    def step(self, spent: float) -> float | None:
        """One update; what share of its batch was right before, or None if the loss is no number any more."""
        inputs, targets = self.problem.draw(self.problem.lengths[self.level], self.problem.batch, self.generator)
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate * (0.02 + 0.98 * (1 + math.cos(math.pi * spent)) / 2)
        outputs = self.read_out(self.recurrent(inputs)[0])
        loss = self.problem.loss(outputs, targets)
        if not loss.isfinite():
            return None
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.weights, 1.0)
        self.optimizer.step()
        self.updates += 1
        return self.problem.right(outputs.detach(), targets)

    @torch.no_grad()
    def answers(self, length: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Outputs and targets on fresh sequences of this length; what is no number counts as 0."""
        inputs, targets = self.problem.draw(length, FRESH, self.generator)
        return self.read_out(self.recurrent(inputs)[0]).nan_to_num(0.0, 0.0, 0.0), targets


def layers_with_memory(run: Run, problem: Problem) -> tuple[elman.Recurrent, dict[str, Any]]:
    """The layers, and the options for long memory that this cell has a place for."""
    arguments = (run.cell, problem.inputs, problem.hidden)
    try:
        return elman.Recurrent(*arguments, **problem.memory), problem.memory
    except OptionError:
        return elman.Recurrent(*arguments), {}


Scores = tuple[dict[str, float], float, bool]


def parity_scores(attempt: Attempt) -> Scores:
    outputs, targets = attempt.answers(LONGEST)
    right = (outputs.argmax(-1) == targets).float()
    trained, beyond = float(right[:TRAINED].mean()), float(right[TRAINED:].mean())
    return {"trained": trained, "beyond": beyond}, trained, min(trained, beyond) > 0.99


def counting_scores(attempt: Attempt) -> Scores:
    """Strings of which every answer is right; and the longest string up to which all are."""
    outputs, targets = attempt.answers(LONGEST)
    right = ((outputs.argmax(-1) == targets) | (targets == UNASKED)).all(0).float()
    trained, beyond = float(right[: TRAINED // 2].mean()), float(right[TRAINED // 2 :].mean())
    longest = 2 * int(right.cumprod(0).sum())
    return {"trained": trained, "beyond": beyond, "longest": longest}, trained, longest == LONGEST


def adding_scores(attempt: Attempt) -> Scores:
    error = float(attempt.problem.loss(*attempt.answers(attempt.problem.lengths[-1])))
    return {"error": error}, -error, error < 0.01


def copying_scores(attempt: Attempt) -> Scores:
    outputs, targets = attempt.answers(attempt.problem.lengths[-1])
    share, loss = attempt.problem.right(outputs, targets), float(attempt.problem.loss(outputs, targets))
    return {"right": share, "loss": loss}, share, share > 0.99


def recall_scores(attempt: Attempt) -> Scores:
    """The longest length at which more than 90 % are right on fresh sequences: the one trained last, or that before it."""
    lengths, level = attempt.problem.lengths, attempt.level
    share = attempt.problem.right(*attempt.answers(lengths[level]))
    passed = lengths[level - 1] if level else 0
    longest = lengths[level] if share > 0.9 else passed
    return {"longest": longest, "right at the last": share}, longest + share, longest == lengths[-1]


SCORES = {
    "parity": parity_scores,
    "counting": counting_scores,
    "adding": adding_scores,
    "copying": copying_scores,
    "recall": recall_scores,
}
