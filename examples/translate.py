"""From figures in words to German ones. Two files, line by line, go in; a translator with attention comes out.

python examples/translate.py
python examples/translate.py --quick    # seconds: to see that it runs
"""

import itertools
import sys
import tempfile
from pathlib import Path

import elman

ONES = {"one": "ein", "two": "zwei", "three": "drei", "four": "vier", "five": "fünf", "six": "sechs", "seven": "sieben"}
TENS = {"twenty": "zwanzig", "thirty": "dreißig", "forty": "vierzig", "fifty": "fünfzig", "eighty": "achtzig"}
THINGS = {"houses": "Häuser", "books": "Bücher", "trees": "Bäume", "birds": "Vögel"}

# German says the ones first: the decoder has to look back.
pairs = [
    (f"I see {ten}-{one} {thing}.", f"Ich sehe {ONES[one]}und{TENS[ten]} {THINGS[thing]}.")
    for ten, one, thing in itertools.product(TENS, ONES, THINGS)
]

with tempfile.TemporaryDirectory() as folder:
    for name, side in (("en", 0), ("de", 1)):
        (Path(folder) / f"train.{name}").write_text("".join(f"{pair[side]}\n" for pair in pairs), encoding="utf-8")
    result = elman.train(
        [Path(folder) / "train.en", Path(folder) / "train.de"],
        task="translate",
        out=Path(folder) / "run",
        vocabulary=300,
        hidden=64,
        embedding=64,
        epochs=1 if "--quick" in sys.argv else 60,
    )
    scores = result.scores
    print(f"BLEU {scores['bleu']:.1f}, exactly right {scores['exact']:.0%} of what was held out")

    model = elman.load(result.run)
    for found in model.answer(["I see thirty-two birds.", "I see eighty-one trees."]):
        print(f"{found['text']} → {found['translation']}")
