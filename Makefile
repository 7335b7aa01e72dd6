# The tasks of this project. `make` alone lists them. `make up` needs Python 3.11 and nothing else.

PYTHON ?= python3
FILE ?= dev.db
KAFKA_PORT ?= 9092
UI_PORT ?= 8080
UP_OPTIONS ?=
VENV := .venv
BIN := $(VENV)/bin
PYTEST_OPTIONS ?=
# Exact versions for the tests. Where one of them cannot be had for a newer Python: make CONSTRAINTS= test
CONSTRAINTS ?= .ci/constraints.txt
KILLS ?= 500
MINUTES ?= 60
INPUTS ?= 10000000
TORTURE_OPTIONS ?=
NAMES ?=

.DEFAULT_GOAL := help
.PHONY: help folder up test torture frameworks check format lock audit bench bench-quick docs screenshots wheel tools clean

help:
	@sed -n 's/^\([a-z-]*\):.*## /  make \1|/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-22s %s\n", $$1, $$2 }'

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed; this is " + sys.version.split()[0] + ". Choose another one: make PYTHON=python3.12 ...")'
	@echo "Setting up $(VENV), once ..."
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "python -m venv failed (on Debian and Ubuntu: apt install python3-venv)"; exit 1; }

# One stamp for what the program needs, another for what its tests need: `make up` installs what the demo shows, no more.
$(VENV)/.runs: pyproject.toml $(VENV)/bin/python
	@echo "Installing the sandbox and what it needs into $(VENV). The first time this takes a minute or so ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[json,protobuf]'
	@touch $@

$(VENV)/.develops: $(VENV)/.runs $(CONSTRAINTS)
	@echo "Installing what the tests need ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable . --group dev $(CONSTRAINTS:%=--constraint %) || \
		{ echo "For versions that this Python can have: make CONSTRAINTS= ..."; exit 1; }
	@touch $@

# Before anything is installed.
folder:
	@[ -d "$$(dirname "$(FILE)")" ] || { echo "The folder of $(FILE) does not exist. Create it, or choose another FILE=."; exit 1; }

up: folder $(VENV)/.runs ## start a sandbox on dev.db with the demo (FILE=, KAFKA_PORT=, UI_PORT= change what it uses)
	@exec $(BIN)/sandbox up $(FILE) --kafka-port $(KAFKA_PORT) --ui-port $(UI_PORT) --demo $(UP_OPTIONS)

tools: $(VENV)/.develops ## fetch the browser and the Kafka clients that tests drive, where this machine can
	@.ci/tools $(BIN)/python

test: $(VENV)/.develops tools ## run every test; what cannot run here is skipped, with the reason
	@mkdir -p .cache
	@rm -f .cache/junit-*.xml
	@.ci/tests $(BIN)/python $(PYTEST_OPTIONS)

torture: $(VENV)/.develops ## kill it, load it and feed it nonsense for hours (KILLS=, MINUTES=, INPUTS= say how much; 0 leaves a part out)
	$(BIN)/python -m tests.torture --kills $(KILLS) --minutes $(MINUTES) --inputs $(INPUTS) $(TORTURE_OPTIONS)

frameworks: $(VENV)/.develops ## install frameworks that use Kafka, and run a small program of each (NAMES="faust sarama" chooses)
	$(BIN)/python -m tests.frameworks $(NAMES)

check: $(VENV)/.develops ## lint, formatting, types, architecture
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.develops ## put the code into the project's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(VENV)/.develops ## write down the newest versions for the tests in .ci/constraints.txt
	@mkdir -p .cache
	$(BIN)/python .ci/lock.py > .cache/constraints.txt
	mv .cache/constraints.txt .ci/constraints.txt

audit: ## look up known holes of these versions, with pip-audit, where its service can be reached
	$(PYTHON) -m venv .cache/audit
	.cache/audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit
	.cache/audit/bin/pip-audit --strict --disable-pip --no-deps --requirement .ci/constraints.txt

bench: $(VENV)/.develops ## measure the figures that the README quotes
	$(BIN)/python -m benchmarks

bench-quick: $(VENV)/.develops ## the same, smaller
	$(BIN)/python -m benchmarks --quick

docs: $(VENV)/.develops ## write docs/protocol.md from the tables in the code
	$(BIN)/python docs/make_protocol.py

screenshots: $(VENV)/.develops tools ## make the pictures of the README and docs again
	$(BIN)/python -m pip install --quiet pillow
	$(BIN)/python docs/screenshots.py

wheel: $(VENV)/.develops ## build the wheel into dist/
	$(BIN)/python -m build --wheel

clean: ## remove what can be made again; sandbox files (*.db) are yours and stay
	rm -rf $(VENV) .cache dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
