"""A long sequence piece by piece, the state carried from one to the next: for less memory, or for time linear in the length.

Recomputed, only the states between pieces are kept for the backward pass, and all of the last piece, with which it begins.
Then, piece by piece towards the first, the forward pass is run again, this time keeping what the reverse reads. So what is kept
at any moment belongs to one piece, however long the sequence is. Not recomputed, all is kept, but no array that is made on the
way has more than a piece's steps: hundreds of fresh megabytes for each operation take longer to come by than to fill.
"""

from collections.abc import Callable
from typing import Any

from torch.utils.checkpoint import checkpoint

from elman.axes import Bool, Int, Tensor
from elman.cells import Cell, Masks, State, Weights, map_state
from elman.engines.direction import in_reverse
from elman.engines.parts import cut, join

# A sixth of the sequence, but neither so short that each call's own cost counts nor so long that memory does.
_PARTS, _SHORTEST, _LONGEST = 6, 16, 256
# Bytes of the input of a piece that isn't recomputed, and what its steps are a multiple of: the chunks of any cell.
_BYTES, _MULTIPLE = 1 << 22, 256


def recomputed_steps(steps: int) -> int:
    """How many steps are computed again together."""
    return min(max(-(-steps // _PARTS), _SHORTEST), _LONGEST)


def fitting_steps(x_TBD: Tensor) -> int:
    """How many steps are a piece, if nothing is recomputed."""
    step = max(x_TBD.shape[1] * x_TBD.shape[2] * x_TBD.element_size(), 1)
    return max(_BYTES // step // _MULTIPLE, 1) * _MULTIPLE


def scan_in_pieces(
    scan: Callable,
    size: int,
    recompute: bool,
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
    """Run an engine's `scan` so, `size` steps at a time; the other arguments are those of `elman.engines.scan`."""
    if reverse:
        options["masks"] = masks

        def forwards(*arguments: Any, **keywords: Any) -> tuple:
            return scan_in_pieces(scan, size, recompute, *arguments, **keywords)

        return in_reverse(forwards, cell, weights, x_TBD, state, lengths_B, reset_TB, **options)

    steps = x_TBD.shape[0]
    kind = type(state)
    outputs, sequences = [], []
    # Cut at once, not slice by slice, whose gradients would each fill an array of T steps.
    pieces = cut(x_TBD, size)
    for index, x_tBD in enumerate(pieces):
        start = index * size
        lengths = None if lengths_B is None else (lengths_B - start).clamp(0, min(size, steps - start))
        reset = None if reset_TB is None else reset_TB[start : start + size]
        if masks:
            options["masks"] = {n: m[start : start + size] if m.dim() == 3 else m for n, m in masks.items()}
        arguments = (cell, weights, x_tBD, state, lengths, reset)
        if recompute and index < len(pieces) - 1:
            y_tBH, state, *states = checkpoint(
                scan, *arguments, **options, use_reentrant=False, preserve_rng_state=False
            )
        else:
            y_tBH, state, *states = scan(*arguments, **options)
        outputs.append(y_tBH)
        sequences += states
    y_TBH = join(outputs)
    state = kind(*state)
    return (y_TBH, state, map_state(lambda *parts: join(parts), *sequences)) if sequences else (y_TBH, state)
