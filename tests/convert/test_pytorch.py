"""To and from torch.nn: the same numbers, the same bits back, and nothing guessed."""

from typing import Any

import numpy
import pytest
import stacks
import torch
from stacks import assert_close, assert_equal_layers, every_bias, every_depth, every_direction
from torch import nn

import elman
from elman.convert import from_pytorch, to_pytorch
from elman.errors import ConvertError

# Every form that torch.nn has.
MODULES: dict[str, tuple[type[nn.RNNBase], dict[str, Any]]] = {
    "tanh": (nn.RNN, {}),
    "relu": (nn.RNN, {"nonlinearity": "relu"}),
    "lstm": (nn.LSTM, {}),
    "lstm_projected": (nn.LSTM, {"proj_size": 2}),
    "gru": (nn.GRU, {}),
}
every_module = pytest.mark.parametrize("kind", MODULES)
# PyTorch says once a process that its oneDNN has no projection and that it takes another kernel: no matter of results.
pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN:UserWarning")


def module(kind: str, **options: Any) -> Any:
    made, own = MODULES[kind]
    return made(stacks.INPUT_SIZE, stacks.HIDDEN_SIZE, **{"num_layers": 2, **own, **options}).eval()


@torch.no_grad()
def theirs(network: nn.Module, x: torch.Tensor, before: list[torch.Tensor]) -> list[torch.Tensor]:
    y, after = network(x, tuple(before) if len(before) > 1 else before[0])
    return [y, *([after] if isinstance(after, torch.Tensor) else after)]


@every_module
@every_bias
@every_direction
@every_depth
def test_a_module_becomes_layers_that_compute_the_same_and_goes_back(kind, bias, bidirectional, num_layers) -> None:
    given = module(kind, bias=bias, bidirectional=bidirectional, num_layers=num_layers)
    ours = from_pytorch(given)
    x, before = stacks.sequence(), stacks.states(ours)

    assert_close(stacks.outputs(ours, x, before), theirs(given, x, before))
    back = to_pytorch(ours)
    assert type(back) is type(given)
    assert_close(theirs(back, x, before), theirs(given, x, before))
    assert list(back.state_dict()) == list(given.state_dict())
    assert all(torch.equal(value, given.state_dict()[name]) for name, value in back.state_dict().items())


@every_module
def test_a_state_dict_says_all_but_the_nonlinearity(kind) -> None:
    given = module(kind, bidirectional=True)
    told = {"nonlinearity": kind} if kind in ("tanh", "relu") else {}

    assert_equal_layers(from_pytorch(given.state_dict(), **told), from_pytorch(given))
    arrays = {name: value.numpy() for name, value in given.state_dict().items()}
    assert_equal_layers(from_pytorch(arrays, **told), from_pytorch(given))


def test_the_weights_are_copies() -> None:
    given = module("gru")
    ours = from_pytorch(given)
    with torch.no_grad():
        given.weight_ih_l0.zero_()
    assert ours.weight_ih_l0.any()


def test_what_a_module_says_of_itself_is_kept() -> None:
    ours = from_pytorch(module("gru", batch_first=True, dropout=0.25, dtype=torch.float64))
    assert (ours.batch_first, ours.dropout, ours.weight_ih_l0.dtype) == (True, 0.25, torch.float64)
    back = to_pytorch(ours)
    assert (back.batch_first, back.dropout, back.weight_ih_l0.dtype) == (True, 0.25, torch.float64)


def _without(name: str) -> dict[str, Any]:
    state = dict(module("lstm").state_dict())
    del state[name]
    return state


BAD_STATES: dict[str, tuple[Any, str]] = {
    "nothing": ({}, "there is no weight_ih_l0"),
    "plain_layer": (module("tanh").state_dict(), "tanh or ReLU"),
    "of_a_whole_model": ({f"rnn.{k}": v for k, v in module("gru").state_dict().items()}, "'rnn.weight_ih_l0'"),
    "another_layer_too": ({**module("gru").state_dict(), "weight": torch.ones(2, 2)}, "'weight' is no weight of"),
    "a_matrix_missing": (_without("weight_hh_l0"), "weight_hh_l0 is missing"),
    "a_bias_missing": (_without("bias_hh_l1"), "layer 1 has the weights bias_ih, weight_hh, weight_ih;"),
    "a_layer_missing": (
        {k: v for k, v in module("gru", num_layers=3).state_dict().items() if "l1" not in k},
        "no weight_ih_l1",
    ),
    "a_direction_missing": (
        {k: v for k, v in module("gru", bidirectional=True).state_dict().items() if not k.endswith("l1_reverse")},
        "no weight_ih_l1_reverse",
    ),
    "sizes_that_differ": (
        {**module("gru").state_dict(), "weight_ih_l1": torch.ones(15, 4)},
        r"\(15, 4\), .* \(15, 5\)",
    ),
    "gates_that_nobody_has": (
        {"weight_ih_l0": torch.ones(10, 3), "weight_hh_l0": torch.ones(10, 5)},
        "2 times as many rows",
    ),
    "a_projected_gru": (
        {"weight_ih_l0": torch.ones(15, 3), "weight_hh_l0": torch.ones(15, 2), "weight_hr_l0": torch.ones(2, 5)},
        "only an LSTM has a projection",
    ),
    "integers": ({"weight_ih_l0": torch.ones(15, 3, dtype=torch.int32)}, "int32"),
    "integers_of_numpy": ({"weight_ih_l0": numpy.ones((15, 3), "int8")}, "int8"),
    "two_dtypes": (
        {**module("gru").state_dict(), "bias_ih_l0": torch.ones(15, dtype=torch.float64)},
        "float32, torch.float64",
    ),
    "no_matrix": (
        {"weight_ih_l0": torch.ones(15), "weight_hh_l0": torch.ones(15, 5)},
        "weight_ih_l0 is missing or no matrix",
    ),
}


@pytest.mark.parametrize("name", BAD_STATES)
def test_what_is_no_state_of_a_layer_is_refused(name) -> None:
    state, says = BAD_STATES[name]
    with pytest.raises(ConvertError, match=says):
        from_pytorch(state)


def test_a_module_that_is_no_recurrent_layer_is_refused() -> None:
    with pytest.raises(ConvertError, match="Linear is no recurrent layer"):
        from_pytorch(nn.Linear(2, 3))


@pytest.mark.parametrize(
    ("ours", "says"),
    [
        (elman.GRU(3, 5, reset_after=False), "reset_after=False"),
        (elman.RNN(3, 5, nonlinearity="sigmoid"), "nonlinearity='sigmoid'"),
    ],
)
def test_what_pytorch_does_not_have_is_refused(ours, says) -> None:
    with pytest.raises(ConvertError, match=says):
        to_pytorch(ours)
