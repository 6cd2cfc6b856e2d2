"""Learning curves over rows: what experts of one format reach by how many rows they learned."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ..metrics import FEWEST_CLUSTERS
from .claim_evidence import primary_average
from .measures import RESEARCH_DIRECT, RESEARCH_PAIR
from .recipes import examples_learned
from .run import Run

if TYPE_CHECKING:
    from ..scale import Scale

COLUMNS = ["rows", "answers", "readable", "value", "low", "high", "instructions"]


def over_rows(run: Run, format: str) -> pd.DataFrame:
    """Return what the base model (no rows) and the experts of one format reach on the unseen benchmarks, by rows.

    `readable` is the share of the `answers` in which a decision is found, in percent. `value` with its 95 % interval is
    the average over the benchmarks: exact scores or right pairs in percent where the truth is known, else Pearson with
    the strongest rater or accuracy in percent. All judges are compared on what every one of them was asked. Experts
    that differ in their seed alone are one point, the first of them.

    >>> from prometheus_lib.tables import example_run
    >>> over_rows(example_run(), "direct")[["rows", "readable"]].to_dict("index")
    {'base': {'rows': 0, 'readable': 100.0}}
    """
    names = RESEARCH_DIRECT if format == "direct" else RESEARCH_PAIR
    learned = {"base": 0.0} | examples_learned(run.scale)[format].reindex(_experts(run.scale, format)).to_dict()
    known = {judge: rows for judge, rows in learned.items() if pd.notna(rows)}  # not "all", uncounted
    judged = {judge: rows for judge, rows in known.items() if _read(run.of(judge), judge, names, format).size}
    part = run.of(*judged)
    found = {judge: {"rows": rows} | _reached(part, judge, names, format) for judge, rows in judged.items()}
    return pd.DataFrame.from_dict(found, orient="index", columns=COLUMNS).astype({"rows": int}).sort_values("rows")


def told(curve: pd.DataFrame, measure: str) -> str:
    """Return a learning curve (`over_rows`) in one sentence: from the expert of the fewest rows to that of the most.

    >>> curve = pd.DataFrame({"rows": [0, 80, 320], "readable": [0, 90, 95], "value": [np.nan, 0.125, 0.25]})
    >>> told(curve, "Pearson")
    'From 80 to 320 rows: readable answers 90 to 95 %, Pearson 0.125 to 0.250 (no test).'
    """
    trained = curve[curve["rows"] > 0]
    if len(trained) < 2:
        return "The experts here learned one number of rows each: no curve to see."
    fewest, most = trained.iloc[0], trained.iloc[-1]
    values = " to ".join(f"{each:.{1 if '%' in measure else 3}f}" for each in (fewest["value"], most["value"]))
    return (
        f"From {fewest['rows']:,.0f} to {most['rows']:,.0f} rows: readable answers {fewest['readable']:.0f} to "
        f"{most['readable']:.0f} %, {measure} {values} (no test)."
    )


def _experts(scale: Scale, format: str) -> list[str]:
    """The experts that were taught this format alone, without further seeds of one of them."""
    again = {replica for expert in scale.experts for replica in scale.replicas(expert.name)[1:]}
    return [each.name for each in scale.experts if each.formats == (format,) and each.name not in again]


def _reached(run: Run, judge: str, names: tuple[str, ...], format: str) -> dict[str, float]:
    read = _read(run, judge, names, format)
    found = primary_average(run, judge, names)
    reached = {"answers": read.size, "readable": 100 * read.mean()}
    if found is None:
        return reached
    sure = found.n_clusters >= FEWEST_CLUSTERS
    ends = {"low": found.low if sure else np.nan, "high": found.high if sure else np.nan}
    return {**reached, "value": found.estimate, **ends, "instructions": found.n_clusters}


def _read(run: Run, judge: str, names: tuple[str, ...], format: str) -> np.ndarray:
    """Whether each of a judge's answers in a format could be read; no entry where it was not asked."""
    asked = run.scores if format == "direct" else run.choices
    answers = [asked(judge, name) for name in run.present(names)]
    return np.concatenate([np.zeros(0, bool), *(~pd.isna(each).ravel() for each in answers if each is not None)])
