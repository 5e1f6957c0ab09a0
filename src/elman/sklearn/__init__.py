"""Recurrent networks in scikit-learn's manners: what works in `Pipeline`, `GridSearchCV`, `clone` and joblib.

    SequenceClassifier   X: texts, y: labels                         `fit`, `predict`, `predict_proba`, `score`
    SequenceTagger       X: sentences, a list of words each; y: a list of tags for each
    SequenceRegressor    X: series, y: a number, or some, for each    `fit`, `predict`, `score`
    Forecaster           y: series, an array or a table               `fit`, `predict`

Parameters are the options of `elman train` (`docs/command-line.md`); None is the task's default. Without a budget (`minutes`,
`epochs`, `steps`) training takes as many epochs as the task's `max_epochs`: then, or with one in epochs or steps, the same
`random_state` gives the same network on the same machine, in one thread of Python at a time. Needs scikit-learn.
"""

from elman.errors import OptionError

try:
    import sklearn.base  # type: ignore[import-untyped]  # noqa: F401
except ImportError as error:
    raise OptionError("elman.sklearn needs scikit-learn: pip install 'elman[sklearn]'.") from error

from elman.sklearn.forecaster import Forecaster
from elman.sklearn.language import SequenceClassifier, SequenceTagger
from elman.sklearn.regressor import SequenceRegressor

__all__ = ["Forecaster", "SequenceClassifier", "SequenceRegressor", "SequenceTagger"]
