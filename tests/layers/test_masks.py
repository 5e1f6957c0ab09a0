"""What training drops: drawn from a generator in a fixed order, right in the mean, and never in evaluation."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from laws import assert_same
from torch import Tensor
from twins import random, run, tensors

import elman
from elman.cells import LSTMCell
from elman.engines import scan
from elman.errors import OptionError
from elman.layers import draw_mask

# The engines that run masks.
every_engine = pytest.mark.parametrize("engine", ["reference"])
# Whatever draws in training, by name.
DRAWING: dict[str, dict[str, Any]] = {
    "dropout": {"dropout": 0.4},
    "locked_dropout": {"dropout": 0.4, "locked_dropout": True},
    "weight_drop": {"weight_drop": 0.4},
    "variational_dropout": {"variational_dropout": 0.4},
    "recurrent_dropout": {"recurrent_dropout": 0.4},
    "zoneout": {"zoneout": 0.4},
    "all_of_them": {
        "dropout": 0.2,
        "weight_drop": 0.3,
        "variational_dropout": 0.25,
        "recurrent_dropout": 0.15,
        "zoneout": (0.1, 0.3),
    },
}
every_drawing_option = pytest.mark.parametrize("options", DRAWING.values(), ids=DRAWING)
# Those whose masks are scaled, so that the mean is what evaluation gives.
every_dropout = pytest.mark.parametrize(
    "name", [name for name in DRAWING if "zoneout" not in name and "all" not in name]
)


def _seeded(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    former = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(former)


def _lstm(engine: str = "reference", **options: Any) -> elman.LSTM:
    torch.manual_seed(5)
    return elman.LSTM(3, 4, 2, bidirectional=True, dtype=torch.float64, engine=engine, **options)


def _linear(hidden: int, *, w: float, u: float, **options: Any) -> elman.RNN:
    """h_t = w x_t + u h_{t-1}, unit by unit, in each layer: what comes out shows what was dropped."""
    layer = elman.RNN(hidden, hidden, nonlinearity="identity", bias=False, dtype=torch.float64, **options)
    with torch.no_grad():
        for name, weight in layer.named_parameters():
            weight.copy_(torch.eye(hidden, dtype=torch.float64) * (w if name.startswith("weight_ih") else u))
    return layer


@every_engine
@every_drawing_option
def test_the_same_seed_gives_the_same_bits_on_one_thread_and_on_two(options, engine) -> None:
    """Values, final state, all gradients; from a generator or from torch's own, and another seed gives something else."""
    layer, x = _lstm(engine, **options), random(6, 3, 3)

    def outcome(threads: int, generator: torch.Generator | None) -> dict[str, Tensor]:
        with _threads(threads):
            return run(layer, lambda m: m(x, lengths=[6, 2, 0], generator=generator), [x])

    once = outcome(1, _seeded())
    assert_same(outcome(2, _seeded()), once, tolerance=0)
    torch.manual_seed(3)
    assert_same(outcome(1, None), once, tolerance=0)
    assert not torch.equal(outcome(1, _seeded(4))["y"], once["y"])


@every_engine
@every_drawing_option
def test_a_generator_of_ones_own_leaves_torchs_alone(options, engine) -> None:
    layer, x, own = _lstm(engine, **options), random(6, 3, 3), _seeded()
    before = torch.get_rng_state()

    layer(x, generator=own)

    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.equal(own.get_state(), _seeded().get_state())


@every_engine
@every_dropout
def test_evaluation_draws_nothing_and_is_the_plain_layer_bit_for_bit(name, engine) -> None:
    layer, plain = (_lstm(engine, **options).eval() for options in (DRAWING[name], {}))
    x, generator, before = random(6, 3, 3), _seeded(), torch.get_rng_state()

    actual = run(layer, lambda m: m(x, generator=generator), [x])

    assert_same(actual, run(plain, lambda m: m(x), [x]), tolerance=0)
    assert torch.equal(generator.get_state(), _seeded().get_state())
    assert torch.equal(torch.get_rng_state(), before)


@every_engine
def test_evaluation_of_zoneout_takes_the_expected_value(engine) -> None:
    """From a state that is not zero, one step: h = p h_before + (1 - p) h_new, for c as well, each with its p."""
    torch.manual_seed(5)
    layer = elman.LSTM(3, 4, zoneout=(0.3, 0.6), dtype=torch.float64, engine=engine).eval()
    plain = elman.LSTM(3, 4, dtype=torch.float64, engine=engine)
    plain.load_state_dict(layer.state_dict())
    x, before = random(1, 2, 3), (random(1, 2, 4), random(1, 2, 4))

    y, (h, c) = layer(x, before)

    _, (new_h, new_c) = plain(x, before)
    torch.testing.assert_close(h, 0.3 * before[0] + 0.7 * new_h, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(c, 0.6 * before[1] + 0.4 * new_c, rtol=1e-12, atol=1e-12)
    assert torch.equal(y, h)


@pytest.mark.parametrize(
    ("name", "steps"),
    # Of a mask that counts at several steps, the mean of its powers would count.
    [("dropout", 3), ("locked_dropout", 3), ("recurrent_dropout", 3), ("zoneout", 3), ("variational_dropout", 1)],
)
@every_engine
def test_the_mean_over_many_draws_is_what_evaluation_gives(name, steps, engine) -> None:
    """A linear network, where the mean is exact: rows draw independently, so many equal rows are many draws."""
    rows = 6000
    layer = _linear(3, w=0.7, u=0.5, num_layers=2, engine=engine, **DRAWING[name])
    x = torch.randn(steps, 1, 3, dtype=torch.float64).expand(steps, rows, 3)
    h = torch.randn(2, 1, 3, dtype=torch.float64).expand(2, rows, 3)

    y, last = layer(x, h)

    for values, expected in zip((y, last), layer.eval()(x, h), strict=True):
        deviation = values.std(1) / math.sqrt(rows)
        assert ((values.mean(1) - expected[:, 0]).abs() <= 5 * deviation + 1e-4).all()
    assert y[-1].std(0).gt(0.01).all()


@every_engine
def test_the_mean_over_many_dropped_matrices_is_that_of_the_whole(engine) -> None:
    """One step, in which the matrix counts once; one mask a call."""
    layer = elman.RNN(3, 4, nonlinearity="identity", weight_drop=0.4, dtype=torch.float64, engine=engine)
    x, h = torch.randn(1, 2, 3, dtype=torch.float64), torch.randn(1, 2, 4, dtype=torch.float64)
    generator = _seeded()

    with torch.no_grad():
        values = torch.stack([layer(x, h, generator=generator)[0][0] for _ in range(200)])
        expected = layer.eval()(x, h)[0][0]

    assert ((values.mean(0) - expected).abs() < 5 * values.std(0) / math.sqrt(200)).all()


def _masks_over_time(layer: elman.RNN, steps: int = 12) -> Tensor:
    """(T, B·H): where a network that adds ones up to ones lets them through."""
    y, _ = layer(torch.ones(steps, 5, layer.input_size, dtype=torch.float64))
    return y.ne(0).reshape(steps, -1)


@pytest.mark.parametrize(
    ("options", "constant"),
    [
        ({"variational_dropout": 0.5}, True),
        ({"num_layers": 2, "dropout": 0.5, "locked_dropout": True}, True),
        ({"recurrent_dropout": 0.5}, False),
        ({"num_layers": 2, "dropout": 0.5}, False),
    ],
    ids=["variational", "locked", "recurrent", "dropout"],
)
@every_engine
def test_a_mask_is_constant_over_time_or_fresh_at_each_step(options, constant, engine) -> None:
    """And never the same in all rows."""
    masks = _masks_over_time(_linear(8, w=1.0, u=0.0, engine=engine, **options))

    assert masks.any()
    assert not masks.all()
    assert len(set(map(tuple, masks.reshape(-1, 5, 8)[0].tolist()))) > 1
    assert (len(set(map(tuple, masks.tolist()))) == 1) == constant


@every_engine
def test_variational_dropout_of_the_state_is_constant_over_time(engine) -> None:
    """h_t = m ⊙ h_{t-1}, so h_t = mᵗ."""
    layer = _linear(8, w=0.0, u=1.0, variational_dropout=0.5, engine=engine)
    y, _ = layer(torch.zeros(4, 5, 8, dtype=torch.float64), torch.ones(1, 5, 8, dtype=torch.float64))

    for t in range(4):
        torch.testing.assert_close(y[t], y[0] ** (t + 1), rtol=1e-12, atol=1e-12)
    assert set(y[0].unique().tolist()) == {0.0, 2.0}


@every_engine
def test_zoned_out_units_keep_their_value_and_the_others_take_the_new_one(engine) -> None:
    """h_t = x_t or h_{t-1}, at each step drawn anew, with the probability asked for."""
    layer = _linear(30, w=1.0, u=0.0, zoneout=0.3, engine=engine)
    x = torch.randn(20, 10, 30, dtype=torch.float64)

    y, _ = layer(x)

    before = torch.cat([torch.zeros_like(y[:1]), y[:-1]])
    kept = torch.isclose(y, before, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(torch.where(kept, before, x), y, rtol=1e-12, atol=1e-12)
    assert abs(kept.double().mean().item() - 0.3) < 5 * math.sqrt(0.21 / y.numel())
    assert not torch.equal(kept[0], kept[1])


@pytest.mark.parametrize(
    "options",
    [
        {"variational_dropout": 0.5},
        {"recurrent_dropout": 0.5},
        {"num_layers": 2, "dropout": 0.5},
        {"num_layers": 2, "dropout": 0.5, "locked_dropout": True},
    ],
    ids=["variational", "recurrent", "dropout", "locked"],
)
@every_engine
def test_no_gradient_goes_where_something_was_dropped(options, engine) -> None:
    layer = _linear(8, w=1.0, u=0.0, engine=engine, **options)
    x = torch.ones(6, 5, 8, dtype=torch.float64, requires_grad=True)

    y, _ = layer(x)
    (gradient,) = torch.autograd.grad(y.sum(), x)

    assert torch.equal(gradient, y.detach())
    assert gradient.eq(0).any()


@every_engine
def test_weight_drop_is_the_plain_layer_with_zeros_in_its_recurrent_matrix(engine) -> None:
    """Values, state, gradients: none where a weight was dropped. The parameter stays what and where it is."""
    layer = elman.GRU(3, 5, weight_drop=0.4, dtype=torch.float64, engine=engine)
    plain = elman.GRU(3, 5, dtype=torch.float64, engine=engine)
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    x, h = random(6, 2, 3), random(1, 2, 5)
    mask = draw_mask((15, 5), 0.4, layer.weight_hh_l0, _seeded())

    actual = run(layer, lambda m: m(x, h, generator=_seeded()), [x, h])

    plain.load_state_dict({**before, "weight_hh_l0": before["weight_hh_l0"] * mask})
    expected = run(plain, lambda m: m(x, h), [x, h])
    expected["gradient of weight_hh_l0"] *= mask
    assert_same(actual, expected, 1e-12)
    assert mask.eq(0).any()
    assert_same(layer.state_dict(), before, tolerance=0)
    assert not torch.equal(layer(x, generator=_seeded())[0], layer(x)[0])


@every_engine
def test_draws_come_layer_by_layer_and_direction_by_direction(engine) -> None:
    """The whole of training, restated: masks drawn by hand in the documented order, cells run one at a time."""
    options = DRAWING["all_of_them"]
    layer, x, generator = _lstm(engine, **options), random(5, 3, 3), _seeded()
    cell = layer.cell
    assert list(cell.masks) == ["mask_h", "mask_candidate", "mask_keep_h", "mask_keep_c"]

    y, (h, _) = layer(x, generator=_seeded())

    read, finals = x, []
    for k in range(2):
        if k:
            read = read * draw_mask(read.shape, options["dropout"], x, generator)
        outputs = []
        for suffix in (f"_l{k}", f"_l{k}_reverse"):
            locked = read * draw_mask(read.shape[1:], options["variational_dropout"], x, generator)
            masks = {
                "mask_h": draw_mask((3, 4), options["variational_dropout"], x, generator),
                "mask_candidate": draw_mask((5, 3, 4), options["recurrent_dropout"], x, generator),
                "mask_keep_h": draw_mask((5, 3, 4), 1 - options["zoneout"][0], x, generator, scaled=False),
                "mask_keep_c": draw_mask((5, 3, 4), 1 - options["zoneout"][1], x, generator, scaled=False),
            }
            weights = {name: getattr(layer, name + suffix) for name in cell.weight_shapes(1)}
            dropped = draw_mask((16, 4), options["weight_drop"], x, generator)
            weights["weight_hh"] = weights["weight_hh"] * dropped
            y_place, last = scan(
                LSTMCell(4, zoneout=options["zoneout"], variational_dropout=0.25, recurrent_dropout=0.15),
                weights,
                locked,
                cell.initial_state(3, x),
                masks=masks,
                engine="reference",
                reverse="reverse" in suffix,
            )
            outputs.append(y_place)
            finals.append(last.h)
        read = torch.cat(outputs, -1)
    torch.testing.assert_close(y, read, rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(h, torch.stack(finals), rtol=1e-11, atol=1e-11)


@every_engine
def test_computing_again_uses_the_same_masks(engine) -> None:
    """`recompute`: values and all gradients, with lengths and resets, over several chunks."""
    options = DRAWING["all_of_them"]
    layer, again = _lstm(engine, **options), _lstm(engine, **options, recompute=True)
    x, reset = random(20, 2, 3), torch.rand(20, 2) < 0.2

    def call(m: elman.LSTM) -> Any:
        return m(x, lengths=[20, 13], reset=reset, generator=_seeded())

    assert_same(run(again, call, [x]), run(layer, call, [x]), 1e-11)


@pytest.mark.parametrize("layout", ["batch_first", "unbatched"])
@every_engine
def test_the_layout_changes_no_mask(layout: str, engine: str) -> None:
    options = DRAWING["all_of_them"]
    layer = _lstm(engine, **options)
    other = _lstm(engine, **options, batch_first=layout == "batch_first")
    x = torch.randn(6, 1 if layout == "unbatched" else 3, 3, dtype=torch.float64)
    turn: Callable[[Tensor], Tensor] = (
        (lambda a: a.squeeze(1)) if layout == "unbatched" else (lambda a: a.transpose(0, 1))
    )

    y, last = other(turn(x), generator=_seeded())

    y_expected, last_expected = layer(x, generator=_seeded())
    assert torch.equal(y, turn(y_expected))
    for value, expected in zip(tensors(last), tensors(last_expected), strict=True):
        assert torch.equal(value, expected.squeeze(1) if layout == "unbatched" else expected)


@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("zero", [0.1, 0.5, 0.9])
def test_a_mask_is_zero_as_often_as_asked_for(zero: float, scaled: bool) -> None:
    mask = draw_mask((200, 300), zero, torch.empty(0), _seeded(), scaled)

    assert mask.unique().tolist() == [0.0, pytest.approx(1 / (1 - zero) if scaled else 1.0, rel=2e-4)]
    assert abs(mask.eq(0).double().mean().item() - zero) < 5 * math.sqrt(zero * (1 - zero) / mask.numel())


@pytest.mark.usefixtures("unchecked_types")
def test_a_generator_is_a_generator() -> None:
    with pytest.raises(OptionError, match=r"generator=7 is a int: give a torch.Generator"):
        _lstm()(torch.zeros(2, 1, 3, dtype=torch.float64), generator=7)


@every_engine
def test_padding_changes_nothing_and_gets_no_gradient_in_training_either(engine) -> None:
    """Not even if it is NaN."""
    layer = _lstm(engine, **DRAWING["all_of_them"], connections="highway")
    lengths = [6, 0, 4]
    valid = torch.arange(6)[:, None] < torch.tensor(lengths)
    x = torch.randn(6, 3, 3, dtype=torch.float64)
    clean, dirty = (torch.where(valid[..., None], x, fill).requires_grad_() for fill in (0.0, torch.nan))

    def outcome(given: Tensor) -> dict[str, Tensor]:
        return run(layer, lambda m: m(given, lengths=lengths, generator=_seeded()), [given])

    actual = outcome(dirty)

    assert_same(actual, outcome(clean), 1e-12)
    assert actual["y"][~valid].eq(0).all()
    assert actual["gradient of leaf 0"][~valid].eq(0).all()
