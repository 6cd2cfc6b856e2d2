"""How a run was made: settings, package versions, machine and seconds, in `manifest.json`."""

from __future__ import annotations

import json
import platform
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from .. import records, scale
from ..planning.machines import describe_machine

PACKAGES = ("torch", "transformers", "trl", "peft", "mergekit", "datasets", "papermill", "numpy", "pandas", "scipy")


def write_manifest(settings: scale.Scale, seconds: dict[str, float]) -> Path:
    """Write outputs/<scale>/manifest.json: settings, versions, machine, seconds per notebook (kept for others)."""
    path = settings.paths.root / "manifest.json"
    earlier = json.loads(path.read_text(encoding="utf-8")).get("seconds", {}) if path.exists() else {}
    manifest = {
        "scale": settings.name,
        "settings": describe_settings(settings),
        "versions": {"python": platform.python_version(), **{name: metadata.version(name) for name in PACKAGES}},
        "machine": describe_machine(),
        "seconds": {**earlier, **seconds},
    }
    return records.write_text_atomic(path, json.dumps(manifest, indent=1, default=str) + "\n")


def describe_settings(settings: scale.Scale) -> dict[str, Any]:
    """Return the scale's settings without paths."""

    values = asdict(settings)
    values.pop("paths")
    if Path(settings.base_model).is_absolute():
        values["base_model"] = Path(settings.base_model).name
    return values


def timing_table(seconds: dict[str, float], total: float) -> str:
    """Return seconds per notebook, and in all (less than their sum where notebooks ran side by side), as text."""
    lines = [f"{name:<28}{value:>8.1f} s" for name, value in seconds.items()]
    return "\n".join(["", *lines, f"{'total':<28}{total:>8.1f} s"])
