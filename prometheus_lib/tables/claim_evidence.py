"""The paper's claims as tests: evidence for each difference of the registry (`paper.CLAIMS`).

Each part of a claim is a difference between two judges on the same items, resampled by whole instructions
(`claim_measures`). The parts of the primary claims are corrected together, those of the secondary ones among
themselves, and those of each sanity check and control by themselves (`metrics.simultaneous`): intervals and p-values
are the corrected ones, and every notebook reads them here, so one comparison has one corrected p-value.

Where the items carry their truth, it is the yardstick, and the same differences by the raters stand beside it: those
are the paper's measures, so the paper's own size is held against them. Where both sides of a difference were trained
with three seeds or more, the difference is the mean over seeds, and what is shown over instructions *and* seeds
(`metrics.over_training_runs`) stands in columns of its own.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .. import metrics
from ..artifacts import file_hash, text_hash
from ..metrics import FEWEST_RUNS, Interval, Joint
from ..paper import Claim, Part, claims_about
from ..paper.claims import CLAIM, CONSTRUCTION, PRIMARY
from ..records import write_text_atomic
from .cells import COMPARISON_RESAMPLES
from .claim_measures import MEASURED, Setting
from .claim_numbers import published_part
from .measures import judge_average
from .run import Run
from .truth import knows_truth, truth_average

_PRIMARY = {  # the measure of an average over benchmarks, by the truth and by the raters
    "direct": ("exact scores, %", "Pearson with the strongest rater"),
    "pairwise": ("pairs right, %", "accuracy, %"),
}

Key = tuple[str, Part]
_SEED = re.compile(r"-seed\d+$")
_ROOMS = ("data", "metrics", "paper", "tables")  # whose code decides what the evidence is
_KINDS = {"more needed": "Int64"} | dict.fromkeys(
    ("difference", "low", "high", "p", "p (no effect)", "margin", "printed", "repaired", "rated", "rated low",
     "rated high", "spread", "two-way low", "two-way high"), float,
)  # fmt: skip


def evidence_table(run: Run, merged: str | None = None) -> pd.DataFrame:
    """Return one row for each difference of each claim that can be tested.

    Columns: claim (its id), part, difference, low, high (95 %, for the whole list), p, p (no effect), shown ("+", "-",
    "0" within the margin, "?" nothing), margin, printed and repaired (the paper's own difference), n, clusters, more
    needed; rated, rated low, rated high, rated shown: the same by the raters (the same numbers where no truth is
    known); over seeds: what each training run gives ("" without three), spread (their standard deviation), two-way
    low, two-way high, two-way shown: over instructions and training runs, for this difference alone. `merged` takes the
    place of the scale's merged judge. Without evidence numbers are NaN and n is 0.

    >>> from prometheus_lib.tables import example_run
    >>> table = evidence_table(example_run()).set_index("claim")
    >>> table.loc["C02", "part"], bool(table.loc["C02", "difference"] > 0)
    ('merged - base', True)
    """
    merged = merged or run.scale.merged_judge
    if ("evidence", merged) not in run.memory:
        run.memory["evidence", merged] = _evidence(run, merged)
    return run.memory["evidence", merged].copy()


def kept_evidence(run: Run, folder: str | Path) -> pd.DataFrame:
    """Return `evidence_table(run)`, worked out once for a folder: who comes later reads `evidence.json` there.

    The file carries a stamp of judgments, items, settings and code; one that does not fit is written anew.

    >>> import tempfile
    >>> from prometheus_lib.tables import example_run
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     first, second = (kept_evidence(example_run(), folder) for _ in range(2))
    >>> first.equals(second), len(first) > 50
    (True, True)
    """
    file, stamp = Path(folder) / "evidence.json", _stamp(run)
    if (rows := _rows_kept(file, stamp)) is not None:
        run.memory["evidence", run.scale.merged_judge] = pd.DataFrame(rows).astype(_KINDS)
    table = evidence_table(run)
    if _rows_kept(file, stamp) is None:  # a notebook that runs beside this one may have written it by now
        rows = table.astype(object).where(table.notna(), None).to_dict("records")
        write_text_atomic(file, json.dumps({"stamp": stamp, "rows": rows}, indent=1) + "\n")
    return table


def _rows_kept(file: Path, stamp: str) -> list[dict[str, Any]] | None:
    """The rows of a file with this stamp; None of another or a damaged one, which is only a copy."""
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        return kept["rows"] if kept["stamp"] == stamp else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _stamp(run: Run) -> str:
    """Identify what evidence depends on: what was judged, the items, how it is resampled, and the code that does it."""
    columns = ["judge", "benchmark", "item_id", "format", "with_reference", "order", "draw", "decision"]
    asked = pd.util.hash_pandas_object(run.judgments[columns].astype(str), index=False).sum()
    library = sorted(path for room in _ROOMS for path in (Path(__file__).parents[1] / room).rglob("*.py"))
    scale = run.scale
    settings = scale.resamples, scale.seed, scale.merged_judge, scale.main_judges, scale.schooled
    return text_hash(str(asked), repr(run.items), settings, [file_hash(path) for path in library])


def rests_on_truth(run: Run) -> bool:
    """Return whether the claims of this run are decided by the truth: every item has to carry its own.

    >>> from prometheus_lib.tables import example_run
    >>> rests_on_truth(example_run())
    True
    """
    return all(knows_truth(items) for items in run.items.values())


def primary_average(run: Run, judge: str, names: Sequence[str]) -> Interval | None:
    """Return a judge's average over benchmarks by the yardstick that verdicts rest on; None when one is missing.

    By the truth where every item carries its own (`truth_average`), else by the raters (`judge_average`).

    >>> from prometheus_lib.tables import RESEARCH_DIRECT, example_run
    >>> primary_average(example_run(), "linear", RESEARCH_DIRECT).estimate
    100.0
    """
    return (truth_average if rests_on_truth(run) else judge_average)(run, judge, names)


def judge_over_runs(run: Run, judge: str, names: Sequence[str]) -> Interval | None:
    """Return `primary_average` of a judge as the mean over its training runs, where there are several.

    >>> from prometheus_lib.tables import RESEARCH_DIRECT, example_run
    >>> judge_over_runs(example_run(), "linear", RESEARCH_DIRECT).estimate
    100.0
    """
    runs = [primary_average(run, each, names) for each in run.scale.replicas(judge)]
    return metrics.average(runs) or primary_average(run, judge, names)


def average_measure(run: Run, format: str) -> str:
    """Return what `primary_average` of a format is in.

    >>> from prometheus_lib.tables import example_run
    >>> average_measure(example_run(), "direct")
    'exact scores, %'
    """
    by_truth, by_raters = _PRIMARY[format]
    return by_truth if rests_on_truth(run) else by_raters


def _evidence(run: Run, merged: str) -> pd.DataFrame:
    claims = claims_about()
    by_seed = _by_seed(run, claims, Setting(merged, truth=rests_on_truth(run)))
    found = {key: _one_of(runs) for key, runs in by_seed.items()}
    rated = found
    if rests_on_truth(run):
        rated = {key: _one_of(runs) for key, runs in _by_seed(run, claims, Setting(merged)).items()}
    joint, joint_rated = (_corrected(claims, each, run.scale.schooled) for each in (found, rated))
    rows = [
        _row(run, claim, part, found[claim.id, part], joint.get((claim.id, part)))
        | _by_raters(claim, rated[claim.id, part], joint_rated.get((claim.id, part)))
        | _over_seeds(by_seed[claim.id, part], claim.margin)
        for claim in claims
        for part in claim.parts
    ]
    return pd.DataFrame(rows).astype({"more needed": "Int64"})


def _by_seed(run: Run, claims: Iterable[Claim], setting: Setting) -> dict[Key, list[Interval]]:
    """Each difference as the training runs give it, the first one first; without three only the first."""
    names = run.judgments["judge"].unique() if len(run.judgments) else []
    seeds = ["", *sorted({seed[0] for name in names if (seed := _SEED.search(name))})]
    found = {}
    for claim, part in ((each, part) for each in claims for part in each.parts):
        measured = [MEASURED[claim.measure](run, part, replace(setting, seed=seed)) for seed in seeds]
        known = [each for each in measured if each is not None and math.isfinite(each.estimate)]
        whole = measured[0] is not None and len(known) >= FEWEST_RUNS
        found[claim.id, part] = known if whole else [measured[0] or _nothing()]
    return found


def _nothing() -> Interval:
    return metrics.interval_of_draws(math.nan, np.full(COMPARISON_RESAMPLES, math.nan), 0, 0)


def _one_of(runs: Sequence[Interval]) -> Interval:
    """The mean over training runs; n stays that of one judge."""
    return runs[0] if len(runs) == 1 else replace(metrics.average(runs), n=runs[0].n)


def _corrected(claims: Iterable[Claim], found: Mapping[Key, Interval], schooled: bool) -> dict[Key, Joint]:
    joint: dict[Key, Joint] = {}
    for family in _families(claims, schooled):
        margins = {(claim.id, part): claim.margin for claim in family for part in claim.parts}
        joint |= metrics.simultaneous({key: found[key] for key in margins}, margins)
    return joint


def _families(claims: Iterable[Claim], schooled: bool) -> list[list[Claim]]:
    """Claims that are corrected together: the primary, the secondary; every sanity check and control by itself.

    What is settled by construction is not tested.
    """
    tested = [claim for claim in claims if claim.kind != CONSTRUCTION]
    stated = [claim for claim in tested if claim.kind_at(schooled) == CLAIM]
    primary = [claim for claim in stated if claim.role == PRIMARY]
    secondary = [claim for claim in stated if claim.role != PRIMARY]
    return [primary, secondary, *([claim] for claim in tested if claim not in stated)]


# --- columns ---------------------------------------------------------------------------------------------------------


def _row(run: Run, claim: Claim, part: Part, found: Interval, joint: Joint | None) -> dict[str, Any]:
    tested, bound = joint or found, _bound(claim)
    return {
        "claim": claim.id,
        "part": part.label,
        "difference": found.estimate,
        "low": max(tested.low, -bound),
        "high": min(tested.high, bound),
        "p": joint.p_value if joint else math.nan,
        "p (no effect)": joint.p_none if joint else math.nan,
        "shown": joint.sign if joint else "",
        "margin": claim.margin,
        "printed": published_part(run.scale, claim, part),
        "repaired": published_part(run.scale, claim, part, repaired=True),
        "n": found.n,
        "clusters": found.n_clusters,
        "more needed": joint.more_needed if joint else None,
    }


def _bound(claim: Claim) -> float:
    """How large a claim's difference can be at most: two alphas lie between 0 and 1."""
    return 1.0 if claim.measure.startswith("best alpha") else math.inf


def _by_raters(claim: Claim, found: Interval, joint: Joint | None) -> dict[str, Any]:
    tested, bound = joint or found, _bound(claim)
    limits = {"rated low": max(tested.low, -bound), "rated high": min(tested.high, bound)}
    return {"rated": found.estimate, **limits, "rated shown": joint.sign if joint else ""}


def _over_seeds(runs: Sequence[Interval], margin: float) -> dict[str, Any]:
    """What the training runs say, each and together; nothing where there are fewer than three."""
    found = metrics.over_training_runs(runs) if len(runs) >= FEWEST_RUNS else None
    return {
        "over seeds": ", ".join(f"{value:+z.1f}" for value in found.values) if found else "",
        "spread": found.spread if found else math.nan,
        "two-way low": found.low if found else math.nan,
        "two-way high": found.high if found else math.nan,
        "two-way shown": found.sign(margin) if found else "",
    }
