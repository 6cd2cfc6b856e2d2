"""A card for each claim: what the paper says and prints, what this run shows, why, and where it is computed."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from ..pages import Shown, View
from ..paper import claim_named
from ..paper.claims import CLAIM, CLAIM_KINDS, PRIMARY
from ..tables.claims import NO_EFFECT, NOT_REPRODUCED, ONE_RUN, REPRODUCED, show_difference
from ..tables.report import claim_lines, claim_text
from .places import Place, cells_of_claims, measure_place
from .stored import Stored
from .strips import Strip, strip

LOOKS = {REPRODUCED: "good", NOT_REPRODUCED: "bad", NO_EFFECT: "none"}  # classes of the page; all else is open
TITLES = {"sanity check": "Sanity checks", "control": "Controls", "settled by construction": "Settled by construction"}


@dataclass(frozen=True)
class Card:
    """A claim as it is shown; texts are those of the ledger."""

    id: str
    text: str
    where: str
    measure: str
    role: str
    verdict: str
    look: str
    over_runs: str
    paper: str
    ours: str
    by_raters: str
    margin: str
    likely: str
    tells: str
    note: str
    strip: Strip | None
    parts: View
    cell: Place | None
    code: Place


def groups_of_cards(stored: Stored) -> dict[str, list[Card]]:
    """Return all cards by heading: primary and secondary claims, checks, controls, what is settled by construction."""
    if stored.ledger is None:
        return {}
    cells = cells_of_claims(stored)
    groups: dict[str, list[Card]] = {}
    order = {kind: place for place, kind in enumerate(CLAIM_KINDS)}
    ledger = stored.ledger.assign(later=stored.ledger["role"] != PRIMARY, order=stored.ledger["kind"].map(order))
    lines = claim_lines(stored.ledger)
    for id, row in ledger.sort_values(["order", "later"], kind="stable").iterrows():
        title = f"{row['role'].capitalize()} claims" if row["kind"] == CLAIM else TITLES[row["kind"]]
        parts = stored.evidence[stored.evidence["claim"] == id]
        groups.setdefault(title, []).append(_card(stored, id, row, lines.loc[id], parts, cells.get(id)))
    return groups


def _card(stored: Stored, id: str, row: pd.Series, line: pd.Series, parts: pd.DataFrame, cell: Place | None) -> Card:
    paper = _paper(row, parts)
    words = f"{id}: ours {row['this run']}; the paper: {paper}; differences within {row['margin']:g} count as none"
    note = row["note"] or (line["why"] if not row["likely reason"] else "")
    return Card(
        id, claim_text(row), row["where"] or "our own control", row["measure"], row["role"],
        row["verdict"], LOOKS.get(row["verdict"], "open"),
        "" if row["over training runs"] == ONE_RUN else row["over training runs"], paper, row["this run"],
        row["by the raters"], f"{row['margin']:g}", row["likely reason"], row["what would tell"], note,
        strip(parts, words), _parts_view(id, parts), cell, measure_place(claim_named(id).measure, stored.root),
    )  # fmt: skip


def _paper(row: pd.Series, parts: pd.DataFrame) -> str:
    """The paper's own difference, and what is left of it after the audit's repair where that changes it."""
    if pd.notna(row["printed"]):
        printed, repaired = f"{row['printed']:+.1f}", f"{row['repaired']:+.1f}" if pd.notna(row["repaired"]) else ""
        return printed if repaired in ("", printed) else f"{printed}, repaired {repaired}"
    known = parts["printed"].dropna()
    if len(known):
        return f"{(known > 0).sum()} of {len(known)} printed differences above zero"
    return "prints no number for it" if row["where"] else "does not make it"


def _parts_view(id: str, parts: pd.DataFrame) -> View:
    """Each difference of a claim with all that is known of it."""
    names = ("difference", "ours", "over seeds", "two-way", "by the raters", "the paper's", "n", "instructions")
    rows = tuple(_part_row(part) for part in parts.to_dict("records"))
    return View(f"parts-{id}", f"The differences behind {id}, with 95 % intervals", names, rows)


def _part_row(part: dict) -> tuple[Shown, ...]:
    two_way = show_difference(part["difference"], part["two-way low"], part["two-way high"])
    return (
        Shown(part["part"]),
        _number(show_difference(part["difference"], part["low"], part["high"]), part["difference"]),
        Shown(part["over seeds"] or "one run"),
        Shown(two_way if pd.notna(part["two-way low"]) else "-"),
        _number(show_difference(part["rated"], part["rated low"], part["rated high"]), part["rated"]),
        _number("-" if pd.isna(part["printed"]) else f"{part['printed']:+.2f}", part["printed"]),
        Shown(f"{part['n']:,}", part["n"]), Shown(str(part["clusters"]), part["clusters"]),
    )  # fmt: skip


def _number(text: str, value: float) -> Shown:
    return Shown(text, None if pd.isna(value) else float(value))
