"""Which function computes which table or figure, and its caption: the one place where tables are entered.

Every entry is a function from a `Run` to a frame of cells (see `cells`), in the module that it is imported from here.
Table 1 is counted from the training collections and needs no run, so it stands apart.
"""

from collections.abc import Callable
from typing import NamedTuple

import pandas as pd

from .attacks import table_attacks
from .averages import table_5, table_6, table_17
from .biases import table_biases
from .consistency import table_13, table_14, table_15
from .data import table_2
from .direct import figure_1, table_3, table_11, table_12, table_16
from .merging import figure_3, figure_3_runs, table_17_runs
from .pairwise import table_4
from .run import Run


class Entry(NamedTuple):
    """A table's function and its caption."""

    compute: Callable[[Run], pd.DataFrame] | None
    caption: str


ENTRIES = {
    "1": Entry(None, "Statistics of the training collections"),
    "2": Entry(table_2, "Statistics of the benchmarks, and what an oracle reaches that sees what a judge is shown"),
    "3": Entry(table_3, "Direct assessment: Pearson correlation with each rater"),
    "4": Entry(table_4, "Pairwise ranking: accuracy in percent"),
    "5": Entry(table_5, "Single-format training, joint training and weight merging"),
    "6": Entry(table_6, "Merging formats against merging two experts of one format"),
    "11": Entry(table_11, "Direct assessment: Kendall's tau-b with each rater"),
    "12": Entry(table_12, "Direct assessment: Spearman correlation with each rater"),
    "13": Entry(table_13, "Consistency across formats: accuracy in percent"),
    "14": Entry(table_14, "Consistency of three draws: Krippendorff's alpha, ordinal"),
    "15": Entry(table_15, "Consistency of pairwise decisions: transitivity in percent"),
    "16": Entry(table_16, "Judging with and without the reference answer: Pearson correlation"),
    "17": Entry(table_17, "Merging methods"),
    "figure_1": Entry(figure_1, "Pearson correlation between raters and judges"),
    "figure_3": Entry(figure_3, "Linear merging: averages for each alpha (share of the direct expert)"),
    "table_17_runs": Entry(table_17_runs, "Merging methods, for two pairs of experts"),
    "figure_3_runs": Entry(figure_3_runs, "Linear merging: averages for each alpha, for two pairs of experts"),
    "attacks": Entry(table_attacks, "Attack success in percent, with texts as they are and neutralised"),
    "biases": Entry(table_biases, "Biases of judges: position, length, rubric"),
}
TABLES = {number: entry.compute for number, entry in ENTRIES.items() if entry.compute is not None}


def file_name(number: str | int) -> str:
    """Return the name of a table's files without ending.

    >>> file_name(3), file_name("figure_1")
    ('table_03', 'figure_1')
    """
    return f"table_{int(number):02d}" if str(number).isdigit() else str(number)


def caption(number: str | int) -> str:
    """Return a table's caption with its number.

    >>> caption(17), caption("biases")
    ('Table 17. Merging methods', 'Biases. Biases of judges: position, length, rubric')
    """
    title = f"Table {number}" if str(number).isdigit() else str(number).replace("_", " ").capitalize()
    return f"{title}. {ENTRIES[str(number)].caption}"
