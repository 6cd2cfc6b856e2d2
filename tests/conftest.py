"""Shared fixtures: the folder of real data, and nothing that hides a missing file."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

# Two threads collapse on a busy machine, and one thread gives the same bits everywhere.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A run started in the background inherits that Ctrl-C is ignored, and so would the processes that tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Tests start processes in folders of their own: a relative folder of data means the one named where pytest was started.
if os.environ.get("PROMETHEUS_DATA_DIR"):
    os.environ["PROMETHEUS_DATA_DIR"] = str(Path(os.environ["PROMETHEUS_DATA_DIR"]).expanduser().resolve())


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of real data named by PROMETHEUS_DATA_DIR; skip when unset, fail when set but absent."""
    value = os.environ.get("PROMETHEUS_DATA_DIR")
    if not value:
        pytest.skip("PROMETHEUS_DATA_DIR is not set: real-data tests need it (see README, 'Real data')")
    folder = Path(value)
    if not folder.is_dir():
        pytest.fail(f"PROMETHEUS_DATA_DIR points to {folder}, which is not a folder")
    return folder


BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="module")
def browser() -> Iterator:
    """A real browser without a window, as Playwright drives it: PROMETHEUS_BROWSER, or Chromium or Chrome as installed.

    Where there is none, tests are skipped, and fail where CI is set: there, `make test` installs it as root.
    """
    found = os.environ.get("PROMETHEUS_BROWSER") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        missing = pytest.fail if os.environ.get("CI", "false").lower() not in ("", "0", "false") else pytest.skip
        missing("no browser: run `make browser`, or name one by PROMETHEUS_BROWSER (a Chromium or Chrome)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found)
        yield started
        started.close()


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory) -> Path:
    """A two-layer Mistral with random weights and the miniature tokenizer, saved as a model folder."""
    import torch
    from transformers import MistralForCausalLM

    from prometheus_lib.training import base_model

    folder = tmp_path_factory.mktemp("models") / "tiny_base"
    tokenizer = base_model.build_tokenizer()
    torch.manual_seed(0)
    MistralForCausalLM(base_model.build_config(tokenizer, hidden=64, layers=2)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_experts(tiny_base, tmp_path_factory) -> Path:
    """A folder with two experts, `direct` and `pairwise`, really trained for a few steps from the tiny base."""
    from prometheus_lib import data, training
    from prometheus_lib.records import write_jsonl

    folder = tmp_path_factory.mktemp("experts")
    files = {
        "direct": write_jsonl(folder / "feedback.jsonl", data.feedback_rows(1, 8)),
        "pairwise": write_jsonl(folder / "preference.jsonl", data.preference_rows(1, 8)),
    }
    settings = training.TrainingSettings(learning_rate=1e-3, batch_size=8, max_length=512)
    for name, file in files.items():
        source = (name, str(file), 40, name == "direct")
        job = training.ExpertJob(name, str(tiny_base), (source,), settings, 42, str(folder / name))
        assert training.train_expert(job)
    return folder
