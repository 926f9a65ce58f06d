# Each target runs `make setup` first; `make help` lists the targets.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup run app test lint check repro ui peers audit sbom format lock clean docs

BIN := .venv/bin
SETUP := .ci/setup
EXAMPLE := examples/twinkle.wav
PYTEST_ARGS ?=

export PATH := $(CURDIR)/$(BIN):$(PATH)
# No telemetry.
export DO_NOT_TRACK := 1
export DVC_NO_ANALYTICS := 1
export MLFLOW_DISABLE_TELEMETRY := true

help: ## List the targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 16

setup: ## Install everything into .venv (needs Python 3.11-3.13, and pip or uv)
	@$(SETUP)

run: setup ## Convert the example recording to piano
	hummingface convert $(EXAMPLE) --out-dir out --csv --plot --overwrite

app: setup ## Serve the web page for recording, listening and editing
	hummingface app

test: setup ## Run the tests; line coverage of hf_model and stages must be 90 %
	OMP_NUM_THREADS=1 pytest -n 3 --dist loadgroup --cov $(PYTEST_ARGS)

lint: setup ## Check format, lint, types and import contracts
	ruff format --check .
	ruff check .
	mypy
	lint-imports --no-logo

check: lint test ## Run lint, then test

repro: setup ## Run the stages of the pipeline that are out of date
	dvc repro

ui: setup ## Compare the training runs in MLflow's web page
	python -m stages.tracking.ui

docs: setup ## Build the documentation into site/
	NO_MKDOCS_2_WARNING=1 mkdocs build --strict --quiet

# The metadata of basic-pitch requires TensorFlow and NumPy 1; it also runs on onnxruntime, which is installed.
peers: setup ## Install basic-pitch, another baseline of the evaluation
	.venv/uv/bin/uv pip install --quiet --python .venv/bin/python --no-deps basic-pitch==0.4.0 resampy==0.4.3

# The versions of constraints.txt are looked up in the advisory database of PyPI, or OSV with AUDIT_SERVICE=osv.
# `python -m bench advisories FILE` compares them with a downloaded database, without a network.
audit: setup ## Look for known vulnerabilities in the pinned versions (needs the internet)
	.venv/uv/bin/uvx --python .venv/bin/python pip-audit --requirement constraints.txt --no-deps --disable-pip \
	    --strict --vulnerability-service $${AUDIT_SERVICE:-pypi} --progress-spinner off

sbom: setup ## Write the list of components, sbom.json (CycloneDX)
	python -m bench.reliability.sbom --extra app --extra hub --extra pipeline --out sbom.json

format: setup ## Format the code and apply lint fixes
	ruff format .
	ruff check --fix .

lock: setup ## Update constraints.txt (all platforms, Python 3.11-3.13)
	head -2 constraints.txt > constraints.new
	env -u UV_FIND_LINKS .venv/uv/bin/uv pip compile pyproject.toml --all-extras --group dev --universal --python-version 3.11 \
	    --no-emit-package hummingface --no-header --no-annotate --quiet >> constraints.new
	mv constraints.new constraints.txt

clean: ## Remove environment, caches and output, but not data
	rm -rf .venv out site build dist htmlcov .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find bench hf_model stages tests -name __pycache__ -prune -exec rm -rf {} +
