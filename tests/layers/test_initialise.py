"""What weights are at first: the presets' properties, and biases that say for how long a layer remembers."""

import math
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

import elman
from elman.cells import Cell, ElmanState, GRUCell
from elman.cells.operations import sigmoid, split, tanh
from elman.errors import OptionError
from elman.layers.initialise import PRESETS, identity, ring

GATES = {"RNN": 1, "LSTM": 4, "GRU": 3}
every_class = pytest.mark.parametrize("kind", GATES)


@dataclass(frozen=True)
class _Diagonal(Cell):
    """h_t = z ⊙ h_{t-1} + tanh(u_n + w_n ⊙ h_{t-1}), z = 1 - σ(u_z + w_z ⊙ h_{t-1}): units recur each on itself."""

    name: ClassVar[str] = "diagonal"
    gates: ClassVar[tuple[str, ...]] = ("z", "n")
    diagonal: ClassVar[bool] = True
    keep_gates: ClassVar = {"z": -1}
    write_gates: ClassVar[tuple[str, ...]] = ("n",)
    state_type: ClassVar = ElmanState

    def step(self, weights, u_BG, state):
        u_z, u_n = split(u_BG, 2)
        w_z, w_n = weights["weight_hh"].chunk(2)
        b_z, b_n = weights["bias_hh"].chunk(2) if "bias_hh" in weights else (0.0, 0.0)
        z = 1 - sigmoid(u_z + w_z * state.h + b_z)
        h = z * state.h + tanh(u_n + w_n * state.h + b_n)
        return h, ElmanState(h)


def _made(kind: str, hidden: int = 30, **options: Any) -> Any:
    return getattr(elman, kind)(20, hidden, 2, bidirectional=True, dtype=torch.float64, **options)


def _biases(layer: Any, gate: int) -> list[tuple[Tensor, Tensor]]:
    """For each place the rows of a gate in the two biases."""
    size = layer.hidden_size
    rows = slice(gate * size, (gate + 1) * size)
    places = [f"_l{k}{suffix}" for k in range(2) for suffix in ("", "_reverse")]
    return [(getattr(layer, f"bias_ih{place}")[rows], getattr(layer, f"bias_hh{place}")[rows]) for place in places]


@every_class
def test_orthogonal_matrices_keep_lengths(kind) -> None:
    """Each gate's on its own, and no two of them the same; inputs uniform in Xavier's bounds, biases 0."""
    layer = _made(kind, init="orthogonal")

    blocks = []
    for name, weight in layer.named_parameters():
        if name.startswith("weight_hh"):
            for block in weight.chunk(GATES[kind]):
                torch.testing.assert_close(block @ block.T, torch.eye(30, dtype=torch.float64), rtol=1e-10, atol=1e-10)
                blocks.append(tuple(block.flatten().tolist()))
        elif name.startswith("weight_ih"):
            bound = math.sqrt(6 / (weight.shape[1] + 30))
            assert weight.abs().max() <= bound
            assert abs(weight.std().item() - bound / math.sqrt(3)) < 0.05 * bound
        else:
            assert weight.eq(0).all()
    assert len(set(blocks)) == len(blocks) == 4 * GATES[kind]


def test_orthogonal_weights_may_be_projected_and_of_any_precision() -> None:
    """A projection's recurrent matrices have orthonormal columns."""
    projected = elman.LSTM(3, 8, proj_size=5, init="orthogonal", dtype=torch.float64).weight_hh_l0.chunk(4)[1]
    half = elman.GRU(3, 8, init="orthogonal", dtype=torch.bfloat16).weight_hh_l0.chunk(3)[2].float()

    torch.testing.assert_close(projected.T @ projected, torch.eye(5, dtype=torch.float64), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(half @ half.T, torch.eye(8), rtol=0, atol=3e-2)


@every_class
def test_identity_passes_the_state_on(kind) -> None:
    layer = _made(kind, init="identity")

    for name, weight in layer.named_parameters():
        if name.startswith("weight_hh"):
            assert torch.equal(weight, torch.eye(30, dtype=torch.float64).repeat(GATES[kind], 1))
        elif name.startswith("weight_ih"):
            assert abs(weight.std().item() - 0.001) < 1e-4
        else:
            assert weight.eq(0).all()


def test_a_preset_may_be_a_function_with_numbers_of_its_own() -> None:
    layer = elman.RNN(3, 4, init=partial(identity, scale=0.5, deviation=0.0))

    assert torch.equal(layer.weight_hh_l0, 0.5 * torch.eye(4))
    assert layer.weight_ih_l0.eq(0).all()


def test_a_ring_has_as_much_in_each_of_its_rings_of_equal_area() -> None:
    """u² is uniform between the squares of the radii."""
    layer = elman.Recurrent(_Diagonal(20_000), 1, init=partial(ring, r_min=0.5, r_max=0.9))
    whole = elman.Recurrent(_Diagonal(1000), 1, init="ring").weight_hh_l0

    share = (layer.weight_hh_l0.square() - 0.25) / (0.81 - 0.25)

    assert layer.weight_hh_l0.ge(0).all()
    for quarter in range(4):
        inside = (share >= quarter / 4) & (share <= (quarter + 1) / 4)
        assert abs(inside.double().mean().item() - 0.25) < 5 * math.sqrt(0.1875 / share.numel())
    assert whole.min() >= 0
    assert whole.max() <= 1
    assert abs(whole.square().mean().item() - 0.5) < 0.05


@pytest.mark.parametrize(("kind", "gate"), [("LSTM", 1), ("GRU", 1)])
@pytest.mark.parametrize("init", ["uniform", "orthogonal"])
def test_forget_bias_is_the_bias_of_the_gate_that_keeps(kind, gate, init) -> None:
    """The whole of it in one of the two biases; all other numbers as without it."""
    torch.manual_seed(5)
    layer = _made(kind, init=init, forget_bias=1.5)
    torch.manual_seed(5)
    plain = _made(kind, init=init)

    for bias_ih, bias_hh in _biases(layer, gate):
        assert bias_ih.eq(1.5).all()
        assert bias_hh.eq(0).all()
    for other in set(range(GATES[kind])) - {gate}:
        for ours, theirs in zip(_biases(layer, other), _biases(plain, other), strict=True):
            assert torch.equal(ours[0], theirs[0])
            assert torch.equal(ours[1], theirs[1])
    assert torch.equal(layer.weight_hh_l1_reverse, plain.weight_hh_l1_reverse)


def test_chrono_spreads_times_evenly_up_to_the_longest() -> None:
    """e^|b| is uniform between 1 and T_max - 1, for each direction anew."""
    layer = elman.Recurrent(_Diagonal(4000), 1, bidirectional=True, chrono=50)

    times = [bias[:4000].neg().exp() for bias in (layer.bias_ih_l0, layer.bias_ih_l0_reverse)]
    for time in times:
        assert time.min() >= 1
        assert time.max() <= 49 + 1e-4
        assert abs(time.mean().item() - 25) < 5 * 48 / math.sqrt(12 * 4000)
        assert abs(time.std().item() - 48 / math.sqrt(12)) < 0.5
    assert not torch.equal(*times)


def test_chrono_opens_the_gate_that_keeps_as_far_as_it_closes_the_one_that_writes() -> None:
    layer = _made("LSTM", chrono=50)

    for (write, write_hh), (keep, keep_hh) in zip(_biases(layer, 0), _biases(layer, 1), strict=True):
        assert keep.ge(0).all()
        assert keep.unique().numel() == 30
        assert torch.equal(write, -keep)
        assert write_hh.eq(0).all()
        assert keep_hh.eq(0).all()


def test_a_variant_without_one_of_the_gates_has_the_others_set() -> None:
    """Coupled gates: no input gate to close. One bias: there it is. A gate that keeps while closed: the other sign."""
    coupled = elman.LSTM(3, 5, coupled=True, recurrent_bias=False, chrono=10)
    closed = elman.Recurrent(_Diagonal(5, recurrent_bias=False), 3, forget_bias=2.0)
    both = elman.Recurrent(_Diagonal(5), 3, chrono=9)

    assert coupled.bias_ih_l0[:5].ge(0).all()
    assert coupled.bias_ih_l0[5:].abs().le(5**-0.5).all()
    assert closed.bias_ih_l0[:5].eq(-2).all()
    assert both.bias_ih_l0[:5].le(0).all()
    assert torch.equal(both.bias_ih_l0[5:], both.bias_ih_l0[:5])


@pytest.mark.parametrize("init", [name for name in PRESETS if name != "ring"])
def test_drawing_anew_is_the_same_as_making(init) -> None:
    torch.manual_seed(5)
    layer = _made("LSTM", init=init, chrono=9, connections="highway", learn_initial_state=True)
    first = {name: value.clone() for name, value in layer.state_dict().items()}
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.fill_(7)

    torch.manual_seed(5)
    layer.reset_parameters()

    assert all(torch.equal(value, first[name]) for name, value in layer.state_dict().items())
    assert all(parameter.requires_grad for parameter in layer.parameters())


def test_other_options_leave_the_draws_of_plain_weights_as_they_are() -> None:
    torch.manual_seed(5)
    plain = _made("GRU").state_dict()
    torch.manual_seed(5)
    layer = _made("GRU", connections="highway", merge="sum", learn_initial_state=True, weight_drop=0.5).state_dict()

    assert torch.equal(layer["weight_hh_l0_reverse"], plain["weight_hh_l0_reverse"])
    assert layer["bias_carry_l1"].eq(-1).all()
    assert layer["weight_carry_l0"].abs().max() <= 20**-0.5
    assert layer["weight_skip_l0"].abs().max() <= 20**-0.5


@pytest.mark.usefixtures("unchecked_types")
@pytest.mark.parametrize(
    ("make", "says"),
    [
        (
            lambda: elman.GRU(3, 4, init="he"),
            r"init='he' is not known: choose from uniform, orthogonal, identity, ring",
        ),
        (lambda: elman.GRU(3, 4, init="ring"), r"init='ring' is for cells whose units .* 'gru' is not one"),
        (lambda: elman.LSTM(3, 4, proj_size=2, init="identity"), r"'lstm' are \(4, 2\), not square"),
        (
            lambda: elman.Recurrent(_Diagonal(4), 3, init="orthogonal"),
            r"'diagonal' recur each on itself. Take init='ring'",
        ),
        (lambda: elman.Recurrent(_Diagonal(4), 3, init=partial(ring, r_min=2)), r"r_min=2, r_max=1.0: give 0 ≤ r_min"),
        (
            lambda: elman.RNN(3, 4, forget_bias=1.0),
            r"forget_bias=1.0: the cell 'elman' has no gate that keeps its state",
        ),
        (lambda: elman.RNN(3, 4, chrono=9), r"chrono=9: the cell 'elman' has no gate that keeps its state"),
        (lambda: elman.GRU(3, 4, bias=False, forget_bias=1.0), r"forget_bias=1.0: this cell, GRU.* has no biases"),
        (lambda: elman.GRU(3, 4, forget_bias="1"), r"forget_bias='1' must be a number"),
        (lambda: elman.GRU(3, 4, chrono=2), r"chrono=2 is the longest time to remember, in steps: give more than 2"),
        (lambda: elman.GRU(3, 4, chrono=9, forget_bias=1.0), r"forget_bias=1.0 and chrono=9 set the same biases"),
    ],
)
def test_what_a_cell_has_no_place_for_is_said(make, says) -> None:
    with pytest.raises(OptionError, match=says):
        make()


def test_the_cell_of_a_preset_is_that_of_its_layer() -> None:
    """A function is called for each layer and direction with the layer's own cell."""
    seen = []
    elman.Recurrent(
        GRUCell(4), 3, [4, 2], 2, bidirectional=True, init=lambda cell, weights: seen.append((cell, len(weights)))
    )

    assert seen == [(GRUCell(4), 4), (GRUCell(4), 4), (GRUCell(2), 4), (GRUCell(2), 4)]
