"""What the paper prints where a claim is tested: which of its rows a judge of ours stands for, and its differences."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING

import pandas as pd

from ..paper import AVERAGES, MEASURES, RESTATED, Claim, Part, published_table, published_value, repaired_table
from ..paper.claims import MERGED
from .averages import merge_names
from .published import paper_benchmark

if TYPE_CHECKING:
    from ..scale import Scale

POINTS = {"direct": 100.0, "pairwise": 1.0}  # the paper's points: Pearson x 100, accuracy in percent
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
_FAMILIES = {"mixtral": ("Mixtral-Instruct-8x7B", "8x7B"), "": ("Mistral-Instruct-7B", "7B")}
_EXPERTS = {"direct": "DIRECT ASSESSMENT ONLY", "pairwise": "PAIRWISE RANKING ONLY"}
_METHODS = ("linear", "slerp", "task-arithmetic", "ties", "dare-ties", "dare-linear")


def family(scale: Scale) -> str:
    """Return the base model's name as Table 5 prints it; a miniature stands for "Mistral-Instruct-7B"."""
    return _family(scale)[0]


def _family(scale: Scale) -> tuple[str, str]:
    return next(names for key, names in _FAMILIES.items() if key in scale.base_name.casefold())


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


# --- differences -----------------------------------------------------------------------------------------------------


def published_part(scale: Scale, claim: Claim, part: Part, repaired: bool = False) -> float:
    """Return the paper's own number for one difference of a claim, in the unit of its measure; NaN where it has none.

    With `repaired`, Tables 5, 6 and 17 are read with the audit's corrections (see `paper.repaired_table`).

    >>> from prometheus_lib.paper import claim_named
    >>> from prometheus_lib.scale import load_scale
    >>> scale, claim = load_scale("mini"), claim_named("C03")
    >>> [round(published_part(scale, claim, claim.parts[0], repaired), 2) for repaired in (False, True)]
    [13.9, 12.53]
    """
    table = MEASURES[claim.measure].table
    if claim.measure.startswith("best alpha"):
        return 0.5 - 0.3  # section 6.3
    if table is None or table not in _PUBLISHED:
        return math.nan
    try:
        return float(_PUBLISHED[table](scale, claim, part, repaired))
    except KeyError:  # a judge that has no row there
        return math.nan


def _from_averages(scale: Scale, claim: Claim, part: Part, repaired: bool) -> float:
    table, format = MEASURES[claim.measure].table, MEASURES[claim.measure].format
    if claim.measure == "gain":
        merged, one, two = scale.merged_judge, "direct", "pairwise"
        return _gap(scale, 5, "direct", merged, one, repaired) - _gap(scale, 5, "pairwise", merged, two, repaired)
    return _gap(scale, table, format, part.first, part.second, repaired)


def _gap(scale: Scale, table: int, format: str, first: str, second: str, repaired: bool) -> float:
    """A difference of two judges' averages in points."""
    wide, rows = _wide(table, repaired), paper_rows(scale, table)
    values = [wide.at[rows[_judge(scale, side, table)], AVERAGES[format]] for side in (first, second)]
    return POINTS[format] * (values[0] - values[1])


@cache
def _wide(table: int, repaired: bool) -> pd.DataFrame:
    return repaired_table(table) if repaired else published_table(table)


def _judge(scale: Scale, name: str, table: int) -> str:
    """The judge of a part; in Table 17 the plain weights 1 and 1 stand for the method all the same."""
    if table == 17:
        return name.removesuffix("-default")
    return scale.merged_judge if name == MERGED else name


def _from_table_16(scale: Scale, claim: Claim, part: Part, repaired: bool) -> float:
    columns = {paper_benchmark(c) + c[c.index("|") :]: c for c in published_table(16).columns}
    rows = {in_table_3.casefold(): row for row, in_table_3 in RESTATED[16][0].items()}
    values = []
    for side in (part.first, part.second):
        judge, _, seen = side.rpartition(", ")
        row = rows[paper_rows(scale, 3)[_judge(scale, judge, 16)].casefold()]
        kind = "Reference-based" if seen.startswith("with ") else "Reference-free"
        values.append(published_value(16, row, columns[f"{part.on}| {kind}"]))
    return 100 * (values[0] - values[1])


def _from_table_14(scale: Scale, claim: Claim, part: Part, repaired: bool) -> float:
    column = next(c for c in published_table(14).columns if paper_benchmark(c) == part.on)
    rows = paper_rows(scale, 14)
    one, two = (published_value(14, rows[_judge(scale, side, 14)], column) for side in (part.first, part.second))
    return 100 * (one - two)


def _from_table_15(scale: Scale, claim: Claim, part: Part, repaired: bool) -> float:
    rows, (column,) = paper_rows(scale, 15), published_table(15).columns
    one, two = (published_value(15, rows[_judge(scale, side, 15)], column) for side in (part.first, part.second))
    return one - two


def _from_table_13(scale: Scale, claim: Claim, part: Part, repaired: bool) -> float:
    heading = next(c for c in published_table(13).columns if paper_benchmark(c) == part.on).split(" | ")[0]
    row = paper_rows(scale, 13)[scale.merged_judge]
    pair, direct = (published_value(13, row, f"{heading} | {format}") for format in ("Pair2Pair", "Direct2Pair"))
    return pair - direct


_PUBLISHED: dict[int, Callable[[Scale, Claim, Part, bool], float]] = {
    5: _from_averages, 6: _from_averages, 17: _from_averages,
    13: _from_table_13, 14: _from_table_14, 15: _from_table_15, 16: _from_table_16,
}  # fmt: skip
