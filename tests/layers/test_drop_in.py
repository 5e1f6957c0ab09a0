"""elman's RNN, LSTM and GRU stand in for `torch.nn`'s: every argument, layout and gradient."""

import pytest
import torch
from laws import assert_same
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence
from twins import INPUT_SIZE, every_kind, random, random_state, run, tensors, twins

import elman

every_depth = pytest.mark.parametrize("num_layers", [1, 2, 3], ids=lambda n: f"{n}_layers")
every_direction = pytest.mark.parametrize("bidirectional", [False, True], ids=["forwards", "both_ways"])
every_bias = pytest.mark.parametrize("bias", [True, False], ids=["bias", "no_bias"])
every_state = pytest.mark.parametrize("given", [False, True], ids=["no_state", "state"])
TIGHT = 1e-10


@every_kind
@every_depth
@every_direction
@every_bias
def test_same_seed_gives_the_same_weights_under_the_same_names(kind, num_layers, bidirectional, bias) -> None:
    ours, theirs = twins(kind, num_layers=num_layers, bidirectional=bidirectional, bias=bias)

    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert_same(ours.state_dict(), theirs.state_dict(), tolerance=0)
    assert [[p.shape for p in place] for place in ours.all_weights] == [
        [p.shape for p in place] for place in theirs.all_weights
    ]


@every_kind
@every_direction
def test_state_dict_loads_strictly_in_both_directions(kind, bidirectional) -> None:
    ours, theirs = twins(kind, num_layers=2, bidirectional=bidirectional)
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(1)

    ours.load_state_dict(theirs.state_dict(), strict=True)
    assert_same(ours.state_dict(), theirs.state_dict(), tolerance=0)

    ours.reset_parameters()
    theirs.load_state_dict(ours.state_dict(), strict=True)
    assert_same(theirs.state_dict(), ours.state_dict(), tolerance=0)


@every_kind
@every_depth
@every_direction
@pytest.mark.parametrize(
    ("bias", "given"),
    [(True, False), (True, True), (False, True)],
    ids=["bias-no_state", "bias-state", "no_bias-state"],
)
@pytest.mark.parametrize("layout", ["time_first", "batch_first", "unbatched"])
def test_dense_sequences(kind, num_layers, bidirectional, bias, given, layout) -> None:
    """Values, final state, all gradients."""
    ours, theirs = twins(
        kind, num_layers=num_layers, bidirectional=bidirectional, bias=bias, batch_first=layout == "batch_first"
    )
    batch = None if layout == "unbatched" else 4
    shape = {"time_first": (7, 4), "batch_first": (4, 7), "unbatched": (7,)}[layout]
    x = random(*shape, INPUT_SIZE)
    state = random_state(theirs, batch) if given else None

    actual, expected = (run(layer, lambda m: m(x, state), [x, *tensors(state)]) for layer in (ours, theirs))

    assert_same(actual, expected, TIGHT)


@every_kind
@pytest.mark.parametrize("num_layers", [1, 2], ids=lambda n: f"{n}_layers")
@every_direction
@every_state
@pytest.mark.parametrize("enforce_sorted", [True, False], ids=["sorted", "unsorted"])
@pytest.mark.parametrize("batch_first", [False, True], ids=["time_first", "batch_first"])
def test_packed_sequences(kind, num_layers, bidirectional, given, enforce_sorted, batch_first) -> None:
    """A PackedSequence in gives the same PackedSequence out; `batch_first` means nothing to it."""
    ours, theirs = twins(kind, num_layers=num_layers, bidirectional=bidirectional, batch_first=batch_first)
    lengths = [7, 5, 5, 1] if enforce_sorted else [5, 1, 7, 5]
    x = random(*((4, 7) if batch_first else (7, 4)), INPUT_SIZE)
    state = random_state(theirs, 4) if given else None

    def call(layer):
        return layer(pack_padded_sequence(x, torch.tensor(lengths), batch_first, enforce_sorted), state)

    actual, expected = (run(layer, call, [x, *tensors(state)]) for layer in (ours, theirs))
    assert_same(actual, expected, TIGHT)

    y, y_expected = call(ours)[0], call(theirs)[0]
    assert isinstance(y, PackedSequence)
    assert torch.equal(y.batch_sizes, y_expected.batch_sizes)
    for indices, wanted in (
        (y.sorted_indices, y_expected.sorted_indices),
        (y.unsorted_indices, y_expected.unsorted_indices),
    ):
        assert (indices is None and wanted is None) or torch.equal(indices, wanted)


@every_kind
@every_direction
@pytest.mark.parametrize("layout", ["time_first", "packed"])
def test_the_reference_engine_stands_in_too(kind, bidirectional, layout) -> None:
    ours, theirs = twins(kind, engine="reference", num_layers=2, bidirectional=bidirectional)
    x = random(6, 4, INPUT_SIZE)
    state = random_state(theirs, 4)

    def call(layer):
        packed = pack_padded_sequence(x, torch.tensor([2, 6, 1, 4]), enforce_sorted=False)
        return layer(x if layout == "time_first" else packed, state)

    actual, expected = (run(layer, call, [x, *tensors(state)]) for layer in (ours, theirs))

    assert_same(actual, expected, TIGHT)


@every_kind
@every_direction
@pytest.mark.parametrize("engine", ["auto", "reference"])
def test_single_precision(kind, bidirectional, engine) -> None:
    """Float32, where the fused kernels are others than for float64."""
    ours, theirs = twins(kind, engine=engine, dtype=torch.float32, num_layers=2, bidirectional=bidirectional)
    x = random(9, 4, INPUT_SIZE, dtype=torch.float32)
    state = random_state(theirs, 4)

    actual, expected = (run(layer, lambda m: m(x, state), [x, *tensors(state)]) for layer in (ours, theirs))

    assert_same(actual, expected, 1e-5)


@every_kind
def test_evaluation_ignores_dropout(kind) -> None:
    ours, theirs = (layer.eval() for layer in twins(kind, num_layers=3, dropout=0.6))
    x = random(7, 4, INPUT_SIZE)

    actual, expected = (run(layer, lambda m: m(x), [x]) for layer in (ours, theirs))

    assert_same(actual, expected, TIGHT)


@every_kind
def test_without_gradients_the_values_are_the_same(kind) -> None:
    """Inference takes other kernels than training does."""
    ours, theirs = twins(kind, dtype=torch.float32, num_layers=2, bidirectional=True)
    x = random(7, 4, INPUT_SIZE, dtype=torch.float32)
    with torch.no_grad():
        y, state = ours(x)
        y_expected, state_expected = theirs(x)

    assert not y.requires_grad
    torch.testing.assert_close(y, y_expected, rtol=1e-5, atol=1e-5)
    for value, expected in zip(tensors(state), tensors(state_expected), strict=True):
        torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_positional_arguments_stand_where_torchs_do(kind) -> None:
    """Up to `bidirectional`, and an LSTM's `proj_size`."""
    options = {
        "RNN": ("relu", False, True, 0.25, True),
        "LSTM": (False, True, 0.25, True, 2),
        "GRU": (False, True, 0.25, True),
    }
    ours = getattr(elman, kind)(3, 5, 2, *options[kind])
    theirs = getattr(torch.nn, kind)(3, 5, 2, *options[kind])

    for name in ("input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional"):
        assert getattr(ours, name) == getattr(theirs, name), name
    if kind == "RNN":
        assert ours.nonlinearity == theirs.nonlinearity == "relu"
    if kind == "LSTM":
        assert ours.proj_size == theirs.proj_size == 2
    assert {n: p.shape for n, p in ours.named_parameters()} == {n: p.shape for n, p in theirs.named_parameters()}


@every_kind
def test_flatten_parameters_may_be_called(kind) -> None:
    """Code written for `torch.nn` calls it."""
    ours, _ = twins(kind)
    before = {name: value.clone() for name, value in ours.state_dict().items()}

    ours.flatten_parameters()

    assert_same(ours.state_dict(), before, tolerance=0)
