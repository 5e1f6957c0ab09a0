"""Contiguous streams: windows side by side, none overlapping, none left out."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from elman.data.streams import Streams
from elman.errors import DataError

_cuts = st.tuples(st.integers(2, 300), st.integers(1, 12), st.integers(1, 40)).filter(lambda cut: cut[0] > cut[2])


@given(_cuts)
def test_windows_one_after_the_other_are_contiguous_pieces_of_the_text(cut: tuple[int, int, int]) -> None:
    count, batch, window = cut
    tokens = np.arange(count, dtype=np.int32)
    streams = Streams.cut(tokens, batch, window)
    windows = [streams[index] for index in range(len(streams))]

    inputs_SB = torch.cat([inputs for inputs, _ in windows]).numpy()
    targets_SB = torch.cat([targets for _, targets in windows]).numpy()
    length = inputs_SB.shape[0]
    # Side by side: stream b begins where stream b - 1 ended, and each token is read once.
    assert np.array_equal(inputs_SB.T.reshape(-1), np.arange(length * streams.batch))
    # A target is the token that follows its input, across the ends of windows and streams too.
    assert np.array_equal(targets_SB, inputs_SB + 1)
    assert all(inputs.shape == (window, streams.batch) for inputs, _ in windows[:-1])
    assert 1 <= windows[-1][0].shape[0] <= window


@given(_cuts)
def test_fewer_than_a_stream_s_worth_of_tokens_is_left_out(cut: tuple[int, int, int]) -> None:
    count, batch, window = cut
    streams = Streams.cut(np.zeros(count, np.int32), batch, window)
    read = streams.steps * streams.batch
    assert 0 <= count - 1 - read < streams.batch


@given(_cuts)
def test_a_short_text_gets_fewer_streams_of_at_least_one_window(cut: tuple[int, int, int]) -> None:
    count, batch, window = cut
    streams = Streams.cut(np.zeros(count, np.int32), batch, window)
    assert streams.steps >= window
    # As many as were asked for, unless one more would be shorter than a window.
    assert streams.batch == batch or (count - 1) // (streams.batch + 1) < window


def test_a_text_shorter_than_one_window_is_refused() -> None:
    assert len(Streams.cut(np.zeros(17, np.int32), 4, 16)) == 1
    with pytest.raises(DataError, match=r"16 tokens.*bptt=16.*smaller --bptt"):
        Streams.cut(np.zeros(16, np.int32), 4, 16)


def test_there_is_no_window_before_the_first_or_after_the_last() -> None:
    streams = Streams.cut(np.zeros(100, np.int32), 2, 10)
    for index in (-1, len(streams)):
        with pytest.raises(IndexError):
            streams[index]


def test_windows_are_long_integers_as_an_embedding_wants_them() -> None:
    inputs, targets = Streams.cut(np.arange(50, dtype=np.int32), 2, 10)[0]
    assert inputs.dtype == targets.dtype == torch.int64
