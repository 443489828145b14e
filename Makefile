# Every target does its own set-up. Nothing is installed outside .venv and the weights' cache.

# The first Python here that requirements.lock has wheels for, or name one: make PYTHON=...
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 15))' 2>/dev/null \
	&& echo $$p && exit; done; echo python3)
UV ?= uv
VENV := .venv
BIN := $(VENV)/bin
COMPILE = $(UV) pip compile --universal --python-version 3.11 --fork-strategy fewest \
  --generate-hashes --custom-compile-command 'make lock' --quiet $(if $(UPGRADE),--upgrade)
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input --quiet

# Whole files or single tests go to the worker that is free; the slowest are named at the end.
PYTEST := $(BIN)/python -m pytest -q -n 2 --dist worksteal --durations=10
# The files that hold a slow test: every process reads all files that it is given.
SLOW = $(shell grep -rl --include='test_*.py' 'mark\.slow' tests)

.PHONY: help setup weights lab smoke reproduce check publish test test-rest test-all test-browser site lint lines bench drills lock clean

help:
	@echo 'make reproduce  run the workbook (default profile); its figures are in runs/default'
	@echo 'make test       lint, and run the tests but those marked slow and those of extras'
	@echo 'make test-rest  run the tests that make test leaves out'
	@echo 'make test-all   lint and run every test'
	@echo 'make test-browser  run the tests that need a browser (chromium, or CHROMIUM=PATH)'
	@echo 'make smoke      run the workbook with the reference respondents only'
	@echo 'make check      make the published figures again from the recorded answers and compare'
	@echo 'make publish    put the figures and answers of runs/default into figures/ and data/recorded/'
	@echo 'make site       make pages to read in a browser of the notebooks in runs/default'
	@echo 'make lab        open the notebooks in JupyterLab'
	@echo 'make setup      only install: virtual environment, pinned packages, this package'
	@echo 'make weights    only fetch the weights of the embedded model'
	@echo 'make lint       only check style and formatting'
	@echo 'make lines      count the lines of the package'
	@echo 'make bench      measure the engine beside its peers, write docs/engine.md (SHORT=1: only print)'
	@echo 'make drills     kill runs at random, ask hostile endpoints (SHORT=1: fewer)'
	@echo 'make lock       pin the packages anew (needs uv; UPGRADE=1 takes the newest versions)'
	@echo 'make clean      remove the virtual environment and caches; runs and weights stay'

setup: $(VENV)/.package

# A changed lock makes a new environment, so that nothing in it is left over from the old one.
$(VENV)/.locked: requirements.lock
	@command -v '$(PYTHON)' >/dev/null || { echo 'error: no $(PYTHON) found; install Python 3.11 to 3.14, or name one: make PYTHON=...' >&2; exit 1; }
	@'$(PYTHON)' -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v < (3, 15) else "error: needs Python 3.11 to 3.14 and $(PYTHON) is %d.%d; name another: make PYTHON=..." % v)'
	@'$(PYTHON)' -c 'import venv, ensurepip' 2>/dev/null || { echo 'error: $(PYTHON) cannot make virtual environments; install its venv module (Debian, Ubuntu: apt-get install python3-venv)' >&2; exit 1; }
	@echo 'setup: installing the pinned packages into $(VENV), a minute or two'
	@'$(PYTHON)' -m venv --clear $(VENV)
	@$(PIP) install --require-hashes --no-deps -r requirements.lock
	@touch $@

$(VENV)/.package: $(VENV)/.locked pyproject.toml
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@echo 'setup: done'
	@touch $@

# Not a stamp: the weights live in the user's cache, and the command finds out in a moment.
weights: setup
	@$(BIN)/hvae models fetch smollm2-135m-instruct

# .jupyter switches off JupyterLab's question about news, its look for updates and the tools that
# cover the titles of cells, and leaves the arrow keys to a list that has the focus. Whoever has set
# these for themselves keeps that. The whole project is served, so that links from the notebooks to
# docs and data lead somewhere. Jupyter wants to be told that root may run it, and root is whom one
# is in most containers.
lab: weights
	JUPYTER_CONFIG_PATH='$(CURDIR)/.jupyter' $(BIN)/jupyter lab --ServerApp.root_dir=. \
	  $$(test "$$(id -u)" != 0 || echo --allow-root) notebooks/00_overview.ipynb

smoke: setup
	$(BIN)/hvae reproduce --profile smoke

reproduce: weights
	$(BIN)/hvae reproduce

check: setup
	$(BIN)/hvae check

publish: setup
	$(BIN)/hvae publish

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

lines:
	@echo "$$(find hvae_utils \( -name '*.py' -o -name '*.html' -o -name '*.j2' \) -exec cat {} + | wc -l) lines in the package"

test: lint weights
	$(PYTEST) -m 'not slow' --ignore=tests/extras --ignore=tests/browser

# A stamp of its own: the extras, and the engine's peers in make bench, bring half as many packages
# again, which the workbook can do without.
$(VENV)/.extras: $(VENV)/.package tests/extras/requirements.lock tests/extras/schemas.lock
	@$(PIP) install --require-hashes --no-deps -r tests/extras/requirements.lock
	@$(PIP) install --require-hashes --no-deps --ignore-requires-python --no-compile \
	  -r tests/extras/schemas.lock
	@touch $@

test-rest: weights $(VENV)/.extras
	$(PYTEST) -m slow $(SLOW) tests/extras

test-all: test test-rest

# A stamp of its own: whoever wants no browser need not install what drives one.
$(VENV)/.browser: $(VENV)/.package tests/browser/requirements.lock
	@$(PIP) install --require-hashes --no-deps -r tests/browser/requirements.lock
	@touch $@

test-browser: weights $(VENV)/.browser
	$(BIN)/python -m pytest -q -rs --durations=10 tests/browser

# A stamp of its own: whoever reads the notebooks in JupyterLab needs no site.
$(VENV)/.site: $(VENV)/.package docs/site/requirements.lock
	@$(PIP) install --require-hashes --no-deps -r docs/site/requirements.lock
	@touch $@

site: weights $(VENV)/.site
	$(BIN)/python -m docs.site

# All of them run, also after one that misses a requirement; then make fails.
bench: weights $(VENV)/.extras
	@failed=; for part in waits throughput prefixes scale $(if $(SHORT),,embedded cluster); do \
	  $(BIN)/python -m benchmarks.$$part $(if $(SHORT),--short,--write) || failed="$$failed $$part"; \
	done; test -z "$$failed" || { echo "error: missed in:$$failed" >&2; exit 1; }

drills: setup
	@failed=; for part in kills hostile; do \
	  $(BIN)/python -m benchmarks.$$part $(if $(SHORT),--short,--write) || failed="$$failed $$part"; \
	done; test -z "$$failed" || { echo "error: failed:$$failed" >&2; exit 1; }

lock:
	@command -v '$(UV)' >/dev/null || { echo 'error: make lock needs uv; install it, or name it: make lock UV=...' >&2; exit 1; }
	$(COMPILE) pyproject.toml --extra dev --output-file requirements.lock
	for folder in tests/browser tests/extras docs/site; do \
	  $(COMPILE) $$folder/requirements.in --constraint requirements.lock \
	    --output-file $$folder/requirements.lock || exit; \
	done

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis
	find hvae_utils tests notebooks benchmarks -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true
