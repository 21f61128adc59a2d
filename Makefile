# `make demo` and `make test` are all one needs to know.

PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := check
.PHONY: demo test fuzz chaos check bench format schema install help

demo: install ## play a first night and several more on the local sandbox
	$(BIN)/oplead-sync demo

test: install ## run every test
	$(BIN)/pytest -q -n 2 --dist loadgroup

FUZZ_SECONDS ?= 600
fuzz: install ## invent bad input for ten minutes, or FUZZ_SECONDS
	FUZZ_SECONDS=$(FUZZ_SECONDS) $(BIN)/pytest -q --timeout 0 tests/fuzz

CHAOS_KILLS ?= 220
chaos: install ## kill the job more than 200 times, or CHAOS_KILLS, over nights in which everything fails
	CHAOS_KILLS=$(CHAOS_KILLS) $(BIN)/pytest -q -s -n 2 --timeout 0 tests/e2e/test_chaos.py

check: install ## format, lint, types, import contracts, dependencies; writes nothing
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .

bench: install ## how long a night takes here, in seconds
	$(BIN)/python tests/bench.py

format: install ## write what `check` would complain of, where that can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

schema: install ## write the settings' JSON schema anew
	$(BIN)/python -m jobs.settings.schema

install: .venv/installed ## put everything into .venv, byte-compiled

# pip compiles what it installs, whatever PYTHONDONTWRITEBYTECODE says: SDKs load in a third of the time.
.venv/installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	$(BIN)/python -m compileall -q jobs connectors
	touch $@

help: ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12
