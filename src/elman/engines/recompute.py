"""Less memory for more time: of a long sequence only the states between chunks are kept for the backward pass.

There, chunk by chunk from the last to the first, the forward pass is run again, this time keeping what the reverse reads. So
what is kept at any moment belongs to one chunk, however long the sequence is.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

from elman.axes import Bool, Int, Tensor
from elman.cells import Cell, Masks, State, Weights, map_state
from elman.engines.direction import in_reverse

# A fifth of the sequence, but neither so short that each call's own cost counts nor so long that memory does.
_PARTS, _SHORTEST, _LONGEST = 5, 16, 256


def chunk_steps(steps: int) -> int:
    """How many steps are computed again together."""
    return min(max(-(-steps // _PARTS), _SHORTEST), _LONGEST)


def scan_in_chunks(
    scan: Callable,
    cell: Cell,
    weights: Weights,
    x_TBD: Tensor,
    state: State,
    lengths_B: Int[Tensor, "B"] | None,
    reset_TB: Bool[Tensor, "T B"] | None,
    *,
    masks: Masks | None = None,
    reverse: bool = False,
    **options: Any,
) -> tuple:
    """Run an engine's `scan` so; its arguments are those of `elman.engines.scan`."""
    if reverse:
        options["masks"] = masks

        def forwards(*arguments: Any, **keywords: Any) -> tuple:
            return scan_in_chunks(scan, *arguments, **keywords)

        return in_reverse(forwards, cell, weights, x_TBD, state, lengths_B, reset_TB, **options)

    steps = x_TBD.shape[0]
    size = chunk_steps(steps)
    kind = type(state)
    outputs, sequences = [], []
    # split, not slices: its backward is one concatenation, where each slice would fill an array of T steps.
    for index, x_tBD in enumerate(x_TBD.split(size)):
        start = index * size
        lengths = None if lengths_B is None else (lengths_B - start).clamp(0, min(size, steps - start))
        reset = None if reset_TB is None else reset_TB[start : start + size]
        if masks:
            options["masks"] = {n: m[start : start + size] if m.dim() == 3 else m for n, m in masks.items()}
        y_tBH, state, *states = checkpoint(
            scan,
            cell,
            weights,
            x_tBD,
            state,
            lengths,
            reset,
            **options,
            use_reentrant=False,
            preserve_rng_state=False,
        )
        outputs.append(y_tBH)
        sequences += states
    y_TBH = torch.cat(outputs)
    state = kind(*state)
    return (y_TBH, state, map_state(lambda *parts: torch.cat(parts), *sequences)) if sequences else (y_TBH, state)
