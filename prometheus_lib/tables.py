"""The paper's tables and figures as data, computed from judgment files alone: no model is needed.

Every table is one function from a `Run` to a long DataFrame of *cells*, one line per number, with the columns of
`COLUMNS`. Ours, floors, ceilings, rows from real data and the published numbers stand in one frame, told apart by
`kind`. Correlations and agreement are fractions, accuracies and transitivity are in percent, as the paper prints them.

- `value`, `low`, `high`: estimate and 95 % bootstrap interval, whole instructions resampled (`scale.resamples` times).
- `n`: items behind the value; `unparsed`: judgments among them that could not be read (never filled in).
- `variant`: the rule, where rules differ: "paper-text", "paper-code", "corrected", "ties half", "as printed".
- Published rows stand in the column that takes the place of the paper's; their note names the paper's own column.
  They were measured on other benchmarks with other raters, so compare direction and order, not size.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from . import baselines, benchmarks, metrics, minibench
from .metrics import Comparison, Floats, Interval
from .published import published_table
from .records import DataError, DirectItem, PairItem, read_items, write_text_atomic
from .scale import (
    ALPHAS,
    CONSISTENCY_BENCHMARKS,
    DIRECT_BENCHMARKS,
    PAIR_BENCHMARKS,
    REFERENCE_BENCHMARKS,
    TIE_BENCHMARKS,
    Scale,
    alpha_judge,
)
from .store import load_judgments

Items = Sequence[DirectItem] | Sequence[PairItem]
Cell = dict[str, Any]
Objects = NDArray[np.object_]

COLUMNS = ("table", "row", "column", "value", "low", "high", "n", "unparsed", "kind", "variant", "note")
_NUMBERS = {"value": "float64", "low": "float64", "high": "float64", "n": "Int64", "unparsed": "Int64"}
KEY = ("kind", "row", "column", "variant")
KINDS = (
    "judge", "difference", "benchmark", "ceiling", "floor",
    "real benchmark", "real judge", "real ceiling", "real floor", "published",
)  # fmt: skip
TITLES = {
    "vicuna_bench": "Vicuna Bench", "mt_bench": "MT Bench", "flask": "FLASK", "feedback_bench": "Feedback Bench",
    "hhh_alignment": "HHH Alignment", "mt_bench_human": "MT Bench Human", "autoj_eval": "Auto-J Eval",
    "preference_bench": "Preference Bench", "biggen_bench": "BiGGen Bench",
}  # fmt: skip
CAPTIONS = {
    "1": "Statistics of the training collections",
    "2": "Statistics of the benchmarks, and what a judge that always finds the true score would reach",
    "3": "Direct assessment: Pearson correlation with each rater",
    "4": "Pairwise ranking: accuracy in percent",
    "5": "Single-format training, joint training and weight merging",
    "6": "Merging formats against merging two experts of one format",
    "11": "Direct assessment: Kendall's tau-b with each rater",
    "12": "Direct assessment: Spearman correlation with each rater",
    "13": "Consistency across formats: accuracy in percent",
    "14": "Consistency of three draws: Krippendorff's alpha, ordinal",
    "15": "Consistency of pairwise decisions: transitivity in percent",
    "16": "Judging with and without the reference answer: Pearson correlation",
    "17": "Merging methods",
    "figure_1": "Pearson correlation between raters and judges",
    "figure_3": "Linear merging: averages for each alpha (share of the direct expert)",
}
REAL_NAMES = ("vicuna_bench", "mt_bench", "hhh_alignment", "autoj_eval")
RESEARCH_DIRECT, RESEARCH_PAIR = DIRECT_BENCHMARKS[:3], PAIR_BENCHMARKS[:3]  # Tables 5 and 6 leave in-domain out
REFERENCE_JUDGE = "linear"  # Table 17 compares every merge with it
COMPARISON_RESAMPLES = 10_000
DIRECT_AVERAGE, PAIR_AVERAGE, OVERALL = "Direct average", "Pairwise average", "Overall average"
NAN = math.nan

# The paper's names -> our names.
_RATERS = {"GPT-4-1106": "sim-strong", "Claude-3-Opus": "sim-second", "Humans": "sim-crowd", "GPT-4-0613": "sim-strong"}
_REAL_RATERS = {
    "GPT-4-1106": "gpt-4-1106", "Claude-3-Opus": "claude-3-opus", "Humans": "human", "GPT-4-0613": "gpt-4-0613",
}  # fmt: skip
_HUMANS = ("sim-crowd", "human")
_PAPER_TITLES = {
    "vicuna": "vicuna_bench", "mt ben": "mt_bench", "flask": "flask", "feedback": "feedback_bench",
    "hhh": "hhh_alignment", "mt ben. h.j.": "mt_bench_human", "mt bench human": "mt_bench_human",
    "auto-j": "autoj_eval", "pref": "preference_bench", "biggen": "biggen_bench",
}  # fmt: skip
_HHH_REAL = {"Help.": "helpful", "Harm.": "harmless", "Hon.": "honest", "Other": "other"}
_FLOORS = {  # one name for the trivial judge of both formats
    "random": ("random score", "random"),
    "length": ("response length", "longer wins"),
    "closeness to reference": ("similarity to reference", "closer to reference"),
}
_OTHERS = "mean of the other answers' scores"


# --- a run -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    """What the tables are computed from: `items` and `real` by the paper's benchmark name ("vicuna_bench", ...).

    `replay` holds Auto-J 13B's recorded decisions on the real Auto-J Eval (item order, swapped order mapped back).
    """

    scale: Scale
    judgments: pd.DataFrame
    items: dict[str, Items]
    real: dict[str, Items] = field(default_factory=dict)
    replay: tuple[list[str], list[str]] | None = None

    def scores(self, judge: str, name: str, with_reference: bool = True) -> Floats | None:
        """Return a judge's direct scores (items, draws), NaN for unparsed; None when there are none."""
        ids = [item.id for item in self.items[name]]
        return _floats(self._draws(judge, name, "direct", ids, with_reference))

    def choices(self, judge: str, name: str, order: str = "ab") -> Objects | None:
        """Return a judge's pairwise decisions (items,): "A", "B" or None (unparsed); None when there are none."""
        ids = [item.id for item in self.items[name]]
        table = self._draws(judge, name, "pairwise", ids, False, order)
        return None if table is None else table[:, 0]

    def pair_scores(self, judge: str, name: str) -> tuple[Floats, Floats] | None:
        """Return the direct scores (items, draws) of each pair's response A and response B."""
        sides = [
            _floats(self._draws(judge, name, "direct", [f"{item.id}#{side}" for item in self.items[name]], False))
            for side in "ab"
        ]
        return None if any(side is None for side in sides) else (sides[0], sides[1])

    def answers(self, judge: str, name: str) -> tuple[NDArray, int] | None:
        """Return one answer per item, mean score or decision, with the number of unparsed judgments."""
        if name in PAIR_BENCHMARKS:
            choices = self.choices(judge, name)
            return None if choices is None else (choices, int(pd.isna(choices).sum()))
        scores = self.scores(judge, name)
        return None if scores is None else (metrics.mean_scores(scores), int(np.isnan(scores).sum()))

    def options(self, name: str, resamples: int | None = None) -> dict[str, int]:
        """Return bootstrap options: a seed of its own for each benchmark, so that averages resample independently."""
        return {"n_resamples": resamples or self.scale.resamples, "seed": self.scale.seed + list(TITLES).index(name)}

    def present(self, names: Iterable[str]) -> list[str]:
        """Return those of the benchmarks that this run has."""
        return [name for name in names if name in self.items]

    @cached_property
    def _groups(self) -> dict[tuple, pd.DataFrame]:
        keys = ["judge", "benchmark", "format", "with_reference", "order"]
        return dict(list(self.judgments.groupby(keys, sort=False)))

    def _draws(
        self, judge: str, name: str, format: str, ids: list[str], with_reference: bool, order: str = "ab"
    ) -> Objects | None:
        """Decisions (items, draws), None where unparsed or missing; a missing judgment is warned about."""
        group = self._groups.get((judge, self.scale.benchmark_name(name), format, with_reference, order))
        if group is None:
            return None
        rows, draws = pd.Index(ids).get_indexer(group["item_id"]), group["draw"].to_numpy(int)
        known = rows >= 0
        if not known.any():
            return None
        table = np.full((len(ids), int(draws.max()) + 1), None, dtype=object)
        table[rows[known], draws[known]] = group["decision"].to_numpy(object)[known]
        if known.sum() < table.size:
            warnings.warn(
                f"{judge}, {name} ({format}): {table.size - known.sum()} of {table.size} judgments are missing and "
                "count as unparsed; run notebook 05 to its end.",
                stacklevel=3,
            )
        return table


def load_run(scale: Scale, data_dir: str | Path | None = None, real: bool = True) -> Run:
    """Read judgments and benchmark items of a scale and, with `real`, the real benchmarks.

    A benchmark file that is missing is named in a printed line and left out; DataError when none is there or when
    there are no judgments. Real data is looked for in `data_dir`, else PROMETHEUS_DATA_DIR, else the download cache.
    """
    judgments = latest_judgments(load_judgments(scale.paths.judgments))
    items = _load_each(TITLES, lambda name: read_items(scale.paths.benchmark(scale.benchmark_name(name))))
    if not items:
        raise DataError(f"{scale.paths.data / 'benchmarks'}: no benchmark files; run notebook 05 first.")
    if not real:
        return Run(scale, judgments, items)
    found = _load_each(REAL_NAMES, lambda name: benchmarks.load_benchmark(name, data_dir))
    replay = _load_each(("Auto-J 13B",), lambda _: benchmarks.load_autoj_replay(data_dir)) if found else {}
    return Run(scale, judgments, items, found, replay.get("Auto-J 13B"))


def _load_each(names: Iterable[str], load: Callable[[str], Any]) -> dict[str, Any]:
    found = {}
    for name in names:
        try:
            found[name] = load(name)
        except DataError as error:
            print(f"Left out: {error}")
    return found


def latest_judgments(judgments: pd.DataFrame) -> pd.DataFrame:
    """Keep the last judgment of each judge, item, format, order and draw; earlier ones are counted in a warning.

    A judge that was trained again leaves its old judgments in its file.
    """
    key = ["judge", "benchmark", "item_id", "format", "with_reference", "order", "draw"]
    old = judgments.duplicated(key, keep="last")
    if old.any():
        names = ", ".join(sorted(set(judgments.loc[old, "judge"])))
        warnings.warn(f"{int(old.sum())} judgments of earlier models are not used ({names}).", stacklevel=2)
    return judgments[~old].reset_index(drop=True)


def _floats(table: Objects | None) -> Floats | None:
    return None if table is None else table.astype(float)


# --- cells -----------------------------------------------------------------------------------------------------------


class Answers(NamedTuple):
    """One row of a table before it meets a rater: mean scores or decisions (items,), and how many are unparsed."""

    row: str
    kind: str
    values: NDArray
    unparsed: int = 0


class Sample(NamedTuple):
    """A statistic with its resamples, so that averages of several get an interval."""

    value: float
    draws: Floats
    n: int
    unparsed: int


def cell(row: str, column: str, value: float = NAN, kind: str = "judge", **more: Any) -> Cell:
    """Return one cell; what is not given is empty."""
    empty = {"low": NAN, "high": NAN, "n": None, "unparsed": None, "variant": "", "note": ""}
    return {"row": row, "column": column, "value": value, "kind": kind, **empty, **more}


def cells_table(number: str, cells: Iterable[Cell]) -> pd.DataFrame:
    """Return the cells of one table as a DataFrame with the columns of `COLUMNS`."""
    table = pd.DataFrame([{"table": number, **each} for each in cells], columns=list(COLUMNS))
    return table.astype(_NUMBERS)


def _from_interval(row: str, column: str, interval: Interval, kind: str, **more: Any) -> Cell:
    spread = {"low": interval.low, "high": interval.high, "n": interval.n}
    return cell(row, column, interval.estimate, kind, **{**spread, **more})


def raters(items: Sequence[DirectItem]) -> list[str]:
    """Return the raters of a direct benchmark, the strongest first (GPT-4-1106 or its stand-in)."""
    return list(dict.fromkeys(rater for item in items for rater in item.scores))


def human_rater(items: Sequence[DirectItem]) -> str:
    """Return the rater in the humans' place; the first one where a benchmark has none."""
    known = raters(items)
    return next((rater for rater in known if rater in _HUMANS), known[0])


def rater_means(items: Sequence[DirectItem], rater: str) -> Floats:
    """Return a rater's mean score per item (items,), NaN where the rater gave none."""
    return np.array([np.mean(item.scores[rater]) if item.scores.get(rater) else NAN for item in items])


def rater_draws(items: Sequence[DirectItem], rater: str) -> Floats:
    """Return a rater's draws (items, draws), NaN where there are fewer."""
    draws = [item.scores.get(rater, []) for item in items]
    width = max(map(len, draws), default=0)
    return np.array([[*row, *[NAN] * (width - len(row))] for row in draws], dtype=float)


def clusters(items: Items) -> list[str]:
    """Return each item's instruction, the unit of resampling."""
    return [item.cluster or item.id for item in items]


def labels(items: Sequence[PairItem]) -> list[str]:
    """Return the labels of pair items."""
    return [item.label for item in items]


def _judges(run: Run, name: str, judges: Iterable[str]) -> list[Answers]:
    found = ((judge, run.answers(judge, name)) for judge in judges)
    return [Answers(judge, "judge", *answers) for judge, answers in found if answers is not None]


def _floors(items: Items, kind: str = "floor") -> list[Answers]:
    """The trivial judges of the items' format; one that needs a reference answer is left out where there is none."""
    direct = isinstance(items[0], DirectItem)
    named = baselines.DIRECT_BASELINES if direct else baselines.PAIR_BASELINES
    rows = ((name, function(list(items))) for name, function in named.items())
    return [
        Answers(name, kind, _vector(values, direct), sum(v is None for v in values))
        for name, values in rows
        if any(v is not None for v in values)
    ]


def _vector(values: Sequence[Any], direct: bool) -> NDArray:
    return np.array(values, dtype=float) if direct else np.array(values, dtype=object)


def _ceilings(items: Items, rater: str = "") -> list[Answers]:
    """The other raters of a direct benchmark, and the true score where the miniature world knows it."""
    if isinstance(items[0], PairItem):
        known = "true_a" in items[0].meta
        truth = [minibench.true_decision(item) for item in items] if known else None
        return [Answers("true score", "ceiling", np.array(truth, dtype=object))] if known else []
    others = [Answers(f"rater {o}", "ceiling", rater_means(items, o)) for o in raters(items) if o != rater]
    if "true_score" not in items[0].meta:
        return others
    truth = np.array([item.meta["true_score"] for item in items], dtype=float)
    return [*others, Answers("true score", "ceiling", truth)]


# --- published numbers -----------------------------------------------------------------------------------------------


def _published(number: str, columns: Mapping[str, Sequence[str]], rows: Iterable[str] | None = None) -> list[Cell]:
    """Published cells: each of the paper's columns stands in every column of ours that it is given."""
    wide = published_table(int(number))
    return [
        cell(row, ours, float(wide.at[row, paper]), "published", note=f"paper's column: {paper}")
        for row in (wide.index if rows is None else rows)
        for paper, places in columns.items()
        for ours in places
    ]


def _paper_benchmark(heading: str) -> str:
    """Return our name of a benchmark as one of the paper's tables prints it (the longest match wins)."""
    text = heading.casefold()
    return _PAPER_TITLES[max((start for start in _PAPER_TITLES if text.startswith(start)), key=len)]


def _correlation_places(run: Run, number: str) -> dict[str, list[str]]:
    """Where the columns of Tables 3, 11 and 12 stand: benchmark and rater, and the real file where we have it."""
    names = _RATERS if run.scale.miniature else _REAL_RATERS
    places = {}
    for column in published_table(int(number)).columns:
        heading, rater = column.split(" | ")
        name = _paper_benchmark(heading)
        places[column] = [f"{TITLES[name]} | {names[rater]}"]
        if name in REAL_NAMES and rater == "GPT-4-1106":
            places[column].append(_real(name, "gpt-4-1106"))
    return places


def _accuracy_places(run: Run) -> dict[str, list[str]]:
    """Where the columns of Table 4 stand."""
    groups = list(minibench.HHH_GROUPS) if run.scale.miniature else list(_HHH_REAL.values())
    ours = dict(zip(_HHH_REAL, groups)) | {"Total Avg.": "total"}
    places = {}
    for column in published_table(4).columns:
        heading, part = column.split(" | ")
        name = _paper_benchmark(heading)
        places[column] = [_accuracy_column(name, ours.get(part, part))]
        if name in REAL_NAMES:
            places[column].append(_real(name, {**_HHH_REAL, "Total Avg.": "total"}.get(part, part)))
    return places


def _average_places(run: Run, number: str) -> dict[str, list[str]]:
    """Where the columns of Tables 5, 6 and 17 stand."""
    places = {}
    for column in published_table(int(number)).columns:
        heading, _, part = column.rpartition(" | ")
        if part == "Average":
            places[column] = [{"DIR": DIRECT_AVERAGE, "PAI": PAIR_AVERAGE, "": OVERALL}[heading[:3]]]
            continue
        name = _paper_benchmark(part)
        items = run.items.get(name)
        if items is not None:
            places[column] = [_measure_column(name, items, human=number == "17" and name == "flask")]
    return places


def _real(name: str, part: str) -> str:
    return f"{TITLES[name]} (real) | {part}"


def _accuracy_column(name: str, part: str = "total") -> str:
    """Return the name of a pairwise benchmark's column; Preference Bench has only one."""
    return TITLES[name] if name == "preference_bench" else f"{TITLES[name]} | {part}"


def _measure_column(name: str, items: Items, human: bool = False) -> str:
    """Return the column in which Tables 5, 6 and 17 show a benchmark: the rater meant, or accuracy without ties."""
    if name in PAIR_BENCHMARKS:
        return _accuracy_column(name, "w/o TIE" if name in TIE_BENCHMARKS else "total")
    return f"{TITLES[name]} | {human_rater(items) if human else raters(items)[0]}"


# --- Tables 1 and 2: data --------------------------------------------------------------------------------------------


def table_1(feedback_rows: Sequence[Mapping[str, Any]], preference_rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Table 1: statistics of the two training collections, counted from their rows, beside the published ones."""
    collections = {"Preference Collection": preference_rows, "Feedback Collection": feedback_rows}
    schemes = {"Preference Collection": "Pairwise Ranking", "Feedback Collection": "Direct Assessment"}
    cells = []
    for column, rows in collections.items():
        cells += _collection_cells(f"{column} (ours)", schemes[column], _collection_counts(rows))
    for column, scheme in schemes.items():
        published = published_table(1)[column.upper()].dropna()
        cells += _collection_cells(f"{column} (published)", scheme, published.to_dict())
    return cells_table("1", cells)


def _collection_cells(column: str, scheme: str, counts: Mapping[str, float]) -> list[Cell]:
    first = cell("Evaluation Scheme", column, kind="benchmark", variant="text", note=scheme)
    return [first, *[cell(row, column, count, "benchmark") for row, count in counts.items()]]


def _collection_counts(rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Distinct criteria, instructions and reference answers; rows; rows with verbal feedback."""
    distinct = {
        "# Evaluation Criteria": "orig_criteria",
        "# Instructions": "orig_instruction",
        "# Reference Answer": "orig_reference_answer",
    }
    counts = {row: len({each[name] for each in rows}) for row, name in distinct.items()}
    return {**counts, "# Instances": len(rows), "# Verbal Feedback": sum(bool(each["orig_feedback"]) for each in rows)}


def table_2(run: Run) -> pd.DataFrame:
    """Table 2: statistics of the benchmarks, and the ceiling that the simulated raters leave to any judge."""
    cells = []
    for name in run.present((*DIRECT_BENCHMARKS, *PAIR_BENCHMARKS, "biggen_bench")):
        cells += _fact_cells(TITLES[name], run.items[name], "benchmark", _source(run, name))
        cells += _ceiling_cells(run, name)
    for name, items in run.real.items():
        source = ", ".join(raters(items)) if name in DIRECT_BENCHMARKS else "humans"
        cells += _fact_cells(f"{TITLES[name]} (real)", items, "real benchmark", source)
    return cells_table("2", [*cells, *_published_facts()])


def _source(run: Run, name: str) -> str:
    """Name who judged: the raters of a direct benchmark, the simulated rater behind a miniature one's labels."""
    if isinstance(run.items[name][0], DirectItem):
        return ", ".join(raters(run.items[name]))
    made = minibench.BY_NAME.get(run.scale.benchmark_name(name))
    return "humans" if made is None else (", ".join(made.raters) or "true score")


def _fact_cells(row: str, items: Items, kind: str, source: str) -> list[Cell]:
    facts = benchmarks.benchmark_facts(list(items))
    direct = facts["format"] == "direct"
    texts = {
        "Evaluation Method": "Direct Assessment" if direct else "Pairwise Ranking",
        "Metrics": "Correlation" if direct else "Accuracy",
        "Judgment Source": source,
        "Reference Answer": facts["reference"],
    }
    counts = {"# Score Rubrics": "rubrics", "# Instructions": "instructions", "# Judgments": "judgments"}
    cells = [cell(row, column, kind=kind, variant="text", note=text) for column, text in texts.items()]
    cells += [cell(row, column, facts[key], kind) for column, key in counts.items()]
    return cells if direct else [*cells, cell(row, "# Ties", facts["labels"].get("tie", 0), kind)]


def _ceiling_cells(run: Run, name: str) -> Iterator[Cell]:
    """Agreement of the true score with each rater, or its accuracy on the labels without ties."""
    items = run.items[name]
    truth = [answers for answers in _ceilings(items) if answers.row == "true score"]
    for answers in truth:
        for rater in raters(items) if isinstance(items[0], DirectItem) else [None]:
            sample = _sample(run, name, answers, rater)
            column = f"Ceiling | {rater}" if rater else "Ceiling | accuracy"
            yield _sample_cell(TITLES[name], column, sample, "benchmark", note="agreement of the true score")


def _published_facts() -> Iterator[Cell]:
    values, texts = published_table(2), published_table(2, "text")
    for row in values.index:
        for column in values.columns:
            if pd.notna(values.at[row, column]):
                yield cell(row, column, values.at[row, column], "published")
            else:
                yield cell(row, column, kind="published", variant="text", note=texts.at[row, column])


# --- Tables 3, 11, 12 and Figure 1: direct assessment ----------------------------------------------------------------


def table_3(run: Run) -> pd.DataFrame:
    """Table 3: Pearson correlation of the mean of three draws with each rater's mean score."""
    return _correlation_table(run, "3", "pearson")


def table_11(run: Run) -> pd.DataFrame:
    """Table 11: Kendall's tau-b, otherwise as Table 3."""
    return _correlation_table(run, "11", "kendall")


def table_12(run: Run) -> pd.DataFrame:
    """Table 12: Spearman correlation, otherwise as Table 3."""
    return _correlation_table(run, "12", "spearman")


def _correlation_table(run: Run, number: str, kind: metrics.Kind) -> pd.DataFrame:
    cells = []
    for name in run.present(DIRECT_BENCHMARKS):
        items = run.items[name]
        for rater in raters(items):
            rows = [*_judges(run, name, run.scale.main_judges), *_floors(items), *_ceilings(items, rater)]
            column, gold = f"{TITLES[name]} | {rater}", rater_means(items, rater)
            cells += [_correlation_cell(run, name, items, column, row, gold, kind) for row in rows]
    for name in ("vicuna_bench", "mt_bench"):
        if name in run.real:
            cells += _real_correlations(run, name, kind)
    return cells_table(number, [*cells, *_published(number, _correlation_places(run, number))])


def _correlation_cell(
    run: Run, name: str, items: Items, column: str, row: Answers, gold: Floats, kind: metrics.Kind, note: str = ""
) -> Cell:
    interval = metrics.bootstrap_correlation(row.values, gold, clusters(items), kind, **run.options(name))
    return _from_interval(row.row, column, interval, row.kind, unparsed=row.unparsed, note=note)


def _real_correlations(run: Run, name: str, kind: metrics.Kind) -> Iterator[Cell]:
    """Trivial judges on the real file against GPT-4's mean score, and one of GPT-4's draws against its others."""
    items, rater = run.real[name], "gpt-4-1106"
    others = np.array(baselines.other_answers_mean(list(items), rater), dtype=float)
    rows = [*_floors(items, "real floor"), Answers(_OTHERS, "real floor", others)]
    column, gold, draws = _real(name, rater), rater_means(items, rater), rater_draws(items, rater)
    for row in rows:
        yield _correlation_cell(run, name, items, column, row, gold, kind)
    one = Answers(f"one draw of {rater}", "real ceiling", draws[:, 0])
    note = "against the mean of its other draws"
    yield _correlation_cell(run, name, items, column, one, metrics.mean_scores(draws[:, 1:]), kind, note)


def figure_1(run: Run) -> pd.DataFrame:
    """Figure 1: Pearson correlation between all raters and judges on the FLASK-like benchmark."""
    name = "flask"
    items = run.items.get(name, [])
    rows = [Answers(rater, "ceiling", rater_means(items, rater)) for rater in raters(items)]
    rows += _judges(run, name, run.scale.main_judges) if items else []
    cells = []
    for one in rows:
        for other in rows:
            answers = one._replace(unparsed=one.unparsed + other.unparsed)
            cells.append(_correlation_cell(run, name, items, other.row, answers, other.values, "pearson"))
    places = {c: [p.split(" | ")[1] for p in ps] for c, ps in _correlation_places(run, "3").items() if "FLASK" in c}
    return cells_table("figure_1", [*cells, *_published("3", places)])


# --- Table 4: pairwise ranking ---------------------------------------------------------------------------------------


def table_4(run: Run) -> pd.DataFrame:
    """Table 4: accuracy by group, with ties and without.

    "w/ TIE" has four variants: "paper-text" (equal direct scores are a tie, else the pairwise decision), "paper-code"
    (the released code's rule, which looks at the label), "corrected" (the pairwise decision alone, so that every tie
    is wrong) and "ties half".
    """
    cells = []
    for name in run.present(PAIR_BENCHMARKS):
        items = run.items[name]
        if name in TIE_BENCHMARKS:
            cells += _mixture_cells(run, name)
        rows = [*_judges(run, name, run.scale.main_judges), *_floors(items), *_ceilings(items)]
        cells += _accuracy_cells(run, name, items, rows, lambda part, name=name: _accuracy_column(name, part))
    for name in PAIR_BENCHMARKS:
        if name in run.real:
            rows = _floors(run.real[name], "real floor")
            cells += _accuracy_cells(run, name, run.real[name], rows, lambda part, name=name: _real(name, part))
    return cells_table("4", [*cells, *_replay_cells(run), *_published("4", _accuracy_places(run))])


def _mixture_cells(run: Run, name: str) -> Iterator[Cell]:
    """The two "w/ TIE" variants that need direct scores; the first draw decides, as pairwise has one draw."""
    gold, column = labels(run.items[name]), _accuracy_column(name, "w/ TIE")
    for judge in run.scale.main_judges:
        scores, choices = run.pair_scores(judge, name), run.choices(judge, name)
        if scores is None or choices is None:
            continue
        a, b = scores
        decided = {
            "paper-text": metrics.text_mixture_decisions(a[:, 0], b[:, 0], choices),
            "paper-code": metrics.code_label_aware_decisions(a, b, gold),
        }
        for variant, decisions in decided.items():
            row = Answers(judge, "judge", decisions)
            yield _accuracy_cell(run, name, run.items[name], column, row, "wrong", variant)


def _accuracy_cells(
    run: Run, name: str, items: Items, rows: Sequence[Answers], column: Callable[[str], str]
) -> Iterator[Cell]:
    """All columns of one pairwise benchmark: groups and total, or with and without ties, or the total alone."""
    if name in TIE_BENCHMARKS:
        plan = [("w/ TIE", "wrong", "corrected"), ("w/ TIE", "half", "ties half"), ("w/o TIE", "dropped", "")]
        for part, rule, variant in plan:
            yield from (_accuracy_cell(run, name, items, column(part), row, rule, variant) for row in rows)
        return
    groups = _groups(items) if name == "hhh_alignment" else {}
    for group, members in groups.items():
        part = [items[index] for index in members]
        yield from (_accuracy_cell(run, name, part, column(group), _take(row, members), "wrong") for row in rows)
    yield from (_accuracy_cell(run, name, items, column("total"), row, "wrong") for row in rows)


def _groups(items: Items) -> dict[str, list[int]]:
    """Item positions by group, in the paper's order (Help., Harm., Hon., Other) or by appearance."""
    found: dict[str, list[int]] = {}
    for index, item in enumerate(items):
        found.setdefault(item.group, []).append(index)
    paper = list(_HHH_REAL.values())
    return dict(sorted(found.items(), key=lambda pair: paper.index(pair[0]) if pair[0] in paper else 0))


def _take(row: Answers, members: list[int]) -> Answers:
    return row._replace(values=row.values[members])


def _accuracy_cell(
    run: Run, name: str, items: Items, column: str, row: Answers, rule: metrics.TieRule, variant: str = ""
) -> Cell:
    credits = metrics.item_credits(row.values, labels(items), rule)
    return _share_cell(run, name, items, column, row, credits, variant=variant)


def _share_cell(run: Run, name: str, items: Items, column: str, row: Answers, credits: Floats, **more: Any) -> Cell:
    """The mean of credits per item, in percent; decisions that are None among the counted items are unparsed."""
    interval = metrics.bootstrap_mean(100 * credits, clusters(items), **run.options(name))
    unparsed = int((pd.isna(row.values) & np.isfinite(credits)).sum())
    return _from_interval(row.row, column, interval, row.kind, **{"unparsed": unparsed, **more})


def _replay_cells(run: Run) -> Iterator[Cell]:
    """Auto-J 13B's recorded decisions on the real Auto-J Eval: each order, both orders, and how often they agree."""
    name = "autoj_eval"
    if run.replay is None or name not in run.real:
        return
    items = run.real[name]
    first, swapped = (np.array(decisions, dtype=object) for decisions in run.replay)
    rows = [Answers("Auto-J 13B, first order", "real judge", first)]
    rows += [Answers("Auto-J 13B, swapped order", "real judge", swapped)]
    yield from _accuracy_cells(run, name, items, rows, lambda part: _real(name, part))
    both = Answers("Auto-J 13B, right in both orders", "real judge", first)
    credits = metrics.item_credits(first, labels(items)) * metrics.item_credits(swapped, labels(items))
    yield _share_cell(run, name, items, _real(name, "w/ TIE"), both, credits, variant="corrected")
    alike = Answers("Auto-J 13B, both orders alike", "real judge", first)
    yield _share_cell(run, name, items, _real(name, "consistency"), alike, (first == swapped).astype(float))


# --- Tables 5, 6 and 17, Figure 3: averages --------------------------------------------------------------------------


def table_5(run: Run) -> pd.DataFrame:
    """Table 5: prompting, single-format training, joint training and merging, with averages of three benchmarks."""
    merged = (run.scale.merged_judge, "dare-linear", "task-arithmetic-default")
    judges = dict.fromkeys(("base", "direct", "pairwise", "joint", "joint-half", *merged))
    return _average_table(run, "5", judges, RESEARCH_DIRECT, RESEARCH_PAIR)


def table_6(run: Run) -> pd.DataFrame:
    """Table 6: merging two formats against merging two experts of one format that differ in their seed."""
    judges = ("base", "direct", "pairwise", "direct+direct", "pairwise+pairwise", run.scale.merged_judge)
    return _average_table(run, "6", judges, RESEARCH_DIRECT, RESEARCH_PAIR)


def _average_table(
    run: Run, number: str, judges: Iterable[str], direct: Sequence[str], pair: Sequence[str]
) -> pd.DataFrame:
    cells = [each for row in _judge_rows(run, judges) for each in _average_row(run, row, direct, pair)]
    cells += [each for row in _trivial_rows(run) for each in _average_row(run, row, direct, pair)]
    return cells_table(number, [*cells, *_published(number, _average_places(run, number))])


class AverageRow(NamedTuple):
    """A row that spans benchmarks: `answers` gives its answers on one of them, or None."""

    row: str
    kind: str
    answers: Callable[[str], Answers | None]


def _judge_rows(run: Run, judges: Iterable[str]) -> list[AverageRow]:
    def row(judge: str) -> AverageRow:
        return AverageRow(judge, "judge", lambda name: next(iter(_judges(run, name, [judge])), None))

    return [row(judge) for judge in judges]


def _trivial_rows(run: Run) -> list[AverageRow]:
    """The true score as ceiling and the trivial judges that exist in both formats as floors."""

    def row(kind: str, title: str, named: Sequence[str]) -> AverageRow:
        find = _floors if kind == "floor" else _ceilings
        return AverageRow(title, kind, lambda name: next((a for a in find(run.items[name]) if a.row in named), None))

    floors = [row("floor", title, named) for title, named in _FLOORS.items()]
    return [row("ceiling", "true score", ["true score"]), *floors]


def _average_row(
    run: Run, row: AverageRow, direct: Sequence[str], pair: Sequence[str], human: bool = False, overall: bool = False
) -> list[Cell]:
    """One row's cells: each benchmark, the average of each format and, with `overall`, Table 17's last column."""
    samples = {name: _row_sample(run, row, name, human) for name in run.present((*direct, *pair))}
    if all(sample is None for sample in samples.values()):
        return []
    cells, averages = [], {}
    for names, column in ((direct, DIRECT_AVERAGE), (pair, PAIR_AVERAGE)):
        for name in run.present(names):
            place = _measure_column(name, run.items[name], human and name == "flask")
            cells.append(_sample_cell(row.row, place, samples[name], row.kind))
        averages[column] = average([samples.get(name) for name in names])
        cells.append(_sample_cell(row.row, column, averages[column], row.kind))
    parts = {"corrected": averages[DIRECT_AVERAGE], "as printed": samples.get("feedback_bench")} if overall else {}
    for variant, part in parts.items():
        both = average([_percent(part), averages[PAIR_AVERAGE]])
        cells.append(_sample_cell(row.row, OVERALL, both, row.kind, variant=variant))
    return cells


def _row_sample(
    run: Run, row: AverageRow, name: str, human: bool = False, resamples: int | None = None
) -> Sample | None:
    answers = row.answers(name)
    if answers is None:
        return None
    return _sample(run, name, answers, _rater_of(run, name, human), resamples)


def _rater_of(run: Run, name: str, human: bool) -> str | None:
    """The rater of Tables 5 and 6 (the strongest) or, with `human`, Table 17's (humans on FLASK); None for pairs."""
    items = run.items[name]
    if name in PAIR_BENCHMARKS:
        return None
    return human_rater(items) if human and name == "flask" else raters(items)[0]


def _sample(run: Run, name: str, answers: Answers, rater: str | None, resamples: int | None = None) -> Sample:
    """Pearson with a rater, or accuracy in percent without gold ties, with all resamples."""
    items, options = run.items[name], run.options(name, resamples)
    if rater is not None:
        x, y, keep = metrics.complete(answers.values, rater_means(items, rater))
        codes, count = _codes_of_all(items, keep)
        function = metrics.resampled_correlation("pearson", x, y, codes, count)
        value = metrics.correlations(x, y).pearson
    else:
        credits = 100 * metrics.item_credits(answers.values, labels(items), "dropped")
        keep = np.isfinite(credits)
        codes, count = _codes_of_all(items, keep)
        sums, sizes = np.bincount(codes, credits[keep], count), np.bincount(codes, minlength=count).astype(float)
        value = float(credits[keep].mean()) if keep.any() else NAN

        def function(counts: Floats) -> Floats:
            return metrics.divide(counts @ sums, counts @ sizes)

    draws = metrics.distribution(function, count, **options)
    unparsed = answers.unparsed if rater else int((pd.isna(answers.values) & keep).sum())
    return Sample(value, draws, int(keep.sum()), unparsed)


def _codes_of_all(items: Items, keep: NDArray[np.bool_]) -> tuple[NDArray[np.intp], int]:
    """Cluster numbers of the kept items among all clusters, so that two judges meet the same resamples."""
    codes, count = metrics.cluster_codes(clusters(items), np.ones(len(items), dtype=bool))
    return codes[keep], count


def average(samples: Sequence[Sample | None]) -> Sample | None:
    """Return the mean of several statistics, resample by resample; None when one is missing or there are none."""
    known = [sample for sample in samples if sample is not None]
    if len(known) < len(samples) or not known:
        return None
    value, draws = np.mean([s.value for s in known]), np.mean([s.draws for s in known], axis=0)
    return Sample(float(value), draws, sum(s.n for s in known), sum(s.unparsed for s in known))


def _sample_cell(row: str, column: str, sample: Sample | None, kind: str, **more: Any) -> Cell:
    if sample is None:
        return cell(row, column, kind=kind, **{"note": "not judged", **more})
    low, high = metrics.quantiles(sample.draws, 0.95) if math.isfinite(sample.value) else (NAN, NAN)
    return cell(row, column, sample.value, kind, low=low, high=high, n=sample.n, unparsed=sample.unparsed, **more)


def compare_averages(
    run: Run, first: str, second: str, names: Sequence[str], human: bool = False, resamples: int = COMPARISON_RESAMPLES
) -> Comparison | None:
    """Compare two judges' averages over benchmarks of one format, paired by instruction; None when one is missing.

    Pearson in fractions, accuracy in percent; the p-value is read off the paired bootstrap differences.
    """
    rows = _judge_rows(run, (first, second))
    one, two = (average([_row_sample(run, row, name, human, resamples) for name in run.present(names)]) for row in rows)
    return None if one is None or two is None else _compare_samples(one, two)


def _compare_samples(one: Sample, two: Sample) -> Comparison:
    difference = one.draws - two.draws
    low, high = metrics.quantiles(difference, 0.95)
    p, test = metrics.bootstrap_p(difference), "paired bootstrap by cluster"
    return Comparison(one.value - two.value, low, high, p, one.n, "undecided", None, one.n, test).adjusted(p)


def merge_names(scale: Scale) -> list[str]:
    """Return the merges of Table 17: both formats at alpha 0.5, matched and default weights."""
    return [m.name for m in scale.merges if (m.first, m.second, m.alpha) == ("direct", "pairwise", 0.5)]


def table_17(run: Run) -> pd.DataFrame:
    """Table 17: merging methods on all eight benchmarks, and each method's paired difference to linear merging.

    Linear, SLERP and TIES have no "-default" row: at equal weights they normalise, so mergekit's default weights give
    the same model. "Overall average" is the mean of the two averages, the direct one x 100 ("corrected"), and the rule
    the printed column follows ("as printed": Feedback Bench alone x 100 with the pairwise average).
    """
    cells = []
    for row in _judge_rows(run, merge_names(run.scale)):
        found = _average_row(run, row, DIRECT_BENCHMARKS, PAIR_BENCHMARKS, human=True, overall=True)
        cells += _with_same_note(found)
    cells += _merge_differences(run)
    for row in _trivial_rows(run):
        cells += _average_row(run, row, DIRECT_BENCHMARKS, PAIR_BENCHMARKS, human=True)
    return cells_table("17", [*cells, *_published_17(run)])


def _with_same_note(cells: list[Cell]) -> list[Cell]:
    note = "mergekit's default weights give the same model"
    return [{**each, "note": note} if each["row"] in ("linear", "slerp", "ties") else each for each in cells]


def _percent(sample: Sample | None) -> Sample | None:
    return sample and sample._replace(value=100 * sample.value, draws=100 * sample.draws)


def _merge_differences(run: Run) -> list[Cell]:
    """Each merge minus linear on every benchmark and both averages; p-values Holm-corrected over the whole table."""
    others = [judge for judge in merge_names(run.scale) if judge != REFERENCE_JUDGE]
    found = {}
    for judge in others:
        for names, column in ((DIRECT_BENCHMARKS, DIRECT_AVERAGE), (PAIR_BENCHMARKS, PAIR_AVERAGE)):
            for name in run.present(names):
                place = _measure_column(name, run.items[name], name == "flask")
                found[judge, place] = compare_judges(run, judge, REFERENCE_JUDGE, name, human=True)
            complete = run.present(names) == list(names)
            average_of = compare_averages(run, judge, REFERENCE_JUDGE, names, human=True) if complete else None
            found[judge, column] = average_of
    return _difference_cells({key: value for key, value in found.items() if value is not None})


def compare_judges(run: Run, first: str, second: str, name: str, human: bool = False) -> Comparison | None:
    """Compare two judges on one benchmark, paired by item and clustered by instruction; None when one is missing.

    Pearson against the strongest rater (humans on FLASK with `human`), or accuracy in percent without gold ties.
    """
    items = run.items[name]
    one, two = (run.answers(judge, name) for judge in (first, second))
    if one is None or two is None:
        return None
    options = {"clusters": clusters(items), **run.options(name, COMPARISON_RESAMPLES)}
    rater = _rater_of(run, name, human)
    if rater is not None:
        return metrics.compare_correlations(one[0], two[0], rater_means(items, rater), **options)
    credits = [100 * metrics.item_credits(answers[0], labels(items), "dropped") for answers in (one, two)]
    return metrics.compare_accuracies(*credits, **options)


def _difference_cells(found: Mapping[tuple[str, str], Comparison]) -> list[Cell]:
    adjusted = metrics.holm({key: comparison.p_value for key, comparison in found.items()}) if found else {}
    return [
        _comparison_cell(f"{judge} - {REFERENCE_JUDGE}", column, comparison, adjusted[judge, column], "difference")
        for (judge, column), comparison in found.items()
    ]


def _comparison_cell(row: str, column: str, comparison: Comparison, p_value: float, kind: str) -> Cell:
    decided = comparison.adjusted(p_value)
    verdict = {"first": "higher", "second": "lower"}.get(decided.verdict, "undecided")
    note = f"{verdict}; p = {p_value:.3g} (Holm), {decided.test}"
    spread = {"low": decided.low, "high": decided.high, "n": decided.n}
    return cell(row, column, decided.difference, kind, **spread, note=note)


def _published_17(run: Run) -> list[Cell]:
    """Table 17 as printed, with the overall average that follows from its own columns beside the printed one."""
    cells = _published("17", _average_places(run, "17"))
    cells = [{**each, "variant": "as printed"} if each["column"] == OVERALL else each for each in cells]
    wide = published_table(17)
    headings = ("DIRECT ASSESSMENT BENCHMARKS | Average", "PAIRWISE RANKING BENCHMARKS | Average")
    means = (100 * wide[headings[0]] + wide[headings[1]]) / 2
    note = "recomputed from the two printed averages"
    corrected = [cell(r, OVERALL, v, "published", variant="corrected", note=note) for r, v in means.items()]
    return [*corrected, *cells]


def figure_3(run: Run) -> pd.DataFrame:
    """Figure 3: averages of the direct and the pairwise benchmarks for each alpha, and where they are best.

    Row "best alpha" gives the best alpha with the interval of its bootstrap distribution; the columns "..., share
    best" give that distribution (equal values share a resample).
    """
    cells = []
    plans = ((DIRECT_BENCHMARKS, DIRECT_AVERAGE, 0.5), (PAIR_BENCHMARKS, PAIR_AVERAGE, 0.3))
    sweeps = {column: _alpha_sweep(run, names) for names, column, _ in plans}
    both = sweeps[DIRECT_AVERAGE].keys() & sweeps[PAIR_AVERAGE].keys()
    pairs = {a: [_percent(sweeps[DIRECT_AVERAGE][a]), sweeps[PAIR_AVERAGE][a]] for a in sorted(both)}
    sweeps[OVERALL] = {alpha: average(pair) for alpha, pair in pairs.items()}
    for column, sweep in sweeps.items():
        cells += _sweep_cells(column, sweep)
    note = "stated in section 6.3; the paper gives no interval"
    cells += [cell("best alpha", column, alpha, "published", note=note) for _, column, alpha in plans]
    return cells_table("figure_3", cells)


def _alpha_sweep(run: Run, names: Sequence[str]) -> dict[float, Sample]:
    rows = zip(ALPHAS, _judge_rows(run, map(alpha_judge, ALPHAS)))
    complete = run.present(names) == list(names)
    found = {alpha: average([_row_sample(run, row, name) for name in names]) for alpha, row in rows} if complete else {}
    return {alpha: sample for alpha, sample in found.items() if sample is not None}


def _sweep_cells(column: str, sweep: Mapping[float, Sample]) -> Iterator[Cell]:
    usable = {alpha: sample for alpha, sample in sweep.items() if math.isfinite(sample.value)}
    for alpha, sample in sweep.items():
        yield _sample_cell(str(alpha), column, sample, "judge", note=alpha_judge(alpha))
    if not usable:
        return
    alphas, shares = np.array(list(usable)), best_shares([sample.draws for sample in usable.values()])
    best = max(usable, key=lambda alpha: usable[alpha].value)
    low, high = (_weighted_quantile(alphas, shares, level) for level in (0.025, 0.975))
    yield cell("best alpha", column, best, low=low, high=high, n=usable[best].n)
    for alpha, share in zip(alphas, shares):
        yield cell(str(alpha), f"{column}, share best", float(share), note="share of resamples")


def best_shares(draws: Sequence[Floats]) -> Floats:
    """Return for each candidate the share of resamples in which it is best; equal values share a resample.

    `draws` are (candidates, resamples). Values are rounded first, so that equal averages count as equal everywhere.
    """
    table = np.round(np.where(np.isnan(draws), -np.inf, draws), 9)
    winners = (table == table.max(axis=0)) & np.isfinite(table)
    counts = winners.sum(axis=0)
    if not counts.any():
        return np.full(len(table), NAN)
    return (winners[:, counts > 0] / counts[counts > 0]).mean(axis=1)


def _weighted_quantile(values: Floats, weights: Floats, level: float) -> float:
    """The smallest value at which the cumulated weight reaches the level; NaN when there are no weights."""
    if np.isnan(weights).any():
        return NAN
    return float(values[min(int(np.searchsorted(np.cumsum(weights), level - 1e-12)), len(values) - 1)])


# --- Tables 13 to 15: consistency ------------------------------------------------------------------------------------


def table_13(run: Run) -> pd.DataFrame:
    """Table 13: accuracy through direct scores (Direct2Pair) and through pairwise decisions, on pairs without gold tie.

    Direct2Pair uses the first draw; equal scores are wrong ("corrected") or half right ("ties half"), or go by the
    released code's label-aware rule ("paper-code"). The last column is the signed, paired difference Pair2Pair -
    Direct2Pair; the paper prints its absolute value as delta.
    """
    cells = []
    for name in run.present(CONSISTENCY_BENCHMARKS):
        for judge in run.scale.main_judges:
            scores, choices = run.pair_scores(judge, name), run.choices(judge, name)
            if scores is not None and choices is not None:
                cells += _consistency_cells(run, name, Answers(judge, "judge", choices), *scores)
        cells += _consistency_floor(run, name)
    places = {
        column: [_accuracy_column(_paper_benchmark(column), _CONSISTENCY[column.split(" | ")[1]])]
        for column in published_table(13).columns
    }
    return cells_table("13", [*cells, *_published("13", places)])


_CONSISTENCY = {"Direct2Pair": "Direct2Pair", "Pair2Pair": "Pair2Pair", "Δ": "Pair2Pair - Direct2Pair"}


def _consistency_cells(run: Run, name: str, row: Answers, a: Floats, b: Floats) -> list[Cell]:
    items, gold = run.items[name], labels(run.items[name])
    column = {part: _accuracy_column(name, part) for part in _CONSISTENCY.values()}
    pair = metrics.item_credits(row.values, gold, "dropped")
    first = metrics.direct_to_pair(a[:, 0], b[:, 0])
    aware = metrics.code_label_aware_decisions(a, b, gold)
    half = np.where(np.isnan(pair), NAN, metrics.item_credits(first, gold, "half"))
    direct = {
        "corrected": (first, metrics.item_credits(first, gold, "dropped")),
        "ties half": (first, half),
        "paper-code": (aware, metrics.item_credits(aware, gold, "dropped")),
    }
    cells = []
    for variant, (decisions, credits) in direct.items():
        answers = row._replace(values=decisions)
        cells.append(_share_cell(run, name, items, column["Direct2Pair"], answers, credits, variant=variant))
    cells.append(_share_cell(run, name, items, column["Pair2Pair"], row, pair))
    last = column["Pair2Pair - Direct2Pair"]
    for variant, (_, credits) in direct.items():
        cells.append(_share_cell(run, name, items, last, row, pair - credits, variant=variant, unparsed=None))
    return cells


def _consistency_floor(run: Run, name: str) -> list[Cell]:
    """A judge that only looks at length is perfectly consistent: consistency alone shows no quality."""
    items = run.items[name]
    a, b = (np.array([[baselines.text_length(text)] for text in side], dtype=float) for side in _responses(items))
    longer = np.array(baselines.longer_wins(list(items)), dtype=object)
    return _consistency_cells(run, name, Answers("longer wins", "floor", longer), a, b)


def _responses(items: Sequence[PairItem]) -> tuple[list[str], list[str]]:
    return [item.response_a for item in items], [item.response_b for item in items]


def table_14(run: Run) -> pd.DataFrame:
    """Table 14: Krippendorff's alpha (ordinal) of three draws; raters who gave several scores are shown as ceilings."""
    cells = []
    for name in run.present(RESEARCH_DIRECT):
        items, column = run.items[name], TITLES[name]
        draws = {judge: run.scores(judge, name) for judge in run.scale.main_judges}
        cells += [_alpha_cell(run, name, items, column, j, "judge", d) for j, d in draws.items() if d is not None]
        chance = np.column_stack([baselines.random_score(list(items), seed) for seed in range(3)])
        cells.append(_alpha_cell(run, name, items, column, "random score", "floor", chance.astype(float)))
        for rater in raters(items):
            if (several := rater_draws(items, rater)).shape[1] > 1:
                cells.append(_alpha_cell(run, name, items, column, f"rater {rater}", "ceiling", several))
    for name in ("vicuna_bench", "mt_bench"):
        if name in run.real:
            items, rater = run.real[name], "gpt-4-1106"
            column, draws = f"{TITLES[name]} (real)", rater_draws(items, rater)
            cells.append(_alpha_cell(run, name, items, column, rater, "real judge", draws))
    places = {column: [TITLES[_paper_benchmark(column)]] for column in published_table(14).columns}
    for column, ours in places.items():
        places[column] = [*ours, *[f"{title} (real)" for title in ours if title != "FLASK"]]
    return cells_table("14", [*cells, *_published("14", places)])


def _alpha_cell(run: Run, name: str, items: Items, column: str, row: str, kind: str, draws: Floats) -> Cell:
    """Alpha of draws (items, draws); NaN when fewer than two items have two readable draws or nothing varies."""
    unparsed = int(np.isnan(draws).sum()) if kind == "judge" else 0
    if math.isnan(metrics.krippendorff_alpha(draws.T)):
        rated = int((np.isfinite(draws).sum(axis=1) >= 2).sum())
        return cell(row, column, kind=kind, n=rated, unparsed=unparsed, note="undefined: nothing varies")
    interval = metrics.bootstrap_alpha(draws.T, clusters(items), **run.options(name))
    return _from_interval(row, column, interval, kind, unparsed=unparsed)


def table_15(run: Run) -> pd.DataFrame:
    """Table 15: transitivity of pairwise decisions on the preference benchmark's tournaments of five responses.

    "paper-text": share of the judge's own chains x > y > z that end in x > z. "paper-code": what the released code
    computes, an accuracy weighted by grade gap - 1. "corrected": share of decisive triples that go in a circle.
    """
    name, cells = "preference_bench", []
    if name in run.items:
        items = run.items[name]
        rows = [*_judges(run, name, run.scale.main_judges), *_floors(items), *_ceilings(items)]
        cells = [each for row in rows for each in _transitivity_cells(run, name, row)]
    places = {"PREFERENCE COLLECTION | Transitivity": ["Transitivity"]}
    return cells_table("15", [*cells, *_published("15", places)])


def _transitivity_cells(run: Run, name: str, row: Answers) -> Iterator[Cell]:
    items, options = run.items[name], run.options(name)
    games = tournament(items, row.values)
    counts, total = metrics.transitivity_by_group(games), metrics.transitivity(games)
    more = {"kind": row.kind, "unparsed": row.unparsed}
    kept = metrics.bootstrap_ratio(100 * counts["chains_kept"], counts["chains"], **options)
    note = f"{total.chains} chains in {total.triples} triples"
    yield _from_interval(row.row, "Transitivity", kept, **more, variant="paper-text", note=note)
    gold, weights = labels(items), gold_gaps(items) - 1
    right = 100 * weights * metrics.item_credits(row.values, gold)
    code = metrics.bootstrap_ratio(right, weights, clusters(items), **options)
    yield _from_interval(row.row, "Released code's transitivity", code, **more, variant="paper-code")
    cycles = metrics.bootstrap_ratio(100 * counts["cycles"], counts["decisive"], **options)
    note = f"{total.cycles} of {total.decisive} decisive triples"
    yield _from_interval(row.row, "Cyclic triples", cycles, **more, variant="corrected", note=note)


def tournament(items: Sequence[PairItem], decisions: Sequence[Any]) -> pd.DataFrame:
    """Return one row per pair for `metrics.transitivity`: group (instruction), x, y, winner; responses are the nodes.

    Pairs of two equal texts are no contest and are left out.
    """
    rows = [
        (item.cluster, item.response_a, item.response_b, _winner(item, decision))
        for item, decision in zip(items, decisions, strict=True)
        if item.response_a != item.response_b
    ]
    return pd.DataFrame(rows, columns=["group", "x", "y", "winner"], dtype=object)


def _winner(item: PairItem, decision: Any) -> str | None:
    return {"A": item.response_a, "B": item.response_b, "tie": "tie"}.get(decision)


def gold_gaps(items: Sequence[PairItem]) -> Floats:
    """Return the grade gap of each pair (items,): the difference of the two responses' gold wins among the five."""
    wins: dict[tuple[str, str], int] = {}
    for item in items:
        winner = _winner(item, item.label)
        wins[item.cluster, winner or ""] = wins.get((item.cluster, winner or ""), 0) + 1
    counts = [[wins.get((item.cluster, text), 0) for text in (item.response_a, item.response_b)] for item in items]
    return np.abs(np.diff(np.array(counts, dtype=float), axis=1)).ravel()


# --- Table 16: with and without reference answer ---------------------------------------------------------------------


def table_16(run: Run) -> pd.DataFrame:
    """Table 16: Pearson with the humans' stand-in, reference-free and reference-based, and the paired difference."""
    cells, comparisons = [], {}
    for name in run.present(REFERENCE_BENCHMARKS):
        items, rater = run.items[name], human_rater(run.items[name])
        gold = rater_means(items, rater)
        for judge in run.scale.main_judges:
            both = [run.scores(judge, name, with_reference) for with_reference in (False, True)]
            if any(scores is None for scores in both):
                continue
            free, based = (metrics.mean_scores(scores) for scores in both)
            for part, values, scores in zip(_REFERENCE[:2], (free, based), both):
                row = Answers(judge, "judge", values, int(np.isnan(scores).sum()))
                cells.append(_correlation_cell(run, name, items, f"{TITLES[name]} | {part}", row, gold, "pearson"))
            options = {"clusters": clusters(items), **run.options(name, COMPARISON_RESAMPLES)}
            column = f"{TITLES[name]} | {_REFERENCE[2]}"
            comparisons[judge, column] = metrics.compare_correlations(based, free, gold, **options)
        cells += _reference_limits(run, name, rater)
    adjusted = metrics.holm({key: c.p_value for key, c in comparisons.items()}) if comparisons else {}
    cells += [_comparison_cell(*key, c, adjusted[key], "judge") for key, c in comparisons.items()]
    return cells_table("16", [*_by_column(cells), *_published("16", _reference_places())])


_REFERENCE = ("reference-free", "reference-based", "difference")


def _reference_limits(run: Run, name: str, rater: str) -> list[Cell]:
    """Floors and ceilings; what compares with the reference answer exists only where one is shown."""
    items, cells = run.items[name], []
    for row in [*_ceilings(items, rater), *_floors(items)]:
        for part in _REFERENCE[:2]:
            if part == "reference-based" or row.row != "similarity to reference":
                column = f"{TITLES[name]} | {part}"
                cells.append(_correlation_cell(run, name, items, column, row, rater_means(items, rater), "pearson"))
    return cells


def _by_column(cells: list[Cell]) -> list[Cell]:
    """Sort cells so that each benchmark's difference stands beside its two correlations."""
    order = [f"{TITLES[name]} | {part}" for name in REFERENCE_BENCHMARKS for part in _REFERENCE]
    return sorted(cells, key=lambda each: order.index(each["column"]))


def _reference_places() -> dict[str, list[str]]:
    parts = {"Reference-free": _REFERENCE[0], "Reference-based": _REFERENCE[1], "Δ": _REFERENCE[2]}
    columns = published_table(16).columns
    return {c: [f"{TITLES[_paper_benchmark(c)]} | {parts[c.split(' | ')[1]]}"] for c in columns}


TABLES: dict[str, Callable[[Run], pd.DataFrame]] = {
    "2": table_2, "3": table_3, "4": table_4, "5": table_5, "6": table_6, "11": table_11, "12": table_12,
    "13": table_13, "14": table_14, "15": table_15, "16": table_16, "17": table_17,
    "figure_1": figure_1, "figure_3": figure_3,
}  # fmt: skip


# --- showing and saving ----------------------------------------------------------------------------------------------


def display_table(cells: pd.DataFrame, variants: Sequence[str] | None = None) -> pd.DataFrame:
    """Return a wide table of texts such as "0.812 [0.77, 0.85]", index (kind, row), in order of appearance.

    Where a number has several variants the first is shown; `variants` chooses others, for example ("paper-code",).
    A value that does not exist shows "-"; unparsed judgments stay visible in brackets.
    """
    if variants is not None:
        cells = cells[cells["variant"].isin(["", "text", *variants])]
    cells = cells.drop_duplicates(["kind", "row", "column"])
    styles = {column: _style(part) for column, part in cells.groupby("column", sort=False)}
    shown = cells.assign(text=[_text(each, styles[each.column]) for each in cells.itertuples()])
    wide = shown.pivot(index=["kind", "row"], columns="column", values="text")
    order = shown.assign(rank=shown["kind"].map(KINDS.index)).sort_values("rank", kind="stable")
    rows = pd.MultiIndex.from_frame(order[["kind", "row"]].drop_duplicates())
    return wide.reindex(index=rows, columns=list(dict.fromkeys(shown["column"]))).fillna("").rename_axis(columns=None)


def _style(cells: pd.DataFrame) -> str:
    """How a column is written: whole counts, percent, or fractions."""
    values = cells["value"].dropna()
    if cells["low"].isna().all() and (values % 1 == 0).all():
        return "count"
    return "percent" if (values.abs() > 2).any() else "fraction"


def _text(each: Any, style: str) -> str:
    if each.variant == "text":
        return each.note
    value, bound = {"count": (",.0f", ",.0f"), "percent": (".1f", ".1f"), "fraction": (".3f", ".2f")}[style]
    text = "-" if math.isnan(each.value) else f"{each.value:{value}}"
    if not math.isnan(each.low):
        text += f" [{each.low:{bound}}, {each.high:{bound}}]"
    unparsed = 0 if pd.isna(each.unparsed) else int(each.unparsed)
    return f"{text} ({unparsed} unparsed)" if unparsed else text


def file_name(number: str | int) -> str:
    """Return the name of a table's files without ending: "table_03", "figure_1"."""
    return f"table_{int(number):02d}" if str(number).isdigit() else str(number)


def save_table(cells: pd.DataFrame, number: str | int, folder: str | Path) -> Path:
    """Write a table as CSV (long, 6 significant digits), Markdown and LaTeX (wide); return the CSV's path."""
    base, wide = Path(folder) / file_name(number), display_table(cells)
    caption = _caption(str(number))
    flat = wide.reset_index()
    write_text_atomic(base.with_suffix(".md"), f"# {caption}\n\n{_markdown(flat)}\n\n{_LEGEND}\n")
    latex = flat.to_latex(index=False, escape=True, caption=caption, label=f"tab:{file_name(number)}")
    write_text_atomic(base.with_suffix(".tex"), latex)
    return write_text_atomic(base.with_suffix(".csv"), to_csv(cells))


_LEGEND = (
    "Brackets hold 95 % bootstrap intervals, resampled by instruction. Rows of kind *published* are the paper's "
    "numbers, measured on its own benchmarks and raters: they stand in the column that takes their place, for "
    "direction and order, not for size. Raters called sim-... are simulated."
)


def _markdown(flat: pd.DataFrame) -> str:
    """A pipe table; names hold pipes themselves, which Markdown wants escaped."""
    escaped = flat.map(lambda text: text.replace("|", r"\|")).rename(columns=lambda text: text.replace("|", r"\|"))
    return escaped.to_markdown(index=False, disable_numparse=True)


def _caption(number: str) -> str:
    title = f"Table {number}" if number.isdigit() else number.replace("_", " ").capitalize()
    return f"{title}. {CAPTIONS[number]}"


def to_csv(cells: pd.DataFrame) -> str:
    """Return the cells as CSV text with 6 significant digits."""
    return cells.to_csv(index=False, float_format="%.6g", lineterminator="\n")


def load_table(number: str | int, folder: str | Path) -> pd.DataFrame:
    """Read a table that `save_table` wrote; DataError names a missing or damaged file."""
    path = Path(folder) / f"{file_name(number)}.csv"
    if not path.is_file():
        raise DataError(f"{path}: file not found; run the notebook that writes it.")
    texts = ["table", "row", "column", "kind", "variant", "note"]
    missing = {name: [""] for name in COLUMNS if name not in texts}
    try:
        cells = pd.read_csv(path, dtype=dict.fromkeys(texts, str), keep_default_na=False, na_values=missing)
        return cells[list(COLUMNS)].astype(_NUMBERS)
    except (ValueError, KeyError) as error:
        raise DataError(f"{path}: not a table of this project ({error}); build it again.") from error
