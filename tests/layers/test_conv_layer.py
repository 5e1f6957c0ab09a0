"""`elman.ConvLSTM`: frames in every layout, layers, directions, lengths and resets, against the cell's own scan."""

from typing import Any

import pytest
import torch
from torch import Tensor

from elman.engines import scan
from elman.errors import OptionError, ShapeError
from elman.layers.conv import ConvLSTM

IN, CHANNELS, FRAME, STEPS, BATCH = 2, 3, (3, 4), 5, 2


def _layer(**options: Any) -> ConvLSTM:
    torch.manual_seed(1)
    return ConvLSTM(IN, CHANNELS, FRAME, dtype=torch.float64, **options)


def _frames(*axes: int) -> Tensor:
    return torch.randn(*axes, *FRAME, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


def _state(layers: int) -> tuple[Tensor, Tensor]:
    h, c = _frames(2, layers, BATCH, CHANNELS)
    return h, c


def test_layers_stand_on_each_other() -> None:
    """Each is a scan of the cell over frames as rows."""
    layer, x, (h, c) = _layer(num_layers=2), _frames(STEPS, BATCH, IN), _state(2)

    y, (h_last, c_last) = layer(x, (h, c))

    rows = x.flatten(2)
    for k in range(2):
        weights = {name: getattr(layer, f"{name}_l{k}") for name in layer.cell.weight_shapes(IN * 12)}
        state = layer.cell.state_type(h[k].flatten(1), c[k].flatten(1))
        rows, last = scan(layer.cell, weights, rows, state)
        torch.testing.assert_close(h_last[k].flatten(1), last.h, rtol=1e-13, atol=1e-13)
        torch.testing.assert_close(c_last[k].flatten(1), last.c, rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(y.flatten(2), rows, rtol=1e-13, atol=1e-13)
    assert y.shape == (STEPS, BATCH, CHANNELS, *FRAME)
    assert h_last.shape == c_last.shape == (2, BATCH, CHANNELS, *FRAME)


def test_every_layout_gives_the_same() -> None:
    layer, first = _layer(), _layer(batch_first=True)
    x, state = _frames(STEPS, BATCH, IN), _state(1)
    y, last = layer(x, state)

    y_first, last_first = first(x.transpose(0, 1), state)
    y_single, last_single = layer(x[:, 0], tuple(s[:, 0] for s in state))

    torch.testing.assert_close(y_first.transpose(0, 1), y)
    torch.testing.assert_close(last_first, last)
    torch.testing.assert_close(y_single, y[:, 0])
    torch.testing.assert_close(last_single, tuple(s[:, 0] for s in last))


def test_both_directions_give_channels_side_by_side() -> None:
    layer, x = _layer(bidirectional=True, num_layers=2), _frames(STEPS, BATCH, IN)

    y, (h, _) = layer(x)

    assert y.shape == (STEPS, BATCH, 2 * CHANNELS, *FRAME)
    torch.testing.assert_close(h[2:], torch.stack([y[-1, :, :CHANNELS], y[0, :, CHANNELS:]]))


def test_lengths_and_resets_cut_sequences_of_frames() -> None:
    layer, x, state = _layer(), _frames(STEPS, BATCH, IN), _state(1)
    reset = torch.zeros(STEPS, BATCH, dtype=torch.bool)
    reset[2, 1] = True
    padded = x.clone()
    padded[3:, 0] = torch.nan

    y, (h, c), states = layer(padded, state, lengths=[3, 5], reset=reset, return_all_states=True)

    y_0, last_0 = layer(x[:3, 0], tuple(s[:, 0] for s in state))
    y_1, last_1 = layer(x[2:, 1])
    torch.testing.assert_close(y[:3, 0], y_0)
    assert y[3:, 0].eq(0).all()
    torch.testing.assert_close(y[2:, 1], y_1)
    torch.testing.assert_close((h[:, 0], c[:, 0]), last_0)
    torch.testing.assert_close((h[:, 1], c[:, 1]), last_1)
    torch.testing.assert_close(states[0].h, y)
    torch.testing.assert_close(states[0].c[-1, 1], c[0, 1])


def test_the_cells_options_are_given_by_name() -> None:
    layer = _layer(peepholes=True, kernel_size=5, bias=False)

    assert layer.cell.peepholes
    assert layer.weight_ih_l0.shape == (4 * CHANNELS, IN, 5, 5)
    assert layer.weight_ph_l0.shape == (3 * CHANNELS * 12,)
    assert not any("bias" in name for name, _ in layer.named_parameters())


def test_frames_that_dont_fit_are_named() -> None:
    layer = _layer()
    with pytest.raises(ShapeError, match=r"the input has shape .* the last three axes must be \(2, 3, 4\)"):
        layer(_frames(STEPS, BATCH, IN + 1))
    with pytest.raises(ShapeError, match=r"the input has shape \(2, 3, 4\)"):
        layer(_frames(IN))
    with pytest.raises(ShapeError, match=r"the state c has shape .* \(3, 3, 4\)"):
        layer(_frames(STEPS, BATCH, IN), (_frames(1, BATCH, CHANNELS), _frames(1, BATCH, IN)))
    with pytest.raises(ShapeError, match=r"a pair \(h, c\)"):
        layer(_frames(STEPS, BATCH, IN), (_frames(1, BATCH, CHANNELS),))


@pytest.mark.parametrize("option", ["input_channels", "channels"])
def test_channels_are_counted(option: str) -> None:
    with pytest.raises(OptionError, match=f"{option}=0 must be a whole number"):
        ConvLSTM(**{"input_channels": 1, "channels": 1, "frame": FRAME, option: 0})
