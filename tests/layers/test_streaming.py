"""A stream cut anywhere and gone on with from the carried state is the whole, whatever the options; and what it starts from."""

from itertools import pairwise
from typing import Any

import pytest
import torch
from laws import assert_same
from torch import Tensor
from twins import random, run, tensors

import elman
from elman.cells import map_state
from elman.layers import RecurrentLayers

STEPS, LENGTHS = 7, [7, 0, 4]
# The engines that run every option of a cell and learnt initial states.
every_engine = pytest.mark.parametrize("engine", ["reference"])
# Name -> (class, options).
CASES: dict[str, tuple[type[RecurrentLayers], dict[str, Any]]] = {
    "layer_norm": (elman.LSTM, {"layer_norm": True}),
    "no_recurrent_bias": (elman.GRU, {"recurrent_bias": False}),
    "peepholes": (elman.LSTM, {"peepholes": True}),
    "coupled": (elman.LSTM, {"coupled": True, "proj_size": 2}),
    "reset_before": (elman.GRU, {"reset_after": False}),
    "clip_state": (elman.LSTM, {"clip_state": 0.2}),
    "zoneout": (elman.LSTM, {"zoneout": (0.1, 0.5)}),
    "dropouts": (elman.GRU, {"variational_dropout": 0.3, "recurrent_dropout": 0.3, "weight_drop": 0.3, "dropout": 0.3}),
    "locked_dropout": (elman.RNN, {"dropout": 0.5, "locked_dropout": True}),
    "residual": (elman.LSTM, {"connections": "residual"}),
    "highway": (elman.GRU, {"connections": "highway"}),
    "dense": (elman.GRU, {"connections": "dense"}),
    "learnt_state": (elman.LSTM, {"learn_initial_state": True}),
    "reverse": (elman.GRU, {"reverse": True}),
    "reverse_learnt_state": (elman.LSTM, {"reverse": True, "learn_initial_state": True}),
    "silu": (elman.RNN, {"nonlinearity": "silu"}),
}
every_case = pytest.mark.parametrize("case", CASES)
every_class = pytest.mark.parametrize("kind", [elman.RNN, elman.LSTM, elman.GRU], ids=lambda kind: kind.__name__)


def _randomised(layer: RecurrentLayers) -> RecurrentLayers:
    """What is zero at first is not any more."""
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            if name.startswith("initial_"):
                parameter.normal_()
    return layer


def _flat(state: Any) -> list[Tensor]:
    """The tensors of a state in any form."""
    return [state] if isinstance(state, Tensor) else [tensor for part in state for tensor in _flat(part)]


@every_engine
@every_case
@pytest.mark.parametrize(("cut", "hidden_size"), [(3, 4), (5, [4, 3])], ids=["one_width", "widths"])
def test_a_stream_cut_anywhere_is_the_whole(case, engine, cut, hidden_size) -> None:
    """With lengths and resets; values, final state, all gradients. Backwards, the end comes first."""
    kind, options = CASES[case]
    layer = _randomised(kind(3, hidden_size, 2, engine=engine, dtype=torch.float64, **options)).eval()
    x, lengths = random(STEPS, 3, 3), torch.tensor(LENGTHS)
    reset = torch.zeros(STEPS, 3, dtype=torch.bool)
    reset[1, 0] = reset[4, 0] = reset[2, 2] = True

    def part(state: Any, start: int, stop: int) -> tuple[Tensor, Any]:
        within = (lengths - start).clamp(0, stop - start)
        return layer(x[start:stop], state, lengths=within, reset=reset[start:stop])

    def pieces(_: RecurrentLayers) -> tuple[Tensor, list[Tensor]]:
        bounds = [(0, cut), (cut, STEPS)]
        outputs, state = {}, None
        for start, stop in reversed(bounds) if layer.reverse else bounds:
            outputs[start, stop], state = part(state, start, stop)
        return torch.cat([outputs[piece] for piece in bounds]), _flat(state)

    def whole(_: RecurrentLayers) -> tuple[Tensor, list[Tensor]]:
        y, state = part(None, 0, STEPS)
        return y, _flat(state)

    assert_same(run(layer, pieces, [x]), run(layer, whole, [x]), 1e-11)


@every_class
@pytest.mark.parametrize("bidirectional", [False, True], ids=["forwards", "both_ways"])
@pytest.mark.parametrize("engine", ["reference", "torch", "native"])
def test_a_learnt_state_is_where_a_sequence_without_a_state_starts(kind, bidirectional, engine) -> None:
    """As if it had been given, with the gradient of all rows; zero at first. A given state goes before it."""
    layer = kind(3, 4, 2, bidirectional=bidirectional, learn_initial_state=True, engine=engine, dtype=torch.float64)
    x, names = random(5, 3, 3), layer.cell.state_type._fields
    places = [f"_l{k}{suffix}" for k in range(2) for suffix in ["", "_reverse"][: 1 + bidirectional]]

    def given(m: RecurrentLayers) -> Any:
        state = [torch.stack([getattr(m, f"initial_{name}{place}").expand(3, 4) for place in places]) for name in names]
        return m(x, tuple(state) if len(names) > 1 else state[0])

    assert all(value.eq(0).all() for value in tensors(layer.initial_state(3)))
    _randomised(layer)
    actual = run(layer, lambda m: m(x), [x])

    assert_same(actual, run(layer, given, [x]), 1e-12)
    assert actual["gradient of initial_h_l0"].ne(0).all()
    zeros = [torch.zeros_like(s) for s in tensors(layer.initial_state(3))]
    plain = kind(3, 4, 2, bidirectional=bidirectional, engine=engine, dtype=torch.float64)
    plain.load_state_dict({n: v for n, v in layer.state_dict().items() if not n.startswith("initial_")}, strict=True)
    assert torch.equal(layer(x, tuple(zeros) if len(names) > 1 else zeros[0])[0], plain(x)[0])


@every_class
@pytest.mark.parametrize(
    "options", [{}, {"bidirectional": True}, {"reverse": True}], ids=["forwards", "both", "reverse"]
)
@pytest.mark.parametrize("engine", ["reference", "torch"])
@pytest.mark.parametrize("recompute", [False, True])
def test_a_reset_starts_from_the_learnt_state(kind, options, engine, recompute) -> None:
    """Pieces between flags are sequences of their own, each from the learnt state: values and gradients, its own too."""
    layer = _randomised(
        kind(3, 4, 2, learn_initial_state=True, engine=engine, recompute=recompute, dtype=torch.float64, **options)
    )
    x, flagged = random(STEPS, 3, 3), [{2, 3}, set(), {0, 5}]
    reset = torch.tensor([[t in flagged[b] for b in range(3)] for t in range(STEPS)])

    def pieces(m: RecurrentLayers) -> tuple[Tensor, list[Tensor]]:
        rows = []
        for b in range(3):
            cuts = sorted({0, LENGTHS[b], *(t for t in flagged[b] if t < LENGTHS[b])})
            parts = [m(x[start:stop, b])[0] for start, stop in pairwise(cuts)]
            rows.append(torch.cat([*parts, x.new_zeros(STEPS - LENGTHS[b], m.output_size)]))
        return torch.stack(rows, 1), []

    actual = run(layer, lambda m: (m(x, lengths=LENGTHS, reset=reset)[0], []), [x])

    assert_same(actual, run(layer, pieces, [x]), 1e-11)


def test_a_learnt_state_is_part_of_the_module() -> None:
    """By name, for each state, layer and direction; it is what `initial_state` gives, with widths too."""
    layer = _randomised(elman.LSTM(3, [4, 2], 2, bidirectional=True, learn_initial_state=True))

    names = [name for name, _ in layer.named_parameters() if name.startswith("initial_")]
    h, c = layer.initial_state(5)

    assert sorted(names) == sorted(f"initial_{s}_l{k}{d}" for s in "hc" for k in (0, 1) for d in ("", "_reverse"))
    assert [tuple(s.shape) for s in (*h, *c)] == [(2, 5, 4), (2, 5, 2)] * 2
    assert torch.equal(c[1][1], layer.initial_c_l1_reverse.expand(5, 2))
    assert all(torch.equal(a, b) for a, b in zip(_flat(layer(torch.zeros(0, 5, 3))[1]), _flat((h, c)), strict=True))


@pytest.mark.parametrize("bidirectional", [False, True], ids=["forwards", "both_ways"])
def test_states_of_every_step_end_in_the_final_state(bidirectional) -> None:
    """With every option that has a place in a state, in evaluation."""
    layer = elman.LSTM(
        3, 4, 2, bidirectional=bidirectional, zoneout=0.2, clip_state=0.3, connections="highway", engine="reference"
    ).eval()

    y, (h, c), states = layer(torch.randn(5, 2, 3), return_all_states=True)

    for place, state in enumerate(states):
        ends = map_state(lambda s, place=place: s[0 if bidirectional and place % 2 else -1], state)
        assert torch.equal(ends.h, h[place])
        assert torch.equal(ends.c, c[place])
    assert c.abs().max() <= 0.3
    assert y.shape[-1] == layer.output_size
