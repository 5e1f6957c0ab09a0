"""Frames joined: what a step holds, at the end of a sequence too, and piece by piece."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from elman.errors import OptionError
from elman.layers import FrameInput, stack_frames


@given(steps=st.integers(1, 12), stack=st.integers(1, 5), data=st.data())
def test_a_step_holds_its_frames_in_order_and_zeros_beyond_the_end(steps: int, stack: int, data: st.DataObject) -> None:
    lengths = data.draw(st.lists(st.integers(0, steps), min_size=1, max_size=3))
    # NaN in the padding: it must not be read.
    x_TBD = torch.randn(steps, len(lengths), 2)
    for row, length in enumerate(lengths):
        x_TBD[length:, row] = torch.nan
    stacked_SBD, stacked_B = stack_frames(x_TBD, torch.tensor(lengths), stack)
    assert stacked_SBD.shape == (-(-steps // stack), len(lengths), 2 * stack)
    assert stacked_B.tolist() == [-(-length // stack) for length in lengths]
    for row, length in enumerate(lengths):
        read = stacked_SBD[:, row].reshape(-1, 2)
        assert torch.equal(read[:length], x_TBD[:length, row])
        assert (read[length:] == 0).all()


def test_pieces_of_whole_steps_give_what_the_whole_does() -> None:
    layer, x_TBD = FrameInput(4, 3, 5), torch.randn(12, 1, 4)
    whole, _ = layer(x_TBD, torch.tensor([12]))
    parts = [layer(x_TBD[at : at + 3], torch.tensor([3]))[0] for at in range(0, 12, 3)]
    torch.testing.assert_close(torch.cat(parts), whole)
    with pytest.raises(OptionError, match="stack=0"):
        FrameInput(4, 0, 5)
