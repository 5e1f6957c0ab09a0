"""Which language is a number word of? A table of texts and labels goes in, a classifier comes out.

python examples/classify.py
python examples/classify.py --quick    # seconds: to see that it runs
"""

import sys
import tempfile
from pathlib import Path

import elman

WORDS = {
    "English": "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen",
    "German": "eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn sechzehn",
    "Spanish": "uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince dieciséis",
    "Turkish": "bir iki üç dört beş altı yedi sekiz dokuz on onbir oniki onüç ondört onbeş onaltı",
}

with tempfile.TemporaryDirectory() as folder:
    table = Path(folder) / "numbers.tsv"
    rows = [f"{word}\t{language}" for language, words in WORDS.items() for word in words.split()]
    table.write_text("\n".join(["word\tlanguage", *rows]), encoding="utf-8")

    result = elman.train(
        table,
        task="classify",
        text="word",
        label="language",
        out=Path(folder) / "run",
        epochs=5 if "--quick" in sys.argv else 100,
    )
    print(f"right: {result.scores['accuracy']:.0%}, the most frequent class {result.scores['baseline_accuracy']:.0%}")

    model = elman.load(result.run)
    for found in model.predict(["seventeen", "siebzehn", "diecisiete", "onyedi"]):
        print(f"{found.label:8} {found.probability:.0%}")
