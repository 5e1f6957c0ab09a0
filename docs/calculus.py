"""Writes the table of docs/calculus.md: which derivatives and transforms work, elman's layers and PyTorch's, on a processor.

    python docs/calculus.py [--check]

Everything in the table is tried out. "yes" means: it ran, and its numbers are those of elman's reference engine to 1e-8.
"""

import argparse
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

import elman

PAGE = Path(__file__).parent / "calculus.md"
CELLS = ("RNN", "GRU", "LSTM")
STEPS, BATCH, SIZE = 3, 2, 2


def trials() -> dict[str, Callable[[nn.Module, Tensor], Tensor]]:
    """What is tried, by name: a function of a layer and an input, whose result is compared."""

    def gradient(layer: nn.Module, x: Tensor) -> Tensor:
        x = x.clone().requires_grad_()
        return torch.autograd.grad(layer(x)[0].sin().sum(), x)[0]

    def second(layer: nn.Module, x: Tensor) -> Tensor:
        x = x.clone().requires_grad_()
        (first,) = torch.autograd.grad(layer(x)[0].sin().sum(), x, create_graph=True)
        return torch.autograd.grad(first.square().sum(), x)[0]

    def forward_mode(layer: nn.Module, x: Tensor) -> Tensor:
        with forward_ad.dual_level():
            return forward_ad.unpack_dual(layer(forward_ad.make_dual(x, x.cos()))[0]).tangent

    def vmap(layer: nn.Module, x: Tensor) -> Tensor:
        return torch.vmap(lambda one: layer(one)[0])(torch.stack([x, x.cos()]))

    def jacobian(layer: nn.Module, x: Tensor) -> Tensor:
        return torch.func.jacrev(lambda one: layer(one)[0])(x)

    def hessian(layer: nn.Module, x: Tensor) -> Tensor:
        return torch.func.hessian(lambda one: layer(one)[0].sum())(x)

    def compiled(layer: nn.Module, x: Tensor) -> Tensor:
        torch.compiler.reset()
        return torch.compile(layer, fullgraph=True, backend="aot_eager")(x)[0]

    def compiled_gradient(layer: nn.Module, x: Tensor) -> Tensor:
        torch.compiler.reset()
        x = x.clone().requires_grad_()
        y = torch.compile(layer, fullgraph=True, backend="aot_eager")(x)[0]
        return torch.autograd.grad(y.sin().sum(), x)[0]

    def exported(layer: nn.Module, x: Tensor) -> Tensor:
        axes = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
        program = torch.export.export(layer, (x,), dynamic_shapes=(axes,))
        return program.module()(torch.cat([x, x]))[0]

    def autocast(layer: nn.Module, x: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return layer.float()(x.float())[0].double().round(decimals=1)

    return {
        "gradient": gradient,
        "second derivative": second,
        "forward mode": forward_mode,
        "`torch.vmap`": vmap,
        "`torch.func.jacrev`": jacobian,
        "`torch.func.hessian`": hessian,
        "`torch.compile(fullgraph=True)`": compiled,
        "its gradient": compiled_gradient,
        "`torch.export`, dynamic batch and time": exported,
        "`torch.autocast`, runs": autocast,
    }


# PyTorch's LSTM runs in bfloat16 where the processor does, and fails elsewhere: the page says so on any machine.
_BFLOAT16 = torch.ops.mkldnn._is_mkldnn_bf16_supported()
_HERE = dict.fromkeys(CELLS, "yes") | {"LSTM": "yes" if _BFLOAT16 else "no (RuntimeError)"}
_EVERYWHERE = dict.fromkeys(CELLS, "yes") | {"LSTM": "on processors with bfloat16"}


def outcome(trial: Callable[[nn.Module, Tensor], Tensor], layer: nn.Module, expected: Tensor | None, x: Tensor) -> str:
    """Whether a trial works, in a word."""
    try:
        value = trial(layer.double(), x)
    except Exception as error:  # whatever a library raises is the finding
        return f"no ({type(error).__name__})"
    right = expected is None or torch.allclose(value, expected, rtol=1e-8, atol=1e-8)
    return "yes" if right else "wrong"


def table() -> str:
    """The table, in Markdown."""
    lines = [
        "| | " + " | ".join(f"{who} {cell}" for cell in CELLS for who in ("elman", "torch")) + " |",
        "|---" * 7 + "|",
    ]
    torch.manual_seed(1)
    x = torch.randn(STEPS, BATCH, SIZE, dtype=torch.float64)
    references, layers = {}, {}
    for cell in CELLS:
        references[cell] = getattr(elman, cell)(SIZE, 3, dtype=torch.float64, engine="reference")
        layers[cell] = (getattr(elman, cell)(SIZE, 3, engine="native"), getattr(nn, cell)(SIZE, 3))
        for layer in layers[cell]:
            layer.double().load_state_dict(references[cell].state_dict())
    for name, trial in trials().items():
        words = []
        for cell in CELLS:
            # What the reference engine itself is compiled to is not asked here, only its numbers.
            plain = {"`torch.compile(fullgraph=True)`": lambda m, x: m(x)[0], "its gradient": trials()["gradient"]}
            plain["`torch.export`, dynamic batch and time"] = lambda m, x: m(torch.cat([x, x]))[0]
            expected = None if "autocast" in name else plain.get(name, trial)(references[cell], x)
            words += [outcome(trial, layer, expected, x) for layer in layers[cell]]
            if "autocast" in name and words[-1] == _HERE[cell]:
                words[-1] = _EVERYWHERE[cell]
        lines.append(f"| {name} | " + " | ".join(words) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; say with the exit code if the page is stale"
    )
    check = parser.parse_args().check
    warnings.simplefilter("ignore")
    begin, end = "<!-- table -->", "<!-- end of table -->"
    page = PAGE.read_text(encoding="utf-8")
    head, rest = page.split(begin)
    fresh = f"{head}{begin}\n\n{table()}\n\n{end}{rest.split(end)[1]}"
    if check and fresh != page:
        sys.exit(f"{PAGE} is stale: run python docs/calculus.py")
    if not check:
        PAGE.write_text(fresh, encoding="utf-8")


if __name__ == "__main__":
    main()
