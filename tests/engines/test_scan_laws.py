"""The laws of a scan, for every cell and engine: values and all gradients, in float64, from states that are not zero."""

import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st
from laws import (
    MakeCell,
    assert_same,
    by_engine,
    by_folding,
    draw_case,
    every_cell_and_engine,
    in_two_pieces,
    random_case,
    reset_flags,
    resets_for,
    row_by_row,
    values_and_gradients,
)

from elman.cells import map_state
from elman.engines import Engine, scan

pytestmark = every_cell_and_engine


@given(data=st.data())
def test_scan_equals_folding_step(
    make_cell: MakeCell, engine: Engine, device: torch.device, data: st.DataObject
) -> None:
    """Law 1."""
    case = draw_case(data, make_cell, device)

    assert_same(values_and_gradients(case, by_engine(engine)), values_and_gradients(case, by_folding))


@given(data=st.data())
def test_cutting_anywhere_and_going_on_changes_nothing(
    make_cell: MakeCell, engine: Engine, device: torch.device, data: st.DataObject
) -> None:
    """Law 2. The state at the cut is carried with its gradient; a piece may be empty."""
    case = draw_case(data, make_cell, device)
    cut = data.draw(st.integers(0, case.steps))

    assert_same(
        values_and_gradients(case, in_two_pieces(engine, cut)),
        values_and_gradients(case, by_engine(engine)),
    )


@given(data=st.data())
def test_resets_equal_fresh_starts(
    make_cell: MakeCell, engine: Engine, device: torch.device, data: st.DataObject
) -> None:
    """Law 3, each row at times of its own."""
    case = draw_case(data, make_cell, device)
    reset_TB = reset_flags(case, data.draw(resets_for(case)))

    assert_same(
        values_and_gradients(case, by_engine(engine, reset_TB=reset_TB)),
        values_and_gradients(case, row_by_row(reset_TB=reset_TB)),
    )


def test_nothing_before_a_reset_reaches_what_comes_after(
    make_cell: MakeCell, engine: Engine, device: torch.device
) -> None:
    """Law 3, sharpened: not even a NaN crosses a reset."""
    case = random_case(make_cell(3), steps=5, batch=2, features=2, seed=1, device=device)
    reset_TB = reset_flags(case, {(2, 0), (2, 1)})
    poisoned = case.with_leaves({**case.leaves(), "x": torch.cat([case.x_TBD[:2] * torch.nan, case.x_TBD[2:]])})

    clean, dirty = (by_engine(engine, reset_TB=reset_TB)(each) for each in (case, poisoned))

    assert dirty["y"][:2].isnan().any()
    torch.testing.assert_close(dirty["y"][2:], clean["y"][2:], rtol=0, atol=0)
    torch.testing.assert_close(dirty["final h"], clean["final h"], rtol=0, atol=0)


def test_step_and_scan_leave_their_arguments_untouched(
    make_cell: MakeCell, engine: Engine, device: torch.device
) -> None:
    """Law 4."""
    case = random_case(make_cell(3), steps=4, batch=3, features=2, seed=2, device=device)
    u_BG = case.cell.project(case.weights, case.x_TBD[0])
    lengths_B = torch.tensor([2, 4, 0], device=device)
    reset_TB = reset_flags(case, {(1, 1)})
    given = {**case.leaves(), "u": u_BG, "lengths": lengths_B, "reset": reset_TB}
    before = {name: value.detach().clone() for name, value in given.items()}

    y_BH, after = case.cell.step(case.weights, u_BG, case.state)
    _, last = scan(case.cell, case.weights, case.x_TBD, case.state, lengths_B, reset_TB, engine=engine)

    assert_same({name: value.detach() for name, value in given.items()}, before, tolerance=0)
    given_memory = {value.data_ptr() for value in given.values()}
    for state in (after, last):
        assert type(state) is case.cell.state_type
        assert state is not case.state
        assert not {value.data_ptr() for value in state} & given_memory
    assert y_BH.shape == (3, case.cell.output_size)


def test_saved_and_loaded_it_goes_on_bit_for_bit(make_cell: MakeCell, engine: Engine, device: torch.device) -> None:
    """Law 7, by safetensors, which keeps names and forgets their order."""
    case = random_case(make_cell(17), steps=7, batch=3, features=4, seed=3, device=device)
    cell = case.cell
    with torch.no_grad():
        _, middle = scan(cell, case.weights, case.x_TBD[:4], case.state, engine=engine)
        expected = scan(cell, case.weights, case.x_TBD[4:], middle, engine=engine)

        saved = safetensors.torch.save({**case.weights, **middle._asdict()})
        loaded = {name: value.to(device) for name, value in safetensors.torch.load(saved).items()}
        state = cell.state_type(**{name: loaded.pop(name) for name in middle._fields})
        actual = scan(cell, loaded, case.x_TBD[4:], state, engine=engine)

    assert torch.equal(actual[0], expected[0])
    assert all(torch.equal(a, b) for a, b in zip(actual[1], expected[1], strict=True))


def test_weights_go_by_name_not_by_order(make_cell: MakeCell, engine: Engine, device: torch.device) -> None:
    """`Weights` is a mapping: the order of its entries means nothing."""
    case = random_case(make_cell(4), steps=3, batch=2, features=4, seed=4, device=device)
    turned = {name: case.weights[name] for name in reversed(case.weights)}

    y_expected, last_expected = scan(case.cell, case.weights, case.x_TBD, case.state, engine=engine)
    y, last = scan(case.cell, turned, case.x_TBD, case.state, engine=engine)

    assert torch.equal(y, y_expected)
    assert torch.equal(last.h, last_expected.h)


@given(data=st.data())
def test_a_row_does_not_depend_on_another(
    make_cell: MakeCell, engine: Engine, device: torch.device, data: st.DataObject
) -> None:
    """Law 8: one row all NaN, and every other row is bit for bit what it was."""
    case = draw_case(data, make_cell, device)
    spoilt = data.draw(st.integers(0, case.batch - 1))
    others = [b for b in range(case.batch) if b != spoilt]
    leaves = {name: value.detach().clone() for name, value in case.leaves().items()}
    leaves["x"][:, spoilt] = torch.nan
    for name in case.state._fields:
        leaves[f"initial {name}"][spoilt] = torch.nan

    clean, dirty = (by_engine(engine)(each) for each in (case, case.with_leaves(leaves)))

    assert dirty["y"][:, spoilt].isnan().all()
    assert torch.equal(dirty["y"][:, others], clean["y"][:, others])
    for name in case.state._fields:
        assert torch.equal(dirty[f"final {name}"][others], clean[f"final {name}"][others])


def test_a_row_gets_no_gradient_from_another(make_cell: MakeCell, engine: Engine, device: torch.device) -> None:
    """Law 8, backwards."""
    case = random_case(make_cell(3), steps=4, batch=3, features=2, seed=5, device=device)
    y, last = scan(case.cell, case.weights, case.x_TBD, case.state, engine=engine)

    loss = y[:, 1].sum() + sum(value[1].sum() for value in last)
    x_gradient, *state_gradients = torch.autograd.grad(loss, [case.x_TBD, *case.state])

    assert x_gradient[:, 1].ne(0).any()
    assert x_gradient[:, [0, 2]].eq(0).all()
    for gradient in state_gradients:
        assert gradient[[0, 2]].eq(0).all()


def test_an_empty_sequence_gives_no_output_and_the_state_back(
    make_cell: MakeCell, engine: Engine, device: torch.device
) -> None:
    """A scan of no steps is no steps."""
    case = random_case(make_cell(3), steps=1, batch=2, features=2, seed=6, device=device)

    y, last = scan(case.cell, case.weights, case.x_TBD[:0], case.state, engine=engine)

    assert y.shape == (0, 2, case.cell.output_size)
    map_state(lambda a, b: torch.testing.assert_close(a, b, rtol=0, atol=0) or a, last, case.state)
