"""What a report gathers of a run, and how its tables stand beside the paper's: order of rows, shifts by a rule."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from .. import metrics
from ..judging import store
from ..records import MissingFile
from .cells import COLUMNS
from .files import load_table
from .published import DIRECT_AVERAGE, OVERALL, PAIR_AVERAGE
from .registry import ENTRIES
from .run import Run, load_run

if TYPE_CHECKING:
    from ..scale import Scale


@dataclass(frozen=True)
class Gathered:
    """A run with its stored tables (cells by number) and metrics by notebook; `left_out` says what was not there."""

    run: Run
    cells: dict[str, pd.DataFrame]
    metrics: dict[str, dict[str, Any]]
    left_out: list[str] = field(default_factory=list)

    def table(self, number: str) -> pd.DataFrame:
        """Return a table's cells; an empty frame with the same columns where it was left out."""
        return self.cells.get(number, pd.DataFrame(columns=list(COLUMNS)))


def gather(scale: Scale) -> Gathered:
    """Read what a scale's run left: judgments, tables, numbers. What is missing is listed, what is damaged is an error.

    >>> from prometheus_lib.scale import load_scale
    >>> found = gather(load_scale("smoke", "no such folder"))
    >>> len(found.cells), found.left_out[0]
    (0, 'no judgments')
    """
    run, left_out = Run(scale, pd.DataFrame(columns=list(store.COLUMNS)), {}), ["no judgments"]
    if any(scale.paths.judgments.glob("*.jsonl*")):
        run = load_run(scale, real=False)
        missing = sorted(set(scale.judges) - set(run.judgments["judge"]))
        left_out = [*run.left_out.values(), *(f"judgments of {judge}" for judge in missing)]
    cells = {}
    for number in ENTRIES:
        try:
            cells[number] = load_table(number, scale.paths.tables)
        except MissingFile as error:
            left_out.append(str(error))
    files = sorted(path for path in scale.paths.metrics.glob("[0-9][0-9].json") if path.stem != "10")
    numbers = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in files}
    return Gathered(run, cells, numbers, [line.replace(f"{scale.paths.root}/", "") for line in left_out])


# --- the order of rows -----------------------------------------------------------------------------------------------


def exact_spearman(x: ArrayLike, y: ArrayLike) -> tuple[float, float]:
    """Return Spearman's rho and its exact two-sided p-value: the share of all orders of y that agree as strongly.

    >>> [round(value, 3) for value in exact_spearman([1, 2, 3, 4], [10, 20, 30, 40])]
    [1.0, 0.083]
    """
    one, two = (stats.zscore(stats.rankdata(values)) for values in (x, y))
    every = np.array(list(itertools.permutations(two))) @ one / len(one)
    rho = float(two @ one / len(one))
    return rho, float((np.abs(every) >= abs(rho) - 1e-9).mean())


def row_orders(found: Gathered, readings: Mapping[str, Mapping[str, str]]) -> pd.DataFrame:
    """Return how well the order of our rows agrees with the paper's, for each column of averages that both have.

    readings: by a table's number (a comma and a name may follow), which of our rows takes the place of which of the
    paper's. Columns: table, column, n, rho, exact p, p (Holm).

    >>> from prometheus_lib.tables import example_run
    >>> row_orders(Gathered(example_run(), {}, {}), {"5": {"linear": "MERGED"}}).empty
    True
    """
    rows = [each for name, pairs in readings.items() for each in _orders(found.table(name.split(",")[0]), name, pairs)]
    orders = pd.DataFrame(rows, columns=["table", "column", "n", "rho", "exact p"])
    return orders.assign(**{"p (Holm)": metrics.holm(orders["exact p"].tolist()) if len(orders) else []})


def _orders(table: pd.DataFrame, name: str, pairs: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    table = table[table["column"].isin([DIRECT_AVERAGE, PAIR_AVERAGE, OVERALL])]
    for column, part in table.drop_duplicates(["kind", "row", "column"]).groupby("column", sort=False):
        ours, theirs = (part[part["kind"] == kind].set_index("row")["value"] for kind in ("judge", "published"))
        both = pd.DataFrame({"ours": ours.rename(pairs), "paper": theirs}).reindex(list(pairs.values())).dropna()
        if len(both) > 2 and both.nunique().min() > 1:
            rho, p = exact_spearman(both["ours"], both["paper"])
            yield {"table": name, "column": column, "n": len(both), "rho": rho, "exact p": p}


# --- variants --------------------------------------------------------------------------------------------------------


def variant_shifts(found: Gathered, numbers: Iterable[str] = ("4", "13", "17")) -> pd.DataFrame:
    """Return for each of our numbers how far a rule other than the corrected one moves it, in points.

    Columns: table, column, row, variant, changed, corrected, shift.

    >>> from prometheus_lib.tables import example_run, table_4
    >>> run = example_run()
    >>> shifts = variant_shifts(Gathered(run, {"4": table_4(run)}, {}))
    >>> sorted(shifts.columns)
    ['changed', 'column', 'corrected', 'row', 'shift', 'table', 'variant']
    """
    parts = [_shifts(found.table(number)).assign(table=int(number)) for number in numbers]
    known = [part for part in parts if len(part)]
    columns = ["row", "column", "variant", "changed", "corrected", "shift", "table"]
    return pd.concat(known, ignore_index=True)[columns] if known else pd.DataFrame(columns=columns)


def _shifts(cells: pd.DataFrame) -> pd.DataFrame:
    """The mirror image of a column (Pair2Pair less Direct2Pair) says nothing new and is left out."""
    ours = cells[(cells["kind"] == "judge") & ~cells["column"].str.endswith("Pair2Pair - Direct2Pair")]
    ours = ours[["row", "column", "variant", "value"]]
    plain = ours[ours["variant"] == "corrected"].rename(columns={"value": "corrected"}).drop(columns="variant")
    others = ours[~ours["variant"].isin(["", "corrected"])].rename(columns={"value": "changed"})
    both = others.merge(plain, on=["row", "column"])
    return both.assign(shift=both["changed"] - both["corrected"])
