"""How a run was made: settings, package versions, machine and seconds, in `manifest.json`."""

from __future__ import annotations

import json
import platform
import subprocess
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from .. import artifacts, records, scale
from ..planning.machines import base_without_place, describe_machine

PACKAGES = ("torch", "transformers", "trl", "peft", "mergekit", "datasets", "papermill", "numpy", "pandas", "scipy")


def write_manifest(settings: scale.Scale, seconds: dict[str, float]) -> Path:
    """Write outputs/<scale>/manifest.json: settings, versions, machine; of each notebook its commit and seconds.

    `longest` are the most seconds that a notebook took with these settings: what it costs where nothing is there yet,
    while `seconds` may be those of a run that found its experts trained and its judgments collected.
    """
    path = settings.paths.root / "manifest.json"
    earlier = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    described = describe_settings(settings)
    commits = dict.fromkeys(seconds, commit_of(artifacts.project_folder()))
    manifest = {
        "scale": settings.name,
        "settings": described,
        "versions": {"python": platform.python_version(), **{name: metadata.version(name) for name in PACKAGES}},
        "machine": describe_machine(),
        "commits": {**earlier.get("commits", {}), **commits},
        "seconds": {**earlier.get("seconds", {}), **seconds},
        "longest": _longest(earlier, described, seconds),
    }
    return records.write_text_atomic(path, json.dumps(manifest, indent=1, default=str) + "\n")


def _longest(earlier: dict[str, Any], settings: dict[str, Any], seconds: dict[str, float]) -> dict[str, float]:
    """Return the most seconds of each notebook, over earlier runs too where their settings say the same."""
    before, now = earlier.get("settings", {}), json.loads(json.dumps(settings, default=str))
    if any(before[key] != now[key] for key in before.keys() & now.keys()):
        return seconds
    known = artifacts.notebook_seconds(earlier)
    return known | {name: max(value, known.get(name, 0.0)) for name, value in seconds.items()}


def commit_of(project: Path) -> str:
    """Return the commit that a checkout's library and notebooks are at, and whether they were changed since.

    "" where the project is no checkout of git, or git is not there.

    >>> commit_of(Path("no such folder"))
    ''
    """
    if not (project / ".git").exists():
        return ""
    state = _git(project, "status", "--porcelain", "--", "prometheus_lib", "notebooks")
    found = _git(project, "rev-parse", "--short=12", "HEAD")
    return f"{found}, with changes" if found and state else found


def _git(project: Path, *words: str) -> str:
    try:
        done = subprocess.run(["git", *words], cwd=project, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def describe_settings(settings: scale.Scale) -> dict[str, Any]:
    """Return the scale's settings without paths."""
    values = asdict(settings)
    values.pop("paths")
    return values | {"base_model": base_without_place(settings.base_model)}


def timing_table(seconds: dict[str, float], total: float) -> str:
    """Return seconds per notebook, and in all (less than their sum where notebooks ran side by side), as text."""
    lines = [f"{name:<28}{value:>8.1f} s" for name, value in seconds.items()]
    return "\n".join(["", *lines, f"{'total':<28}{total:>8.1f} s"])
