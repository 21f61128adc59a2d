# `make demo` and `make test` are all one needs to know.

PYTHON ?= python3
# Not taken from the environment: `venv --clear` empties what it names.
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := check
.PHONY: demo test test-all fuzz mutants chaos chaos-fleet check site bench bench-fleet licences sizes sbom format schema messages script docs picture install develop runtime shed lock help

demo: install ## play a first night and several more on the local sandbox
	$(BIN)/oplead-sync demo

TESTS := tests
# SQLite waits for the disk at each commit, which tests need not: memory will do where there is enough.
MEMORY := $(shell [ "$$(df --output=avail /dev/shm 2>/dev/null | tail -n 1)" -gt 4000000 ] 2>/dev/null && echo /dev/shm)
# What was compiled is kept, whatever the environment says: compiling the tests anew takes each worker 20 seconds.
PYTEST = PYTHONDONTWRITEBYTECODE= TMPDIR=$${TMPDIR:-$(MEMORY)} $(BIN)/pytest -q -n 2 --dist loadgroup
test: develop ## run the tests that prove each promise once, or those in TESTS
	$(PYTEST) -m "not exhaustive" $(TESTS)

test-all: develop ## run every test, or those in TESTS: over more nights, shapes and ways of failing
	$(PYTEST) $(TESTS)

FUZZ_SECONDS ?= 600
fuzz: develop ## invent bad input for ten minutes, or FUZZ_SECONDS
	FUZZ_SECONDS=$(FUZZ_SECONDS) $(BIN)/pytest -q --timeout 0 tests/fuzz

FAULTS ?=
mutants: develop ## break each guarantee once, in a copy, and see which test notices; FAULTS="consent lease" for some
	$(BIN)/python tests/mutants.py $(FAULTS)

CHAOS_KILLS ?= 220
chaos: develop ## kill the job more than 200 times for each kind of state, or CHAOS_KILLS, over nights in which everything fails, and 300 times in hostile worlds
	CHAOS_KILLS=$(CHAOS_KILLS) $(BIN)/pytest -q -s -n 2 --timeout 0 tests/e2e/test_chaos.py tests/e2e/test_hostile_worlds.py

CHAOS_ACCOUNTS ?= 20
CHAOS_NIGHTS ?= 8
chaos-fleet: develop ## kill and pause the workers, the database and the receivers of a fleet, over CHAOS_NIGHTS of CHAOS_ACCOUNTS
	CHAOS_ACCOUNTS=$(CHAOS_ACCOUNTS) CHAOS_NIGHTS=$(CHAOS_NIGHTS) \
	$(BIN)/pytest -q -s -n 0 --timeout 0 tests/e2e/test_fleet_chaos.py

check: develop ## format, lint, types, import contracts, dependencies and their licences, links of the documentation; changes no file
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .
	$(BIN)/python tests/supply.py licences >/dev/null
	$(SITE) --builder dummy . build/site

SITE = $(BIN)/sphinx-build --quiet --fail-on-warning --keep-going --doctree-dir build/doctrees -c docs
site: develop ## build the documentation's site into build/site; a broken link fails it
	$(SITE) . build/site
	@echo "The site is at build/site/docs/index.html"

SIZE ?= quick
BASE ?=
BENCH ?=
bench: develop ## how fast all this is here; SIZE=full takes long, BASE=REVISION compares, BENCH="--only sending" for some
	$(BIN)/python -m tests.bench --size $(SIZE) $(if $(BASE),--base $(BASE)) $(BENCH)

ACCOUNTS ?= 200
LEADS ?= 50
WORKERS ?= 1 2 4
CONCURRENCY ?= 2
bench-fleet: develop ## how fast WORKERS of CONCURRENCY places play the first night of ACCOUNTS with LEADS each on PostgreSQL
	$(BIN)/python -m tests.bench.fleet_nights --accounts $(ACCOUNTS) --leads $(LEADS) --workers $(WORKERS) \
	--concurrency $(CONCURRENCY)

licences: develop ## list what is installed, with its licence
	@$(BIN)/python tests/supply.py licences

sizes: develop ## list what is installed, with its size
	@$(BIN)/python tests/supply.py sizes

SBOM ?= build/sbom.json
sbom: develop ## write what an installation is made of as CycloneDX, to build/sbom.json or SBOM=FILE
	@$(BIN)/python tests/supply.py sbom $(SBOM)
	@echo "The bill of materials is at $(SBOM)"

format: develop ## fix what `check` would complain of, where a tool can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

schema: develop ## write the settings' JSON schema anew
	$(BIN)/python -c "from jobs.settings.schema import write_settings_schema; write_settings_schema()"

messages: develop ## bring the catalogues of messages up to date; what is new in them awaits its translation
	$(BIN)/python docs/catalogues.py

SCRIPT := connectors/website/capture
script: ## minify the website's script anew after a change; fetches terser with npm
	npx --yes terser@5.51.0 $(SCRIPT).js --ecma 2015 --compress passes=5,unsafe_arrows,unsafe_methods --mangle --output $(SCRIPT).min.js
	sed -i "1i /*! oplead-sync capture, MIT, of $$(sha256sum $(SCRIPT).js | cut -c 1-8) */" $(SCRIPT).min.js

docs: develop ## write the generated parts of docs/ anew: settings, states, reasons, notifications
	$(BIN)/python docs/generate.py

picture: develop ## photograph the report of an invented account for docs/; needs Chromium
	$(BIN)/python -m docs.picture

install: $(VENV)/installed ## put what runs into .venv, byte-compiled, and show that it works
	@$(BIN)/oplead-sync --version
	@case "$${LC_ALL:-$${LC_MESSAGES:-$$LANG}}" in \
	fr*) echo "Installé. Ensuite : $(BIN)/oplead-sync demo, ou $(BIN)/oplead-sync init" ;; \
	*) echo "Installed. Next: $(BIN)/oplead-sync demo, or $(BIN)/oplead-sync init" ;; esac

develop: $(VENV)/developing ## put the tools of `test` and `check` beside it

# The locks are closed, so pip has nothing to resolve: left to it, the extra of a pinned package
# (`coverage[toml]`) would be looked up anew and refused as soon as an index has a newer release.
# pip compiles what it installs, whatever PYTHONDONTWRITEBYTECODE says: SDKs load in a third of the time.
# It comes with Python, at a version that may have known holes, and so has a folder of its own while it works.
TOOLS := build/tools
PIP = $(TOOLS)/bin/pip --python $(BIN)/python install --quiet --disable-pip-version-check --no-deps

# What wheels bring that nothing here loads, a third of them: other versions of the Google Ads API, telephone numbers'
# places and networks, names of countries and formats in other languages, examples and tests.
API := $(shell sed -n 's/^VERSION = "\(v[0-9]*\)"$$/\1/p' connectors/google_ads/ads_api/client.py)
shed:
	test -n '$(API)'
	cd $(VENV)/lib/python*/site-packages && \
	find google/ads/googleads -maxdepth 1 -name 'v[0-9]*' ! -name '$(API)' -exec rm -r {} + && \
	find babel/locale-data -name '*.dat' ! -name 'root.dat' ! -name 'en*.dat' ! -name 'fr*.dat' -delete && \
	find phonenumbers/geodata -name 'data*' -delete && \
	rm -rf phonenumbers/carrierdata pycountry/locales pycountry/tests examples facebook_business/test

# No pip and no checkout beside it, for an image or a folder that nobody writes to. Hashes of sources, unlike their
# dates, hold in a copy: bytecode that does not hold would be compiled anew at each start.
TREE := build/runtime
FILL = $(TOOLS)/bin/pip --python $(TREE)/bin/python install --quiet --disable-pip-version-check --no-deps --no-compile
COMPILE_TREE = $(TREE)/bin/python -m compileall --invalidation-mode unchecked-hash
runtime: ## put what a fleet runs into a folder of its own, TREE=/opt/oplead-sync
	$(PYTHON) -m venv --clear $(TOOLS)
	$(TOOLS)/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-build.lock
	rm -rf build/wheel
	$(TOOLS)/bin/pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir build/wheel .
	$(PYTHON) -m venv --clear --without-pip $(TREE)
	$(FILL) --require-hashes -r requirements-fleet.lock
	$(FILL) --no-index build/wheel/*.whl
	rm -r $(TOOLS)
	@$(MAKE) --no-print-directory --silent shed VENV=$(TREE)
	# Some of others' files are no Python at all; ours must be.
	$(COMPILE_TREE) -qq $(TREE)/lib || true
	$(COMPILE_TREE) -q $(addprefix $(TREE)/lib/python*/site-packages/,jobs connectors)
	# Whatever root's umask: others run it.
	chmod -R a+rX $(TREE)

$(VENV)/installed: requirements.lock requirements-build.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("oplead-sync needs Python 3.11 or newer: make PYTHON=python3.13 $(MAKECMDGOALS)" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv --clear $(TOOLS)
	$(PYTHON) -m venv --clear --without-pip $(VENV)
	$(PIP) --require-hashes -r requirements.lock -r requirements-build.lock
	$(PIP) --no-build-isolation --editable .
	rm -r $(TOOLS)
	@$(MAKE) --no-print-directory --silent shed
	$(BIN)/python -m compileall -q jobs connectors
	touch $@

$(VENV)/developing: $(VENV)/installed requirements-fleet.lock requirements-dev.lock
	$(PYTHON) -m venv --clear $(TOOLS)
	$(PIP) --require-hashes -r requirements-fleet.lock
	$(PIP) --require-hashes -r requirements-dev.lock
	rm -r $(TOOLS)
	touch $@

# Pins stay as they are unless asked: LOCK=--upgrade moves all, LOCK="--upgrade-package NAME" one.
LOCK :=
COMPILE = UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile --quiet --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url $(LOCK)
lock: develop ## write the locks anew, after a change of the dependencies in pyproject.toml
	$(COMPILE) -o requirements.lock pyproject.toml
	$(COMPILE) -o requirements-build.lock --group build
	$(COMPILE) -o requirements-fleet.lock -c requirements.lock -c requirements-build.lock --extra fleet pyproject.toml
	$(COMPILE) -o requirements-dev.lock -c requirements-fleet.lock -c requirements-build.lock --group dev pyproject.toml

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12
