"""Law 6, lengths: padding changes nothing and gets no gradient, whatever stands in it."""

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
    row_by_row,
    values_and_gradients,
    with_padding,
)

from elman.engines import Engine

pytestmark = every_cell_and_engine


@given(data=st.data())
def test_padded_rows_equal_rows_alone(
    make_cell: MakeCell, engine: Engine, device: torch.device, data: st.DataObject
) -> None:
    """The padding is NaN, so that touching it shows; lengths come in any order, zero included."""
    case = draw_case(data, make_cell, device)
    lengths = data.draw(lengths_for(case))
    case = with_padding(case, lengths, torch.nan)

    assert_same(
        values_and_gradients(case, by_engine(engine, lengths)),
        values_and_gradients(case, row_by_row(lengths)),
    )


@given(data=st.data())
def test_padded_rows_with_resets_equal_pieces_alone(
    make_cell: MakeCell, engine: Engine, device: torch.device, data: st.DataObject
) -> None:
    """Laws 3 and 6 at once; a flag in the padding means nothing."""
    case = draw_case(data, make_cell, device)
    lengths = data.draw(lengths_for(case))
    reset_TB = reset_flags(case, data.draw(resets_for(case)))
    case = with_padding(case, lengths, torch.nan)

    assert_same(
        values_and_gradients(case, by_engine(engine, lengths, reset_TB)),
        values_and_gradients(case, row_by_row(lengths, reset_TB)),
    )


def test_a_reset_in_the_padding_keeps_the_final_state(
    make_cell: MakeCell, engine: Engine, device: torch.device
) -> None:
    """The final state is that after the last valid step, also where a flag stands behind it."""
    case = random_case(make_cell(3), steps=5, batch=3, features=2, seed=7, device=device)
    lengths = [3, 5, 0]
    in_padding = reset_flags(case, {(4, 0), (3, 0), (0, 2)})

    assert_same(by_engine(engine, lengths, in_padding)(case), by_engine(engine, lengths)(case), tolerance=0)


def test_padding_gets_no_gradient(make_cell: MakeCell, engine: Engine, device: torch.device) -> None:
    """Exactly zero, not merely small; and no output either."""
    # Of seven units, some of a ReLU's are alive at any step.
    case = random_case(make_cell(7), steps=5, batch=4, features=2, seed=8, device=device)
    lengths = [2, 0, 5, 3]
    padding_TB = torch.arange(5, device=device)[:, None] >= torch.tensor(lengths, device=device)

    results = values_and_gradients(case, by_engine(engine, lengths))

    assert results["gradient of x"][padding_TB].eq(0).all()
    assert results["gradient of x"][~padding_TB].ne(0).any(-1).all()
    assert results["y"][padding_TB].eq(0).all()


def test_all_rows_empty_gives_the_initial_state_back(make_cell: MakeCell, engine: Engine, device: torch.device) -> None:
    """Lengths of zero everywhere."""
    case = random_case(make_cell(3), steps=4, batch=2, features=2, seed=9, device=device)

    results = by_engine(engine, [0, 0])(case)

    assert results["y"].shape == (4, 2, case.cell.output_size)
    assert results["y"].eq(0).all()
    for name, value in zip(case.state._fields, case.state, strict=True):
        assert torch.equal(results[f"final {name}"], value)
