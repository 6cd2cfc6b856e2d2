"""Paired tests against hand-worked values, second implementations, and their level in simulation."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats
from simulated import scores

from prometheus_lib import metrics
from prometheus_lib.metrics import comparisons
from prometheus_lib.records import DataError

NAN = math.nan


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
    assert comparisons._williams(r1, r2, r12, n) == pytest.approx(steiger_z(r1, r2, r12, n), rel=0.15, abs=0.002)


def test_williams_by_hand():
    """n 103, r .5 and .3, judges .4: |R| = .62, t = .2 sqrt(102 * 1.4 / (2 * 1.02 * .62 + .16 * .216))."""
    t = 0.2 * math.sqrt(102 * 1.4 / (2 * 1.02 * 0.62 + 0.16 * 0.216))
    assert comparisons._williams(0.5, 0.3, 0.4, 103) == pytest.approx(2 * stats.t.sf(t, 100))


def test_williams_keeps_its_level_when_judges_are_equal():
    """1,000 draws with no true difference: about 5 in 100 are called different."""
    rng = np.random.default_rng(7)
    calls = 0
    for _ in range(1000):
        y = rng.normal(size=60)
        x1, x2 = 0.6 * y + 0.8 * rng.normal(size=(2, 60))
        r1, r2, r12 = (np.corrcoef(a, b)[0, 1] for a, b in ((x1, y), (x2, y), (x1, x2)))
        calls += comparisons._williams(r1, r2, r12, 60) < 0.05
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
    assert (found.p_value, found.test) == (pytest.approx(0.25), "exact permutation by cluster")
    assert metrics.compare_accuracies([1] * 6, [0] * 6).p_value == pytest.approx(2 / 64)


def test_random_permutations_agree_with_scipy():
    rng = np.random.default_rng(4)
    first, second = rng.choice([0, 0.5, 1], (2, 80), p=[0.3, 0.2, 0.5])
    first[:12] = 1
    ours = metrics.compare_accuracies(first, second)
    theirs = stats.permutation_test(
        (first, second), lambda a, b: (a - b).mean(), permutation_type="samples", n_resamples=9_999, rng=0
    )
    assert ours.test == "exact permutation"  # halves rule McNemar out
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
    assert (corrected.verdict, corrected.p_holm) == ("undecided", 0.2) and corrected.more_needed >= 1


def comparison(difference, low, high, p, n=100, clusters=20):
    return metrics.Comparison(difference, low, high, p, n, "undecided", None, clusters, "a test")


def test_decide_corrects_together_and_claims_nothing_on_few_instructions():
    found = {
        "sure": comparison(5, 3, 7, 0.001),
        "turned by the correction": comparison(5, 0.5, 9.5, 0.03),
        "few": comparison(9, 8, 10, 0.001, clusters=9),
        "missing": None,
    }
    decided = metrics.decide(found)
    assert [each.verdict for each in decided.values()] == ["first", "first", metrics.TOO_FEW]
    assert decided["sure"].p_holm == pytest.approx(0.002)  # two tests count, not three
    assert math.isnan(decided["few"].p_holm) and decided["few"].more_needed is None
    more = metrics.decide({**found, "third": comparison(1, -9, 11, 0.9)})["turned by the correction"]
    assert more.verdict == "undecided" and more.p_holm == pytest.approx(0.06) and more.more_needed > 0


def test_more_needed_decides_in_four_of_five_simulated_studies():
    rng, n, gap = np.random.default_rng(1), 200, 0.1
    half = 1.96 / math.sqrt(n)
    needed = n + metrics.more_needed(gap, gap - half, gap + half, n)
    studies = gap + rng.normal(size=4000) / math.sqrt(needed)
    assert np.mean(np.abs(studies) > 1.96 / math.sqrt(needed)) == pytest.approx(0.8, abs=0.03)
    assert metrics.more_needed(gap, gap - half, gap + half, n, factor=5) > needed - n
    assert metrics.more_needed(0.0, -1, 1, n) is None and metrics.more_needed(1.0, 1, 1, n) is None


def test_sign_flip_equals_all_patterns_and_mcnemar():
    rng = np.random.default_rng(2)
    for _ in range(20):
        sums = rng.integers(-6, 7, 9) / 2
        signs = np.array(list(itertools.product((1, -1), repeat=9)))
        by_hand = np.mean(np.abs(signs @ sums) >= abs(sums.sum()) - 1e-9)
        assert comparisons.sign_flip(sums) == (pytest.approx(by_hand), "exact")
    ones = np.array([1.0] * 9 + [-1.0] * 2 + [0.0] * 30)
    mcnemar = metrics.compare_accuracies(ones > 0, ones < 0).p_value
    assert comparisons.sign_flip(ones) == (pytest.approx(mcnemar), "exact")
    assert comparisons.sign_flip(np.zeros(5))[0] == 1 and math.isnan(comparisons.sign_flip(np.zeros(0))[0])


def test_sign_flips_of_thirds_as_three_draws_give_them_are_those_of_whole_numbers():
    """Sizes are rounded on the way, and the observed total must still lie in its own tail."""
    rng = np.random.default_rng(3)
    for clusters in range(1, 40):
        whole = rng.integers(-3, 4, clusters).astype(float)
        assert comparisons.sign_flip(whole / 3) == (pytest.approx(comparisons.sign_flip(whole)[0]), "exact")
    assert metrics.compare_accuracies([1 / 3] * 5, [0] * 5).p_value == pytest.approx(2 / 2**5)


def test_sign_flips_of_any_numbers_are_exact_while_clusters_are_few_and_close_when_many():
    rng = np.random.default_rng(6)
    few = rng.normal(0.5, 1, 10)
    signs = np.array(list(itertools.product((1, -1), repeat=10)))
    by_hand = np.mean(np.abs(signs @ few) >= abs(few.sum()) - 1e-9)
    assert comparisons.sign_flip(few) == (pytest.approx(by_hand), "exact")
    many = rng.normal(0.2, 1, 60)
    p_value, how = comparisons.sign_flip(many, n_resamples=20_000)
    normal = 2 * stats.norm.sf(abs(many.sum()) / math.sqrt((many**2).sum()))
    assert how == "Monte Carlo" and p_value == pytest.approx(normal, abs=0.02)
    assert metrics.compare_accuracies(many, 0 * many, clusters=range(60)).test == "Monte Carlo permutation by cluster"


def test_one_test_for_all_correlations_with_clusters():
    """From columns or from intervals with the same resamples: one p-value, one interval; Williams beside Pearson's."""
    x1, x2, y, clusters = scores(13)
    options = {"clusters": clusters, "n_resamples": 400, "seed": 5}
    for kind in metrics.CORRELATIONS:
        whole = metrics.compare_correlations(x1, x2, y, kind=kind, **options)
        one, two = (metrics.bootstrap_correlation(x, y, kind=kind, **options) for x in (x1, x2))
        parts = metrics.compare_intervals(one, two)
        assert (whole.p_value, whole.low, whole.high) == (parts.p_value, parts.low, parts.high)
        assert whole.item_test == ("Williams" if kind == "pearson" else "")
    with pytest.raises(DataError, match="intervals of 400 and 50 resamples are not paired"):
        metrics.compare_intervals(one, one.of_first(50))


def test_compare_with_a_value_is_two_sided():
    found = metrics.bootstrap_mean([1.0] * 30 + [0.0] * 10, n_resamples=1_000)
    verdicts = [metrics.compare_with(found, value).verdict for value in (0.4, 0.75, 0.99)]
    assert verdicts == ["first", "undecided", "second"]


@pytest.mark.parametrize("rounding", (0.0, 1e-14, -3e-12))
def test_a_difference_that_is_rounding_scales_to_no_number_of_judgments(rounding):
    assert metrics.more_needed(rounding, -2.0, 2.0, n=64) is None
    assert metrics.more_needed(0.5, -2.0, 2.0, n=64) > 64
