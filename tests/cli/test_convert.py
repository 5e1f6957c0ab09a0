"""`elman convert` as a user runs it."""

from pathlib import Path
from typing import Any

import numpy
import onnxruntime
import pytest
import safetensors.torch
import torch
from test_bad_input import refused
from tiny import call
from torch import nn

import elman
from elman.convert import load, save

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def layers(tmp_path: Path) -> Path:
    """A file of layers."""
    path = tmp_path / "layers.safetensors"
    save(elman.GRU(3, 5, 2, bidirectional=True), path)
    return path


def test_a_trained_model_becomes_onnx(model: Path, tmp_path: Path, capsys: Capture) -> None:
    target = tmp_path / "model.onnx"
    assert call("convert", model, target, "--lengths") == 0
    recurrent = elman.load(model).recurrent
    parameters = sum(parameter.numel() for parameter in recurrent.parameters())
    said = f"{target} (onnx): 1 layer of lstm, 8 inputs, 16 hidden units, {parameters:,} parameters\n"
    assert capsys.readouterr().out == said

    x, h, c = torch.randn(5, 2, 8), torch.randn(1, 2, 16), torch.randn(1, 2, 16)
    feeds = {"input": x.numpy(), "lengths": numpy.array([5, 2], "int32"), "h_0": h.numpy(), "c_0": c.numpy()}
    session = onnxruntime.InferenceSession(target, providers=["CPUExecutionProvider"])
    with torch.no_grad():
        y, (h, c) = recurrent(x, (h, c), lengths=[5, 2])
    for ours, theirs in zip((y, h, c), session.run(["output", "h_n", "c_n"], feeds), strict=True):
        numpy.testing.assert_allclose(ours.numpy(), theirs, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["a.keras", "a.weights.h5", "a.onnx", "a.safetensors"])
def test_through_a_format_and_back_nothing_is_lost(name: str, layers: Path, tmp_path: Path, capsys: Capture) -> None:
    back = tmp_path / "back.safetensors"
    assert call("convert", layers, tmp_path / name) == 0
    assert call("convert", tmp_path / name, back) == 0
    assert "2 layers of gru, both directions, 3 inputs, 5 hidden units" in capsys.readouterr().out
    ours = load(layers).state_dict()
    assert all(torch.equal(value, ours[key]) for key, value in load(back).state_dict().items())


def test_what_a_file_does_not_say_can_be_told(tmp_path: Path, capsys: Capture) -> None:
    source = tmp_path / "state.safetensors"
    network = nn.ModuleDict({"rnn": nn.RNN(3, 5, nonlinearity="relu"), "other": nn.GRU(3, 5)})
    safetensors.torch.save_file(network.state_dict(), source)
    told = ("--part", "rnn", "--nonlinearity", "relu")
    assert call("convert", source, tmp_path / "a.npz", *told, "--to", "flax") == 0
    assert "(flax): 1 layer of elman" in capsys.readouterr().out
    refused(capsys, "convert", tmp_path / "a.npz", tmp_path / "b.safetensors", says=("tanh or ReLU", "--nonlinearity"))
    flags = ("--nonlinearity", "relu", "--one-direction", "--from", "flax", "--to", "elman")
    assert call("convert", tmp_path / "a.npz", tmp_path / "b.safetensors", *flags) == 0
    assert load(tmp_path / "b.safetensors").nonlinearity == "relu"


def test_a_file_that_exists_is_kept(layers: Path, tmp_path: Path, capsys: Capture) -> None:
    target = tmp_path / "a.onnx"
    target.write_text("mine")
    refused(capsys, "convert", layers, target, says=("a.onnx exists", "--overwrite"))
    assert target.read_text() == "mine"
    assert call("convert", layers, target, "--overwrite") == 0


def _pickle(path: Path) -> Path:
    path.write_bytes(b"\x80\x02}q")
    return path


def _mixed(path: Path) -> Path:
    network = nn.ModuleDict({"a": nn.LSTM(3, 5), "b": nn.GRU(3, 5)})
    safetensors.torch.save_file(network.state_dict(), path)
    return path


def _projected(path: Path) -> Path:
    save(elman.LSTM(3, 5, proj_size=2), path)
    return path


def _damaged(path: Path) -> Path:
    save(elman.LSTM(3, 5), path)
    path.write_bytes(path.read_bytes()[:200])
    return path


BAD: dict[str, tuple[Any, list[str], tuple[str, ...]]] = {
    "missing": (lambda tmp: tmp / "none.onnx", [], ("none.onnx does not exist",)),
    "damaged": (lambda tmp: _damaged(tmp / "x.safetensors"), [], ("x.safetensors", "damaged")),
    "pickle": (lambda tmp: _pickle(tmp / "x.pt"), [], ("x.pt is a pickle", "safetensors.torch.save_file")),
    "mixed": (lambda tmp: _mixed(tmp / "x.safetensors"), [], ("2 stacks", "'a'", "'b'", "--part")),
    "unknown_part": (lambda tmp: _mixed(tmp / "x.safetensors"), ["--part", "c"], ("no part 'c'",)),
    "unknown_format": (lambda tmp: _mixed(tmp / "x.safetensors"), ["--from", "caffe"], ("'caffe' is not known",)),
    "another_format": (lambda tmp: _mixed(tmp / "x.safetensors"), ["--from", "keras"], ("no file of Keras's",)),
    "no_place": (lambda tmp: _projected(tmp / "x.safetensors"), [], ("projection_size=2", "no place in ONNX")),
    "no_model": (lambda tmp: tmp, [], ("config.json is missing",)),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_and_nothing_is_written(name: str, tmp_path: Path, capsys: Capture) -> None:
    make, flags, says = BAD[name]
    source = make(tmp_path)
    there = sorted(tmp_path.iterdir())
    refused(capsys, "convert", source, tmp_path / "out.onnx", *flags, says=says)
    assert sorted(tmp_path.iterdir()) == there


def test_a_target_that_can_not_be_written_is_refused(layers: Path, tmp_path: Path, capsys: Capture) -> None:
    refused(capsys, "convert", layers, tmp_path / "none" / "a.onnx", says=("could not be written",))
    refused(capsys, "convert", layers, tmp_path / "a.what", says=("says no format", ".onnx"))
