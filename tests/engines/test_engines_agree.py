"""The torch engine is held to the reference: values and all gradients, for any lengths and resets."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from laws import (
    MakeCell,
    assert_same,
    by_engine,
    draw_case,
    every_cell,
    lengths_for,
    random_case,
    reset_flags,
    resets_for,
    values_and_gradients,
    with_padding,
)

from elman.engines import Engine

pytestmark = every_cell


@given(data=st.data())
def test_torch_engine_equals_reference(make_cell: MakeCell, device: torch.device, data: st.DataObject) -> None:
    """With and without lengths, with and without resets."""
    case = draw_case(data, make_cell, device)
    lengths = data.draw(st.none() | lengths_for(case))
    places = data.draw(st.none() | resets_for(case))
    reset_TB = None if places is None else reset_flags(case, places)
    case = with_padding(case, lengths or [], torch.nan)

    actual, expected = (
        values_and_gradients(case, by_engine(engine, lengths, reset_TB)) for engine in (Engine.TORCH, Engine.REFERENCE)
    )

    assert_same(actual, expected)


@pytest.mark.parametrize("size", [63, 130])
def test_torch_engine_equals_reference_at_larger_odd_sizes(
    make_cell: MakeCell, size: int, device: torch.device
) -> None:
    """Where blocked kernels have edges."""
    case = random_case(make_cell(size), steps=21, batch=7, features=33, seed=21, device=device)
    lengths = [21, 3, 0, 20, 1, 21, 11]

    actual, expected = (
        values_and_gradients(case, by_engine(engine, lengths)) for engine in (Engine.TORCH, Engine.REFERENCE)
    )

    assert_same(actual, expected, tolerance=1e-10)
