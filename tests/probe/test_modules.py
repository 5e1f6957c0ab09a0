"""Any module can be looked through: elman's layers, torch.nn's inside a network of one's own, a cell of one's own."""

from typing import Any

import pytest
import torch
from laws import LeakyCell
from torch import Tensor, nn

import elman
from elman.errors import OptionError, ProbeError, ShapeError
from elman.probe.tap import undisturbed

KINDS: list[Any] = [
    pytest.param(nn.RNN, elman.RNN, {}, id="rnn"),
    pytest.param(nn.RNN, elman.RNN, {"nonlinearity": "relu", "bias": False}, id="rnn_relu"),
    pytest.param(nn.GRU, elman.GRU, {"bidirectional": True}, id="gru"),
    pytest.param(nn.LSTM, elman.LSTM, {}, id="lstm"),
    pytest.param(nn.LSTM, elman.LSTM, {"proj_size": 3, "batch_first": True}, id="lstm_projected"),
]


class Reader(nn.Module):
    """A network as people write them."""

    def __init__(self, kind: Any, **options: Any) -> None:
        super().__init__()
        self.batch_first = options.get("batch_first", False)
        self.embedding = nn.Embedding(11, 4)
        self.rnn = kind(4, 5, num_layers=2, **options)
        self.head = nn.LazyLinear(11)

    def forward(self, tokens: Tensor) -> Tensor:
        y, _ = self.rnn(self.embedding(tokens))
        return self.head(y)


def next_token(module: Reader, tokens: Tensor) -> Tensor:
    """(T, B): the loss of each step but the last, whose next token nobody knows: it counts as 0."""
    logits = module(tokens)
    logits, tokens = (logits.transpose(0, 1), tokens.t()) if module.batch_first else (logits, tokens)
    wanted = torch.cat([tokens[1:], tokens[:1]])
    return nn.functional.cross_entropy(logits.flatten(0, 1), wanted.flatten(), reduction="none").view_as(tokens)


@pytest.mark.parametrize(("theirs", "ours", "options"), KINDS)
def test_torch_s_layers_are_looked_through_as_elman_s_are(theirs: Any, ours: Any, options: dict[str, Any]) -> None:
    tokens = torch.randint(11, (20, 6))
    tokens = tokens.t() if options.get("batch_first") else tokens
    module, twin = Reader(theirs, **options).double(), Reader(ours, **options).double()
    module(tokens), twin(tokens)
    twin.load_state_dict(module.state_dict())
    before = {name: value.clone() for name, value in module.state_dict().items()}
    expected = elman.probe(twin, tokens, loss=next_token, lags=12).to_dict()
    found = elman.probe(module, tokens, loss=next_token, lags=12).to_dict()
    for name in set(expected) - {"seconds", "model", "clipping"}:
        assert found[name] == expected[name], name
    assert found["clipping"]["norm_before"] == pytest.approx(expected["clipping"]["norm_before"])
    assert "forward" not in vars(module.rnn)
    assert module.training
    assert all(parameter.requires_grad for parameter in module.parameters())
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())


def test_a_step_of_each_row_is_scored_as_automatic_differentiation_has_it() -> None:
    """At lag 0 the gradient by h of the top layer is that of the output layer alone."""
    module, tokens = Reader(nn.GRU).double(), torch.randint(11, (20, 6))
    module(tokens)
    found = elman.probe(module, tokens, loss=next_token, lags=19)
    with undisturbed(module):
        y, _ = module.rnn(module.embedding(tokens))
    y.requires_grad_()
    wanted = tokens[0]
    # With as many lags as there are steps before it, the last step is the one that is scored.
    loss = nn.functional.cross_entropy(module.head(y)[-1], wanted, reduction="sum")
    norms = torch.autograd.grad(loss, y)[0][-1].norm(dim=-1)
    top = next(curve for curve in found.gradient if curve["layer"] == 2)
    assert top["median"][0] == pytest.approx(float(norms.quantile(0.5)))
    assert top["low"][0] == pytest.approx(float(norms.quantile(0.25)))


def test_layers_by_themselves_and_cells_of_one_s_own_need_no_loss() -> None:
    x_TBD = torch.randn(30, 5, 3, dtype=torch.float64)
    for subject in (elman.Recurrent("mgu", 3, 4, dtype=torch.float64), LeakyCell(4), nn.GRU(3, 4).double()):
        found = elman.probe(subject, x_TBD, lags=20)
        assert len(found.gradient[0]["median"]) == 21
        assert found.context["steps"][-1] == 21
        assert found.spectrum[0]["exponents"]
    assert {curve["state"] for curve in elman.probe(LeakyCell(4), x_TBD, lags=5).gradient} == {"h", "m"}


def test_several_batches_are_seen_for_the_use_of_context() -> None:
    batches = [torch.randn(9, 4, 3, dtype=torch.float64) for _ in range(3)]
    found = elman.probe(elman.GRU(3, 4, dtype=torch.float64), batches, lags=8)
    assert found.context["steps"] == [1, 2, 4, 8, 9]


def test_it_repeats_bit_for_bit_and_leaves_the_generator_alone() -> None:
    module, tokens = Reader(nn.LSTM), torch.randint(11, (20, 6))
    module(tokens)
    state = torch.get_rng_state()
    first, second = (elman.probe(module, tokens, loss=next_token, lags=9, seed=3).to_dict() for _ in range(2))
    assert {**first, "seconds": 0} == {**second, "seconds": 0}
    assert torch.equal(torch.get_rng_state(), state)
    other = elman.probe(module, tokens, loss=next_token, lags=9, seed=4).to_dict()
    assert other["gradient"] != first["gradient"]


def test_sequences_shorter_than_the_lags_cut_them() -> None:
    found = elman.probe(elman.GRU(3, 4), torch.randn(12, 5, 3), lags=50)
    assert found.lags[-1] == 11
    assert any("lags are cut to 11" in note and "12 steps" in note for note in found.notes)


def test_a_module_without_recurrent_layers_is_an_error() -> None:
    with pytest.raises(ProbeError, match="no recurrent layer"):
        elman.probe(nn.Linear(3, 3), torch.randn(5, 2, 3))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_an_error_that_says_where(value: float) -> None:
    layers = elman.GRU(3, 4)
    with torch.no_grad():
        layers.bias_hh_l0[:2] = value
    with pytest.raises(ProbeError, match=r"bias_hh_l0 \(2 of 12\)"):
        elman.probe(layers, torch.randn(5, 2, 3))


def test_data_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(ShapeError, match="input_size is 3"):
        elman.probe(elman.GRU(3, 4), torch.randn(5, 2, 8))
    with pytest.raises(ProbeError, match="no data"):
        elman.probe(elman.GRU(3, 4))
    with pytest.raises(ProbeError, match="nothing to look through"):
        elman.probe(object())
    with pytest.raises(ProbeError, match="a loss for each step"):
        elman.probe(elman.GRU(3, 4), torch.randn(5, 2, 3), loss=lambda module, x: module(x)[0][:2].sum(-1))
    with pytest.raises(OptionError, match="lags=0"):
        elman.probe(elman.GRU(3, 4), torch.randn(5, 2, 3), lags=0)


def test_frozen_parameters_are_looked_through_as_well() -> None:
    layers, x_TBD = elman.LSTM(3, 4, dtype=torch.float64), torch.randn(9, 5, 3, dtype=torch.float64)
    expected = elman.probe(layers, x_TBD, lags=8).gradient
    layers.requires_grad_(False)
    assert elman.probe(layers, x_TBD, lags=8).gradient == expected
    assert not any(parameter.requires_grad for parameter in layers.parameters())
