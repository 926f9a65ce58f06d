# Each target sets itself up; `make help` lists them.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup run app test lint check repro ui peers format lock clean docs

BIN := .venv/bin
SETUP := .ci/setup
EXAMPLE := examples/twinkle.wav
PYTEST_ARGS ?=

export PATH := $(CURDIR)/$(BIN):$(PATH)
# Nothing here calls home.
export DO_NOT_TRACK := 1
export DVC_NO_ANALYTICS := 1
export MLFLOW_DISABLE_TELEMETRY := true

help: ## Show this list
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 16

setup: ## Put everything into .venv (Python 3.11-3.13 and pip are enough)
	@$(SETUP)

run: setup ## Play the example singing on a piano
	hummingface convert $(EXAMPLE) --out-dir out --csv --plot --overwrite

app: setup ## Serve the page on which to sing, listen and edit
	hummingface app

test: setup ## Run the tests; 90 % of the lines of hf_model and stages must be covered
	OMP_NUM_THREADS=1 pytest -n 2 --dist loadgroup --cov $(PYTEST_ARGS)

lint: setup ## Check format, lint, types and import contracts
	ruff format --check .
	ruff check .
	mypy
	lint-imports --no-logo

check: lint test ## All gates: lint, then test

repro: setup ## Run the pipeline: whatever changed since the last time
	dvc repro

ui: setup ## Look at the training runs in a browser
	mlflow ui --backend-store-uri "$${MLFLOW_TRACKING_URI:-sqlite:///mlflow.db}" --workers 1 --port $${PORT:-5000}

docs: setup ## Build the documentation into site/
	NO_MKDOCS_2_WARNING=1 mkdocs build --strict --quiet

# By its own metadata basic-pitch needs TensorFlow and NumPy 1; it runs on onnxruntime, which is here already.
peers: setup ## Add basic-pitch, another baseline for the evaluation table
	.venv/uv/bin/uv pip install --quiet --python .venv/bin/python --no-deps basic-pitch==0.4.0 resampy==0.4.3

format: setup ## Format the code and fix what can be fixed
	ruff format .
	ruff check --fix .

lock: setup ## Write constraints.txt anew (all platforms, Python 3.11-3.13)
	head -2 constraints.txt > constraints.new
	env -u UV_FIND_LINKS .venv/uv/bin/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 \
	    --no-emit-package hummingface --no-header --no-annotate --quiet >> constraints.new
	mv constraints.new constraints.txt

clean: ## Remove what was made here: environment, caches, output (never data)
	rm -rf .venv out site build dist htmlcov .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find hf_model stages tests -name __pycache__ -prune -exec rm -rf {} +
