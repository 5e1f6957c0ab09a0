"""Where the rows of a sequence stand for the native engine: all rows at all steps, or packed, valid steps alone.

Packed, sequences are sorted by falling length, and step by step the rows that are still at work stand one after the other:
nothing is computed for padding. A reversed sequence runs from its last valid step to its first.
"""

from dataclasses import dataclass

import torch

from elman.axes import Bool, Int, Tensor
from elman.engines.memory import gather
from elman.errors import ShapeError


@dataclass(frozen=True)
class Layout:
    """A row is one sequence at one step. Arrays of rows have `rows` of them; the batch has `batch` sequences."""

    steps: int
    batch: int
    rows: int
    reverse: bool
    # Packed only: of each row its place in (T·B); of each step its rows and its first row; the sequences' order.
    place_N: Int[Tensor, "N"] | None = None
    rows_T: Int[Tensor, "T"] | None = None
    offset_T: Int[Tensor, "T"] | None = None
    order_B: Int[Tensor, "B"] | None = None
    # Of each sequence, in its sorted place, how many valid steps it has.
    lengths_B: Int[Tensor, "B"] | None = None

    def gather(self, x_TBD: Tensor) -> Tensor:
        """(T, B, D) -> (N, D)."""
        flat = x_TBD.flatten(0, 1)
        return flat if self.place_N is None else gather(flat, self.place_N)

    def scatter(self, rows_ND: Tensor) -> Tensor:
        """(N, D) -> (T, B, D), zero where there is no valid step."""
        if self.place_N is not None:
            row_of = torch.full((self.steps * self.batch,), -1)
            row_of[self.place_N] = torch.arange(self.rows)
            rows_ND = gather(rows_ND, row_of, rows_ND.new_zeros(1, rows_ND.shape[-1]))
        return rows_ND.view(self.steps, self.batch, rows_ND.shape[-1])

    def sort(self, state_BH: Tensor) -> Tensor:
        """The sequences of a batch in the order of the rows."""
        return state_BH if self.order_B is None else state_BH.index_select(0, self.order_B)

    def unsort(self, state_BH: Tensor) -> Tensor:
        """Back from the order of the rows."""
        if self.order_B is None:
            return state_BH
        return torch.empty_like(state_BH).index_copy_(0, self.order_B, state_BH)

    def last(self, rows_NH: Tensor, initial_BH: Tensor) -> Tensor:
        """Of each sequence (sorted) its last row; the initial one of a sequence without any."""
        if self.lengths_B is None or self.offset_T is None:
            first = 0 if self.reverse else self.rows - self.batch
            return rows_NH[first : first + self.batch].clone()
        step_B = (self.lengths_B - 1).clamp(min=0)
        row_B = self.offset_T[step_B] + torch.arange(self.batch)
        # A sequence without steps has no row: any will do, as it isn't taken.
        last_BH = rows_NH.index_select(0, row_B.clamp(max=max(self.rows - 1, 0)))
        return torch.where((self.lengths_B > 0)[:, None], last_BH, initial_BH)

    def reset_rows(self, reset_TB: Bool[Tensor, "T B"]) -> Bool[Tensor, "N"]:
        """A flag for each row. In reverse, what a reset at t separates is entered at t - 1, coming from t."""
        if self.reverse:
            reset_TB = torch.cat([reset_TB[1:], reset_TB.new_zeros(1, self.batch)])
        flags_N = self.gather(reset_TB.unsqueeze(-1)).squeeze(-1).contiguous()
        if self.reverse and self.rows_T is not None and self.steps:
            # Every sequence begins at its last valid step: what stands beyond it is padding.
            flags_N[: int(self.rows_T[0])] = False
        return flags_N

    def before(self, rows_NH: Tensor, initial_BH: Tensor, reset_N: Tensor | None, fresh_H: Tensor | None) -> Tensor:
        """For each row that of the step before: (N, H)."""
        fresh = initial_BH.new_zeros(initial_BH.shape[1]) if fresh_H is None else fresh_H
        # By their index: a row; -1 the fresh state; -2, -3, … the initial states.
        others = torch.cat([fresh[None], initial_BH])
        batch, rows = self.batch, self.rows
        if self.rows_T is None or self.offset_T is None:
            index_N = torch.arange(rows)
            first = index_N[:batch] - (batch + 1)
            index_N = (
                torch.cat([index_N[batch:], first.flip(0)])
                if self.reverse
                else torch.cat([first.flip(0), index_N[: rows - batch]])
            )
        else:
            step_N = torch.repeat_interleave(torch.arange(self.steps), self.rows_T)
            within_N = torch.arange(rows) - self.offset_T[step_N]
            index_N = torch.where(step_N > 0, self.offset_T[(step_N - 1).clamp(min=0)] + within_N, -2 - within_N)
        if reset_N is not None:
            index_N = torch.where(reset_N, -1, index_N)
        return gather(rows_NH, index_N, others)


def layout_of(steps: int, batch: int, lengths_B: Int[Tensor, "B"] | None, reverse: bool) -> Layout:
    """The layout of a batch of sequences; packed if they have lengths. Raises `ShapeError` if one is beyond 0 to `steps`."""
    if lengths_B is None:
        return Layout(steps, batch, steps * batch, reverse)
    sorted_B, order_B = torch.sort(lengths_B, descending=True, stable=True)
    if batch and not (sorted_B[-1] >= 0 and sorted_B[0] <= steps):
        raise ShapeError(
            f"lengths runs from {sorted_B[-1]} to {sorted_B[0]}: each must be 0 to {steps}, the number of steps."
        )
    times_T1 = torch.arange(steps)[:, None]
    valid_TB = times_T1 < sorted_B
    time_TB = sorted_B - 1 - times_T1 if reverse else times_T1.expand(steps, batch)
    place_N = (time_TB * batch + order_B)[valid_TB]
    rows_T = valid_TB.sum(1)
    return Layout(steps, batch, place_N.numel(), reverse, place_N, rows_T, rows_T.cumsum(0) - rows_T, order_B, sorted_B)
