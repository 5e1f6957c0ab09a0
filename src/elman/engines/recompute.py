"""Less memory for more time: of a long sequence only the states between chunks are kept for the backward pass.

There, chunk by chunk from the last to the first, the forward pass is run again, this time keeping what the reverse reads. So
what is kept at any moment belongs to one chunk, however long the sequence is.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

from elman.axes import Bool, Int, Tensor
from elman.cells import Cell, State, Weights, map_state
from elman.engines.direction import in_reverse

# An eighth of the sequence, but neither so short that each call's own cost counts nor so long that memory does.
_PARTS, _SHORTEST, _LONGEST = 8, 16, 256


def scan_in_chunks(
    scan: Callable,
    cell: Cell,
    weights: Weights,
    x_TBD: Tensor,
    state: State,
    lengths_B: Int[Tensor, "B"] | None,
    reset_TB: Bool[Tensor, "T B"] | None,
    *,
    reverse: bool = False,
    **options: Any,
) -> tuple:
    """Run an engine's `scan` so; its arguments are those of `elman.engines.scan`."""
    if reverse:

        def forwards(*arguments: Any, **keywords: Any) -> tuple:
            return scan_in_chunks(scan, *arguments, **keywords)

        return in_reverse(forwards, cell, weights, x_TBD, state, lengths_B, reset_TB, **options)

    steps = x_TBD.shape[0]
    size = min(max(-(-steps // _PARTS), _SHORTEST), _LONGEST)
    kind = type(state)
    outputs, sequences = [], []
    for start in range(0, max(steps, 1), size):
        part = slice(start, start + size)
        lengths = None if lengths_B is None else (lengths_B - start).clamp(0, min(size, steps - start))
        reset = None if reset_TB is None else reset_TB[part]
        y_tBH, state, *states = checkpoint(
            scan,
            cell,
            weights,
            x_TBD[part],
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
