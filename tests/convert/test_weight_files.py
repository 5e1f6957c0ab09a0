"""Files of every format: recognised, read, written, read again; elman's own says all of itself; bad ones are refused."""

import json
import os
import random
import zipfile
from pathlib import Path
from typing import Any

import numpy
import pytest
import safetensors.torch
import stacks
import torch
from stacks import assert_close, assert_equal_layers, every_bias, every_direction, every_kind
from torch import nn

import elman
from elman.convert import Told, load, read, save, to_flax, write
from elman.convert.files import recognise
from elman.errors import ConvertError

os.environ["KERAS_BACKEND"] = "torch"

import keras

# Keras's torch backend gives numpy tensors of torch, which have no `copy` in their `__array__`.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

NAMES = {
    "elman": "layers.safetensors",
    "pytorch": "layers.safetensors",
    "keras": "layers.keras",
    "keras_weights": "layers.weights.h5",
    "flax": "layers.npz",
    "flax_safetensors": "layers.safetensors",
    "onnx": "layers.onnx",
}


def told(kind: str, bidirectional: bool) -> Told:
    return Told(
        nonlinearity=kind if kind in ("tanh", "relu") else None,
        reset_after=kind == "gru",
        bidirectional=bidirectional,
    )


@every_kind
@every_direction
@every_bias
@pytest.mark.parametrize("name", NAMES)
def test_what_is_written_is_recognised_and_computes_the_same(name, kind, bidirectional, bias, tmp_path: Path) -> None:
    path, form = tmp_path / NAMES[name], name.split("_")[0]
    ours = stacks.layers(kind, bidirectional=bidirectional, bias=bias, batch_first=True)
    if kind == "gru_reset_before" and form in ("pytorch", "flax"):
        with pytest.raises(ConvertError, match="reset_after=False"):
            write(ours, path, form)
        assert not path.exists()
        return

    assert write(ours, path, form) == form
    assert recognise(path) == form
    again = read(path, told=told(kind, bidirectional))
    x, before = stacks.sequence(batch_first=True), stacks.states(ours)
    found = stacks.outputs(again, x if again.batch_first else x.transpose(0, 1), before)
    wanted = stacks.outputs(ours, x, before)
    assert_close([found[0] if again.batch_first else found[0].transpose(0, 1), *found[1:]], wanted)


@every_kind
@every_direction
def test_elmans_own_file_is_the_layers_bit_by_bit(kind, bidirectional, tmp_path: Path) -> None:
    ours = stacks.layers(kind, bidirectional=bidirectional, batch_first=True, dropout=0.25, dtype=torch.float64)
    save(ours, tmp_path / "layers.safetensors")
    again = load(tmp_path / "layers.safetensors")
    assert_equal_layers(again, ours)
    assert (again.batch_first, again.dropout) == (True, 0.25)
    # PyTorch reads it too.
    if kind != "gru_reset_before":
        made = {"tanh": nn.RNN, "relu": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}[kind]
        theirs = made(3, 5, 2, bidirectional=bidirectional, dtype=torch.float64)
        theirs.load_state_dict(safetensors.torch.load_file(tmp_path / "layers.safetensors"))


def test_a_projection_is_kept(tmp_path: Path) -> None:
    ours = elman.LSTM(3, 5, 2, proj_size=2)
    save(ours, tmp_path / "layers.safetensors")
    assert_equal_layers(load(tmp_path / "layers.safetensors"), ours)


@every_kind
@every_direction
def test_keras_opens_what_is_written(kind, bidirectional, tmp_path: Path) -> None:
    ours = stacks.layers(kind, bidirectional=bidirectional, batch_first=True)
    x = stacks.sequence(batch_first=True)
    write(ours, tmp_path / "model.keras")
    model = keras.models.load_model(tmp_path / "model.keras")
    with torch.no_grad():
        assert_close([ours(x)[0]], [model(x)])
        for weight in model.weights:
            weight.assign(torch.zeros(weight.shape))
        write(ours, tmp_path / "model.weights.h5")
        model.load_weights(tmp_path / "model.weights.h5")
        assert_close([ours(x)[0]], [model(x)])


def keras_model(tmp_path: Path, functional: bool) -> tuple[Any, Path]:
    """Embedding, two layers of LSTM with a dropout between, something else, a GRU: as users have them."""
    layers = [
        keras.layers.Embedding(11, 3),
        keras.layers.Bidirectional(keras.layers.LSTM(5, return_sequences=True), name="lower"),
        keras.layers.Dropout(0.5),
        keras.layers.Bidirectional(keras.layers.LSTM(5, return_sequences=True), name="upper"),
        keras.layers.LayerNormalization(),
        keras.layers.GRU(4, name="last"),
    ]
    if functional:
        start = x = keras.Input((None,))
        for layer in layers:
            x = layer(x)
        model = keras.Model(start, x)
    else:
        model = keras.Sequential([keras.Input((None,)), *layers])
    model.save(tmp_path / "model.keras")
    return model, tmp_path / "model.keras"


@pytest.mark.parametrize("functional", [False, True], ids=["sequential", "functional"])
def test_a_model_of_keras_says_which_layers_belong_together(functional, tmp_path: Path) -> None:
    model, path = keras_model(tmp_path, functional)
    with pytest.raises(ConvertError, match=r"2 stacks .*'lower' \(2 of lstm, both directions, 3 to 5\); 'last'"):
        read(path)
    ours = read(path, part="lower")
    assert (ours.num_layers, ours.bidirectional, ours.batch_first) == (2, True, True)
    x = torch.randn(4, 7, 3)
    with torch.no_grad():
        theirs = model.get_layer("upper")(model.get_layer("lower")(x))
        assert_close([ours(x)[0]], [theirs])
    assert read(path, part="last").hidden_size == 4
    with pytest.raises(ConvertError, match="no part 'first': it has 'lower', 'last'"):
        read(path, part="first")


def test_weights_alone_do_not_say_what_stands_between_layers(tmp_path: Path) -> None:
    path = tmp_path / "model.weights.h5"
    layers = [keras.layers.LSTM(5, return_sequences=True), keras.layers.Dense(5), keras.layers.LSTM(5)]
    keras.Sequential([keras.Input((None, 5)), *layers]).save_weights(path)
    with pytest.raises(ConvertError, match="2 stacks"):
        read(path)
    assert read(path, part="lstm_1").num_layers == 1
    keras.Sequential([keras.Input((None, 5)), layers[0], keras.layers.GRU(5)]).save_weights(path)
    with pytest.raises(ConvertError, match=r"layers of several classes .GRU, LSTM."):
        read(path)
    keras.Sequential([keras.Input((None, 5)), layers[1]]).save_weights(path)
    with pytest.raises(ConvertError, match="no recurrent layer"):
        read(path)


def test_a_whole_models_state_dict_holds_its_layers_by_name(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    network = nn.ModuleDict({"encoder": nn.GRU(3, 5), "decoder": nn.RNN(5, 5), "output": nn.Linear(5, 2)})
    safetensors.torch.save_file(network.state_dict(), path)
    with pytest.raises(ConvertError, match="tanh or ReLU"):
        read(path)
    with pytest.raises(ConvertError, match=r"2 stacks .*'decoder' .1 of elman, 5 to 5.; 'encoder'"):
        read(path, told=Told(nonlinearity="tanh"))
    assert torch.equal(read(path, part="encoder").weight_hh_l0, network["encoder"].weight_hh_l0)


# ---- what is no file of weights ------------------------------------------------------------------------------------------


def _header(path: Path, **changes: Any) -> None:
    save(elman.GRU(3, 5), path)
    with safetensors.safe_open(path, "pt") as file:
        description = json.loads(file.metadata()["elman"])
    metadata = {"elman": json.dumps({**description, **changes})}
    safetensors.torch.save_file(safetensors.torch.load_file(path), path, metadata=metadata)


def _options(path: Path, **changes: Any) -> None:
    own = {
        "input_size": 3,
        "hidden_size": 5,
        "num_layers": 1,
        "bidirectional": False,
        "batch_first": False,
        "dropout": 0.0,
    }
    _header(path, options={**own, **changes})


def _archive(path: Path, **contents: str) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name.replace("_", "."), content)


def _cut(path: Path) -> None:
    write(elman.GRU(3, 5), path)
    path.write_bytes(path.read_bytes()[:-100])


def _tensors(path: Path, **tensors: torch.Tensor) -> None:
    safetensors.torch.save_file(tensors, path)


BAD_FILES: dict[str, tuple[str, Any, str]] = {
    "empty": ("x.safetensors", lambda path: path.write_bytes(b""), "no format that elman knows"),
    "text": ("x.txt", lambda path: path.write_text("weights"), "no format that elman knows"),
    "cut_safetensors": ("x.safetensors", _cut, "no safetensors file, or is damaged"),
    "cut_keras": ("x.keras", _cut, "is damaged"),
    "cut_weights": ("x.weights.h5", _cut, "no file of Keras's, or is damaged"),
    "cut_npz": ("x.npz", _cut, "is damaged"),
    "cut_onnx": ("x.onnx", _cut, "no ONNX model, or is damaged"),
    "pickle_of_torch": ("x.pt", lambda path: _archive(path, archive_data_pkl=""), "no .* numpy|pickle"),
    "pickle": ("x.bin", lambda path: path.write_bytes(b"\x80\x04\x95"), "is a pickle, .* safetensors.torch.save_file"),
    "another_archive": ("x.zip", lambda path: _archive(path, a_txt=""), "neither one of Keras nor of numpy"),
    "keras_without_weights": (
        "x.keras",
        lambda path: _archive(path, config_json="{}"),
        "no .keras file, or is damaged",
    ),
    "keras_of_another_kind": (
        "x.keras",
        lambda path: _archive(path, config_json='{"class_name": "Mine"}', model_weights_h5=""),
        "class 'Mine'",
    ),
    "keras_without_layers": (
        "x.keras",
        lambda path: _archive(path, config_json='{"class_name": "Sequential"}', model_weights_h5=""),
        "config.json is not as expected",
    ),
    "no_recurrent_layer": (
        "x.safetensors",
        lambda path: _tensors(path, weight=torch.ones(2)),
        "holds no recurrent layer",
    ),
    "newer": ("x.safetensors", lambda path: _header(path, format_version=2), "format version 2; .* upgrade elman"),
    "no_version": ("x.safetensors", lambda path: _header(path, format_version="1"), "says no format_version"),
    "no_cell": ("x.safetensors", lambda path: _header(path, cell=None), "says no cell"),
    "unknown_cell": ("x.safetensors", lambda path: _header(path, cell="brain"), "'brain' is not known"),
    "unknown_option": ("x.safetensors", lambda path: _options(path, depth=3), "describes no layers .*depth"),
    "bad_option": (
        "x.safetensors",
        lambda path: _options(path, hidden_size=0),
        "describes no layers .*hidden_size=0",
    ),
    "another_size": (
        "x.safetensors",
        lambda path: _options(path, hidden_size=4),
        r"\(15,\), its header calls for \(12,\)",
    ),
    "missing_weights": (
        "x.safetensors",
        lambda path: _options(path, bidirectional=True),
        "lacks the weight 'bias_hh_l0_reverse'",
    ),
    "other_weights": (
        "x.safetensors",
        lambda path: _options(path, bias=False),
        "holds besides the weight 'bias_hh_l0'",
    ),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_refused(name, tmp_path: Path) -> None:
    file, make, says = BAD_FILES[name]
    make(tmp_path / file)
    with pytest.raises(ConvertError, match=says):
        read(tmp_path / file)


def test_a_pickle_of_torch_is_refused_unread(tmp_path: Path) -> None:
    _archive(tmp_path / "x.safetensors", data_pkl="")
    with pytest.raises(ConvertError, match="is a pickle"):
        read(tmp_path / "x.safetensors")


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_is_damaged_anywhere_is_refused_or_read(name, tmp_path: Path) -> None:
    """Whatever bytes are wrong, nothing but elman's own error comes of it."""
    path, form = tmp_path / NAMES[name], name.split("_")[0]
    write(elman.GRU(3, 5, 2), path, form)
    whole, draw, refusals = path.read_bytes(), random.Random(7), 0
    for _ in range(60):
        damaged = bytearray(whole[: draw.choice([len(whole), draw.randrange(len(whole))])])
        for _ in range(draw.choice([1, 4])):
            damaged[draw.randrange(min(len(damaged), 1000))] = draw.randrange(256)
        path.write_bytes(damaged)
        try:
            read(path, form)
        except ConvertError:
            refusals += 1
    assert refusals > 20


def test_a_header_of_any_length_is_recognised(tmp_path: Path) -> None:
    """The length of a header is what a file begins with, and may look like another format's mark."""
    for length in range(0, 1200, 8):
        header = b'{"__metadata__":{"x":"' + b"y" * length + b'"}}'
        header += b" " * (-len(header) % 8)
        (tmp_path / "x.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
        assert recognise(tmp_path / "x.safetensors") == "pytorch"


def test_a_file_that_is_not_there_or_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConvertError, match="does not exist"):
        read(tmp_path / "none")
    with pytest.raises(ConvertError, match="is a folder"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("name", "form", "says"),
    [
        ("x.txt", None, "the name says no format. Let it end in .keras, .npz"),
        ("x.h5", None, "the name says no format. .* .weights.h5"),
        ("x.onnx", "keras", "a file of keras ends in .keras or .weights.h5"),
        ("x.onnx", "caffe", "the format 'caffe' is not known"),
    ],
)
def test_a_name_that_does_not_fit_is_refused(name, form, says, tmp_path: Path) -> None:
    with pytest.raises(ConvertError, match=says):
        write(elman.GRU(3, 5), tmp_path / name, form)
    assert list(tmp_path.iterdir()) == []


def test_lengths_are_for_onnx(tmp_path: Path) -> None:
    with pytest.raises(ConvertError, match="lengths are an input of an ONNX model"):
        write(elman.GRU(3, 5), tmp_path / "x.npz", lengths=True)


def test_flax_trees_may_come_with_any_names_above(tmp_path: Path) -> None:
    ours = stacks.layers("gru", batch_first=True)
    flat = {
        f"params/rnn/{cell}/{part}/{name}": array
        for cell, parts in to_flax(ours).items()
        for part, arrays in parts.items()
        for name, array in arrays.items()
    }
    numpy.savez(tmp_path / "x.npz", **flat)
    x = stacks.sequence(batch_first=True)
    assert_close([read(tmp_path / "x.npz")(x)[0].detach()], [ours(x)[0].detach()])
    numpy.savez(tmp_path / "x.npz", **{"a": numpy.ones(2), "a/b": numpy.ones(2)})
    with pytest.raises(ConvertError, match="the names are no tree"):
        read(tmp_path / "x.npz")
