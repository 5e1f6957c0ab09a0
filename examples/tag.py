"""Find persons and places. CoNLL columns go in, a tagger of words and their characters comes out.

python examples/tag.py
python examples/tag.py --quick    # seconds: to see that it runs
"""

import itertools
import sys
import tempfile
from pathlib import Path

import elman

# Who is called like a place can be told by the words around alone.
PERSONS = ["Ada", "Bo Li", "Cem", "Dai", "Eva Lund", "Florence", "Sydney"]
PLACES = ["Ulm", "Bern", "New York", "Oslo", "Fez", "Florence", "Sydney"]
FORMS = ["{0} lives in {1} .", "In {1} , {0} met {2} .", "{0} and {2} left {1} yesterday ."]


def tagged(form: str, *names: tuple[str, str]) -> str:
    """A sentence as CoNLL columns: a word and its tag a line. B begins a name, I goes on with it, O is outside of any."""
    lines = []
    for piece in form.split():
        if piece.startswith("{"):
            name, kind = names[int(piece[1])]
            lines += [f"{word}\t{'B' if n == 0 else 'I'}-{kind}" for n, word in enumerate(name.split())]
        else:
            lines.append(f"{piece}\tO")
    return "\n".join(lines) + "\n\n"


with tempfile.TemporaryDirectory() as folder:
    corpus = Path(folder) / "names.conll"
    corpus.write_text(
        "".join(
            tagged(form, (one, "PER"), (place, "LOC"), (other, "PER"))
            for form, one, place, other in itertools.product(FORMS, PERSONS, PLACES, PERSONS)
            if one != other
        ),
        encoding="utf-8",
    )
    epochs = 1 if "--quick" in sys.argv else 8
    result = elman.train(corpus, out=Path(folder) / "run", hidden=32, batch_tokens=256, epochs=epochs)
    scores = result.scores
    usual = scores["baseline_entity_f1"]
    print(f"F1 of names {scores['entity_f1']:.1%}, by the most frequent tag of each word {usual:.1%}")

    model = elman.load(result.run)
    sentences = ["Florence lives in Sydney .", "In Florence , Sydney met Bo Li .", "Sydney left Florence yesterday ."]
    for found, text in zip(model.tag([text.split() for text in sentences]), sentences, strict=True):
        print(" ".join(f"{word}/{tag}" for word, tag in zip(text.split(), found.tags, strict=True)))
