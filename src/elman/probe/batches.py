"""What stands in a batch that nothing is known of: its tensors, its padding, whether windows go on where others ended.

A batch is whatever a task makes: tensors in tuples, lists, mappings, named tuples and dataclasses. Time is the first axis of a
padded tensor or the second, the rows of the batch are the other.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor


def mapped(batch: Any, change: Callable[[int, Tensor], Tensor]) -> Any:
    """The same batch with each tensor replaced by `change(number, tensor)`, numbered in their order."""
    count = iter(range(1_000_000))

    def walk(part: Any) -> Any:
        if isinstance(part, Tensor):
            return change(next(count), part)
        if is_dataclass(part) and not isinstance(part, type):
            return replace(
                part, **{field.name: walk(getattr(part, field.name)) for field in fields(part) if field.init}
            )
        if isinstance(part, tuple) and hasattr(part, "_fields"):
            return type(part)(*map(walk, part))
        if isinstance(part, (list, tuple)):
            return type(part)(map(walk, part))
        if isinstance(part, Mapping):
            return {name: walk(value) for name, value in part.items()}
        return part

    return walk(batch)


def tensors(batch: Any) -> list[Tensor]:
    """The tensors of a batch, in order."""
    found: list[Tensor] = []

    def note(_: int, tensor: Tensor) -> Tensor:
        found.append(tensor)
        return tensor

    mapped(batch, note)
    return found


@dataclass(frozen=True)
class Padding:
    """Where rows of a batch have ended.

    axis       of time: 0 or 1; the rows are the other one of the two
    beyond     for each padded tensor, by its number: a mask (T, B) of what lies beyond a row's end
    markers    those of them whose padding holds a value that stands nowhere else, by which a network may know it
    masks      tensors, by their number, that are true up to a row's end
    """

    axis: int
    beyond: Mapping[int, Tensor]
    markers: frozenset[int]
    masks: frozenset[int]

    @property
    def amount(self) -> int:
        """How many steps are padding."""
        return max(int(mask_TB.sum()) for mask_TB in self.beyond.values())

    def disturbed(self, batch: Any) -> Any:
        """The batch with other values as padding, drawn from those that are none; markers stay."""

        def change(number: int, tensor: Tensor) -> Tensor:
            if number not in self.beyond or number in self.markers:
                return tensor
            x_TB = _time_first(tensor, self.axis).clone()
            beyond_TB = self.beyond[number]
            valid = x_TB[~beyond_TB]
            drawn = torch.randint(len(valid), (int(beyond_TB.sum()),), generator=torch.Generator().manual_seed(0))
            x_TB[beyond_TB] = valid[drawn.to(valid.device)]
            return _time_first(x_TB, self.axis)

        return mapped(batch, change)

    def doubled(self, batch: Any) -> Any:
        """The batch with twice as many steps, of which all that are new are padding."""

        def change(number: int, tensor: Tensor) -> Tensor:
            if number in self.masks:
                x_TB = _time_first(tensor, self.axis)
                return _time_first(torch.cat([x_TB, torch.zeros_like(x_TB)]), self.axis)
            if number not in self.beyond:
                return tensor
            x_TB = _time_first(tensor, self.axis)
            fill = x_TB[self.beyond[number]][0]
            return _time_first(torch.cat([x_TB, fill.expand_as(x_TB)]), self.axis)

        return mapped(batch, change)


def find_padding(batch: Any) -> Padding | None:
    """The padding of a batch whose lengths, or mask, are among its tensors; None if there is none, or none can be told.

    Lengths are whole numbers, one a row, beyond which a tensor holds one and the same value. What has a step for so many
    steps of another (labels of joined frames) is padded with it. Where several things in a batch have lengths of their own, it
    is the padding of the first.
    """
    parts = tensors(batch)
    for axis in (0, 1):
        for number, part in enumerate(parts):
            found = _padding(parts, number, part, axis)
            if found is not None:
                return found
    return None


def _padding(parts: list[Tensor], number: int, ends: Tensor, axis: int) -> Padding | None:
    """The padding that a tensor tells of, if it is one of lengths or a mask."""
    masks = frozenset[int]()
    if ends.dtype == torch.bool and ends.dim() == 2:
        mask_TB = _time_first(ends, axis)
        if not (mask_TB[0].all() and (mask_TB[1:] <= mask_TB[:-1]).all()):
            return None
        lengths_B, masks = mask_TB.sum(0), frozenset({number})
    elif ends.dim() == 1 and not ends.is_floating_point() and ends.dtype != torch.bool and (ends >= 0).all():
        lengths_B = ends
    else:
        return None
    others = {
        other: _time_first(part, axis)
        for other, part in enumerate(parts)
        if other != number and part.dim() >= 2 and part.numel() and part.dtype != torch.bool
        if part.shape[0] != part.shape[1] and _time_first(part, axis).shape[1] == len(lengths_B)
    }
    beyond = {
        other: beyond_TB
        for other, x_TB in others.items()
        if not masks or len(x_TB) == ends.shape[axis]
        if (beyond_TB := _tail(x_TB, lengths_B)) is not None
    }
    if not beyond:
        return None
    steps = max(map(len, beyond.values()))
    for other, x_TB in others.items():
        joined, rest = divmod(steps, len(x_TB))
        if other not in beyond and joined > 1 and not rest:
            beyond_TB = _tail(x_TB, -(-lengths_B // joined))
            if beyond_TB is not None:
                beyond[other] = beyond_TB
    markers = frozenset(other for other, beyond_TB in beyond.items() if _marks(others[other], beyond_TB))
    return Padding(axis, beyond, markers, masks)


def _tail(x_TB: Tensor, lengths_B: Tensor) -> Tensor | None:
    """What lies beyond these lengths, as a mask, if it is one and the same value everywhere."""
    if len(x_TB) < int(lengths_B.max()):
        return None
    beyond_TB = torch.arange(len(x_TB), device=x_TB.device).unsqueeze(1) >= lengths_B.to(x_TB.device)
    tail = x_TB[beyond_TB]
    return beyond_TB if 0 < len(tail) < beyond_TB.numel() and _alike(tail, tail[0]) else None


def _marks(x_TB: Tensor, beyond_TB: Tensor) -> bool:
    """Whether what is written in the padding stands nowhere else."""
    valid, fill = x_TB[~beyond_TB], x_TB[beyond_TB][0]
    return not x_TB.is_floating_point() and not (valid == fill).reshape(len(valid), -1).all(1).any()


def _alike(values: Tensor, one: Tensor) -> bool:
    return bool(((values == one) | (values.isnan() & one.isnan())).all())


def _time_first(tensor: Tensor, axis: int) -> Tensor:
    return tensor if axis == 0 else tensor.transpose(0, 1)


def follows(batch: Any, former: Any) -> bool | None:
    """Whether a window goes on where the former one ended, row by row; None if that can't be told.

    It can where targets are the inputs one step later: then the last target is the first input of what follows.
    """
    now, before = shifted(batch), shifted(former)
    if now is None or before is None:
        return None
    inputs, targets = tensors(batch)[now[0]], tensors(former)[before[1]]
    return inputs.shape[1:] == targets.shape[1:] and bool(torch.equal(inputs[0], targets[-1]))


def shifted(batch: Any) -> tuple[int, int] | None:
    """The numbers of two tensors of which the second is the first one step later, time first; None if there are none."""
    parts = tensors(batch)
    for first, inputs in enumerate(parts):
        for second, targets in enumerate(parts):
            if first == second or inputs.dim() < 2 or inputs.shape != targets.shape or len(inputs) < 2:
                continue
            # A constant would be its own successor.
            if torch.equal(inputs[1:], targets[:-1]) and not _alike(inputs, inputs[:1, :1]):
                return first, second
    return None
