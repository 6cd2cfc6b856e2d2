"""Where the paper's printed numbers stand in our tables: each of its columns takes the place of one or more of ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..data import minibench
from ..data.catalogue import PAIR_BENCHMARKS, REAL_NAMES, TIE_BENCHMARKS, TITLES
from ..paper import published_table
from .cells import Cell
from .rows import human_rater, raters
from .run import Items, Run

DIRECT_AVERAGE, PAIR_AVERAGE, OVERALL = "Direct average", "Pairwise average", "Overall average"
AVERAGE_UNITS = {DIRECT_AVERAGE: "pearson", PAIR_AVERAGE: "accuracy", OVERALL: "percent"}
REFERENCE_PARTS = ("reference-free", "reference-based", "difference")
CONSISTENCY = "consistency"  # how many pairs are decided alike in both orders: a column beside a benchmark's accuracies
CONSISTENCY_PARTS = {"Direct2Pair": "Direct2Pair", "Pair2Pair": "Pair2Pair", "Δ": "Pair2Pair - Direct2Pair"}

# The paper's names -> our names.
_RATERS = {"GPT-4-1106": "sim-strong", "Claude-3-Opus": "sim-second", "Humans": "sim-crowd", "GPT-4-0613": "sim-strong"}
_REAL_RATERS = {
    "GPT-4-1106": "gpt-4-1106", "Claude-3-Opus": "claude-3-opus", "Humans": "human", "GPT-4-0613": "gpt-4-0613",
}  # fmt: skip
_PAPER_TITLES = {
    "vicuna": "vicuna_bench", "mt ben": "mt_bench", "flask": "flask", "feedback": "feedback_bench",
    "hhh": "hhh_alignment", "mt ben. h.j.": "mt_bench_human", "mt bench human": "mt_bench_human",
    "auto-j": "autoj_eval", "pref": "preference_bench", "biggen": "biggen_bench",
}  # fmt: skip
HHH_REAL = {"Help.": "helpful", "Harm.": "harmless", "Hon.": "honest", "Other": "other"}


def published_cells(number: str, columns: Mapping[str, Sequence[str]], units: str | Mapping[str, str]) -> list[Cell]:
    """Return published cells: each of the paper's columns stands in every column of ours that it is given.

    `units` is the unit of all, or that of each of the paper's columns.
    """
    wide = published_table(int(number))
    of = dict.fromkeys(columns, units) if isinstance(units, str) else units
    note = "paper's column: "
    return [
        Cell(row, ours, float(wide.at[row, paper]), unit=of[paper], kind="published", note=note + paper)
        for row in wide.index
        for paper, places in columns.items()
        for ours in places
    ]


def paper_benchmark(heading: str) -> str:
    """Return our name of a benchmark as one of the paper's tables prints it (the longest match wins)."""
    text = heading.casefold()
    return _PAPER_TITLES[max((start for start in _PAPER_TITLES if text.startswith(start)), key=len)]


def real_column(name: str, part: str) -> str:
    """Return the column of a real benchmark file, where its numbers stand beside the miniature's."""
    return f"{TITLES[name]} (real) | {part}"


def accuracy_column(name: str, part: str = "total") -> str:
    """Return the name of a pairwise benchmark's column; Preference Bench has only one accuracy."""
    only = name == "preference_bench" and part != CONSISTENCY
    return TITLES[name] if only else f"{TITLES[name]} | {part}"


def measure_column(name: str, items: Items, human: bool = False) -> str:
    """Return the column in which Tables 5, 6 and 17 show a benchmark: the rater meant, or accuracy without ties."""
    if name in PAIR_BENCHMARKS:
        return accuracy_column(name, "w/o TIE" if name in TIE_BENCHMARKS else "total")
    return f"{TITLES[name]} | {human_rater(items) if human else raters(items)[0]}"


def correlation_places(run: Run, number: str) -> dict[str, list[str]]:
    """Where the columns of Tables 3, 11 and 12 stand: benchmark and rater, and the real file where we have it."""
    names = _RATERS if run.scale.miniature else _REAL_RATERS
    places = {}
    for column in published_table(int(number)).columns:
        heading, rater = column.split(" | ")
        name = paper_benchmark(heading)
        places[column] = [f"{TITLES[name]} | {names[rater]}"]
        if name in REAL_NAMES and rater == "GPT-4-1106":
            places[column].append(real_column(name, "gpt-4-1106"))
    return places


def accuracy_places(run: Run) -> dict[str, list[str]]:
    """Where the columns of Table 4 stand."""
    groups = list(minibench.HHH_GROUPS) if run.scale.miniature else list(HHH_REAL.values())
    ours = dict(zip(HHH_REAL, groups)) | {"Total Avg.": "total"}
    places = {}
    for column in published_table(4).columns:
        heading, part = column.split(" | ")
        name = paper_benchmark(heading)
        places[column] = [accuracy_column(name, ours.get(part, part))]
        if name in REAL_NAMES:
            places[column].append(real_column(name, {**HHH_REAL, "Total Avg.": "total"}.get(part, part)))
    return places


def average_places(run: Run, number: str) -> dict[str, list[str]]:
    """Where the columns of Tables 5, 6 and 17 stand."""
    places = {}
    for column in published_table(int(number)).columns:
        heading, _, part = column.rpartition(" | ")
        if part == "Average":
            places[column] = [{"DIR": DIRECT_AVERAGE, "PAI": PAIR_AVERAGE, "": OVERALL}[heading[:3]]]
            continue
        name = paper_benchmark(part)
        items = run.items.get(name)
        if items is not None:
            places[column] = [measure_column(name, items, human=number == "17" and name == "flask")]
    return places


def average_units(number: str) -> dict[str, str]:
    """Units of the columns of Tables 5, 6 and 17, as the paper's heading says: direct, pairwise, or both."""
    units = {"DIR": "pearson", "PAI": "accuracy", "": "percent"}
    return {column: units[column.rpartition(" | ")[0][:3]] for column in published_table(int(number)).columns}


def figure_1_places(run: Run) -> dict[str, list[str]]:
    """Where Table 3's columns for FLASK stand in Figure 1: under the rater's name."""
    places = correlation_places(run, "3")
    return {c: [place.split(" | ")[1] for place in places[c]] for c in places if "FLASK" in c}


def consistency_places() -> dict[str, list[str]]:
    """Where the columns of Table 13 stand."""
    columns = [(column, column.split(" | ")[1]) for column in published_table(13).columns]
    return {column: [accuracy_column(paper_benchmark(column), CONSISTENCY_PARTS[part])] for column, part in columns}


def alpha_places() -> dict[str, list[str]]:
    """Where the columns of Table 14 stand; FLASK has no real file."""
    names = {column: paper_benchmark(column) for column in published_table(14).columns}
    real = {name: [f"{TITLES[name]} (real)"] if name in REAL_NAMES else [] for name in names.values()}
    return {column: [TITLES[name], *real[name]] for column, name in names.items()}


def reference_places() -> dict[str, list[str]]:
    """Where the columns of Table 16 stand."""
    parts = dict(zip(("Reference-free", "Reference-based", "Δ"), REFERENCE_PARTS))
    columns = [(column, column.split(" | ")[1]) for column in published_table(16).columns]
    return {column: [f"{TITLES[paper_benchmark(column)]} | {parts[part]}"] for column, part in columns}
