"""Learn Python's own help texts and write like them.

python examples/language_model.py            # a minute
python examples/language_model.py --quick    # seconds: to see that it runs
"""

import sys
import tempfile
from pathlib import Path

import elman

quick = "--quick" in sys.argv

with tempfile.TemporaryDirectory() as folder:
    run = Path(folder) / "run"
    result = (
        elman.train(out=run, cell="gru", hidden=32, steps=20) if quick else elman.train(out=run, cell="gru", minutes=1)
    )
    print(f"{result.scores['bits_per_char']:.3f} bits per character on what was held out")

    model = elman.load(result.run)
    print("".join(model.generate("The ", 200, temperature=0.7, seed=1)))
