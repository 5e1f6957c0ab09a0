# Two commands do everything on a fresh machine with Python 3.11 or newer: `make demo` and `make test`.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test test-native test-peers bench docs clean

## Learn the text that Python carries for a minute; print the score, a sample, and where the model is.
demo: $(INSTALLED)
	$(BIN)/elman train --minutes 1 --cell gru --hidden 256 --batch 16 --lr 0.004 --validations 8 --out runs/demo --overwrite

## Lint, check types, check that the documentation agrees with the code, run all tests.
test: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python docs/build.py --check
	$(BIN)/python docs/calculus.py --check
	$(BIN)/python docs/vanishing_gradients.py --check
	$(BIN)/python -m pytest --numprocesses 2
	$(MAKE) test-native

## The tests of the C++ core: as it is built for users, and under the sanitizers.
test-native:
	for kind in none address,undefined thread; do \
		cmake -S native -B build/tests-$$kind -DELMAN_PYTHON=OFF -DELMAN_TESTS=ON -DCMAKE_BUILD_TYPE=Release \
			-DELMAN_SANITIZE=$$(echo $$kind | sed s/none//) > /dev/null && \
		cmake --build build/tests-$$kind --parallel 2 > build/tests-$$kind/log.txt 2>&1 || { cat build/tests-$$kind/log.txt; exit 1; }; \
		setarch -R build/tests-$$kind/core_tests || exit 1; \
	done

## Compare with packages that nothing else here needs: Flax with JAX, xlstm, fla-core, which are put into the same environment.
test-peers: $(INSTALLED)
	PIP_CONSTRAINT=constraints.txt $(BIN)/pip install --quiet --disable-pip-version-check flax jax
	PIP_CONSTRAINT=constraints.txt $(BIN)/pip install --quiet --disable-pip-version-check --no-deps xlstm fla-core einops
	$(BIN)/python -m pytest tests/peers

## Test the engines, then time them, every cell and option, training and generation: figures for docs/performance.md and results.md.
bench: $(INSTALLED)
	$(BIN)/python -m pytest tests/engines
	$(BIN)/python benchmarks/engine.py
	$(BIN)/python benchmarks/cells.py
	$(BIN)/python benchmarks/scan.py
	$(BIN)/python benchmarks/memory_tasks.py
	$(BIN)/python benchmarks/train_lm.py
	$(BIN)/python benchmarks/generate.py

## Write the parts of the documentation that come from the code.
docs: $(INSTALLED)
	$(BIN)/python docs/build.py
	$(BIN)/python docs/calculus.py
	$(BIN)/python docs/vanishing_gradients.py

$(INSTALLED): pyproject.toml constraints.txt $(wildcard native/CMakeLists.txt native/*.cpp native/src/* native/include/*)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "elman needs Python 3.11 or newer: make PYTHON=python3.x")'
	$(PYTHON) -m venv $(VENV)
	PIP_CONSTRAINT=constraints.txt $(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) runs build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis
