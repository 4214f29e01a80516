# `make demo` and `make test` set up all they need; `make help` lists the rest.

PYTHON ?= python3
# Parallel test processes; 0 runs the tests in one process, where a debugger works.
PYTEST_WORKERS ?= 2
# Further arguments of pytest, such as PYTEST_ARGS="-k spend -x".
PYTEST_ARGS ?=
DEMO_OUT ?= demo_output

# One environment for each Python series, so that several live side by side.
series := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
VENV := .venv/$(series)
BIN := $(VENV)/bin

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test test-fits test-slow test-meridian test-floors recovery-demo notebooks lint format bench docs wheel \
    clean check-python

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' Makefile
	@echo "  PYTHON=python3.12 with any of them selects the interpreter."

demo: $(VENV)/.installed ## Generate a first dataset: wide CSV, NetCDF truth, PNG overview
	$(BIN)/mmm-xgen generate demo --out "$(DEMO_OUT)" --force
	@echo "The demo's files are in $(DEMO_OUT):"
	@ls -1 "$(DEMO_OUT)"

recovery-demo: $(VENV)/.installed-recovery ## Fit models to small_business: who recovers what
	$(BIN)/mmm-xgen benchmark --datasets small_business --libraries pymc ols --arms default matched \
	    --samplers nutpie --seeds 1 --out "$(DEMO_OUT)/recovery"

test: $(VENV)/.installed-test ## Run the tests but for those of the three targets below
	$(BIN)/python -m pytest -n $(PYTEST_WORKERS) --dist worksteal $(PYTEST_ARGS)

test-fits: $(VENV)/.installed-test ## Run the tests that fit models of PyMC-Marketing
	$(BIN)/python -m pytest -m "fits and not slow" $(PYTEST_ARGS)

test-slow: $(VENV)/.installed-test ## Run the tests marked slow, and properties on 500 examples each
	HYPOTHESIS_PROFILE=thorough $(BIN)/python -m pytest -m "(slow or hypothesis) and not meridian" $(PYTEST_ARGS)

test-meridian: $(VENV)/.installed-test ## Run the tests that fit Meridian, which the first installs
	$(BIN)/python -m pytest -m meridian $(PYTEST_ARGS)

# An environment of its own: uv installs the oldest releases that pyproject.toml allows. They call
# newer releases of what they need themselves in ways that are deprecated by now.
test-floors: pyproject.toml | check-python ## Run the tests with the oldest supported dependencies
	rm -rf $(VENV)-floors
	$(PYTHON) -m venv $(VENV)-floors
	$(VENV)-floors/bin/python -m pip install --quiet uv
	$(VENV)-floors/bin/uv pip install --quiet --python $(VENV)-floors/bin/python \
	    --resolution lowest-direct --editable '.[test]'
	$(VENV)-floors/bin/python -m pytest -n $(PYTEST_WORKERS) --dist worksteal \
	    -W ignore::DeprecationWarning -W ignore::PendingDeprecationWarning \
	    -W 'ignore:The behavior of DataFrame concatenation:FutureWarning' \
	    -W 'ignore:numpy.ndarray size changed:RuntimeWarning' $(PYTEST_ARGS)

# They are executed where they are and stay as they are.
notebooks: $(VENV)/.installed-test ## Execute all notebooks; MMM_XGEN_QUICK=1 shortens the fits
	for notebook in notebooks/*.ipynb; do $(BIN)/jupyter-execute "$$notebook" || exit 1; done

lint: $(VENV)/.installed-test ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.installed-test ## Format the code and apply the safe fixes
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.installed-test ## Run the benchmarks: benchmarks/results.md
	$(BIN)/python -m benchmarks --out benchmarks/results.md

docs: $(VENV)/.installed-docs ## Build the documentation: docs/_build/html/index.html
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --nitpicky --quiet docs docs/_build/html
	@echo "The documentation is in docs/_build/html/index.html"

# What a user installs: no editable installation, no checkout beside it.
wheel: | check-python ## Build the wheel, and generate with it in an environment of its own
	rm -rf dist $(VENV)-wheel
	$(PYTHON) -m venv $(VENV)-wheel
	$(VENV)-wheel/bin/python -m pip wheel --quiet --no-deps --wheel-dir dist .
	$(VENV)-wheel/bin/python -m pip install --quiet dist/*.whl
	cd $(VENV)-wheel && bin/mmm-xgen generate basic --out made
	@ls dist

clean: ## Remove all that make and the tools made
	rm -rf .venv "$(DEMO_OUT)" build dist docs/_build docs/generated .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp is touched last and is older than an edited pyproject.toml: an interrupted or
# outdated installation is done again, a finished one is not.
$(VENV)/.installed $(VENV)/.installed-test $(VENV)/.installed-recovery \
$(VENV)/.installed-docs: pyproject.toml | check-python
	@echo "Installing into $(VENV) (the first time takes a few minutes) ..."
	@$(PYTHON) -m venv $(VENV) || { \
	    rm -rf $(VENV); \
	    echo "$(PYTHON) cannot make a virtual environment: install its venv module." >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --editable '.$(if $(findstring -,$(notdir $@)),[$(lastword $(subst -, ,$(notdir $@)))])'
	@touch $@

check-python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	    echo "mmm-xgen needs Python 3.11 or later, and PYTHON=$(PYTHON) is" \
	    "$(if $(series),Python $(series),not there): name another one, as in" \
	    "'make demo PYTHON=python3.12'." >&2; exit 1; }
