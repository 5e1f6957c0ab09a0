"""The conditional random field against every sequence of tags there is, one by one."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from elman.errors import OptionError, ShapeError
from elman.layers.crf import ConditionalRandomField

TAGS, STEPS, LENGTHS = 3, 5, (4, 0, 5, 1, 2)

# 0 may not begin, 2 may not end, 1 may not follow 0, nor 2 itself.
FORBIDDEN: dict[str, Any] = {
    "forbidden_transitions": np.array([[0, 1, 0], [0, 0, 0], [0, 0, 1]], bool),
    "forbidden_starts": np.array([1, 0, 0], bool),
    "forbidden_ends": torch.tensor([False, False, True]),
}
every_mask = pytest.mark.parametrize("masks", [{}, FORBIDDEN], ids=["free", "forbidden"])


def make_field(masks: dict[str, Any], dtype: torch.dtype = torch.float64) -> ConditionalRandomField:
    field = ConditionalRandomField(TAGS, **masks, dtype=dtype)
    with torch.no_grad():
        for parameter in field.parameters():
            parameter.normal_()
    return field


def emissions() -> Tensor:
    """Of rows of `LENGTHS`; what lies beyond them is NaN."""
    x_TBV = torch.randn(STEPS, len(LENGTHS), TAGS, dtype=torch.float64) * 2
    for row, length in enumerate(LENGTHS):
        x_TBV[length:, row] = torch.nan
    return x_TBV.requires_grad_()


def every_sequence(field: ConditionalRandomField, x_TV: Tensor) -> dict[tuple[int, ...], Tensor]:
    """The score of each allowed sequence, added up term by term."""
    scores = {}
    transitions, starts, ends = field.forbidden_transitions, field.forbidden_starts, field.forbidden_ends
    for tags in itertools.product(range(TAGS), repeat=len(x_TV)):
        links = list(itertools.pairwise(tags))
        if starts[tags[0]] or ends[tags[-1]] or any(transitions[link] for link in links):
            continue
        score = field.start[tags[0]] + field.end[tags[-1]] + sum(x_TV[t, tag] for t, tag in enumerate(tags))
        scores[tags] = score + sum(field.transitions[link] for link in links)
    return scores


def brute_force(field: ConditionalRandomField, x_TBV: Tensor) -> list[dict[tuple[int, ...], Tensor]]:
    rows = [x_TBV[:length, row] for row, length in enumerate(LENGTHS)]
    return [every_sequence(field, x_TV) if len(x_TV) else {(): x_TBV.new_zeros(())} for x_TV in rows]


def log_z(scores: dict[tuple[int, ...], Tensor]) -> Tensor:
    return torch.stack(list(scores.values())).logsumexp(0)


def some_tags(scores: list[dict[tuple[int, ...], Tensor]]) -> Tensor:
    """An allowed sequence of each row; numbers that are no tags beyond its length."""
    tags_TB = torch.full((STEPS, len(LENGTHS)), 77)
    for row, sequences in enumerate(scores):
        chosen = list(sequences)[len(sequences) // 2]
        tags_TB[: len(chosen), row] = torch.tensor(chosen, dtype=torch.int64)
    return tags_TB


@every_mask
def test_likelihoods_and_all_gradients_are_those_of_the_sum_over_every_sequence(masks: dict[str, Any]) -> None:
    field, x_TBV = make_field(masks), emissions()
    scores = brute_force(field, x_TBV)
    tags_TB = some_tags(scores)
    weights_B = torch.randn(len(LENGTHS), dtype=torch.float64)
    leaves = [x_TBV, *field.parameters()]

    expected_B = torch.stack(
        [s[tuple(tags_TB[:n, b].tolist())] - log_z(s) for b, (n, s) in enumerate(zip(LENGTHS, scores, strict=True))]
    )
    actual_B = field.log_likelihood(x_TBV, tags_TB, torch.tensor(LENGTHS))
    torch.testing.assert_close(actual_B, expected_B, rtol=0, atol=1e-11)

    expected = torch.autograd.grad((weights_B * expected_B).sum(), leaves)
    actual = torch.autograd.grad((weights_B * actual_B).sum(), leaves)
    for one, other in zip(actual, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-11)


@every_mask
def test_marginals_are_shares_of_every_sequence(masks: dict[str, Any]) -> None:
    field, x_TBV = make_field(masks), emissions()
    expected_TBV = torch.zeros(STEPS, len(LENGTHS), TAGS, dtype=torch.float64)
    for row, scores in enumerate(brute_force(field, x_TBV)):
        for tags, score in scores.items():
            for t, tag in enumerate(tags):
                expected_TBV[t, row, tag] += (score - log_z(scores)).exp().detach()
    actual_TBV = field.marginals(x_TBV, torch.tensor(LENGTHS))
    torch.testing.assert_close(actual_TBV, expected_TBV, rtol=0, atol=1e-11)


@every_mask
def test_viterbi_finds_the_best_of_every_sequence(masks: dict[str, Any]) -> None:
    field, x_TBV = make_field(masks), emissions()
    tags_TB, score_B = field.viterbi(x_TBV, torch.tensor(LENGTHS))
    for row, scores in enumerate(brute_force(field, x_TBV)):
        best = max(scores, key=lambda tags: scores[tags].item())
        assert tags_TB[:, row].tolist() == [*best, *[0] * (STEPS - len(best))]
        assert score_B[row].item() == pytest.approx(scores[best].item(), abs=1e-11)


def test_what_is_forbidden_is_never_chosen_however_much_speaks_for_it() -> None:
    field = make_field(FORBIDDEN)
    with torch.no_grad():
        field.transitions[0, 1] = field.start[0] = field.end[2] = 1e3
    x_TBV = torch.randn(30, 20, TAGS, dtype=torch.float64) * 50
    lengths_B = torch.full((20,), 30)
    tags_TB, _ = field.viterbi(x_TBV, lengths_B)
    assert not FORBIDDEN["forbidden_transitions"][tags_TB[:-1], tags_TB[1:]].any()
    assert (tags_TB[0] != 0).all()
    assert (tags_TB[-1] != 2).all()
    marginals_TBV = field.marginals(x_TBV, lengths_B)
    assert (marginals_TBV[0, :, 0] == 0).all()
    assert (marginals_TBV[-1, :, 2] == 0).all()
    assert (field.log_likelihood(x_TBV, torch.zeros_like(tags_TB), lengths_B) == -torch.inf).all()


def test_numbers_of_any_size_stay_finite() -> None:
    """In float32, where exp of any of these would be infinite or zero."""
    field = make_field(FORBIDDEN, torch.float32)
    x_TBV = (torch.randn(40, 8, TAGS) * 1e4).requires_grad_()
    lengths_B = torch.arange(1, 41, 5)
    tags_TB, _ = field.viterbi(x_TBV, lengths_B)
    likelihood_B = field.log_likelihood(x_TBV, tags_TB, lengths_B)
    likelihood_B.sum().backward()
    torch.testing.assert_close(likelihood_B, torch.zeros(8), rtol=0, atol=0.1)
    for leaf in (x_TBV, *field.parameters()):
        assert leaf.grad is not None
        assert leaf.grad.isfinite().all()


def test_a_row_does_not_depend_on_the_others_nor_on_the_padding() -> None:
    field, x_TBV = make_field({}), emissions()
    together = field.marginals(x_TBV, torch.tensor(LENGTHS))
    for row, length in enumerate(LENGTHS):
        alone = field.marginals(x_TBV[:length, [row]], torch.tensor([length]))
        torch.testing.assert_close(together[:length, [row]], alone, rtol=0, atol=1e-12)
        assert (together[length:, row] == 0).all()


def test_a_fresh_field_is_a_softmax_at_each_step() -> None:
    x_TBV, lengths_B = torch.randn(4, 2, TAGS), torch.tensor([4, 3])
    marginals_TBV = ConditionalRandomField(TAGS).marginals(x_TBV, lengths_B)
    torch.testing.assert_close(marginals_TBV[:3], x_TBV.softmax(-1)[:3])


@pytest.mark.parametrize(("steps", "batch"), [(0, 2), (2, 0), (0, 0)])
def test_nothing_to_tag_is_no_error(steps: int, batch: int) -> None:
    field = make_field({})
    x_TBV, lengths_B = torch.zeros(steps, batch, TAGS, dtype=torch.float64), torch.zeros(batch, dtype=torch.int64)
    tags_TB, score_B = field.viterbi(x_TBV, lengths_B)
    assert tags_TB.shape == (steps, batch)
    assert score_B.tolist() == field.log_likelihood(x_TBV, tags_TB, lengths_B).tolist() == [0] * batch
    assert field.marginals(x_TBV, lengths_B).shape == x_TBV.shape


def test_masks_are_not_saved() -> None:
    assert set(make_field(FORBIDDEN).state_dict()) == {"transitions", "start", "end"}


def test_masks_that_leave_a_length_without_a_sequence_are_an_error() -> None:
    # 0 and 1 take turns, and the end is 1: nothing has an odd length.
    turns = ~np.array([[False, True], [True, False]])
    with pytest.raises(OptionError, match="no sequence of 1 tags"):
        ConditionalRandomField(
            2,
            forbidden_transitions=turns,
            forbidden_starts=np.array([False, True]),
            forbidden_ends=np.array([True, False]),
        )
    with pytest.raises(OptionError, match="no sequence of 2 tags"):
        ConditionalRandomField(2, forbidden_transitions=np.ones((2, 2), bool))
    ConditionalRandomField(2, forbidden_transitions=turns)


@pytest.mark.parametrize("mask", [np.zeros(3, bool), np.zeros((TAGS, TAGS))])
def test_a_mask_of_another_shape_or_kind_is_an_error(mask: np.ndarray) -> None:
    with pytest.raises(OptionError, match="forbidden_transitions must be booleans"):
        ConditionalRandomField(TAGS, forbidden_transitions=mask)


@pytest.mark.usefixtures("unchecked_types")
def test_shapes_that_do_not_fit_are_errors() -> None:
    field, x_TBV = make_field({}), torch.zeros(2, 3, TAGS, dtype=torch.float64)
    with pytest.raises(ShapeError, match="with V = 3 tags"):
        field.viterbi(x_TBV[..., :2], torch.tensor([1, 1, 1]))
    for lengths in ([1, 1], [1, 1, 3], [1, -1, 1]):
        with pytest.raises(ShapeError, match="numbers from 0 to 2"):
            field.marginals(x_TBV, torch.tensor(lengths))
    with pytest.raises(ShapeError, match="tags"):
        field.log_likelihood(x_TBV, torch.zeros(2, 2, dtype=torch.int64), torch.tensor([1, 1, 1]))
