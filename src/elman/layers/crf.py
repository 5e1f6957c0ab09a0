"""A linear-chain conditional random field: the distribution of a sequence of tags, given a score for each tag of each step.

    score(y | x)  = start[y_1] + Σ_t x_t[y_t] + Σ_{t>1} transitions[y_{t-1}, y_t] + end[y_n]
    log P(y | x)  = score(y | x) - log Z(x),      Z(x) = Σ over all sequences y of exp score(y | x)

x are the *emissions*, what a network says of each step by itself. (Lafferty et al. 2001; over a recurrent network: Lample et
al., arXiv 1603.01360.) Everything is exact and worked out on logarithms.

The gradient of log Z is what the field expects: of x_t[v] the probability that step t has the tag v, of transitions[u, v] how
often v is expected to follow u. So the forward and the backward recursion give value and gradient alike, without autograd
over steps; they don't depend on each other and run as one.
"""

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.autograd.function import once_differentiable

from elman.axes import Float, Int, Tensor
from elman.cells import check_size
from elman.engines.padding import valid_steps
from elman.errors import OptionError, ShapeError

Mask = Tensor | np.ndarray | None


class ConditionalRandomField(nn.Module):
    """The field over `tags` tags. Parameters: `transitions` (V, V), from the first axis to the second, `start` (V), `end` (V).

    forbidden_transitions (V, V), forbidden_starts (V), forbidden_ends (V): what no sequence may do, booleans; its score is -∞
    whatever the parameters are. They are no part of what is saved.

    Methods take emissions (T, B, V) and lengths (B), in any order, zero included; what lies beyond a row's length changes
    nothing, be it NaN. Emissions of another dtype than the parameters', as under autocast, are worked on in theirs.

    Initialiser: zero, so that the field is at first a softmax at each step. Raises `OptionError` for masks of another shape,
    or under which there is a length without any sequence.
    """

    def __init__(
        self,
        tags: int,
        *,
        forbidden_transitions: Mask = None,
        forbidden_starts: Mask = None,
        forbidden_ends: Mask = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        check_size("tags", tags)
        self.transitions = nn.Parameter(torch.zeros(tags, tags, device=device, dtype=dtype))
        self.start = nn.Parameter(torch.zeros(tags, device=device, dtype=dtype))
        self.end = nn.Parameter(torch.zeros(tags, device=device, dtype=dtype))
        masks = {
            "forbidden_transitions": _mask("forbidden_transitions", forbidden_transitions, (tags, tags)),
            "forbidden_starts": _mask("forbidden_starts", forbidden_starts, (tags,)),
            "forbidden_ends": _mask("forbidden_ends", forbidden_ends, (tags,)),
        }
        _check_every_length(*masks.values())
        self.forbidden_transitions: Tensor
        self.forbidden_starts: Tensor
        self.forbidden_ends: Tensor
        for name, mask in masks.items():
            self.register_buffer(name, mask.to(device), persistent=False)

    def log_likelihood(
        self, emissions_TBV: Float[Tensor, "T B V"], tags_TB: Int[Tensor, "T B"], lengths_B: Int[Tensor, "B"]
    ) -> Float[Tensor, "B"]:
        """log P(tags | emissions) of each row; 0 for a row of length 0, -∞ for tags that are forbidden.

        Differentiable once, by the emissions and the parameters.
        """
        emissions_TBV, lengths_B = self._read(emissions_TBV, lengths_B)
        if tags_TB.shape != emissions_TBV.shape[:2]:
            raise ShapeError(
                f"tags {tuple(tags_TB.shape)} must be (T, B), as of emissions {tuple(emissions_TBV.shape)}."
            )
        if not len(emissions_TBV):
            return emissions_TBV.sum((0, 2))
        transitions_VV, start_V, end_V = self._scores()
        log_z_B, _ = _LogZ.apply(emissions_TBV, transitions_VV, start_V, end_V, lengths_B)
        valid_TB = valid_steps(emissions_TBV.shape[0], lengths_B)
        # Beyond a row's length any number may stand.
        tags_TB = torch.where(valid_TB, tags_TB, 0).long()
        steps_TB = emissions_TBV.gather(2, tags_TB.unsqueeze(-1)).squeeze(-1)
        links_TB = torch.cat([start_V[tags_TB[:1]], transitions_VV[tags_TB[:-1], tags_TB[1:]]])
        last_B = _last(tags_TB.unsqueeze(-1), lengths_B).squeeze(-1)
        score_B = torch.where(valid_TB, steps_TB + links_TB, 0).sum(0) + torch.where(lengths_B > 0, end_V[last_B], 0)
        return score_B - log_z_B

    @torch.no_grad()
    def marginals(self, emissions_TBV: Float[Tensor, "T B V"], lengths_B: Int[Tensor, "B"]) -> Float[Tensor, "T B V"]:
        """P(the tag of step t is v | emissions), over all sequences; zero beyond a row's length."""
        emissions_TBV, lengths_B = self._read(emissions_TBV, lengths_B)
        if not len(emissions_TBV):
            return emissions_TBV
        _, marginals_TBV = _LogZ.apply(emissions_TBV, *self._scores(), lengths_B)
        return marginals_TBV

    @torch.no_grad()
    def viterbi(
        self, emissions_TBV: Float[Tensor, "T B V"], lengths_B: Int[Tensor, "B"]
    ) -> tuple[Int[Tensor, "T B"], Float[Tensor, "B"]]:
        """The sequence of the highest score of each row, and that score; tags are 0 beyond a row's length, and so is the score
        of a row of length 0. Of sequences equally good the lowest numbers win, from the last step on."""
        emissions_TBV, lengths_B = self._read(emissions_TBV, lengths_B)
        steps, batch, tags = emissions_TBV.shape
        if not steps:
            return lengths_B.new_zeros(0, batch), emissions_TBV.new_zeros(batch)
        transitions_VV, start_V, end_V = self._scores()
        valid_TB = valid_steps(steps, lengths_B)
        # A row that has ended keeps its scores, and each tag points to itself.
        stay_V = torch.arange(tags, device=emissions_TBV.device)
        best_BV = start_V + emissions_TBV[0]
        before_TBV: list[Tensor] = []
        for x_BV, valid_B1 in zip(emissions_TBV[1:], valid_TB[1:].unsqueeze(-1), strict=True):
            # (B, to, from): the maximum is over neighbours in memory.
            link_BV, from_BV = (best_BV.unsqueeze(1) + transitions_VV.T).max(dim=2)
            best_BV = torch.where(valid_B1, link_BV + x_BV, best_BV)
            before_TBV.append(torch.where(valid_B1, from_BV, stay_V))
        score_B, tag_B = (best_BV + end_V).max(dim=1)
        chosen_TB = [tag_B]
        for from_BV in reversed(before_TBV):
            tag_B = from_BV.gather(1, tag_B.unsqueeze(1)).squeeze(1)
            chosen_TB.append(tag_B)
        tags_TB = torch.stack(chosen_TB[::-1])
        return torch.where(valid_TB, tags_TB, 0), torch.where(lengths_B > 0, score_B, 0)

    def extra_repr(self) -> str:
        return str(len(self.start))

    def _scores(self) -> tuple[Tensor, Tensor, Tensor]:
        """Transitions, start and end, with -∞ for what is forbidden."""
        inf = float("-inf")
        return (
            torch.where(self.forbidden_transitions, inf, self.transitions),
            torch.where(self.forbidden_starts, inf, self.start),
            torch.where(self.forbidden_ends, inf, self.end),
        )

    def _read(self, emissions_TBV: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor]:
        """Emissions in the parameters' dtype with zeros beyond each row's length; lengths on their device."""
        if emissions_TBV.dim() != 3 or emissions_TBV.shape[2] != len(self.start):
            raise ShapeError(
                f"emissions {tuple(emissions_TBV.shape)} must be (T, B, V) with V = {len(self.start)} tags."
            )
        steps, batch, _ = emissions_TBV.shape
        lengths_B = lengths_B.to(emissions_TBV.device).long()
        if lengths_B.shape != (batch,) or (lengths_B < 0).any() or (lengths_B > steps).any():
            raise ShapeError(f"lengths must be {batch} numbers from 0 to {steps}, one for each row of the emissions.")
        valid_TB1 = valid_steps(steps, lengths_B).unsqueeze(-1)
        return torch.where(valid_TB1, emissions_TBV.to(self.start.dtype), 0), lengths_B


class _LogZ(torch.autograd.Function):
    """log Z (B), and P(tag of step t is v), both by one run of the two recursions side by side.

    forwards    a_1 = start + x_1,   a_t[v] = x_t[v] + log Σ_u exp(a_{t-1}[u] + transitions[u, v])
    backwards   b_n = end + x_n,     b_t[u] = x_t[u] + log Σ_v exp(b_{t+1}[v] + transitions[u, v])

    log Z = log Σ_v exp(a_n[v] + end[v])
    P(y_t = v) = exp(a_t[v] + b_t[v] - x_t[v] - log Z)
    P(y_{t-1} = u, y_t = v) = exp(a_{t-1}[u] + transitions[u, v] + b_t[v] - log Z)
    """

    @staticmethod
    def forward(
        ctx: Any, x_TBV: Tensor, transitions_VV: Tensor, start_V: Tensor, end_V: Tensor, lengths_B: Tensor
    ) -> tuple[Tensor, Tensor]:
        steps = len(x_TBV)
        step_T1 = torch.arange(steps, device=x_TBV.device).unsqueeze(1)
        # The first `length` steps turned round, the others left in place: a permutation that is its own inverse.
        turned_TBV = torch.where(step_T1 < lengths_B, lengths_B - 1 - step_T1, step_T1).unsqueeze(-1).expand_as(x_TBV)
        x_T2BV = torch.stack([x_TBV, x_TBV.gather(0, turned_TBV)], dim=1)
        # (direction, 1, to, from): the sum is over neighbours in memory.
        links_21VV = torch.stack([transitions_VV.T, transitions_VV]).unsqueeze(1)
        each_T2BV = x_T2BV.clone()
        each_T2BV[0] += torch.stack([start_V, end_V]).unsqueeze(1)
        for t in range(1, steps):
            each_T2BV[t] += torch.logsumexp(each_T2BV[t - 1].unsqueeze(2) + links_21VV, dim=3)
        a_TBV = each_T2BV[:, 0]
        # Nothing goes through a step that a row doesn't have.
        beyond_TB1 = (step_T1 >= lengths_B).unsqueeze(-1)
        b_TBV = each_T2BV[:, 1].gather(0, turned_TBV).masked_fill(beyond_TB1, float("-inf"))
        log_z_B = torch.where(lengths_B > 0, (_last(a_TBV, lengths_B) + end_V).logsumexp(dim=1), 0)
        marginals_TBV = (a_TBV + b_TBV - x_TBV - log_z_B.unsqueeze(1)).exp()
        ctx.save_for_backward(a_TBV, b_TBV, transitions_VV, marginals_TBV, log_z_B, lengths_B)
        ctx.mark_non_differentiable(marginals_TBV)
        return log_z_B, marginals_TBV

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g_B: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        a_TBV, b_TBV, transitions_VV, marginals_TBV, log_z_B, lengths_B = ctx.saved_tensors
        x_grad_TBV = marginals_TBV * g_B.unsqueeze(1)
        links_grad_VV = torch.zeros_like(transitions_VV)
        for a_BV, b_BV in zip(a_TBV[:-1], b_TBV[1:] - log_z_B.unsqueeze(1), strict=True):
            pairs_BVV = (a_BV.unsqueeze(2) + transitions_VV + b_BV.unsqueeze(1)).exp_()
            links_grad_VV.view(-1).addmv_(pairs_BVV.flatten(1).T, g_B)
        return x_grad_TBV, links_grad_VV, x_grad_TBV[0].sum(0), _last(x_grad_TBV, lengths_B).sum(0), None


def _last(x_TBV: Tensor, lengths_B: Tensor) -> Tensor:
    """What x is at each row's last step; the first if there is none."""
    index_1B1 = (lengths_B - 1).clamp_min(0)[None, :, None]
    return x_TBV.gather(0, index_1B1.expand(1, -1, x_TBV.shape[2])).squeeze(0)


def _mask(name: str, given: Mask, shape: tuple[int, ...]) -> Tensor:
    if given is None:
        return torch.zeros(shape, dtype=torch.bool)
    mask = torch.as_tensor(given)
    if mask.dtype != torch.bool or tuple(mask.shape) != shape:
        raise OptionError(f"{name} must be booleans {shape}: {mask.dtype} {tuple(mask.shape)} were given.")
    return mask


def _check_every_length(transitions_VV: Tensor, start_V: Tensor, end_V: Tensor) -> None:
    """Raise `OptionError` if there is a length that no allowed sequence has."""
    reached_V, seen = ~start_V, set()
    # What can be reached depends on what was reached before alone: once a set comes again, all lengths are known.
    while (key := tuple(reached_V.tolist())) not in seen:
        seen.add(key)
        if not (reached_V & ~end_V).any():
            raise OptionError(f"what is forbidden leaves no sequence of {len(seen)} tags: forbid less.")
        reached_V = (reached_V.unsqueeze(1) & ~transitions_VV).any(dim=0)
