"""Metrics against hand-worked values, second implementations, their limits, and simulation."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
import time
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import accuracy_score

from prometheus_lib import metrics

NAN = math.nan
WORDS = st.sampled_from(["A", "B", "tie"])


@pytest.fixture(autouse=True)
def no_warnings():
    """A metric that is undefined says NaN; it does not also warn."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def scores(seed: int, n: int = 240, per_cluster: int = 3):
    """Two judges and a rater on a 1-5 scale, with the instruction of each item."""
    rng = np.random.default_rng(seed)
    rater = rng.integers(1, 6, n).astype(float)
    judges = [np.clip(rater + rng.integers(-2, 3, n), 1, 5) for _ in range(2)]
    return judges[0], judges[1], rater, np.repeat(np.arange(n // per_cluster), per_cluster)


def test_import_is_light():
    """The library's readers of judgment files must not wait for a deep-learning stack."""
    code = "import sys, prometheus_lib.metrics; print({'torch', 'transformers'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# ------------------------------------------------------------------------------------------ direct assessment


def test_correlations_by_hand():
    """x = 1 2 3 4, y = 1 3 2 4: squared rank differences 2, five concordant and one discordant pair."""
    found = metrics.correlations([1, 2, 3, 4], [1, 3, 2, 4])
    assert found.pearson == pytest.approx(0.8)
    assert found.spearman == pytest.approx(1 - 6 * 2 / (4 * 15))
    assert found.kendall == pytest.approx((5 - 1) / 6)


def test_kendall_is_tau_b():
    """x = 1 1 2, y = 1 2 2: one concordant pair, one tie on each side, so 1 / sqrt(2 * 2)."""
    assert metrics.correlations([1, 1, 2], [1, 2, 2]).kendall == pytest.approx(0.5)


def test_missing_scores_are_dropped_and_counted():
    found = metrics.correlations([1, 2, None, 4, 5], [1, 3, 2, NAN, 5])
    assert (found.n, found.dropped) == (3, 2)
    assert found.pearson == pytest.approx(stats.pearsonr([1, 2, 5], [1, 3, 5]).statistic)


@pytest.mark.parametrize(("x", "y"), [([3, 3, 3], [1, 2, 3]), ([1, 2], [4, 4]), ([1], [2]), ([], []), ([NAN], [1])])
def test_correlations_without_order_are_nan(x, y):
    found = metrics.correlations(x, y)
    assert all(math.isnan(v) for v in (found.pearson, found.spearman, found.kendall))


def test_gold_against_gold_and_reversed():
    _, _, rater, _ = scores(0)
    same, back = metrics.correlations(rater, rater), metrics.correlations(rater, -rater)
    assert (same.pearson, same.spearman, same.kendall) == pytest.approx((1, 1, 1))
    assert (back.pearson, back.spearman, back.kendall) == pytest.approx((-1, -1, -1))


def test_correlations_of_unequal_length_are_an_error():
    with pytest.raises(ValueError, match="x 2, y 3"):
        metrics.correlations([1, 2], [1, 2, 3])


def test_mean_scores_skip_unparsed_draws():
    found = metrics.mean_scores([[5, 5, 4], [NAN, 2, 4], [NAN, NAN, NAN]])
    assert found[:2] == pytest.approx([14 / 3, 3])
    assert math.isnan(found[2])


def test_alpha_of_krippendorffs_own_example():
    """Krippendorff (2011), "Computing Krippendorff's Alpha-Reliability": four observers, twelve units."""
    data = [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, NAN, NAN, NAN],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NAN, 3],
        [NAN, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NAN],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NAN],
    ]
    found = {level: round(metrics.krippendorff_alpha(data, level), 3) for level in metrics.LEVELS}
    assert found == {"nominal": 0.743, "ordinal": 0.815, "interval": 0.849, "ratio": 0.797}


def test_alpha_by_hand():
    """Two raters, units (1,1) (1,2) (2,2): observed 2 of 6, expected 2*3*3/(6*5) -> 1 - (1/3)/(3/5) = 4/9."""
    assert metrics.krippendorff_alpha([[1, 1, 2], [1, 2, 2]], "nominal") == pytest.approx(4 / 9)


def test_alpha_limits():
    assert metrics.krippendorff_alpha([[1, 2, 5], [1, 2, 5], [1, 2, 5]]) == pytest.approx(1)
    undefined = ([[1, 2, 3]], [[3, 3, 3], [3, 3, 3]], [[1, NAN], [NAN, 2]], [[NAN, NAN]])
    assert all(math.isnan(metrics.krippendorff_alpha(r)) for r in undefined)


def test_alpha_ignores_a_rating_nobody_can_be_compared_with():
    assert math.isnan(metrics.krippendorff_alpha([[3, 3, 1], [3, 3, NAN]]))  # the 1 is not pairable


def test_alpha_errors_are_clear():
    with pytest.raises(ValueError, match="outside the value domain"):
        metrics.krippendorff_alpha([[1, 7], [1, 2]], value_domain=[1, 2, 3, 4, 5])
    with pytest.raises(ValueError, match="level of measurement"):
        metrics.krippendorff_alpha([[1, 2], [1, 2]], "cardinal")


def test_alpha_grows_linearly_to_100_000_items():
    rng = np.random.default_rng(0)
    ratings = rng.integers(1, 6, (3, 100_000))
    started = time.perf_counter()
    assert abs(metrics.krippendorff_alpha(ratings)) < 0.01
    assert time.perf_counter() - started < 5


def test_kappa_by_hand_and_at_its_limits():
    """Four items, three equal, margins 2/2 and 1/3: (0.75 - 0.5) / 0.5."""
    assert metrics.cohen_kappa(["A", "A", "B", "B"], ["A", "B", "B", "B"]) == pytest.approx(0.5)
    assert metrics.cohen_kappa(["A", "B", None], ["A", "B", "A"]) == pytest.approx(1)
    assert math.isnan(metrics.cohen_kappa(["A", "A"], ["A", "A"]))
    assert math.isnan(metrics.cohen_kappa([None], ["A"]))


# ------------------------------------------------------------------------------------------- pairwise ranking

#           right  right wrong gold tie  right tie  decided tie  unparsed
DECISIONS = ["A", "B", "A", "A", "tie", "tie", None]
LABELS = ["A", "B", "B", "tie", "tie", "A", "A"]


@pytest.mark.parametrize(("ties", "correct", "n"), [("wrong", 3, 7), ("half", 4, 7), ("dropped", 2, 5)])
def test_tie_rules_by_hand(ties, correct, n):
    found = metrics.pairwise_accuracy(DECISIONS, LABELS, ties)
    assert (found.correct, found.n, found.unparsed) == (correct, n, 1)
    assert found.value == pytest.approx(correct / n)
    credit = metrics.item_credits(DECISIONS, LABELS, ties)
    assert np.nanmean(credit) == pytest.approx(found.value)


def test_counts_of_ties():
    found = metrics.pairwise_accuracy(DECISIONS, LABELS)
    assert (found.gold_ties, found.decided_ties, found.rule) == (2, 2, "wrong")


def test_accuracy_limits():
    flipped = ["B" if label == "A" else "A" for label in "ABBA"]
    assert metrics.pairwise_accuracy(list("ABBA"), list("ABBA")).value == 1
    assert metrics.pairwise_accuracy(flipped, list("ABBA")).value == 0
    assert metrics.pairwise_accuracy(["A"] * 4, list("ABBA")).value == 0.5
    unparsed = metrics.pairwise_accuracy([None, NAN], ["A", "tie"], "half")
    assert (unparsed.value, unparsed.unparsed) == (0, 2)
    nothing = metrics.pairwise_accuracy([], [])
    assert math.isnan(nothing.value) and nothing.n == 0
    assert math.isnan(metrics.pairwise_accuracy(["A"], ["tie"], "dropped").value)


@pytest.mark.parametrize(
    ("decisions", "labels", "ties", "message"),
    [
        (["A", "C"], ["A", "B"], "wrong", r"decisions\[1\] is 'C'"),
        (["A", "B"], ["A", None], "wrong", r"labels\[1\] is None"),
        (["A"], ["A", "B"], "wrong", "decisions 1, labels 2"),
        (["A"], ["A"], "ignored", "unknown tie rule 'ignored'"),
    ],
)
def test_bad_pairwise_input_is_named(decisions, labels, ties, message):
    with pytest.raises(ValueError, match=message):
        metrics.pairwise_accuracy(decisions, labels, ties)


@given(st.lists(st.tuples(st.one_of(WORDS, st.none()), WORDS), min_size=1, max_size=40))
@settings(max_examples=60, deadline=None)
def test_tie_rules_keep_their_order(rows):
    decisions, labels = zip(*rows, strict=True)
    wrong, half = (metrics.pairwise_accuracy(decisions, labels, ties) for ties in ("wrong", "half"))
    assert wrong.value == pytest.approx(accuracy_score(labels, [d or "unparsed" for d in decisions]))
    assert wrong.value <= half.value <= 1
    if "tie" not in labels + decisions:
        assert half.value == wrong.value == metrics.pairwise_accuracy(decisions, labels, "dropped").value


def test_accuracy_by_group_is_micro_in_total():
    found = metrics.accuracy_by_group(list("AAB"), list("ABB"), ["x", "y", "y"])
    assert list(found) == ["x", "y", "total"]
    assert [found[g].value for g in found] == [1, 0.5, pytest.approx(2 / 3)]


def test_direct_to_pair():
    assert metrics.direct_to_pair([5, 2, 3, NAN], [4, 4, 3, 1]).tolist() == ["A", "B", "tie", None]


def test_text_mixture():
    """Equal scores tie even where the pairwise decision is right; a missing score leaves it unparsed."""
    a, b, pairwise = [3, 3, 5, NAN], [3, 3, 1, 4], ["A", "A", "B", "A"]
    assert metrics.text_mixture_decisions(a, b, pairwise).tolist() == ["tie", "tie", "B", None]
    found = metrics.text_mixture_accuracy(a, b, pairwise, ["tie", "A", "B", "A"])
    assert (found.correct, found.n, found.unparsed) == (2, 4, 1)


def test_label_aware_rule_by_hand():
    """Rows: second draw decides; all equal; gold tie, first draw only; gold tie lost; one draw unparsed."""
    a = [[3, 4, 1], [3, 3, 3], [2, 5, 5], [4, 2, 2], [NAN, 5, 1]]
    b = [[3, 2, 5], [3, 3, 3], [2, 1, 1], [3, 2, 2], [3, 4, 1]]
    labels = ["A", "A", "tie", "tie", "A"]
    assert metrics.code_label_aware_decisions(a, b, labels).tolist() == ["A", "tie", "tie", "A", "A"]
    assert metrics.code_label_aware_accuracy(a, b, labels).correct == 3
    unread = metrics.code_label_aware_accuracy([[NAN] * 3], [[1, 2, 3]], ["B"])
    assert (unread.value, unread.unparsed) == (0, 1)


def test_label_aware_rule_inflates_as_stated():
    """35 % equal scores, 75 % right elsewhere: one pass gives 48.75 %, the label-aware rule 71.8 %."""
    rng = np.random.default_rng(0)
    better = rng.choice([-1, 0, 1], size=(200_000, 3), p=[0.65 * 0.25, 0.35, 0.65 * 0.75])
    labels = np.full(len(better), "A")
    once = metrics.pairwise_accuracy(metrics.direct_to_pair(better[:, 0], np.zeros(len(better))), labels)
    aware = metrics.code_label_aware_accuracy(better, np.zeros_like(better), labels)
    assert once.value == pytest.approx(0.4875, abs=0.004)
    assert aware.value == pytest.approx(0.4875 * (1 + 0.35 + 0.35**2), abs=0.004)


def test_both_orders():
    first, swapped, labels = (
        ["A", "A", "tie", None, "B"],
        ["A", "B", "tie", "A", "tie"],
        ["A", "A", "tie", "A", "B"],
    )
    strict = metrics.both_orders_accuracy(first, swapped, labels)
    assert (strict.correct, strict.n, strict.unparsed, strict.decided_ties) == (2, 5, 1, 1)
    found = metrics.position_consistency(first, swapped)
    assert (found.equal, found.n, found.unparsed) == (2, 5, 1)
    assert (found.value, found.parsed_only) == (pytest.approx(2 / 5), pytest.approx(2 / 4))


def test_a_judge_that_always_picks_the_first_shown_is_never_right_in_both_orders():
    labels = list("ABAB")
    assert metrics.both_orders_accuracy(["A"] * 4, ["B"] * 4, labels).value == 0
    assert metrics.position_consistency(["A"] * 4, ["B"] * 4).value == 0
    assert metrics.position_consistency([None] * 2, [None] * 2).value == 0  # two silences do not agree


def test_format_consistency_takes_accuracies_or_numbers():
    direct, pair = (metrics.pairwise_accuracy(list(d), list("AABB")) for d in ("ABBA", "AABA"))
    assert metrics.format_consistency(direct, pair) == pytest.approx(0.25)
    assert metrics.format_consistency(0.8145, 0.8552) == pytest.approx(0.0407)  # Table 13, second row


def test_win_rate_by_hand():
    """Two wins, one loss, one draw written 0, one graded 1.75, one unparsed."""
    found = metrics.win_rate([2, 2, 1, 0, 1.75, None])
    assert (found.wins, found.losses, found.draws, found.n, found.unparsed) == (3, 1, 1, 5, 1)
    assert found.value == pytest.approx((1 + 1 + 0 + 0.5 + 0.75) / 5)
    assert found.discrete == pytest.approx(3.5 / 5)
    assert found.standard_error == pytest.approx(stats.sem([1, 1, 0, 0.5, 0.75]))


def test_win_rate_limits():
    assert math.isnan(metrics.win_rate([2]).standard_error)
    assert math.isnan(metrics.win_rate([None]).value)
    with pytest.raises(ValueError, match="preferences must be"):
        metrics.win_rate([3])


# ----------------------------------------------------------------------------------------------- transitivity


def table(*rows: tuple) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["group", "x", "y", "winner"])


def by_loops(frame: pd.DataFrame) -> metrics.Transitivity:
    """The definition spelled out: every ordered triple of every group."""
    outcome = {}
    for group, x, y, winner in frame.itertuples(index=False):
        outcome[group, x, y] = 0 if winner == "tie" else 1 if winner == x else -1
        outcome[group, y, x] = -outcome[group, x, y]
    counts = dict.fromkeys(("triples", "decisive", "cycles", "chains", "kept", "tied", "reversed"), 0)
    for group in frame["group"].unique():
        items = {i for g, i, _ in outcome if g == group}
        for trio in itertools.combinations(sorted(items), 3):
            if all((group, *pair) in outcome for pair in itertools.combinations(trio, 2)):
                ring = [outcome[group, a, b] for a, b in zip(trio, trio[1:] + trio[:1], strict=True)]
                counts["triples"] += 1
                counts["decisive"] += 0 not in ring
                counts["cycles"] += abs(sum(ring)) == 3
        for x, y, z in itertools.permutations(sorted(items), 3):
            if outcome.get((group, x, y)) == outcome.get((group, y, z)) == 1 and (group, x, z) in outcome:
                counts["chains"] += 1
                counts[{1: "kept", 0: "tied", -1: "reversed"}[outcome[group, x, z]]] += 1
    return metrics.Transitivity(*counts.values())


@st.composite
def decision_tables(draw) -> pd.DataFrame:
    rows = []
    for group in range(draw(st.integers(1, 3))):
        for x, y in itertools.combinations("pqrst", 2):
            if draw(st.booleans()) or draw(st.booleans()):
                x, y = draw(st.sampled_from([(x, y), (y, x)]))
                rows.append((group, x, y, draw(st.sampled_from([x, y, "tie"]))))
    return table(*rows)


@given(decision_tables())
@settings(max_examples=60, deadline=None)
def test_transitivity_equals_the_plain_loops(frame):
    found = metrics.transitivity(frame)
    assert found == by_loops(frame)
    assert found.chains_reversed == 3 * found.cycles
    assert found.chains_kept == found.decisive - found.cycles


@pytest.mark.parametrize(
    ("last", "kept", "tied", "reversed_", "cycles"),
    [("a", 1, 0, 0, 0), ("tie", 0, 1, 0, 0), ("c", 0, 0, 3, 1)],
)
def test_transitivity_of_one_triple(last, kept, tied, reversed_, cycles):
    found = metrics.transitivity(table((1, "a", "b", "a"), (1, "b", "c", "b"), (1, "a", "c", last)))
    assert (found.chains_kept, found.chains_tied, found.chains_reversed) == (kept, tied, reversed_)
    assert (found.triples, found.decisive, found.cycles) == (1, int(last != "tie"), cycles)
    assert found.rate == kept / found.chains


def test_a_chain_needs_its_closing_pair_in_the_same_group():
    found = metrics.transitivity(table((1, "a", "b", "a"), (1, "b", "c", "b"), (2, "a", "c", "a")))
    assert (found.triples, found.chains) == (0, 0)
    assert math.isnan(found.rate) and math.isnan(found.cycle_rate)


def test_a_reversing_judge_is_perfectly_transitive_and_a_constant_judge_too():
    pairs = list(itertools.combinations(range(5), 2))
    assert metrics.transitivity(table(*((0, x, y, y) for x, y in pairs))).rate == 1
    assert metrics.transitivity(table(*((0, x, y, x) for x, y in pairs))).rate == 1
    ties = metrics.transitivity(table(*((0, x, y, "tie") for x, y in pairs)))
    assert (ties.triples, ties.decisive, ties.chains) == (10, 0, 0)


def test_repeated_and_unparsed_decisions_of_a_pair():
    """Agreeing repeats count once, disagreement is a tie, an unparsed decision leaves the pair out."""
    rows = [
        (1, "a", "b", "a"),
        (1, "b", "a", "a"),
        (1, "b", "c", "b"),
        (1, "a", "c", "a"),
        (1, "c", "a", "c"),
    ]
    found = metrics.transitivity(table(*rows, (1, "d", "a", None)))
    assert (found.triples, found.chains_tied, found.repeated, found.unparsed) == (1, 1, 2, 1)


@pytest.mark.parametrize("row", [(1, "a", "b", "c"), (1, "a", "a", "a"), (1, "a", "tie", "tie"), (None, "a", "b", "a")])
def test_unreadable_rows_are_named(row):
    with pytest.raises(ValueError, match="row 1 of the table"):
        metrics.transitivity(table((1, "a", "b", "a"), row))
    with pytest.raises(ValueError, match="'winner' is missing"):
        metrics.transitivity(table(row).drop(columns="winner"))


def test_an_empty_table_has_no_chains():
    found = metrics.transitivity(table())
    assert (found.triples, found.chains) == (0, 0) and math.isnan(found.rate)


def test_a_coin_goes_round_in_a_quarter_of_100_000_rows_within_seconds():
    n = 10_000
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(list(itertools.combinations("abcde", 2)) * n, columns=["x", "y"])
    frame["group"] = np.repeat(np.arange(n), 10)
    frame["winner"] = np.where(rng.integers(0, 2, len(frame)) == 1, frame["x"], frame["y"])
    started = time.perf_counter()
    found = metrics.transitivity(frame)
    assert time.perf_counter() - started < 5
    assert found.triples == found.decisive == 10 * n
    assert found.cycle_rate == pytest.approx(0.25, abs=0.01)
    assert found.rate == pytest.approx(0.5, abs=0.01)


def test_transitivity_by_group_feeds_an_interval_over_groups():
    frame = table(*((g, x, y, x if g else y) for g in range(4) for x, y in [("a", "b"), ("b", "c"), ("a", "c")]))
    frame.loc[2, "winner"] = "a"  # group 0 now goes round
    counts = metrics.transitivity_by_group(frame)
    assert counts["cycles"].tolist() == [1, 0, 0, 0]
    interval = metrics.bootstrap_ratio(counts["chains_kept"], counts["chains"])
    assert interval.estimate == pytest.approx(metrics.transitivity(frame).rate) == pytest.approx(3 / 6)


def test_released_transitivity_is_a_weighted_accuracy():
    """Gold order 5 > 4 > 2 > 1; weights gap - 1 are 0, 2, 3, 1, 2, 0."""
    grades = list(itertools.combinations([5, 4, 2, 1], 2))
    gaps = [x - y for x, y in grades]
    labels = ["A"] * 6
    assert metrics.released_code_transitivity(["B"] * 6, labels, gaps).value == 0  # reverses, so transitive
    adjacent = ["B" if gap == 1 else "A" for gap in gaps]
    assert metrics.released_code_transitivity(adjacent, labels, gaps).value == 1  # wrong on every adjacent pair
    one_wrong = metrics.released_code_transitivity(["A", "A", "B", "A", "A", None], labels, gaps)
    assert (one_wrong.correct, one_wrong.n, one_wrong.value) == (5, 8, pytest.approx(5 / 8))
    with pytest.raises(ValueError, match="grade gap"):
        metrics.released_code_transitivity(["A"], ["A"], [0])


# -------------------------------------------------------------------------------------------------- intervals


def plain(kind: str):
    function = {"pearson": stats.pearsonr, "spearman": stats.spearmanr, "kendall": stats.kendalltau}[kind]
    return lambda x, y: function(x, y).statistic


def close(a: metrics.Interval, b: metrics.Interval) -> None:
    assert (a.estimate, a.low, a.high) == pytest.approx((b.estimate, b.low, b.high), abs=1e-10)
    assert (a.n, a.n_clusters) == (b.n, b.n_clusters)


@pytest.mark.parametrize("kind", metrics.CORRELATIONS)
@pytest.mark.parametrize("clustered", [True, False])
def test_fast_correlation_intervals_equal_the_plain_loop(kind, clustered):
    x, _, y, clusters = scores(1, n=90)
    options = {"clusters": clusters if clustered else None, "n_resamples": 150, "seed": 3}
    fast = metrics.bootstrap_interval(kind, x, y, **options)
    close(fast, metrics.bootstrap_interval(plain(kind), x, y, **options))
    assert fast.n_clusters == (30 if clustered else 90)


@pytest.mark.parametrize("kind", ["spearman", "kendall"])
def test_fast_rank_intervals_on_continuous_scores(kind, monkeypatch):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 80))
    options = {"n_resamples": 60, "seed": 1}
    loop = metrics.bootstrap_interval(plain(kind), x, y, **options)
    close(metrics.bootstrap_interval(kind, x, y, **options), loop)
    monkeypatch.setattr(metrics, "_MOST_KENDALL_CELLS", 10)  # the path for thousands of distinct scores
    close(metrics.bootstrap_interval(kind, x, y, **options), loop)


def test_fast_mean_and_ratio_intervals_equal_the_plain_loop():
    rng = np.random.default_rng(2)
    top, bottom = rng.integers(0, 3, 50).astype(float), rng.integers(1, 4, 50).astype(float)
    clusters = rng.integers(0, 12, 50)
    options = {"clusters": clusters, "n_resamples": 100}
    close(metrics.bootstrap_mean(top, **options), metrics.bootstrap_interval(np.mean, top, **options))
    loop = metrics.bootstrap_interval(lambda a, b: a.sum() / b.sum(), top, bottom, **options)
    close(metrics.bootstrap_interval("ratio", top, bottom, **options), loop)


@pytest.mark.parametrize("level", metrics.LEVELS)
def test_fast_alpha_interval_equals_the_plain_loop(level):
    rng = np.random.default_rng(4)
    ratings = np.clip(rng.integers(1, 6, 60) + rng.integers(-1, 2, (3, 60)), 1, 5).astype(float)
    ratings[0, :5] = np.nan
    loop = metrics.bootstrap_statistic(
        lambda r: metrics.krippendorff_alpha(r.T, level), [ratings.T], n_resamples=40, seed=5
    )
    close(metrics.bootstrap_alpha(ratings, measurement=level, n_resamples=40, seed=5), loop)


def test_interval_agrees_with_scipys_bootstrap():
    """Another implementation, another random stream: the ends agree to sampling error."""
    values = np.random.default_rng(0).normal(size=200)
    ours = metrics.bootstrap_mean(values, n_resamples=20_000)
    theirs = stats.bootstrap((values,), np.mean, n_resamples=20_000, method="percentile", rng=1).confidence_interval
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.01)


def test_clusters_of_copies_widen_the_interval():
    """Every item copied five times holds no more information: clustered, the width stays as it was."""
    values = np.random.default_rng(1).integers(0, 2, 60).astype(float)
    single = metrics.bootstrap_mean(values)
    copied = metrics.bootstrap_mean(np.repeat(values, 5), clusters=np.repeat(np.arange(60), 5))
    blind = metrics.bootstrap_mean(np.repeat(values, 5))
    assert (copied.low, copied.high) == pytest.approx((single.low, single.high))
    assert blind.high - blind.low < 0.6 * (copied.high - copied.low)


def test_intervals_are_reproducible_and_do_not_depend_on_row_order():
    x, _, y, clusters = scores(5)
    first = metrics.bootstrap_pearson(x, y, clusters)
    assert first == metrics.bootstrap_pearson(x, y, clusters)
    assert first != metrics.bootstrap_pearson(x, y, clusters, seed=1)
    within = np.arange(len(x)).reshape(-1, 3)[:, ::-1].ravel()
    again = metrics.bootstrap_pearson(x[within], y[within], clusters[within])
    assert (again.low, again.high) == pytest.approx((first.low, first.high))


@pytest.mark.parametrize("kind", metrics.CORRELATIONS)
def test_interval_limits(kind):
    constant = metrics.bootstrap_interval(kind, [3, 3, 3], [1, 2, 3], n_resamples=50)
    assert math.isnan(constant.estimate) and math.isnan(constant.low) and constant.undefined == 50
    one = metrics.bootstrap_interval(kind, [1], [2], n_resamples=50)
    assert (one.n, one.n_clusters) == (1, 1) and math.isnan(one.high)
    few = metrics.bootstrap_interval(kind, [1, 2, 3], [1, 2, 3], n_resamples=400)
    assert (few.low, few.high) == pytest.approx((1, 1))
    assert few.undefined > 0  # resamples of one and the same item have no correlation


def test_intervals_of_little_or_nothing():
    for values in ([], [NAN]):
        empty = metrics.bootstrap_mean(values, n_resamples=20)
        assert empty.n == 0 and math.isnan(empty.estimate) and math.isnan(empty.low)
    single = metrics.bootstrap_mean([1, 0, 1], clusters=["q", "q", "q"], n_resamples=20)
    assert single.estimate == pytest.approx(2 / 3) and math.isnan(single.low)
    assert metrics.bootstrap_mean([1, NAN, 1], n_resamples=20).n == 2
    assert math.isnan(metrics.bootstrap_alpha([[1, 2, 3]], n_resamples=20).estimate)


def test_bad_interval_options_are_errors():
    with pytest.raises(ValueError, match="2 cluster names for 3 items"):
        metrics.bootstrap_mean([1, 2, 3], clusters=["a", "b"])
    with pytest.raises(ValueError, match="cluster name is missing"):
        metrics.bootstrap_mean([1, 2], clusters=["a", None])
    with pytest.raises(ValueError, match="unknown statistic 'median'"):
        metrics.bootstrap_interval("median", [1, 2])
    with pytest.raises(ValueError, match="level"):
        metrics.bootstrap_mean([1, 2], level=95)
    with pytest.raises(ValueError, match="n_resamples"):
        metrics.bootstrap_mean([1, 2], n_resamples=0)


def covered(interval: metrics.Interval, truth: float) -> bool:
    return interval.low <= truth <= interval.high


def test_intervals_cover_the_truth_about_95_times_in_100():
    """400 simulated benchmarks of 60 instructions x 4 items whose errors share their instruction's luck."""
    rng = np.random.default_rng(11)
    clusters = np.repeat(np.arange(60), 4)
    hits = np.zeros(4)
    for _ in range(400):
        luck = np.repeat(rng.normal(size=(3, 60)), 4, axis=1)
        x, noise, latent = np.sqrt(0.5) * luck + np.sqrt(0.5) * rng.normal(size=(3, 240))
        right = (latent > 0).astype(float)
        y = 0.6 * x + 0.8 * noise
        options = {"n_resamples": 400, "seed": int(rng.integers(1 << 30))}
        hits += [
            covered(metrics.bootstrap_mean(right, clusters, **options), 0.5),
            covered(metrics.bootstrap_mean(right, **options), 0.5),
            covered(metrics.bootstrap_pearson(x, y, clusters, **options), 0.6),
            covered(metrics.bootstrap_pearson(x, y, **options), 0.6),
        ]
    mean, mean_blind, pearson, pearson_blind = hits / 400
    assert 0.91 <= mean <= 0.98
    assert 0.90 <= pearson <= 0.98
    assert mean_blind < 0.90  # ignoring the clusters promises too much
    assert pearson_blind < pearson


def test_vectorised_resampling_is_far_faster_than_the_loop():
    x, _, y, clusters = scores(6, n=320, per_cluster=4)
    metrics.bootstrap_pearson(x, y, clusters, n_resamples=10)

    def seconds(statistic, n: int) -> float:
        started = time.perf_counter()
        metrics.bootstrap_interval(statistic, x, y, clusters=clusters, n_resamples=n, seed=n)
        return (time.perf_counter() - started) / n

    assert seconds(plain("spearman"), 200) > 20 * min(seconds("spearman", 5_000), seconds("spearman", 5_000))


# ------------------------------------------------------------------------------------------------ differences


def steiger_z(r1: float, r2: float, r12: float, n: int) -> float:
    """Steiger's (1980) Z with the pooled correlation: another test of the same hypothesis, for comparison."""
    pooled = (r1 + r2) / 2
    square = pooled**2
    covariance = r12 * (1 - 2 * square) - 0.5 * square * (1 - 2 * square - r12**2)
    s = covariance / (1 - square) ** 2
    z = (math.atanh(r1) - math.atanh(r2)) * math.sqrt((n - 3) / (2 - 2 * s))
    return 2 * stats.norm.sf(abs(z))


@pytest.mark.parametrize(("r1", "r2", "r12", "n"), [(0.4, 0.32, 0.5, 103), (0.66, 0.55, 0.6, 320), (0.1, 0.6, 0.2, 50)])
def test_williams_agrees_with_steigers_z(r1, r2, r12, n):
    assert metrics._williams(r1, r2, r12, n) == pytest.approx(steiger_z(r1, r2, r12, n), rel=0.15, abs=0.002)


def test_williams_by_hand():
    """n 103, r .5 and .3, judges .4: |R| = .62, t = .2 sqrt(102 * 1.4 / (2 * 1.02 * .62 + .16 * .216))."""
    t = 0.2 * math.sqrt(102 * 1.4 / (2 * 1.02 * 0.62 + 0.16 * 0.216))
    assert metrics._williams(0.5, 0.3, 0.4, 103) == pytest.approx(2 * stats.t.sf(t, 100))


def test_williams_keeps_its_level_when_judges_are_equal():
    """1,000 draws with no true difference: about 5 in 100 are called different."""
    rng = np.random.default_rng(7)
    calls = 0
    for _ in range(1000):
        y = rng.normal(size=60)
        x1, x2 = 0.6 * y + 0.8 * rng.normal(size=(2, 60))
        r1, r2, r12 = (np.corrcoef(a, b)[0, 1] for a, b in ((x1, y), (x2, y), (x1, x2)))
        calls += metrics._williams(r1, r2, r12, 60) < 0.05
    assert 30 <= calls <= 72


@pytest.mark.parametrize("kind", metrics.CORRELATIONS)
@pytest.mark.parametrize("clustered", [True, False])
def test_compare_correlations_finds_a_clear_difference_both_ways(kind, clustered):
    good, _, rater, clusters = scores(8)
    poor = np.random.default_rng(0).permutation(rater)
    options = {"kind": kind, "clusters": clusters if clustered else None, "n_resamples": 500}
    found = metrics.compare_correlations(good, poor, rater, **options)
    back = metrics.compare_correlations(poor, good, rater, **options)
    assert (found.verdict, back.verdict) == ("first", "second")
    assert found.low > 0 and found.p_value < 0.05 and found.more_needed is None
    assert (back.difference, back.low, back.high) == pytest.approx((-found.difference, -found.high, -found.low))
    assert found.n_clusters == (80 if clustered else 240)


def test_compare_correlations_equals_the_plain_paired_loop():
    x1, x2, y, clusters = scores(9)

    def difference(a, b, c):
        return stats.pearsonr(a, c).statistic - stats.pearsonr(b, c).statistic

    fast = metrics.compare_correlations(x1, x2, y, clusters=clusters, n_resamples=100)
    loop = metrics.bootstrap_interval(difference, x1, x2, y, clusters=clusters, n_resamples=100)
    assert (fast.difference, fast.low, fast.high) == pytest.approx((loop.estimate, loop.low, loop.high))


def test_a_judge_does_not_differ_from_itself():
    x, _, y, clusters = scores(10)
    for groups in (None, clusters):
        found = metrics.compare_correlations(x, x, y, clusters=groups, n_resamples=200)
        assert (found.difference, found.p_value, found.verdict, found.more_needed) == (
            0,
            1,
            "undecided",
            None,
        )
    same = metrics.compare_accuracies([1, 0, 1], [1, 0, 1])
    assert (same.p_value, same.verdict, same.more_needed) == (1, "undecided", None)


def test_undecided_says_how_many_more():
    """12 against 8 of 20 disagreements among 100 items: undecided; ten times the data decides it."""
    first = np.array([1] * 12 + [0] * 8 + [1] * 80)
    second = np.array([0] * 12 + [1] * 8 + [1] * 80)
    found = metrics.compare_accuracies(first, second)
    assert found.p_value == pytest.approx(stats.binomtest(12, 20).pvalue)
    assert found.verdict == "undecided" and found.low < 0 < found.high
    error = math.sqrt((0.20 - 0.04**2) / 100)
    planned = 100 * ((1.96 + 0.84) * error / 0.04) ** 2 - 100
    assert found.more_needed == pytest.approx(planned, rel=0.1)
    times = math.ceil(found.more_needed / 100) + 1
    assert metrics.compare_accuracies(np.tile(first, times), np.tile(second, times)).verdict == "first"


def test_mcnemar_agrees_with_statsmodels():
    from statsmodels.stats.contingency_tables import mcnemar

    rng = np.random.default_rng(3)
    first, second = (rng.random((2, 150)) < [[0.8], [0.65]]).astype(int)
    table_ = [[np.sum((first == a) & (second == b)) for b in (1, 0)] for a in (1, 0)]
    assert metrics.compare_accuracies(first, second).p_value == pytest.approx(mcnemar(table_, exact=True).pvalue)


def test_permutation_by_cluster_is_exact_when_small():
    """Three instructions all won by the first: only 2 of the 8 sign patterns reach that."""
    found = metrics.compare_accuracies([1] * 6, [0] * 6, clusters=[1, 1, 2, 2, 3, 3])
    assert (found.p_value, found.test) == (0.25, "permutation by cluster")
    assert metrics.compare_accuracies([1] * 6, [0] * 6).p_value == pytest.approx(2 / 64)


def test_random_permutations_agree_with_scipy():
    rng = np.random.default_rng(4)
    first, second = rng.choice([0, 0.5, 1], (2, 80), p=[0.3, 0.2, 0.5])
    first[:12] = 1
    ours = metrics.compare_accuracies(first, second)
    theirs = stats.permutation_test(
        (first, second), lambda a, b: (a - b).mean(), permutation_type="samples", n_resamples=9_999, rng=0
    )
    assert ours.test == "permutation by cluster"  # halves rule McNemar out
    assert ours.p_value == pytest.approx(theirs.pvalue, abs=0.02)


def test_comparisons_of_nothing_are_undecided():
    empty = metrics.compare_accuracies([NAN], [1])
    flat = metrics.compare_correlations([3, 3, 3], [1, 2, 3], [1, 2, 3], n_resamples=20)
    for found in (empty, flat):
        assert found.verdict == "undecided" and math.isnan(found.p_value) and found.more_needed is None


def test_holm_by_hand_and_in_any_order():
    assert metrics.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert metrics.holm({"b": 0.04, "a": 0.01}) == {"b": pytest.approx(0.04), "a": pytest.approx(0.02)}
    found = metrics.holm([0.01, NAN, 0.04])
    assert found[::2] == pytest.approx([0.02, 0.04]) and math.isnan(found[1])
    assert metrics.holm([]) == []


def test_a_corrected_p_value_can_undo_a_verdict():
    found = metrics.compare_accuracies([1] * 6 + [1] * 30, [0] * 6 + [1] * 30)
    assert found.verdict == "first"
    corrected = found.adjusted(0.2)
    assert (corrected.verdict, corrected.p_value) == ("undecided", 0.2) and corrected.more_needed >= 1
