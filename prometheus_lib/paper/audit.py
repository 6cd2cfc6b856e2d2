"""Contradictions that arithmetic finds among the paper's printed numbers.

Each finder returns one line per finding: table, row, column, published, recomputed, note. They hold for the version of
the paper transcribed here; later versions may have repaired some points. Each takes an optional `published` table of
the same form as `load_published()`, to audit corrected numbers the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import pandas as pd

from .published import AVERAGES, load_published, published_table, published_value

FINDING_COLUMNS = ["table", "row", "column", "published", "recomputed", "note"]
_SLACK = 1e-9  # floating-point slack on comparisons of printed decimals
_OWNED_BY = "; the printed one is that of "
_DIRECT = "DIRECT ASSESSMENT BENCHMARKS | "
_PAIRWISE = "PAIRWISE RANKING BENCHMARKS | "

HHH_GROUPS = {
    "HHH ALIGNMENT | Help.": 59,
    "HHH ALIGNMENT | Harm.": 58,
    "HHH ALIGNMENT | Hon.": 61,
    "HHH ALIGNMENT | Other": 43,
}
_HHH, _PREFERENCE = 221, 2000
_MT_BENCH, _MT_BENCH_WITH_TIES = 1020, 1431
_AUTOJ, _AUTOJ_WITH_TIES = 1019, 1392

# Rows behind each accuracy column. HHH and Auto-J are counted in the released files; for MT-Bench human
# judgment it is the size that fits the printed percentages, since the text's 3,360 votes do not.
ACCURACY_ROWS = HHH_GROUPS | {
    "HHH ALIGNMENT | Total Avg.": _HHH,
    "MT BENCH HUMAN JUDG. | w/ TIE": _MT_BENCH_WITH_TIES,
    "MT BENCH HUMAN JUDG. | w/o TIE": _MT_BENCH,
    "AUTO-J EVAL | w/ TIE": _AUTOJ_WITH_TIES,
    "AUTO-J EVAL | w/o TIE": _AUTOJ,
    "Preference Bench | Instance-wise Criteria": _PREFERENCE,
    "HHH ALIGNMENT | Direct2Pair": _HHH,
    "HHH ALIGNMENT | Pair2Pair": _HHH,
    "MT BENCH HUMAN JUDG. | Direct2Pair": _MT_BENCH,
    "MT BENCH HUMAN JUDG. | Pair2Pair": _MT_BENCH,
    "AUTO-J EVAL | Direct2Pair": _AUTOJ,
    "AUTO-J EVAL | Pair2Pair": _AUTOJ,
    f"{_PAIRWISE}HHH Align.": _HHH,
    f"{_PAIRWISE}MT Ben. H.J.": _MT_BENCH,
    f"{_PAIRWISE}Auto-J Eval": _AUTOJ,
    f"{_PAIRWISE}HHH ALIGN.": _HHH,
    f"{_PAIRWISE}MT BEN. H.J.": _MT_BENCH,
    f"{_PAIRWISE}AUTO-J": _AUTOJ,
    f"{_PAIRWISE}Pref. Ben.": _PREFERENCE,
}

_MISTRAL, _MIXTRAL = "MISTRAL-INSTRUCT-7B", "MIXTRAL-INSTRUCT-8x7B"
_PROMETHEUS_7B, _PROMETHEUS_8X7B = "PROMETHEUS-2-7B", "PROMETHEUS-2-8x7B"
_TABLES_5_6_COLUMNS = {
    f"{_DIRECT}Vicuna Ben.": (3, "VICUNA BENCH | GPT-4-1106"),
    f"{_DIRECT}MT Ben.": (3, "MT BENCH | GPT-4-1106"),
    f"{_DIRECT}FLASK": (3, "FLASK | GPT-4-1106"),
    f"{_PAIRWISE}HHH Align.": (4, "HHH ALIGNMENT | Total Avg."),
    f"{_PAIRWISE}MT Ben. H.J.": (4, "MT BENCH HUMAN JUDG. | w/o TIE"),
    f"{_PAIRWISE}Auto-J Eval": (4, "AUTO-J EVAL | w/o TIE"),
}
# Cells that repeat a number of Table 3 or 4: table -> (row -> row there, column -> (table, column) there).
RESTATED: dict[int, tuple[dict[str, str], dict[str, tuple[int, str]]]] = {
    5: (
        {
            "Mistral-Instruct-7B | PROMPTING": _MISTRAL,
            "Mistral-Instruct-7B | WEIGHT MERGING": _PROMETHEUS_7B,
            "Mixtral-Instruct-8x7B | PROMPTING": _MIXTRAL,
            "Mixtral-Instruct-8x7B | WEIGHT MERGING": _PROMETHEUS_8X7B,
        },
        _TABLES_5_6_COLUMNS,
    ),
    6: (
        {"NO TRAINING (PROMPTING)": _MISTRAL, "DIRECT ASSESSMENT & PAIRWISE RANKING": _PROMETHEUS_7B},
        _TABLES_5_6_COLUMNS,
    ),
    13: (
        {
            "AUTO-J (13B)": "AUTO-J (13B)",
            "PROMETHEUS-2-7B": _PROMETHEUS_7B,
            "PROMETHEUS-2-8X7B": _PROMETHEUS_8X7B,
            "GPT-4-1106-PREVIEW": "GPT-4-1106-PREVIEW",
            "CLAUDE-3-OPUS": "CLAUDE-3-OPUS",
        },
        {
            "HHH ALIGNMENT | Pair2Pair": (4, "HHH ALIGNMENT | Total Avg."),
            "MT BENCH HUMAN JUDG. | Pair2Pair": (4, "MT BENCH HUMAN JUDG. | w/o TIE"),
            "AUTO-J EVAL | Pair2Pair": (4, "AUTO-J EVAL | w/o TIE"),
        },
    ),
    16: (
        {
            "MISTRAL-INSTRUCT": _MISTRAL,
            "MIXTRAL-INSTRUCT": _MIXTRAL,
            "PROMETHEUS-2-7B": _PROMETHEUS_7B,
            "PROMETHEUS-2-8x7B": _PROMETHEUS_8X7B,
            "GPT-3.5-TURBO-0613": "GPT-3.5-TURBO-0613",
            "GPT-4-1106": "GPT-4-1106",
        },
        {"FLASK | Reference-based": (3, "FLASK | Humans")},
    ),
    17: (
        {"DARE-LINEAR": _PROMETHEUS_7B},
        {
            f"{_DIRECT}VICUNA BEN.": (3, "VICUNA BENCH | GPT-4-1106"),
            f"{_DIRECT}MT BEN.": (3, "MT BENCH | GPT-4-1106"),
            f"{_DIRECT}FLASK (HUMAN)": (3, "FLASK | Humans"),
            f"{_DIRECT}Feedback Ben.": (3, "Feedback Bench | GPT-4-0613"),
            f"{_PAIRWISE}HHH ALIGN.": (4, "HHH ALIGNMENT | Total Avg."),
            f"{_PAIRWISE}MT BEN. H.J.": (4, "MT BENCH HUMAN JUDG. | w/o TIE"),
            f"{_PAIRWISE}AUTO-J": (4, "AUTO-J EVAL | w/o TIE"),
            f"{_PAIRWISE}Pref. Ben.": (4, "Preference Bench | Instance-wise Criteria"),
        },
    ),
}


class _Restated(NamedTuple):
    """A cell that repeats another table's number, and the cell (`source...`) that it repeats."""

    row: str
    column: str
    value: float
    source: int
    source_row: str
    source_column: str
    source_value: float


def averages_that_differ(table: int, published: pd.DataFrame | None = None) -> pd.DataFrame:
    """Find "Average" cells of Table 5, 6 or 17 that are not the mean of the columns beside them.

    A difference counts when it exceeds one unit of the last printed digit: rounding of the parts and of their
    mean explains no more. The last column of Table 17 is compared with the mean of its two averages, with the
    direct one x 100.

    >>> averages_that_differ(17)[["row", "column", "published", "recomputed"]].values.tolist()[0]
    ['LINEAR', 'Average', 82.93, 71.63]
    """
    wide = published_table(table, published=published)
    if not any(column.endswith("Average") for column in wide):
        raise ValueError(f"Table {table} has no column of averages; tables 5, 6 and 17 have")
    found = []
    for heading, unit in ((_DIRECT, 0.001), (_PAIRWISE, 0.01)):
        parts = [column for column in wide if column.startswith(heading) and column != f"{heading}Average"]
        mean = wide[parts].mean(axis=1, skipna=False)
        note = f"mean of its {len(parts)} columns"
        found += _cells_off(table, f"{heading}Average", wide, mean, unit, lambda row, note=note: note)
    if "Average" in wide:
        mean = (100 * wide[f"{_DIRECT}Average"] + wide[f"{_PAIRWISE}Average"]) / 2
        found += _cells_off(table, "Average", wide, mean, 0.1, lambda row: _overall_note(wide.loc[row]))
    return _findings(found)


def restated_values_that_differ(table: int, published: pd.DataFrame | None = None) -> pd.DataFrame:
    """Find numbers of Table 5, 6, 13, 16 or 17 that differ from Table 3 or 4, same judge and benchmark.

    `recomputed` is the number of Table 3 or 4. The note names the judge whose number stands there, if any.

    >>> restated_values_that_differ(6)[["row", "published", "recomputed"]].values.tolist()
    [['NO TRAINING (PROMPTING)', 0.48, 0.448], ['DIRECT ASSESSMENT & PAIRWISE RANKING', 0.659, 0.617]]
    """
    found = []
    for cell in _restated_cells(table, published):
        if abs(cell.value - cell.source_value) > _SLACK:
            owners = _rows_with_value(cell.source, cell.source_column, cell.value, published)
            note = f"Table {cell.source} prints another value for {cell.source_row}, {cell.source_column}"
            note += _OWNED_BY + ", ".join(owners) if owners else ""
            found.append((table, cell.row, cell.column, cell.value, cell.source_value, note))
    return _findings(found)


def values_shared_with_another_row(published: pd.DataFrame | None = None) -> pd.DataFrame:
    """Find numbers of Tables 5 and 6 that belong to another judge in Table 3 or 4.

    >>> values_shared_with_another_row()["note"][0].rpartition("; ")[2]
    'the printed one is that of PROMETHEUS-2-8x7B'
    """
    found = pd.concat([restated_values_that_differ(table, published) for table in (5, 6)], ignore_index=True)
    return found[found["note"].str.contains(_OWNED_BY, regex=False)].reset_index(drop=True)


def spearman_values_in_pearson_columns(published: pd.DataFrame | None = None) -> pd.DataFrame:
    """Find numbers said to be Pearson (Table 3; FLASK in Table 16) that equal the Spearman of Table 12.

    For Table 16 `recomputed` is the Pearson of Table 3, and a number equal to it is no finding. For Table 3
    no second Pearson is printed (NaN); a single equal number there may be chance, two in one row hardly.

    >>> spearman_values_in_pearson_columns()["table"].tolist()
    [3, 3, 3, 3, 16, 16, 16]
    """
    pearson, found = published_table(3, published=published), []
    for row in pearson.index:
        for column, value in pearson.loc[row].items():
            if value == published_value(12, row, column, published):
                found.append((3, row, column, value, float("nan"), "same number as the Spearman of Table 12"))
    for cell in _restated_cells(16, published):
        spearman = published_value(12, cell.source_row, cell.source_column, published)
        if cell.value != cell.source_value and cell.value == spearman:
            note = f"Table 12's Spearman of {cell.source_row}, {cell.source_column}; Table 3 has the Pearson"
            found.append((16, cell.row, cell.column, cell.value, cell.source_value, note))
    return _findings(found)


def impossible_accuracies(published: pd.DataFrame | None = None) -> pd.DataFrame:
    """Find accuracies (percent, two decimals) that no whole count over the benchmark's rows can give.

    Rows per column are in `ACCURACY_ROWS`. `recomputed` is the nearest possible percentage.

    >>> impossible_accuracies()["note"][0]
    'nearest whole count: 728 of 1020'
    """
    found = []
    for cell in _all_rows(published).itertuples():
        rows = ACCURACY_ROWS.get(cell.column)
        if rows is None or pd.isna(cell.value):
            continue
        count = _right_answers(cell.value, rows)
        nearest = 100 * count / rows
        if abs(nearest - cell.value) > 0.005 + _SLACK:
            note = f"nearest whole count: {count} of {rows}"
            found.append((cell.table, cell.row, cell.column, cell.value, round(nearest, 2), note))
    return _findings(found)


def hhh_total_mismatch(published: pd.DataFrame | None = None) -> pd.DataFrame:
    """Find HHH totals of Table 4 whose right answers, of 221 pairs, are not the sum of the four groups'.

    >>> hhh_total_mismatch()["note"][0]
    'groups 43 + 46 + 47 + 33 = 169 right answers of 221, total 165'
    """
    wide, column, found = published_table(4, published=published), "HHH ALIGNMENT | Total Avg.", []
    for row, cells in wide.dropna(subset=[*HHH_GROUPS, column]).iterrows():
        parts = [_right_answers(cells[group], rows) for group, rows in HHH_GROUPS.items()]
        total = _right_answers(cells[column], _HHH)
        if sum(parts) != total:
            by_group = " + ".join(map(str, parts))
            note = f"groups {by_group} = {sum(parts)} right answers of {_HHH}, total {total}"
            found.append((4, row, column, cells[column], round(100 * sum(parts) / _HHH, 2), note))
    return _findings(found)


def ties_counted_wrong(published: pd.DataFrame | None = None) -> pd.DataFrame:
    """Find "w/ TIE" accuracies of Table 4 with exactly the right answers of "w/o TIE": each tie was wrong.

    That is pairwise ranking without a tie option, not the mixture with direct assessment of section 4.

    >>> ties_counted_wrong()[["row", "published"]].values.tolist()[0]
    ['PROMETHEUS-2-7B', 50.45]
    """
    wide, found = published_table(4, published=published), []
    for benchmark in ("MT BENCH HUMAN JUDG.", "AUTO-J EVAL"):
        with_ties, without = f"{benchmark} | w/ TIE", f"{benchmark} | w/o TIE"
        for row, cells in wide.dropna(subset=[with_ties, without]).iterrows():
            right = _right_answers(cells[without], ACCURACY_ROWS[without])
            if right == _right_answers(cells[with_ties], ACCURACY_ROWS[with_ties]):
                implied = round(100 * right / ACCURACY_ROWS[with_ties], 2)
                note = f"{right} right answers with and without the ties"
                found.append((4, row, with_ties, cells[with_ties], implied, note))
    return _findings(found)


def all_contradictions(published: pd.DataFrame | None = None) -> pd.DataFrame:
    """Run every finder; the first column `check` names it, so one cell may stand under several checks.

    `values_shared_with_another_row` is left out: its findings are a part of `restated_values_that_differ`.

    >>> len(all_contradictions())
    44
    """
    by_table: list[tuple[Callable[..., pd.DataFrame], Iterable[int]]] = [
        (averages_that_differ, (5, 6, 17)),
        (restated_values_that_differ, RESTATED),
    ]
    whole = [spearman_values_in_pearson_columns, impossible_accuracies]
    whole += [hhh_total_mismatch, ties_counted_wrong]
    found = [(finder, finder(table, published)) for finder, tables in by_table for table in tables]
    found += [(finder, finder(published)) for finder in whole]
    parts = [part.assign(check=finder.__name__) for finder, part in found if len(part)]
    columns = ["check", *FINDING_COLUMNS]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def repaired_table(number: int) -> pd.DataFrame:
    """Return Table 5, 6 or 17 with its repeated numbers taken from Tables 3 and 4, and its averages computed anew.

    >>> averages = repaired_table(5)["DIRECT ASSESSMENT BENCHMARKS | Average"]
    >>> float(averages["Mistral-Instruct-7B | WEIGHT MERGING"].round(4))
    0.6103
    """
    wide = published_table(number)
    for each in restated_values_that_differ(number).itertuples():
        wide.at[each.row, each.column] = each.recomputed
    for average in AVERAGES.values():
        heading = average.removesuffix("Average")
        beside = [column for column in wide if column.startswith(heading) and column != average]
        wide[average] = wide[beside].mean(axis=1, skipna=False)
    return wide


def _all_rows(published: pd.DataFrame | None) -> pd.DataFrame:
    return load_published() if published is None else published


def _findings(found: list[tuple]) -> pd.DataFrame:
    return pd.DataFrame(found, columns=FINDING_COLUMNS)


def _cells_off(
    table: int, column: str, wide: pd.DataFrame, expected: pd.Series, unit: float, note: Callable[[str], str]
) -> list[tuple]:
    """Rows of one column further than `unit` from what is expected there."""
    off = wide.index[(wide[column] - expected).abs() > unit + _SLACK]
    return [(table, row, column, wide.at[row, column], round(expected[row], 4), note(row)) for row in off]


def _overall_note(cells: pd.Series) -> str:
    note = "mean of the direct (x 100) and the pairwise average"
    in_domain = (100 * cells[f"{_DIRECT}Feedback Ben."] + cells[f"{_PAIRWISE}Average"]) / 2
    # Half a unit of Feedback Bench x 100 is 0.05, halved in the mean; the other two roundings add 0.0075.
    if abs(cells["Average"] - in_domain) <= 0.0325 + _SLACK:
        note += "; printed is the mean of Feedback Bench alone (x 100) and the pairwise average"
    return note


def _restated_cells(table: int, published: pd.DataFrame | None) -> list[_Restated]:
    if table not in RESTATED:
        raise ValueError(f"Table {table} restates no cell of Table 3 or 4; tables {sorted(RESTATED)} do")
    rows, columns = RESTATED[table]
    cells = []
    for row, source_row in rows.items():
        for column, (source, source_column) in columns.items():
            value = published_value(table, row, column, published)
            source_value = published_value(source, source_row, source_column, published)
            cells.append(_Restated(row, column, value, source, source_row, source_column, source_value))
    return cells


def _rows_with_value(table: int, column: str, value: float, published: pd.DataFrame | None) -> list[str]:
    cells = published_table(table, published=published)[column]
    return list(cells.index[(cells - value).abs() <= _SLACK])


def _right_answers(percent: float, rows: int) -> int:
    return round(percent * rows / 100)
