"""What the language tasks reach on real data, by the command that a user types: figures for docs/results.md.

    python benchmarks/language.py                       # all sets, three seeds of the small ones: two hours
    python benchmarks/language.py --only trec,names     # some of them; the others' figures are kept
    python benchmarks/language.py --only sst2 --minutes 0.1 --seeds 1      # to see that it works; nothing is written

The data is read from shared/data beside the repository (--data). Each run is `elman train` with nothing but the task, the
budget and the files; scores are those on the test part. `names` comes without parts: a tenth is
held out, drawn by the seed.
"""

from collections.abc import Callable
from pathlib import Path

from trainings import Score, Set, main


def files(name: str, arguments: str) -> Callable[[Path, Path, int], list[str]]:
    """Files as they are: `{0}` stands for the folder of the data."""
    return lambda data, work, seed: arguments.format(data / name).split()  # noqa: ARG005


SETS = {
    "ud_english_ewt": Set(
        files(
            "ud_english_ewt",
            "{0}/en_ewt-ud-train.conllu --valid {0}/en_ewt-ud-dev.conllu --test {0}/en_ewt-ud-test.conllu --task tag",
        ),
        10, 1, (Score("test_accuracy", 0.956, percent=True),), "95.3", "about 95.4 with pretrained vectors (Stanza)",
    ),
    "sst2": Set(
        files("sst2", "{0}/train.tsv --valid {0}/dev.tsv --test {0}/test.tsv --task classify"),
        5, 3, (Score("test_accuracy", 0.81, percent=True),), "79.0", "82.7 (CNN-rand)",
    ),
    "trec": Set(
        files("trec", "{0}/train.csv --test {0}/test.csv --task classify"),
        3, 3, (Score("test_accuracy", 0.91, percent=True),), "90.4", "91.2 (CNN-rand)",
    ),
    "names": Set(
        files("names", "{0} --task classify --test-fraction 0.1"),
        2, 3, (Score("test_accuracy", 0.86, percent=True),), "85.0",
    ),
    "multi30k_en_de": Set(
        files(
            "multi30k_en_de",
            "{0}/train.en {0}/train.de --valid {0}/val.en --valid {0}/val.de "
            "--test {0}/test_2016_flickr.en --test {0}/test_2016_flickr.de --task translate",
        ),
        25, 1, (Score("test_bleu", 32, digits=1),), "29.0, greedy",
    ),
    "ptb": Set(
        files(
            "ptb",
            "{0}/ptb.train.txt --valid {0}/ptb.valid.txt --test {0}/ptb.test.txt --task lm --tokenizer word --tie",
        ),
        30, 1, (Score("test_perplexity", 105, True, digits=1),), "", "110.4 after 6 epochs",
    ),
}  # fmt: skip

if __name__ == "__main__":
    main("language", SETS, __doc__)
