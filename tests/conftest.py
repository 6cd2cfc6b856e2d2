"""Shared fixtures: the folder of real data, and nothing that hides a missing file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of real data named by PROMETHEUS_DATA_DIR; skip when unset, fail when set but absent."""
    value = os.environ.get("PROMETHEUS_DATA_DIR")
    if not value:
        pytest.skip("PROMETHEUS_DATA_DIR is not set: real-data tests need it (see README, 'Real data')")
    folder = Path(value).expanduser().resolve()
    if not folder.is_dir():
        pytest.fail(f"PROMETHEUS_DATA_DIR points to {folder}, which is not a folder")
    return folder
