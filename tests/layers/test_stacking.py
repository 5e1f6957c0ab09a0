"""How layers are put together: widths, connections, directions. Each held to single layers chained by hand."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from laws import assert_same
from torch import Tensor
from torch.func import functional_call
from twins import random, run

import elman
from elman.errors import OptionError, ShapeError
from elman.layers import RecurrentLayers

every_engine = pytest.mark.parametrize("engine", ["reference", "native"])
CLASSES = {"RNN": elman.RNN, "LSTM": elman.LSTM, "GRU": elman.GRU}
every_class = pytest.mark.parametrize("kind", CLASSES)
every_connection = pytest.mark.parametrize("connections", ["plain", "residual", "highway", "dense"])
LENGTHS = [6, 0, 4]


def _alone(layer: RecurrentLayers, k: int, x_TBD: Tensor, **call: Any) -> tuple[Tensor, Any]:
    """Layer number k on its own, with the parameters of the whole."""
    width = layer.hidden_size[k] if isinstance(layer.hidden_size, tuple) else layer.hidden_size
    single = type(layer)(
        x_TBD.shape[-1], width, bidirectional=layer.bidirectional, engine=layer.engine, dtype=torch.float64
    )
    weights = {name: getattr(layer, name.replace("_l0", f"_l{k}")) for name in single.state_dict()}
    return functional_call(single, weights, (x_TBD,), call)


def _chained(
    layer: RecurrentLayers, x_TBD: Tensor, lengths: Sequence[int] | None = None
) -> tuple[Tensor, list[Tensor]]:
    """The whole by its equations, and the final state h of each layer."""
    if lengths is not None:
        x_TBD = torch.where(torch.arange(x_TBD.shape[0])[:, None, None] < torch.tensor(lengths)[:, None], x_TBD, 0)
    finals = []
    for k in range(layer.num_layers):
        y, last = _alone(layer, k, x_TBD, lengths=lengths)
        finals.append(last[0] if isinstance(last, tuple) else last)
        if layer.merge == "sum":
            y = sum(y.chunk(2, -1))
        if layer.connections in {"residual", "highway"}:
            past = x_TBD @ getattr(layer, f"weight_skip_l{k}").T if x_TBD.shape[-1] != y.shape[-1] else x_TBD
            if layer.connections == "residual":
                y = y + past
            else:
                t = torch.sigmoid(x_TBD @ getattr(layer, f"weight_carry_l{k}").T + getattr(layer, f"bias_carry_l{k}"))
                y = t * y + (1 - t) * past
        if lengths is not None:
            y = torch.where(torch.arange(y.shape[0])[:, None, None] < torch.tensor(lengths)[:, None], y, 0)
        x_TBD = torch.cat([x_TBD, y], -1) if layer.connections == "dense" else y
    return y, finals


@every_class
@every_connection
@every_engine
@pytest.mark.parametrize(
    ("hidden_size", "merge"),
    [(4, None), ([4, 4, 2], "concat"), (4, "sum")],
    ids=["one_way", "both_ways-widths", "both_ways-sum"],
)
def test_a_stack_equals_its_layers_chained_by_hand(kind, connections, engine, hidden_size, merge) -> None:
    """Values, final states and all gradients; the first layer's input is as wide as its output, or not."""
    layer = CLASSES[kind](
        4,
        hidden_size,
        3,
        bidirectional=merge is not None,
        merge=merge or "concat",
        connections=connections,
        engine=engine,
        dtype=torch.float64,
    )
    x = random(6, 3, 4)

    def whole(m: RecurrentLayers) -> tuple[Tensor, list[Tensor]]:
        y, last = m(x)
        h = last[0] if kind == "LSTM" else last
        return y, list(h) if isinstance(hidden_size, list) else list(h.split(2 if merge else 1))

    actual = run(layer, whole, [x])

    assert_same(actual, run(layer, lambda m: _chained(m, x), [x]), 1e-11)
    assert actual["y"].shape[-1] == layer.output_size


@every_connection
@every_engine
def test_beyond_a_rows_length_there_is_nothing_whatever_goes_past_a_layer(connections, engine) -> None:
    """Outputs are 0 there, and no gradient comes from there, even if the padding is NaN."""
    layer = elman.GRU(3, [4, 2], 2, connections=connections, bidirectional=True, engine=engine, dtype=torch.float64)
    valid = torch.arange(6)[:, None] < torch.tensor(LENGTHS)
    x = torch.randn(6, 3, 3, dtype=torch.float64)
    clean, dirty = (torch.where(valid[..., None], x, fill).requires_grad_() for fill in (0.0, torch.nan))

    actual = run(layer, lambda m: m(dirty, lengths=LENGTHS), [dirty])

    expected = run(layer, lambda m: _chained(m, clean, LENGTHS), [clean])
    assert_same(actual, expected, 1e-11)
    assert actual["y"][~valid].eq(0).all()
    assert actual["gradient of leaf 0"][~valid].eq(0).all()


@every_class
def test_with_widths_each_state_is_a_tuple_with_a_tensor_for_each_layer(kind) -> None:
    """Given and returned, batched and not; a list of equal widths too."""
    for widths in ([5, 2, 3], (4, 4, 4)):
        layer = CLASSES[kind](3, widths, 3, bidirectional=True, dtype=torch.float64)
        shapes = [(2, 6, width) for width in widths]
        state = tuple(torch.randn(shape, dtype=torch.float64) for shape in shapes)
        given = (state, tuple(s.tanh() for s in state)) if kind == "LSTM" else state
        alone = (
            tuple(tuple(s[:, 0] for s in part) for part in given) if kind == "LSTM" else tuple(s[:, 0] for s in state)
        )
        x = torch.randn(4, 6, 3, dtype=torch.float64)

        y, last = layer(x, given)
        y_alone, last_alone = layer(x[:, 0], alone)

        assert layer.hidden_size == tuple(widths)
        assert [cell.hidden_size for cell in layer.cells] == list(widths)
        assert layer.cell is layer.cells[0]
        for part, part_alone in zip(*((p if kind == "LSTM" else (p,)) for p in (last, last_alone)), strict=True):
            assert [tuple(s.shape) for s in part] == shapes
            for s, s_alone in zip(part, part_alone, strict=True):
                torch.testing.assert_close(s_alone, s[:, 0], rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(y_alone, y[:, 0], rtol=1e-12, atol=1e-12)


def test_equal_widths_compute_what_one_width_does() -> None:
    layers = [elman.LSTM(3, size, 2, proj_size=2, dtype=torch.float64) for size in (4, [4, 4])]
    layers[1].load_state_dict(layers[0].state_dict(), strict=True)
    x, h, c = random(5, 2, 3), random(2, 2, 2), random(2, 2, 4)

    y, (h_last, c_last) = layers[1](x, (h.split(1), c.split(1)))

    y_expected, (h_expected, c_expected) = layers[0](x, (h, c))
    assert torch.equal(y, y_expected)
    assert torch.equal(torch.cat(h_last), h_expected)
    assert torch.equal(torch.cat(c_last), c_expected)


def test_every_state_of_every_step_has_its_layers_width() -> None:
    layer = elman.LSTM(3, [4, 2], 2, bidirectional=True)

    _, _, states = layer(torch.randn(5, 6, 3), return_all_states=True)

    assert [tuple(state.c.shape) for state in states] == [(5, 6, 4), (5, 6, 4), (5, 6, 2), (5, 6, 2)]


@every_class
@every_engine
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["dense", "lengths"])
def test_reverse_is_forwards_on_what_is_turned_round(kind, engine, lengths) -> None:
    """Row by row within its length; values, final state, all gradients, two layers. Parameters keep their names."""
    ours = CLASSES[kind](3, 4, 2, reverse=True, engine=engine, dtype=torch.float64)
    forwards = CLASSES[kind](3, 4, 2, engine=engine, dtype=torch.float64)
    forwards.load_state_dict(ours.state_dict(), strict=True)
    x, h = random(6, 3, 3), random(2, 3, 4)
    state = (h, random(2, 3, 4)) if kind == "LSTM" else h

    def turned(sequence: Tensor) -> Tensor:
        rows = zip(sequence.unbind(1), lengths or [6] * 3, strict=True)
        return torch.stack([torch.cat([row[:length].flip(0), row[length:]]) for row, length in rows], 1)

    def by_hand(m: RecurrentLayers) -> tuple[Tensor, Any]:
        y, last = m(turned(x), state, lengths=lengths)
        return turned(y), last

    actual = run(ours, lambda m: m(x, state, lengths=lengths), [x, h])

    assert_same(actual, run(forwards, by_hand, [x, h]), 1e-11)


def test_sum_is_the_sum_of_what_would_stand_side_by_side() -> None:
    ours = elman.GRU(3, 4, bidirectional=True, merge="sum", dtype=torch.float64)
    beside = elman.GRU(3, 4, bidirectional=True, dtype=torch.float64)
    beside.load_state_dict(ours.state_dict(), strict=True)
    x = random(5, 2, 3)

    assert torch.equal(ours(x)[0], sum(beside(x)[0].chunk(2, -1)))
    assert (ours.output_size, beside.output_size) == (4, 8)


@pytest.mark.usefixtures("unchecked_types")
@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"hidden_size": [4, 3]}, r"hidden_size=\[4, 3\] has 2 widths, and num_layers is 3: give one for each layer"),
        ({"hidden_size": []}, r"hidden_size=\[\] must be a whole number"),
        ({"hidden_size": [4, 0, 3]}, r"each width in hidden_size=0 must be a whole number of at least 1"),
        ({"merge": "mean"}, r"merge='mean' is not known: choose from concat, sum"),
        ({"merge": "sum"}, r"merge='sum' joins two directions and there is one: give bidirectional=True"),
        ({"reverse": True, "bidirectional": True}, r"reverse=True .* bidirectional=True .*: give one of them"),
        ({"connections": "skip"}, r"connections='skip' is not known: choose from plain, residual, highway, dense"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_said(options: dict[str, Any], says: str) -> None:
    with pytest.raises(OptionError, match=says):
        elman.GRU(**{"input_size": 3, "hidden_size": 4, "num_layers": 3, **options})


@pytest.mark.usefixtures("unchecked_types")
@pytest.mark.parametrize(
    ("state", "says"),
    [
        (torch.zeros(2, 6, 4), r"the state h is not a tuple of 2 tensors: each layer has a size of its own"),
        ((torch.zeros(1, 6, 4),), r"the state h is not a tuple of 2 tensors"),
        (
            (torch.zeros(1, 6, 4), torch.zeros(1, 6, 4)),
            r"the state h of layer 1 has shape \(1, 6, 4\): give \(1, 6, 2\)",
        ),
        ((torch.zeros(1, 6, 4), None), r"the state h of layer 1 is a NoneType: give a tensor of shape \(1, 6, 2\)"),
    ],
    ids=["tensor", "few", "width", "none"],
)
def test_a_state_by_layer_is_checked_layer_by_layer(state: Any, says: str) -> None:
    with pytest.raises(ShapeError, match=says):
        elman.GRU(3, [4, 2], 2)(torch.zeros(5, 6, 3), state)
