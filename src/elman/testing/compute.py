"""Ways to compute the same thing: by an engine, in pieces, and slowly and plainly.

A `Compute` is a function from a case to its results by name ("y", "final h", ...). `values_and_gradients` runs one and adds the
gradient with respect to every leaf of the case, for random cotangents on all results: two computes that agree there agree in
everything.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

import torch

from elman.axes import Bool, Tensor
from elman.cells import State, map_state
from elman.engines import Engine, scan
from elman.testing.case import Case, Results, named, unnamed

Compute = Callable[[Case], Results]


def by_engine(
    engine: Engine | str,
    lengths: Sequence[int] | None = None,
    reset_TB: Bool[Tensor, "T B"] | None = None,
    reverse: bool = False,
    all_states: bool = False,
    recompute: bool = False,
) -> Compute:
    """`engines.scan` of all that the case has; with `all_states`, "every h" too."""

    def compute(case: Case) -> Results:
        lengths_B = None if lengths is None else torch.tensor(lengths, device=case.x_TBD.device)
        y_TBH, last, *every = scan(
            case.cell,
            case.weights,
            case.x_TBD,
            case.state,
            lengths_B,
            reset_TB,
            masks=case.masks,
            fresh=case.fresh,
            engine=engine,
            reverse=reverse,
            all_states=all_states,
            recompute=recompute,
        )
        results = {"y": y_TBH, **named("final", last)}
        return results | named("every", every[0]) if every else results

    return compute


def in_two_pieces(engine: Engine | str, cut: int) -> Compute:
    """`engines.scan`, cut before step `cut`: what is carried over the cut is the state and nothing else."""

    def compute(case: Case) -> Results:
        first, second = case.piece(slice(None, cut)), case.piece(slice(cut, None))
        before = by_engine(engine)(first)
        middle = unnamed("final", before, case.state)
        after = by_engine(engine)(replace(second, state=middle))
        return {**after, "y": torch.cat([before["y"], after["y"]])}

    return compute


def by_folding(case: Case) -> Results:
    """Step after step (`Cell.advance`), each on its own projection."""
    y_TBH, last = _fold(case)
    return {"y": y_TBH, **named("final", last)}


def row_by_row(lengths: Sequence[int] | None = None, reset_TB: Bool[Tensor, "T B"] | None = None) -> Compute:
    """Each row alone and unpadded, each piece between two resets alone: nothing to pad and nothing to reset."""

    def compute(case: Case) -> Results:
        outputs, finals = [], []
        fresh = case.fresh or case.cell.initial_state(1, like=next(iter(case.weights.values())))
        for b, length in enumerate(lengths or [case.steps] * case.batch):
            row = case.piece(rows=slice(b, b + 1))
            state = row.state
            flagged = [] if reset_TB is None else [t for t in range(length) if reset_TB[t, b]]
            pieces = []
            for start, stop in pairwise(sorted({0, length, *flagged})):
                if start in flagged:
                    state = fresh
                y_t1H, state = _fold(replace(row.piece(slice(start, stop)), state=state))
                pieces.append(y_t1H)
            pieces.append(case.x_TBD.new_zeros(case.steps - length, 1, case.cell.output_size))
            outputs.append(torch.cat(pieces))
            finals.append(state)
        return {"y": torch.cat(outputs, dim=1), **named("final", map_state(lambda *rows: torch.cat(rows), *finals))}

    return compute


def values_and_gradients(case: Case, compute: Compute, seed: int = 1, scale: float = 1.0) -> Results:
    """All results, and the gradient with respect to every leaf, for random cotangents on all results.

    `scale` is that of the cotangents; gradients are divided by it again.
    """
    results = compute(case)
    cotangents = random_cotangents(results, seed)
    total = sum(((scale * value * cotangents[name]).sum() for name, value in results.items()), start=torch.zeros(()))
    leaves = case.leaves()
    gradients = torch.autograd.grad(total, list(leaves.values()), allow_unused=True, materialize_grads=True)
    return {**results, **{f"gradient of {name}": g / scale for name, g in zip(leaves, gradients, strict=True)}}


def random_cotangents(results: Results, seed: int) -> Results:
    """Normal numbers of the shape of each result, float64."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(value.shape, generator=generator, dtype=torch.float64).to(value.device)
        for name, value in results.items()
    }


def _fold(case: Case) -> tuple[Tensor, State]:
    state = case.state
    outputs = [case.x_TBD.new_zeros(0, case.batch, case.cell.output_size)]
    for t, x_BD in enumerate(case.x_TBD):
        u_BG = case.cell.project(case.weights, x_BD)
        y_BH, state = case.cell.advance({**case.weights, **case.masks_at(t)}, u_BG, state)
        outputs.append(y_BH.unsqueeze(0))
    return torch.cat(outputs), state
