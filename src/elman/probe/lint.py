"""The state linter: faults of data, state and padding that train without an error and spoil what is learnt.

It knows no task by name. Before a run it tries the task out on a copy of its network: padding is disturbed and doubled, windows
are compared with those before them, states are taken away, and the loss is watched. After a run it looks at the scores, and at
how far back the trained network's gradient reaches. The run itself goes on as if nothing had been tried: bit for bit the same.
"""

import copy
import math
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from elman.data.tokenizer import START_ID, TextTokenizer
from elman.models.task import Scores, Task
from elman.probe.batches import Padding, find_padding, follows, mapped, shifted
from elman.probe.findings import Lint
from elman.probe.tap import find_stacks, tapped

# Losses that differ by less, relative to their size, are the same but for rounding.
_SAME = 1e-5
# How near to an end a gate or a tanh unit is stuck: their slopes are then below 1e-4 and 2e-3. A gate that was set to keep its
# state for thousands of steps is not there yet.
_GATE_END, _TANH_END, _STUCK = 1e-4, 1e-3, 0.5
_LOOKED_AT = 8


def lint_start(task: Task, lint: Lint) -> None:
    """The checks before a run. Neither the task's network nor a random generator is any different afterwards."""
    with torch.random.fork_rng():
        trial = _Trial(task)
        lint.check("state-across-documents", trial.state_across)
        lint.check("state-never-carried", trial.state_not_carried)
        lint.check("padding-scored", trial.padding_scored)
        lint.check("loss-scaled-by-padding", trial.loss_scaled)
        lint.check("saturated-from-start", trial.saturated)


def lint_end(task: Task, scores: Mapping[str, Scores], lint: Lint) -> list[str]:
    """The checks after a run; gives what a person should know of them. `scores` by part."""
    with torch.random.fork_rng():
        lint.check("no-better-than-trivial", lambda: _trivial(scores, getattr(task.network, "lower_is_better", False)))
        lint.check("window-below-horizon", _Trial(task).window_too_short)
    return lint.notes(("no-better-than-trivial", "window-below-horizon"))


class _Trial:
    """A task with a network of its own, on which things can be tried."""

    def __init__(self, task: Task) -> None:
        self._given = task

    @cached_property
    def task(self) -> Any:
        return self._fresh()

    def _fresh(self) -> Any:
        twin: Any = copy.copy(self._given)
        twin.network = copy.deepcopy(self._given.network)
        twin.network.eval()
        return twin

    @property
    def steps(self) -> list[int]:
        """A few steps that have one before them: the first, one in the middle, the first of the next epoch."""
        epoch = self.task.steps_per_epoch
        return sorted({step for step in (1, 2, epoch // 2, epoch) if step > 0})

    def loss(self, batch: Any, state: Any = None, task: Any = None) -> tuple[float, Any]:
        """The loss of a batch without dropout, whatever else is drawn at random the same each time, and the state after it."""
        torch.manual_seed(0)
        with torch.no_grad():
            loss, state = (task or self.task).loss(batch, state)
        return float(loss), state

    def state_across(self) -> str | None:
        task = self.task
        for step in self.steps:
            carried = task.carries_state(step)
            if carried and follows(task.batch(step), task.batch(step - 1)) is False:
                return (
                    f"step {step} goes on with the state of step {step - 1}, but its windows don't go on where those ended: "
                    "keep windows in their order, or start them from an empty state."
                )
            if not carried and not self._same_after(task.batch(step), task.batch(step - 1)):
                return (
                    f"the loss of step {step}, which starts from an empty state, depends on what was read before it: "
                    "the network keeps a state from batch to batch. Let it start afresh."
                )
        return self._state_across_starts()

    def _same_after(self, batch: Any, former: Any) -> bool:
        """Whether the loss of a batch stays the same if another was read before it."""
        alone, after = self._fresh(), self._fresh()
        self.loss(former, None, after)
        return _same(self.loss(batch, None, alone)[0], self.loss(batch, None, after)[0])

    def _state_across_starts(self) -> str | None:
        """Documents begin with a token of their own in elman's texts: no state may pass it."""
        task = self.task
        step = next((step for step in self.steps if task.carries_state(step)), None)
        if step is None or not isinstance(getattr(task.network, "tokenizer", None), TextTokenizer):
            return None
        batch = task.batch(step)
        places = shifted(batch)
        if places is None:
            return None
        _, state = self.loss(task.batch(step - 1))

        def begin(number: int, tensor: Tensor) -> Tensor:
            if number != places[0]:
                return tensor
            return torch.cat([torch.full_like(tensor[:1], START_ID), tensor[1:]])

        begun = mapped(batch, begin)
        if _same(self.loss(begun, state)[0], self.loss(begun)[0]):
            return None
        return (
            "what a document's first token gives depends on the document before it: the state is carried across documents. "
            "Reset it where a document starts."
        )

    def state_not_carried(self) -> str | None:
        task = self.task
        step = next((step for step in self.steps if task.carries_state(step)), None)
        if step is None:
            return self._could_be_carried()
        _, state = self.loss(task.batch(step - 1))
        if state is None:
            return f"step {step} is to go on with a state, but the step before it gives none: return it from `loss`."
        batch = task.batch(step)
        if self.loss(batch, state)[0] != self.loss(batch)[0]:
            return None
        return f"the state that step {step} is given changes nothing: hand it to the network."

    def _could_be_carried(self) -> str | None:
        task, epoch = self.task, self.task.steps_per_epoch
        steps = range(1, min(epoch, _LOOKED_AT + 1))
        joined = [follows(task.batch(step), task.batch(step - 1)) for step in steps]
        if not joined or not all(joined):
            return None
        return (
            f"each of the first {len(joined) + 1} windows goes on where the one before it ended, but starts from an empty "
            "state: nothing longer than a window can be learnt. Carry the state (`carries_state`)."
        )

    @cached_property
    def _padded(self) -> tuple[Any, Padding] | None:
        """Of a few batches the one with the most padding."""
        batches = [self.task.batch(step) for step in range(min(self.task.steps_per_epoch, _LOOKED_AT))]
        found = [(batch, padding) for batch in batches if (padding := find_padding(batch)) is not None]
        return max(found, key=lambda pair: pair[1].amount, default=None)

    def padding_scored(self) -> str | None:
        if self._padded is None:
            return None
        batch, padding = self._padded
        before, after = self.loss(batch)[0], self.loss(padding.disturbed(batch))[0]
        if not _same(before, after):
            return (
                f"the loss goes from {before:.6g} to {after:.6g} when what is written in the padding changes: mask the steps "
                "beyond a row's length, and give the network its `lengths`."
            )
        if self._scaling() == "scored":
            return (
                "the loss changes when a batch has more padding, and not by the share of it alone: padded steps are "
                "scored. Mask the steps beyond a row's length, and give the network its `lengths`."
            )
        return None

    def loss_scaled(self) -> str | None:
        if self._scaling() != "scaled":
            return None
        return (
            "the same sequences have half the loss in a batch with twice as many steps, all new ones being padding: divide "
            "by the number of valid steps, not by all."
        )

    def _scaling(self) -> str | None:
        """What more padding does to the loss: nothing, "scaled", or "scored"."""
        if self._padded is None:
            return None
        batch, padding = self._padded
        before, after = self.loss(batch)[0], self.loss(padding.doubled(batch))[0]
        if _same(before, after):
            return None
        return "scaled" if _same(before, 2 * after) else "scored"

    def saturated(self) -> str | None:
        task = self.task
        with _Ends() as ends, tapped(find_stacks(task.network)):
            self.loss(task.batch(0))
        for name, share in ends.shares.items():
            if share > _STUCK:
                return (
                    f"before training {share:.0%} of the {name} stand at an end of their range, where no gradient passes: "
                    "scale the inputs to a mean of 0 and a deviation of 1, or start with smaller weights."
                )
        return None

    def window_too_short(self) -> str | None:
        """∂ℓ/∂state one window further back, against that at the window's own beginning, after windows that warm it up."""
        task = self.task
        step = next((step for step in self.steps if step > 1 and task.carries_state(step - 1)), None)
        if step is None or not task.carries_state(step):
            return None
        _, state = self.loss(task.batch(step - 2))
        if state is None:
            return None
        # cuDNN differentiates in training mode only.
        with torch.backends.cudnn.flags(enabled=False):
            further = _leaves(state)
            _, state = task.loss(task.batch(step - 1), _like(state, further))
            nearer = _parts(state)
            loss, _ = task.loss(task.batch(step), state)
            slopes = torch.autograd.grad(loss, [*further, *nearer], allow_unused=True)
        shares = [
            float((far.norm(dim=-1) / near.norm(dim=-1).clamp(min=1e-30)).median())
            for far, near in zip(slopes[: len(further)], slopes[len(further) :], strict=True)
            if far is not None and near is not None
        ]
        kept = max(shares, default=0.0)
        if not kept > math.exp(-1):
            return None
        return (
            f"of the gradient at the beginning of a window {kept:.0%} would be left a whole window further back: the memory "
            "horizon lies beyond the window, where training cuts the gradient. Take longer windows (--bptt)."
        )


def _leaves(state: Any) -> list[Tensor]:
    return [part.detach().requires_grad_() for part in _parts(state)]


def _parts(state: Any) -> list[Tensor]:
    return [state] if isinstance(state, Tensor) else list(state)


def _like(state: Any, parts: list[Tensor]) -> Any:
    return parts[0] if isinstance(state, Tensor) else tuple(parts)


def _same(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=_SAME, abs_tol=_SAME) or (math.isnan(one) and math.isnan(other))


def _trivial(scores: Mapping[str, Scores], lower_is_better: bool) -> str | None:
    """By the first of the scores that has a baseline beside it."""
    beaten = []
    for part, found in scores.items():
        name = next((name for name in found if f"baseline_{name}" in found), None)
        if name is None:
            continue
        gain = found[name] - found[f"baseline_{name}"]
        if (-gain if lower_is_better else gain) <= 0:
            beaten.append(
                f"on the {part} part the network's {name} {found[name]:.4f} is no better than the trivial baseline's, "
                f"{found[f'baseline_{name}']:.4f}"
            )
    return f"{'; '.join(beaten)}: give it more data, or more time." if beaten else None


class _Ends(TorchFunctionMode):
    """Counts what sigmoid and tanh give inside, and how much of it stands at an end of their range."""

    def __init__(self) -> None:
        super().__init__()
        self._stuck = {"gates": 0, "tanh units": 0}
        self._all = {"gates": 0, "tanh units": 0}

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        if function in (torch.sigmoid, Tensor.sigmoid):
            self._note("gates", (result < _GATE_END) | (result > 1 - _GATE_END))
        elif function in (torch.tanh, Tensor.tanh):
            self._note("tanh units", result.abs() > 1 - _TANH_END)
        return result

    def _note(self, name: str, stuck: Tensor) -> None:
        # Where a step is mapped over many inputs (`elman.engines.branch`), what it gives is wrapped.
        while torch._C._functorch.is_batchedtensor(stuck):
            stuck = torch._C._functorch.get_unwrapped(stuck)
        self._stuck[name] += int(stuck.sum())
        self._all[name] += stuck.numel()

    @property
    def shares(self) -> dict[str, float]:
        return {name: stuck / max(self._all[name], 1) for name, stuck in self._stuck.items()}


class WatchedParts:
    """Data whose parts note that they are looked at: `parts` stands for `data`, of the same type; `read` has their names."""

    def __init__(self, data: Any) -> None:
        self.read: set[str] = set()
        read = self.read
        kind: Any = type(data)

        def look(self: Any, name: str) -> Any:
            if name in ("valid", "test") and kind.__getattribute__(self, name) is not None:
                read.add(name)
            return kind.__getattribute__(self, name)

        # What has no attributes of its own has no parts either.
        if not hasattr(data, "__dict__"):
            self.parts = data
            return
        self.parts = copy.copy(data)
        watched = type(kind.__name__, (kind,), {"__getattribute__": look, "__slots__": ()})
        object.__setattr__(self.parts, "__class__", watched)

    def finding(self) -> str | None:
        """What is wrong if more than the training part was looked at."""
        if not self.read:
            return None
        names = " and the ".join({"valid": "validation", "test": "test"}[name] for name in sorted(self.read))
        return (
            f"the {names} part was read while vocabularies, scales and the network were fitted: scores on it will be too "
            "good. Fit them to the training part alone."
        )
