# Two commands do everything on a fresh machine with Python 3.11 or newer: `make demo` and `make test`.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test bench docs clean

## Learn the text that Python carries for a minute; print the score, a sample, and where the model is.
demo: $(INSTALLED)
	$(BIN)/elman train --minutes 1 --cell gru --hidden 256 --batch 16 --lr 0.004 --validations 8 --out runs/demo --overwrite

## Lint, check types, check that the documentation agrees with the code, run all tests.
test: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python docs/build.py --check
	$(BIN)/python -m pytest

## Time training and generation against plain PyTorch; figures for docs/results.md.
bench: $(INSTALLED)
	$(BIN)/python benchmarks/train_lm.py
	$(BIN)/python benchmarks/generate.py

## Write the parts of the documentation that come from the code.
docs: $(INSTALLED)
	$(BIN)/python docs/build.py

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "elman needs Python 3.11 or newer: make PYTHON=python3.x")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) runs build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis
