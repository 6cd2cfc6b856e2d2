"""The registry of claims: every entry complete, and the choices that were fixed beforehand."""

from __future__ import annotations

import re

import pytest

from prometheus_lib import paper
from prometheus_lib.merging import catalogue
from prometheus_lib.paper import claims
from prometheus_lib.paper.reasons import REASONS
from prometheus_lib.scale import load_scale

TESTED = paper.claims_about()


def test_ids_and_sentences_are_there_once():
    for values in ([claim.id for claim in paper.CLAIMS], [claim.text for claim in paper.CLAIMS]):
        assert len(values) == len(set(values))
    assert all(re.fullmatch(r"[CKN]\d\d", claim.id) for claim in paper.CLAIMS)


@pytest.mark.parametrize("claim", paper.CLAIMS, ids=lambda claim: claim.id)
def test_every_claim_is_complete(claim):
    assert claim.kind in paper.CLAIM_KINDS and claim.role in (claims.PRIMARY, claims.SECONDARY)
    assert claim.where or claim.kind == claims.CONTROL
    assert bool(claim.parts) == (claim.kind != claims.NOT_HERE) == bool(claim.measure)
    assert bool(claim.why) == (claim.kind != claims.CLAIM)
    assert len(set(claim.parts)) == len(claim.parts) and all(part.first != part.second for part in claim.parts)
    assert {"C": True, "K": claim.kind == claims.CONTROL, "N": claim.kind == claims.NOT_HERE}[claim.id[0]]
    if claim.role == claims.PRIMARY:  # one number each, measured on judges that the paper speaks of
        assert len(claim.parts) == 1 and claim.kind == claims.CLAIM and not claim.schooled


def test_margins_are_two_points_and_one_step_of_alpha():
    assert {m.margin for m in paper.MEASURES.values() if m.unit == "points"} == {2}
    assert {m.margin for m in paper.MEASURES.values() if m.unit == "alpha"} == {0.1}
    assert {claim.measure for claim in TESTED} == set(paper.MEASURES)


def test_what_no_test_of_ours_can_decide_is_marked():
    kinds = {claim.id: claim.kind_at(schooled=True) for claim in paper.CLAIMS}
    assert {id for id, kind in kinds.items() if kind == claims.CONSTRUCTION} == {"C07", "C18", "C26", "C27"}
    untaught = {id for id, kind in kinds.items() if kind == claims.SANITY}
    assert untaught == {"C01", "C02", "C22", "C23", "C24", "C34", "C35", "C36"}
    assert all(paper.claim_named(id).kind_at(schooled=False) == claims.CLAIM for id in untaught)
    judges = {part.first.split(",")[0] for part in paper.claim_named("C21").parts}
    assert judges == {"base", "merged"}  # those that Table 16 has


def test_the_judges_are_those_of_the_project():
    scale = load_scale("7b")
    known = {*scale.judges, claims.MERGED, *(f"alpha {alpha}" for alpha in catalogue.ALPHAS)}
    plain = [c for c in TESTED if paper.MEASURES[c.measure].table in (5, 6, 17) or "figure 3" in c.measure]
    named = {side for claim in plain for part in claim.parts for side in (part.first, part.second)}
    assert named - known == {"gain in scoring", "gain in ranking"}
    assert tuple(catalogue.ALPHAS) == claims.ALPHAS
    assert set(claims.METHODS) <= set(scale.judges) and set(claims.PLAIN_SUMS) <= set(scale.judges)


def test_the_truth_takes_the_place_of_every_measure_that_uses_labels():
    without = {"readable", "agreement of draws", "transitivity", "order of the judges"}
    assert {name for name, measure in paper.MEASURES.items() if not measure.truth} == without
    for measure in paper.MEASURES.values():
        assert measure.said(truth=False) == measure.text and measure.said(truth=True) == (measure.truth or measure.text)


def test_each_claim_that_can_fail_has_a_reason_and_what_would_tell():
    assert set(REASONS) == {claim.id for claim in paper.CLAIMS if claim.kind == claims.CLAIM}
    assert all(reason.likely and reason.tells for reason in REASONS.values())
    assert {claim.id for claim in paper.CLAIMS if claim.caution} == {"C14", "C15", "C16", "C21", "C30", "C31"}


def test_an_unknown_claim_is_named():
    with pytest.raises(KeyError, match="no claim 'C99'; there are C01, "):
        paper.claim_named("C99")
