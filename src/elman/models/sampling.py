"""Writing: one token after the other, the state carried one step at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from elman.axes import Float, Tensor
from elman.data.tokenizer import START_ID, UNKNOWN_ID
from elman.errors import OptionError


@dataclass(frozen=True)
class Sampling:
    """How the next token is drawn.

    temperature  logits are divided by it; 0 takes the likeliest token always
    top_k        draw among the k likeliest only
    top_p        draw among the likeliest that together reach probability p (Holtzman et al., arXiv 1904.09751)
    seed         the same seed writes the same text; None draws anew each time

    Raises `OptionError` for values that make no sense.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    seed: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < float("inf"):
            raise OptionError(f"temperature={self.temperature} must be 0 (the likeliest token) or more.")
        if self.seed is not None and not 0 <= self.seed < 2**63:
            raise OptionError(f"seed={self.seed} must be a whole number from 0 to 2⁶³ - 1, or left out.")
        if self.top_k is not None and self.top_k < 1:
            raise OptionError(f"top_k={self.top_k} must be at least 1, or left out.")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise OptionError(f"top_p={self.top_p} must be more than 0 and at most 1, or left out.")


def generate_tokens(model: nn.Module, prompt: Sequence[int], length: int, sampling: Sampling) -> Iterator[int]:
    """Token numbers that go on from `prompt`; constant time and memory each. UNKNOWN is never drawn."""
    if length < 0:
        raise OptionError(f"length={length} must be 0 or more.")
    return _generate(model, prompt, length, sampling)


def _generate(model: nn.Module, prompt: Sequence[int], length: int, sampling: Sampling) -> Iterator[int]:
    generator = torch.Generator()
    if sampling.seed is None:
        generator.seed()
    else:
        generator.manual_seed(sampling.seed)
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    try:
        numbers = [START_ID, *prompt]
        state = None
        for _ in range(length):
            # Not inference_mode around the yield: it would leak into the caller's code.
            with torch.inference_mode():
                tokens_T1 = torch.tensor(numbers, device=device).unsqueeze(1)
                logits_TBV, state = model(tokens_T1, state)
                number = draw(logits_TBV[-1, 0].float().cpu(), sampling, generator)
            yield number
            numbers = [number]
    finally:
        model.train(was_training)


def draw(logits_V: Float[Tensor, "V"], sampling: Sampling, generator: torch.Generator) -> int:
    """Draw a token from the distribution that the logits and `sampling` give."""
    logits_V = logits_V.clone()
    logits_V[UNKNOWN_ID] = -torch.inf
    if sampling.temperature == 0:
        return int(logits_V.argmax())
    # Less the largest, in float64: divided by the tiniest temperature, 0 stays 0 and the rest goes to minus infinity.
    logits_V = (logits_V.double() - logits_V.max()) / sampling.temperature
    if sampling.top_k is not None and sampling.top_k < len(logits_V):
        least = logits_V.topk(sampling.top_k).values[-1]
        logits_V[logits_V < least] = -torch.inf
    probabilities_V = torch.softmax(logits_V, dim=0)
    if sampling.top_p is not None and sampling.top_p < 1:
        ordered, order = probabilities_V.sort(descending=True)
        # A token stays if those before it don't reach p yet: the first one always stays.
        dropped = order[ordered.cumsum(0) - ordered >= sampling.top_p]
        probabilities_V[dropped] = 0
    return int(torch.multinomial(probabilities_V, 1, generator=generator))
