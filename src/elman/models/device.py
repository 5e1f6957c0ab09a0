"""Where a network runs."""

import torch

from elman.errors import OptionError


def find_device(name: str) -> torch.device:
    """The device called `name`; "auto" is the fastest there is. Raises `OptionError` if it isn't there."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, available in there.items() if available))
    if not there.get(name, False):
        raise OptionError(f"--device {name} is not to be had on this machine: use --device auto or cpu.")
    return torch.device(name)
