"""How often corrected means hold the truth: simulated judges that err in their own ways, some 60 labels.

`python perf/corrected.py` prints a table and, as its last line, one JSON object. Nothing is timed here.
"""

from __future__ import annotations

import json
import sys

import numpy as np

from prometheus_lib.metrics import corrected_mean

RUNS = 2000
JUDGES = {  # labels, items, share of A, how often the judge says what people say (else A)
    "win rate, errs in a fifth": (60, 600, 0.62, 0.8),
    "win rate, errs in a third": (60, 600, 0.5, 0.67),
    "win rate, errs in 4 of 100": (60, 600, 0.8, 0.8),
    "win rate, 30 labels": (30, 600, 0.5, 0.6),
}


def coverage(labels: int, items: int, share: float, right: float) -> float:
    """Return in how many of 100 runs the interval holds the true share."""
    rng, inside = np.random.default_rng(0), 0
    for _ in range(RUNS):
        truth = (rng.random(items) < share).astype(float)
        judged = np.where(rng.random(items) < right, truth, 1.0)
        found = corrected_mean(judged, np.where(np.arange(items) < labels, truth, np.nan))
        inside += found.low <= share <= found.high
    return 100 * inside / RUNS


def main() -> int:
    """Print how often each interval holds the truth; 1 where the common case is not at 94 to 96."""
    figures = {name: coverage(*judge) for name, judge in JUDGES.items()}
    for name, value in figures.items():
        print(f"{name:<32}{value:>6.1f} of 100")
    ok = 94 <= figures["win rate, errs in a fifth"] <= 96
    targets = {"win rate, errs in a fifth": "94 to 96"}
    print(json.dumps({"name": "corrected", "figures": figures, "targets": targets, "ok": ok}))
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
