"""Metrics against hand-worked values, second implementations, their limits, and simulation."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
import time
import tracemalloc
import warnings
from collections import Counter

import krippendorff
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import accuracy_score

from prometheus_lib import metrics
from prometheus_lib.metrics import agreement, resampling
from prometheus_lib.records import DataError

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


# -------------------------------------------------------------------------------------- what columns may look like

SHAPES = {
    "list": list,
    "tuple": tuple,
    "generator": lambda values: (value for value in values),
    "dictionary values": lambda values: dict(enumerate(values)).values(),
    "object array": lambda values: np.array(values, dtype=object),
    "series with another index": lambda values: pd.Series(values, index=range(90, 90 - len(values), -1), dtype=object),
    "nullable series": lambda values: pd.Series(values).convert_dtypes(),
    "pandas' NA": lambda values: [pd.NA if value is None else value for value in values],
    "NaN": lambda values: [NAN if value is None else value for value in values],
}


@pytest.mark.parametrize("shape", SHAPES)
def test_scores_may_come_in_any_column(shape):
    make = SHAPES[shape]
    found = metrics.correlations(make([1, 2, None, 4, 5]), make([1, 3, 2, 2, None]))
    assert found == metrics.Correlations(
        *(metrics.correlations([1, 2, 4], [1, 3, 2]).__dict__ | {"dropped": 2}).values()
    )
    assert metrics.bootstrap_interval("mean", make([1, None, 3]), n_resamples=10).n == 2
    assert metrics.win_rate(make([2, None, 1])).unparsed == 1


@pytest.mark.parametrize("shape", SHAPES)
def test_decisions_may_come_in_any_column(shape):
    make = SHAPES[shape]
    decisions, labels = ["A", None, "tie", "B"], ["A", "A", "tie", "A"]
    found = metrics.pairwise_accuracy(make(decisions), make(labels))
    assert (found.correct, found.n, found.unparsed) == (2, 4, 1)
    assert metrics.position_consistency(make(decisions), make(labels)).equal == 2
    assert metrics.cohen_kappa(make(decisions), make(labels)) == pytest.approx(0.5)  # 3 rows: (2/3 - 1/3) / (2/3)
    groups = make(["x", "x", "y", "y"])
    assert metrics.accuracy_by_group(make(decisions), make(labels), groups)["x"].correct == 1


def test_categories_and_masked_arrays():
    decisions = pd.Categorical(["A", None, "tie"], categories=["tie", "B", "A"])
    assert metrics.pairwise_accuracy(decisions, ["A", "B", "tie"]).correct == 2
    masked = np.ma.array([1.0, 99, 3, 4], mask=[0, 1, 0, 0])
    assert metrics.correlations(masked, [1, 2, 3, 4]).pearson == pytest.approx(1)


@pytest.mark.parametrize("wrong", ["a", "b", "Tie", "TIE", "A ", "", 0, 1, 2, True, 1.5, ["A"], ("A",)])
def test_other_names_for_a_decision_are_refused_by_position(wrong):
    """Nothing is guessed: is 1 the first response or the second? A label in lower case may be a typing error."""
    for decisions, labels, column in ((["A", wrong], ["A", "B"], "decisions"), (["A", "B"], ["A", wrong], "labels")):
        with pytest.raises(DataError, match=rf"^{column}\[1\] is .*allowed are 'A', 'B', 'tie'"):
            metrics.pairwise_accuracy(decisions, labels)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1, 2, "good"], r"x\[2\] is 'good'; a number or a missing value is needed"),
        ([[1, 2], [3]], r"x\[0\] is \[1, 2\]"),
        ([[1, 2, 3]], "x must be one-dimensional"),
        ({1, 2, 3}, "x is a set"),
        ({"a": 1, "b": 2, "c": 3}, "x is a dict"),
        ([1, 2], "x 2, y 3"),
    ],
)
def test_bad_scores_are_named(values, message):
    with pytest.raises(DataError, match=message):
        metrics.correlations(values, [1, 2, 3])


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


def test_means_of_equal_scores_are_constant_whatever_their_last_digit():
    nearly = [0.1 + 0.2, 0.3, 0.3]
    assert len(set(nearly)) == 2
    assert math.isnan(metrics.correlations(nearly, [1, 2, 3]).pearson)
    assert math.isnan(metrics.bootstrap_pearson(nearly, [1, 2, 3], n_resamples=20).high)


def test_an_infinite_score_counts_as_missing():
    assert metrics.correlations([1, 2, math.inf, 3], [1, 2, 3, 4]).dropped == 1
    assert metrics.direct_to_pair([math.inf, 1], [math.inf, 0]).tolist() == [None, "A"]


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


def alpha_by_pairs(table: np.ndarray, level: str) -> float:
    """The definition: mean squared distance of values in the same unit over that of any two pairable values."""
    units = [[v for v in column if not math.isnan(v)] for column in table.T]
    units = [unit for unit in units if len(unit) > 1]
    pooled = Counter(itertools.chain(*units))

    def distance(a, b) -> float:
        if level == "ordinal":
            low, high = sorted((a, b))
            return (sum(n for v, n in pooled.items() if low <= v <= high) - (pooled[a] + pooled[b]) / 2) ** 2
        return {"nominal": a != b, "interval": (a - b) ** 2, "ratio": ((a - b) / (a + b)) ** 2 if a + b else 0}[level]

    n = sum(pooled.values())
    observed = sum(distance(a, b) / (len(u) - 1) for u in units for a, b in itertools.permutations(u, 2)) / n
    expected = sum(distance(a, b) for a, b in itertools.permutations(pooled.elements(), 2)) / (n * (n - 1))
    return 1 - observed / expected


RATINGS = st.integers(2, 4).flatmap(
    lambda raters: st.lists(
        st.lists(st.sampled_from([0.0, 1.0, 2.0, 3.5, NAN]), min_size=raters, max_size=raters), min_size=1, max_size=8
    )
)


@pytest.mark.parametrize("level", metrics.LEVELS)
@given(RATINGS)
@settings(max_examples=40, deadline=None)
def test_alpha_equals_its_definition(level, columns):
    """The package, and the sums that also serve the bootstrap, against the definition."""
    table = np.array(columns).T
    found = metrics.krippendorff_alpha(table, level)
    items = np.zeros(table.shape[1], dtype=int)
    pairable = np.where(np.isfinite(table).sum(axis=0) > 1, table, NAN)
    ours = agreement.alpha_of_counts(pairable, level, items, 1)(np.ones((1, 1)))[0]
    if math.isnan(found):
        assert math.isnan(ours) and len(np.unique(pairable[np.isfinite(pairable)])) < 2
    else:
        assert (found, ours) == pytest.approx((alpha_by_pairs(table, level),) * 2)


def test_alpha_errors_are_clear():
    with pytest.raises(DataError, match=r"ratings 7\.0 lie outside the value domain .*outside='clip'"):
        metrics.krippendorff_alpha([[1, 7], [1, 2]], value_domain=[1, 2, 3, 4, 5])
    with pytest.raises(DataError, match=r"ratings 1\.5 lie outside"):  # clipping does not round
        metrics.krippendorff_alpha([[1, 1.5], [1, 7]], value_domain=[1, 2, 3], outside="clip")
    with pytest.raises(DataError, match="level of measurement 'cardinal'"):
        metrics.krippendorff_alpha([[1, 2], [1, 2]], "cardinal")
    with pytest.raises(DataError, match="outside must be"):
        metrics.krippendorff_alpha([[1, 2], [1, 2]], outside="drop")
    with pytest.raises(DataError, match="one row per rater and one column per item; got shape"):
        metrics.krippendorff_alpha([1, 2, 3])


def test_alpha_outside_its_domain_is_clipped_or_left_out_on_demand():
    ratings, domain = [[0, 1, 9, 3, -4], [0, 2, 3, 3, 1]], [0, 1, 2, 3]
    clipped = metrics.krippendorff_alpha(ratings, value_domain=domain, outside="clip")
    assert clipped == metrics.krippendorff_alpha(np.clip(ratings, 0, 3))
    left_out = metrics.krippendorff_alpha(ratings, value_domain=domain, outside="missing")
    assert left_out == metrics.krippendorff_alpha([[0, 1, NAN, 3, NAN], [0, 2, 3, 3, 1]])


@pytest.mark.parametrize("level", ["nominal", "ordinal"])
def test_alpha_of_text(level):
    """Krippendorff's example in words; the order comes from the domain, never from the alphabet."""
    words = {1: "very low", 2: "low", 3: "mid", 4: "high", 5: "very high"}
    data = [[1, 2, 3, 3, 2, 1, 4, 1, 2, NAN], [1, 2, 3, 3, 2, 2, 4, 1, 2, 5], [NAN, 3, 3, 3, 2, 3, 4, 2, 2, 5]]
    text = [[words.get(value) for value in row] for row in data]
    wanted = metrics.krippendorff_alpha(data, level)
    assert metrics.krippendorff_alpha(text, level, list(words.values())) == pytest.approx(wanted)
    fast = metrics.bootstrap_alpha(text, measurement=level, value_domain=list(words.values()), n_resamples=50)
    numbers = metrics.bootstrap_alpha(data, measurement=level, n_resamples=50)
    assert (fast.estimate, fast.low, fast.high) == pytest.approx((numbers.estimate, numbers.low, numbers.high))


def test_alpha_of_text_needs_an_order():
    text = [["low", "high", "nan"], ["low", "mid", "mid"]]
    assert metrics.krippendorff_alpha(np.array(text), "nominal") == metrics.krippendorff_alpha(
        [["low", "high", None], ["low", "mid", "mid"]], "nominal"
    )
    for level, domain in (("ordinal", None), ("interval", ["low", "mid", "high"])):
        with pytest.raises(DataError, match="ratings are text"):
            metrics.krippendorff_alpha(text, level, domain)
    with pytest.raises(DataError, match="'high' lie outside"):
        metrics.krippendorff_alpha(text, "ordinal", ["low", "mid"])


def test_the_domains_order_counts_at_level_ordinal():
    """Codes in no order of their own: 3 worst, 1 middling, 2 best - as the package reads it, too."""
    codes, domain = [[3, 1, 2, 2, 3, 1], [3, 2, 2, 1, 1, NAN]], [3, 1, 2]
    found = metrics.krippendorff_alpha(codes, "ordinal", domain)
    assert found == pytest.approx(metrics.krippendorff_alpha([[0, 1, 2, 2, 0, 1], [0, 2, 2, 1, 1, NAN]]))
    assert found == pytest.approx(krippendorff.alpha(codes, level_of_measurement="ordinal", value_domain=domain))
    assert found != pytest.approx(metrics.krippendorff_alpha(codes))
    assert metrics.krippendorff_alpha(codes, "interval", domain) == metrics.krippendorff_alpha(codes, "interval")


def test_alpha_is_not_symmetric_in_raters_and_items():
    ratings = np.array([[1, 2, 3, 3, 5], [1, 2, 3, 4, 4], [2, 2, 3, 3, 5]])
    assert metrics.krippendorff_alpha(ratings) > 0.8 > 0 > metrics.krippendorff_alpha(ratings.T)


def test_alpha_of_two_items_and_of_two_raters():
    assert metrics.krippendorff_alpha([[1, 2], [1, 2]]) == pytest.approx(1)
    assert metrics.krippendorff_alpha([[1], [2]], "nominal") == 0  # one item, two values: as bad as chance
    assert math.isnan(metrics.krippendorff_alpha([[1], [1]]))


@pytest.mark.parametrize("distinct", [5, 100_000])
def test_alpha_of_100_000_items_needs_memory_for_the_ratings_only(distinct):
    """With one value per rating a table of values x values would need 300 gigabytes."""
    ratings = np.random.default_rng(0).integers(0, distinct, (3, 100_000)).astype(float)
    tracemalloc.start()
    found = metrics.krippendorff_alpha(ratings, "interval")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert abs(found) < 0.01
    assert peak < 300e6


def test_alpha_at_level_ratio_refuses_what_it_could_not_hold():
    with pytest.raises(DataError, match="distinct ratings are too many for level 'ratio'"):
        metrics.krippendorff_alpha(np.random.default_rng(0).random((2, 4_000)), "ratio")


def test_kappa_by_hand_and_at_its_limits():
    """Four items, three equal, margins 2/2 and 1/3: (0.75 - 0.5) / 0.5."""
    assert metrics.cohen_kappa(["A", "A", "B", "B"], ["A", "B", "B", "B"]) == pytest.approx(0.5)
    assert metrics.cohen_kappa(["A", "B", None], ["A", "B", "A"]) == pytest.approx(1)
    assert math.isnan(metrics.cohen_kappa(["A", "A"], ["A", "A"]))
    assert math.isnan(metrics.cohen_kappa([None], ["A"]))
    assert metrics.cohen_kappa(["A", 1, 2], ["A", 1, 1]) == pytest.approx(0.5)  # labels of any kind


def test_weighted_kappa_by_hand():
    """Labels 1, 2, 5: distances count steps (0, 1, 2), not numbers; observed 1/3, expected (1+2+2+1+1+2+1)/9."""
    a, b = [1, 2, 5], [1, 5, 5]
    expected = np.mean([abs(i - j) for i in (0, 1, 2) for j in (0, 2, 2)])
    assert metrics.cohen_kappa(a, b, "linear") == pytest.approx(1 - (1 / 3) / expected)
    with pytest.raises(DataError, match="weighted kappa needs numbers"):
        metrics.cohen_kappa(["low", "high"], ["high", "low"], "linear")


# ------------------------------------------------------------------------------------------- pairwise ranking

#           right  right wrong gold tie  right tie  decided tie  unparsed
DECISIONS = ["A", "B", "A", "A", "tie", "tie", None]
LABELS = ["A", "B", "B", "tie", "tie", "A", "A"]


@pytest.mark.parametrize(
    ("ties", "correct", "n"), [("wrong", 3, 7), ("half", 4, 7), ("dropped", 2, 4), ("gold dropped", 2, 5)]
)
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
    kept = {
        "dropped": [(d, gold) for d, gold in rows if "tie" not in (d, gold)],
        "gold dropped": [(d, gold) for d, gold in rows if gold != "tie"],
    }
    for rule, pairs in kept.items():
        found = metrics.pairwise_accuracy(decisions, labels, rule)
        assert (found.n, found.correct) == (len(pairs), sum(d == gold for d, gold in pairs))
        assert found.unparsed == sum(d is None for d, _ in pairs)


def test_accuracy_by_group_is_micro_in_total():
    found = metrics.accuracy_by_group(list("AAB"), list("ABB"), ["x", "y", "y"])
    assert list(found) == ["x", "y", "total"]
    assert [found[g].value for g in found] == [1, 0.5, pytest.approx(2 / 3)]
    for groups in (["x", None, "y"], ["x", "total", "y"]):
        with pytest.raises(DataError, match="every item needs a group"):
            metrics.accuracy_by_group(list("AAB"), list("ABB"), groups)


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
    with pytest.raises(DataError, match="do not fit together"):
        metrics.code_label_aware_decisions(np.zeros((1, 0)), np.zeros((1, 0)), ["B"])
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


EITHER = st.sampled_from(["A", "B", "tie", None])
OTHER = {"A": "B", "B": "A", "tie": "tie", None: None}


@given(st.lists(st.tuples(EITHER, EITHER, WORDS), max_size=20))
@settings(max_examples=80, deadline=None)
def test_both_orders_under_each_rule_equal_the_plain_loops(rows):
    first, swapped, labels = (list(column) for column in zip(*rows)) if rows else ([], [], [])
    votes = [[d == gold for d in (a, b)] for a, b, gold in rows]
    strict = metrics.both_orders_accuracy(first, swapped, labels)
    assert (strict.n, strict.correct) == (len(rows), sum(map(all, votes)))
    assert strict.unparsed == sum(None in row[:2] for row in rows)
    together = metrics.both_orders_accuracy(first, swapped, labels, rule="together")
    balance = [sum({"A": 1, "B": -1}.get(d, 0) for d in row[:2]) for row in rows]
    silent = [row[:2] == (None, None) for row in rows]
    decided = [None if quiet else "tie" if not sum_ else "AB"[sum_ < 0] for quiet, sum_ in zip(silent, balance)]
    assert (together.correct, together.unparsed) == (
        sum(d == gold for d, gold in zip(decided, labels)), sum(silent)
    )  # fmt: skip
    assert metrics.combine_orders(first, swapped, "together").tolist() == decided
    agreed = [None if None in row[:2] else row[0] if row[0] == row[1] else "tie" for row in rows]
    assert metrics.combine_orders(first, swapped).tolist() == agreed
    as_said = [OTHER[d] for d in swapped]
    for rule, found in (("both", strict), ("together", together)):
        again = metrics.both_orders_accuracy(first, as_said, labels, rule, mapped_back=False)
        assert repr(again) == repr(found)  # NaN for no items equals nothing but its own name
    again = metrics.position_consistency(first, as_said, mapped_back=False)
    assert repr(again) == repr(metrics.position_consistency(first, swapped))


def test_bad_order_rules_are_named():
    with pytest.raises(DataError, match="unknown rule 'strict'"):
        metrics.both_orders_accuracy(["A"], ["A"], ["A"], rule="strict")
    with pytest.raises(DataError, match="unknown rule 'both'"):
        metrics.combine_orders(["A"], ["A"], "both")
    with pytest.raises(DataError, match="first 1, swapped 2"):
        metrics.both_orders_accuracy(["A"], ["A", "B"], ["A"])


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
    for wrong in (3, 0.5, -1):
        with pytest.raises(DataError, match=f"{wrong:g} is no preference"):
            metrics.win_rate([1, wrong])


# ----------------------------------------------------------------------------------------------- transitivity


def table(*rows: tuple) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["group", "x", "y", "winner"])


def by_loops(frame: pd.DataFrame, repeats: str = "unanimous") -> metrics.Transitivity:
    """The definition spelled out: every ordered triple of every group, pairs judged again settled first."""
    votes: dict[tuple, list[int]] = {}
    for group, x, y, winner in frame.itertuples(index=False):
        if not pd.isna(winner):
            one, two = sorted((x, y))
            votes.setdefault((group, one, two), []).append(0 if winner == "tie" else 1 if winner == one else -1)
    outcome = {}
    for (group, one, two), signs in votes.items():
        won = int(np.sign(sum(signs))) if repeats == "majority" or len(set(signs)) == 1 else 0
        outcome[group, one, two], outcome[group, two, one] = won, -won
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
    again = sum(len(signs) - 1 for signs in votes.values())
    return metrics.Transitivity(*counts.values(), unparsed=int(frame["winner"].isna().sum()), repeated=again)


@st.composite
def decision_tables(draw) -> pd.DataFrame:
    """Up to three groups of five items; pairs missing, judged up to three times, in either order, or unparsed."""
    items, rows = draw(st.sampled_from(["pqrst", range(5)])), []
    for group in range(draw(st.integers(1, 3))):
        for x, y in itertools.combinations(items, 2):
            for _ in range(draw(st.sampled_from([1, 1, 1, 0, 2, 3]))):
                x, y = draw(st.sampled_from([(x, y), (y, x)]))
                rows.append((group, x, y, draw(st.sampled_from([x, y, x, y, "tie", None]))))
    return table(*draw(st.permutations(rows)))


@pytest.mark.parametrize("repeats", ["unanimous", "majority"])
@given(decision_tables())
@settings(max_examples=40, deadline=None)
def test_transitivity_equals_the_plain_loops(repeats, frame):
    found = metrics.transitivity(frame, repeats)
    assert found == by_loops(frame, repeats)
    assert found.chains == found.chains_kept + found.chains_tied + found.chains_reversed
    assert found.chains_reversed == 3 * found.cycles
    assert found.chains_kept == found.decisive - found.cycles
    by_group = metrics.transitivity_by_group(frame, repeats).sum()
    assert by_group.to_dict() == {name: getattr(found, name) for name in by_group.index}


def test_transitivity_takes_any_table_of_the_four_columns():
    """Other columns, another index, pandas' own text and category types, tuples as names: all the same."""
    rows = [("g", "a", "b", "a"), ("g", "c", "b", "b"), ("g", "a", "c", "tie"), ("g", "c", "d", None)]
    plain = table(*rows)
    wanted = metrics.transitivity(plain)
    assert (wanted.triples, wanted.decisive, wanted.chains_tied, wanted.unparsed) == (1, 0, 1, 1)
    tuples = table(*((g, (x,), (y,), w if w in ("tie", None) else (w,)) for g, x, y, w in rows))
    frames = [plain.astype(kind) for kind in ("string", "category", "str")] + [tuples]
    frames.append(plain.assign(judge="j", winner=plain["winner"].fillna(np.nan)).set_index("judge"))
    assert [metrics.transitivity(frame) for frame in frames] == [wanted] * len(frames)


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


def test_a_majority_can_settle_what_is_not_unanimous():
    rows = [(1, "a", "b", "a"), (1, "b", "a", "a"), (1, "a", "b", "b"), (1, "b", "c", "b"), (1, "a", "c", "a")]
    assert metrics.transitivity(table(*rows)).decisive == 0
    assert metrics.transitivity(table(*rows), repeats="majority").chains_kept == 1
    with pytest.raises(DataError, match="unknown rule for repeats 'first'"):
        metrics.transitivity(table(*rows), repeats="first")


@pytest.mark.parametrize(
    "row",
    [
        (1, "a", "b", "c"), (1, "a", "b", "Tie"), (1, "a", "b", ""), (1, 1, 2, "1"), (1, "a", "a", "a"),
        (1, "a", "a", "tie"), (1, "a", "tie", "tie"), (1, "tie", "a", "a"), (None, "a", "b", "a"),
        (1, None, "b", "b"), (1, "a", NAN, "a"), (1, "a", pd.NA, None),
    ],
)  # fmt: skip
def test_unreadable_rows_are_named(row):
    with pytest.raises(DataError, match="row 1 of the table cannot be read: .*x and y must differ"):
        metrics.transitivity(table((1, "a", "b", "a"), row))


def test_a_table_without_its_columns_is_refused():
    with pytest.raises(DataError, match="'winner' is missing"):
        metrics.transitivity(table((1, "a", "b", "a")).drop(columns="winner"))
    with pytest.raises(DataError, match="a data frame with the columns group, x, y, winner"):
        metrics.transitivity([(1, "a", "b", "a")])


def test_an_empty_table_has_no_chains():
    found = metrics.transitivity(table())
    assert (found.triples, found.chains) == (0, 0) and math.isnan(found.rate)


def test_a_coin_goes_round_in_a_quarter_of_100_000_rows():
    n = 10_000
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(list(itertools.combinations("abcde", 2)) * n, columns=["x", "y"])
    frame["group"] = np.repeat(np.arange(n), 10)
    frame["winner"] = np.where(rng.integers(0, 2, len(frame)) == 1, frame["x"], frame["y"])
    found = metrics.transitivity(frame)
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
    monkeypatch.setattr(resampling, "_MOST_KENDALL_CELLS", 10)  # the path for thousands of distinct scores
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


def test_a_cluster_may_be_named_by_anything_hashable():
    values, plain = [1, 0, 1, 1], [0, 0, 1, 1]
    wanted = metrics.bootstrap_mean(values, plain, n_resamples=50)
    for one, other in (("q1", "q2"), (("a", 1), ("a", 2)), (1, "1"), (frozenset("a"), 2.5), (True, False)):
        clusters = [one, one, other, other]
        assert metrics.bootstrap_mean(values, clusters, n_resamples=50) == wanted
        assert metrics.bootstrap_mean(values, pd.Series(clusters, index=list("wxyz")), n_resamples=50) == wanted
    with pytest.raises(DataError, match="a cluster name cannot be compared"):
        metrics.bootstrap_mean([1, 2], [["a"], ["b"]])


def test_functions_get_the_resampled_columns():
    """Decisions, labels and generators go through any function of the library."""
    decisions, labels = list("AABB") * 5, list("ABBB") * 5
    loop = metrics.bootstrap_interval(
        lambda d, gold: metrics.pairwise_accuracy(d, gold).value, iter(decisions), labels, n_resamples=30
    )
    close(loop, metrics.bootstrap_interval("mean", metrics.item_credits(decisions, labels), n_resamples=30))


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


def benchmarks(seed: int, times: int, shared: float = 0.7):
    """Simulated benchmarks, 60 instructions x 4 items that share their instruction's luck: (3, items) and a seed."""
    rng = np.random.default_rng(seed)
    for _ in range(times):
        luck = np.repeat(rng.normal(size=(3, 60)), 4, axis=1)
        yield np.sqrt(shared) * luck + np.sqrt(1 - shared) * rng.normal(size=luck.shape), int(rng.integers(1 << 30))


def one_to_five(latent: np.ndarray) -> np.ndarray:
    return np.digitize(latent, [-1.5, -0.5, 0.5, 1.5]) + 1.0


def two_raters(z: np.ndarray) -> np.ndarray:
    """Two raters who see the same quality, each with errors of his own that go with the instruction."""
    return one_to_five(np.sqrt(0.7) * z[0] + np.sqrt(0.3) * z[1:])


def judged(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return one_to_five(z[0]), one_to_five(0.6 * z[0] + 0.8 * z[1])


STATISTICS = {
    "accuracy": ("mean", lambda z: [(z[0] > 0.4).astype(float)]),
    "pearson": ("pearson", judged),
    "spearman": ("spearman", judged),
    "alpha": ("krippendorff_alpha", lambda z: [two_raters(z)]),
}


@pytest.mark.parametrize("name", STATISTICS)
def test_intervals_cover_the_truth_about_95_times_in_100(name):
    """200 benchmarks; the truth comes from one large benchmark without clusters.

    Ignoring the clusters promises too much: that such an interval fails shows that this test can.
    """
    statistic, data = STATISTICS[name]
    large = np.random.default_rng(0).normal(size=(3, 200_000))
    truth = metrics.bootstrap_interval(statistic, *data(large), n_resamples=1).estimate
    clusters, hits = np.repeat(np.arange(60), 4), np.zeros(2)
    for z, seed in benchmarks(11, 200):
        for which, groups in enumerate((clusters, None)):
            found = metrics.bootstrap_interval(statistic, *data(z), clusters=groups, n_resamples=200, seed=seed)
            hits[which] += found.low <= truth <= found.high
    clustered, blind = hits / 200
    assert 0.89 <= clustered <= 0.99  # percentile intervals of 60 clusters reach about 93 in 100
    assert blind < 0.86 and blind < clustered - 0.06


@pytest.mark.parametrize("kind", ["pearson", "accuracy"])
def test_equal_judges_are_told_apart_about_5_times_in_100(kind):
    """Two judges of the same quality on clustered items: the paired tests keep their level."""
    clusters, calls = np.repeat(np.arange(60), 4), 0
    for z, seed in benchmarks(12, 250):
        options = {"clusters": clusters, "n_resamples": 300, "seed": seed}
        if kind == "accuracy":
            found = metrics.compare_accuracies(*(z[:2] > 0).astype(float), **options)
        else:
            found = metrics.compare_correlations(z[0] + z[1], z[0] + z[2], z[0], **options)
        calls += found.verdict != "undecided"
    assert 3 <= calls <= 25


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
    assert resampling._williams(r1, r2, r12, n) == pytest.approx(steiger_z(r1, r2, r12, n), rel=0.15, abs=0.002)


def test_williams_by_hand():
    """n 103, r .5 and .3, judges .4: |R| = .62, t = .2 sqrt(102 * 1.4 / (2 * 1.02 * .62 + .16 * .216))."""
    t = 0.2 * math.sqrt(102 * 1.4 / (2 * 1.02 * 0.62 + 0.16 * 0.216))
    assert resampling._williams(0.5, 0.3, 0.4, 103) == pytest.approx(2 * stats.t.sf(t, 100))


def test_williams_keeps_its_level_when_judges_are_equal():
    """1,000 draws with no true difference: about 5 in 100 are called different."""
    rng = np.random.default_rng(7)
    calls = 0
    for _ in range(1000):
        y = rng.normal(size=60)
        x1, x2 = 0.6 * y + 0.8 * rng.normal(size=(2, 60))
        r1, r2, r12 = (np.corrcoef(a, b)[0, 1] for a, b in ((x1, y), (x2, y), (x1, x2)))
        calls += resampling._williams(r1, r2, r12, 60) < 0.05
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


@pytest.mark.parametrize("kind", metrics.CORRELATIONS)
def test_a_handful_of_clusters_decides_nothing(kind):
    """Five instructions, all for the first judge: that happens by chance in 2 of 32 cases."""
    y = np.arange(5.0)
    found = metrics.compare_correlations(y, -y, y, kind=kind, clusters=list("abcde"), n_resamples=200)
    assert (found.verdict, found.p_value, found.difference) == ("undecided", 2 / 32, pytest.approx(2))


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
    for scale in (1, 100):  # tables write accuracies in per cent
        found = metrics.compare_accuracies(scale * first, scale * second)
        assert (found.test, found.p_value) == ("McNemar exact", pytest.approx(mcnemar(table_, exact=True).pvalue))


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
