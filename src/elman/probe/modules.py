"""Any module with recurrent layers: elman's, or `torch.nn.RNN`, `LSTM`, `GRU` inside a network of one's own.

While it is looked through, a layer of `torch.nn` is run by elman's layer of the same name on the same parameters. So the module
is called as it always is.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn

from elman.axes import Float, Tensor
from elman.cells import Cell
from elman.errors import ProbeError
from elman.layers import GRU, LSTM, RNN, Recurrent, RecurrentLayers
from elman.probe.adapter import drawn_steps
from elman.probe.gradients import Scored
from elman.probe.subject import Sizes, facts_of
from elman.probe.tap import find_stacks

# (module, batch) -> a loss a row (B), a loss a step and row (T, B), or one mean.
Loss = Callable[[nn.Module, Any], Tensor]


class ModuleSubject:
    """A module, a batch or several, and a loss.

    data   a batch: whatever `loss` takes; without a loss, the inputs of the module. A list is several batches
    loss   (module, batch) -> losses: (B), one a sequence; (T, B), one a step, of which one a row is drawn; or their mean, which
           is taken as of the sequences as a whole. None: v · y_t of the outputs y, v a direction that is drawn

    The use of context is measured where it is plain what a shorter batch is: without a loss, and where a batch is a tensor, or
    a tuple of tensors, whose steps are the module's.
    """

    aligned, first_run = None, False

    def __init__(
        self,
        module: nn.Module | Cell,
        data: Any,
        loss: Loss | None,
        lags: int,
        sizes: Sizes,
        generator: torch.Generator,
    ) -> None:
        if data is None:
            raise ProbeError("there is no data to look at: give a batch, such as inputs (T, B, D).")
        self._batches: list[Any] = data if isinstance(data, list) else [data]
        self.network = _network(module, self._batches[0])
        stacks = self._stacks()
        self.facts = facts_of(self.network, stacks)
        self.notes: list[str] = []
        self._batch_first = next(iter(stacks.values())).batch_first
        self._loss = loss if loss is not None else _Direction(self._batch_first, generator)
        self._sizes, self._generator = sizes, generator
        self._drawn = generator.initial_seed()
        steps = self._steps(self._batches[0])
        self.lags = lags if steps is None else min(lags, steps - 1)
        if self.lags < lags:
            self.notes.append(
                f"lags are cut to {self.lags}: the sequences have {steps} steps, fewer than the {lags} lags asked for need."
            )

    def _stacks(self) -> dict[str, RecurrentLayers]:
        twins = {name or "layers": _twin(part) for name, part in _torch_layers(self.network)}
        return {**find_stacks(self.network), **twins}

    @contextmanager
    def stacks(self) -> Iterator[Mapping[str, RecurrentLayers]]:
        with ExitStack() as undo:
            found: dict[str, RecurrentLayers] = dict(find_stacks(self.network))
            for name, part in _torch_layers(self.network):
                twin = found[name or "layers"] = _twin(part)
                part.forward = twin.forward
                undo.callback(delattr, part, "forward")
            yield found

    def score(self) -> Scored:
        return self._scored(self._batches[0], self.lags)

    def see(self, steps: int) -> Float[Tensor, "N"] | None:
        losses = []
        for batch in self._batches:
            if self._steps(batch) is None:
                return None
            found = self._loss(self.network, self._shorter(batch, steps))
            losses.append(found[-1] if found.dim() == 2 else found.reshape(-1))
        return torch.cat(losses)[: self._sizes.positions]

    def stream(self) -> None:
        self._loss(self.network, self._batches[0])

    def mean_loss(self) -> Tensor:
        return self._loss(self.network, self._batches[0]).mean()

    def _scored(self, batch: Any, lags: int) -> Scored:
        losses = self._loss(self.network, batch)
        if losses.dim() < 2:
            return Scored(losses.reshape(-1), None)
        steps, rows = losses.shape
        if self._steps(batch) not in (None, steps):
            raise ProbeError(
                f"losses have shape {tuple(losses.shape)}, and the batch has {self._steps(batch)} steps: give a loss for each "
                "step and row (T, B), or one for each row (B)."
            )
        generator = torch.Generator().manual_seed(self._drawn)
        at_B = drawn_steps(torch.full((rows,), steps, device=losses.device), lags, generator)
        return Scored(losses[at_B, torch.arange(rows, device=losses.device)], at_B)

    def _steps(self, batch: Any) -> int | None:
        """The steps of a batch; None where that isn't plain."""
        first = batch[0] if isinstance(batch, tuple) and batch else batch
        if not isinstance(first, Tensor) or first.dim() < 2:
            return None
        return int(first.shape[1 if self._batch_first else 0])

    def _shorter(self, batch: Any, steps: int) -> Any:
        """The last steps of a batch: of each tensor that has as many as the first."""
        axis, whole = 1 if self._batch_first else 0, self._steps(batch)

        def last(part: Any) -> Any:
            has = isinstance(part, Tensor) and part.dim() > axis and part.shape[axis] == whole
            return part.narrow(axis, max(0, whole - steps), min(steps, whole)) if has and whole is not None else part

        return tuple(map(last, batch)) if isinstance(batch, tuple) else last(batch)


class _Direction:
    """ℓ_t = v · y_t, v of length one: a loss for layers that have none."""

    def __init__(self, batch_first: bool, generator: torch.Generator) -> None:
        self._batch_first, self._generator = batch_first, generator
        self._v_H: Tensor | None = None

    def __call__(self, module: nn.Module, batch: Any) -> Tensor:
        y = module(*batch) if isinstance(batch, tuple) else module(batch)
        y = y[0] if isinstance(y, tuple) else y
        if not isinstance(y, Tensor) or y.dim() not in (2, 3):
            raise ProbeError(
                f"{type(module).__name__} gives no outputs of each step: say by loss= what it is scored by."
            )
        if self._v_H is None:
            v_H = torch.randn(y.shape[-1], generator=self._generator, dtype=torch.float64)
            self._v_H = (v_H / v_H.norm()).to(y)
        losses = y @ self._v_H
        # Of two axes the outputs are of whole sequences, (B, H).
        return losses.t() if self._batch_first and losses.dim() == 2 else losses


def _network(module: nn.Module | Cell, batch: Any) -> nn.Module:
    """The module; around a cell the layer that runs it."""
    if not isinstance(module, Cell):
        return module
    if not isinstance(batch, Tensor):
        raise ProbeError(f"a cell needs inputs (T, B, D) to look at: {type(batch).__name__} was given.")
    return Recurrent(module, batch.shape[-1], dtype=batch.dtype, device=batch.device)


def _torch_layers(network: nn.Module) -> Sequence[tuple[str, nn.RNNBase]]:
    return [(name, part) for name, part in network.named_modules() if isinstance(part, (nn.RNN, nn.LSTM, nn.GRU))]


def _twin(layer: nn.RNNBase) -> RecurrentLayers:
    """elman's layer on the parameters of torch.nn's."""
    kinds: dict[str, Any] = {"LSTM": LSTM, "GRU": GRU, "RNN_TANH": RNN, "RNN_RELU": RNN}
    own: dict[str, Any] = {"proj_size": layer.proj_size} if layer.mode == "LSTM" else {}
    if layer.mode.startswith("RNN"):
        own = {"nonlinearity": layer.mode.removeprefix("RNN_").lower()}
    twin: RecurrentLayers = kinds[layer.mode](
        layer.input_size, layer.hidden_size, num_layers=layer.num_layers, bias=layer.bias, batch_first=layer.batch_first,
        bidirectional=layer.bidirectional, **own,
    )  # fmt: skip
    for name, parameter in layer.named_parameters():
        setattr(twin, name, parameter)
    return twin.eval()
