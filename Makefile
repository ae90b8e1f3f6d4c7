# SPDX-License-Identifier: Apache-2.0
# Everything here can be interrupted and started again. Variables: SEED, TORCH, ROS, PYTHON, ARGS (see `make help`).
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

SEED ?= 0
ARGS ?=
export TORCH ROS PYTHON
RUN := set +u; source tools/env.sh && exec python -m hil_serl_cli.cli

.PHONY: help setup demo test lint bench doctor clean distclean

help: ## this list
	@echo "make TARGET [SEED=0] [TORCH=auto|cpu|cuda] [ROS=auto|wheels|system] [PYTHON=python3.12] [ARGS=...]"
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  %-10s %s\n", $$1, $$2}' Makefile

setup: ## environment and workspace; does only what is not done yet
	@tools/setup.sh

demo: setup ## the main job: demonstrations, training with interventions, evaluation (SEED=n)
	@$(RUN) demo --seed $(SEED) $(ARGS)

test: ## all tests: Python, C++, and separate processes over DDS
	@tools/setup.sh --tests
	@tools/test.sh $(ARGS)

lint: ## style, layout, types and spelling, without running anything
	@tools/setup.sh --tests
	@tools/lint.sh

bench: setup ## measured speeds, sizes and latencies, printed and in bench.json
	@$(RUN) bench $(ARGS)

doctor: ## what this machine has, lacks, and what that costs; works before the set-up
	@if [ -x .venv/bin/python ]; then set +u; source tools/env.sh; fi; \
	PYTHONPATH="src/hil_serl_cli$${PYTHONPATH:+:$$PYTHONPATH}" exec python3 -m hil_serl_cli.doctor.report $(ARGS)

clean: ## removes what is built; keeps the environment and the runs
	@rm -rf build install log .pytest_cache .mypy_cache .ruff_cache .hypothesis .venv/hil-serl/stamps/workspace
	@find src tests tools -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## removes the environment too; keeps the runs
	@rm -rf .venv
