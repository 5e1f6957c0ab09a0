"""Small data of every task, written into a folder; what is given are its paths."""

from pathlib import Path

import clips
import numpy as np
import sounds


def classes(folder: Path) -> list[Path]:
    lines = [f"{'good ' * (1 + number % 5)}film,{number % 2}" for number in range(60)]
    path = folder / "data.csv"
    path.write_text("text,label\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return [path]


def tags(folder: Path) -> list[Path]:
    words = ("the\tD", "cat\tN", "sat\tV", "on\tP", "mat\tN")
    sentences = [
        "\n".join(words[place % 5] for place in range(number, number + 2 + number % 6)) for number in range(60)
    ]
    path = folder / "data.conll"
    path.write_text("\n\n".join(sentences) + "\n", encoding="utf-8")
    return [path]


def pairs(folder: Path) -> list[Path]:
    paths = [folder / "data.en", folder / "data.de"]
    for path, words in zip(paths, (("the", "cat", "sat"), ("die", "Katze", "saß")), strict=True):
        lines = [" ".join(words[place % 3] for place in range(number, number + 2 + number % 7)) for number in range(60)]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return paths


def series(folder: Path) -> list[Path]:
    rows = [f"{hour},{np.sin(hour / 4):.3f},{np.cos(hour / 4):.3f}" for hour in range(300)]
    (folder / "data.csv").write_text("time,load,heat\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return [folder / "data.csv"]


def waves(folder: Path) -> list[Path]:
    rows = [
        f"{number},{step},{np.sin(step * (1 + number % 2)):.3f},{'fast' if number % 2 else 'slow'}"
        for number in range(40)
        for step in range(6 + number % 5)
    ]
    (folder / "data.csv").write_text("series,time,x,label\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return [folder / "data.csv"]


def tones(folder: Path) -> list[Path]:
    for number in range(12):
        for name, hertz in (("high", 880.0), ("low", 220.0)):
            sounds.write(folder / name / f"{number}.wav", sounds.tone(0.2 + 0.03 * (number % 5), hertz + number))
    return [folder]


def texts(folder: Path) -> list[Path]:
    rows = [
        f"{path.parent.name}/{path.name},{'ab' * (1 + len(path.stem) % 2)}"
        for path in sorted(tones(folder)[0].rglob("*.wav"))
    ]
    (folder / "data.csv").write_text("path,text\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return [folder / "data.csv"]


def events(folder: Path) -> list[Path]:
    rows = [
        f"{path.parent.name}/{path.name},0.05,0.15,{path.parent.name}"
        for path in sorted(tones(folder)[0].rglob("*.wav"))
    ]
    (folder / "data.csv").write_text("path,start,end,label\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return [folder / "data.csv"]


def video(folder: Path) -> list[Path]:
    return [clips.write_classes(folder)]


TEXT_TASKS = [("classify", classes), ("tag", tags), ("translate", pairs)]
SIGNAL_TASKS = [
    ("forecast", series),
    ("classify-series", waves),
    ("classify-sound", tones),
    ("classify-video", video),
    ("transcribe", texts),
    ("tag-sound", events),
]
