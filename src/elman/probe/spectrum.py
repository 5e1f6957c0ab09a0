r"""The spectrum of a layer's dynamics, driven by data: Lyapunov exponents, and singular values of single steps.

The states of a layer after a step, all of them side by side, s_t of n numbers, depend on those before it by the Jacobian
J_t = ∂s_t/∂s_{t-1}. Two states that lie a little apart are, after T steps on the same inputs, apart by J_T … J_1. The Lyapunov
exponents

    λ_i = lim_{T→∞} (1/T) ln σ_i(J_T … J_1)       nats a step, the largest first

say how: λ_1 > 0, they part, and gradients explode; λ_1 < 0, they meet, what was read is forgotten, and gradients vanish,
e-fold in -1/λ_1 steps. They are found by the QR method (G. Benettin et al., Meccanica 15 (1980)): m orthonormal directions are
carried along, Q_t R_t = J_t Q_{t-1}, and λ_i is the mean of ln |R_t|_ii. For recurrent networks: R. Engelken, F. Wolf and
L. Abbott, Physical Review Research 5 (2023), arXiv 2006.02427; R. Vogt et al., Frontiers in Applied Mathematics and
Statistics 8 (2022), arXiv 2006.14123.

Here the directions are carried backwards, as gradients are: Q_{t-1} R_t = J_tᵀ Q_t. The product transposed has the same
singular values, so the same exponents. Jacobians are never made for it: a step's vector-Jacobian product takes the m directions
as rows of a batch. A layer reads those below it and is not read by them, so the exponents of a stack are those of its layers
together.

A layer explodes, or forgets, if e^{λ_1 T} is above e, or below 1/e, over the T steps that were measured; in between it is at
the edge, as far as T steps can tell. Gradients that are held back (`clip_gradient`) are no derivatives, so without it.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from elman.axes import Float, Tensor
from elman.cells import Cell, State, map_state
from elman.probe.tap import Step

# States of at most so many numbers have their whole Jacobian made.
_WHOLE = 512
# Below this a direction is gone: ln 0 is no number.
_GONE = 1e-300


@dataclass(frozen=True)
class Spectrum:
    """exponents        the leading ones, nats a step, the largest first
    singular_values     of single steps, each the mean over a few of them, the largest first; empty for very large states
    steps               how many steps the exponents are means over
    verdict             "explodes", "forgets" or "edge"
    """

    exponents: list[float]
    singular_values: list[float]
    steps: int
    verdict: str

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def spectrum(
    cell: Cell,
    steps: Sequence[Step],
    *,
    rows: int = 4,
    exponents: int = 16,
    warm_up: float = 0.25,
    jacobians: int = 4,
    seed: int = 0,
) -> Spectrum:
    """Of a layer's consecutive steps, as a tap keeps them, over the first `rows` of the batch at most.

    exponents   how many, at most the size of all states
    warm_up     the part of the steps in which the directions turn to where they grow most, and which isn't counted
    jacobians   of how many steps, evenly spread, singular values are computed
    """  # fmt: skip
    cell = replace(cell, clip_gradient=None)
    size = sum(cell.state_sizes)
    count = min(exponents, size)
    rows = min(rows, len(steps[0].u_BG))
    generator = torch.Generator().manual_seed(seed)
    like = steps[0].before[0]
    directions = torch.randn(rows, size, count, generator=generator, dtype=torch.float64).to(like)
    q_BNM = torch.linalg.qr(directions)[0]
    skipped = int(len(steps) * warm_up)
    total_M = torch.zeros(count, dtype=torch.float64, device=like.device)
    for number, step in enumerate(reversed(steps)):
        q_BNM, r_BMM = torch.linalg.qr(pull(cell, step, q_BNM))
        if number >= skipped:
            growth_BM = r_BMM.diagonal(dim1=-2, dim2=-1).abs().double().clamp(min=_GONE).log()
            total_M += growth_BM.mean(0)
    counted = len(steps) - skipped
    found = sorted((total_M / counted).tolist(), reverse=True)
    return Spectrum(found, _singular_values(cell, steps, jacobians), counted, _verdict(found[0], counted))


def pull(cell: Cell, step: Step, directions_BNM: Float[Tensor, "B N M"]) -> Float[Tensor, "B N M"]:
    """J_tᵀ times each of M directions (N numbers, all states side by side) of the first B rows."""
    rows, _, count = directions_BNM.shape

    def spread(x: Tensor) -> Tensor:
        return x[:rows].detach().repeat_interleave(count, 0)

    weights = {n: spread(w) if n.startswith("mask_") else w.detach() for n, w in step.weights.items()}
    before = map_state(lambda s: spread(s).requires_grad_(), step.before)
    each = directions_BNM.transpose(1, 2).reshape(rows * count, -1).split(list(cell.state_sizes), dim=-1)
    with torch.enable_grad():
        _, after = cell.advance(weights, spread(step.u_BG), before)
        # A state that no state before enters has no graph.
        reached = [(new, direction) for new, direction in zip(after, each, strict=True) if new.requires_grad]
        found = torch.autograd.grad(
            [new for new, _ in reached], list(before), [direction for _, direction in reached], allow_unused=True
        )
    parts = [torch.zeros_like(old) if new is None else new for new, old in zip(found, before, strict=True)]
    return torch.cat(parts, dim=-1).reshape(rows, count, -1).transpose(1, 2)


def jacobian(cell: Cell, step: Step, row: int = 0) -> Float[Tensor, "N N"]:
    """The whole Jacobian of one row's step, J[i, j] = ∂s_t,i / ∂s_{t-1},j."""
    size = sum(cell.state_sizes)
    pick: State = cell.state_type(*(s[row : row + 1] for s in step.before))
    masks = {n: w[row : row + 1] if n.startswith("mask_") else w for n, w in step.weights.items()}
    one = Step(masks, step.u_BG[row : row + 1], pick, step.after)
    return pull(replace(cell, clip_gradient=None), one, torch.eye(size).to(step.before[0]).unsqueeze(0))[0].T


def _singular_values(cell: Cell, steps: Sequence[Step], count: int) -> list[float]:
    if sum(cell.state_sizes) > _WHOLE:
        return []
    places = sorted({int(place) for place in torch.linspace(0, len(steps) - 1, min(count, len(steps))).tolist()})
    each = [torch.linalg.svdvals(jacobian(cell, steps[place]).double()) for place in places]
    values: list[float] = torch.stack(each).mean(0).tolist()
    return values


def _verdict(leading: float, steps: int) -> str:
    if not math.isfinite(leading) or leading * steps > 1:
        return "explodes"
    return "forgets" if leading * steps < -1 else "edge"
