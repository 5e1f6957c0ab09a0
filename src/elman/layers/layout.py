"""How an input lies, and outputs in the same way: every layout that `torch.nn` takes. Inside, time comes first."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from elman.axes import Bool, Float, Int, Tensor
from elman.errors import ShapeError


@dataclass(frozen=True)
class Layout:
    """What there is to know of an input: whether it had a batch axis, and if so where; or the packed sequence it was."""

    batch_first: bool
    batched: bool
    packed: PackedSequence | None
    lengths_B: Tensor | None

    def restore(self, sequence_TBH: Tensor) -> Any:
        """A sequence in the layout of the input."""
        if self.packed is not None:
            return _repack(sequence_TBH, self.lengths_B, self.packed)
        if not self.batched:
            return sequence_TBH.squeeze(1)
        return sequence_TBH.transpose(0, 1) if self.batch_first else sequence_TBH

    def read_reset(self, reset: Any, x_TBD: Tensor) -> Bool[Tensor, "T B"]:
        """The flags, which lie as the input. Raises `ShapeError`."""
        swapped = self.batch_first and self.batched and self.packed is None
        steps, batch = x_TBD.shape[:2]
        if not isinstance(reset, Tensor):
            raise ShapeError(f"reset is a {type(reset).__name__}: give a tensor of dtype torch.bool, a flag a step.")
        expected = (steps,) if not self.batched else (batch, steps) if swapped else (steps, batch)
        if tuple(reset.shape) != expected or reset.dtype != torch.bool:
            raise ShapeError(
                f"reset has shape {tuple(reset.shape)} and dtype {reset.dtype}: give one flag a step, "
                f"shape {expected} and dtype torch.bool."
            )
        reset = reset.to(x_TBD.device)
        return reset.unsqueeze(1) if not self.batched else reset.t() if swapped else reset


def read_input(
    x: Tensor | PackedSequence, lengths: Tensor | Sequence[int] | None, batch_first: bool, input_size: int
) -> tuple[Float[Tensor, "T B D"], Layout]:
    """The input, time first, and how it lay. Raises `ShapeError`."""
    packed = None
    if isinstance(x, PackedSequence):
        if lengths is not None:
            raise ShapeError("lengths= was given with a PackedSequence, which has its own: leave lengths out.")
        packed = x
        x_TBD, lengths = pad_packed_sequence(x)
        batched = True
    else:
        if not isinstance(x, Tensor):
            raise ShapeError(f"the input is a {type(x).__name__}: give a torch.Tensor or a PackedSequence.")
        if x.dim() not in (2, 3):
            layout = "(B, T, D)" if batch_first else "(T, B, D)"
            raise ShapeError(f"the input has shape {tuple(x.shape)}: give {layout}, or (T, D) for one sequence.")
        batched = x.dim() == 3
        x_TBD = x.unsqueeze(1) if not batched else x.transpose(0, 1) if batch_first else x
    if x_TBD.shape[-1] != input_size:
        raise ShapeError(
            f"the input has {x_TBD.shape[-1]} features a step (read as T, B, D = {tuple(x_TBD.shape)}), "
            f"but input_size is {input_size}."
        )
    lengths_B = None if lengths is None else _read_lengths(lengths, x_TBD)
    return x_TBD, Layout(batch_first, batched, packed, lengths_B)


def check_dtype(what: str, array: Tensor, wanted: torch.dtype) -> None:
    """Raise `ShapeError` unless the array has the dtype of the weights."""
    # Under autocast the layer before may have given a half.
    if array.dtype != wanted and not torch.is_autocast_enabled(array.device.type):
        raise ShapeError(
            f"{what} has dtype {array.dtype}, the weights have {wanted}: convert one of them, for example by .to({wanted})."
        )


def _read_lengths(lengths: Tensor | Sequence[int], x_TBD: Tensor) -> Int[Tensor, "B"]:
    steps, batch = x_TBD.shape[:2]
    try:
        lengths_B = torch.as_tensor(lengths)
    except (ValueError, TypeError, RuntimeError) as error:
        raise ShapeError(
            f"lengths can't be read ({error}): give one whole number for each of the {batch} sequences."
        ) from error
    if not lengths_B.numel():
        # An empty list says nothing of its kind.
        lengths_B = lengths_B.long()
    if tuple(lengths_B.shape) != (batch,) or lengths_B.is_floating_point() or lengths_B.dtype == torch.bool:
        raise ShapeError(
            f"lengths has shape {tuple(lengths_B.shape)} and dtype {lengths_B.dtype}: give one whole number "
            f"for each of the {batch} sequences."
        )
    # A compiled graph can't look at values: there the native engine does it.
    if torch.compiler.is_compiling():
        return lengths_B.to(device=x_TBD.device, dtype=torch.long)
    if batch and not (int(lengths_B.min()) >= 0 and int(lengths_B.max()) <= steps):
        raise ShapeError(
            f"lengths runs from {int(lengths_B.min())} to {int(lengths_B.max())}: each must be 0 to {steps}, "
            "the number of steps in the input."
        )
    return lengths_B.to(device=x_TBD.device, dtype=torch.long)


def _repack(y_TBH: Tensor, lengths_B: Tensor | None, like: PackedSequence) -> PackedSequence:
    """Pack with the row order and batch sizes of `like`."""
    assert lengths_B is not None
    lengths_B = lengths_B.cpu()
    if like.sorted_indices is not None:
        y_TBH = y_TBH.index_select(1, like.sorted_indices)
        lengths_B = lengths_B.index_select(0, like.sorted_indices.cpu())
    data = pack_padded_sequence(y_TBH, lengths_B).data
    return PackedSequence(data, like.batch_sizes, like.sorted_indices, like.unsorted_indices)
