"""Tables 1 and 2: statistics of the training collections and of the benchmarks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from ..data import benchmarks, minibench
from ..data.catalogue import DIRECT_BENCHMARKS, PAIR_BENCHMARKS, TITLES
from ..paper import published_table
from ..records import DirectItem
from .cells import Cell, cells_table, interval_cell
from .measures import measure_unit, measured
from .rows import raters, run_ceilings
from .run import Items, Run


def table_1(feedback_rows: Sequence[Mapping[str, Any]], preference_rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Table 1: statistics of the two training collections, counted from their rows, beside the published ones.

    >>> row = {"orig_criteria": "c", "orig_instruction": "i", "orig_reference_answer": "r", "orig_feedback": "f"}
    >>> cells = table_1([row, row], [row])
    >>> cells.query("row == '# Instances'").set_index("column")["value"].to_dict()["Feedback Collection (ours)"]
    2.0
    """
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
    first = Cell("Evaluation Scheme", column, unit="text", kind="benchmark", text=scheme)
    return [first, *[Cell(row, column, count, unit="count", kind="benchmark") for row, count in counts.items()]]


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
    """Table 2: statistics of the benchmarks, and the ceiling that the simulated raters leave to any judge.

    >>> from prometheus_lib.tables import example_run
    >>> cells = table_2(example_run())
    >>> cells.query("row == 'Vicuna Bench' and column == 'Judgment Source'")["text"].iloc[0]
    'sim-strong, sim-second'
    """
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
    made = minibench.MINIATURES.get(run.scale.benchmark_name(name))
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
    cells = [Cell(row, column, unit="text", kind=kind, text=text) for column, text in texts.items()]
    cells += [Cell(row, column, facts[key], unit="count", kind=kind) for column, key in counts.items()]
    ties = Cell(row, "# Ties", facts["labels"].get("tie", 0), unit="count", kind=kind)
    return cells if direct else [*cells, ties]


def _ceiling_cells(run: Run, name: str) -> Iterator[Cell]:
    """The oracle's agreement with each rater, or its accuracy on the labels without ties."""
    items = run.items[name]
    for answers in run_ceilings(run, name):
        for rater in raters(items) if isinstance(items[0], DirectItem) else [None]:
            found = measured(run, name, answers, rater)
            column = f"Ceiling | {rater}" if rater else "Ceiling | accuracy"
            note = f"reached by the {answers.row}"
            yield interval_cell(TITLES[name], column, found, measure_unit(name), "benchmark", note=note)


def _published_facts() -> Iterator[Cell]:
    values, texts = published_table(2), published_table(2, "text")
    for row in values.index:
        for column in values.columns:
            if pd.notna(values.at[row, column]):
                yield Cell(row, column, values.at[row, column], unit="count", kind="published")
            else:
                yield Cell(row, column, unit="text", kind="published", text=texts.at[row, column])
