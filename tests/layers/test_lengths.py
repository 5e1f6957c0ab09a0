"""`lengths=`: what `torch.nn` needs a PackedSequence for, and zero besides."""

import pytest
import torch
from laws import assert_same
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from twins import INPUT_SIZE, as_state, every_kind, random, random_state, run, tensors, twins

pytestmark = [
    every_kind,
    pytest.mark.parametrize("bidirectional", [False, True], ids=["forwards", "both_ways"]),
]
every_engine = pytest.mark.parametrize("engine", ["reference", "torch", "native"])


def _packed(layer, x, state, lengths):
    """What torch.nn makes of it, padded again to all steps of x."""
    y, last = layer(pack_padded_sequence(x, torch.tensor(lengths), layer.batch_first, enforce_sorted=False), state)
    return pad_packed_sequence(y, layer.batch_first, total_length=x.shape[1 if layer.batch_first else 0])[0], last


@every_engine
@pytest.mark.parametrize("batch_first", [False, True], ids=["time_first", "batch_first"])
def test_lengths_equal_torchs_packed_sequence(kind, bidirectional, batch_first, engine) -> None:
    """Values, final state and all gradients; the longest row is shorter than the array."""
    ours, theirs = twins(kind, engine=engine, num_layers=2, bidirectional=bidirectional, batch_first=batch_first)
    lengths = [4, 1, 6, 6, 3]
    x = random(*((5, 8) if batch_first else (8, 5)), INPUT_SIZE)
    state = random_state(theirs, 5)
    leaves = [x, *tensors(state)]

    actual = run(ours, lambda m: m(x, state, lengths=lengths), leaves)
    expected = run(theirs, lambda m: _packed(m, x, state, lengths), leaves)

    assert_same(actual, expected, 1e-10)


@every_engine
def test_a_row_of_length_zero_keeps_its_state_and_disturbs_no_other(kind, bidirectional, engine) -> None:
    """torch.nn refuses a length of zero: the other rows are held to it."""
    ours, theirs = twins(kind, engine=engine, num_layers=2, bidirectional=bidirectional)
    lengths = [0, 4, 0, 6]
    x = random(6, 4, INPUT_SIZE)
    state = random_state(theirs, 4)
    kept = [1, 3]

    y, last = ours(x, state, lengths=lengths)
    y_expected, last_expected = _packed(
        theirs, x[:, kept], as_state(theirs, [s[:, kept] for s in tensors(state)]), [4, 6]
    )

    torch.testing.assert_close(y[:, kept], y_expected, rtol=1e-10, atol=1e-10)
    assert y[:, [0, 2]].eq(0).all()
    for value, expected, before in zip(tensors(last), tensors(last_expected), tensors(state), strict=True):
        torch.testing.assert_close(value[:, kept], expected, rtol=1e-10, atol=1e-10)
        assert torch.equal(value[:, [0, 2]], before[:, [0, 2]])


@every_engine
def test_not_even_nan_in_the_padding_shows(kind, bidirectional, engine) -> None:
    """Outputs, final state and every gradient are as with zeros in the padding, and padding has no gradient."""
    ours, _ = twins(kind, engine=engine, num_layers=2, bidirectional=bidirectional)
    lengths = [3, 0, 6]
    valid_TB = torch.arange(6)[:, None] < torch.tensor(lengths)
    x = torch.randn(6, 3, INPUT_SIZE, dtype=torch.float64)
    clean, dirty = (torch.where(valid_TB[..., None], x, fill).requires_grad_() for fill in (0.0, torch.nan))

    expected = run(ours, lambda m: m(clean, lengths=lengths), [clean])
    actual = run(ours, lambda m: m(dirty, lengths=lengths), [dirty])

    assert_same(actual, expected, 1e-12)
    assert actual["gradient of leaf 0"][~valid_TB].eq(0).all()


@pytest.mark.parametrize("form", ["list", "tuple", "int64", "int32", "uint8"])
def test_lengths_may_be_a_list_or_a_tensor_of_any_whole_number(kind, bidirectional, form) -> None:
    ours, _ = twins(kind, bidirectional=bidirectional)
    x = random(6, 3, INPUT_SIZE)
    lengths = [2, 6, 0]
    containers = {"list": list, "tuple": tuple}
    given = containers[form](lengths) if form in containers else torch.tensor(lengths, dtype=getattr(torch, form))

    y, last = ours(x, lengths=given)

    y_expected, last_expected = ours(x, lengths=torch.tensor(lengths))
    assert torch.equal(y, y_expected)
    assert all(torch.equal(a, b) for a, b in zip(tensors(last), tensors(last_expected), strict=True))


def test_full_lengths_are_as_none(kind, bidirectional) -> None:
    ours, _ = twins(kind, num_layers=2, bidirectional=bidirectional)
    x = random(6, 3, INPUT_SIZE)

    actual, expected = (run(ours, lambda m: m(x, lengths=lengths), [x]) for lengths in ([6, 6, 6], None))  # noqa: B023

    assert_same(actual, expected, 1e-12)


def test_one_unbatched_sequence_has_one_length(kind, bidirectional) -> None:
    ours, _ = twins(kind, num_layers=2, bidirectional=bidirectional)
    x = random(6, INPUT_SIZE)

    y, last = ours(x, lengths=[4])

    y_expected, last_expected = ours(x[:4])
    torch.testing.assert_close(y[:4], y_expected, rtol=1e-12, atol=1e-12)
    assert y[4:].eq(0).all()
    for value, expected in zip(tensors(last), tensors(last_expected), strict=True):
        torch.testing.assert_close(value, expected, rtol=1e-12, atol=1e-12)


def test_an_empty_sequence_or_batch_is_no_error(kind, bidirectional) -> None:
    """No steps: no outputs, and the state as it was. No rows: nothing of anything."""
    ours, _ = twins(kind, num_layers=2, bidirectional=bidirectional)
    state = random_state(ours, 3)

    y, last = ours(random(0, 3, INPUT_SIZE), state)
    none, none_last = ours(random(4, 0, INPUT_SIZE), lengths=torch.tensor([], dtype=torch.long))

    assert y.shape[:2] == (0, 3)
    assert all(torch.equal(a, b) for a, b in zip(tensors(last), tensors(state), strict=True))
    assert none.shape[:2] == (4, 0)
    assert all(value.shape[1] == 0 for value in tensors(none_last))


def test_lengths_do_not_change_what_is_given(kind, bidirectional) -> None:
    ours, _ = twins(kind, bidirectional=bidirectional)
    x, lengths = random(4, 3, INPUT_SIZE), torch.tensor([3, 1, 4])
    state = random_state(ours, 3)
    before = [value.detach().clone() for value in (x, lengths, *tensors(state))]

    ours(x, state, lengths=lengths)

    assert all(torch.equal(a, b) for a, b in zip((x, lengths, *tensors(state)), before, strict=True))
