"""Correlations, Krippendorff's alpha and Cohen's kappa: by hand, against second implementations, at their limits."""

from __future__ import annotations

import itertools
import math
import tracemalloc
import warnings
from collections import Counter

import krippendorff
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from simulated import scores

from prometheus_lib import metrics
from prometheus_lib.metrics import alpha
from prometheus_lib.records import DataError

NAN = math.nan


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
    assert math.isnan(metrics.bootstrap_correlation(nearly, [1, 2, 3], n_resamples=20).high)


@pytest.mark.parametrize("method", ["pearson", "spearman", "kendall"])
@pytest.mark.parametrize("scores", [[NAN, NAN, NAN, NAN], [NAN, NAN, 2, 3]])
def test_a_resample_without_readable_scores_is_nan_and_warns_of_nothing(method, scores):
    """A judge that cannot be read: of the whole, or of the one instruction that a resample happens to draw twice."""
    with warnings.catch_warnings(action="error"):
        found = metrics.bootstrap_correlation(scores, [1, 2, 3, 4], ["a", "a", "b", "b"], method, n_resamples=50)
        paired = metrics.bootstrap_correlation(
            scores, [1, 2, 3, 4], ["a", "a", "b", "b"], method, n_resamples=50, paired=True
        )
    assert math.isnan(found.estimate) == math.isnan(scores[-1])
    assert paired.n == sum(not math.isnan(score) for score in scores)


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
    ours = alpha.alpha_of_counts(pairable, level, items, 1)(np.ones((1, 1)))[0]
    if math.isnan(found):
        assert math.isnan(ours) and len(np.unique(pairable[np.isfinite(pairable)])) < 2
    else:
        assert (found, ours) == pytest.approx((alpha_by_pairs(table, level),) * 2)


def test_alpha_errors_are_clear():
    with pytest.raises(DataError, match=r"ratings 7\.0 are not among the labels .*outside='clip'"):
        metrics.krippendorff_alpha([[1, 7], [1, 2]], labels=[1, 2, 3, 4, 5])
    with pytest.raises(DataError, match=r"ratings 1\.5 are not among"):  # clipping does not round
        metrics.krippendorff_alpha([[1, 1.5], [1, 7]], labels=[1, 2, 3], outside="clip")
    with pytest.raises(DataError, match="level of measurement 'cardinal'"):
        metrics.krippendorff_alpha([[1, 2], [1, 2]], "cardinal")
    with pytest.raises(DataError, match="outside must be"):
        metrics.krippendorff_alpha([[1, 2], [1, 2]], outside="drop")
    with pytest.raises(DataError, match="one row per rater and one column per item; got shape"):
        metrics.krippendorff_alpha([1, 2, 3])


def test_alpha_outside_its_domain_is_clipped_or_left_out_on_demand():
    ratings, domain = [[0, 1, 9, 3, -4], [0, 2, 3, 3, 1]], [0, 1, 2, 3]
    clipped = metrics.krippendorff_alpha(ratings, labels=domain, outside="clip")
    assert clipped == metrics.krippendorff_alpha(np.clip(ratings, 0, 3))
    left_out = metrics.krippendorff_alpha(ratings, labels=domain, outside="missing")
    assert left_out == metrics.krippendorff_alpha([[0, 1, NAN, 3, NAN], [0, 2, 3, 3, 1]])


@pytest.mark.parametrize("level", ["nominal", "ordinal"])
def test_alpha_of_text(level):
    """Krippendorff's example in words; the order comes from the domain, never from the alphabet."""
    words = {1: "very low", 2: "low", 3: "mid", 4: "high", 5: "very high"}
    data = [[1, 2, 3, 3, 2, 1, 4, 1, 2, NAN], [1, 2, 3, 3, 2, 2, 4, 1, 2, 5], [NAN, 3, 3, 3, 2, 3, 4, 2, 2, 5]]
    text = [[words.get(value) for value in row] for row in data]
    wanted = metrics.krippendorff_alpha(data, level)
    assert metrics.krippendorff_alpha(text, level, list(words.values())) == pytest.approx(wanted)
    fast = metrics.bootstrap_alpha(text, measurement=level, labels=list(words.values()), n_resamples=50)
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
    with pytest.raises(DataError, match="'high' are not among"):
        metrics.krippendorff_alpha(np.array(text), "ordinal", ["low", "mid"])


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
    assert metrics.cohen_kappa([("A",), (1,), (2,)], [("A",), (1,), (1,)]) == pytest.approx(0.5)  # labels of any kind


def test_weighted_kappa_by_hand():
    """Labels 1, 2, 5: distances count steps (0, 1, 2), not numbers; observed 1/3, expected (1+2+2+1+1+2+1)/9."""
    a, b = [1, 2, 5], [1, 5, 5]
    expected = np.mean([abs(i - j) for i in (0, 1, 2) for j in (0, 2, 2)])
    assert metrics.cohen_kappa(a, b, "linear") == pytest.approx(1 - (1 / 3) / expected)
    with pytest.raises(DataError, match="weighted kappa needs an order"):
        metrics.cohen_kappa(["low", "high"], ["high", "low"], "linear")


def test_weighted_kappa_takes_its_distances_from_the_scale():
    """Five steps, of which 3 and 4 do not occur: distances 1, 4, 1, 4, 0 by hand against those of chance."""
    a, b = [1, 5, 2, 5, 1], [2, 5, 1, 1, 1]
    assert metrics.cohen_kappa(a, b, "linear") == pytest.approx(1 / 6)
    chance = np.mean([abs(i - j) for i in a for j in b])
    found = metrics.cohen_kappa(a, b, "linear", labels=[1, 2, 3, 4, 5])
    assert found == pytest.approx(1 - np.mean(np.abs(np.subtract(a, b))) / chance) == pytest.approx(0.348, abs=5e-4)
    square = np.mean([(i - j) ** 2 for i in a for j in b])
    assert metrics.cohen_kappa(a, b, "quadratic", labels=range(1, 6)) == pytest.approx(
        1 - np.mean(np.subtract(a, b) ** 2) / square
    )


def test_labels_in_order_make_text_weighable_and_bound_what_may_occur():
    words = {1: "bad", 2: "poor", 3: "fair", 4: "good", 5: "best"}
    a, b = [1, 5, 2, 5, 1], [2, 5, 1, 1, 1]
    text = [[words[label] for label in column] for column in (a, b)]
    assert metrics.cohen_kappa(*text, "linear", labels=list(words.values())) == metrics.cohen_kappa(
        a, b, "linear", labels=[1, 2, 3, 4, 5]
    )
    assert metrics.cohen_kappa(a, b, labels=[1, 2, 3, 4, 5]) == metrics.cohen_kappa(a, b)  # no distances, no difference
    for labels, message in (
        ([1, 2], "label 5 is not among"),
        ([1, 2, 5, 5], "twice"),
        (["1", "2", "5"], "never equal"),
    ):
        with pytest.raises(DataError, match=message):
            metrics.cohen_kappa(a, b, "linear", labels=labels)


@pytest.mark.parametrize("level", metrics.LEVELS)
@pytest.mark.parametrize("items", [200, 100_000])
def test_alpha_of_few_and_of_many_items_is_the_packages(level, items):
    """Beyond a size our own sums take the package's place; they must give its value."""
    rng = np.random.default_rng(1)
    ratings = np.clip(rng.integers(1, 6, items) + rng.integers(-1, 2, (3, items)), 1, 5).astype(float)
    ratings[0, ::7] = np.nan
    assert metrics.krippendorff_alpha(ratings, level) == pytest.approx(
        krippendorff.alpha(ratings, level_of_measurement=level)
    )
