"""Engines are held to the reference: values and all gradients, for any lengths and resets, in both directions."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from laws import (
    MakeCell,
    assert_same,
    by_engine,
    draw_case,
    every_cell_and_engine,
    lengths_for,
    random_case,
    reset_flags,
    resets_for,
    values_and_gradients,
    with_padding,
)

from elman.engines import Engine

pytestmark = every_cell_and_engine


@given(data=st.data())
def test_an_engine_equals_the_reference(
    make_cell: MakeCell, engine: Engine, device: torch.device, data: st.DataObject
) -> None:
    """With and without lengths, with and without resets."""
    case = draw_case(data, make_cell, device)
    lengths = data.draw(st.none() | lengths_for(case))
    places = data.draw(st.none() | resets_for(case))
    reset_TB = None if places is None else reset_flags(case, places)
    case = with_padding(case, lengths or [], torch.nan)
    reverse = data.draw(st.booleans())

    actual, expected = (
        values_and_gradients(case, by_engine(each, lengths, reset_TB, reverse)) for each in (engine, Engine.REFERENCE)
    )

    assert_same(actual, expected)


@pytest.mark.parametrize("size", [63, 130])
def test_an_engine_equals_the_reference_at_larger_odd_sizes(
    make_cell: MakeCell, engine: Engine, size: int, device: torch.device
) -> None:
    """Where blocked kernels have edges."""
    case = random_case(make_cell(size), steps=21, batch=7, features=33, seed=21, device=device)
    lengths = [21, 3, 0, 20, 1, 21, 11]

    actual, expected = (values_and_gradients(case, by_engine(each, lengths)) for each in (engine, Engine.REFERENCE))

    assert_same(actual, expected, tolerance=1e-10)
