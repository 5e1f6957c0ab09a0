"""The problems of benchmarks/memory_tasks.py: what is drawn, what counts as right, and how long a cell may learn it.

Sequences have one length in a batch, drawn anew for every update. Whole classes of symbols go in as one-hot vectors.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

# A target where nothing is asked.
UNASKED = -100
TRAINED, LONGEST = 40, 200
# Copying: symbols to remember at most, and how many kinds there are.
SYMBOLS, KINDS = 10, 8


@dataclass(frozen=True)
class Problem:
    """One problem and its settings, the same for all cells.

    draw      (length, batch, generator) -> inputs (T, B, D) and targets (T, B): classes or, if `classes` is 1, numbers
    lengths   trained in this order: the next one comes when the present one is solved
    rates     learning rates, tried in turn until one solves it; they share `updates` and `seconds`
    memory    options for cells with gates that keep their state
    patience  batches in a row that have to be right, at the last length, before learning ends; 0: the budget is used up
    full_from the share of the budget after which the last length is trained, whether the ones before it are solved or not
    """

    title: str
    draw: Callable[[int, int, torch.Generator], tuple[Tensor, Tensor]]
    inputs: int
    classes: int
    lengths: tuple[int, ...]
    batch: int
    hidden: int
    updates: int
    seconds: float
    rates: tuple[float, ...]
    memory: dict[str, Any]
    patience: int
    full_from: float = 2 / 3

    def loss(self, outputs_TBC: Tensor, targets_TB: Tensor) -> Tensor:
        """Squared error at the last step, or cross-entropy wherever a class is asked for."""
        if self.classes == 1:
            return F.mse_loss(outputs_TBC[-1, :, 0], targets_TB[-1])
        return F.cross_entropy(outputs_TBC.flatten(0, 1), targets_TB.flatten())

    def right(self, outputs_TBC: Tensor, targets_TB: Tensor) -> float:
        """What is to be high: the share of answers that are right; for numbers, 1 less the squared error."""
        if self.classes == 1:
            return 1 - float(self.loss(outputs_TBC, targets_TB))
        return float((outputs_TBC.argmax(-1) == targets_TB)[targets_TB != UNASKED].float().mean())


def parity(length: int, batch: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Random bits; after each, whether the ones so far are odd."""
    bits_TB = torch.randint(0, 2, (length, batch), generator=generator)
    return F.one_hot(bits_TB, 2).float(), bits_TB.cumsum(0) % 2


def counting(length: int, _batch: int, _generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Every string a^n b^n up to this length, nothing behind it; after each b, whether the string is complete."""
    n_B = torch.arange(1, length // 2 + 1)
    t_T1 = torch.arange(length)[:, None]
    is_a, is_b = t_T1 < n_B, (t_T1 >= n_B) & (t_T1 < 2 * n_B)
    targets_TB = torch.where(is_b, (t_T1 == 2 * n_B - 1).long(), UNASKED)
    return torch.stack([is_a, is_b], dim=-1).float(), targets_TB


def adding(length: int, batch: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Numbers between 0 and 1, one of each half marked; at the end, the sum of those two."""
    numbers_TB, marks_TB = torch.rand(length, batch, generator=generator), torch.zeros(length, batch)
    each, half = torch.arange(batch), length // 2
    marks_TB[torch.randint(0, half, (batch,), generator=generator), each] = 1
    marks_TB[torch.randint(half, length, (batch,), generator=generator), each] = 1
    return torch.stack([numbers_TB, marks_TB], dim=-1), (numbers_TB * marks_TB).sum(0, keepdim=True)


def copying(length: int, batch: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Symbols, `length` - 1 blanks, a mark, and blanks again, at which the symbols are to be given back in their order.

    Ten symbols at a length of 100, and fewer in proportion before.
    """
    many = max(1, length * SYMBOLS // 100)
    symbols_TB = torch.randint(0, KINDS, (many, batch), generator=generator)
    blank, mark = KINDS, KINDS + 1
    rest = [torch.full((steps, batch), kind) for steps, kind in ((length - 1, blank), (1, mark), (many, blank))]
    unasked_TB = torch.full((many + length, batch), UNASKED)
    return F.one_hot(torch.cat([symbols_TB, *rest]), KINDS + 2).float(), torch.cat([unasked_TB, symbols_TB])


def recall(length: int, batch: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """One of eight symbols, then noise of eight others; at the last step, the first symbol."""
    first_1B = torch.randint(0, KINDS, (1, batch), generator=generator)
    noise_TB = torch.randint(KINDS, 2 * KINDS, (length - 1, batch), generator=generator)
    targets_TB = torch.full((length, batch), UNASKED)
    targets_TB[-1] = first_1B
    return F.one_hot(torch.cat([first_1B, noise_TB]), 2 * KINDS).float(), targets_TB


PROBLEMS = {
    "parity": Problem(
        "Parity", parity, 2, 2, tuple(range(2, TRAINED + 1, 2)), 64, 32, 1500, 5, (0.01, 0.003), {}, 100
    ),
    "counting": Problem(
        "a^n b^n", counting, 2, 2, (10, 20, 30, TRAINED), 0, 10, 2000, 7, (0.04,), {"forget_bias": 10.0}, 0
    ),
    "adding": Problem("Adding", adding, 2, 1, (25, 50, 100, 200), 32, 32, 2000, 10, (0.01, 0.003), {"chrono": 200}, 20),
    "copying": Problem(
        "Copying", copying, KINDS + 2, KINDS, (3, *range(10, 101, 10)), 64, 64, 800, 4, (0.005,), {}, 0
    ),
    "recall": Problem(
        "Recall", recall, 2 * KINDS, KINDS, (10, 30, 100, 300, 1000), 32, 32, 2000, 10, (0.01, 0.003), {"chrono": 1000}, 10, 1.0
    ),
}  # fmt: skip
