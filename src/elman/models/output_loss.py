"""The loss of an output layer over many classes, without ever holding all of its logits.

    loss = mean over n of -ln softmax(V h_n + c)[target_n]

The logits of T·B steps over a vocabulary are by far the largest tensor of a language model, and softmax, loss and their
gradients go through it some ten times. Here a block of steps that fits a cache goes all the way at once: logits, loss, and the
gradients to h, V and c, which are known up to the gradient of the loss itself as soon as the softmax is. So memory doesn't
grow with the steps, and no product is done twice. (The forward pass that makes the gradients too is as in Hsu et al., Liger
Kernel, arXiv 2410.10989.)
"""

from typing import Any

import torch
from torch import nn
from torch.autograd.function import once_differentiable

from elman.axes import Float, Int, Tensor

# Numbers of a block of logits: 10 MB in float32.
_BLOCK = 2_500_000


def output_loss(
    h_NH: Float[Tensor, "N H"], output: nn.Linear, targets_N: Int[Tensor, "N"], smoothing: float = 0.0
) -> Float[Tensor, ""]:
    """Mean of -ln P(target) in nats: `cross_entropy(output(h_NH), targets_N, label_smoothing=smoothing)`, faster.

    Of no steps at all it is 0.

    Float32 for half precision and under autocast, else of the dtype of `h_NH`; products are in what autocast asks for. The
    gradient can't be differentiated again.
    """
    kind = h_NH.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else h_NH.dtype
    with torch.autocast(kind, enabled=False):
        # Inside of a function of its own torch doesn't say whether gradients are on.
        loss: Tensor = _OutputLoss.apply(
            h_NH, output.weight, output.bias, targets_N, smoothing, dtype, torch.is_grad_enabled()
        )
    return loss


class _OutputLoss(torch.autograd.Function):
    """See `output_loss`. Gradients are made in `forward`, if any are asked for, and scaled in `backward`."""

    @staticmethod
    def forward(
        ctx: Any,
        h_NH: Tensor,
        weight_VH: Tensor,
        bias_V: Tensor,
        targets_N: Tensor,
        smoothing: float,
        dtype: torch.dtype,
        differentiable: bool,
    ) -> Tensor:
        steps, classes = len(h_NH), len(weight_VH)
        exact = torch.promote_types(dtype, torch.float32)
        sums = torch.float32 if h_NH.device.type == "mps" else torch.float64
        weight, bias = weight_VH.to(dtype), bias_V.to(dtype)
        # Of h, V and c, None for what needs no gradient.
        dh_NH, dweight_VH, dbias_V = (
            torch.zeros_like(given, dtype=exact) if differentiable and needed else None
            for given, needed in zip((h_NH, weight_VH, bias_V), ctx.needs_input_grad, strict=False)
        )
        rows = max(1, _BLOCK // classes)
        room = h_NH.new_empty(min(rows, steps), classes, dtype=dtype)
        total, count = h_NH.new_zeros((), dtype=sums), max(steps, 1)
        for first in range(0, steps, rows):
            block = slice(first, first + rows)
            h, at = h_NH[block].to(dtype), targets_N[block, None]
            logits = torch.addmm(bias, h, weight.T, out=room[: len(h)]).to(exact)
            # Of the smoothed target: 1 - s for the class itself, and s / V for every class.
            of_target = (1 - smoothing) * logits.gather(1, at)
            if smoothing:
                of_target += smoothing * logits.mean(1, keepdim=True)
            largest = logits.amax(1, keepdim=True)
            sum_of_exponentials = logits.sub_(largest).exp_().sum(1, keepdim=True)
            total += (sum_of_exponentials.log() + largest - of_target).sum(dtype=sums)
            if dh_NH is None and dweight_VH is None and dbias_V is None:
                continue
            gradient = logits.mul_(1 / (count * sum_of_exponentials))
            gradient.scatter_add_(1, at, torch.full_like(largest, (smoothing - 1) / count))
            if smoothing:
                gradient -= smoothing / (count * classes)
            gradient = gradient.to(dtype)
            if dh_NH is not None:
                dh_NH[block] = gradient @ weight
            if dweight_VH is not None and dtype == exact:
                dweight_VH.addmm_(gradient.T, h)
            elif dweight_VH is not None:
                dweight_VH += gradient.T @ h
            if dbias_V is not None:
                dbias_V += gradient.sum(0, dtype=exact)
        made = ((dh_NH, h_NH), (dweight_VH, weight_VH), (dbias_V, bias_V))
        ctx.save_for_backward(*(None if gradient is None else gradient.to(given.dtype) for gradient, given in made))
        return (total / count).to(exact)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dloss: Tensor) -> tuple[Tensor | None, ...]:
        gradients = (None if made is None else dloss.to(made.dtype) * made for made in ctx.saved_tensors)
        return *gradients, None, None, None, None
