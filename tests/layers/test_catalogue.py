"""The catalogue: what it says of a cell is what the cell does."""

import inspect
import json
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import torch

from elman.cells import CELLS, ElmanCell, cell_named, registry
from elman.engines import resolve
from elman.errors import OptionError
from elman.layers import layer_options, layers_of, read_layer_options
from elman.layers.catalogue import common_options, describe_cell, describe_cells

every_name = pytest.mark.parametrize("name", CELLS)
D, H = 6, 8


@every_name
def test_a_layer_has_as_many_parameters_and_the_weights_that_are_told(name: str) -> None:
    facts, layer = describe_cell(name, D, H), layers_of(name, D, H)
    assert facts.parameters == sum(parameter.numel() for parameter in layer.parameters())
    assert list(facts.weights.values()) == [tuple(parameter.shape) for parameter in layer.parameters()]
    assert facts.engine == str(layer.engine)


@every_name
def test_the_states_are_those_that_a_layer_carries(name: str) -> None:
    facts = describe_cell(name, D, H)
    layers = layers_of(name, D, H)
    assert list(facts.states.values()) == [s.shape[-1] for s in layers.initial_state(3)]
    assert facts.states.keys() == set(layers.cell.state_type._fields)
    assert facts.streams


@pytest.mark.parametrize(("name", "gates"), [("elman", 1), ("gru", 3), ("lstm", 4)])
def test_the_cost_is_that_of_the_products(name: str, gates: int) -> None:
    assert describe_cell(name, D, H).cost == gates * (D + H) * H
    assert len(describe_cell(name, D, H).gates) == gates


@dataclass(frozen=True)
class GrowingCell(ElmanCell):
    """A cell whose state grows at each step, and that has two products in a row."""

    name: ClassVar[str] = "growing"

    def step(self, weights: Any, u_BG: Any, state: Any) -> Any:
        h = self.recur(weights, torch.tanh(u_BG + self.recur(weights, state.h)))
        return h, type(state)(torch.cat([state.h, h], dim=-1))


def test_a_cell_whose_state_grows_does_not_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.CELLS, "growing", GrowingCell)
    monkeypatch.setattr("elman.layers.catalogue.engines.resolve", lambda *_: resolve("reference", ElmanCell(H)))
    facts = describe_cell("growing", D, H)
    assert not facts.streams
    assert facts.cost == (D + 2 * H) * H


@every_name
def test_the_text_is_the_docstring_of_the_cell(name: str) -> None:
    facts = describe_cell(name)
    assert facts.equations
    assert facts.summary == inspect.cleandoc(CELLS[name].__doc__ or "") != ""
    assert (facts.title, facts.citation) == (CELLS[name].title, CELLS[name].citation)
    assert (facts.input_size, facts.hidden_size) == (128, 256)


def test_what_is_told_can_be_written_as_json() -> None:
    for facts in describe_cells():
        told = json.loads(json.dumps(facts.to_dict()))
        assert told["name"] == facts.name
        assert set(told["options"]) == set(facts.options)
        assert all(set(option) == {"default", "kind"} for option in told["options"].values())


def test_all_cells_are_described_in_their_order() -> None:
    facts = describe_cells(None, D, H)
    assert [cell.name for cell in facts] == list(CELLS)
    common = common_options(facts)
    assert {"bias", "zoneout"} <= set(common)
    assert not {"peepholes", "reset_after", "nonlinearity"} & set(common)


def test_a_cell_or_a_size_that_is_none_is_refused() -> None:
    with pytest.raises(OptionError, match="did you mean 'lstm'"):
        describe_cells(["lstn"])
    for sizes, name in (((0, 3), "input"), ((3, -1), "hidden")):
        with pytest.raises(OptionError, match=f"^{name}="):
            describe_cells(["lstm"], *sizes)


def test_the_options_of_layers_are_their_arguments() -> None:
    options = layer_options()
    for option in options.values():
        assert option.checked(option.default) == option.default
        layers_of("gru", D, H, **{option.name: option.default})
    assert read_layer_options(["recompute=true"]) == {"recompute": True}
    assert layers_of("gru", D, H, recompute=True).recompute
    with pytest.raises(OptionError, match="'bidirectional' is no option of the layers"):
        read_layer_options({"bidirectional": True})


@every_name
def test_layers_of_a_cell_with_options_have_that_cell(name: str) -> None:
    layer = layers_of(name, D, H, zoneout=0.25, clip_state=2.0, num_layers=2)
    assert layer.cell == cell_named(name, H, zoneout=0.25, clip_state=2.0).for_input(D)
    y, state = layer(torch.randn(5, 3, D))
    assert y.shape == (5, 3, layer.output_size)
    again, _ = layer(torch.randn(5, 3, D), state)
    assert again.shape == y.shape
