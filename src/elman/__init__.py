"""elman: train, run and explain recurrent networks.

Names are imported when they are first used, so that `import elman` and `elman --help` cost nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "RNN": "elman.layers",
    "LSTM": "elman.layers",
    "GRU": "elman.layers",
    "Recurrent": "elman.layers",
    "ConvLSTM": "elman.layers",
    "SequenceModel": "elman.models.sequence",
    "LanguageModel": "elman.models.language",
    "load": "elman.models.folder",
    "train": "elman.training.run",
    # A package that is called: see there.
    "probe": "elman.probe",
    "TrainOptions": "elman.models.options",
    "ElmanError": "elman.errors",
}
__all__ = [*_HOMES, "__version__"]  # noqa: PLE0604

if TYPE_CHECKING:
    from elman.errors import ElmanError as ElmanError
    from elman.layers import GRU as GRU
    from elman.layers import LSTM as LSTM
    from elman.layers import RNN as RNN
    from elman.layers import ConvLSTM as ConvLSTM
    from elman.layers import Recurrent as Recurrent
    from elman.models.folder import load as load
    from elman.models.language import LanguageModel as LanguageModel
    from elman.models.options import TrainOptions as TrainOptions
    from elman.models.sequence import SequenceModel as SequenceModel
    from elman.training.run import train as train


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'elman' has no attribute {name!r}")
    home = import_module(_HOMES[name])
    value = home if home.__name__ == f"elman.{name}" else getattr(home, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
