"""Time and memory a character in generation: the state carried one step at a time, against re-running the whole prefix.

    python benchmarks/generate.py [MODEL] [--lengths 100 1000 10000]

Without a MODEL it takes an untrained LSTM with the default sizes: speed doesn't depend on what was learnt. Memory is what
tensors hold beyond the weights after the last character, by Python's own count of live tensors, and the growth of the
process's peak while a text was written.
"""

import argparse
import gc
import json
import resource
import statistics
import sys
import time
from pathlib import Path

import torch

import elman
from elman.data.text import reference_documents
from elman.data.tokenizer import START_ID, TextTokenizer
from elman.models.language import LanguageConfig, LanguageModel
from elman.models.options import TrainOptions


def untrained() -> LanguageModel:
    tokenizer = TextTokenizer.fit("char", reference_documents())
    sizes = {name: getattr(TrainOptions, name) for name in ("hidden", "layers", "embedding")}
    config = LanguageConfig(len(tokenizer), cell="lstm", **sizes)
    return LanguageModel(config, tokenizer).eval()


def live_bytes() -> int:
    gc.collect()
    return sum(thing.nbytes for thing in gc.get_objects() if issubclass(type(thing), torch.Tensor))


def peak_kilobytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // 1024 if sys.platform == "darwin" else peak


def carried(model: LanguageModel, length: int) -> dict[str, float]:
    """Write `length` characters; time of the last hundred, and memory, as the text grows."""
    before, peak = live_bytes(), peak_kilobytes()
    stamps = [time.perf_counter()]
    pieces = model.generate("", length, seed=0)
    characters = 0
    held = 0
    for piece in pieces:
        stamps.append(time.perf_counter())
        characters += len(piece)
        if len(stamps) == length:
            held = live_bytes() - before
    assert characters >= length // 2
    return {
        "microseconds_a_character": 1e6
        * statistics.median(b - a for a, b in zip(stamps[-100:-2], stamps[-99:-1], strict=True)),
        "live_bytes": held,
        "peak_growth_kilobytes": peak_kilobytes() - peak,
    }


def rerun(model: LanguageModel, length: int) -> float:
    """Microseconds for the character after a prefix of `length`, computed from the beginning."""
    tokens_T1 = torch.randint(2, len(model.tokenizer), (length, 1))
    tokens_T1[0] = START_ID
    times = []
    with torch.inference_mode():
        for _ in range(5):
            began = time.perf_counter()
            model(tokens_T1)
            times.append(time.perf_counter() - began)
    return 1e6 * statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", type=Path, help="a model's folder")
    parser.add_argument("--lengths", type=int, nargs="+", default=[100, 1000, 10000])
    arguments = parser.parse_args()
    model = elman.load(arguments.model) if arguments.model else untrained()
    carried(model, 300)  # warm-up

    rows = {}
    print("length   carried: µs a character, bytes held, growth of the peak   prefix re-run: µs a character")
    for length in arguments.lengths:
        row = carried(model, length)
        row["rerun_microseconds"] = rerun(model, length)
        rows[length] = row
        print(
            f"{length:6}   {row['microseconds_a_character']:24.0f} {row['live_bytes']:11,.0f} "
            f"{row['peak_growth_kilobytes']:14,.0f} kB   {row['rerun_microseconds']:29,.0f}"
        )
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
