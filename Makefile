# `make help` lists what you can do. Everything lives in .venv, made on first use with uv if it is there, else venv.
# VENV and PYTHON may be given: make test VENV=.venv-3.13 PYTHON=python3.13
VENV ?= .venv
PYTHON ?= python3
RUN = $(VENV)/bin/python
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup serve test long check format bench fuzz docs clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 10

setup: $(VENV)/ready-dev ## make .venv with everything for development

serve: $(VENV)/ready ## start a server and say how to reach it (ARGS="--guests" adds options)
	@$(RUN) -m tieline serve $(ARGS)

test: $(VENV)/ready-dev ## run the whole suite, several tests at once (ARGS="tests/wire -x" narrows it)
	@$(RUN) -m compileall -q src # or, where Python may write none of it, each program that a test starts does so anew
	$(RUN) -m pytest -n 3 --dist worksteal $(ARGS)

long: $(VENV)/ready-dev ## the whole-system stories at full length: 50 kills, 100,000 posts, 100,000 random openings
	TIELINE_LONG=1 $(RUN) -m pytest --timeout 900 tests/stories $(ARGS)

check: $(VENV)/ready-dev ## format, lint, types, and the layers of the architecture
	$(RUN) -m ruff format --check
	$(RUN) -m ruff check
	$(RUN) -m mypy
	$(RUN) -c "from importlinter.cli import lint_imports_command as run; run()"

format: $(VENV)/ready-dev ## let ruff write the code the way `make check` wants it
	$(RUN) -m ruff format
	$(RUN) -m ruff check --fix

bench: $(VENV)/ready-bench ## measure beside others, as ratios (ARGS="calls" for one of them)
	$(RUN) -m bench $(ARGS)

fuzz: $(VENV)/ready-dev ## feed every parser what it does not expect, for a bounded time
	$(RUN) -m fuzz $(ARGS)

docs: $(VENV)/ready-dev ## write the reference pages anew from the code
	$(RUN) docs/generate.py

clean: ## remove the environment and what tools keep
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# One stamp for each set of packages, older than pyproject.toml when they must be installed again.
$(VENV)/ready $(VENV)/ready-dev $(VENV)/ready-bench: pyproject.toml
	@sh tools/install.sh "$(VENV)" "$(PYTHON)" "$(patsubst ready-%,%,$(notdir $@))"
	@touch $@
