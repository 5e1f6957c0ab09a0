"""What holds for every test: annotations are checked, randomness is fixed, every device there is gets used."""

from collections.abc import Iterator
from pathlib import Path

import hypothesis
import jaxtyping
import pytest
import torch
import typechecks

# Before elman is imported for the first time: a shape that contradicts its annotation is an error while tests run. Options
# have errors of their own for values of another kind.
SOURCE = Path(__file__).parents[1] / "src" / "elman"
MODELS = [f"elman.models.{path.stem}" for path in sorted((SOURCE / "models").glob("*.py")) if path.stem != "options"]
jaxtyping.install_import_hook(
    ["elman.cells", "elman.engines", "elman.layers", "elman.probe", "elman.testing", *MODELS],
    typechecker="typechecks.checked",
)

hypothesis.settings.register_profile("laws", deadline=None, derandomize=True, max_examples=20)
hypothesis.settings.load_profile("laws")

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def seed() -> None:
    """Every test draws the same numbers, alone or among others."""
    torch.manual_seed(20)


@pytest.fixture(scope="session", params=["cpu", *(["cuda"] if torch.cuda.is_available() else [])])
def device(request: pytest.FixtureRequest) -> torch.device:
    """Each device that this machine has."""
    return torch.device(request.param)


@pytest.fixture
def unchecked_types() -> Iterator[None]:
    """No checking of annotations: for tests that hand over a wrong type and expect elman's own error."""
    with typechecks.off():
        yield
