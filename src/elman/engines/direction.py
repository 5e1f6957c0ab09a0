"""Running backwards in time, for engines that only run forwards: sequences turned round."""

from collections.abc import Callable
from typing import Any

import torch

from elman.axes import Bool, Int, Tensor
from elman.cells import Cell, Masks, State, Weights, map_state


def in_reverse(
    scan: Callable,
    cell: Cell,
    weights: Weights,
    x_TBD: Tensor,
    state: State,
    lengths_B: Int[Tensor, "B"] | None,
    reset_TB: Bool[Tensor, "T B"] | None,
    masks: Masks | None = None,
    **options: Any,
) -> tuple:
    """A scan from the last step to the first, by one that only runs forwards."""
    if masks:
        options["masks"] = {n: reverse_time(m, lengths_B) if m.dim() == 3 else m for n, m in masks.items()}
    y_TBH, last, *states = scan(
        cell,
        weights,
        reverse_time(x_TBD, lengths_B),
        state,
        lengths_B,
        None if reset_TB is None else reverse_reset(reset_TB, lengths_B),
        **options,
    )
    return reverse_time(y_TBH, lengths_B), last, *(map_state(lambda s: reverse_time(s, lengths_B), s) for s in states)


def reverse_time(x_T: Tensor, lengths_B: Int[Tensor, "B"] | None) -> Tensor:
    """Turn (T, B, ...) round in time, row by row within its length; what lies beyond a row's length stays in place.

    Its own inverse.
    """
    if lengths_B is None:
        return x_T.flip(0)
    times_T1 = torch.arange(x_T.shape[0], device=x_T.device).unsqueeze(1)
    lengths_B = lengths_B.to(x_T.device)
    source_TB = torch.where(times_T1 < lengths_B, lengths_B - 1 - times_T1, times_T1)
    return x_T[source_TB, torch.arange(x_T.shape[1], device=x_T.device)]


def reverse_reset(reset_TB: Bool[Tensor, "T B"], lengths_B: Int[Tensor, "B"] | None) -> Bool[Tensor, "T B"]:
    """The reset flags for the reversed sequence.

    A reset at t says that a new sequence begins there. Read backwards, a new one begins at t - 1, the end of the sequence
    before it.
    """
    before_TB = torch.cat([reset_TB[1:], torch.zeros_like(reset_TB[:1])])
    if lengths_B is not None:
        times_T1 = torch.arange(reset_TB.shape[0], device=reset_TB.device).unsqueeze(1)
        # A flag on the first padded step must not cut off the state that enters at the last valid one.
        before_TB = before_TB & (times_T1 + 1 < lengths_B.to(reset_TB.device))
    return reverse_time(before_TB, lengths_B)
