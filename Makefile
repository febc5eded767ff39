# `make demo` and `make test` work on a fresh machine: both build .venv first, and honour one that
# is there. PYTHON chooses the interpreter.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: env demo test check docs package clean

env: .venv/.equiseg

.venv/.equiseg: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch numpy
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $@

demo: env
	$(BIN)/equiseg demo

# One process a core, each with one thread: many tests are too small for two threads to help.
test: env
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 8 --dist worksteal

check: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: env
	$(BIN)/mkdocs build --strict

package: env
	rm -rf dist
	$(BIN)/python -m build
	$(BIN)/twine check --strict dist/*

clean:
	rm -rf .venv runs dist site
