"""A model's folder: what is saved comes back bit for bit, and a folder that isn't whole is refused by name."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from small import make_model

import elman
from elman.data.text import Document
from elman.data.tokenizer import TextTokenizer
from elman.errors import ModelFolderError
from elman.models.folder import (
    CONFIG,
    FORMAT_VERSION,
    TOKENIZER,
    WEIGHTS,
    load,
    read_config,
    save_description,
    save_weights,
)
from elman.models.language import LanguageModel

Damage = Callable[[Path], Any]


def save(folder: Path, model: LanguageModel) -> Path:
    folder.mkdir()
    save_description(folder, model, {})
    save_weights(folder, model)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save(tmp_path / "model", make_model().float())


@pytest.mark.parametrize(
    "sizes",
    [
        {"cell": "elman"},
        {"cell": "lstm", "layers": 2, "dropout": 0.3},
        {"cell": "gru", "tie": True},
        {"tie": True, "embedding": 7},
        {"cell_options": {"projection_size": 3, "zoneout": (0.1, 0.2), "clip_state": None}, "tie": True},
        {"cell": "gru", "cell_options": {"reset_after": False}, "layer_options": {"recompute": True}},
    ],
    ids=str,
)
def test_what_is_loaded_computes_bit_for_bit_what_was_saved(sizes: dict, tmp_path: Path) -> None:
    model = make_model(**sizes).float()
    loaded = load(save(tmp_path / "model", model))
    numbers = torch.tensor([[0], [2], [3], [1], [0], [5]])
    assert torch.equal(loaded(numbers)[0], model(numbers)[0])
    assert loaded.config == model.config
    assert not loaded.training
    assert loaded.parameter_count == model.parameter_count
    assert "".join(loaded.generate("ab", 30, seed=1)) == "".join(model.generate("ab", 30, seed=1))


def test_a_folder_may_be_a_string_and_is_loaded_by_the_package_s_own_name(folder: Path) -> None:
    assert torch.equal(elman.load(str(folder)).output.bias, load(folder).output.bias)


def test_a_folder_holds_three_files_and_no_pickle(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == [CONFIG, WEIGHTS, TOKENIZER]
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    assert {"format_version", "elman_version", "task", "tokenizer", "network", "training"} == set(config)
    tensors = safetensors.torch.load_file(folder / WEIGHTS)
    assert set(tensors) == {name for name, _ in load(folder).named_parameters()}


def test_a_folder_can_be_moved(folder: Path, tmp_path: Path) -> None:
    wanted = load(folder).output.bias
    assert torch.equal(load(folder.rename(tmp_path / "elsewhere")).output.bias, wanted)


def edit(**changes: Any) -> Damage:
    """Change keys of `config.json`; a dotted name reaches into "network", None takes the key away."""

    def damage(folder: Path) -> None:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        for name, value in changes.items():
            place = config["network"] if name.startswith("network_") else config
            key = name.removeprefix("network_")
            if value is None:
                del place[key]
            else:
                place[key] = value
        (folder / CONFIG).write_text(json.dumps(config), encoding="utf-8")

    return damage


def remove(name: str) -> Damage:
    return lambda folder: (folder / name).unlink()


def cut(name: str, part: float) -> Damage:
    def damage(folder: Path) -> None:
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: int(len(data) * part)])

    return damage


def write(name: str, content: bytes) -> Damage:
    return lambda folder: (folder / name).write_bytes(content)


def tensors(change: Callable[[dict[str, torch.Tensor]], Any]) -> Damage:
    def damage(folder: Path) -> None:
        held = safetensors.torch.load_file(folder / WEIGHTS)
        change(held)
        (folder / WEIGHTS).write_bytes(safetensors.torch.save(held))

    return damage


def other_tokenizer(folder: Path) -> None:
    TextTokenizer.fit("char", [Document("other", "wxyz")]).save(folder / TOKENIZER)


# What is done to a good folder; the file that the message must name; a word of what must be said of it.
BAD_FOLDERS: dict[str, tuple[Damage, str, str]] = {
    "no_config": (remove(CONFIG), CONFIG, "missing"),
    "no_weights": (remove(WEIGHTS), WEIGHTS, "missing"),
    "no_tokenizer": (remove(TOKENIZER), TOKENIZER, "missing"),
    "weights_empty": (cut(WEIGHTS, 0), WEIGHTS, "cut short"),
    "weights_cut_in_header": (cut(WEIGHTS, 0.02), WEIGHTS, "cut short"),
    "weights_cut_in_half": (cut(WEIGHTS, 0.5), WEIGHTS, "cut short"),
    "weights_lack_the_last_bytes": (cut(WEIGHTS, 0.999), WEIGHTS, "cut short"),
    "weights_are_noise": (write(WEIGHTS, bytes(range(256)) * 20), WEIGHTS, "damaged"),
    "weights_are_a_pickle": (write(WEIGHTS, b"\x80\x04\x95" + b"x" * 500), WEIGHTS, "damaged"),
    "tokenizer_cut": (cut(TOKENIZER, 0.5), TOKENIZER, "can't be read"),
    "config_cut": (cut(CONFIG, 0.5), CONFIG, "damaged"),
    "config_empty": (write(CONFIG, b""), CONFIG, "damaged"),
    "config_no_text": (write(CONFIG, b"\xff\xfe\x00"), CONFIG, "damaged"),
    "config_is_a_list": (write(CONFIG, b"[]"), CONFIG, "damaged"),
    "newer_version": (edit(format_version=FORMAT_VERSION + 1, elman_version="9.9"), CONFIG, "upgrade elman"),
    "no_version": (edit(format_version=None), CONFIG, "format_version"),
    "version_zero": (edit(format_version=0), CONFIG, "format_version"),
    "version_is_text": (edit(format_version="1"), CONFIG, "format_version"),
    "no_task": (edit(task=None), CONFIG, "'task'"),
    "another_task": (edit(task="tagging"), CONFIG, "tagging"),
    "no_network": (edit(network=None), CONFIG, "'network'"),
    "network_is_a_list": (edit(network=[]), CONFIG, "'network'"),
    "no_training": (edit(training=None), CONFIG, "'training'"),
    "no_tokenizer_kind": (edit(tokenizer=None), CONFIG, "'tokenizer'"),
    "no_hidden": (edit(network_hidden=None), CONFIG, "hidden"),
    "hidden_is_text": (edit(network_hidden="7"), CONFIG, "hidden"),
    "hidden_is_a_fraction": (edit(network_hidden=7.5), CONFIG, "hidden"),
    "hidden_is_true": (edit(network_hidden=True), CONFIG, "hidden"),
    "tie_is_a_number": (edit(network_tie=1), CONFIG, "tie"),
    "unknown_key": (edit(network_colour="red"), CONFIG, "colour"),
    "unknown_cell": (edit(network_cell="lsmt"), CONFIG, "lsmt"),
    "cell_options_are_a_list": (edit(network_cell_options=["zoneout=0.1"]), CONFIG, "cell_options"),
    "an_unknown_cell_option": (edit(network_cell_options={"colour": "red"}), CONFIG, "colour"),
    "a_cell_option_of_the_wrong_kind": (edit(network_cell_options={"peepholes": 1}), CONFIG, "peepholes"),
    "a_cell_option_out_of_range": (edit(network_cell_options={"zoneout": 2}), CONFIG, "zoneout"),
    "another_cell_option": (edit(network_cell_options={"peepholes": True}), WEIGHTS, "weight_ph"),
    "an_unknown_layer_option": (edit(network_layer_options={"bidirectional": True}), CONFIG, "bidirectional"),
    "a_layer_option_of_the_wrong_kind": (edit(network_layer_options={"recompute": 1}), CONFIG, "recompute"),
    "no_hidden_units": (edit(network_hidden=0), CONFIG, "hidden"),
    "fewer_than_no_layers": (edit(network_layers=-1), CONFIG, "layers"),
    "embedding_below_zero": (edit(network_embedding=-5), CONFIG, "-5"),
    "another_hidden": (edit(network_hidden=8), WEIGHTS, "shape"),
    "another_embedding": (edit(network_embedding=6), WEIGHTS, "shape"),
    "another_cell": (edit(network_cell="gru"), WEIGHTS, "shape"),
    "more_layers": (edit(network_layers=2), WEIGHTS, "_l1"),
    "tied_by_configuration_only": (edit(network_tie=True), WEIGHTS, "bottleneck"),
    "another_vocabulary": (edit(network_vocabulary=13), TOKENIZER, "12 tokens"),
    "tokenizer_of_another_model": (other_tokenizer, TOKENIZER, "different models"),
    "a_tensor_lacks": (tensors(lambda held: held.pop("output.bias")), WEIGHTS, "output.bias"),
    "a_tensor_too_many": (tensors(lambda held: held.update(extra=torch.ones(1))), WEIGHTS, "extra"),
    "a_tensor_of_another_shape": (
        tensors(lambda held: held.update({"output.bias": torch.ones(1)})),
        WEIGHTS,
        "output.bias",
    ),
}
every_damage = pytest.mark.parametrize(("damage", "file", "word"), BAD_FOLDERS.values(), ids=BAD_FOLDERS)


@every_damage
def test_a_folder_that_is_not_whole_is_refused_by_the_name_of_the_file(
    folder: Path, damage: Damage, file: str, word: str
) -> None:
    damage(folder)
    with pytest.raises(ModelFolderError) as caught:
        load(folder)
    assert str(folder / file) in str(caught.value)
    assert word in str(caught.value)


@pytest.mark.parametrize(
    ("damage", "word"),
    [(edit(tokenizer="letters"), "letters"), (edit(network_dropout=2.0), "dropout")],
    ids=["unknown_tokenizer_kind", "dropout_above_one"],
)
def test_values_that_make_no_sense_are_refused_by_name(folder: Path, damage: Damage, word: str) -> None:
    damage(folder)
    with pytest.raises(ModelFolderError, match=word):
        load(folder)


# What a person may be told to do about a folder that can't be used.
_REMEDIES = ("upgrade", "again", "resume", "restore", "elman train", "put it back", "copy")


def test_every_message_about_a_folder_says_what_to_do(folder: Path, tmp_path: Path) -> None:
    helpless = []
    for name, (damage, _, _) in BAD_FOLDERS.items():
        damaged = tmp_path / "damaged"
        shutil.copytree(folder, damaged)
        damage(damaged)
        with pytest.raises(ModelFolderError) as caught:
            load(damaged)
        shutil.rmtree(damaged)
        said = str(caught.value).lower()
        if not any(remedy in said for remedy in _REMEDIES):
            helpless.append(f"{name}: {said}")
    assert not helpless, "\n".join(helpless)


@pytest.mark.parametrize("part", [0.0, 0.001, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 0.9999])
def test_weights_cut_short_anywhere_are_refused(folder: Path, part: float) -> None:
    cut(WEIGHTS, part)(folder)
    with pytest.raises(ModelFolderError, match=WEIGHTS):
        load(folder)


def test_what_is_no_folder_is_refused_by_name(folder: Path, tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere", folder / CONFIG):
        with pytest.raises(ModelFolderError, match=f"{path} is not a folder"):
            load(path)
    with pytest.raises(ModelFolderError, match="name too long"):
        load("x" * 1000)


def test_a_folder_that_the_system_can_not_read_is_refused_by_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, *_: Any, **__: Any) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(ModelFolderError, match=CONFIG):
        read_config(folder)


def test_numbers_that_are_whole_may_stand_for_fractions(folder: Path) -> None:
    edit(network_dropout=0)(folder)
    assert load(folder).config.dropout == 0


def test_a_folder_from_before_there_were_options_is_read(folder: Path) -> None:
    wanted = load(folder).output.bias
    edit(network_cell_options=None, network_layer_options=None)(folder)
    loaded = load(folder)
    assert torch.equal(loaded.output.bias, wanted)
    assert loaded.config.cell_options == loaded.config.layer_options == {}


def test_saving_again_replaces_the_former_folder_s_files(folder: Path) -> None:
    other = make_model(hidden=9).float()
    save_description(folder, other, {"note": 1})
    save_weights(folder, other)
    assert load(folder).config.hidden == 9
    assert read_config(folder)["training"] == {"note": 1}
    assert len(list(folder.iterdir())) == 3


def test_a_copied_folder_does_not_need_the_first(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    wanted = load(folder).output.bias.clone()
    shutil.rmtree(folder)
    assert torch.equal(load(tmp_path / "copy").output.bias, wanted)
