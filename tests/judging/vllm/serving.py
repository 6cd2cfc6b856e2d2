"""`vllm serve` in a process of its own, for tests that ask it."""

from __future__ import annotations

import importlib.metadata
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

START_SECONDS = 300


@contextmanager
def served(model: str | Path, name: str, folder: Path, dtype: str, *options: str) -> Iterator[str]:
    """Serve a model folder and give the address; the log is shown when the server does not come up."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        *_server(), str(model), "--served-model-name", name, "--host", "127.0.0.1", "--port", str(port),
        "--dtype", dtype, "--enforce-eager", "--max-num-seqs", "32",
        "--no-enable-chunked-prefill",  # chunks and a request's own seed do not go together on a CPU
        *options,
    ]  # fmt: skip
    environment = {k: v for k, v in os.environ.items() if k != "VLLM_ENABLE_V1_MULTIPROCESSING"}
    environment.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")  # bound threads wait for each other on a busy machine
    log = folder / "log.txt"
    with open(log, "wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=environment)
    try:
        _wait_until_up(process, f"http://127.0.0.1:{port}/health", log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(60)


def _server() -> list[str]:
    """`vllm serve`, or, for the CPU build (whose package has a name that this command does not find), its server."""
    try:
        importlib.metadata.version("vllm")
    except importlib.metadata.PackageNotFoundError:
        return [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model"]
    return [sys.executable, "-m", "vllm.entrypoints.cli.main", "serve"]


def _wait_until_up(process: subprocess.Popen, health: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(health, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    pytest.fail(f"vllm serve did not come up:\n{log.read_text(errors='replace')[-4000:]}")
