"""The classifier of signals: what it says of one depends on that one alone, padding is never looked at, folders are whole."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from elman.cells import CELLS
from elman.data.frames import FrameScale
from elman.data.video import FrameForm
from elman.errors import DataError, ModelFolderError, OptionError, ShapeError
from elman.models.folder import load, save_description, save_weights
from elman.models.frame_layers import Frames, Standardise
from elman.models.series_classification import SeriesClassifier, SeriesFront
from elman.models.signal_classification import SignalConfig
from elman.models.video_classification import VideoClassifier

LENGTHS = torch.tensor([5, 1, 7, 0])


def make_model(picture: bool = False, **sizes: Any) -> Any:
    """Random weights, float64, in evaluation mode."""
    torch.manual_seed(0)
    shape = {"features": 2, "height": 9, "width": 9, "channels": 2} if picture else {"features": 3}
    config = SignalConfig(**{**shape, "classes": 3, "hidden": 4, "embedding": 5, **sizes})
    scale = FrameScale((0.5,) * config.features, (2.0,) * config.features)
    kind, front = (VideoClassifier, FrameForm(9)) if picture else (SeriesClassifier, SeriesFront())
    return kind(config, ["no", "perhaps", "yes"], "yes", scale, front).double().eval()


def frames(picture: bool) -> torch.Tensor:
    x = torch.randn(7, 4, *((2, 9, 9) if picture else (3,)), dtype=torch.float64)
    for row, length in enumerate(LENGTHS.tolist()):
        x[length:, row] = 0
    return x


FORMS = pytest.mark.parametrize(
    ("picture", "sizes"),
    [
        (False, {"frames": "flat"}),
        (False, {"frames": "conv"}),
        (False, {"frames": "conv", "bidirectional": False, "pooling": "last"}),
        (False, {"frames": "flat", "stack": 3, "differences": True, "pooling": "mean"}),
        (True, {"frames": "conv", "differences": True}),
        (True, {"frames": "flat", "stack": 2, "pooling": "attention"}),
        (True, {"frames": "conv", "stack": 2, "layers": 2}),
        (True, {"frames": "conv", "cell": "conv_lstm", "hidden": 2}),
    ],
    ids=str,
)


@FORMS
def test_padding_changes_nothing_and_gets_no_gradient(picture: bool, sizes: dict[str, Any]) -> None:
    model, x = make_model(picture, **sizes), frames(picture)
    wanted = model(x, LENGTHS)
    spoilt = x.clone()
    for row, length in enumerate(LENGTHS.tolist()):
        spoilt[length:, row] = torch.nan
    spoilt.requires_grad_()
    found = model(spoilt, LENGTHS)
    torch.testing.assert_close(found, wanted, rtol=0, atol=0)
    (gradient,) = torch.autograd.grad(found.square().sum(), spoilt)
    for row, length in enumerate(LENGTHS.tolist()):
        assert not gradient[length:, row].any()
        assert gradient[:length, row].isfinite().all()


@FORMS
def test_a_signal_is_judged_as_if_it_were_alone(picture: bool, sizes: dict[str, Any]) -> None:
    model, x = make_model(picture, **sizes), frames(picture)
    together = model(x, LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        if length:
            alone = model(x[:length, row : row + 1], torch.tensor([length]))
            torch.testing.assert_close(alone[0], together[row], rtol=1e-10, atol=1e-12)


@FORMS
def test_gradients_are_those_of_finite_differences(picture: bool, sizes: dict[str, Any]) -> None:
    model, x = make_model(picture, **sizes), frames(picture)
    lengths = torch.tensor([3, 2])
    x = x[:3, :2].clone()
    names = [name for name, _ in model.named_parameters() if name.startswith(("frames", "output"))]

    def loss(*weights: torch.Tensor) -> torch.Tensor:
        given = dict(zip(names, weights, strict=True))
        return torch.func.functional_call(model, given, (x, lengths)).sin().sum()

    weights = tuple(dict(model.named_parameters())[name].detach().requires_grad_() for name in names)
    torch.autograd.gradcheck(loss, weights, fast_mode=True, eps=1e-7, atol=1e-5)


@pytest.mark.parametrize("cell", [name for name in CELLS if name != "conv_lstm"])
def test_any_cell_reads_signals_of_mixed_lengths(cell: str) -> None:
    model = make_model(cell=cell, hidden=8, frames="conv", embedding=8).train()
    model(frames(False), LENGTHS).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def test_a_network_that_reads_forwards_alone_looks_at_nothing_later() -> None:
    layer = Frames([0.0] * 3, [1.0] * 3, layer="conv", size=4, causal=True, differences=True).double()
    x = frames(False)[:, :1]
    before, _ = layer(x, torch.tensor([7]))
    x[4:] = 9
    after, _ = layer(x, torch.tensor([7]))
    torch.testing.assert_close(after[:4], before[:4], rtol=0, atol=0)
    assert not torch.equal(after[4], before[4])


def test_values_are_standardised_but_not_without_end() -> None:
    layer = Standardise([1.0, 0.0], [2.0, 0.0])
    x = torch.tensor([[[3.0, 0.0]], [[1e9, -5.0]]])
    assert layer(x).tolist() == [[[1, 0]], [[10, -5]]]
    assert layer(torch.full((1, 1, 2, 2, 2), 3, dtype=torch.uint8))[0, 0].tolist() == [
        [[1, 1], [1, 1]],
        [[3, 3], [3, 3]],
    ]


def test_frames_are_joined_and_the_last_step_is_filled_with_zeros() -> None:
    layer = Frames([0.0], [1.0], layer="flat", stack=2, differences=True)
    x = torch.tensor([1.0, 4.0, 9.0]).view(3, 1, 1)
    e, lengths = layer(x, torch.tensor([3]))
    assert lengths.tolist() == [2]
    assert e[:, 0].tolist() == [[1, 0, 4, 3], [9, 5, 0, 0]]


def test_maps_are_for_pictures() -> None:
    with pytest.raises(OptionError, match="conv_lstm reads maps of pictures"):
        make_model(cell="conv_lstm")


@pytest.mark.parametrize("picture", [True, False])
def test_a_folder_gives_the_same_answers_bit_by_bit(tmp_path: Path, picture: bool) -> None:
    model = make_model(picture, frames="conv", pooling="attention", cell_options={"layer_norm": True}).float()
    save_description(tmp_path, model, {})
    save_weights(tmp_path, model)
    again = load(tmp_path)
    assert (again.labels, again.config, again.scale, again.front) == (
        model.labels,
        model.config,
        model.scale,
        model.front,
    )
    x = frames(picture).float()
    with torch.no_grad():
        torch.testing.assert_close(again(x, LENGTHS), model(x, LENGTHS), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"perhaps",', "", "belong to different models"),
        ('"mean"', '"men"', "no pair of lists of numbers"),
        ('"missing": "error"', '"missing": "guess"', "'series' says nothing that can be understood"),
        ('"series"', '"serious"', "the key 'series' is missing"),
    ],
)
def test_a_folder_that_contradicts_itself_is_an_error(tmp_path: Path, old: str, new: str, says: str) -> None:
    save_description(tmp_path, make_model(), {})
    path = tmp_path / "config.json"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ModelFolderError, match=says):
        load(tmp_path)


def test_arrays_are_answered_and_those_of_another_shape_refused() -> None:
    model = make_model().float()
    found = list(model.predict([np.zeros((4, 3)), np.ones((2, 3))]))
    assert [sum(one.probabilities.values()) for one in found] == pytest.approx([1, 1])
    with pytest.raises(ShapeError, match=r"shape \(4, 2\).* with 3 features"):
        list(model.predict([np.zeros((4, 2))]))


def test_files_of_other_features_are_refused_by_line(tmp_path: Path) -> None:
    path = tmp_path / "a.ts"
    path.write_text("@univariate true\n@classLabel true no yes\n@data\n1,2:no\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"a\.ts, line 4 has 1 features, but the model was trained on 3"):
        make_model().evaluate(path)
