# Everything that people run. `make` alone shows this list.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.9
ROUNDS := 50
# Nothing that runs here may phone home.
export DO_NOT_TRACK := 1
export DBT_SEND_ANONYMOUS_USAGE_STATS := false
export SCARF_ANALYTICS := false

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint types unit sql-tests chaos bench up env docs answers clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: $(VENV)/.ready ## Make the environment in .venv from the lock file

$(VENV)/.ready: pyproject.toml uv.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) or sys.version_info >= (3, 14))' || \
	  { echo "Mallard needs Python 3.11, 3.12 or 3.13; $(PYTHON) is $$($(PYTHON) --version). Try: make setup PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
	  { echo "python3 -m venv does not work here. On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@test -x $(BIN)/uv || { echo "Installing uv …"; $(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION); }
	@echo "Installing what the lock file names …"
	@$(BIN)/uv sync --frozen --quiet --all-extras --python $(BIN)/python
	@touch $@

demo: setup ## Simulate a shop's weeks, run the Airflow DAGs over them, publish, and show the figures
	@$(BIN)/mallard demo

test: setup lint types unit sql-tests ## Lint, types and all tests

lint: setup ## ruff and sqlfluff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/sqlfluff lint dbt_project/models dbt_project/tests --processes 2 --disable-progress-bar

types: setup ## mypy
	$(BIN)/mypy

unit: setup ## pytest, slow tests included
	$(BIN)/pytest -n 2 --dist loadfile

sql-tests: setup ## dbt's unit tests of the models
	$(BIN)/python -m mallard.sql_tests

chaos: setup ## Kill ROUNDS loads (50), one after the other, while a reader polls; a table of what came of it
	@$(BIN)/python -m tests.faults.chaos --rounds $(ROUNDS)

bench: setup ## What the gate costs beside the load; BENCH="--days 365 --users 170000" is a shop of 20 million events
	@$(BIN)/python -m benchmarks.gate_cost $(BENCH)

up: setup ## Airflow on http://127.0.0.1:8080 with a generated password
	@$(BIN)/mallard up

env: setup ## Write .env with generated secrets for docker compose
	@$(BIN)/python deploy/make_env.py

docs: setup ## dbt's documentation of every table, in var/docs
	@$(BIN)/python -m mallard.docs

answers: setup ## Write the answers in docs/bi.md anew, from the published warehouse (after make demo)
	@$(BIN)/python -m mallard.answers

clean: ## Remove the environment (data in var/ stays)
	rm -rf $(VENV)
