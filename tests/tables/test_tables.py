"""Tables from hand-made judgments with hand-worked values, from real data with published ones, and `verify`."""

from __future__ import annotations

import dataclasses
import itertools
import math
import warnings

import numpy as np
import pandas as pd
import pytest

from prometheus_lib import metrics, tables
from prometheus_lib.data import benchmarks, feedback_rows, minibench, preference_rows, read_votes
from prometheus_lib.data.oracle import oracle_decisions
from prometheus_lib.records import DataError, DirectItem, Judgment, PairItem, Rubric, as_row, write_items, write_jsonl
from prometheus_lib.runner import verify
from prometheus_lib.scale import load_scale
from prometheus_lib.tables import Run

RUBRIC = Rubric("Is it right?", ("one", "two", "three", "four", "five"))


# --- hand-made runs --------------------------------------------------------------------------------------------------


def direct_items(gold, raters=("sim-strong",), name="vicuna_bench"):
    """One item per gold score, two items per instruction; every rater gives the gold score."""
    return [
        DirectItem(
            f"{name}/{n}", "Describe it.", "word " * (n + 1), "word", RUBRIC, {rater: [score] for rater in raters},
            cluster=f"{name}/{n // 2}", meta={"true_score": score},
        )
        for n, score in enumerate(gold)
    ]  # fmt: skip


def pair_items(labels, name="mt_bench_human", groups=None):
    return [
        PairItem(
            f"{name}/{n}", "Describe it.", "long answer", "short", "answer", "Is it right?", label,
            groups[n] if groups else "", f"{name}/{n}", RUBRIC, meta={"true_a": 1, "true_b": 1},
        )
        for n, label in enumerate(labels)
    ]  # fmt: skip


def judgment(judge, name, item_id, decision, format="direct", draw=0, with_reference=True, fingerprint="f"):
    status = "unparsed" if decision is None else "ok"
    key = f"{judge}-{item_id}-{format}-{with_reference}-{draw}-{fingerprint}"
    return Judgment(
        judge, fingerprint, f"mini_{name}", item_id, format, with_reference, "ab", draw, decision, "", status, 1, 9, key
    )  # fmt: skip


def scored(judge, items, draws, with_reference=True):
    """Judgments of direct items: one list of draws per item."""
    name = items[0].id.split("/")[0]
    return [
        judgment(judge, name, item.id, decision, draw=number, with_reference=with_reference)
        for item, row in zip(items, draws, strict=True)
        for number, decision in enumerate(row)
    ]


def chosen(judge, items, decisions):
    name = items[0].id.split("/")[0]
    pairs = zip(items, decisions, strict=True)
    return [judgment(judge, name, i.id, d, "pairwise", with_reference=False) for i, d in pairs]


def pair_scored(judge, items, draws_a, draws_b):
    name = items[0].id.split("/")[0]
    return [
        judgment(judge, name, f"{item.id}#{side}", score, draw=number, with_reference=False)
        for side, draws in (("a", draws_a), ("b", draws_b))
        for item, row in zip(items, draws, strict=True)
        for number, score in enumerate(row)
    ]


def make_run(judgments, items, judges, **more):
    scale = dataclasses.replace(load_scale("smoke"), main_judges=tuple(judges), resamples=50)
    frame = pd.DataFrame([as_row(j) for j in judgments])
    return Run(scale, frame, items, **more)


def one(cells, row, column, variant=None, kind=None):
    """The only cell of a row and column (and variant and kind)."""
    found = cells[(cells["row"] == row) & (cells["column"] == column)]
    found = found if variant is None else found[found["variant"] == variant]
    found = found if kind is None else found[found["kind"] == kind]
    assert len(found) == 1, found
    return found.iloc[0]


def test_resamples_hang_on_the_name_of_a_benchmark_alone():
    """Pinned: another seed would change every committed interval."""
    run = make_run([judgment("judge", "flask", "flask/0", 3)], {}, [])
    seeds = {name: run.options(name)["seed"] - run.scale.seed for name in [*tables.TITLES, "own", "another"]}
    assert (seeds["vicuna_bench"], seeds["flask"], seeds["biggen_bench"]) == (0, 2, 8)
    assert len(set(seeds.values())) == len(seeds)


# --- direct assessment -----------------------------------------------------------------------------------------------


@pytest.fixture
def direct_run():
    items = direct_items([1, 2, 3, 4, 5, 3], ("sim-strong", "sim-second"))
    gold = [item.meta["true_score"] for item in items]
    judgments = [
        *scored("perfect", items, [[g] * 3 for g in gold]),
        *scored("reversed", items, [[6 - g] * 3 for g in gold]),
        *scored("constant", items, [[3] * 3] * 6),
        *scored("silent", items, [[None] * 3] * 6),
        *scored("mumbling", items, [[None, g, None] if g > 1 else [None] * 3 for g in gold]),
    ]
    return make_run(
        judgments, {"vicuna_bench": items}, ["perfect", "reversed", "constant", "silent", "mumbling", "nobody"]
    )


def test_table_3_judges_at_their_limits(direct_run):
    cells, column = tables.table_3(direct_run), "Vicuna Bench | sim-strong"
    assert one(cells, "perfect", column).value == pytest.approx(1)
    assert one(cells, "reversed", column).value == pytest.approx(-1)
    assert math.isnan(one(cells, "constant", column).value)
    silent = one(cells, "silent", column)
    assert math.isnan(silent.value) and (silent.n, silent.unparsed) == (0, 18)
    mumbling = one(cells, "mumbling", column)
    assert mumbling.value == pytest.approx(1) and (mumbling.n, mumbling.unparsed) == (5, 13)
    assert "nobody" not in set(cells["row"])


def test_table_3_floors_ceilings_and_published_rows(direct_run):
    cells, column = tables.table_3(direct_run), "Vicuna Bench | sim-strong"
    assert one(cells, "rater sim-second", column).kind == "rater"
    assert one(cells, "true score", column).value == pytest.approx(1)
    assert math.isnan(one(cells, "constant score", column).value)
    longer = one(cells, "response length", column)
    assert longer.kind == "floor" and longer.value == pytest.approx(np.corrcoef([1, 2, 3, 4, 5, 3], range(6))[0, 1])
    published = one(cells, "PROMETHEUS-2-7B", column)
    assert (published.value, published.kind) == (0.666, "published") and math.isnan(published.low)
    assert one(cells, "PROMETHEUS-2-7B", "Vicuna Bench (real) | gpt-4-1106").value == 0.666


@pytest.mark.parametrize(("number", "expected"), [("3", 0.8), ("11", 2 / 3), ("12", 0.8)])
def test_correlations_of_the_mean_of_draws(number, expected):
    items = direct_items([1, 2, 3, 4])
    draws = [[1, 1, None], [3, 3, 3], [1, 3, 2], [4, None, None]]  # means 1, 3, 2, 4
    run = make_run(scored("judge", items, draws), {"vicuna_bench": items}, ["judge"])
    found = one(tables.TABLES[number](run), "judge", "Vicuna Bench | sim-strong")
    assert found.value == pytest.approx(expected) and found.unparsed == 3 and found.n == 4


def test_missing_judgments_are_warned_about_and_count_as_unparsed():
    items = direct_items([1, 2, 3, 4])
    judgments = scored("judge", items, [[1], [2], [3], [4]])[:3]
    run = make_run(judgments, {"vicuna_bench": items}, ["judge"])
    with pytest.warns(UserWarning, match="judge, vicuna_bench .*1 of 4 judgments are missing"):
        cells = tables.table_3(run)
    assert one(cells, "judge", "Vicuna Bench | sim-strong").unparsed == 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"fingerprint": "2"}, "other model weights"), ({"prompt_hash": "2", "draw": 1}, "another prompt"), ({}, "")],
)
def test_a_table_never_mixes_two_kinds_of_answers_about_one_item(change, reason):
    items = direct_items([1, 2, 3, 4])
    first = [judgment("judge", "vicuna_bench", item.id, 1, fingerprint="1") for item in items]
    first = [dataclasses.replace(row, prompt_hash="1") for row in first]
    run = make_run([*first, dataclasses.replace(first[2], **change)], {"vicuna_bench": items}, ["judge"])
    with pytest.raises(DataError, match=f"1 items of mini_vicuna_bench have answers of .*{reason}"):
        tables.table_3(run)


def test_figure_1_is_symmetric_and_has_ones_on_its_diagonal():
    items = direct_items([1, 2, 3, 4, 5, 3], ("sim-strong", "sim-crowd"), "flask")
    draws = [[2], [1], [3], [5], [4], [3]]
    run = make_run(scored("judge", items, draws), {"flask": items}, ["judge"])
    cells = tables.figure_1(run)
    ours = cells[cells["kind"].isin(["judge", "rater"])].pivot(index="row", columns="column", values="value")
    assert list(ours.index) == ["judge", "sim-crowd", "sim-strong"]
    assert np.allclose(ours, ours.T) and np.allclose(np.diag(ours), 1)
    assert ours.loc["judge", "sim-crowd"] == pytest.approx(np.corrcoef([1, 2, 3, 4, 5, 3], [2, 1, 3, 5, 4, 3])[0, 1])
    floors = cells[cells["kind"] == "floor"]
    assert set(floors["column"]) == {"judge", "sim-crowd", "sim-strong"} and "response length" in set(floors["row"])


def test_one_draw_of_a_rater_is_a_yardstick_and_its_noise_a_ceiling():
    items = direct_items([1, 2, 3, 4])
    drawn = [[1, 2], [2, 2], [3, 1], [4, 4]]
    items = [dataclasses.replace(item, scores={"sim-strong": draws}) for item, draws in zip(items, drawn, strict=True)]
    run = make_run(scored("judge", items, [[1], [2], [3], [4]]), {"vicuna_bench": items}, ["judge"])
    found = one(tables.table_3(run), "one draw of sim-strong", "Vicuna Bench | sim-strong")
    first, second = zip(*drawn)
    between = np.corrcoef(first, second)[0, 1]
    assert found.kind == "rater" and found.value == pytest.approx(between)
    limit = one(tables.table_3(run), "without the rater's noise", "Vicuna Bench | sim-strong")
    assert limit.kind == "ceiling" and limit.value == pytest.approx(math.sqrt(2 * between / (1 + between)))


def test_table_14_alpha_of_draws():
    items = direct_items([1, 2, 3, 4, 5, 3])
    judgments = [
        *scored("steady", items, [[n % 5 + 1] * 3 for n in range(6)]),
        *scored("constant", items, [[3] * 3] * 6),
        *scored("silent", items, [[None] * 3] * 6),
    ]
    cells = tables.table_14(make_run(judgments, {"vicuna_bench": items}, ["steady", "constant", "silent"]))
    assert one(cells, "steady", "Vicuna Bench").value == pytest.approx(1)
    assert math.isnan(one(cells, "constant", "Vicuna Bench").value)
    silent = one(cells, "silent", "Vicuna Bench")
    assert math.isnan(silent.value) and (silent.n, silent.unparsed) == (0, 18)
    assert one(cells, "PROMETHEUS-2-7B", "Vicuna Bench").value == 0.6018


def test_table_14_raters_against_each_other_take_one_draw_of_each():
    items = direct_items([1, 2, 3, 4, 5, 3], ("sim-strong", "sim-second"))
    run = make_run(scored("judge", items, [[1, 2, 1]] * 6), {"vicuna_bench": items}, ["judge"])
    assert one(tables.table_14(run), "raters against each other", "Vicuna Bench").value == pytest.approx(1)


def test_table_16_difference_is_paired_and_tested():
    gold = [1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 1, 5] * 2
    items = direct_items(gold, ("sim-crowd",), "biggen_bench")
    noise = [3, 1, 5, 2, 4, 4, 1, 3, 5, 2, 2, 3] * 2
    judgments = [
        *scored("judge", items, [[g] for g in gold]),
        *scored("judge", items, [[g] for g in noise], with_reference=False),
    ]
    cells = tables.table_16(make_run(judgments, {"biggen_bench": items}, ["judge"]))
    free = one(cells, "judge", "BiGGen Bench | reference-free")
    difference = one(cells, "judge", "BiGGen Bench | difference")
    assert free.value == pytest.approx(np.corrcoef(gold, noise)[0, 1])
    assert difference.value == pytest.approx(1 - free.value)
    assert (difference.verdict, difference.test) == ("higher", "paired bootstrap by cluster") and difference.low > 0
    assert difference.note.startswith("by item, uncorrected, Williams: p") and difference.p <= difference.p_holm < 0.05
    assert one(cells, "PROMETHEUS-2-7B", "BiGGen Bench | difference").value == 0.052


# --- pairwise ranking ------------------------------------------------------------------------------------------------


@pytest.fixture
def pair_run():
    """Five pairs labelled A A B tie tie; the judge says A B B A None; direct draws tie on the 2nd, 4th and 5th."""
    items = pair_items(["A", "A", "B", "tie", "tie"])
    a = [[5, 5, 5], [3, 4, 3], [1, 1, 1], [2, 2, 2], [4, 4, 4]]
    b = [[1, 1, 1], [3, 2, 3], [2, 2, 2], [2, 1, 2], [4, 4, 4]]
    judgments = [*chosen("judge", items, ["A", "B", "B", "A", None]), *pair_scored("judge", items, a, b)]
    return make_run(judgments, {"mt_bench_human": items}, ["judge"])


@pytest.mark.parametrize(
    ("column", "variant", "value", "unparsed"),
    [
        ("w/ TIE", "paper-text", 80, 0),  # A tie B tie tie: the second is wrong
        ("w/ TIE", "paper-code", 100, 0),  # the second draw decides the second pair for A
        ("w/ TIE", "corrected", 40, 1),  # A B B A None
        ("w/ TIE", "ties half", 50, 1),  # the fourth is half right, the unparsed fifth is not
        ("w/o TIE", "", 200 / 3, 0),
    ],
)
def test_table_4_variants(pair_run, column, variant, value, unparsed):
    found = one(tables.table_4(pair_run), "judge", f"MT Bench Human | {column}", variant)
    assert found.value == pytest.approx(value) and found.unparsed == unparsed
    assert found.n == (3 if column == "w/o TIE" else 5)


def test_table_4_shows_one_variant_for_all_rows_of_a_column(pair_run):
    cells = tables.table_4(pair_run)
    for variants, name, value in ((None, "corrected", "40.0"), (["paper-code"], "paper-code", "100.0")):
        shown = tables.display_table(cells, variants)[f"MT Bench Human | w/ TIE ({name})"]
        assert shown[("judge", "judge")].startswith(value)
        for row in ("always A", "random", "longer wins", "closer to reference"):
            known = one(cells, row, "MT Bench Human | w/ TIE", name).value
            assert shown[("floor", row)].startswith(f"{known:.1f}")
            assert "[" not in shown[("floor", row)], "five instructions are too few for an interval"
    unparsed = tables.display_table(cells)["MT Bench Human | w/ TIE (corrected)"][("judge", "judge")]
    assert unparsed.endswith("(1 unparsed)")


def test_table_4_trivial_judges_under_the_papers_rules(pair_run):
    """Equal lengths would tie; here A is always longer, so both of the paper's rules leave "longer wins" as it is."""
    cells, column = tables.table_4(pair_run), "MT Bench Human | w/ TIE"
    values = {v: one(cells, "longer wins", column, v).value for v in ("corrected", "paper-text", "paper-code")}
    assert values == pytest.approx(dict.fromkeys(values, 40))
    assert one(cells, "always A", column, "paper-text").value == pytest.approx(40)  # constant scores: ties throughout


def test_table_4_floors_and_ceiling(pair_run):
    cells = tables.table_4(pair_run)
    assert one(cells, "always A", "MT Bench Human | w/o TIE").value == pytest.approx(200 / 3)
    assert one(cells, "longer wins", "MT Bench Human | w/ TIE", "corrected").value == pytest.approx(40)
    assert one(cells, "oracle", "MT Bench Human | w/ TIE", "corrected").kind == "ceiling"


def test_table_4_groups_and_micro_total():
    items = pair_items(["A", "A", "A", "B"], "hhh_alignment", ["looks", "looks", "looks", "trade"])
    run = make_run(chosen("judge", items, ["A", "A", "B", "B"]), {"hhh_alignment": items}, ["judge"])
    cells = tables.table_4(run)
    values = {part: one(cells, "judge", f"HHH Alignment | {part}").value for part in ("looks", "trade", "total")}
    assert values == pytest.approx({"looks": 200 / 3, "trade": 100, "total": 75})
    assert one(cells, "PROMETHEUS-2-7B", "HHH Alignment | looks").value == 72.78


@pytest.mark.parametrize(
    ("variant", "direct", "difference"),
    [("corrected", 200 / 3, 0), ("ties half", 250 / 3, -50 / 3), ("paper-code", 100, -100 / 3)],
)
def test_table_13_tie_rules_without_gold_ties(pair_run, variant, direct, difference):
    cells = tables.table_13(pair_run)
    assert one(cells, "judge", "MT Bench Human | Direct2Pair", variant).value == pytest.approx(direct)
    assert one(cells, "judge", "MT Bench Human | Pair2Pair").value == pytest.approx(200 / 3)
    signed = one(cells, "judge", "MT Bench Human | Pair2Pair - Direct2Pair", variant)
    assert signed.value == pytest.approx(difference, abs=1e-9) and signed.n == 3


def test_table_13_a_judge_of_length_is_perfectly_consistent(pair_run):
    assert (
        one(tables.table_13(pair_run), "longer wins", "MT Bench Human | Pair2Pair - Direct2Pair", "corrected").value
        == 0
    )


def test_table_13_floors_and_ceiling(pair_run):
    cells, gap = tables.table_13(pair_run), "MT Bench Human | Pair2Pair - Direct2Pair"
    always = one(cells, "always A", gap, "corrected")
    assert (always.kind, always.value) == ("floor", pytest.approx(200 / 3))  # constant scores tie, and ties are wrong
    assert one(cells, "oracle", gap, "corrected").kind == "ceiling"


def tournament_items(instructions=3):
    """Every pair of five responses r1 < r2 < ... < r5; the better one is A in every second pair."""
    rows = []
    for number in range(instructions):
        for which, (worse, better) in enumerate(itertools.combinations(range(1, 6), 2)):
            first, second = (better, worse) if which % 2 else (worse, better)
            rows.append(
                PairItem(
                    f"preference_bench/{number}-{which}", "Describe it.", f"r{first}", f"r{second}", "r5", "Right?",
                    "A" if which % 2 else "B", "", f"preference_bench/{number}", RUBRIC,
                    meta={"true_a": first, "true_b": second},
                )
            )  # fmt: skip
    return rows


def test_table_15_definitions_at_their_limits():
    items = tournament_items()
    gold = [item.label for item in items]
    against = ["B" if label == "A" else "A" for label in gold]
    adjacent = tables.gold_gaps(items) == 1
    near = [bad if wrong else good for good, bad, wrong in zip(gold, against, adjacent)]
    judgments = [
        *chosen("perfect", items, gold), *chosen("reversed", items, against), *chosen("near", items, near),
        *chosen("silent", items, [None] * len(items)),
    ]  # fmt: skip
    cells = tables.table_15(make_run(judgments, {"preference_bench": items}, ["perfect", "reversed", "near", "silent"]))
    value = {(c.row, c.column): c.value for c in cells.itertuples()}
    text, code, cycles = "Transitivity", "Released code's transitivity", "Cyclic triples"
    assert [value["perfect", c] for c in (text, code, cycles)] == [100, 100, 0]
    assert [value["reversed", c] for c in (text, code, cycles)] == [100, 0, 0]
    assert value["near", code] == 100 and value["near", text] < 100 and value["near", cycles] > 0
    silent = one(cells, "silent", text)
    assert math.isnan(silent.value) and silent.unparsed == 30
    assert value["silent", code] == 0
    assert value["PROMETHEUS-2-7B", text] == 97.6


def test_gold_gaps_are_grade_differences():
    items = tournament_items(1)
    assert tables.gold_gaps(items).tolist() == [abs(i.meta["true_a"] - i.meta["true_b"]) for i in items]


# --- averages --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def world():
    """A small miniature world and judges that are right in a known share of cases, in memory."""
    items = {name: minibench.build(f"mini_{name}", 42, 0.2) for name in tables.TITLES}
    skills = {
        "base": 0.3,
        "direct": 0.9,
        "pairwise": 0.8,
        "linear": 0.9,
        "slerp": 0.9,
        "joint": 0.6,
        "linear-0.4": 0.95,
    }
    return items, [j for judge, skill in skills.items() for j in world_judgments(items, judge, skill)]


def world_judgments(items, judge, skill):
    """True decisions in a share `skill` of the cases, drawn by judge; "slerp" is the twin of "linear"."""
    rng = np.random.default_rng(sum(map(ord, "linear" if judge == "slerp" else judge)))
    for name, rows in items.items():
        for item in rows:
            yield from _world_item(rng, name, item, judge, skill)


def _world_item(rng, name, item, judge, skill):
    if isinstance(item, DirectItem):
        for with_reference, draw in itertools.product((True, False), range(3)):
            score = item.meta["true_score"] if rng.random() < skill else int(rng.integers(1, 6))
            yield judgment(judge, name, item.id, score, draw=draw, with_reference=with_reference)
        return
    choice = minibench.true_decision(item)
    choice = choice if choice != "tie" and rng.random() < skill else str(rng.choice(["A", "B"]))
    yield judgment(judge, name, item.id, choice, "pairwise", with_reference=False)
    for side, draw in itertools.product("ab", range(3)):
        score = item.meta[f"true_{side}"] if rng.random() < skill else int(rng.integers(1, 6))
        yield judgment(judge, name, f"{item.id}#{side}", score, draw=draw, with_reference=False)


@pytest.fixture(scope="module")
def world_run(world):
    items, judgments = world
    return Run(load_scale("smoke"), pd.DataFrame([as_row(j) for j in judgments]), items)


def test_table_5_averages_are_means_of_their_columns(world_run):
    cells = tables.table_5(world_run)
    row = cells[(cells["row"] == "direct")].set_index("column")["value"]
    direct = [f"{name} | sim-strong" for name in ("Vicuna Bench", "MT Bench", "FLASK")]
    assert row["Direct average"] == pytest.approx(row[direct].mean())
    pair = ["HHH Alignment | total", "MT Bench Human | w/o TIE", "Auto-J Eval | w/o TIE"]
    assert row["Pairwise average"] == pytest.approx(row[pair].mean())
    assert "joint-half" not in set(cells["row"])  # never judged here
    assert one(cells, "Mistral-Instruct-7B | WEIGHT MERGING", "Direct average").value == 0.624


def test_tables_3_4_and_5_agree_on_value_and_interval(world_run):
    wide = pd.concat([tables.table_3(world_run), tables.table_4(world_run)])
    for column in ("MT Bench | sim-strong", "HHH Alignment | total", "Auto-J Eval | w/o TIE"):
        there, here = one(wide, "direct", column), one(tables.table_5(world_run), "direct", column)
        assert (here.value, here.low, here.high) == pytest.approx((there.value, there.low, there.high))


def test_average_of_an_undefined_correlation_is_undefined():
    items = {name: direct_items([1, 2, 3, 4], name=name) for name in tables.RESEARCH_DIRECT}
    judgments = [j for name in items for j in scored("base", items[name], [[3]] * 4)]
    run = make_run(judgments, items, ["base"])
    found = one(tables.table_5(run), "base", "Direct average")
    assert math.isnan(found.value) and math.isnan(found.low)


def test_table_17_twins_do_not_differ(world_run):
    cells = tables.table_17(world_run)
    twins = cells[(cells["row"] == "slerp - linear") & ~cells["unit"].eq("points")]
    by_truth = cells[(cells["row"] == "slerp - linear") & cells["unit"].eq("points")]
    assert len(by_truth) == 10 and (by_truth["value"] == 0).all()
    assert len(twins) == 10 and (twins["value"] == 0).all()
    few = twins["verdict"] == metrics.TOO_FEW
    assert 0 < few.sum() < len(twins) and (twins["verdict"][~few] == "undecided").all()
    assert twins[twins["verdict"] == metrics.TOO_FEW]["p_holm"].isna().all()
    hhh = twins[twins["column"] == "HHH Alignment | total"].iloc[0]
    assert (hhh.verdict, hhh.p_holm, hhh.test) == ("undecided", 1, "exact permutation by cluster")
    assert hhh.note == "by item, uncorrected, McNemar exact: p = 1"
    linear = cells[cells["row"] == "linear"].set_index(["column", "variant"])["value"]
    averages = [100 * linear["Direct average", ""], linear["Pairwise average", ""]]
    assert linear["Overall average", "corrected"] == pytest.approx(np.mean(averages))
    in_domain = 100 * linear["Feedback Bench | sim-strong", ""]
    assert linear["Overall average", "as printed"] == pytest.approx((in_domain + averages[1]) / 2)


def test_table_17_prints_both_overall_averages_of_the_paper(world_run):
    cells = tables.table_17(world_run)
    assert one(cells, "LINEAR", "Overall average", "as printed").value == 82.93
    assert one(cells, "LINEAR", "Overall average", "corrected").value == pytest.approx((65.2 + 78.06) / 2)


def test_a_much_better_judge_is_found_better(world_run):
    better = tables.compare_averages(world_run, "direct", "base", tables.RESEARCH_DIRECT)
    assert better.difference > 0 and better.low > 0
    assert better.p_value < 0.001
    assert tables.compare_averages(world_run, "direct", "nobody", tables.RESEARCH_DIRECT) is None


def test_judges_are_compared_on_pairs_without_gold_ties():
    items = pair_items(["A"] * 12 + ["tie"])
    judgments = [*chosen("right", items, ["A"] * 13), *chosen("wrong", items, ["B"] * 13)]
    run = make_run(judgments, {"mt_bench_human": items}, ["right", "wrong"])
    found = tables.compare_judges(run, "wrong", "right", "mt_bench_human")
    assert (found.verdict, found.difference, found.n) == ("second", -100, 12)
    assert tables.compare_judges(run, "wrong", "nobody", "mt_bench_human") is None


def test_figure_3_finds_the_best_alpha(world_run):
    cells = tables.figure_3(world_run)
    sweep = cells[(cells["column"] == "Direct average") & (cells["kind"] == "judge")].set_index("row")["value"]
    assert list(sweep.index) == ["0.0", "0.4", "0.5", "1.0", "best alpha"]
    assert sweep["best alpha"] == float(sweep.drop("best alpha").idxmax())
    shares = cells[cells["column"] == "Direct average, share best"]["value"]
    assert shares.sum() == pytest.approx(1)
    assert one(cells, "best alpha", "Pairwise average", kind="published").value == 0.3


# --- differences -----------------------------------------------------------------------------------------------------


def test_table_3_differences_are_paired_and_corrected_over_the_table():
    rng = np.random.default_rng(4)
    gold = rng.integers(1, 6, 60).tolist()
    items = direct_items(gold)
    noisy = np.clip(np.array(gold) + rng.integers(-1, 2, 60), 1, 5)
    blind = rng.integers(1, 6, 60)
    says = {"linear": gold, "noisy": noisy.tolist(), "blind": blind.tolist()}
    judgments = [j for judge, scores in says.items() for j in scored(judge, items, [[s] for s in scores])]
    run = make_run(judgments, {"vicuna_bench": items}, list(says))
    cells = tables.table_3(run)
    exact = one(cells, "linear - noisy", "Vicuna Bench | exact score")
    assert exact.value == pytest.approx(100 * np.mean(noisy != gold)) and exact.verdict == "higher"
    differences = cells[(cells["kind"] == "difference") & (cells["unit"] == "pearson")].set_index("row")
    assert list(differences.index) == ["linear - noisy", "linear - blind"]
    assert differences.loc["linear - blind", "value"] == pytest.approx(1 - np.corrcoef(gold, blind)[0, 1])
    assert differences.loc["linear - blind", "verdict"] == "higher"
    library = metrics.compare_correlations(
        gold, noisy, gold, clusters=tables.clusters(items), **run.options("vicuna_bench", tables.COMPARISON_RESAMPLES)
    )
    row = differences.loc["linear - noisy"]
    assert (row["value"], row["low"], row["high"]) == pytest.approx((library.difference, library.low, library.high))


def test_difference_of_judges_that_missed_other_items_uses_the_items_both_scored():
    gold = [1, 2, 3, 4, 5, 3, 2, 4] * 5
    items = direct_items(gold)
    first = [[None] if n % 8 == 0 else [g] for n, g in enumerate(gold)]
    second = [[None] if n % 8 == 1 else [6 - g] for n, g in enumerate(gold)]
    run = make_run(
        [*scored("linear", items, first), *scored("other", items, second)], {"vicuna_bench": items}, ["linear", "other"]
    )
    found = one(tables.table_3(run), "linear - other", "Vicuna Bench | sim-strong")
    assert found.value == pytest.approx(2) and found.n == 30


def test_table_4_differences_without_the_merged_judge_start_from_the_first():
    items = pair_items(["A", "B"] * 15)
    right = [item.label for item in items]
    wrong = ["B" if label == "A" else "A" for label in right]
    judgments = [*chosen("one", items, right), *chosen("two", items, wrong)]
    cells = tables.table_4(make_run(judgments, {"mt_bench_human": items}, ["one", "two"]))
    found = one(cells, "one - two", "MT Bench Human | w/o TIE")
    assert (found.value, found.verdict, found.test) == (100, "higher", "exact permutation by cluster")
    assert found.p_holm < 1e-4


@pytest.mark.parametrize(
    ("p", "text"),
    [(0.05, "0.05"), (0.0499999, "0.0499999"), (0.0504, "0.0504"), (0.05000001, "0.05000001"), (1.0, "1"),
     (3e-22, "<0.0001"), (0.00012345, "0.000123"), (math.nan, "-")],
)  # fmt: skip
def test_p_values_never_cross_the_level_by_rounding(p, text):
    assert tables.show_p(p) == text


def test_plain_writes_no_nan_and_no_minus_zero():
    frame = pd.DataFrame(
        {"name": ["a", None], "value": [-0.00001, math.nan], "n": [3, 4], "p (Holm)": [0.04996, math.nan],
         "more": pd.array([12, pd.NA], dtype="Int64")}
    )  # fmt: skip
    assert tables.plain(frame).to_numpy().tolist() == [["a", "0.000", "3", "0.04996", "12"], ["-", "-", "4", "-", "-"]]
    assert tables.plain(frame, {"value": 1})["value"].tolist() == ["0.0", "-"]


# --- statistics of the data ------------------------------------------------------------------------------------------


def test_table_1_counts_rows_and_distinct_texts():
    row = {"orig_instruction": "i", "orig_criteria": "c", "orig_reference_answer": "r", "orig_feedback": "f"}
    rows = [row, {**row, "orig_instruction": "j"}, {**row, "orig_feedback": ""}]
    cells = tables.table_1(rows, rows[:1])
    found = cells[cells["column"] == "Feedback Collection (ours)"].set_index("row")["value"]
    assert found.dropna().to_dict() == {
        "# Evaluation Criteria": 1,
        "# Instructions": 2,
        "# Reference Answer": 1,
        "# Instances": 3,
        "# Verbal Feedback": 2,
    }
    assert one(cells, "# Instances", "Preference Collection (published)").value == 200_000
    assert (
        tables.display_table(cells).loc[("benchmark", "# Instances"), "Preference Collection (published)"] == "200,000"
    )


def test_table_2_counts_items_and_states_the_ceiling(world_run):
    cells = tables.table_2(world_run)
    items = world_run.items["vicuna_bench"]
    assert one(cells, "Vicuna Bench", "# Judgments", kind="benchmark").value == len(items)
    known = minibench.ceiling(items, "sim-strong")["pearson"]
    assert one(cells, "Vicuna Bench", "Ceiling | sim-strong").value == pytest.approx(known)
    pairs = [item for item in world_run.items["autoj_eval"] if item.label != "tie"]
    known = 100 * np.mean([said == item.label for said, item in zip(oracle_decisions(pairs), pairs)])
    assert one(cells, "Auto-J Eval", "Ceiling | accuracy").value == pytest.approx(known)
    assert one(cells, "HHH Align.", "# Judgments").value == 221
    assert one(cells, "HHH Align.", "Judgment Source").text == "Humans"


# --- real data -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real_run(world, data_dir):
    items, judgments = world
    real = {name: benchmarks.load_benchmark(name, data_dir) for name in tables.REAL_NAMES}
    replay, votes = benchmarks.load_autoj_replay(data_dir), read_votes(data_dir)
    scale = dataclasses.replace(load_scale("smoke"), resamples=20)
    return Run(scale, pd.DataFrame([as_row(judgments[0])]), {"flask": items["flask"]}, real, replay, votes)


@pytest.mark.filterwarnings("ignore:.*judgments are missing")
@pytest.mark.parametrize(("number", "expected"), [("3", 0.294498), ("12", 0.374977), ("11", 0.285184)])
def test_real_vicuna_length_floor(real_run, number, expected):
    found = one(tables.TABLES[number](real_run), "response length", "Vicuna Bench (real) | gpt-4-1106")
    assert found.value == pytest.approx(expected, abs=1e-6) and (found.n, found.kind) == (320, "real floor")


@pytest.mark.filterwarnings("ignore:.*judgments are missing")
def test_real_mt_bench_prompt_floor_and_rater(real_run):
    cells, column = tables.table_3(real_run), "MT Bench (real) | gpt-4-1106"
    others = one(cells, "mean of the other answers' scores", column)
    assert (others.kind, others.value) == ("real floor", pytest.approx(0.651470, abs=5e-7))
    assert one(cells, "one draw of gpt-4-1106", column).value > 0.8


def test_real_pairwise_floors_and_auto_j(real_run):
    cells, column = tables.table_4(real_run), "Auto-J Eval (real) | w/ TIE"
    assert one(cells, "longer wins", "HHH Alignment (real) | total").value == pytest.approx(100 * 139 / 221)
    first = one(cells, "Auto-J 13B, first order", column, "corrected")
    assert first.value == pytest.approx(100 * 835 / 1392) and first.kind == "real judge"
    assert round(one(cells, "Auto-J 13B, right in both orders", column).value, 2) == 54.96
    consistent = one(cells, "Auto-J 13B, first order", "Auto-J Eval (real) | consistency")
    assert round(consistent.value, 2) == 83.41
    assert one(cells, "AUTO-J (13B)", "Auto-J Eval (real) | w/o TIE").value == 76.64


def test_consistency_stands_beside_the_accuracy_of_who_was_asked_in_both_orders():
    """A judge that always picks what stands first is right in half of the pairs, and alike in both orders in none."""
    said = {"base": ("AAAA", "BBBB"), "linear": ("ABAB", "ABA-"), "direct": ("ABAB", None)}
    for name in ("hhh_alignment", "preference_bench"):
        items = pair_items("ABAB", name, groups=["trade"] * 4)
        judgments = [each for judge, (first, _) in said.items() for each in chosen(judge, items, first)]
        for judge in ("base", "linear"):
            again = chosen(judge, items, [None if decision == "-" else decision for decision in said[judge][1]])
            judgments += [dataclasses.replace(each, order="ba", key=f"{each.key}-ba") for each in again]
        run = make_run(judgments, {name: items}, said)
        column, accuracy = f"{tables.TITLES[name]} | consistency", tables.TITLES[name]
        accuracy += " | total" if name == "hhh_alignment" else ""
        for cells in (tables.table_4(run), tables.table_5(run))[: 2 if name == "hhh_alignment" else 1]:
            found = [one(cells, judge, column, kind="judge") for judge in ("base", "linear")]
            assert [(cell.value, cell.n, cell.unparsed) for cell in found] == [(0, 4, 0), (75, 4, 1)]
            assert one(cells, "base", accuracy, kind="judge").value == 50
            assert "direct" not in set(cells.loc[cells["column"] == column, "row"])


def test_real_votes_stand_in_table_4(real_run):
    cells, column = tables.table_4(real_run), "MT Bench Human (real) | "
    experts = [one(cells, "expert against expert", column + part) for part in ("w/ TIE", "w/o TIE")]
    assert [(cell.value, cell.n) for cell in experts] == [
        (pytest.approx(100 * 454 / 721), 721),
        (pytest.approx(100 * 388 / 479), 479),
    ]
    gpt4 = [one(cells, "GPT-4 against experts", column + part) for part in ("w/ TIE", "w/o TIE")]
    assert [cell.value for cell in gpt4] == pytest.approx([100 * 886 / 1343, 100 * 727 / 859])
    assert experts[0].kind == "real ceiling" and gpt4[0].kind == "real judge" and experts[0].low < experts[0].value


def test_real_counts_of_table_2(real_run):
    cells = tables.table_2(real_run)
    assert one(cells, "Vicuna Bench (real)", "# Score Rubrics").value == 46
    assert one(cells, "MT Bench (real)", "# Score Rubrics").value == 71
    assert one(cells, "Auto-J Eval (real)", "# Ties").value == 373


# --- files and verify ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def saved(world, tmp_path_factory):
    """The small world as files: benchmarks, judgments and all tables."""
    items, judgments = world
    scale = load_scale("smoke", tmp_path_factory.mktemp("outputs"))
    for name, rows in items.items():
        write_items(scale.paths.benchmark(f"mini_{name}"), rows)
    for judge in dict.fromkeys(j.judge for j in judgments):
        write_jsonl(scale.paths.judgments / f"{judge}.jsonl", [as_row(j) for j in judgments if j.judge == judge])
    run = tables.load_run(scale, real=False)
    for number, table in tables.TABLES.items():
        tables.save_table(table(run), number, scale.paths.tables)
    tables.save_table(verify.collections_table(scale), "1", scale.paths.tables)
    return scale


def test_every_table_has_one_cell_per_key_and_survives_its_file(saved):
    for number in tables.TABLES:
        cells = tables.load_table(number, saved.paths.tables)
        assert (len(cells) or number == "attacks") and not cells.duplicated(list(tables.KEY)).any()
        assert set(cells["kind"]) <= set(tables.KINDS) and (cells["table"] == number).all()


def test_saving_twice_gives_equal_bytes(saved, tmp_path):
    run = tables.load_run(saved, real=False)
    for number in ("3", "4", "17", "figure_3"):
        tables.save_table(tables.TABLES[number](run), number, tmp_path)
        for ending in ("csv", "md", "tex"):
            name = f"{tables.file_name(number)}.{ending}"
            assert (tmp_path / name).read_bytes() == (saved.paths.tables / name).read_bytes(), name


def test_saved_markdown_escapes_pipes_and_latex_is_a_table(saved):
    lines = (saved.paths.tables / "table_05.md").read_text().splitlines()
    widths = {line.replace(r"\|", "").count("|") for line in lines if line.startswith("|")}
    assert len(widths) == 1 and r"Vicuna Bench \| sim-strong" in "".join(lines)
    latex = (saved.paths.tables / "table_05.tex").read_text()
    assert latex.startswith(r"\begin{table}") and r"\label{tab:table_05}" in latex


def test_display_orders_kinds_and_keeps_unparsed_visible():
    cells = tables.cells_table(
        "3",
        [
            tables.Cell("paper", "c", 0.5, unit="pearson", kind="published"),
            tables.Cell("floor", "c", 0.1, unit="pearson", kind="floor", low=0.0, high=0.2, n=4, unparsed=0),
            tables.Cell("good", "c", 0.8125, unit="pearson", low=0.77, high=0.85, n=4, unparsed=2),
            tables.Cell("silent", "c", unit="pearson", n=0, unparsed=12),
        ],
    )
    wide = tables.display_table(cells)
    assert list(wide.index) == [("judge", "good"), ("judge", "silent"), ("floor", "floor"), ("published", "paper")]
    assert wide["c"].tolist() == ["0.812 [0.77, 0.85] (2 unparsed)", "- (12 unparsed)", "0.100 [0.00, 0.20]", "0.500"]


def test_missing_real_files_are_data_of_the_run(saved, tmp_path, capsys):
    run = tables.load_run(saved, tmp_path)
    assert run.real == {} and len(run.items) == 9 and run.replay is None and run.votes is None
    files = {"vicuna_bench": "vicuna_eval", "mt_bench": "mt_bench_eval", "hhh_alignment": "hhh_alignment_eval"}
    for name, file in {**files, "autoj_eval": "autoj_pairwise"}.items():
        assert str(tmp_path / "benchmarks" / f"{file}.json") in run.left_out[f"{name} (real)"]
    assert run.describe_left_out().startswith("left out, as their files are not there: ")
    assert "replay (real)" in run.describe_left_out() and "\n" not in run.describe_left_out()
    assert set(run.left_out) == {f"{name} (real)" for name in (*files, "autoj_eval", "replay", "votes")}
    assert "download_benchmark('vicuna_bench')" in run.left_out["vicuna_bench (real)"]
    assert capsys.readouterr() == ("", "") and run.on_real().left_out == run.left_out


def test_damaged_files_stop_the_run_and_missing_ones_do_not(copied, tmp_path):
    benchmark = copied.paths.benchmark("mini_flask")
    benchmark.write_text(benchmark.read_text()[:-20])
    with pytest.raises(DataError, match=r"mini_flask.jsonl, line \d+: not valid JSON"):
        tables.load_run(copied, real=False)
    benchmark.unlink()
    assert list(tables.load_run(copied, real=False).left_out) == ["flask"]
    real = tmp_path / "real" / "benchmarks" / "vicuna_eval.json"
    real.parent.mkdir(parents=True)
    real.write_text("[{")
    with pytest.raises(DataError, match="vicuna_eval.json, line 1: not valid JSON"):
        tables.load_run(copied, tmp_path / "real")


def test_no_judgments_and_no_tables_are_clear_errors(tmp_path):
    with pytest.raises(DataError, match="collect judgments first"):
        tables.load_run(load_scale("smoke", tmp_path), real=False)
    with pytest.raises(DataError, match="table_03.csv: file not found"):
        tables.load_table("3", tmp_path)
    (tmp_path / "table_03.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="not a table"):
        tables.load_table("3", tmp_path)


@pytest.fixture
def copied(saved, tmp_path, monkeypatch):
    """A copy of the saved run that a test may damage."""
    monkeypatch.delenv("PROMETHEUS_DATA_DIR", raising=False)
    scale = load_scale("smoke", tmp_path)
    for path in saved.paths.root.rglob("*.*"):
        target = scale.paths.root / path.relative_to(saved.paths.root)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    return scale


def change(scale, number, edit):
    """Rewrite one saved CSV through `edit(cells)`."""
    cells = edit(tables.load_table(number, scale.paths.tables))
    (scale.paths.tables / f"{tables.file_name(number)}.csv").write_text(tables.to_csv(cells))


def keep(scale, *numbers):
    """Remove all saved tables but Table 1 and those named."""
    for path in scale.paths.tables.glob("*.csv"):
        if path.stem not in map(tables.file_name, ("1", *numbers)):
            path.unlink()


def test_verify_agrees_with_its_own_tables(copied, capsys):
    assert verify.main(["--scale", "smoke", "--outputs", str(copied.paths.root.parent)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "PROMETHEUS_DATA_DIR is not set" in lines[0]
    assert [line.split(":")[0] for line in lines[1:-1]] == [
        *(tables.file_name(number) for number in ("1", *tables.TABLES)),
        "report.html",
    ]


def test_verify_counts_the_collections_again(copied, capsys, monkeypatch):
    monkeypatch.setattr(verify, "TABLES", {})
    keep(copied)
    assert verify.verify(copied) == 0  # nothing of them is kept: written again from the seed
    rows = feedback_rows(copied.seed, copied.collection_instructions)
    write_jsonl(copied.paths.rows("feedback"), rows[:-5])
    write_jsonl(copied.paths.rows("preference"), preference_rows(copied.seed, copied.collection_instructions))
    assert verify.verify(copied) == 1
    place = "row '# Instances' (benchmark), column 'Feedback Collection (ours)'"
    assert f"table_01, {place}: value is {len(rows)} in the committed table" in capsys.readouterr().out
    paper = dataclasses.replace(copied, miniature=False)
    assert verify.check_table(Run(paper, pd.DataFrame(), {}), "1", paper.paths.tables, False)[0]
    copied.paths.rows("preference").unlink()
    found, text = verify.check_table(Run(paper, pd.DataFrame(), {}), "1", paper.paths.tables, False)
    assert not found and "not compared" in text and "preference_collection.jsonl: file not found" in text


def test_verify_names_a_table_that_nothing_recomputes(copied, capsys, monkeypatch):
    monkeypatch.setattr(verify, "TABLES", {"2": tables.table_2})
    (copied.paths.tables / "table_99.csv").write_bytes((copied.paths.tables / "table_02.csv").read_bytes())
    assert verify.verify(copied) > 1
    assert "table_99: DIFFERS (unknown)" in capsys.readouterr().out


def test_verify_names_every_kind_of_difference(copied, capsys, monkeypatch):
    def changed(cells):
        cells.loc[(cells["row"] == "direct") & (cells["column"] == "FLASK | sim-crowd"), "value"] += 1e-4
        column, more = "Vicuna Bench (real) | gpt-4-1106", {"unit": "pearson", "kind": "real floor"}
        real = tables.Cell("response length", column, 0.3, n=320, unparsed=0, **more)
        return pd.concat([cells, tables.cells_table("3", [real])])

    change(copied, "3", changed)
    change(copied, "5", lambda cells: cells[cells["row"] != "joint"])
    change(copied, "13", lambda cells: pd.concat([cells, cells[cells["row"] == "base"].assign(row="ghost")]))
    (copied.paths.tables / "table_15.csv").unlink()
    wanted = ("3", "5", "6", "13", "15")
    keep(copied, *wanted)
    monkeypatch.setattr(verify, "TABLES", {number: tables.TABLES[number] for number in wanted})
    assert verify.main(["--scale", "smoke", "--outputs", str(copied.paths.root.parent)]) == 1
    printed = capsys.readouterr().out
    assert "table_03: DIFFERS" in printed and "1 of real data skipped" in printed
    assert "table_03, row 'direct' (judge), column 'FLASK | sim-crowd': value is 0." in printed
    assert "table_05, row 'joint' (judge), column 'Direct average': recomputed, but not in the committed" in printed
    assert "table_13, row 'ghost' (judge), column 'HHH Alignment | Pair2Pair': committed, but not recomputed" in printed
    assert "table_15.csv: file not found" in printed and "table_06: ok" in printed
    assert "4 tables differ" in printed


def test_verify_notices_a_changed_judgment(copied, capsys, monkeypatch):
    path = copied.paths.judgments / "linear.jsonl"
    lines = path.read_text().splitlines()
    place = next(n for n, line in enumerate(lines) if "mini_preference_bench" in line)
    swapped = {'"decision": "A"': '"decision": "B"', '"decision": "B"': '"decision": "A"'}
    old = next(text for text in swapped if text in lines[place])
    lines[place] = lines[place].replace(old, swapped[old])
    path.write_text("\n".join(lines) + "\n")
    monkeypatch.setattr(verify, "TABLES", {"4": tables.table_4})
    keep(copied, "4")
    assert verify.verify(copied) == 1
    assert "row 'linear' (judge), column 'Preference Bench': value is" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("column", "value", "text"),
    [("verdict", "lower", "verdict is 'lower'"), ("p", 0.5, "p is 0.5 in"), ("unit", "percent", "unit is 'percent'"),
     ("more_needed", 7, "more_needed is 7"), ("test", "by eye", "test is 'by eye'"), ("text", "so", "text is 'so'")],
)  # fmt: skip
def test_verify_compares_every_column(copied, capsys, monkeypatch, column, value, text):
    def changed(cells):
        cells.loc[cells["kind"] == "difference", column] = value
        return cells

    change(copied, "3", changed)
    monkeypatch.setattr(verify, "TABLES", {"3": tables.table_3})
    assert verify.check_table(tables.load_run(copied, real=False), "3", copied.paths.tables, False)[0]
    verify.verify(copied)
    assert text in capsys.readouterr().out


def test_verify_without_anything_to_compare(tmp_path, capsys):
    assert verify.main(["--scale", "smoke", "--outputs", str(tmp_path)]) == 2
    assert verify.main(["--scale", "tiny"]) == 2
    assert "unknown scale" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("committed", "recomputed", "same"),
    [
        (0.123456, 0.1234564, True),
        (0.123456, 0.123459, False),
        (1.0, 1.0000049, True),
        (98.7654, 98.7659, False),
        (0.0, 1e-15, True),
        (0.0, 1e-3, False),
        (math.nan, math.nan, True),
        (math.nan, 0.0, False),
    ],
)
def test_same_number(committed, recomputed, same):
    assert verify.same_number(committed, recomputed) is same


def test_tables_compute_without_warnings(world_run):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for table in tables.TABLES.values():
            table(world_run)
