"""The ledger as a picture: every tested claim with its intervals and the zone that counts as no difference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..paper.claims import CONSTRUCTION
from .claims import NO_EFFECT, NOT_REPRODUCED, NOT_TESTED, REPRODUCED, UNDECIDED
from .palette import BLUE, GREEN, GREY, RED

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = {
    REPRODUCED: GREEN,
    NOT_REPRODUCED: RED,
    NO_EFFECT: BLUE,
    UNDECIDED: GREY,
    NOT_TESTED: "0.75",
    "control": "0.25",
}
_NEAR = 12.0  # margins: claims whose intervals reach farther are drawn in a panel of their own
_EVIDENCE = ["difference", "low", "high", "two-way low", "two-way high", "printed"]


def ledger_figure(evidence: pd.DataFrame, ledger: pd.DataFrame) -> Figure:
    """Draw all tested claims in units of their margin: above zero is as the paper says, the grey zone is no difference.

    evidence, ledger: from `claim_evidence.evidence_table` and `claims.ledger`. Thick bars are intervals over
    instructions, corrected for the whole list; thin ones behind them also know of training runs. A claim of several
    differences shows all in one row; one on too few instructions is a point without a bar. Claims that reach beyond
    twelve margins stand in the second panel.

    >>> from prometheus_lib.tables import example_run
    >>> from prometheus_lib.tables.claims import evidence_table, ledger
    >>> figure = ledger_figure(evidence_table(example_run()), ledger(example_run()))
    >>> len(figure.axes), figure.axes[0].get_title().endswith("within 12 margins of zero")
    (2, True)
    """
    import matplotlib.pyplot as plt

    shown = _in_margins(evidence, ledger)
    reach = shown.groupby("claim", sort=False)[["difference", "low", "high"]].apply(lambda ends: ends.abs().max().max())
    near = [id for id in reach.index if reach[id] <= _NEAR]
    far = [id for id in reach.index if id not in near]
    panels = {f"{len(near)} within {_NEAR:.0f} margins of zero": near, f"{len(far)} that reach farther": far}
    heights = [max(len(ids), 1) + 1.5 for ids in panels.values()]
    figure, axes = plt.subplots(
        2, 1, figsize=(9, 1.6 + 0.24 * sum(heights)), layout="constrained", gridspec_kw={"height_ratios": heights}
    )
    for panel, (title, ids) in zip(axes, panels.items(), strict=True):
        _panel(panel, shown[shown["claim"].isin(ids)], ids, ledger)
        panel.set_title(title, fontsize=10)
    axes[-1].set_xlabel(
        "difference in units of its margin (2 points; alpha 0.1); above zero as the paper claims", fontsize=10
    )
    handles = [plt.Line2D([], [], color=colour, linewidth=3, label=name) for name, colour in COLOURS.items()]
    handles.append(plt.Line2D([], [], color="black", linewidth=0.8, label="over training runs, too"))
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    plt.close(figure)  # so that a notebook shows it once
    return figure


def _in_margins(evidence: pd.DataFrame, ledger: pd.DataFrame) -> pd.DataFrame:
    """The measured differences of tested claims, divided by their margins."""
    tested = evidence["claim"].map(ledger["kind"]) != CONSTRUCTION
    shown = evidence[tested & evidence["difference"].notna()].copy()
    shown[_EVIDENCE] = shown[_EVIDENCE].div(shown["margin"], axis=0)
    return shown


def _panel(axes: Any, parts: pd.DataFrame, ids: list[str], ledger: pd.DataFrame) -> None:
    axes.axvspan(-1, 1, color="0.9")
    axes.axvline(0, color="black", linewidth=1)
    for place, id in enumerate(ids):
        rows = parts[parts["claim"] == id]
        colour = COLOURS.get(ledger.at[id, "verdict"], COLOURS["control"])
        offsets = place + np.linspace(-0.3, 0.3, len(rows) + 2)[1:-1]
        wide = 2.5 if len(rows) == 1 else 1.0
        axes.hlines(offsets, rows["two-way low"], rows["two-way high"], color="black", linewidth=0.8)
        axes.hlines(offsets, rows["low"], rows["high"], color=colour, linewidth=wide)
        axes.plot(rows["difference"], offsets, "o", color=colour, markersize=1.5 + wide)
    axes.set_yticks(range(len(ids)), [f"{id}  {ledger.at[id, 'claim']}" for id in ids], fontsize=8)
    axes.set_ylim(max(len(ids), 1) - 0.4, -0.6)
    axes.grid(axis="x", alpha=0.25)
