"""A tap on recurrent layers: what goes through each step of each layer, while a network runs as it always does.

The layers are run by the reference engine, by a cell that notes each of its steps. So what is watched is the cell's own
`advance`, with every option, and the network around it needs to know nothing: embeddings, pooling, attention stay as they are.
"""

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import nn

from elman.axes import Bool, Int, Tensor
from elman.cells import Cell, State, Weights
from elman.engines import Engine, scan
from elman.engines.direction import reverse_reset
from elman.layers import RecurrentLayers


class Step(NamedTuple):
    """One step: the weights and masks, u, the state before it and the state after it."""

    weights: Weights
    u_BG: Tensor
    before: State
    after: State


@dataclass
class Passage:
    """One layer in one direction, run over a batch.

    stack, layer, direction   which: the name of the recurrent layers in the network, from 0, 0 forwards or 1 backwards
    lengths_B                 how many steps of each row are valid
    reset_TB                  the steps that start from a fresh state, in the order in which the layer runs; None for none
    states                    the state after each step, in that order
    steps                     each step with all that it read, if the tap was told to keep it
    """

    stack: str
    layer: int
    direction: int
    cell: Cell
    lengths_B: Int[Tensor, "B"]
    reset_TB: Bool[Tensor, "T B"] | None
    backwards: bool
    states: list[State] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)

    @property
    def batch(self) -> int:
        return int(self.lengths_B.shape[0])

    def own_step(self, at_B: Int[Tensor, "B"] | None) -> Int[Tensor, "B"]:
        """The steps of the data as steps of this layer, which may run backwards; None: the last one it runs."""
        last_B = self.lengths_B - 1
        if at_B is None:
            return last_B
        at_B = at_B.to(last_B.device)
        return last_B - at_B if self.backwards else at_B


Watch = Callable[[Passage, Step], None]


@contextmanager
def tapped(
    stacks: Mapping[str, RecurrentLayers], *, keep: bool = False, watch: Watch | None = None, graph: bool = False
) -> Iterator[list[Passage]]:
    """The passages of what is run inside, in order: layer by layer, forwards before backwards.

    keep    keep each step with all that it read
    watch   is told of each step
    graph   every state is part of a graph from the layer's inputs on, whether or not parameters have gradients
    """
    passages: list[Passage] = []
    with ExitStack() as undo:
        for name, stack in stacks.items():
            stack.scan = _recorder(name, stack, passages, keep, watch, graph)
            undo.callback(delattr, stack, "scan")
        yield passages


def _recorder(
    name: str, stack: RecurrentLayers, passages: list[Passage], keep: bool, watch: Watch | None, graph: bool
) -> Callable[..., Any]:
    """What runs a layer of this stack, and notes its steps."""
    directions = 1 + stack.bidirectional
    calls = 0

    def record(
        cell: Cell,
        weights: Weights,
        x_TBD: Tensor,
        state: State,
        lengths_B: Tensor | None = None,
        reset_TB: Tensor | None = None,
        **options: Any,
    ) -> Any:
        nonlocal calls
        layer, direction = divmod(calls % (stack.num_layers * directions), directions)
        calls += 1
        steps, batch = x_TBD.shape[:2]
        backwards = bool(options.get("reverse"))
        own = lengths_B if lengths_B is not None else torch.full((batch,), steps, device=x_TBD.device)
        resets = reverse_reset(reset_TB, lengths_B) if backwards and reset_TB is not None else reset_TB
        passage = Passage(name, layer, direction, cell, own, resets, backwards)
        passages.append(passage)
        if graph:
            x_TBD = x_TBD if x_TBD.requires_grad else x_TBD.detach().requires_grad_()
            state = type(state)(*(s if s.requires_grad else s.detach().requires_grad_() for s in state))

        def advance(given: Weights, u_BG: Tensor, before: State) -> tuple[Tensor, State]:
            y_BH, after = cell.advance(given, u_BG, before)
            # The reference engine goes on writing to `given`.
            step = Step(dict(given), u_BG, before, after)
            passage.states.append(after)
            if keep:
                passage.steps.append(step)
            if watch is not None:
                watch(passage, step)
            return y_BH, after

        options |= {"engine": Engine.REFERENCE, "recompute": False}
        return scan(_with_advance(cell, advance), weights, x_TBD, state, lengths_B, reset_TB, **options)

    return record


def _with_advance(cell: Cell, advance: Callable[..., Any]) -> Cell:
    """The cell, its `advance` replaced: a frozen value, so the twin is made around its back."""
    twin = copy.copy(cell)
    object.__setattr__(twin, "advance", advance)
    return twin


def find_stacks(network: nn.Module) -> dict[str, RecurrentLayers]:
    """The recurrent layers in a network, by name, in the order in which it has them."""
    return {name or "layers": part for name, part in network.named_modules() if isinstance(part, RecurrentLayers)}


@contextmanager
def undisturbed(network: nn.Module) -> Iterator[None]:
    """Evaluation mode, parameters without gradients, and all as it was afterwards."""
    training = {part: part.training for part in network.modules()}
    wanted = {parameter: parameter.requires_grad for parameter in network.parameters()}
    network.eval()
    network.requires_grad_(False)
    try:
        yield
    finally:
        for part, value in training.items():
            part.training = value
        for parameter, value in wanted.items():
            parameter.requires_grad_(value)
