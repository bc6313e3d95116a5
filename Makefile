# Set-up and the few commands there are, the same for people and CI. Everything here is safe to run again.
PYTHON ?= python3
ENV ?= sandbox
CONFIG ?=
ARGS ?=
VENV := .venv
PYTEST := $(VENV)/bin/python -m pytest

.PHONY: preflight test world bench catalogue requirements lint fast

preflight: $(VENV)/.ready
	@$(PYTEST) -m preflight --env $(ENV) $(if $(CONFIG),--config=$(CONFIG)) $(ARGS)

test: $(VENV)/.ready-test
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH" PYTHON=$(VENV)/bin/python ARGS="$(ARGS)" AGAIN="$(AGAIN)" sh tests/run.sh

fast: $(VENV)/.ready-test
	@$(PYTEST) tests -p randomly -m "not real" -n auto $(ARGS)

lint: $(VENV)/.ready-test
	@$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check . && $(VENV)/bin/mypy

world: $(VENV)/.ready-test
	@$(VENV)/bin/python -m tests.real.world

bench: $(VENV)/.ready-test
	@$(VENV)/bin/python -m tests.benchmarks

catalogue: $(VENV)/.ready
	@$(VENV)/bin/python -m plugins.catalogue

requirements: # pins, with hashes and without index addresses (needs uv)
	uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --python-version 3.11 \
	  pyproject.toml -o requirements.txt
	uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --python-version 3.11 \
	  pyproject.toml --group test -o requirements-test.txt
	for sdk in tests/real/sdk_clients/python-*.in; do \
	  uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --python-version 3.11 \
	    $$sdk -o $${sdk%.in}.txt; done
	uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --python-version 3.11 \
	  tests/real/python_service/pyproject.toml -o tests/real/python_service/requirements.txt

$(VENV)/.ready: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=/path/to/python3")'
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.ready-test: requirements-test.txt $(VENV)/.ready
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-test.txt
	@touch $@
