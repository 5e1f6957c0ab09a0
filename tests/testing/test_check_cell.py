"""`check_cell` passes every cell of elman's own, and names the law that a broken one breaks."""

import re
from dataclasses import FrozenInstanceError, dataclass, fields
from typing import Any

import broken
import pytest
import torch
from laws import LeakyCell, NormedLSTMCell

from elman import engines
from elman.cells import CELLS, Cell, ElmanCell, GRUCell, LSTMCell, cell_options
from elman.cells.hgrn import HGRNCell
from elman.cells.lru import LRUCell
from elman.cells.mingru import MinGRUCell, MinLSTMCell
from elman.cells.qrnn import QRNNCell
from elman.cells.rglru import RGLRUCell
from elman.cells.sru import SRUCell
from elman.engines import Engine
from elman.errors import CellError, ElmanError, EngineError, OptionError
from elman.testing import CheckReport, check_cell, instruction_sets, using_instruction_set
from elman.testing.laws import LAWS


@dataclass(frozen=True)
class _OwnProjection(ElmanCell):
    """Its projection is not the plain product, so that autograd runs it."""

    def project(self, weights, x):
        return 2 * super().project(weights, torch.tanh(x))


# Options that hold for many cells, each at a value that shows.
_OPTIONS: dict[str, Any] = {
    "bias": False,
    "recurrent_bias": False,
    "layer_norm": True,
    "variational_dropout": 0.3,
    "recurrent_dropout": 0.3,
    "zoneout": 0.2,
    "clip_state": 1.5,
    "clip_gradient": 0.05,
}
# Options that only some have, and options together.
_FURTHER: list[Cell] = [
    ElmanCell(5, nonlinearity="relu"),
    ElmanCell(5, nonlinearity="softplus"),
    GRUCell(5, reset_after=False),
    GRUCell(5, reset_after=False, layer_norm=True, variational_dropout=0.2),
    GRUCell(1),
    LSTMCell(5, projection_size=3),
    LSTMCell(5, projection_size=3, zoneout=(0.1, 0.3), variational_dropout=0.2),
    LSTMCell(5, peepholes=True),
    LSTMCell(5, coupled=True),
    LSTMCell(5, bias=False, peepholes=True, coupled=True, layer_norm=True),
    LSTMCell(
        5,
        peepholes=True,
        layer_norm=True,
        variational_dropout=0.2,
        recurrent_dropout=0.1,
        zoneout=0.1,
        clip_state=1.5,
        clip_gradient=1.0,
    ),
    LeakyCell(5),
    NormedLSTMCell(5),
    _OwnProjection(5),
    MinGRUCell(5, nonlinearity="positive"),
    MinLSTMCell(5, normalised=False, layer_norm=True),
    QRNNCell(5, pooling="ifo"),
    QRNNCell(5, pooling="f", window=3, layer_norm=True, recurrent_dropout=0.2, zoneout=0.2),
    # As many units as features.
    SRUCell(3, rescale=True),
    SRUCell(5, peepholes=False, nonlinearity="tanh"),
    HGRNCell(5, lower_bound=0.5),
    LRUCell(3),
    LRUCell(5, bias=False, r_min=0.0, r_max=1.0),
    RGLRUCell(5, conv_width=1, bias=False),
    RGLRUCell(5, conv_width=2),
]


def _with_all_options(kind: type[Cell]) -> Cell:
    return kind(6, **{name: value for name, value in _OPTIONS.items() if name in cell_options(kind)})


def _cells() -> list[Cell]:
    """Each cell plain, and with all options at once; the three that everyone uses with each option alone too."""
    plain = [kind(6) for kind in CELLS.values()]
    optioned = [_with_all_options(kind) for kind in CELLS.values()]
    alone = [kind(5, **{name: value}) for kind in (ElmanCell, LSTMCell, GRUCell) for name, value in _OPTIONS.items()]
    return [*plain, *optioned, *alone, *_FURTHER]


def _input_size(cell: Cell) -> int:
    """Three, or for a cell that adds its input to its output the only size that fits."""
    try:
        cell.for_input(3)
    except OptionError:
        return cell.hidden_size
    return 3


def _named(cell: Cell) -> str:
    options = [f"{f.name}={getattr(cell, f.name)}" for f in fields(cell)[1:] if getattr(cell, f.name) != f.default]
    return "-".join([cell.name, str(cell.hidden_size), *options])


# PyTorch says so once when it runs its own projected LSTM.
pytestmark = [
    pytest.mark.usefixtures("unchecked_types"),
    pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN:UserWarning"),
]


@pytest.mark.parametrize("cell", _cells(), ids=_named)
def test_every_cell_keeps_the_laws_on_every_engine(cell: Cell) -> None:
    report = check_cell(cell, input_size=_input_size(cell))

    assert Engine.REFERENCE in report.engines
    assert set(report.engines) | set(report.refusals) == {Engine.REFERENCE, Engine.SCAN, Engine.TORCH, Engine.NATIVE}
    assert {checked.law for checked in report.laws} == {law.name for law in LAWS}
    assert {checked.engine for checked in report.laws} == {None, *report.engines}


@pytest.mark.parametrize("name", instruction_sets())
@pytest.mark.parametrize("kind", list(CELLS.values()), ids=list(CELLS))
def test_every_cell_keeps_the_laws_under_every_instruction_set(kind: type[Cell], name: str) -> None:
    cell = _with_all_options(kind)
    size = _input_size(cell)
    with using_instruction_set(name):
        if engines.native.why_not(cell.for_input(size)) is None:
            assert check_cell(cell, engines=["native"], input_size=size).engines == (Engine.NATIVE,)
        else:
            assert check_cell(cell, input_size=size).engines == (Engine.REFERENCE,)


@pytest.mark.parametrize("name", instruction_sets())
@pytest.mark.parametrize("cell", [GRUCell(19), LSTMCell(19), LeakyCell(19)], ids=_named)
def test_wide_cells_keep_the_laws_under_every_instruction_set(cell: Cell, name: str) -> None:
    """Wider than a vector, and no multiple of one."""
    with using_instruction_set(name):
        assert check_cell(cell, engines=["native"]).engines == (Engine.NATIVE,)


@pytest.mark.parametrize("kind", [ElmanCell, LSTMCell, GRUCell], ids=repr)
def test_a_class_is_made_with_a_few_units(kind: type[Cell]) -> None:
    assert check_cell(kind, engines=["reference"]).cell.hidden_size == 5


_BROKEN = [
    (broken.Diary, "law 4", "when asked again"),
    (broken.InPlace, "law 4", "state h differs"),
    (broken.StandsStill, "law 4", "a stream would stand still"),
    (broken.BatchNorm, "law 8", "y differs"),
    (broken.Lookahead, "law 1", "differs"),
    (broken.PairsOfSteps, "law 2", "differs"),
    (broken.HiddenParameters, "law 7", "y differs"),
    (broken.WrongBackward, "law 5", "gradient of x along a direction differs"),
    (broken.CutGradient, "law 5", "gradient of .* along a direction differs"),
    (broken.Jumps, "law 5", "jump or bend"),
    (broken.FreshByPlace, "law 3", "initial h differs"),
    (broken.UnitInput, "law 6", "gradient of x differs by inf"),
    (broken.Overflows, "float32", "y differs"),
    (broken.UnusedMask, "masks", "mask_extra is drawn in training, and changes nothing"),
    (broken.Unhashable, "the contract", "it has no hash"),
    (broken.NotItsCopy, "the contract", "a copy of it is not equal to it"),
    (broken.Unfilled, "the contract", "initialise leaves elements of bias_ih unfilled"),
    (broken.NamesByInput, "the contract", "names of its weights depend on the size of the input"),
    (broken.DottedName, "the contract", "'gate.bias' of a weight is not that of a parameter"),
    (broken.NoRows, "the contract", r"the weight extra has shape \(0, 2\)"),
    (broken.MaskLikeAWeight, "the contract", "weight_hh is the name of both"),
    (broken.ForgetsASize, "the contract", "state_sizes has 1 sizes for 2 states, h, m"),
    (broken.FlatProjection, "the contract", r"project gives \(18, 5\) for a sequence"),
    (broken.GivesTheStateAlone, "the contract", "step gives a ElmanState: let it give the pair"),
    (broken.GivesATuple, "the contract", "step gives a state that is a tuple: let it be a ElmanState"),
    (broken.WideOutput, "the contract", r"step gives a y of shape \(3, 10\): it has to be \(3, 5\)"),
    (
        broken.AlwaysDouble,
        "the contract",
        "step gives a y of dtype torch.float64 where all that is given is torch.float32",
    ),
    (broken.TooNarrow, "the contract", "RuntimeError was raised"),
    (broken.Mutable, "the contract", "its field hidden_size can be set"),
]


@pytest.mark.parametrize(("kind", "law", "detail"), _BROKEN, ids=[kind.__name__ for kind, *_ in _BROKEN])
def test_a_broken_cell_is_caught_by_the_name_of_its_law(kind: type[Cell], law: str, detail: str) -> None:
    with pytest.raises(CellError, match=rf"^{kind.__name__}\(5.*\) breaks {law}\b.*: .*{detail}") as caught:
        check_cell(kind, engines=["reference"])

    (cause,) = (each.cause for each in LAWS if each.name == law)
    assert str(caught.value).endswith(cause)


def test_every_law_has_a_cell_that_breaks_it() -> None:
    """But agreement, which is the engines' to keep: see below."""
    assert {law for _, law, _ in _BROKEN} == {law.name for law in LAWS} - {"agreement"}


def test_an_engine_that_disagrees_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """In reverse only, so that no other law sees it."""
    run = engines.fused.scan

    def wrong(*arguments: Any, reverse: bool = False, **options: Any) -> Any:
        y_TBH, last = run(*arguments, reverse=reverse, **options)
        return (y_TBH + 1e-9 if reverse else y_TBH), last

    monkeypatch.setattr(engines.fused, "scan", wrong)

    with pytest.raises(
        CellError, match=r"GRUCell\(5\) breaks agreement on the torch engine.*y differs by [0-9.e-]+, at \("
    ):
        check_cell(GRUCell, engines=["torch"])


def test_an_error_is_an_assertion_and_elmans_own() -> None:
    assert issubclass(CellError, AssertionError)
    assert issubclass(CellError, ElmanError)


@dataclass(frozen=True)
class _Sorted(ElmanCell):
    """Keeps the laws, and does what no program says."""

    def step(self, weights, u_BG, state):
        return super().step(weights, u_BG.cumsum(-1), state)


def test_what_no_program_says_is_reported_and_the_reference_is_checked() -> None:
    report = check_cell(_Sorted)

    assert report.engines == (Engine.REFERENCE,)
    assert "no operation 'cumsum'" in report.refusals[Engine.NATIVE]
    assert re.search(r"not by the native engine: .*'cumsum'", str(report))


@pytest.mark.parametrize("engine", ["native", "torch"])
def test_an_engine_that_was_named_has_to_serve(engine: str) -> None:
    with pytest.raises(EngineError, match=f"engine='{engine}' can't serve"):
        check_cell(_Sorted, engines=[engine])


def test_the_report_is_a_frozen_value_and_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    report = check_cell(GRUCell(5, zoneout=0.1), engines=["reference"], verbose=True)

    with pytest.raises(FrozenInstanceError):
        report.engines = ()  # type: ignore[misc]
    assert isinstance(report, CheckReport)
    lines = str(report).splitlines()
    assert lines[0] == "GRUCell(5, zoneout=0.1)"
    assert lines[1].split() == ["reference"]
    assert [line.split(":")[0] for line in lines[2:]] == [law.name for law in LAWS]
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines()] == [
        law.name if law.of_the_cell else f"{law.name} on the reference engine" for law in LAWS
    ]


def test_differences_are_small_and_seeds_give_the_same_numbers() -> None:
    first, again = (check_cell(LSTMCell, engines=["reference"], seed=3) for _ in range(2))

    assert first == again
    assert all(checked.worst < (1e-5 if checked.law == "float32" else 1e-11) for checked in first.laws)


def test_nothing_global_is_changed() -> None:
    generator, precision = torch.get_rng_state(), torch.get_float32_matmul_precision()

    with torch.no_grad():
        check_cell(GRUCell, engines=["reference"])

        assert not torch.is_grad_enabled()
    assert torch.equal(torch.get_rng_state(), generator)
    assert torch.get_float32_matmul_precision() == precision


def test_what_is_no_cell_is_refused() -> None:
    with pytest.raises(CellError, match="3 is a int: give a cell"):
        check_cell(3)  # type: ignore[arg-type]


def test_an_instruction_set_is_used_and_left_again() -> None:
    from elman import _native

    before = _native.isa()
    for name in instruction_sets():
        with using_instruction_set(name):
            assert _native.isa() == name
        assert _native.isa() == before

    with (
        pytest.raises(OptionError, match="instruction set 'nowhere' is not there: choose from base"),
        using_instruction_set("nowhere"),
    ):
        pass
    assert _native.isa() == before
