"""Networks over sound: as sound arrives they say what they would of the whole; what a folder holds is what comes back."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("soundfile")
pytest.importorskip("soxr")
pytest.importorskip("kaldi_native_fbank")

import sounds

import elman
from elman.data.frames import FrameScale
from elman.data.units import Units
from elman.errors import DataError, ModelFolderError
from elman.models.folder import save_description, save_weights
from elman.models.sound_tagging import SoundTaggingConfig, SoundTaggingModel
from elman.models.transcription import TranscriptionConfig, TranscriptionModel

SCALE = FrameScale(tuple(np.linspace(5, 9, 20)), (2.0,) * 20)
SIZES: dict[str, Any] = {"rate": 8000, "mels": 20, "hidden": 12, "embedding": 8, "layers": 2, "dropout": 0.3}


def louder(network: torch.nn.Module) -> None:
    """Weights larger than at first: what a network says must depend on what it hears."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(3)


def transcriber(**sizes: Any) -> TranscriptionModel:
    units = Units.fit("char", ["0123456789"])
    network = TranscriptionModel(TranscriptionConfig(classes=len(units), **{**SIZES, **sizes}), units, SCALE, "12")
    louder(network)
    return network.eval()


def tagger(**sizes: Any) -> SoundTaggingModel:
    network = SoundTaggingModel(SoundTaggingConfig(classes=3, **{**SIZES, **sizes}), ["none", "x", "y"], "none", SCALE)
    louder(network)
    return network.eval()


def blocks(samples: np.ndarray, seed: int) -> list[np.ndarray]:
    """Samples cut at random, empty pieces among them."""
    cuts = np.sort(np.random.default_rng(seed).integers(0, len(samples), 12))
    return np.split(samples, cuts)


def sound(seed: int = 0) -> np.ndarray:
    """A second of tones and noise."""
    parts = [sounds.tone(0.2, 300), sounds.noise(1500, seed), sounds.tone(0.25, 1200), sounds.noise(3000, seed, 0.02)]
    return np.concatenate(parts)


@pytest.mark.parametrize("stack", [1, 3])
@pytest.mark.parametrize("cell", ["lstm", "gru", "mingru", "slstm"])
def test_logits_as_sound_arrives_are_those_of_the_whole(cell: str, stack: int) -> None:
    network, samples = transcriber(cell=cell, stack=stack), sound()
    whole_SV = network.logits(samples)
    assert whole_SV.std(0).min() > 0.01
    for seed in range(3):
        stream = network.stream(8000)
        found = [stream.accept(block) for block in blocks(samples, seed)]
        torch.testing.assert_close(torch.cat([*found, stream.finish()]), whole_SV, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("beam", [1, 4])
def test_a_transcriber_says_the_same_as_sound_arrives_and_takes_nothing_back(beam: int) -> None:
    network, samples = transcriber(stack=2, beam=beam), sound()
    expected = network.transcribe(samples)
    assert len(expected) > 2
    answers = list(network.listen(8000, iter(blocks(samples, 1))))
    assert [answer["final"] for answer in answers] == [False] * (len(answers) - 1) + [True]
    assert answers[-1]["text"] == expected
    for one, other in pairwise(answers):
        assert other["text"].startswith(one["text"])
        assert one["seconds"] <= other["seconds"] <= len(samples) / 8000
    # It doesn't wait for the end.
    assert len(answers) > 2


def test_a_tagger_tells_the_same_events_as_sound_arrives() -> None:
    network, samples = tagger(), sound()
    expected = network.tag(samples)
    assert len(expected) > 1
    found = list(network.hear(8000, iter(blocks(samples, 2))))
    assert [event for event, _ in found] == [event for event, _ in expected]
    np.testing.assert_allclose([p for _, p in found], [p for _, p in expected], atol=1e-4)
    # What is answered in blocks of its own is what the whole gives.
    reader_SV = network.logits(samples).log_softmax(-1).argmax(-1)
    assert len(expected) == sum(
        1 for a, b in zip([0, *reader_SV.tolist()], [*reader_SV.tolist(), 0], strict=True) if a not in (b, 0)
    )


@pytest.mark.parametrize("rate", [11025, 16000])
def test_sound_of_another_rate_is_heard_as_if_it_had_been_resampled(rate: int) -> None:
    from elman.data.sound import resampled

    network = transcriber()
    samples = sounds.noise(rate // 2)
    expected = network.transcribe(resampled([samples], rate, 8000))
    assert list(network.listen(rate, iter(blocks(samples, 1))))[-1]["text"] == expected


def test_a_model_that_reads_from_both_ends_hears_all_of_it_first() -> None:
    network, samples = transcriber(bidirectional=True), sound()
    answers = list(network.listen(8000, iter(blocks(samples, 0))))
    assert [answer["text"] for answer in answers] == [network.transcribe(samples)]
    with pytest.raises(DataError, match="reads from both ends"):
        network.stream(8000)
    both = tagger(bidirectional=True)
    assert [answer["label"] for answer in both.listen(8000, iter([samples]))] == [e.label for e, _ in both.tag(samples)]


def test_padding_and_neighbours_change_nothing() -> None:
    network = transcriber(stack=3)
    heard = [network.scale(network.log_mel.frames(sound(seed)[: 3000 + 2000 * seed])) for seed in range(3)]
    together_SBV, lengths_B = network(*network.batch(heard))
    for row, frames_TD in enumerate(heard):
        alone_SBV, alone_B = network(*network.batch([frames_TD]))
        assert lengths_B[row] == alone_B[0]
        torch.testing.assert_close(together_SBV[: lengths_B[row], row], alone_SBV[:, 0], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("make", [transcriber, tagger])
def test_a_folder_gives_back_what_was_put_into_it(make: Any, tmp_path: Path) -> None:
    network = make(stack=2)
    save_description(tmp_path, network, {})
    save_weights(tmp_path, network)
    loaded = elman.load(tmp_path)
    assert torch.equal(loaded.logits(sound()), network.logits(sound()))
    assert loaded.description() == network.description()
    for key in ("frames", "usual" if make is transcriber else "labels"):
        config = (tmp_path / "config.json").read_text(encoding="utf-8")
        (tmp_path / "config.json").write_text(config.replace(f'"{key}"', '"lost"'), encoding="utf-8")
        with pytest.raises(ModelFolderError, match="damaged"):
            elman.load(tmp_path)
        (tmp_path / "config.json").write_text(config, encoding="utf-8")


def test_units_of_another_model_are_said(tmp_path: Path) -> None:
    network = transcriber()
    save_description(tmp_path, network, {})
    save_weights(tmp_path, network)
    for damage, wrong in (('{"kind": "char"}', "is damaged"), ("{", "is damaged")):
        (tmp_path / "units.json").write_text(damage, encoding="utf-8")
        with pytest.raises(ModelFolderError, match=wrong):
            elman.load(tmp_path)
    import json

    (tmp_path / "units.json").write_text(json.dumps(Units.fit("char", ["ab"]).to_dict()), encoding="utf-8")
    with pytest.raises(ModelFolderError, match="belong to different models"):
        elman.load(tmp_path)
