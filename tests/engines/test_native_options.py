"""The native engine's options: every state of every step, less memory by computing again, and what is said if it can't."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import torch
from laws import Results, assert_same, every_cell_and_engine, random_case, reset_flags
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

import elman
from elman.cells import Cell, ElmanState
from elman.engines import Engine, native, resolve, scan
from elman.errors import EngineError

LAYERS: dict[str, Callable[..., Any]] = {"rnn": elman.RNN, "gru": elman.GRU, "lstm": elman.LSTM}
every_layer = pytest.mark.parametrize("kind", LAYERS)
STEPS, BATCH, FEATURES, HIDDEN = 6, 3, 4, 5
LENGTHS = [6, 1, 3]


@dataclass(frozen=True)
class Layout:
    """A way to hand over (T, B, D), and to read (T, B, H) from what comes back."""

    options: dict[str, Any]
    give: Callable[[Tensor], Any]
    take: Callable[[Any], Tensor]
    lengths: list[int] | None = None
    keywords: dict[str, Any] | None = None
    batch: int = BATCH


def _packed(x: Tensor) -> PackedSequence:
    return pack_padded_sequence(x, torch.tensor(LENGTHS), enforce_sorted=False)


LAYOUTS = {
    "time_major": Layout({}, lambda x: x, lambda y: y),
    "batch_first": Layout({"batch_first": True}, lambda x: x.transpose(0, 1), lambda y: y.transpose(0, 1)),
    "unbatched": Layout({}, lambda x: x.squeeze(1), lambda y: y.unsqueeze(1), batch=1),
    "packed": Layout({}, _packed, lambda y: pad_packed_sequence(y, total_length=STEPS)[0], LENGTHS),
    "lengths": Layout({}, lambda x: x, lambda y: y, LENGTHS, {"lengths": LENGTHS}),
}
every_layout = pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
every_depth = pytest.mark.parametrize(("num_layers", "bidirectional"), [(1, False), (1, True), (2, False), (2, True)])


def all_states_of(layer: Any, layout: Layout, x: Tensor) -> tuple[Tensor, Any, list[Any]]:
    """Outputs (T, B, ·), final state, and each layer's states after every step as (T, B, size)."""
    y, last, states = layer(layout.give(x), return_all_states=True, **(layout.keywords or {}))
    return layout.take(y), last, [type(each)(*(layout.take(s) for s in each)) for each in states]


def made(kind: str, layout: Layout, engine: str = "native", **options: Any) -> Any:
    torch.manual_seed(4)
    return LAYERS[kind](FEATURES, HIDDEN, **layout.options, **options, engine=engine, dtype=torch.float64)


@every_depth
@every_layout
@every_layer
def test_h_of_every_step_is_the_output_of_that_layer_and_direction(
    kind: str, layout: Layout, num_layers: int, bidirectional: bool
) -> None:
    """The last layer's are the outputs; those before it are what a stack of fewer layers gives out."""
    x = torch.randn(STEPS, layout.batch, FEATURES, dtype=torch.float64)
    layer = made(kind, layout, num_layers=num_layers, bidirectional=bidirectional)

    y, _, states = all_states_of(layer, layout, x)
    places = 1 + bidirectional

    assert len(states) == num_layers * places
    torch.testing.assert_close(torch.cat([each.h for each in states[-places:]], -1), y, rtol=0, atol=0)
    if num_layers == 2:
        first = made(kind, layout, num_layers=1, bidirectional=bidirectional)
        first.load_state_dict({name: p for name, p in layer.state_dict().items() if "_l0" in name})
        y_first, _, _ = all_states_of(first, layout, x)
        torch.testing.assert_close(torch.cat([each.h for each in states[:places]], -1), y_first, rtol=0, atol=0)


@every_layout
@pytest.mark.parametrize("num_layers", [1, 2])
def test_c_of_a_step_is_the_final_c_of_the_sequence_cut_there(layout: Layout, num_layers: int) -> None:
    """And beyond a sequence's length there is 0."""
    x = torch.randn(STEPS, layout.batch, FEATURES, dtype=torch.float64)
    layer = made("lstm", layout, num_layers=num_layers)
    plain = elman.LSTM(FEATURES, HIDDEN, num_layers, engine="reference", dtype=torch.float64)
    plain.load_state_dict(layer.state_dict())

    _, _, states = all_states_of(layer, layout, x)

    for t in range(STEPS):
        _, (_, c) = plain(x[: t + 1])
        for place, each in enumerate(states):
            for b, length in enumerate(layout.lengths or [STEPS] * layout.batch):
                expected = c[place, b] if t < length else torch.zeros_like(c[place, b])
                torch.testing.assert_close(each.c[t, b], expected, rtol=1e-12, atol=1e-12)


@every_layout
def test_c_backwards_is_the_final_c_of_the_sequence_begun_there(layout: Layout) -> None:
    """In the backward direction the state at t is that after the steps from the last valid one to t."""
    x = torch.randn(STEPS, layout.batch, FEATURES, dtype=torch.float64)
    layer = made("lstm", layout, bidirectional=True)
    plain = elman.LSTM(FEATURES, HIDDEN, bidirectional=True, engine="reference", dtype=torch.float64)
    plain.load_state_dict(layer.state_dict())

    _, _, states = all_states_of(layer, layout, x)

    for b, length in enumerate(layout.lengths or [STEPS] * layout.batch):
        for t in range(length):
            _, (_, c) = plain(x[t:length, b])
            torch.testing.assert_close(states[1].c[t, b], c[1], rtol=1e-12, atol=1e-12)


@every_depth
@every_layout
@every_layer
def test_gradients_through_every_state_are_those_of_the_reference(
    kind: str, layout: Layout, num_layers: int, bidirectional: bool
) -> None:
    """A loss may be made of the states of all steps, c as well as h."""
    x = torch.randn(STEPS, layout.batch, FEATURES, dtype=torch.float64, requires_grad=True)
    found = []
    for engine in ("native", "reference"):
        layer = made(kind, layout, engine, num_layers=num_layers, bidirectional=bidirectional)
        _, _, states = all_states_of(layer, layout, x)
        total = sum((s.square() * (i + 1)).sum() for i, s in enumerate(itertools.chain.from_iterable(states)))
        found.append(torch.autograd.grad(total, [x, *layer.parameters()]))

    for actual, expected in zip(*found, strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-10)


def outcome(case: Any, engine: Engine, lengths: list[int] | None, reset: Tensor | None, **options: Any) -> Results:
    """Outputs, final states, and the gradient of every leaf for a loss of them all."""
    given = None if lengths is None else torch.tensor(lengths)
    y, last, *every = scan(case.cell, case.weights, case.x_TBD, case.state, given, reset, engine=engine, **options)
    results = {"y": y, **last._asdict(), **{f"every {i}": s for i, s in enumerate(itertools.chain(*every))}}
    total = sum((value * torch.linspace(-1, 1, value.numel()).view_as(value)).sum() for value in results.values())
    leaves = case.leaves()
    gradients = torch.autograd.grad(total, list(leaves.values()), materialize_grads=True)
    return {**results, **{f"gradient of {name}": g for name, g in zip(leaves, gradients, strict=True)}}


@every_cell_and_engine
def test_computed_again_it_is_the_same(make_cell: Callable[[int], Cell], engine: Engine) -> None:
    """recompute=True changes neither values nor gradients: lengths, resets, both directions, chunks of any number."""
    for steps, reverse, padded in [(0, False, True), (33, True, True), (70, False, False)]:
        case = random_case(make_cell(3), steps, batch=3, features=2, seed=steps, device="cpu")
        lengths = [steps, steps // 3, 0] if padded else None
        places = {(t, b) for t, b in [(0, 0), (16, 1), (17, 0), (40, 0)] if t < steps}
        for reset in (None, reset_flags(case, places)) if steps else (None,):
            kept, again = (
                outcome(case, engine, lengths, reset, reverse=reverse, recompute=each) for each in (False, True)
            )
            assert_same(again, kept, tolerance=1e-12)


@every_layer
def test_computed_again_every_state_is_the_same(kind: str) -> None:
    """With all states asked for, in both directions."""
    case = random_case(LAYERS[kind](2, 4).cell, 37, batch=3, features=2, seed=2, device="cpu")
    for reverse, lengths in itertools.product((False, True), (None, [37, 0, 20])):
        options = {"reverse": reverse, "all_states": True}
        kept, again = (outcome(case, Engine.NATIVE, lengths, None, **options, recompute=each) for each in (False, True))
        assert_same(again, kept, tolerance=1e-12)


def bytes_kept(layer: Any, x: Tensor, **keywords: Any) -> int:
    """Bytes of the distinct memory that is held for the backward pass, the parameters' and the input's own aside."""
    own = {t.untyped_storage().data_ptr() for t in (x, *layer.parameters())}
    storages: dict[int, int] = {}
    held: list[Tensor] = []

    def note(tensor: Tensor) -> Tensor:
        held.append(tensor)
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        y, _ = layer(x, **keywords)
    # y is there anyway.
    storages.pop(y.untyped_storage().data_ptr(), None)
    return sum(storages.values())


@pytest.mark.parametrize("keywords", [{}, {"lengths": [320, 300, 310, 320]}], ids=["whole", "lengths"])
@pytest.mark.parametrize("engine", ["native", "reference"])
@every_layer
def test_computing_again_keeps_at_most_a_quarter(kind: str, engine: str, keywords: dict[str, Any]) -> None:
    """For a sequence of 320 steps, before the backward pass begins; of y, which is there anyway, where nothing else is kept."""
    x = torch.randn(320, 4, 3)
    y_bytes = 320 * 4 * 32 * x.element_size()
    kept, again = (
        bytes_kept(LAYERS[kind](3, 32, engine=engine, recompute=each), x, **keywords) for each in (False, True)
    )
    assert again <= max(kept, y_bytes) / 4, f"{again} bytes of {kept}"


@dataclass(frozen=True)
class _Own(Cell):
    """An Elman network of a user's own, to be spoilt."""

    name: ClassVar[str] = "own"
    gates: ClassVar[tuple[str, ...]] = ("h",)
    state_type: ClassVar[Any] = ElmanState

    def step(self, weights, u_BG, state):
        h = self.update(weights, u_BG, state.h)
        return h, ElmanState(h)

    def update(self, weights, u, h):
        return torch.tanh(u + h @ weights["weight_hh"].T)


@dataclass(frozen=True)
class _Rounds(_Own):
    def update(self, weights, u, h):
        return super().update(weights, u, h).round()


@dataclass(frozen=True)
class _Branches(_Own):
    def update(self, weights, u, h):
        return super().update(weights, u, h) if u.sum() > 0 else h


_FOREIGN = torch.full((3,), 0.5, dtype=torch.float64)


@dataclass(frozen=True)
class _Captures(_Own):
    def update(self, weights, u, h):
        return super().update(weights, u, h * _FOREIGN)


@dataclass(frozen=True)
class _Widens(_Own):
    def step(self, weights, u_BG, state):
        h = self.update(weights, u_BG, state.h)
        return h.mean(-1, keepdim=True), ElmanState(h)


SPOILT = {
    "rounds": (_Rounds(3), "round"),
    "branches": (_Branches(3), "sum|bool|branch"),
    "captures": (_Captures(3), "from outside of the step"),
    "widens": (_Widens(3), "y something else than 3 columns"),
}


@pytest.mark.parametrize(("cell", "said"), SPOILT.values(), ids=SPOILT)
def test_a_step_that_is_no_program_is_named_with_what_is_wrong(cell: Cell, said: str) -> None:
    """As an `EngineError`, when the engine is asked for by name."""
    assert resolve("native", _Own(3)) is Engine.NATIVE
    with pytest.raises(EngineError, match=rf"(?s)engine='native'.*'own'.*({said}).*'auto' or 'reference'"):
        resolve("native", cell)


@pytest.mark.parametrize("cell", [cell for name, (cell, _) in SPOILT.items() if name != "widens"], ids=repr)
def test_a_step_that_is_no_program_runs_by_the_reference(cell: Cell) -> None:
    """By engine="auto", with the gradients of the reference."""
    case = random_case(cell, 4, batch=2, features=2, seed=1, device="cpu")

    assert resolve("auto", cell, case.x_TBD) is Engine.REFERENCE
    assert_same(outcome(case, Engine.AUTO, [4, 2], None), outcome(case, Engine.REFERENCE, [4, 2], None), tolerance=0)


@pytest.mark.filterwarnings("ignore:elman runs by PyTorch's layers:UserWarning")
def test_without_the_core_auto_goes_on_and_native_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where there was no compiler when elman was installed."""
    monkeypatch.setattr(native, "_native", None)
    monkeypatch.setattr(native, "_missing", "No module named 'elman._native'", raising=False)

    with pytest.raises(EngineError, match=r"native core is not installed.*pip install"):
        elman.LSTM(3, 4, engine="native")
    assert native.instruction_set() is None
    assert elman.LSTM(3, 4).engine is Engine.TORCH
    assert elman.GRU(3, 4, reset_after=False).engine is Engine.REFERENCE
    layer = elman.LSTM(3, 4)
    y, _, states = layer(torch.zeros(2, 1, 3), return_all_states=True)
    assert torch.equal(states[0].h, y)
    elman.GRU(3, 4, reset_after=False)(torch.zeros(2, 1, 3))[0].sum().backward()


@pytest.mark.parametrize("engine", ["auto", "native"])
@every_layer
def test_a_layer_really_runs_by_the_native_engine(kind: str, engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It isn't only named: its scan is called, once a layer and direction."""
    calls: list[Cell] = []
    real = native.scan

    def noted(cell: Cell, *arguments: Any, **options: Any) -> Any:
        calls.append(cell)
        return real(cell, *arguments, **options)

    monkeypatch.setattr(native, "scan", noted)
    layer = LAYERS[kind](3, 4, num_layers=2, bidirectional=True, engine=engine)
    layer(torch.zeros(2, 1, 3))

    assert calls == [layer.cell] * 4


def test_the_reference_is_not_run_where_the_core_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither forwards nor backwards: first derivatives are the core's own."""

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("the reference engine was run")

    monkeypatch.setattr("elman.engines.reference.scan", never)
    layer = elman.LSTM(3, 4)
    y, _ = layer(torch.zeros(2, 1, 3), lengths=[1], reset=torch.ones(2, 1, dtype=torch.bool))
    y.sum().backward()
