"""Small language models for the tests of this folder."""

from typing import Any

import torch

from elman.data.text import Document
from elman.data.tokenizer import TextTokenizer
from elman.models.language import LanguageConfig, LanguageModel

LETTERS = "abcdefgh \n"


def make_model(letters: str = LETTERS, **sizes: Any) -> LanguageModel:
    """A model over characters with random weights, float64, in evaluation mode."""
    tokenizer = TextTokenizer.fit("char", [Document("letters", letters)])
    config = LanguageConfig(len(tokenizer), **{"hidden": 7, "embedding": 5, **sizes})
    model = LanguageModel(config, tokenizer).double().eval()
    # Larger than at first: what a model says must depend on what it read.
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2)
    return model
