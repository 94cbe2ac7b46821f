# Two commands do everything: `make infra-test` tests the infrastructure, `make test` tests the harness itself.
# Each sets up what it needs (a virtual environment in .venv with locked, hash-checked dependencies), once.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Arguments for the command behind a target: make infra-test ARGS="--layers services -n 2"
ARGS ?=
WORKERS ?= 2
# Tests of the infrastructure mostly wait, so more of them than cores may.
INFRA_WORKERS ?= 4
# Every worker and every emulator would compile its modules anew: layers 1 and 2 take half as long again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## Say what can be made
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9_-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: infra-test
infra-test: $(READY) ## Stand the six services up, test them in layers, report, clean up
	@$(BIN)/harness test -n $(INFRA_WORKERS) $(ARGS)

.PHONY: nightly
nightly: $(READY) ## Everything on real servers: slow tests, a soak, shuffled; history and flaky tests (ARGS="--soak 30m")
	@$(BIN)/harness nightly -n $(INFRA_WORKERS) $(ARGS)

.PHONY: test
test: $(READY) ## The harness's own tests, with branch coverage
	@rm -f .coverage .coverage.*
	@$(BIN)/python -m coverage run -m pytest tests/unit -q -n $(WORKERS) $(ARGS)
	@$(BIN)/python -m coverage combine -q
	@$(BIN)/python -m coverage report --skip-covered --skip-empty

.PHONY: smoke
smoke: $(READY) ## A yes or no on a live environment, without harming it (TARGET=staging.toml ARGS=--read-only)
	@$(BIN)/harness smoke $(if $(TARGET),--target $(TARGET)) $(ARGS)

.PHONY: layers-proof
layers-proof: $(READY) ## Layers 1 and 2 proven: guarantees mapped, runtimes, real servers, shuffled order (ARGS="--seeds 3")
	@$(BIN)/python scripts/layers-proof $(ARGS)

.PHONY: conformance
conformance: $(READY) ## Emulators held against captures and real servers (ARGS="--binaries consul=PATH,tempo=PATH")
	@$(BIN)/python scripts/conformance $(ARGS)

.PHONY: failover-proof
failover-proof: $(READY) ## The failover layer proven: controls, known-truth loss, equal verdicts in 10 repeats, both runtimes (ARGS="--offline")
	@$(BIN)/python benchmarks/failover_proof.py $(ARGS)

.PHONY: smoke-proof
smoke-proof: $(READY) ## The smoke run proven: 6 services x 5 troubles, each with its code, nothing changed
	@$(BIN)/python scripts/smoke-proof

.PHONY: emulated
emulated: $(READY) ## Find anew which test asks an emulator for what (ARGS="--slow --layers services,integration")
	@$(BIN)/python scripts/emulated --refresh $(ARGS)

.PHONY: docs
docs: $(READY) ## Make docs/reference.md, docs/coverage.md and docs/emulated.md anew
	@$(BIN)/python scripts/reference
	@$(BIN)/python scripts/coverage-map
	@$(BIN)/python scripts/emulated

.PHONY: docs-site
docs-site: .venv-docs/.ready ## Build the documentation as a site into site/, strictly
	@.venv-docs/bin/mkdocs build --strict --quiet

.PHONY: docs-proof
docs-proof: $(READY) ## Execute the commands of README and tutorial (ARGS="docs/tutorial.md")
	@$(BIN)/python scripts/docs-proof $(ARGS)

GATES := lint types unit security services failover performance

.PHONY: gates
gates: $(READY) .venv-security/.ready ## All seven gates in order, each stopping the next: lint, types, unit, ...
	@$(BIN)/python scripts/gates

.PHONY: $(GATES:%=gate-%)
gate-lint: ## Gate 1: style
gate-types: ## Gate 2: types
gate-unit: ## Gate 3: the harness's own tests
gate-security: .venv-security/.ready ## Gate 4: code, dependencies, secrets, licences, images (ARGS="--require dependencies")
gate-services: ## Gate 5: the services, alone and together
gate-failover: ## Gate 6: what survives a fault
gate-performance: ## Gate 7: ratios of one run against their bounds
# Options of the harness go by variable: HARNESS_RUNTIME=process make gates
$(GATES:%=gate-%): gate-%: $(READY)
	@$(BIN)/python scripts/gates $* -- $(ARGS)

.PHONY: ci-proof
ci-proof: $(READY) ## Execute every `run:` step of the workflows in a clean container (ARGS="--only ci/lint,nightly")
	@$(BIN)/python scripts/ci-proof $(ARGS)

.PHONY: ssh-proof
ssh-proof: $(READY) ## Engines over ssh proven against a container that is another machine (ARGS="--only refusals,lost")
	@$(BIN)/python scripts/ssh-proof $(ARGS)

.PHONY: lint
lint: $(READY) ## Style and types: ruff, mypy --strict
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

.PHONY: up
up: $(READY) ## Start the stack and leave it up
	@$(BIN)/harness up $(ARGS)

.PHONY: down
down: $(READY) ## End every stack that was left up
	@$(BIN)/harness down --all

.PHONY: doctor
doctor: $(READY) ## What is here, what would run, what is missing
	@$(BIN)/harness doctor $(ARGS)

.PHONY: lock
lock: ## Resolve the dependencies anew into constraints.txt (needs uv)
	@uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
		--no-header --extra embedded --group dev pyproject.toml -o constraints.txt --upgrade
	@for group in security docs; do uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-annotate --no-header --group $$group -o constraints-$$group.txt --upgrade; done

.PHONY: setup
setup: $(READY) ## Only the virtual environment

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { \
		echo "Python 3.11 to 3.13 is needed, found $$($(PYTHON) --version 2>&1); name one: make PYTHON=python3.12 ..." >&2; exit 2; }
	@echo "setting up $(VENV) (once)"
	@$(PYTHON) -m venv $(VENV) || { echo "no venv module: install it (Debian: apt install python3-venv)" >&2; exit 2; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r constraints.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(READY)

# Tools in an environment of their own: .venv-security, .venv-docs.
.venv-%/.ready: constraints-%.txt
	@echo "setting up .venv-$* (once)"
	@$(PYTHON) -m venv .venv-$*
	@.venv-$*/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r constraints-$*.txt
	@touch $@

.PHONY: clean
clean: ## Remove the virtual environment, caches and reports
	@rm -rf $(VENV) .venv-security .venv-docs .mypy_cache .ruff_cache .hypothesis .coverage .coverage.* reports dist build site
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
