"""The paper's tables and figures as data, computed from judgment files alone: no model is needed.

Every table is one function from a `Run` to a long DataFrame of *cells*, one line per number, with the columns of
`COLUMNS` (`Cell` explains each). Ours, floors, ceilings, rows from real data and the published numbers stand in one
frame, told apart by `kind`. Correlations and agreement are fractions, accuracies and transitivity are in percent, as
the paper prints them; `unit` says which.

- `variant`: the rule, where rules differ: "corrected", "paper-text", "paper-code", "ties half", "as printed".
- `kind` "difference": two judges on the same items, tested.
- Published rows stand in the column that takes the place of the paper's; their note names the paper's own column.
  They were measured on other benchmarks with other raters, so compare direction and order, not size.

| module | what |
|---|---|
| `registry` | which function computes which table, and its caption |
| `data` | Tables 1, 2 |
| `direct` | Tables 3, 11, 12, 16, Figure 1 |
| `pairwise` | Table 4 |
| `averages` | Tables 5, 6, 17 |
| `consistency` | Tables 13, 14, 15 |
| `merging` | Figure 3; Table 17 and Figure 3 with two training runs |
| `attacks`, `biases` | attack success; biases of position, length and rubric |
| `truth` | what judges reach against the truth, where the items carry it |
| `learning` | what experts reach by how many rows they learned |
| `limits` | what stands around the judges: who ignores the rubric below, the oracle above |
| `lessons` | what notebooks lay beside the tables: floors beaten, draws averaged, what a noisy rater hides |
| `claim_evidence`, `claims`, `claim_figure` | the paper's claims as tests: differences, verdicts, the picture |
| `worlds` | the same claims in several runs, side by side |
| `gathered`, `report` | what a report reads; the report in two pages, README's section |
| `recipes` | Tables 9 and 10 beside what a run does |
| `files`, `plots`, `images` | tables shown, saved, loaded; figures |
| `run`, `cells`, `rows` | what they are made of: judgments and items; cells; judges, floors and ceilings |
| `measures`, `published` | what a judge reaches; where the paper's numbers stand |
"""

from ..data.catalogue import REAL_NAMES, TITLES
from .attacks import table_attacks
from .averages import REFERENCE_JUDGE, merge_names, table_5, table_6, table_17
from .biases import table_biases
from .cells import (
    COLUMNS,
    COMPARISON_RESAMPLES,
    KEY,
    KINDS,
    UNITS,
    VERDICTS,
    Cell,
    cells_table,
    p_text,
    show_p,
)
from .claim_evidence import average_measure, primary_average
from .consistency import format_gap, gap_size, gold_gaps, self_agreement, table_13, table_14, table_15, tournament
from .data import table_1, table_2
from .direct import figure_1, table_3, table_11, table_12, table_16
from .example import example_run
from .files import display_table, load_table, plain, save_table, to_csv
from .learning import over_rows
from .lessons import (
    against_floor,
    by_coefficient,
    detectable_differences,
    floor_verdicts,
    floors_beaten,
    gain_of_draws,
    label_credits,
    noisy_rater,
    part_of,
)
from .limits import against_blind, limit_average, told_blind, told_rubric
from .measures import RESEARCH_DIRECT, RESEARCH_PAIR, compare_averages, compare_judges, judge_average
from .merging import figure_3, figure_3_runs, table_17_runs
from .pairwise import table_4
from .published import DIRECT_AVERAGE, OVERALL, PAIR_AVERAGE
from .recipes import examples_learned, left_open, recipe
from .registry import ENTRIES, TABLES, caption, file_name
from .rows import OTHERS, Answers, clusters, human_rater, labels, rater_draws, rater_means, raters
from .run import Run, load_run
from .truth import (
    DIRECT_ERROR,
    DIRECT_TRUTH,
    ERROR,
    EXACT,
    OVERALL_TRUTH,
    PAIR_RIGHT,
    PAIR_TRUTH,
    exact_score,
    knows_truth,
    pair_right,
    score_error,
    true_decisions,
    true_scores,
    truth_average,
    truth_credits,
    truth_differences,
    truth_measured,
)

__all__ = [
    "examples_learned",
    "left_open",
    "recipe",
    "Answers",
    "COLUMNS",
    "COMPARISON_RESAMPLES",
    "Cell",
    "DIRECT_AVERAGE",
    "DIRECT_ERROR",
    "DIRECT_TRUTH",
    "ENTRIES",
    "ERROR",
    "EXACT",
    "KEY",
    "KINDS",
    "OTHERS",
    "OVERALL",
    "OVERALL_TRUTH",
    "PAIR_AVERAGE",
    "PAIR_RIGHT",
    "PAIR_TRUTH",
    "REAL_NAMES",
    "REFERENCE_JUDGE",
    "RESEARCH_DIRECT",
    "RESEARCH_PAIR",
    "Run",
    "TABLES",
    "TITLES",
    "UNITS",
    "VERDICTS",
    "against_floor",
    "average_measure",
    "by_coefficient",
    "caption",
    "cells_table",
    "clusters",
    "compare_averages",
    "compare_judges",
    "detectable_differences",
    "display_table",
    "exact_score",
    "example_run",
    "figure_1",
    "figure_3",
    "figure_3_runs",
    "floor_verdicts",
    "floors_beaten",
    "file_name",
    "format_gap",
    "gain_of_draws",
    "gap_size",
    "gold_gaps",
    "human_rater",
    "judge_average",
    "against_blind",
    "limit_average",
    "told_blind",
    "told_rubric",
    "knows_truth",
    "label_credits",
    "labels",
    "load_run",
    "load_table",
    "merge_names",
    "noisy_rater",
    "over_rows",
    "p_text",
    "pair_right",
    "part_of",
    "plain",
    "primary_average",
    "rater_draws",
    "rater_means",
    "raters",
    "save_table",
    "score_error",
    "self_agreement",
    "show_p",
    "table_1",
    "table_11",
    "table_12",
    "table_13",
    "table_14",
    "table_15",
    "table_16",
    "table_17",
    "table_17_runs",
    "table_2",
    "table_3",
    "table_4",
    "table_5",
    "table_6",
    "table_attacks",
    "table_biases",
    "to_csv",
    "tournament",
    "true_decisions",
    "true_scores",
    "truth_average",
    "truth_credits",
    "truth_differences",
    "truth_measured",
]
