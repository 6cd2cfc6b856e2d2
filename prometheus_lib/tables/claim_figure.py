"""The ledger as a picture: each difference of the primary claims, its corrected interval, and the margin for none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from ..paper import MEASURES, claim_named
from ..paper.claims import PRIMARY
from .claims import NO_EFFECT, NOT_REPRODUCED, REPRODUCED, UNDECIDED
from .palette import BLUE, GREEN, GREY, RED

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = {REPRODUCED: GREEN, NOT_REPRODUCED: RED, NO_EFFECT: BLUE, UNDECIDED: GREY}
_PANELS = {"direct": "scoring: Pearson x 100", "pairwise": "ranking: accuracy in percent"}


def ledger_figure(evidence: pd.DataFrame, ledger: pd.DataFrame) -> Figure:
    """Draw the primary claims of each format: above zero is as the paper says, the grey zone counts as no difference.

    evidence, ledger: from `claims.evidence_table` and `claims.ledger`. A diamond is the paper's own difference where it
    fits into the picture; its distance from ours has no meaning, only its side of zero has.

    >>> from prometheus_lib.tables import example_run
    >>> from prometheus_lib.tables.claims import evidence_table, ledger
    >>> figure = ledger_figure(evidence_table(example_run()), ledger(example_run()))
    >>> [axes.get_title() for axes in figure.axes]
    ['scoring: Pearson x 100', 'ranking: accuracy in percent']
    """
    import matplotlib.pyplot as plt

    primary = evidence[[claim_named(id).role == PRIMARY for id in evidence["claim"]]]
    formats = primary["claim"].map(lambda id: MEASURES[claim_named(id).measure].format)
    rows = max(int(formats.value_counts().max()), 1)
    figure, panels = plt.subplots(2, 1, figsize=(8.5, 1.5 + 0.8 * rows), layout="constrained")
    for axes, (format, title) in zip(panels, _PANELS.items(), strict=True):
        _panel(axes, primary[formats == format], ledger["verdict"])
        axes.set_title(title, fontsize=10)
    panels[-1].set_xlabel("difference in points, 95 % intervals for all together; above zero as the paper claims")
    handles = [plt.Line2D([], [], color=colour, linewidth=2.5, label=name) for name, colour in COLOURS.items()]
    handles.append(
        plt.Line2D([], [], marker="D", linestyle="", markerfacecolor="none", color="black", label="published")
    )
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
    plt.close(figure)  # so that a notebook shows it once
    return figure


def _panel(axes: Any, parts: pd.DataFrame, verdicts: pd.Series) -> None:
    margin = max((claim_named(id).margin for id in parts["claim"]), default=0)
    axes.axvspan(-margin, margin, color="0.9")
    axes.axvline(0, color="black", linewidth=1)
    for place, (_, part) in enumerate(parts.iterrows()):
        colour = COLOURS[verdicts[part["claim"]]]
        axes.plot([part["low"], part["high"]], [place, place], color=colour, linewidth=2.5)
        axes.plot(part["difference"], place, "o", color=colour)
    reach = parts[["low", "high"]].abs().max().max()
    if reach > 0:
        axes.set_xlim(-1.1 * max(reach, margin), 1.1 * max(reach, margin))
        inside = parts["printed"].abs() <= 1.1 * reach
        axes.plot(parts["printed"][inside], inside.to_numpy().nonzero()[0], "D", color="black", markerfacecolor="none")
    axes.set_yticks(range(len(parts)), [f"{row.claim}: {row.part}" for row in parts.itertuples()])
    axes.set_ylim(len(parts) - 0.4, -0.6)
    axes.grid(axis="x", alpha=0.25)
