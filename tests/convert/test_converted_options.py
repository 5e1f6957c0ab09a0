"""Options of cells and layers: in the formats that have them, refused by name by the others, all of them in elman's file."""

from pathlib import Path
from typing import Any

import pytest
import stacks
import torch
from stacks import assert_close, assert_equal_layers, every_bias, every_direction
from test_onnx import LENGTHS, one_node, run

import elman
from elman.convert import from_onnx, load, save, to_flax, to_keras, to_onnx, to_pytorch
from elman.errors import ConvertError

EVERY_TARGET = {"PyTorch": to_pytorch, "Keras": to_keras, "Flax": to_flax, "ONNX": to_onnx}
every_target = pytest.mark.parametrize("target", EVERY_TARGET)


@pytest.mark.parametrize(
    "options",
    [{"peepholes": True}, {"coupled": True}, {"peepholes": True, "coupled": True}],
    ids=["peepholes", "coupled", "both"],
)
@every_bias
@every_direction
def test_onnx_has_peepholes_and_coupled_gates(options, bias, bidirectional) -> None:
    ours = stacks.layers("lstm", bias=bias, bidirectional=bidirectional, **options)
    x, before = stacks.sequence(), stacks.states(ours)
    model = to_onnx(ours, lengths=True)

    assert_close(stacks.outputs(ours, x, before, LENGTHS), run(model, x, before, LENGTHS))
    (back,) = from_onnx(model)
    assert_equal_layers(back, ours)


@pytest.mark.parametrize("kind", stacks.KINDS)
def test_onnx_has_a_direction_backwards(kind) -> None:
    ours = stacks.layers(kind, reverse=True)
    x, before = stacks.sequence(), stacks.states(ours)
    model = to_onnx(ours, lengths=True)

    assert_close(stacks.outputs(ours, x, before, LENGTHS), run(model, x, before, LENGTHS))
    (back,) = from_onnx(model)
    assert_equal_layers(back, ours)
    assert back.reverse


def test_a_node_of_onnx_with_coupled_gates_is_read() -> None:
    (ours,) = from_onnx(one_node("LSTM", input_forget=1))
    assert ours.cell.coupled


@pytest.mark.parametrize("kind", ["lstm", "gru", "tanh"])
@every_target
def test_one_bias_is_two_of_which_one_is_zero(kind, target) -> None:
    ours = stacks.layers(kind, recurrent_bias=False)
    x, before = stacks.sequence(), stacks.states(ours)
    plain = stacks.layers(kind)
    plain.load_state_dict({**plain.state_dict(), **ours.state_dict()})
    with torch.no_grad():
        for name, parameter in plain.named_parameters():
            if name.startswith("bias_hh"):
                parameter.zero_()

    assert_close(stacks.outputs(ours, x, before), stacks.outputs(plain, x, before))
    one, other = EVERY_TARGET[target](ours), EVERY_TARGET[target](plain)
    if target == "PyTorch":
        assert all(torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())
    elif target == "ONNX":
        assert one == other
    else:
        assert str(one) == str(other)


ACTIVE: dict[str, tuple[dict[str, Any], str]] = {
    "layer_norm": ({"layer_norm": True}, "layer_norm=True"),
    "zoneout": ({"zoneout": 0.1}, "zoneout=0.1"),
    "clip_state": ({"clip_state": 2.0}, "clip_state=2.0"),
    "merge": ({"bidirectional": True, "merge": "sum"}, "merge='sum'"),
    "connections": ({"connections": "residual"}, "connections='residual'"),
    "learn_initial_state": ({"learn_initial_state": True}, "learnt initial state"),
}
IN_TRAINING: dict[str, Any] = {
    "recurrent_dropout": 0.2,
    "variational_dropout": 0.2,
    "clip_gradient": 1.0,
    "weight_drop": 0.3,
    "locked_dropout": True,
}


@pytest.mark.parametrize("option", ACTIVE)
@every_target
def test_what_changes_the_numbers_is_refused_by_name(option, target) -> None:
    options, says = ACTIVE[option]
    with pytest.raises(ConvertError, match=f"{says}.*no place in {target}"):
        EVERY_TARGET[target](stacks.layers("lstm", **options))


@every_target
def test_widths_of_their_own_are_refused(target) -> None:
    with pytest.raises(ConvertError, match=r"hidden_size=\(5, 4\).*no place in"):
        EVERY_TARGET[target](elman.LSTM(3, (5, 4), 2))


@pytest.mark.parametrize("target", ["PyTorch", "Keras", "Flax"])
@pytest.mark.parametrize("options", [{"peepholes": True}, {"coupled": True}, {"reverse": True}], ids=str)
def test_what_onnx_alone_has_is_refused_by_the_others(target, options) -> None:
    with pytest.raises(ConvertError, match=f"{next(iter(options))}=True .*no place in {target}"):
        EVERY_TARGET[target](stacks.layers("lstm", **options))


def test_what_acts_in_training_alone_is_left_behind() -> None:
    ours = stacks.layers("lstm", dropout=0.2, **IN_TRAINING)
    x, before = stacks.sequence(), stacks.states(ours)
    assert_close(stacks.outputs(ours, x, before), run(to_onnx(ours), x, before))


@pytest.mark.parametrize("option", [*ACTIVE, "training", "widths", "reverse", "another_cell"])
def test_elmans_own_file_keeps_every_option(option, tmp_path: Path) -> None:
    ours = {
        "training": lambda: stacks.layers("lstm", dropout=0.2, **IN_TRAINING),
        "widths": lambda: elman.GRU(3, (5, 4), 2),
        "reverse": lambda: stacks.layers("gru", reverse=True),
        "another_cell": lambda: elman.Recurrent("lstm", 3, 5, 2, zoneout=(0.1, 0.2)),
    }.get(option, lambda: stacks.layers("lstm", **ACTIVE[option][0]))()
    ours.eval()
    save(ours, tmp_path / "layers.safetensors")
    again = load(tmp_path / "layers.safetensors").eval()

    assert again.cells == ours.cells
    names = ("hidden_size", "merge", "reverse", "connections", "locked_dropout", "weight_drop", "learn_initial_state")
    assert all(getattr(again, name) == getattr(ours, name) for name in names)
    x = stacks.sequence()
    assert torch.equal(again(x)[0], ours(x)[0])


def test_a_cell_of_ones_own_has_no_file(tmp_path: Path) -> None:
    class MyCell(elman.LSTM(3, 5).cell.__class__):
        pass

    with pytest.raises(ConvertError, match="isn't one of elman's"):
        save(elman.Recurrent(MyCell(5), 3), tmp_path / "layers.safetensors")
    with pytest.raises(ConvertError, match="has no place in ONNX"):
        to_onnx(elman.Recurrent(MyCell(5), 3))
