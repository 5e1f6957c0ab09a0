"""Scores: the mean of -ln P(token | all before it), each token once, whatever the windows and streams."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from small import make_model
from torch import Tensor, nn

from elman.data.text import Document
from elman.data.tokenizer import START_ID, UNKNOWN_ID
from elman.errors import DataError
from elman.models import scoring
from elman.models.scoring import Scores, score_tokens


class Unigram(nn.Module):
    """A model without memory: the same distribution after every token."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.randn(vocabulary, generator=torch.Generator().manual_seed(3)))
        self.read = 0

    def forward(self, tokens_TB: Tensor, state: None = None) -> tuple[Tensor, None]:
        self.read += tokens_TB.numel()
        return self.logits.expand(*tokens_TB.shape, -1), state

    def loss(self, tokens_TB: Tensor, targets_TB: Tensor, state: None, scored_TB: Tensor) -> tuple[Tensor, None]:
        logits_TBV, _ = self(tokens_TB)
        return nn.functional.cross_entropy(logits_TBV[scored_TB], targets_TB[scored_TB]), state


def random_tokens(count: int, vocabulary: int) -> np.ndarray:
    numbers = np.random.default_rng(5).integers(2, vocabulary, count).astype(np.int32)
    numbers[0] = START_ID
    return numbers


def by_hand(model: nn.Module, tokens: np.ndarray) -> float:
    """Sum of -ln P over the whole text, in one go, float64."""
    with torch.no_grad():
        logits = model(torch.from_numpy(tokens[:-1].astype(np.int64)).unsqueeze(1))[0][:, 0].double().numpy()
    log_z = np.log(np.exp(logits - logits.max(1, keepdims=True)).sum(1)) + logits.max(1)
    return float((log_z - logits[np.arange(len(logits)), tokens[1:]]).sum())


@pytest.mark.parametrize("cell", ["elman", "lstm", "gru"])
def test_one_stream_carries_the_state_over_every_token(cell: str) -> None:
    model = make_model(cell=cell, layers=2)
    tokens = random_tokens(1300, 12)
    tokens[700] = START_ID
    scores = score_tokens(model, tokens, 1298)
    assert scores.loss_nats == pytest.approx(by_hand(model, tokens) / 1299, rel=1e-6)
    assert (scores.tokens, scores.characters, scores.unknown) == (1299, 1298, 0)


@pytest.mark.parametrize("window", [5, 64, 10_000])
@pytest.mark.parametrize("streams", [1, 3])
def test_the_size_of_a_window_changes_nothing(window: int, streams: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokens = make_model(), random_tokens(3200, 12)
    wanted = score_tokens(model, tokens, 3199, streams)
    monkeypatch.setattr(scoring, "_WINDOW", window)
    assert score_tokens(model, tokens, 3199, streams).loss_nats == pytest.approx(wanted.loss_nats, rel=1e-7)


@pytest.mark.parametrize("streams", [1, 2, 3, 5, 50])
@pytest.mark.parametrize("count", [2, 1024, 2049, 3001])
def test_each_token_is_scored_exactly_once(streams: int, count: int) -> None:
    # Every token another one: what is left out, or counted twice, is seen in the sum.
    model, tokens = Unigram(count), np.roll(np.random.default_rng(5).permutation(count), 1).astype(np.int32)
    tokens = np.concatenate([[START_ID], tokens[tokens != START_ID]]).astype(np.int32)
    scores = score_tokens(model, tokens, count, streams)
    assert scores.loss_nats * scores.tokens == pytest.approx(by_hand(model, tokens), rel=1e-5)
    assert scores.tokens == count - 1


def test_many_streams_read_little_more_than_the_text() -> None:
    model, tokens = Unigram(12), random_tokens(20_000, 12)
    score_tokens(model, tokens, 1, streams=10)
    assert 19_999 <= model.read <= 19_999 + 10 * (scoring._WARM_UP + 1)


def test_many_streams_come_close_to_one_on_a_long_text() -> None:
    model, tokens = make_model(), random_tokens(9000, 12)
    one, many = (score_tokens(model, tokens, 8999, streams).loss_nats for streams in (1, 8))
    assert many == pytest.approx(one, rel=1e-6)


def test_many_streams_take_up_the_state_of_what_stands_before_them(monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokens = make_model(), random_tokens(9000, 12)
    exact = score_tokens(model, tokens, 8999).loss_nats
    with_context = abs(score_tokens(model, tokens, 8999, 8).loss_nats - exact)
    monkeypatch.setattr(scoring, "_WARM_UP", 1)
    assert abs(score_tokens(model, tokens, 8999, 8).loss_nats - exact) > 100 * with_context


def test_unknown_tokens_are_scored_and_counted() -> None:
    model, tokens = make_model(), random_tokens(60, 12)
    tokens[[5, 9]] = UNKNOWN_ID
    scores = score_tokens(model, tokens, 59)
    assert scores.unknown == 2
    assert scores.loss_nats == pytest.approx(by_hand(model, tokens) / 59, rel=1e-6)


def test_scores_in_other_units() -> None:
    scores = Scores(loss_nats=math.log(2), tokens=30, characters=60)
    assert scores.bits_per_char == pytest.approx(0.5)
    assert scores.perplexity == pytest.approx(2)
    assert Scores(1000.0, 1, 1).perplexity == math.inf


def test_a_text_s_documents_each_start_afresh(tmp_path: Path) -> None:
    model = make_model()
    (tmp_path / "1").write_text("abc\n")
    (tmp_path / "2").write_text("hgf zz\n")
    scores = model.evaluate([tmp_path / "1", Document("2", "hgf zz\n")])
    alone = [model.evaluate(tmp_path / name) for name in ("1", "2")]
    # The start of the second document is predicted from the end of the first, and counted.
    assert scores.tokens == alone[0].tokens + 1 + alone[1].tokens == 12
    assert scores.characters == 11
    assert scores.unknown == 2
    assert [one.tokens for one in alone] == [4, 7]
    assert model.evaluate(str(tmp_path)) == scores
    extra = scores.loss_nats * 12 - sum(one.loss_nats * one.tokens for one in alone)
    numbers = torch.tensor([START_ID, *model.tokenizer.encode("abc\n").tolist()])
    last = model(numbers.unsqueeze(1))[0][-1, 0].detach()
    assert extra == pytest.approx(-float(last.log_softmax(0)[START_ID]), rel=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_evaluation_leaves_the_mode_as_it_was_and_drops_nothing_out(training: bool) -> None:
    model, tokens = make_model(dropout=0.5), random_tokens(50, 12)
    wanted = score_tokens(model, tokens, 49)
    model.train(training)
    assert score_tokens(model, tokens, 49) == wanted
    assert model.training is training
    with pytest.raises(RuntimeError, match="out of bounds"):
        score_tokens(model, np.array([0, 99], np.int32), 1)
    assert model.training is training


@pytest.mark.parametrize(("tokens", "characters"), [([START_ID], 1), ([], 1), ([START_ID, 2], 0)])
def test_nothing_to_score_is_refused(tokens: list[int], characters: int) -> None:
    with pytest.raises(DataError, match="nothing to score"):
        score_tokens(make_model(), np.array(tokens, np.int32), characters)
