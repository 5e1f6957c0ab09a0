r"""Beam search: the likeliest sequence that a model of the next token can be brought to say, or nearly.

At every step each sentence keeps the `beam` likeliest beginnings, all of one length; of all ways to go on by one token the
`beam` likeliest come next. Those that go on with END are finished, and never extended. Of the finished ones that with the best
score wins:

    score = Σ_t log P(y_t | y_<t) / penalty(|y|),   penalty(n) = ((5 + n) / 6)^α,   |y| counts END

(Wu et al., arXiv 1609.08144, equation 14, without coverage.) α = 0 takes the likeliest sequence, which favours short ones.
A sentence is done as soon as no beginning can become better than its best finished one: log P only falls and the penalty only
grows, so log P / penalty(limit) bounds from above what can come of it. Nothing is lost by stopping then.

`beam=1` is greedy search. A beam as wide as there are sequences tries them all.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from elman.axes import Float, Int, Tensor
from elman.errors import OptionError

# The tokens read (N) and the state before them -> log P of the next token (N, V), and the state after them.
Step = Callable[[Tensor, Any], tuple[Tensor, Any]]
# A state and numbers of rows (M) -> the state of these rows; a row may come several times, or not at all.
Select = Callable[[Any, Tensor], Any]


@dataclass(frozen=True)
class Beam:
    """How wide to search, and the α of the length's penalty. Raises `OptionError` for values that make no sense."""

    width: int = 5
    alpha: float = 1.0

    def __post_init__(self) -> None:
        if self.width < 1:
            raise OptionError(f"beam={self.width} is the number of beginnings kept: give 1 (greedy) or more.")
        if not 0 <= self.alpha < float("inf"):
            raise OptionError(f"alpha={self.alpha} is the exponent of the length's penalty: give 0 (none) or more.")

    def penalty(self, length: Any) -> Any:
        """((5 + n) / 6)^α, of a number or of an array of them."""
        return ((5.0 + length) / 6.0) ** self.alpha


class Hypothesis(NamedTuple):
    """What a search found: the tokens without END, log P of them and of END, and that divided by the length's penalty."""

    tokens: list[int]
    log_probability: float
    score: float


@torch.no_grad()
def beam_search(
    step: Step, select: Select, state: Any, *, start: int, end: int, limits_B: Int[Tensor, "B"], beam: Beam
) -> list[Hypothesis]:
    """The best sequence found for each of B sentences, from a state with a row for each.

    A sentence has at most `limits_B` tokens before END: there, END alone may follow. Sentences that are done leave the batch.
    The results don't depend on which sentences are searched together.
    """
    width, device = beam.width, limits_B.device
    sentences_N = torch.arange(len(limits_B), device=device)
    found: list[Hypothesis | None] = [None] * len(limits_B)
    state = select(state, sentences_N.repeat_interleave(width))
    history_NKT = torch.full((len(limits_B), width, 1), start, device=device)
    # All beginnings are the same at first: one of them goes on.
    alive_NK = torch.full((len(limits_B), width), -torch.inf, dtype=torch.float64, device=device)
    alive_NK[:, 0] = 0.0
    length = 0
    while len(sentences_N):
        length += 1
        log_probs, state = step(history_NKT[:, :, -1].flatten(), state)
        total_NKV = alive_NK.unsqueeze(-1) + log_probs.to(alive_NK.dtype).unflatten(0, alive_NK.shape)
        full_N = limits_B[sentences_N] < length
        total_NKV[full_N] = _only(total_NKV[full_N], end)
        total_NK, choice_NK = _best(total_NKV.flatten(1), width)
        origin_NK, token_NK = choice_NK // log_probs.shape[-1], choice_NK % log_probs.shape[-1]
        history_NKT = torch.cat([_of(history_NKT, origin_NK), token_NK.unsqueeze(-1)], dim=-1)

        ended_NK = token_NK == end
        _keep_finished(found, sentences_N, ended_NK, total_NK, history_NKT, beam.penalty(length))
        alive_NK = total_NK.masked_fill(ended_NK, -torch.inf)
        reachable_N = alive_NK.amax(1) / beam.penalty(limits_B[sentences_N] + 1)
        best_N = torch.tensor([_score(found[n]) for n in sentences_N.tolist()], dtype=alive_NK.dtype, device=device)
        going_on = (reachable_N > best_N).nonzero().squeeze(1)

        rows_NK = origin_NK + torch.arange(len(sentences_N), device=device).unsqueeze(1) * width
        state = select(state, rows_NK[going_on].flatten())
        sentences_N, history_NKT, alive_NK = sentences_N[going_on], history_NKT[going_on], alive_NK[going_on]
    return [hypothesis or Hypothesis([], -torch.inf, -torch.inf) for hypothesis in found]


def _score(hypothesis: Hypothesis | None) -> float:
    return -torch.inf if hypothesis is None else hypothesis.score


def _only(total_NKV: Tensor, token: int) -> Tensor:
    """Minus infinity for all tokens but one."""
    alone = torch.full_like(total_NKV, -torch.inf)
    alone[..., token] = total_NKV[..., token]
    return alone


def _best(total_NC: Float[Tensor, "N C"], width: int) -> tuple[Float[Tensor, "N K"], Int[Tensor, "N K"]]:
    """The `width` largest of each row, largest first; where a row has fewer, the rest is minus infinity."""
    total_NK, choice_NK = total_NC.topk(min(width, total_NC.shape[1]), dim=1)
    missing = width - total_NK.shape[1]
    pad = torch.nn.functional.pad
    return pad(total_NK, (0, missing), value=-torch.inf), pad(choice_NK, (0, missing))


def _of(history_NKT: Tensor, origin_NK: Tensor) -> Tensor:
    """What was said before, by the beginnings that those now come from."""
    return history_NKT.gather(1, origin_NK.unsqueeze(-1).expand(-1, -1, history_NKT.shape[-1]))


def _keep_finished(
    found: list[Hypothesis | None],
    sentences_N: Tensor,
    ended_NK: Tensor,
    total_NK: Tensor,
    history_NKT: Tensor,
    penalty: float,
) -> None:
    """Put each sentence's likeliest beginning that has just ended into its place, if it is better than what is there."""
    best_N, which_N = total_NK.masked_fill(~ended_NK, -torch.inf).max(dim=1)
    for row in (best_N > -torch.inf).nonzero().squeeze(1).tolist():
        total, sentence = float(best_N[row]), int(sentences_N[row])
        if total / penalty > _score(found[sentence]):
            # Without what it began with, and without END.
            tokens = history_NKT[row, int(which_N[row]), 1:-1].tolist()
            found[sentence] = Hypothesis(tokens, total, total / penalty)
