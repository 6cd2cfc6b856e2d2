# Two commands: `make reproduce` and `make test`. Both create .venv first.
PYTHON ?= python3
SCALE ?= mini
VENV := .venv
PY := $(VENV)/bin/python

.PHONY: reproduce test verify perf lint env clean

env: $(VENV)/.ready

$(VENV)/.ready: requirements.txt requirements-dev.txt pyproject.toml
	$(PYTHON) -c "import sys; assert sys.version_info >= (3, 11), 'Python 3.11 or newer is needed: make PYTHON=python3.12 ...'"
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet torch==$$(sed -n 's/^torch==//p' requirements.txt)
	$(PY) -m pip install --quiet -r requirements.txt -r requirements-dev.txt
	$(PY) -m pip install --quiet --no-deps -e .
	touch $@

reproduce: env
	$(PY) -m prometheus_lib.run --scale $(SCALE)

test: env lint
	$(PY) -m pytest

lint: env
	$(PY) -m ruff check .
	$(PY) -m ruff format --check prometheus_lib tests perf

verify: env
	$(PY) -m prometheus_lib.verify --scale $(SCALE)

perf: env
	$(PY) perf/run_all.py

clean:
	rm -rf outputs/smoke .pytest_cache .ruff_cache
