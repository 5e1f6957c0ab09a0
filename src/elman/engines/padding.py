"""What lies beyond a row's length: found, and cleared."""

import torch

from elman.axes import Bool, Int, Tensor


def valid_steps(steps: int, lengths_B: Int[Tensor, "B"]) -> Bool[Tensor, "T B"]:
    """Which steps are within their row's length."""
    return torch.arange(steps, device=lengths_B.device)[:, None] < lengths_B


def without_padding(x_TBD: Tensor, lengths_B: Int[Tensor, "B"] | None) -> Tensor:
    """Zeros beyond each row's length: what reads x, and its gradient, must see no NaN there."""
    if lengths_B is None:
        return x_TBD
    return torch.where(valid_steps(x_TBD.shape[0], lengths_B.to(x_TBD.device)).unsqueeze(-1), x_TBD, 0)
