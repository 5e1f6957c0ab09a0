"""Drawing a token: the distribution that temperature, top-k and top-p say, and never the unknown token."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from elman.data.tokenizer import UNKNOWN_ID
from elman.errors import OptionError
from elman.models.sampling import Sampling, draw

# Distinct and apart, so that which is likelier is never a matter of rounding.
_logits = st.lists(st.integers(-40, 40), min_size=3, max_size=12, unique=True).map(lambda xs: torch.tensor(xs) / 10)


def draws(logits: torch.Tensor, count: int, **how: float) -> list[int]:
    generator = torch.Generator().manual_seed(1)
    return [draw(logits, Sampling(**how), generator) for _ in range(count)]  # type: ignore[arg-type]


def probabilities(logits: torch.Tensor, temperature: float = 1.0) -> list[float]:
    """The softmax in float64, without the unknown token."""
    weights = [0.0 if i == UNKNOWN_ID else math.exp(x / temperature) for i, x in enumerate(logits.tolist())]
    return [weight / sum(weights) for weight in weights]


@given(_logits)
def test_temperature_zero_takes_the_likeliest(logits: torch.Tensor) -> None:
    known = probabilities(logits)
    assert set(draws(logits, 5, temperature=0)) == {known.index(max(known))}


@given(_logits, st.integers(1, 15))
def test_top_k_draws_from_the_k_likeliest_only(logits: torch.Tensor, k: int) -> None:
    known = probabilities(logits)
    likeliest = sorted((i for i in range(len(known)) if i != UNKNOWN_ID), key=lambda i: -known[i])[:k]
    assert set(draws(logits, 60, top_k=k, temperature=20.0)) <= set(likeliest)
    # At a high temperature all are about as likely: each of them comes.
    assert set(draws(logits, 400, top_k=k, temperature=100.0)) == set(likeliest)


@given(_logits, st.floats(0.05, 1))
def test_top_p_draws_from_the_smallest_set_that_reaches_p(logits: torch.Tensor, p: float) -> None:
    known = probabilities(logits)
    order = sorted(range(len(known)), key=lambda i: -known[i])

    def smallest(p: float) -> set[int]:
        kept, total = set(), 0.0
        for i in order:
            if total < p and i != UNKNOWN_ID:
                kept.add(i)
                total += known[i]
        return kept

    drawn = set(draws(logits, 300, top_p=p))
    assert drawn <= smallest(min(p + 1e-5, 1.0))
    assert {i for i in smallest(p - 1e-5) if known[i] > 0.05} <= drawn


@given(_logits)
def test_the_unknown_token_is_never_drawn_however_likely(logits: torch.Tensor) -> None:
    logits[UNKNOWN_ID] = 50
    for how in ({}, {"temperature": 0}, {"top_k": 1}, {"top_p": 0.1}, {"temperature": 10.0, "top_k": 2, "top_p": 0.9}):
        assert UNKNOWN_ID not in draws(logits, 20, **how)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_many_draws_follow_the_distribution(temperature: float) -> None:
    logits, count = torch.tensor([0.0, 9.0, 1.0, 2.0, 0.5, -1.0]), 6000
    wanted = probabilities(logits, temperature)
    drawn = draws(logits, count, temperature=temperature)
    squares = [(drawn.count(i) - count * p) ** 2 / (count * p) for i, p in enumerate(wanted) if p]
    # Chi-square with 4 degrees of freedom: beyond 18.5 once in a thousand.
    assert sum(squares) < 18.5
    # A temperature that is another by a fifth would be seen.
    other = probabilities(logits, temperature * 1.2)
    assert sum((drawn.count(i) - count * p) ** 2 / (count * p) for i, p in enumerate(other) if p) > 18.5


def test_a_draw_leaves_the_logits_as_they_were() -> None:
    logits = torch.tensor([0.0, 9.0, 1.0, 2.0])
    draws(logits, 3, top_k=1, top_p=0.5, temperature=0.5)
    assert logits.tolist() == [0.0, 9.0, 1.0, 2.0]


@pytest.mark.parametrize("temperature", [1e-3, 1e-30, 1e-40, 1e-300])
def test_a_temperature_near_zero_is_as_good_as_zero(temperature: float) -> None:
    assert set(draws(torch.tensor([0.0, 9.0, 1.0, 2.0, -3.0]), 5, temperature=temperature)) == {3}


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": -0.1},
        {"temperature": math.nan},
        {"temperature": math.inf},
        {"top_k": 0},
        {"top_k": -3},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"top_p": math.nan},
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused_by_name(wrong: dict) -> None:
    with pytest.raises(OptionError, match=f"{next(iter(wrong))}="):
        Sampling(**wrong)
