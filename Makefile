# Everything a developer, a build machine or a curious stranger needs. Needs Python 3.11+, make and git.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
INSTALLED := $(VENV)/.installed
# One service only: make test SERVICE=billing-event
SERVICE ?=
WORKERS ?= auto
PYTEST := $(BIN)/python -m pytest
MEMBERS := $(wildcard libs/*/pyproject.toml services/*/pyproject.toml)

.DEFAULT_GOAL := help
.PHONY: help setup secrets demo up down test lint type unit integration contract e2e manifests bench drill proto run clean

help: ## Show this list.
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 14

setup: $(INSTALLED) ## Make the virtual environment with exactly the pinned libraries.

$(INSTALLED): requirements.txt requirements-uv.txt $(MEMBERS)
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.txt
	@VIRTUAL_ENV=$(VENV) $(UV) pip sync --quiet --require-hashes requirements.txt
	@VIRTUAL_ENV=$(VENV) $(UV) pip install --quiet --no-deps $(foreach member,$(MEMBERS),-e $(dir $(member)))
	@touch $@

demo: setup ## Run the whole story on this machine: from a CRM quote to a paid invoice.
	@$(BIN)/throughline demo

up: setup ## Start the platform on this machine, empty.
	@$(BIN)/throughline up

down: setup ## Stop it.
	@$(BIN)/throughline down

ifeq ($(SERVICE),)
test: lint type manifests unit integration contract e2e ## Run every check and test; SERVICE=name for one service alone.
else
test: setup
	$(PYTEST) services/$(SERVICE)/tests -n $(WORKERS)
endif

lint: setup ## Style, boundaries between services, the proto's rules, drift of generated code.
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/lint-imports
	$(BIN)/buf lint
	$(BIN)/python tools/check_breaking.py
	$(BIN)/python tools/generate_proto.py --check
	$(BIN)/python tools/check_requirements.py

type: setup ## Static types, strict.
	$(BIN)/python tools/check_types.py

unit: setup ## Rules without IO.
	$(PYTEST) -n $(WORKERS) $(wildcard libs/*/tests/unit services/*/tests/unit tools/tests)

integration: setup ## Against the real database and broker.
	$(PYTEST) -n $(WORKERS) $(wildcard libs/*/tests/integration services/*/tests/integration)

contract: setup ## What services promise each other.
	$(PYTEST) -n $(WORKERS) $(wildcard services/*/tests/contract)

e2e: setup ## The stories through REST, bad days, and the short drill.
	$(PYTEST) tests-e2e

manifests: setup ## Images, Compose file and Kubernetes manifests, checked without an engine.
	$(BIN)/python tools/check_manifests.py

bench: setup ## Throughput and latency, as ratios to floors of the same run.
	$(BIN)/python tests-e2e/load

drill: setup ## Kill everything at random under load; nothing may be lost, doubled or off by a cent.
	THROUGHLINE_DRILL=1 $(PYTEST) --timeout=3600 services/billing-event/tests/unit/test_ledger_machine.py \
		services/billing-event/tests/unit/test_retainer_machine.py services/billing-event/tests/integration/test_storm.py
	$(BIN)/python tests-e2e/faults

secrets: setup ## Generate the secrets of the Compose stack under deploy/.throughline.
	$(BIN)/python tools/make_secrets.py compose

proto: setup ## Generate Python and the descriptor set from proto/.
	$(BIN)/python tools/generate_proto.py

run: setup ## Start one service on its own against samples: make run SERVICE=billing-event
	@$(BIN)/throughline run $(SERVICE)

clean: ## Remove the virtual environment and local data.
	@-test -x $(BIN)/throughline && $(BIN)/throughline down
	rm -rf $(VENV) .throughline
