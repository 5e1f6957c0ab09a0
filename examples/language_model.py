"""Learn Python's own help texts and write like them.

python examples/language_model.py            # a minute
python examples/language_model.py --quick    # seconds: to see that it runs
"""

import sys
import tempfile
from pathlib import Path

import elman

size: dict[str, float] = {"hidden": 32, "steps": 20} if "--quick" in sys.argv else {"minutes": 1}

with tempfile.TemporaryDirectory() as folder:
    result = elman.train(out=Path(folder) / "run", cell="gru", **size)
    print(f"{result.scores['bits_per_char']:.3f} bits per character on what was held out")

    model = elman.load(result.run)
    print("".join(model.generate("The ", 200, temperature=0.7, seed=1)))
