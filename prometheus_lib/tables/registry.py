"""The paper's tables and figures as data, computed from judgment files alone: no model is needed.

Every table is one function from a `Run` to a long DataFrame of *cells*, one line per number, with the columns of
`COLUMNS`. Ours, floors, ceilings, rows from real data and the published numbers stand in one frame, told apart by
`kind`. Correlations and agreement are fractions, accuracies and transitivity are in percent, as the paper prints them.

- `value`, `low`, `high`: estimate and 95 % bootstrap interval, whole instructions resampled (`scale.resamples` times).
- `n`: items behind the value; `unparsed`: judgments among them that could not be read (never filled in).
- `variant`: the rule, where rules differ: "corrected", "paper-text", "paper-code", "ties half", "as printed".
- `kind` "difference": two judges on the same items, tested; `note` holds verdict, corrected p-value and test.
- Published rows stand in the column that takes the place of the paper's; their note names the paper's own column.
  They were measured on other benchmarks with other raters, so compare direction and order, not size.

Where what is computed:

| module | what |
|---|---|
| `table_run` | `Run`, `load_run`: judgments and items, recorded judgments joined in |
| `table_cells` | cells, rows (judges, floors, ceilings), samples, tested differences |
| `table_direct` | Tables 3, 11, 12, 16, Figure 1 |
| `table_pairwise` | Table 4 |
| `table_averages` | Tables 5, 6, 17, Figure 3, comparisons of two judges |
| `table_merging` | Table 17 and Figure 3 with two training runs |
| `table_consistency` | Tables 13, 14, 15 |
| `table_attacks`, `table_biases` | attack success, and biases of position, length and rubric |
| `table_data` | Tables 1, 2 |
| `table_published` | where the paper's columns stand in ours |
| `table_files` | tables shown, saved, loaded |
"""

from collections.abc import Callable

import pandas as pd

from ..data.catalogue import REAL_NAMES, TITLES
from . import attacks as table_attacks
from . import biases as table_biases
from .averages import (
    REFERENCE_JUDGE,
    RESEARCH_DIRECT,
    RESEARCH_PAIR,
    compare_averages,
    compare_judges,
    figure_3,
    merge_names,
    table_5,
    table_6,
    table_17,
)
from .cells import (
    COLUMNS,
    COMPARISON_RESAMPLES,
    KEY,
    KINDS,
    OTHERS,
    Answers,
    cell,
    cells_table,
    clusters,
    human_rater,
    labels,
    rater_draws,
    rater_means,
    raters,
    show_p,
)
from .consistency import gold_gaps, table_13, table_14, table_15, tournament
from .data import table_1, table_2
from .direct import figure_1, table_3, table_11, table_12, table_16
from .files import CAPTIONS, display_table, file_name, load_table, plain, save_table, to_csv
from .merging import figure_3_runs, table_17_runs
from .pairwise import table_4
from .published import DIRECT_AVERAGE, OVERALL, PAIR_AVERAGE
from .run import Run, load_run

TABLES: dict[str, Callable[[Run], pd.DataFrame]] = {
    "2": table_2, "3": table_3, "4": table_4, "5": table_5, "6": table_6, "11": table_11, "12": table_12,
    "13": table_13, "14": table_14, "15": table_15, "16": table_16, "17": table_17,
    "figure_1": figure_1, "figure_3": figure_3, "table_17_runs": table_17_runs, "figure_3_runs": figure_3_runs,
    "attacks": table_attacks.table, "biases": table_biases.table,
}  # fmt: skip

__all__ = [
    "CAPTIONS", "COLUMNS", "COMPARISON_RESAMPLES", "DIRECT_AVERAGE", "KEY", "KINDS", "OTHERS",
    "OVERALL", "PAIR_AVERAGE", "REAL_NAMES", "REFERENCE_JUDGE", "RESEARCH_DIRECT", "RESEARCH_PAIR", "TABLES", "TITLES",
    "Answers", "Run", "cell", "cells_table", "clusters",
    "compare_averages", "compare_judges", "display_table", "figure_1", "figure_3", "figure_3_runs",
    "file_name", "gold_gaps", "human_rater", "labels", "load_run", "load_table", "merge_names",
    "plain", "rater_draws", "rater_means", "raters", "save_table", "show_p", "table_1", "table_11", "table_12",
    "table_13", "table_14", "table_15", "table_16", "table_17", "table_17_runs", "table_2", "table_3", "table_4",
    "table_5", "table_6", "to_csv", "tournament",
]  # fmt: skip
