"""The sets of sound that `benchmarks/signals.py` trains on, made of the spoken digits (fsdd: a folder a digit, 8 kHz).

Each function `prepare(data, work, seed)` writes its set into the folder `work`, from the folder `data` of all sets, and gives
the arguments of `elman train`. The training and the test part have recordings of their own; so has the validation part, which
is made of the last tenth of those to train on, drawn by the seed.
"""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

RATE = 8000
# How often each recording of a part is used.
_TIMES = {"train": 4, "valid": 2, "test": 4}
_FAINT = 1e-3


def joined_digits(data: Path, work: Path, seed: int) -> list[str]:
    """Strings of 3 to 8 digits, speakers mixed, with pauses of 0.1 to 0.5 s around each, and their text."""
    for part, recordings in _parts(data, seed).items():
        generator = np.random.default_rng((seed, len(part)))
        rows = []
        for number, digits in enumerate(_strings(recordings, _TIMES[part], 3, 8, generator)):
            pieces = [_pause(0.1, 0.5, generator)]
            for _, samples_N in digits:
                pieces += [samples_N, _pause(0.1, 0.5, generator)]
            path = _write(work / part / f"{number}.wav", np.concatenate(pieces), generator, _FAINT)
            rows.append([f"{part}/{path.name}", "".join(digit for digit, _ in digits)])
        _table(work / f"{part}.csv", ["path", "text"], rows)
    return [*_arguments(work), "--task", "transcribe"]


def noisy_digits(data: Path, work: Path, seed: int) -> list[str]:
    """Some ten seconds of digits with gaps of 0.3 to 1.5 s, in white noise than which speech is 10 dB louder; speech or not.

    Speech is from the first to the last moment of a recording that is not silence: see `_trimmed`.
    """
    for part, recordings in _parts(data, seed).items():
        generator = np.random.default_rng((seed, len(part)))
        rows = []
        for number, digits in enumerate(_strings(recordings, 1, 6, 10, generator)):
            pieces, at, times = [_pause(0.3, 1.5, generator)], 0, []
            spoken = [_trimmed(samples_N) for _, samples_N in digits]
            for samples_N in spoken:
                at += len(pieces[-1])
                times.append((at / RATE, (at + len(samples_N)) / RATE))
                at += len(samples_N)
                pieces += [samples_N, _pause(0.3, 1.5, generator)]
            noise = float(np.sqrt(np.mean(np.concatenate(spoken) ** 2) / 10))
            path = _write(work / part / f"{number}.wav", np.concatenate(pieces), generator, noise)
            rows += [[f"{part}/{path.name}", f"{start:.4f}", f"{end:.4f}", "speech"] for start, end in times]
        _table(work / f"{part}.csv", ["path", "start", "end", "label"], rows)
    return [*_arguments(work), "--task", "tag-sound"]


def _arguments(work: Path) -> list[str]:
    return [str(work / "train.csv"), "--valid", str(work / "valid.csv"), "--test", str(work / "test.csv")]


def _parts(data: Path, seed: int) -> dict[str, list[tuple[str, np.ndarray]]]:
    """The digit and the samples of each recording, part by part."""
    import soundfile  # type: ignore[import-untyped] # noqa: PLC0415

    found = {
        part: [
            (path.parent.name, soundfile.read(path, dtype="float32")[0])
            for path in sorted((data / "fsdd" / part).glob("*/*.wav"))
        ]
        for part in ("train", "test")
    }
    train = [found["train"][place] for place in np.random.default_rng(seed).permutation(len(found["train"]))]
    held = len(train) // 10
    return {"train": train[:-held], "valid": train[-held:], "test": found["test"]}


def _strings(
    recordings: Sequence[tuple[str, np.ndarray]], times: int, fewest: int, most: int, generator: np.random.Generator
) -> Iterator[list[tuple[str, np.ndarray]]]:
    """The recordings, each so many times, cut into strings of `fewest` to `most`; what is left over is left out."""
    order = np.concatenate([generator.permutation(len(recordings)) for _ in range(times)])
    at = 0
    while len(order) - at >= most:
        size = int(generator.integers(fewest, most + 1))
        yield [recordings[place] for place in order[at : at + size]]
        at += size


def _trimmed(samples_N: np.ndarray) -> np.ndarray:
    """A recording without its ends that are fainter than its loudest 10 ms by more than 25 dB: what a threshold on the clean
    recording calls silence, and nobody hears in noise.
    """
    size = RATE // 100
    power = np.mean(samples_N[: len(samples_N) // size * size].reshape(-1, size) ** 2, axis=1)
    loud = np.flatnonzero(power > power.max() * 10**-2.5)
    return samples_N[loud[0] * size : (loud[-1] + 1) * size]


def _pause(shortest: float, longest: float, generator: np.random.Generator) -> np.ndarray:
    return np.zeros(round(generator.uniform(shortest, longest) * RATE), np.float32)


def _write(path: Path, samples_N: np.ndarray, generator: np.random.Generator, noise: float) -> Path:
    import soundfile  # noqa: PLC0415

    path.parent.mkdir(parents=True, exist_ok=True)
    noisy_N = samples_N + noise * generator.standard_normal(len(samples_N)).astype(np.float32)
    # Quieter as a whole where it would be cut off at full scale.
    soundfile.write(path, noisy_N / max(1.0, float(np.abs(noisy_N).max()) / 0.99), RATE)
    return path


def _table(path: Path, columns: list[str], rows: list[list[str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns, *rows])
