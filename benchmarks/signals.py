"""What the tasks on series, sound and video reach on real data, by the command that a user types: figures for docs/results.md.

    python benchmarks/signals.py                        # all sets, three seeds of the small ones
    python benchmarks/signals.py --only etth1_96        # some of them; the others' figures are kept
    python benchmarks/signals.py --only jsb_chorales --minutes 0.1 --seeds 1      # to see that it works; nothing is written

The data is read from shared/data beside the repository (--data). A set prepares its files in a temporary folder, in a form that
elman reads. Each run is `elman train` with nothing but the task, the budget, names of columns, and what is to be forecast.
"""

from series_sets import chorales, electricity_96, electricity_720
from signal_classes import actions, digits, rows_of_digits
from sound_sets import joined_digits, noisy_digits
from trainings import Score, Set, main

SETS = {
    "etth1_96": Set(
        electricity_96, 5, 3, (Score("test_mse", 0.360, True), Score("test_mae", 0.385, True)),
        "0.360 and 0.387 in 4 min", "SegRNN 0.368, DLinear 0.386",
    ),
    "etth1_720": Set(electricity_720, 5, 1, (Score("test_mse", 0.446, True),), "", "SegRNN 0.446, DLinear 0.519"),
    "fsdd": Set(digits, 3, 3, (Score("test_accuracy", 0.993, percent=True),), "99.3 in 3 min"),
    "fsdd_joined": Set(joined_digits, 15, 1, (Score("test_cer", 0.04, True, percent=True),)),
    "fsdd_noisy": Set(noisy_digits, 5, 3, (Score("test_accuracy", 0.95, percent=True),)),
    "mnist_rows": Set(rows_of_digits, 5, 1, (Score("test_accuracy", 0.992, percent=True),), "99.1 in 5 min"),
    "actions_video": Set(actions, 15, 1, (Score("test_accuracy", 0.75, percent=True),), "64.2 in 10 min"),
    "jsb_chorales": Set(
        chorales, 10, 3, (Score("test_nll", 8.45, True, 2),), "", "GRU 8.43, LSTM 8.45, Elman 8.91",
    ),
}  # fmt: skip

if __name__ == "__main__":
    main("signals", SETS, __doc__)
