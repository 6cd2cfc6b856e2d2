"""Tests on a real vLLM engine, run by `make test-vllm` in an environment that has vLLM (its CPU build will do).

Where vLLM is not installed these tests are left out and the summary says so; PROMETHEUS_REQUIRE_VLLM=1 makes that an
error.
"""

from __future__ import annotations

import importlib.util
import os

import pytest

# This folder is itself importable as an (empty) namespace "vllm", so the engine's own module is looked for.
SPEC = importlib.util.find_spec("vllm")
HAS_VLLM = SPEC is not None and SPEC.origin is not None
# The engine in this process, one thread, one GiB for its cache; read when vLLM is imported.
CPU_ENVIRONMENT = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "OMP_NUM_THREADS": "1",
}
ENGINE = {"bf16": False, "enforce_eager": True, "max_num_seqs": 64}

if HAS_VLLM:
    for name, value in CPU_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
elif os.environ.get("PROMETHEUS_REQUIRE_VLLM") == "1":
    raise pytest.UsageError("PROMETHEUS_REQUIRE_VLLM=1, but vLLM is not installed here: run `make test-vllm`.")
else:
    collect_ignore_glob = ["test_*.py"]


def pytest_terminal_summary(terminalreporter) -> None:
    if not HAS_VLLM:
        terminalreporter.write_line("tests/judging/vllm left out: vLLM is not installed here (make test-vllm)")


@pytest.fixture(scope="session")
def engine() -> dict:
    """Settings for a VLLMJudge on a CPU."""
    return dict(ENGINE)


@pytest.fixture(scope="session")
def base():
    """The embedded base model's folder."""
    from prometheus_lib.training import EMBEDDED_BASE

    return EMBEDDED_BASE
