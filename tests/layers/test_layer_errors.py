"""What a layer refuses: each message names the thing, says what was wrong, and what to do."""

import re

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence
from twins import every_kind, twins

import elman
from elman.errors import ElmanError, EngineError, OptionError, ShapeError
from elman.layers import layers_of

# Wrong types on purpose: elman's own errors are wanted, not the type checker's.
pytestmark = pytest.mark.usefixtures("unchecked_types")

ALL = [elman.RNN, elman.LSTM, elman.GRU]
every_class = pytest.mark.parametrize("layer_class", ALL, ids=lambda c: c.__name__)


def _x(*shape: int) -> torch.Tensor:
    return torch.zeros(shape)


@every_class
@pytest.mark.parametrize("value", [0, -1, 2.5, "3", None, True])
@pytest.mark.parametrize("name", ["input_size", "hidden_size", "num_layers"])
def test_sizes_are_whole_numbers_of_at_least_one(layer_class, name, value) -> None:
    sizes = {"input_size": 3, "hidden_size": 4, "num_layers": 2, name: value}

    with pytest.raises(OptionError, match=re.escape(f"{name}={value!r} must be a whole number of at least 1")):
        layer_class(**sizes)


@every_class
@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan"), float("inf"), "0.5", None, True])
def test_dropout_is_a_probability(layer_class, value) -> None:
    with pytest.raises(OptionError, match=re.escape(f"dropout={value!r} must be a probability, a number from 0 to 1")):
        layer_class(3, 4, 2, dropout=value)


@every_class
def test_an_unknown_engine_is_named_when_the_layer_is_made(layer_class) -> None:
    with pytest.raises(EngineError, match=r"engine='cudnn' is not known: choose from auto, reference, scan, torch"):
        layer_class(3, 4, engine="cudnn")


def test_an_unknown_nonlinearity_is_named_with_the_known_ones() -> None:
    with pytest.raises(OptionError, match=r"nonlinearity='gelu' is not known: choose from tanh, relu"):
        elman.RNN(3, 4, nonlinearity="gelu")


@pytest.mark.parametrize("size", [4, 9, -1])
def test_a_projection_is_smaller_than_the_layer(size) -> None:
    with pytest.raises(OptionError, match=rf"proj_size={size} must be 0 \(no projection\) or less than hidden_size=4"):
        elman.LSTM(3, 4, proj_size=size)


@pytest.mark.parametrize("layer_class", [elman.RNN, elman.GRU], ids=lambda c: c.__name__)
def test_only_an_lstm_has_a_projection(layer_class) -> None:
    with pytest.raises(OptionError, match=rf"proj_size is an option of the LSTM: {layer_class.__name__} has no proj"):
        layer_class(3, 4, proj_size=2)

    assert layer_class(3, 4, proj_size=0).hidden_size == 4


def test_an_unknown_cell_is_named_with_the_known_ones() -> None:
    with pytest.raises(OptionError, match=r"cell='quantum' is not known: .*from elman, irnn, "):
        layers_of("quantum", 3, 4)


@every_class
def test_a_misspelt_option_is_named_with_those_there_are(layer_class) -> None:
    says = r"there is no option bidirectionnal: the cell '\w+' has .*zoneout.*; its layers have .*connections"
    with pytest.raises(OptionError, match=says):
        layer_class(3, 4, bidirectionnal=True)


@every_class
@pytest.mark.parametrize(("batch_first", "layout"), [(False, "(T, B, D)"), (True, "(B, T, D)")])
@pytest.mark.parametrize("shape", [(), (3,), (2, 2, 2, 3)], ids=str)
def test_an_input_has_two_or_three_axes(layer_class, batch_first, layout, shape) -> None:
    layer = layer_class(3, 4, batch_first=batch_first)

    with pytest.raises(ShapeError, match=re.escape(f"the input has shape {shape}: give {layout}, or (T, D)")):
        layer(_x(*shape))


@every_class
@pytest.mark.parametrize("shape", [(5, 2, 4), (5, 2), (3, 2, 5)], ids=str)
def test_an_input_has_input_size_features(layer_class, shape) -> None:
    layer = layer_class(3, 4)

    with pytest.raises(ShapeError, match=rf"the input has {shape[-1]} features a step .*input_size is 3"):
        layer(_x(*shape))


def test_a_packed_input_has_input_size_features() -> None:
    packed = pack_padded_sequence(_x(5, 2, 4), torch.tensor([5, 2]))

    with pytest.raises(ShapeError, match=r"4 features a step .*input_size is 3"):
        elman.GRU(3, 4)(packed)


@every_class
@pytest.mark.parametrize("dtype", [torch.float64, torch.int64], ids=str)
def test_an_input_has_the_weights_dtype(layer_class, dtype) -> None:
    """On either engine, and before any of their kernels complains in its own words."""
    for engine in ("torch", "reference"):
        with pytest.raises(ShapeError, match=rf"input.*{dtype}.*torch.float32"):
            layer_class(3, 4, engine=engine)(_x(5, 2, 3).to(dtype))


@pytest.mark.parametrize(
    ("lengths", "says"),
    [
        ([5, 2, 6], r"lengths runs from 2 to 6: each must be 0 to 5, the number of steps"),
        ([5, -1, 2], r"lengths runs from -1 to 5: each must be 0 to 5"),
        ([5, 2], r"lengths has shape \(2,\).*one whole number for each of the 3 sequences"),
        ([5, 2, 1, 1], r"lengths has shape \(4,\).*each of the 3 sequences"),
        ([5.0, 2.0, 1.0], r"lengths has shape \(3,\) and dtype torch.float32: give one whole number"),
        ([True, False, True], r"dtype torch.bool: give one whole number"),
        (torch.tensor([[5, 2, 1]]), r"lengths has shape \(1, 3\)"),
        (torch.tensor([5.0, 2.0, 1.0], dtype=torch.float64), r"dtype torch.float64: give one whole number"),
        (4, r"lengths has shape \(\)"),
        ([[5], [2, 1], [1]], r"lengths.*one whole number for each of the 3 sequences"),
        (["5", "2", "1"], r"lengths.*one whole number for each of the 3 sequences"),
    ],
    ids=["too_long", "negative", "few", "many", "floats", "bools", "matrix", "float64", "scalar", "ragged", "strings"],
)
@every_class
def test_lengths_are_a_whole_number_for_each_sequence(layer_class, lengths, says) -> None:
    with pytest.raises(ShapeError, match=says):
        layer_class(2, 4)(_x(5, 3, 2), lengths=lengths)


@every_class
def test_an_empty_batch_has_an_empty_list_of_lengths(layer_class) -> None:
    y, _ = layer_class(2, 4)(_x(5, 0, 2), lengths=[])

    assert y.shape == (5, 0, 4)


@every_class
def test_lengths_are_counted_along_time_whatever_the_layout(layer_class) -> None:
    with pytest.raises(ShapeError, match=r"lengths runs from 3 to 4: each must be 0 to 3"):
        layer_class(2, 4, batch_first=True)(_x(5, 3, 2), lengths=[3, 3, 3, 4, 3])


@every_class
def test_a_packed_sequence_brings_its_own_lengths(layer_class) -> None:
    packed = pack_padded_sequence(_x(5, 2, 3), torch.tensor([5, 2]))

    with pytest.raises(ShapeError, match=r"lengths= was given with a PackedSequence.*leave lengths out"):
        layer_class(3, 4)(packed, lengths=[5, 2])


@pytest.mark.parametrize(
    ("batch_first", "shape", "flags", "expected"),
    [
        (False, (5, 2, 3), (2, 5), (5, 2)),
        (True, (2, 5, 3), (5, 2), (2, 5)),
        (False, (5, 2, 3), (5,), (5, 2)),
        (False, (5, 2, 3), (5, 2, 1), (5, 2)),
        (False, (5, 3), (5, 1), (5,)),
        (True, (5, 3), (4,), (5,)),
    ],
    ids=str,
)
@every_class
def test_reset_has_the_inputs_layout(layer_class, batch_first, shape, flags, expected) -> None:
    reset = torch.zeros(flags, dtype=torch.bool)

    with pytest.raises(ShapeError, match=re.escape(f"reset has shape {flags}") + ".*" + re.escape(f"shape {expected}")):
        layer_class(3, 4, batch_first=batch_first)(_x(*shape), reset=reset)


@every_class
@pytest.mark.parametrize("dtype", [torch.int64, torch.float32, torch.uint8], ids=str)
def test_reset_is_boolean(layer_class, dtype) -> None:
    with pytest.raises(ShapeError, match=rf"reset has .*dtype {dtype}: give one flag a step.*dtype torch.bool"):
        layer_class(3, 4)(_x(5, 2, 3), reset=torch.zeros(5, 2, dtype=dtype))


@every_class
def test_reset_is_a_tensor(layer_class) -> None:
    with pytest.raises(ShapeError, match=r"reset.*torch.bool"):
        layer_class(3, 4)(_x(2, 1, 3), reset=[[True], [False]])


@every_kind
@pytest.mark.parametrize("batch_first", [False, True], ids=["time_first", "batch_first"])
def test_each_state_has_its_own_shape_whatever_batch_first_says(kind, batch_first) -> None:
    layer, _ = twins(kind, num_layers=2, bidirectional=True, batch_first=batch_first, dtype=torch.float32)
    x = _x(3, 7, 3) if batch_first else _x(7, 3, 3)
    right = [tuple(s.shape) for s in layer.initial_state(3)]

    for index, name in enumerate(layer.cell.state_type._fields):
        for wrong in [(3, 4, right[index][2]), (4, 3, right[index][2] + 1), (4, 2, right[index][2]), right[index][:2]]:
            arrays = [_x(*shape) for shape in right]
            arrays[index] = _x(*wrong)
            state = tuple(arrays) if len(arrays) == 2 else arrays[0]
            says = f"the state {name} has shape {wrong}: give {right[index]}"
            with pytest.raises(ShapeError, match=re.escape(says) + r".*layers times directions.*whatever batch_first"):
                layer(x, state)


@every_class
def test_a_state_has_the_weights_dtype(layer_class) -> None:
    """On either engine: a wider state would silently make all that follows wider."""
    for engine in ("torch", "reference"):
        layer = layer_class(3, 4, engine=engine)
        h, wide = _x(1, 2, 4), _x(1, 2, 4).double()
        with pytest.raises(ShapeError, match=r"the state [hc] has.*torch.float64.*torch.float32"):
            layer(_x(1, 2, 3), (h, wide) if layer_class is elman.LSTM else wide)


@every_class
def test_one_sequence_takes_a_state_without_batch(layer_class) -> None:
    layer = layer_class(3, 4, 2)
    batched = _x(2, 1, 4)

    with pytest.raises(ShapeError, match=r"the state h has shape \(2, 1, 4\): give \(2, 4\)"):
        layer(_x(5, 3), (batched, batched) if layer_class is elman.LSTM else batched)


def test_an_lstm_takes_a_pair() -> None:
    layer = elman.LSTM(3, 4)

    with pytest.raises(ShapeError, match=r"state of this layer is a tuple \(h, c\): one tensor"):
        layer(_x(5, 2, 3), _x(1, 2, 4))
    with pytest.raises(ShapeError, match=r"the state has 3 arrays: the cell 'lstm' has h, c"):
        layer(_x(5, 2, 3), (_x(1, 2, 4),) * 3)
    with pytest.raises(ShapeError, match=r"the state has 1 arrays: the cell 'lstm' has h, c"):
        layer(_x(5, 2, 3), (_x(1, 2, 4),))


@pytest.mark.parametrize("layer_class", [elman.RNN, elman.GRU], ids=lambda c: c.__name__)
def test_the_others_take_one_tensor(layer_class) -> None:
    with pytest.raises(ShapeError, match=r"the state of this layer is one tensor h: tuple was given"):
        layer_class(3, 4)(_x(5, 2, 3), (_x(1, 2, 4), _x(1, 2, 4)))


@pytest.mark.parametrize("error", [ShapeError, OptionError, EngineError])
def test_every_error_is_elmans_and_a_built_in_one(error) -> None:
    assert issubclass(error, ElmanError)
    assert issubclass(error, RuntimeError if error is EngineError else ValueError)
    assert error("x").exit_code == 2
