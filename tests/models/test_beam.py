"""Beam search, on tiny models of a few tokens whose every sequence can be tried."""

from collections.abc import Iterator
from itertools import product

import pytest
import torch
from torch import Tensor

from elman.errors import OptionError
from elman.models.beam import Beam, Hypothesis, beam_search

START, END, V = 0, 0, 4


class Chain:
    """P(next token) depends on all tokens before it; the state is the tokens that were read, and which sentence they are of."""

    def __init__(self, sentences: int, steps: int, sharpness: float = 1.5) -> None:
        self.table = torch.randn(sentences, steps + 1, V, V, V, dtype=torch.float64) * sharpness
        self.reads = 0

    def start(self, sentences: list[int]) -> tuple[Tensor, Tensor]:
        return torch.tensor(sentences, dtype=torch.int64), torch.zeros(len(sentences), 0, dtype=torch.int64)

    def step(self, tokens: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        sentence, history = state
        read = torch.cat([history, tokens.unsqueeze(1)], dim=1)
        before = read[:, -2] if read.shape[1] > 1 else torch.zeros_like(tokens)
        self.reads += len(tokens)
        time = read.shape[1] - 1
        return self.table[sentence, time, before, tokens].log_softmax(-1), (sentence, read)

    @staticmethod
    def select(state: tuple[Tensor, Tensor], rows: Tensor) -> tuple[Tensor, Tensor]:
        return state[0][rows], state[1][rows]

    def search(self, sentences: list[int], limits: list[int], beam: Beam) -> list[Hypothesis]:
        state = self.start(sentences)
        return beam_search(
            self.step,
            self.select,
            state,
            start=START,
            end=END,
            limits_B=torch.tensor(limits, dtype=torch.int64),
            beam=beam,
        )

    def log_probability(self, sentence: int, tokens: tuple[int, ...]) -> float:
        """Of these tokens and END."""
        state, total, last = self.start([sentence]), 0.0, START
        for token in (*tokens, END):
            log_probs, state = self.step(torch.tensor([last]), state)
            total, last = total + float(log_probs[0, token]), token
        return total


def every_sequence(limit: int) -> Iterator[tuple[int, ...]]:
    for length in range(limit + 1):
        yield from product([token for token in range(V) if token != END], repeat=length)


@pytest.mark.parametrize("alpha", [0.0, 0.6, 2.0])
def test_a_beam_as_wide_as_there_are_sequences_finds_the_best_of_all(alpha: float) -> None:
    chain, limit, beam = Chain(3, 4), 3, Beam(V**3, alpha)
    for sentence, found in enumerate(chain.search([0, 1, 2], [limit] * 3, beam)):
        scores = {
            s: chain.log_probability(sentence, s) / ((5 + len(s) + 1) / 6) ** alpha for s in every_sequence(limit)
        }
        best = max(scores, key=lambda s: scores[s])
        assert tuple(found.tokens) == best
        assert found.score == pytest.approx(scores[best], abs=1e-12)
        assert found.log_probability == pytest.approx(chain.log_probability(sentence, best), abs=1e-12)


def test_one_beginning_is_greedy_search() -> None:
    chain, limits = Chain(20, 8), [7] * 20
    for sentence, found in enumerate(chain.search(list(range(20)), limits, Beam(1, 1.0))):
        tokens, state, last = [], chain.start([sentence]), START
        while len(tokens) < limits[sentence]:
            log_probs, state = chain.step(torch.tensor([last]), state)
            last = int(log_probs.argmax())
            if last == END:
                break
            tokens.append(last)
        assert found.tokens == tokens


def test_no_result_is_ever_longer_than_its_limit_or_goes_on_after_its_end() -> None:
    chain = Chain(30, 6)
    limits = [sentence % 6 for sentence in range(30)]
    for limit, found in zip(limits, chain.search(list(range(30)), limits, Beam(3)), strict=True):
        assert len(found.tokens) <= limit
        assert END not in found.tokens
        assert found.log_probability > -torch.inf


@pytest.mark.parametrize("width", [1, 3])
def test_what_is_found_does_not_depend_on_what_is_searched_together(width: int) -> None:
    chain, limits = Chain(12, 9), [1, 8, 3, 5, 8, 8, 2, 0, 7, 8, 4, 6]
    together = chain.search(list(range(12)), limits, Beam(width))
    for sentence, found in enumerate(together):
        assert chain.search([sentence], [limits[sentence]], Beam(width)) == [found]
    backwards = chain.search(list(range(12))[::-1], limits[::-1], Beam(width))
    assert backwards[::-1] == together


def test_a_wider_beam_tries_more_and_a_finished_sentence_costs_nothing() -> None:
    chain = Chain(1, 20)
    chain.table[0, :, :, :, END] = -30
    chain.table[0, 2, :, :, END] = 30
    (found,) = chain.search([0], [19], Beam(2))
    assert len(found.tokens) == 2
    # Three steps of two beginnings: none that could be better was left.
    assert chain.reads == 6


def test_the_length_of_a_likely_sequence_grows_with_alpha() -> None:
    chain = Chain(40, 8, sharpness=0.5)
    lengths = [
        sum(len(found.tokens) for found in chain.search(list(range(40)), [7] * 40, Beam(200, alpha)))
        for alpha in (0.0, 1.0, 3.0)
    ]
    assert lengths[0] < lengths[1] < lengths[2]


def test_what_makes_no_sense_is_an_error() -> None:
    with pytest.raises(OptionError, match="beam=0"):
        Beam(0)
    with pytest.raises(OptionError, match="alpha=-1"):
        Beam(alpha=-1)


def test_no_sentence_no_search() -> None:
    assert Chain(1, 1).search([], [], Beam()) == []
