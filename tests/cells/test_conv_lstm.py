"""The convolutional LSTM's cell: its equations by PyTorch's convolution, frame by frame; its sizes and initial values."""

from typing import Any

import pytest
import torch
from laws import Case, Results, assert_same, random_case, values_and_gradients
from torch.nn.functional import conv2d

from elman.cells import LSTMCell
from elman.cells.conv_lstm import ConvLSTMCell
from elman.engines import Engine, scan
from elman.errors import OptionError

FRAME, IN, CHANNELS, STEPS, BATCH = (3, 4), 2, 3, 4, 2


def _case(seed: int, **options: Any) -> Case:
    cell = ConvLSTMCell.of_frames(CHANNELS, FRAME, **options)
    return random_case(cell.for_input(IN * 12), STEPS, BATCH, IN * 12, seed, "cpu")


def _by_elman(case: Case) -> Results:
    y, (h, c) = scan(case.cell, case.weights, case.x_TBD, case.state, engine=Engine.REFERENCE)
    return {"y": y, "h": h, "c": c}


def _by_frames(case: Case) -> Results:
    """Equation 3 of the paper, a convolution for each gate, over frames (B, C, height, width)."""
    w, k = case.weights, case.cell.kernel_size
    h, c = (s.reshape(BATCH, CHANNELS, *FRAME) for s in case.state)
    p = w["weight_ph"].reshape(-1, CHANNELS, *FRAME) if case.cell.peepholes else torch.zeros(3, CHANNELS, *FRAME)
    rows = [slice(gate * CHANNELS, (gate + 1) * CHANNELS) for gate in range(len(case.cell.gate_names))]
    ys = []
    for x in case.x_TBD.reshape(STEPS, BATCH, IN, *FRAME):
        sums = []
        for gate in rows:
            total = conv2d(x, w["weight_ih"][gate], padding=k // 2) + conv2d(h, w["weight_hh"][gate], padding=k // 2)
            for name in ("bias_ih", "bias_hh"):
                if name in w:
                    total = total + w[name][gate].reshape(-1, 1, 1)
            sums.append(total)
        *first, f, g, o = sums
        f = torch.sigmoid(f + p[-2] * c)
        i = torch.sigmoid(first[0] + p[0] * c) if first else 1 - f
        c = f * c + i * torch.tanh(g)
        h = torch.sigmoid(o + p[-1] * c) * torch.tanh(c)
        ys.append(h.reshape(BATCH, -1))
    return {"y": torch.stack(ys), "h": h.reshape(BATCH, -1), "c": c.reshape(BATCH, -1)}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"bias": False},
        {"recurrent_bias": False},
        {"kernel_size": 1},
        {"kernel_size": 5, "peepholes": True},
        {"coupled": True, "peepholes": True},
    ],
    ids=str,
)
def test_a_scan_equals_the_equations_over_frames(options: dict[str, Any]) -> None:
    case = _case(1, **options)

    assert_same(values_and_gradients(case, _by_elman), values_and_gradients(case, _by_frames), 1e-12)


def test_of_single_pixels_it_is_an_lstm() -> None:
    case = random_case(ConvLSTMCell(5, kernel_size=1).for_input(3), STEPS, BATCH, 3, 2, "cpu")
    flat = {name: w.flatten(1) if w.dim() == 4 else w for name, w in case.weights.items()}

    assert_same(_by_elman(case), _by_elman(Case(LSTMCell(5), flat, case.x_TBD, case.state)), 1e-12)


@pytest.mark.parametrize("option", ["variational_dropout", "recurrent_dropout"])
def test_dropout_drops_units_of_frames(option: str) -> None:
    case = _case(3, **{option: 0.5})
    ((name, mask),) = case.cell.masks.items()
    shape = (STEPS, BATCH, mask.size) if mask.every_step else (BATCH, mask.size)
    drops = {name: (torch.arange(mask.size) % 2).to(torch.float64).expand(shape)}

    y, _ = scan(case.cell, case.weights, case.x_TBD, case.state, masks=drops, engine=Engine.REFERENCE)

    assert not torch.allclose(y, _by_elman(case)["y"], atol=1e-3)


def test_auto_leaves_it_to_the_reference_engine() -> None:
    case = _case(4)

    y, _ = scan(case.cell, case.weights, case.x_TBD, case.state)

    assert torch.equal(y, _by_elman(case)["y"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"hidden_size": 10, "frame": (2, 3)}, "hidden_size=10 must be a number of channels times .* 2 x 3"),
        ({"hidden_size": 12, "frame": (2, 3), "input_size": 5}, "input_size=5 must be a number of channels"),
        ({"hidden_size": 12, "frame": (0, 3)}, "height=0 must be a whole number"),
        ({"hidden_size": 12, "kernel_size": 2}, "kernel_size=2 must be odd"),
        ({"hidden_size": 12, "projection_size": 2}, "proj_size=2: a convolutional LSTM has no projection"),
        ({"hidden_size": 12, "layer_norm": True}, "layer_norm=True: the cell 'conv_lstm' has no place"),
    ],
)
def test_sizes_that_make_no_frames_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        ConvLSTMCell(**arguments)


def test_initial_weights_are_those_of_a_convolution() -> None:
    """Bounds by the kernel, not by the frame, as `torch.nn.Conv2d`'s."""
    cell = ConvLSTMCell.of_frames(CHANNELS, (20, 20), peepholes=True)
    weights = {name: torch.full(shape, torch.nan) for name, shape in cell.weight_shapes(IN * 400).items()}

    cell.initialise(weights)

    for name, weight in weights.items():
        bound = ((IN if name.endswith("_ih") else CHANNELS) * 9) ** -0.5
        assert 0.7 * bound < weight.abs().max() <= bound, name
