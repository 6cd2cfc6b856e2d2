"""The paper's claims as tests: which published row a judge of ours stands beside, and the verdict of a comparison.

A claim says "the first is better than the second". It is tested on judgments, paired by item and resampled by whole
instructions; the p-values of one table are corrected together (Holm). Rows of evidence are plain dictionaries with
`difference`, `low`, `high`, `p`, `n` and `clusters` (instructions), so that notebooks can put them into any table.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
from scipy.stats import norm

from .. import metrics
from ..data.catalogue import DIRECT_BENCHMARKS
from ..metrics import FEWEST_CLUSTERS, TOO_FEW, Comparison, holm_factors, more_needed
from ..paper import RESTATED, published_value
from .averages import merge_names
from .measures import compare_averages, compare_judges
from .run import Run

if TYPE_CHECKING:
    from ..scale import Scale

AVERAGE = "average, unseen domain"
POINTS = {"direct": 100.0, "pairwise": 1.0}  # the paper's points: Pearson x 100, accuracy in percent
VERDICTS = ("reproduced", "not reproduced", "undecided")
IN_DOMAIN = ("feedback_bench", "preference_bench")
PRINTED = {  # the number that Table 3 or 4 prints for a benchmark: table, column
    "vicuna_bench": (3, "VICUNA BENCH | GPT-4-1106"),
    "mt_bench": (3, "MT BENCH | GPT-4-1106"),
    "flask": (3, "FLASK | GPT-4-1106"),
    "feedback_bench": (3, "Feedback Bench | GPT-4-0613"),
    "hhh_alignment": (4, "HHH ALIGNMENT | Total Avg."),
    "mt_bench_human": (4, "MT BENCH HUMAN JUDG. | w/o TIE"),
    "autoj_eval": (4, "AUTO-J EVAL | w/o TIE"),
    "preference_bench": (4, "Preference Bench | Instance-wise Criteria"),
}
_FAMILIES = {"Mixtral": ("Mixtral-Instruct-8x7B", "8x7B"), "": ("Mistral-Instruct-7B", "7B")}
_EXPERTS = {"direct": "DIRECT ASSESSMENT ONLY", "pairwise": "PAIRWISE RANKING ONLY"}
_METHODS = ("linear", "slerp", "task-arithmetic", "ties", "dare-ties", "dare-linear")
_FIELDS = ("difference", "low", "high", "p")


# --- the paper's side ------------------------------------------------------------------------------------------------


def family(scale: Scale) -> str:
    """Return the base model's name as Table 5 prints it; a miniature stands for "Mistral-Instruct-7B"."""
    return _family(scale)[0]


def _family(scale: Scale) -> tuple[str, str]:
    return next(names for key, names in _FAMILIES.items() if key in scale.base_model.rsplit("/", 1)[-1])


def paper_rows(scale: Scale, table: int) -> dict[str, str]:
    """Return which row of a published table (3, 4, 5, 6, 11 to 15, 17) each judge of ours takes the place of.

    Raises KeyError for another table.
    """
    name, size = _family(scale)
    if table == 5:
        rows = {"base": "PROMPTING", **_EXPERTS, "joint": "JOINT TRAINING", scale.merged_judge: "WEIGHT MERGING"}
        return {judge: f"{name} | {row}" for judge, row in rows.items()}
    if table == 6:
        same = {"direct+direct": "DIRECT ASSESSMENT", "pairwise+pairwise": "PAIRWISE RANKING"}
        merged = {scale.merged_judge: "DIRECT ASSESSMENT & PAIRWISE RANKING"}
        return {"base": "NO TRAINING (PROMPTING)", **_EXPERTS, **merged, **{j: f"{t} & {t}" for j, t in same.items()}}
    if table == 17:
        return {method: method.upper().replace("TASK-", "TASK ") for method in _METHODS}
    if table not in (3, 4, 11, 12, 13, 14, 15):
        raise KeyError(f"no judges' rows known for Table {table}; tables 3 to 6, 11 to 15 and 17 have them")
    merged = {scale.merged_judge: f"PROMETHEUS-2-{size}"}
    return merged if table == 13 else {"base": name.upper(), **merged}


def published_score(scale: Scale, judge: str, names: str | Sequence[str]) -> float:
    """Return the published number of the judge that ours stands for: Table 3's or 4's, else Table 5's.

    `names` is one benchmark or several, whose mean is returned; every merge stands for the merged judge. NaN where the
    paper prints none.
    """
    if not isinstance(names, str):
        found = [published_score(scale, judge, name) for name in names]
        return sum(found) / len(found) if found else math.nan
    known = scale.merged_judge if judge in merge_names(scale) else judge
    source, column = PRINTED[names]
    restated = {place: ours for ours, place in RESTATED[5][1].items()}
    for table, place in ((source, column), (5, restated.get((source, column)))):
        row = paper_rows(scale, table).get(known)
        if row and place:
            return published_value(table, row, place)
    return math.nan


# --- our side --------------------------------------------------------------------------------------------------------


def compare(run: Run, first: str, second: str, names: str | Sequence[str], human: bool = False) -> Comparison | None:
    """Compare two judges on one benchmark, or their averages over several of one format; None when one is missing.

    Pearson as a fraction (FLASK against humans with `human`, as in Table 17), accuracy in percent.
    """
    if isinstance(names, str):
        return compare_judges(run, first, second, names, human)
    return compare_averages(run, first, second, names, human)


def evidence(found: Comparison | None, factor: float = 1.0) -> dict[str, Any]:
    """Return a comparison as a row of evidence, its difference and interval times `factor`; empty for None."""
    if found is None:
        return {**dict.fromkeys(_FIELDS, math.nan), "n": 0, "clusters": 0}
    limits = {name: factor * getattr(found, name) for name in _FIELDS[:3]}
    return {**limits, "p": found.p_value, "n": found.n, "clusters": found.n_clusters}


def points(run: Run, first: str, second: str, names: str | Sequence[str], human: bool = False) -> dict[str, Any]:
    """Return `compare` as a row of evidence in the paper's points: Pearson x 100, accuracy in percent."""
    direct = (names if isinstance(names, str) else names[0]) in DIRECT_BENCHMARKS
    return evidence(compare(run, first, second, names, human), POINTS["direct" if direct else "pairwise"])


def combine(one: Mapping[str, Any], two: Mapping[str, Any], sign: int = -1, share: float = 1.0) -> dict[str, Any]:
    """Combine two *independent* rows of evidence, share * (one + sign * two): a normal interval and test.

    For gains that were measured on different items; their errors, read off the intervals, add up by squares.
    """
    critical = norm.ppf(0.975)
    value = share * (one["difference"] + sign * two["difference"])
    error = share * math.hypot(*((row["high"] - row["low"]) / 2 / critical for row in (one, two)))
    p = 2 * norm.sf(abs(value) / error) if error > 0 else math.nan
    spread = {"low": value - critical * error, "high": value + critical * error, "p": float(p)}
    n, clusters = one["n"] + two["n"], min(one["clusters"], two["clusters"])
    return {"difference": value, **spread, "n": n, "clusters": clusters}


def verdict(difference: float, p: float, sign: int = 1, clusters: int | None = None) -> str:
    """Return the verdict on one difference, from its corrected p-value and the sign that the paper's claim gives it.

    "reproduced", "not reproduced" or "undecided"; where the paper claims nothing (`sign` 0) "higher", "lower" or "no
    difference shown". With fewer than `FEWEST_CLUSTERS` instructions nothing is claimed: "too few instructions".
    """
    if clusters is not None and 0 < clusters < FEWEST_CLUSTERS:
        return TOO_FEW
    if not p < 0.05:
        return "undecided" if sign else "no difference shown"
    if sign == 0:
        return "higher" if difference > 0 else "lower"
    return "reproduced" if difference * sign > 0 else "not reproduced"


def verdicts(tests: Mapping[Hashable, Mapping[str, Any]], signs: Mapping[Hashable, int] | None = None) -> pd.DataFrame:
    """Return rows of evidence as a table with p-values corrected together (column "p (Holm)") and verdicts.

    `signs` gives each test the sign of the paper's claim (1 where it is missing, 0 for no claim). Tests on too few
    instructions take no part in the correction. "more needed" estimates how many further judgments of each judge would
    decide a difference of this size under this correction (80 % power); empty where it is decided.
    """
    known = {key: math.nan if 0 < row["clusters"] < FEWEST_CLUSTERS else row["p"] for key, row in tests.items()}
    adjusted, factors = metrics.holm(known) if known else {}, holm_factors(known)
    rows = {}
    for key, row in tests.items():
        kept = {name: value for name, value in row.items() if name != "p"}
        result = verdict(row["difference"], adjusted[key], (signs or {}).get(key, 1), row["clusters"])
        more = more_needed(row["difference"], row["low"], row["high"], row["n"], factors[key])
        open_ = result in ("undecided", "no difference shown")
        rows[key] = {**kept, "p (Holm)": adjusted[key], "verdict": result, "more needed": more if open_ else None}
    index = pd.MultiIndex.from_tuples(rows) if rows and isinstance(next(iter(rows)), tuple) else list(rows)
    return pd.DataFrame(list(rows.values()), index=index).astype({"more needed": "Int64"} if rows else {})


def claims_table(run: Run, claims: Sequence[tuple[str, str]], names: Sequence[str]) -> pd.DataFrame:
    """Test claims "the first judge is better than the second" on each benchmark and on the unseen ones' average.

    One row per claim and benchmark: claim, benchmark, published (the paper's own difference, NaN where it prints none),
    ours, low, high, p (Holm, over the whole table), verdict, more needed, n. Judges without judgments are left out.
    """
    places: dict[str, str | list[str]] = {name: name for name in names}
    places[AVERAGE] = [name for name in names if name not in IN_DOMAIN]
    found = {(*claim, place): compare(run, *claim, where) for claim in claims for place, where in places.items()}
    tests = {key: evidence(each) for key, each in found.items() if each is not None}
    rows = []
    for (first, second, place), (_, row) in zip(tests, verdicts(tests).iterrows()):
        printed = published_score(run.scale, first, places[place]) - published_score(run.scale, second, places[place])
        named = {"claim": f"{first} > {second}", "benchmark": place, "published": printed, "ours": row["difference"]}
        rest = ("low", "high", "p (Holm)", "verdict", "more needed", "n")
        rows.append(named | {name: row[name] for name in rest})
    return pd.DataFrame(rows).astype({"more needed": "Int64"} if rows else {})
