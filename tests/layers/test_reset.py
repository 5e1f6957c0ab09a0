"""`reset=`: a flag at t cuts the sequence between t - 1 and t, in both directions, whatever else is asked for."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from laws import assert_same
from torch.nn.utils.rnn import pack_padded_sequence
from twins import INPUT_SIZE, as_state, every_kind, random, random_state, run, tensors, twins

every_direction = pytest.mark.parametrize("bidirectional", [False, True], ids=["forwards", "both_ways"])
every_engine = pytest.mark.parametrize("engine", ["reference", "torch", "native"])
STEPS, BATCH = 7, 4


def in_pieces(layer, x, state, lengths, reset_TB):
    """Each row alone, each piece between two flags alone, by torch.nn; time first.

    The given state enters the first piece from the front, unless a flag stands there, and the last one from behind. The
    final state is that of the last piece forwards, and of the first backwards.
    """
    directions = 2 if layer.bidirectional else 1
    outputs, finals = [], []
    for b, length in enumerate(lengths):
        row = [s[:, b] for s in tensors(state)]
        flagged = [t for t in range(length) if reset_TB[t, b]]
        cuts = sorted({0, length, *flagged})
        pieces, last = [], [s.clone() for s in row]
        for start, stop in pairwise(cuts):
            enters = [torch.zeros_like(s) for s in row]
            for entering, s in zip(enters, row, strict=True):
                if start == 0 and 0 not in flagged:
                    entering[0::directions] = s[0::directions]
                if stop == length and directions == 2:
                    entering[1::2] = s[1::2]
            y, after = layer(x[start:stop, b], as_state(layer, enters))
            pieces.append(y)
            for value, new in zip(last, tensors(after), strict=True):
                value[0::directions] = new[0::directions]
                if start == 0 and directions == 2:
                    value[1::2] = new[1::2]
        width = directions * (getattr(layer, "proj_size", 0) or layer.hidden_size)
        outputs.append(torch.cat([*pieces, x.new_zeros(STEPS - length, width)]))
        finals.append(last)
    return torch.stack(outputs, 1), as_state(layer, [torch.stack(rows, 1) for rows in zip(*finals, strict=True)])


def _flags(places):
    flags = torch.zeros(STEPS, BATCH, dtype=torch.bool)
    for t, b in places:
        flags[t, b] = True
    return flags


places = st.sets(st.tuples(st.integers(0, STEPS - 1), st.integers(0, BATCH - 1)), max_size=7)
row_lengths = st.lists(st.integers(0, STEPS), min_size=BATCH, max_size=BATCH)


@every_kind
@every_direction
@every_engine
@given(places=places)
@settings(max_examples=6)
def test_pieces_between_resets_are_sequences_of_their_own(kind, bidirectional, engine, places) -> None:
    """Values, final state and all gradients, two layers, from a state that is not zero."""
    ours, theirs = twins(kind, engine=engine, num_layers=2, bidirectional=bidirectional)
    x, state, reset_TB = random(STEPS, BATCH, INPUT_SIZE), random_state(theirs, BATCH), _flags(places)
    leaves = [x, *tensors(state)]

    actual = run(ours, lambda m: m(x, state, reset=reset_TB), leaves)
    expected = run(theirs, lambda m: in_pieces(m, x, state, [STEPS] * BATCH, reset_TB), leaves)

    assert_same(actual, expected, 1e-10)


@every_kind
@every_direction
@every_engine
@given(places=places, lengths=row_lengths)
@settings(max_examples=6)
def test_resets_and_lengths_together(kind, bidirectional, engine, places, lengths) -> None:
    """Flags in the padding mean nothing, zero lengths included; the padding is NaN."""
    ours, theirs = twins(kind, engine=engine, num_layers=2, bidirectional=bidirectional)
    valid_TB = torch.arange(STEPS)[:, None] < torch.tensor(lengths)
    x = torch.where(valid_TB[..., None], torch.randn(STEPS, BATCH, INPUT_SIZE, dtype=torch.float64), torch.nan)
    x, state, reset_TB = x.requires_grad_(), random_state(theirs, BATCH), _flags(places)
    leaves = [x, *tensors(state)]

    actual = run(ours, lambda m: m(x, state, lengths=lengths, reset=reset_TB), leaves)
    expected = run(theirs, lambda m: in_pieces(m, x, state, lengths, reset_TB), leaves)

    assert_same(actual, expected, 1e-10)


@every_kind
@every_direction
@every_engine
def test_nothing_crosses_a_reset(kind, bidirectional, engine) -> None:
    """A NaN on one side never reaches the other, in either direction, through any number of layers."""
    ours, _ = twins(kind, engine=engine, num_layers=3, bidirectional=bidirectional)
    x = torch.randn(STEPS, BATCH, INPUT_SIZE, dtype=torch.float64)
    reset_TB = _flags({(3, b) for b in range(BATCH)})
    clean, _ = ours(x, reset=reset_TB)

    for spoilt, sound in ((slice(0, 3), slice(3, None)), (slice(3, None), slice(0, 3))):
        dirty = x.clone()
        dirty[spoilt] = torch.nan
        y, _ = ours(dirty, reset=reset_TB)
        assert y[spoilt].isnan().all()
        assert torch.equal(y[sound], clean[sound])


@every_kind
@every_direction
def test_batch_first_takes_flags_in_the_inputs_own_layout(kind, bidirectional) -> None:
    ours, _ = twins(kind, num_layers=2, bidirectional=bidirectional)
    turned, _ = twins(kind, num_layers=2, bidirectional=bidirectional, batch_first=True)
    x, state, reset_TB = random(STEPS, BATCH, INPUT_SIZE), random_state(ours, BATCH), _flags({(2, 0), (5, 0), (1, 3)})

    y, last = turned(x.transpose(0, 1), state, reset=reset_TB.t())

    y_expected, last_expected = ours(x, state, reset=reset_TB)
    assert torch.equal(y.transpose(0, 1), y_expected)
    assert all(torch.equal(a, b) for a, b in zip(tensors(last), tensors(last_expected), strict=True))


@every_kind
@every_direction
@pytest.mark.parametrize("batch_first", [False, True], ids=["time_first", "batch_first"])
def test_one_unbatched_sequence_has_one_flag_a_step(kind, bidirectional, batch_first) -> None:
    ours, _ = twins(kind, num_layers=2, bidirectional=bidirectional, batch_first=batch_first)
    x, reset_T = random(STEPS, INPUT_SIZE), _flags({(3, 0)})[:, 0]

    y, _ = ours(x, reset=reset_T)

    expected = torch.cat([ours(x[:3])[0], ours(x[3:])[0]])
    torch.testing.assert_close(y, expected, rtol=1e-12, atol=1e-12)


@every_kind
@every_direction
@pytest.mark.parametrize("batch_first", [False, True], ids=["time_first", "batch_first"])
def test_a_packed_sequence_takes_flags_time_first_in_its_original_order(kind, bidirectional, batch_first) -> None:
    ours, _ = twins(kind, num_layers=2, bidirectional=bidirectional, batch_first=batch_first)
    plain, _ = twins(kind, num_layers=2, bidirectional=bidirectional)
    x, lengths, reset_TB = random(STEPS, BATCH, INPUT_SIZE), [3, 7, 1, 5], _flags({(2, 0), (5, 1), (4, 3), (6, 2)})
    packed = pack_padded_sequence(x, torch.tensor(lengths), enforce_sorted=False)

    y, last = ours(packed, reset=reset_TB)

    y_expected, last_expected = plain(x, lengths=lengths, reset=reset_TB)
    expected = pack_padded_sequence(y_expected, torch.tensor(lengths), enforce_sorted=False)
    assert torch.equal(y.data, expected.data)
    assert all(torch.equal(a, b) for a, b in zip(tensors(last), tensors(last_expected), strict=True))


@every_kind
@every_direction
def test_no_flag_at_all_is_as_none(kind, bidirectional) -> None:
    ours, _ = twins(kind, num_layers=2, bidirectional=bidirectional)
    x, state = random(STEPS, BATCH, INPUT_SIZE), random_state(ours, BATCH)

    y, _ = ours(x, state, reset=_flags(set()))

    assert torch.equal(y, ours(x, state)[0])
