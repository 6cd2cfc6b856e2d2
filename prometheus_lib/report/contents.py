"""What the page shows beside the cards: findings, the main judges, tables, figures, and how the run was made."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import pandas as pd

from ..artifacts import notebook_seconds
from ..pages import Shown, View, frame_view, told
from ..paper.claims import CLAIMS, NOT_HERE
from ..tables.cells import show_p
from ..tables.files import display_table, interval_text, to_csv, value_text
from ..tables.published import DIRECT_AVERAGE, PAIR_AVERAGE
from ..tables.registry import caption, file_name
from ..tables.report import QUESTIONS, claim_text, verdict_counts
from ..tables.truth import DIRECT_TRUTH, PAIR_TRUTH
from ..tables.worlds import REPORT
from .cards import LOOKS
from .places import Place, cells_of_figures
from .stored import EXPERIMENT, JUDGMENTS, Stored

FIRST_FIGURES = ("10_ledger", "figure_1", "figure_2", "figure_3")
AVERAGES = "5"  # the table with the averages of all main judges


# --- findings --------------------------------------------------------------------------------------------------------


class Said(NamedTuple):
    """A claim in a line: its id, text, verdict with its look, and what this run shows."""

    id: str
    text: str
    verdict: str
    look: str
    ours: str
    over_runs: str


def findings(stored: Stored) -> dict[str, list[Said]]:
    """Return the claims behind each of the report's findings; nothing where no claim was tested."""
    if stored.ledger is None:
        return {}
    ledger = stored.ledger
    return {title: [_said(id, ledger.loc[id]) for id in ids if id in ledger.index] for title, ids in QUESTIONS.items()}


def _said(id: str, row: pd.Series) -> Said:
    look = LOOKS.get(row["verdict"], "open")
    return Said(id, claim_text(row), row["verdict"], look, row["this run"], row["over training runs"])


def counts(stored: Stored) -> list[tuple[str, str, int]]:
    """Return each verdict with its look and how many claims have it."""
    if stored.ledger is None:
        return []
    return [(name, LOOKS.get(name, "open"), int(n)) for name, n in verdict_counts(stored.ledger).items()]


def judges_view(stored: Stored) -> View | None:
    """Return what the main judges reach on the unseen benchmarks of each format, by the truth where it is known."""
    cells = stored.cells.get(AVERAGES)
    if cells is None:
        return None
    columns = [next((c for c in pair if (cells["column"] == c).any()), "") for pair in (
        (DIRECT_TRUTH, DIRECT_AVERAGE), (PAIR_TRUTH, PAIR_AVERAGE))]  # fmt: skip
    judges = stored.manifest.get("settings", {}).get("main_judges") or list(
        dict.fromkeys(cells.loc[cells["kind"] == "judge", "row"])
    )
    kept = cells[(cells["kind"] == "judge") & cells["row"].isin(judges) & cells["column"].isin(columns)]
    return cells_view(kept, "main-judges", "The main judges on the unseen benchmarks") if len(kept) else None


# --- tables ----------------------------------------------------------------------------------------------------------


class Table(NamedTuple):
    """A table of the run: title, caption, and what is shown."""

    title: str
    text: str
    view: View


def tables(stored: Stored) -> list[Table]:
    """Return every stored table, ready to be sorted, filtered and saved."""
    found = []
    for number, cells in stored.cells.items():
        title, _, text = caption(number).partition(". ")
        name = file_name(number)
        found.append(Table(title, text, cells_view(cells, name, caption(number), to_csv(cells), f"{name}.csv")))
    return found


def cells_view(cells: pd.DataFrame, id: str, title: str, csv: str = "", file: str = "") -> View:
    """Return cells as a table to show: numbers, with interval, n, unparsed and test behind each."""
    wide = display_table(cells, write=_shown)
    rows = [
        (Shown(row), Shown(kind), *(each or Shown("") for each in values))
        for (kind, row), values in zip(wide.index, wide.to_numpy(object).tolist(), strict=True)
    ]
    return View(id, title, ("row", "kind", *wide.columns), tuple(rows), csv, file)


def _shown(each: Any) -> Shown:
    text = " ".join(filter(None, (value_text(each), each.verdict)))
    number = None if each.unit == "text" or math.isnan(each.value) else float(f"{each.value:.6g}")
    return Shown(text, number, interval_text(each) if each.unit != "text" else "", "; ".join(_more(each)))


def _more(each: Any) -> Iterator[str]:
    """What stands behind a number."""
    for name in ("n", "unparsed"):
        if pd.notna(value := getattr(each, name)):
            yield f"{name} {int(value):,}"
    if not math.isnan(each.p_holm):
        yield f"p (Holm) {show_p(each.p_holm)}"
    if pd.notna(each.more_needed):
        yield f"about {int(each.more_needed):,} more judgments would tell"
    if each.note:
        yield each.note


# --- figures ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Figure:
    """A figure: its SVG, a caption, what it shows in words, and the cell that draws it."""

    name: str
    svg: str
    caption: str
    text: str
    cell: Place | None


def figures(stored: Stored) -> list[Figure]:
    """Return the run's figures, the most important first; what a figure shows in words stands in its file."""
    cells = cells_of_figures(stored)
    order = [*(name for name in FIRST_FIGURES if name in stored.figures), *sorted(stored.figures)]
    return [_figure(name, stored, cells.get(name)) for name in dict.fromkeys(order)]


def _figure(name: str, stored: Stored, cell: Place | None) -> Figure:
    svg = stored.figures[name].read_text(encoding="utf-8")
    svg = svg[max(svg.find("<svg"), 0) :]
    title, text = told(svg)
    title = title or (cell.name if cell else name)
    return Figure(name, svg, title, text or f"Figure {name}; it does not say what it shows", cell)


# --- the rest --------------------------------------------------------------------------------------------------------


def experiment_view(stored: Stored) -> View | None:
    """Return the hypotheses of the designed experiment with their verdicts, once it has results."""
    found = stored.metrics.get(EXPERIMENT, {})
    if not found.get("results") or not isinstance(found.get("hypotheses"), dict):
        return None
    rows = [
        {"id": id, "hypothesis": each["says"], "verdict": each["verdict"], "p": _p(each["p"])}
        for id, each in found["hypotheses"].items()
    ]
    return frame_view(pd.DataFrame(rows), "hypotheses", "Hypotheses of the designed experiment")


class Worlds(NamedTuple):
    """Several worlds: what each is, in what they agree, and the claims side by side."""

    about: dict[str, str]
    agreements: list[str]
    view: View


def worlds(stored: Stored) -> Worlds | None:
    """Return the claims in several worlds, once a second one had run when the claims were put to the test."""
    found = stored.metrics.get(REPORT, {}).get("worlds")
    if not found:
        return None
    view = frame_view(pd.DataFrame(found["claims"]), "side-by-side", "The same claims in several worlds", csv=True)
    return Worlds(found["about"], found["agreements"], view)


def _p(value: float | None) -> str:
    return show_p(math.nan if value is None else value)


def not_here() -> list[str]:
    """Return the claims that cannot be tested here, each with the reason."""
    return [f"{claim.text} ({claim.where}): {claim.why}" for claim in CLAIMS if claim.kind == NOT_HERE]


def stamp(stored: Stored) -> dict[str, str]:
    """Return how the run was made, in lines: commit, scale, models, machine, versions, cost."""
    made, settings = stored.manifest, stored.manifest.get("settings", {})
    machine, seconds = made.get("machine", {}), notebook_seconds(made)
    judged = stored.metrics.get(JUDGMENTS, {})
    lines = {
        "commit": _commits(made), "scale": stored.name, "base model": settings.get("base_model", ""),
        "training": _training(settings),
        "judging": f"{settings['engine']}, {settings['draws']} draws" if "engine" in settings else "",
        "merged judge": settings.get("merged_judge", ""), "resamples": f"{settings.get('resamples', '')}",
        "machine": ", ".join(str(machine[name]) for name in ("system", "processor") if machine.get(name)),
        "cores and memory": f"{machine['cores']} cores, {machine['memory_gib']} GiB" if "cores" in machine else "",
        "cost": f"{_minutes(sum(seconds.values()))} of notebooks in all, on this machine" if seconds else "",
        "judgments": f"{judged['judgments']:,} ({judged['not ok']:,} not readable)" if "judgments" in judged else "",
        "versions": ", ".join(f"{name} {value}" for name, value in made.get("versions", {}).items()),
    }  # fmt: skip
    return {name: text for name, text in lines.items() if text}


def _commits(made: dict[str, Any]) -> str:
    found = sorted(set(filter(None, made.get("commits", {}).values())))
    return ", ".join(found) or "not noted"


def _training(settings: dict[str, Any]) -> str:
    experts = settings.get("experts", [])
    rows = [each["examples"] for each in experts if isinstance(each.get("examples"), (int, float))]
    return (
        f"{len(experts)} models" + (f", {min(rows):,} to {max(rows):,} rows a format" if rows else "")
        if experts
        else ""
    )


def _minutes(seconds: float) -> str:
    return f"{seconds / 3600:.1f} hours" if seconds >= 5400 else f"{seconds / 60:.0f} minutes"


def seconds_view(stored: Stored) -> View | None:
    """Return what each notebook took, in seconds."""
    seconds = notebook_seconds(stored.manifest)
    frame = pd.DataFrame(sorted(seconds.items()), columns=["notebook", "seconds"])
    return (
        frame_view(frame, "seconds", "Seconds of each notebook (some run side by side)", csv=True) if seconds else None
    )


def settings_text(stored: Stored) -> str:
    """Return all settings of the run as they stand in its manifest."""
    settings = stored.manifest.get("settings")
    return json.dumps(settings, indent=1, ensure_ascii=False) if settings else ""
