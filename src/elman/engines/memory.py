"""Memory for long sequences, and rows put in another order: by the core, as fresh memory costs as much as some of the work."""

import torch
from torch import Tensor

from elman import _native

# Below this many bytes PyTorch's own memory is as good.
_LARGE = 1 << 20


def empty(like: Tensor, rows: int, columns: int) -> Tensor:
    """An empty (rows, columns): if it is large, in memory that the core uses again and again."""
    size = rows * columns * like.element_size()
    if size < _LARGE:
        return like.new_empty(rows, columns)
    return _native.buffer(size).view(like.dtype).view(rows, columns)


def gather(rows_NH: Tensor, index_M: Tensor, others_KH: Tensor | None = None) -> Tensor:
    """(M, H): the rows that `index_M` names; -1, -2, … are the first, second, … of `others_KH`."""
    if rows_NH.stride(-1) != 1:
        rows_NH = rows_NH.contiguous()
    out_MH = empty(rows_NH, index_M.numel(), rows_NH.shape[1])
    size = rows_NH.element_size()
    _native.gather(
        out_MH.data_ptr(),
        rows_NH.data_ptr(),
        rows_NH.stride(0) * size,
        0 if others_KH is None else others_KH.data_ptr(),
        index_M.data_ptr(),
        index_M.numel(),
        rows_NH.shape[1] * size,
        torch.get_num_threads(),
    )
    return out_MH
