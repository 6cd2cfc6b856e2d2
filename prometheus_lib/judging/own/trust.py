"""How far to trust a judge on your own items, from what people said about some of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ...data.rubrics.scales import OrderedScale
from ...data.table import canonical
from ...metrics import (
    Corrected,
    Interval,
    bootstrap_correlation,
    bootstrap_interval,
    bootstrap_mean,
    cohen_kappa,
    corrected_mean,
    item_credits,
)
from ...records import DataError
from .outcome import SIDE, SUMMARY, Outcome, sides, summary_row

WANTED = 50  # labels from which intervals are narrow enough to say something
KAPPA_RESAMPLES = 300  # each one is counted anew
JUDGE_ALONE = "(judge alone)"


def trust(result: Outcome) -> pd.DataFrame:
    """Return agreement with people, biases, and the result corrected by their labels, each with a 95 % interval.

    For scores: Pearson's correlation, the mean error (judge less person), kappa of levels (quadratic weights), the same
    agreement between people where `human_<name>` gives a second rater, how much the error goes with a response's
    length, and the mean corrected by prediction-powered inference (`metrics.corrected_mean`). On other scales than 1 to
    5 also what the straight line does: the slope of people's scores on the judge's (1 where it fits). For pairs:
    accuracy, kappa, how often the longer response wins more than for people, and the corrected share of B.

    About 50 labels of items drawn at random are wanted. DataError where there are none.

    >>> from prometheus_lib import judging
    >>> rows = [{"instruction": f"Say {n}.", "response": "x" * n, "human": n % 5 + 1} for n in range(1, 31)]
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     result = judging.score(rows, "Is it right?", judge="constant", out=folder, say=lambda text: None)
    >>> found = trust(result).set_index("measure")["value"]
    >>> found[["error (judge less people)", "corrected mean (people and judge)"]].tolist()
    [0.0, 3.0]
    """
    if result.kind == "rank" or not result.labels:
        raise DataError(
            "nobody has labelled these items: add a column human (scores) or label (A, B, tie; pairs) for about "
            f"{WANTED} of them, drawn at random, and ask again; nothing is judged twice."
        )
    rows = _of_pairs(result) if result.kind == "compare" else _of_scores(result)
    return pd.DataFrame(rows, columns=list(SUMMARY))


def sentence(result: Outcome) -> str:
    """Return a sentence to paste into a paper: what was judged, by whom, agreement, and the corrected result.

    >>> from prometheus_lib import judging
    >>> rows = [{"instruction": "Greet.", "response": "Hi."}]
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     result = judging.score(rows, "Is it kind?", judge="constant", out=folder, say=lambda text: None)
    >>> sentence(result)
    'We had 1 response scored by constant; no human labels were at hand, so its agreement with people here is unknown.'
    """
    n, noun = len(result.table), "pair" if result.kind != "score" else "response"
    done = {"score": "scored", "compare": "compared in both orders", "rank": "compared in both orders"}[result.kind]
    toy = f" ({result.toy.partition(',')[0]})" if result.toy else ""
    start = f"We had {n} {noun}{'s' * (n != 1)} {done} by {result.judge}{toy}"
    if result.kind == "rank" or not result.labels:
        return f"{start}; no human labels were at hand, so its agreement with people here is unknown."
    rows = trust(result).to_dict("records")
    agreement, corrected = rows[0], next(row for row in rows if row["measure"].startswith("corrected"))
    alone = next(row for row in rows if row["measure"].endswith(JUDGE_ALONE))
    how, what = (row["measure"].partition(" (")[0] for row in (agreement, alone))
    return (
        f"{start}. On {agreement['n']} of them with human labels, its agreement with people was {how} "
        f"{_value(agreement)}. Corrected for its errors there (prediction-powered inference), the {what} is "
        f"{_value(corrected)}; the judge alone gives {alone['value']:.2f}."
    )


def _value(row: dict) -> str:
    if np.isnan(row["value"]):
        return "not to be told (one of the two never varies)"
    if np.isnan(row["low"]):
        return f"{row['value']:.2f} (too few labels for an interval)"
    return f"{row['value']:.2f} (95 % interval {row['low']:.2f} to {row['high']:.2f})"


# --- scores ----------------------------------------------------------------------------------------------------------


def _of_scores(result: Outcome) -> list[dict]:
    """Each criterion with its own labels, and the total (or the only criterion) with those of `human`."""
    table, rows = result.table, []
    parts = {criterion.name: criterion for criterion in result.criteria}
    if "human" in result.labels:
        scale = result.criteria[0].scale if len(parts) == 1 else None
        others = [name for name in result.labels if name != "human" and name.removeprefix("human_") not in parts]
        rows += _against(result, "total" if len(parts) > 1 else "score", table["score"], "human", others, scale)
    for name, criterion in parts.items() if len(parts) > 1 else ():
        if (label := f"human_{name}") in result.labels:
            rows += _against(result, name, table[f"{name}.score"], label, [], criterion.scale)
    if not rows and len(parts) == 1:
        first, *others = result.labels
        rows = _against(result, "score", table["score"], first, others, result.criteria[0].scale)
    return rows


def _against(
    result: Outcome, of: str, judged: pd.Series, label: str, others: Sequence[str], scale: OrderedScale | None
) -> list[dict]:
    scores, people = judged.to_numpy(dtype=float), result.labels[label]
    clusters, error = list(result.clusters), judged.to_numpy(dtype=float) - result.labels[label]
    rows = [
        summary_row(of, "Pearson's r (judge and people)", bootstrap_correlation(scores, people, clusters=clusters)),
        summary_row(of, "error (judge less people)", bootstrap_mean(error, clusters=clusters)),
    ]
    if scale is not None and scale.named:
        rows.append(summary_row(of, "kappa of levels (quadratic)", _kappa(scale, scores, people, clusters)))
    for other in others:
        between = bootstrap_correlation(people, result.labels[other], clusters=clusters)
        rows.append(summary_row(of, f"Pearson's r ({label} and {other})", between))
    lengths = np.log1p([len(str(text)) for text in _responses(result)])
    by_length = bootstrap_correlation(error, lengths, clusters=clusters)
    rows.append(summary_row(of, "error and length (correlation)", by_length))
    if scale is not None and not scale.plain:
        rows.append(summary_row(of, "slope of people on the judge (1 fits)", _slope(scores, people, clusters)))
    return rows + _corrected(of, "mean", corrected_mean(scores, people, clusters=clusters))


def _responses(result: Outcome) -> pd.Series:
    known = {canonical(str(name)): name for name in result.table.columns}
    return result.table[known.get("response", result.table.columns[0])].fillna("")


def _kappa(scale: OrderedScale, scores: np.ndarray, people: np.ndarray, clusters: list[str]) -> Interval:
    """Kappa of the nearest levels, by their places on the scale."""
    places = {level: place for place, level in enumerate(scale.levels)}
    known = np.isfinite(scores) & np.isfinite(people)
    levels = [[places[scale.level_of(value)] for value in values[known]] for values in (scores, people)]

    def kappa(one, two) -> float:
        return cohen_kappa(one, two, weights="quadratic", labels=list(places.values()))

    kept = [cluster for cluster, is_known in zip(clusters, known) if is_known]
    return bootstrap_interval(kappa, *levels, clusters=kept, n_resamples=KAPPA_RESAMPLES)


def _slope(scores: np.ndarray, people: np.ndarray, clusters: list[str]) -> Interval:
    known = np.isfinite(scores) & np.isfinite(people)

    def slope(x, y) -> float:
        x = np.asarray(x, dtype=float)
        return float(np.cov(x, y)[0, 1] / x.var(ddof=1)) if len(x) > 1 and x.var() > 0 else np.nan

    kept = [cluster for cluster, is_known in zip(clusters, known) if is_known]
    return bootstrap_interval(slope, scores[known], people[known], clusters=kept, n_resamples=KAPPA_RESAMPLES)


def _corrected(of: str, what: str, found: Corrected) -> list[dict]:
    both, alone, only = f"corrected {what} (people and judge)", f"{what} {JUDGE_ALONE}", f"{what} (labels alone)"
    return [
        summary_row(of, both, found.estimate, found.n) | {"low": found.low, "high": found.high},
        summary_row(of, only, found.labels_only, found.labelled) | {"low": found.labels_low, "high": found.labels_high},
        summary_row(of, alone, found.judge_only, found.n),
    ]


# --- pairs -----------------------------------------------------------------------------------------------------------


def _of_pairs(result: Outcome) -> list[dict]:
    said, clusters = result.labels["label"], np.asarray(result.clusters, dtype=object)
    decided = result.table["decision"].astype(object).where(result.table["decision"].notna(), None)
    known = np.array([label is not None for label in said])
    right = item_credits(list(decided[known]), list(said[known]))
    longer = np.sign([len(str(b)) - len(str(a)) for a, b in zip(*_both(result))]) / 2
    judge, people = sides(list(decided)), np.array([SIDE.get(label, np.nan) if label else np.nan for label in said])
    lean = np.where(longer != 0, ((judge - 0.5) - (people - 0.5)) * np.sign(longer), np.nan)
    rows = [
        summary_row("pairs", "accuracy (judge and people)", bootstrap_mean(right, clusters=list(clusters[known]))),
        summary_row("pairs", "kappa", _pair_kappa(decided[known], said[known], list(clusters[known]))),
        summary_row("pairs", "longer wins more than for people", bootstrap_mean(lean, clusters=list(clusters))),
    ]
    corrected = corrected_mean(judge, people, clusters=list(clusters))
    return rows + _corrected("pairs", "share of B", corrected)


def _both(result: Outcome) -> tuple[pd.Series, pd.Series]:
    known = {canonical(str(name)): name for name in result.table.columns}
    return tuple(result.table[known[f"response_{side}"]].fillna("") for side in "ab")


def _pair_kappa(decided: pd.Series, said: np.ndarray, clusters: list[str]) -> Interval:
    both = [("A", "B", "tie").index(label) if label else -1 for label in decided]
    kept = np.array([place >= 0 for place in both])
    people = np.array([("A", "B", "tie").index(label) for label in said])
    known = [cluster for cluster, is_kept in zip(clusters, kept) if is_kept]

    def kappa(one, two) -> float:
        return cohen_kappa(one, two, labels=[0, 1, 2])

    return bootstrap_interval(kappa, np.array(both)[kept], people[kept], clusters=known, n_resamples=KAPPA_RESAMPLES)
