"""The claims in several worlds: what each run shows of a claim, and its verdict, side by side with the paper's number.

A world is a run at a scale: generated or real items, a small model or a larger one, truth or raters as the yardstick
(`Scale.measurement`). What a run says of the claims is read from where its report left it, so runs of other machines
and days stand beside ours. A world that has not run keeps an empty column with the command that fills it.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from ..paper import Claim, claims_about
from ..paper.claims import CLAIM, CONSTRUCTION, CONTROL, SANITY
from ..records import DataError
from ..scale import SCALES, Scale, committed_outputs, load_scale
from .claims import (
    IN_PART,
    NOT_MEASURED,
    NOT_TESTED,
    UNDECIDED,
    lacking,
    show_parts,
    verdict_of,
)

WORLDS = ("mini", "bridge", "small")  # shown in any case; other scales where they have run
REPORT = "10"  # the numbers of the notebook that puts the claims to the test
NO_INPUTS, NOT_ASKED = "no inputs in this world", "not among this run's claims"
WORLD_ROW = "world"  # the first row: what each column is
_PLAIN = "smoke"  # whose numbers mean nothing
_LEDGER_NUMBERS = dict.fromkeys(("printed", "repaired", "margin"), "float64") | {"more needed": "Int64"}
_EVIDENCE_NUMBERS = dict.fromkeys(
    ("difference", "low", "high", "margin", "printed", "rated", "rated low", "rated high", "two-way low",
     "two-way high"), "float64",
) | dict.fromkeys(("n", "clusters", "more needed"), "Int64")  # fmt: skip


@dataclass(frozen=True)
class World:
    """A run as a world: its scale, and the evidence for each claim (`evidence_table`), None where it has not run.

    >>> World(load_scale("bridge")).command
    'python -m prometheus_lib run --scale bridge'
    """

    scale: Scale
    evidence: pd.DataFrame | None = None

    @property
    def command(self) -> str:
        """Return the command that makes this world's run."""
        return f"python -m prometheus_lib run --scale {self.scale.name}"

    @property
    def about(self) -> str:
        """Return what this world is: items and yardstick, base model, training runs; and how it comes about."""
        runs = len(self.scale.replicas(self.scale.merged_judge))
        told = f"{self.scale.measurement}; base {self.scale.base_name}, {runs} training run{'s' * (runs > 1)}"
        return told if self.evidence is not None else f"{told}; not there yet: `{self.command}`"

    @cached_property
    def parts(self) -> dict[str, pd.DataFrame]:
        """Return the evidence by claim; nothing where this world has not run."""
        return {} if self.evidence is None else dict(list(self.evidence.groupby("claim")))


def read_claims(path: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the ledger (index: ids) and its evidence that a run's report left; DataError for a damaged file.

    >>> read_claims(committed_outputs() / "mini" / "metrics" / "10.json")[0].loc["C03", "role"]
    'primary'
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        ledger = pd.DataFrame.from_dict(found["ledger"], orient="index").astype(_LEDGER_NUMBERS)
        return ledger, pd.DataFrame(found["evidence"]).astype(_EVIDENCE_NUMBERS)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"{path}: not the ledger of this project ({error!r}); run the report's notebook again."
        ) from error


def find_worlds(scale: Scale, evidence: pd.DataFrame | None = None) -> list[World]:
    """Return the worlds in the order of the scales: this run's evidence, and of others what lies beside it.

    A run that does not lie beside this one is looked for among the committed ones. DataError for a damaged one.

    >>> [world.scale.name for world in find_worlds(load_scale("bridge", "no such folder"))][:2]
    ['mini', 'bridge']
    """
    own = {} if evidence is None else {scale.name: World(scale, evidence)}
    others = [_stored(name, scale.paths.root.parent) for name in SCALES if name not in (_PLAIN, *own)]
    known = own | {each.scale.name: each for each in others if each.evidence is not None or each.scale.name in WORLDS}
    return [known[name] for name in (*(name for name in SCALES if name in known), *(set(own) - set(SCALES)))]


def _stored(name: str, beside: Path) -> World:
    """A world as its run lies beside another, else as it is committed."""
    for outputs in (beside, committed_outputs()):
        scale = load_scale(name, outputs)
        if (path := scale.paths.metrics / f"{REPORT}.json").is_file():
            return World(scale, read_claims(path)[1])
    return World(load_scale(name, beside))


# --- the table -------------------------------------------------------------------------------------------------------


def side_by_side(worlds: Iterable[World], ledger: pd.DataFrame, by: str = "") -> pd.DataFrame:
    """Return one row per claim: the claim, the paper's number, then difference and verdict in each world.

    ledger: `claims.ledger` of any of the runs, for what the paper prints. by: "" for what decides in each world (the
    truth where it is known), "rated" for the raters, which is the paper's own measure in every world. The first row
    says what each world is. Controls, and what is settled by construction, are no claims of the paper and are left out.

    >>> from prometheus_lib.tables import claims, example_run
    >>> run = example_run()
    >>> worlds = [World(run.scale, claims.evidence_table(run)), World(load_scale("bridge"))]
    >>> side_by_side(worlds, claims.ledger(run)).loc["C03", "smoke: verdict"]
    'no inputs in this world'
    """
    worlds = list(worlds)
    rows = {WORLD_ROW: {"claim": "", "the paper": "", **_columns(worlds, [(each.about, "") for each in worlds])}}
    for claim in compared_claims():
        printed = ledger["printed"].get(claim.id, float("nan"))
        shown = {"claim": claim.text, "the paper": "" if pd.isna(printed) else f"{printed:+.1f}"}
        rows[claim.id] = shown | _columns(worlds, [_in_world(world, claim, by) for world in worlds])
    return pd.DataFrame.from_dict(rows, orient="index")


def to_store(worlds: Sequence[World], table: pd.DataFrame) -> dict[str, Any]:
    """Return what a run's numbers keep of this: each world in words, agreements, rows; nothing before a second has run.

    >>> to_store([World(load_scale("bridge"))], pd.DataFrame())
    {}
    """
    if not (agreed := agreements(worlds)):
        return {}
    claims = table.drop(index=WORLD_ROW).rename_axis("id").reset_index()
    about = {each.scale.name: each.about for each in worlds}
    return {"about": about, "agreements": agreed, "claims": claims.to_dict("records")}


def compared_claims() -> list[Claim]:
    """Return the claims that are set side by side: those of the paper that are put to a test somewhere."""
    return [claim for claim in claims_about() if claim.kind not in (CONSTRUCTION, CONTROL)]


def _columns(worlds: Sequence[World], cells: Sequence[tuple[str, str]]) -> dict[str, str]:
    return {
        f"{world.scale.name}: {what}": text
        for world, pair in zip(worlds, cells, strict=True)
        for what, text in zip(("difference", "verdict"), pair)
    }


def _in_world(world: World, claim: Claim, by: str) -> tuple[str, str]:
    """What a world shows of a claim, and its verdict with whatever limits it; nothing where it has not run."""
    if world.evidence is None:
        return "", ""
    if claim.id not in world.parts:
        return "", NOT_ASKED
    parts = world.parts[claim.id]
    missing = lacking(parts, by or "difference")
    if missing == NOT_MEASURED:
        return "", NO_INPUTS
    verdict = _verdict(world, claim, by)
    verdict = NOT_TESTED if missing and verdict == UNDECIDED else verdict
    notes = []
    if missing == IN_PART:
        notes.append(f"{parts[by or 'difference'].isna().sum()} of {len(parts)} differences without inputs")
    elif missing and verdict == NOT_TESTED:
        notes.append(missing)
    if claim.kind_at(world.scale.schooled) == SANITY:
        notes.append(SANITY)
    return show_parts(parts, by), f"{verdict} ({'; '.join(notes)})" if notes else verdict


def _verdict(world: World, claim: Claim, by: str) -> str:
    parts = world.parts.get(claim.id)
    return UNDECIDED if parts is None else verdict_of(claim, parts[f"{by} shown" if by else "shown"])


# --- in words --------------------------------------------------------------------------------------------------------


def agreements(worlds: Iterable[World], by: str = "") -> list[str]:
    """Say of each two worlds that have run what sets them apart, what both could test, and where verdicts agree.

    Only claims that neither world takes for a sanity check count. Empty where fewer than two have run.

    >>> from prometheus_lib.tables import claims, example_run
    >>> one = World(example_run().scale, claims.evidence_table(example_run()))
    >>> agreements([one]), len(agreements([one, one]))
    ([], 1)
    """
    there = [world for world in worlds if world.evidence is not None]
    return [_agreement(one, other, by) for one, other in itertools.combinations(there, 2)]


def _agreement(one: World, other: World, by: str) -> str:
    names = [world.scale.name for world in (one, other)]
    claims = [c for c in compared_claims() if all(c.kind_at(w.scale.schooled) == CLAIM for w in (one, other))]
    tested = [{c.id for c in claims if _is_tested(world, c, by)} for world in (one, other)]
    both = [claim for claim in claims if claim.id in tested[0] & tested[1]]
    counts = [f"{len(ids)} in {name}" for ids, name in zip(tested, names, strict=True)]
    text = f"{' and '.join(names)}{_apart(one, other, by)}: of {len(claims)} claims"
    text += f" {' and '.join(counts)} could be tested"
    if not both:
        return f"{text}, none in both."
    groups: dict[str, list[str]] = {}
    for claim in both:
        group, told = _together(claim, names, [_verdict(world, claim, by) for world in (one, other)])
        groups.setdefault(group, []).append(told)
    said = [f"{group}: {', '.join(groups[group])}" for group in _groups(names) if group in groups]
    return f"{text}, {len(both)} in both; {'; '.join(said)}."


def _groups(names: Sequence[str]) -> list[str]:
    return [
        "the same verdict",
        "verdicts that differ",
        *(f"decided in {name} alone" for name in names),
        "decided in neither",
    ]


def _together(claim: Claim, names: Sequence[str], verdicts: Sequence[str]) -> tuple[str, str]:
    """Into which group a claim that both worlds tested falls, and how it is written there."""
    first, second = verdicts
    if UNDECIDED in verdicts:
        return ("decided in neither" if first == second else f"decided in {names[first == UNDECIDED]} alone"), claim.id
    if first == second:
        return "the same verdict", f"{claim.id} ({first})"
    return "verdicts that differ", f"{claim.id} ({names[0]} {first}, {names[1]} {second})"


def _is_tested(world: World, claim: Claim, by: str) -> bool:
    parts = world.parts.get(claim.id)
    return parts is not None and not lacking(parts, by or "difference")


def _apart(one: World, other: World, by: str) -> str:
    """In brackets what else than chance may set the verdicts of two worlds apart."""
    told = ["base model"] if one.scale.base_model != other.scale.base_model else []
    if one.scale.miniature != other.scale.miniature:
        told += ["items"] if by else ["items", "yardstick"]
    return f" (they differ in {', '.join(told)})" if told else ""
