"""The package's face: what `elman` offers, and the errors that it raises."""

import importlib.metadata
import inspect

import pytest

import elman
from elman import errors


def test_every_public_name_is_there() -> None:
    assert {"RNN", "LSTM", "GRU", "SequenceModel", "load", "train"} <= set(elman.__all__)
    for name in elman.__all__:
        assert getattr(elman, name) is not None
    assert set(elman.__all__) <= set(dir(elman))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Rnn'"):
        elman.Rnn  # noqa: B018


def test_the_version_is_that_of_the_installed_package() -> None:
    assert elman.__version__ == importlib.metadata.version("elman")


def test_every_error_is_an_elman_error_and_has_an_exit_code_that_is_not_zero() -> None:
    classes = [value for _, value in inspect.getmembers(errors, inspect.isclass)]
    assert len(classes) > 5
    for error in classes:
        assert issubclass(error, errors.ElmanError)
        assert error.exit_code != 0
        assert error.__doc__


@pytest.mark.parametrize(
    ("error", "built_in"),
    [
        (errors.ShapeError, ValueError),
        (errors.OptionError, ValueError),
        (errors.EngineError, RuntimeError),
        (errors.DataError, ValueError),
        (errors.ConvertError, ValueError),
        (errors.ModelFolderError, ValueError),
        (errors.RunError, RuntimeError),
        (errors.TrainingDivergedError, ArithmeticError),
    ],
)
def test_an_error_is_also_the_built_in_error_of_its_kind(error: type, built_in: type) -> None:
    assert issubclass(error, built_in)
