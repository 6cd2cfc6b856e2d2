"""The paper's side: its printed numbers, what arithmetic finds wrong among them, and its claims as hypotheses.

>>> from prometheus_lib import paper
>>> paper.published_value(4, "PROMETHEUS-2-7B", "HHH ALIGNMENT | Total Avg.")
74.66
>>> len(paper.hhh_total_mismatch())
1
>>> paper.claim_named("C03").where
'6.1, Table 5'
"""

from .audit import (
    ACCURACY_ROWS,
    FINDING_COLUMNS,
    HHH_GROUPS,
    RESTATED,
    all_contradictions,
    averages_that_differ,
    hhh_total_mismatch,
    impossible_accuracies,
    repaired_table,
    restated_values_that_differ,
    spearman_values_in_pearson_columns,
    ties_counted_wrong,
    values_shared_with_another_row,
)
from .claims import CLAIM_KINDS, CLAIMS, MEASURES, Claim, Measure, Part, claim_named, claims_about
from .published import AVERAGES, load_published, published_table, published_value

__all__ = [
    "ACCURACY_ROWS",
    "AVERAGES",
    "CLAIMS",
    "CLAIM_KINDS",
    "Claim",
    "FINDING_COLUMNS",
    "HHH_GROUPS",
    "MEASURES",
    "Measure",
    "Part",
    "RESTATED",
    "all_contradictions",
    "averages_that_differ",
    "claim_named",
    "claims_about",
    "hhh_total_mismatch",
    "impossible_accuracies",
    "load_published",
    "published_table",
    "published_value",
    "repaired_table",
    "restated_values_that_differ",
    "spearman_values_in_pearson_columns",
    "ties_counted_wrong",
    "values_shared_with_another_row",
]
