"""A long sequence goes piece by piece where that is faster: what comes of it is what comes of the whole."""

import itertools

import pytest
import torch
from laws import assert_same, by_engine, random_case, reset_flags, values_and_gradients

from elman import engines
from elman.cells import CELLS, Cell, cell_named
from elman.engines import Engine
from elman.engines.pieces import fitting_steps

# Cells with a scan of their own; one that needs an input as wide as its state gets one.
_OWN = [
    name
    for name in CELLS
    if type(cell_named(name, 4, **({"frame": (1, 2)} if name == "conv_lstm" else {}))).scan is not Cell.scan
]


@pytest.mark.parametrize("name", _OWN)
def test_pieces_are_the_whole(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Values and all gradients, with lengths and resets, in both directions; a piece may have no valid step."""
    steps = 11
    case = random_case(cell_named(name, 4), steps, batch=3, features=4, seed=1, device="cpu")
    reset_TB = reset_flags(case, {(4, 0), (5, 1), (8, 2)})
    for reverse, lengths, reset in itertools.product((False, True), (None, [11, 3, 0]), (None, reset_TB)):
        compute = by_engine(Engine.SCAN, lengths, reset, reverse)
        whole = values_and_gradients(case, compute)
        with monkeypatch.context() as changed:
            changed.setattr(engines, "fitting_steps", lambda _: 4)
            assert_same(values_and_gradients(case, compute), whole, tolerance=1e-10)


def test_a_piece_is_as_long_as_its_input_fits_and_a_multiple_of_every_chunk() -> None:
    assert fitting_steps(torch.empty(1, 8, 128)) == 1024
    assert fitting_steps(torch.empty(1, 1024, 4096)) == 256
    assert fitting_steps(torch.empty(1, 0, 7)) % 256 == 0
