"""Intervals against the plain loop over resamples, against scipy, and in simulation."""

from __future__ import annotations

import math
import time

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from simulated import scores

from prometheus_lib import metrics
from prometheus_lib.metrics import agreement
from prometheus_lib.records import DataError

NAN = math.nan


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
    monkeypatch.setattr(agreement, "_MOST_KENDALL_CELLS", 10)  # the path for thousands of distinct scores
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
    loop = metrics.bootstrap_interval(
        lambda r: metrics.krippendorff_alpha(r.T, level), ratings.T, n_resamples=40, seed=5
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
    first = metrics.bootstrap_correlation(x, y, clusters)
    assert first == metrics.bootstrap_correlation(x, y, clusters)
    assert first != metrics.bootstrap_correlation(x, y, clusters, seed=1)
    within = np.arange(len(x)).reshape(-1, 3)[:, ::-1].ravel()
    again = metrics.bootstrap_correlation(x[within], y[within], clusters[within])
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
    for one, other in (("q1", "q2"), (("a", 1), ("a", 2)), (1, 2.5), (frozenset("a"), frozenset("b")), (True, False)):
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
    with pytest.raises(ValueError, match="values 3, clusters 2"):
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
    metrics.bootstrap_correlation(x, y, clusters, n_resamples=10)

    def seconds(statistic, n: int) -> float:
        started = time.perf_counter()
        metrics.bootstrap_interval(statistic, x, y, clusters=clusters, n_resamples=n, seed=n)
        return (time.perf_counter() - started) / n

    assert seconds(plain("spearman"), 200) > 20 * min(seconds("spearman", 5_000), seconds("spearman", 5_000))


def test_batched_means_equal_one_by_one():
    rng = np.random.default_rng(3)
    clusters = np.repeat(np.arange(12), 5)
    columns = [rng.random(60), np.where(rng.random(60) < 0.3, np.nan, 1.0), np.full(60, np.nan), rng.random(60)]
    found = metrics.bootstrap_means(columns, clusters, n_resamples=300, seed=7)
    for column, each in zip(columns, found, strict=True):
        keep = np.isfinite(column)
        alone = metrics.bootstrap_ratio(column[keep], np.ones(keep.sum()), clusters[keep], n_resamples=300, seed=7)
        assert (each.estimate, each.low, each.high, each.n) == pytest.approx(
            (alone.estimate, alone.low, alone.high, alone.n), nan_ok=True
        )


def test_paired_resamples_are_those_of_all_clusters():
    """A judge who missed a whole instruction meets the same resamples as one who did not."""
    clusters = np.repeat(np.arange(8), 3)
    full = np.random.default_rng(0).random(24)
    gap = np.where(clusters == 7, NAN, full)
    one, two = (metrics.bootstrap_mean(values, clusters, n_resamples=200, paired=True) for values in (full, gap))
    assert (one.n_clusters, two.n_clusters, two.n) == (8, 7, 21)
    loop = metrics.bootstrap_interval(lambda v: np.nanmean(v), gap, clusters=clusters, n_resamples=200)
    assert (two.low, two.high) == pytest.approx((loop.low, loop.high))
    assert metrics.bootstrap_mean(gap, clusters, n_resamples=200).low != pytest.approx(two.low)


def test_partial_correlation_is_pingouins():
    import pingouin

    rng = np.random.default_rng(3)
    z = rng.normal(size=60)
    x, y = z + rng.normal(size=60), 0.5 * z + rng.normal(size=60)
    found = metrics.bootstrap_partial(x, y, z, n_resamples=300)
    expected = pingouin.partial_corr(pd.DataFrame({"x": x, "y": y, "z": z}), "x", "y", "z")["r"].iloc[0]
    assert found.estimate == pytest.approx(expected) and found.n == 60
    assert found.low < found.estimate < found.high
    gap = metrics.bootstrap_partial(np.append(x, NAN), np.append(y, 9), np.append(z, 9), n_resamples=300)
    assert (gap.estimate, gap.n, gap.low) == (found.estimate, 60, found.low)
    assert math.isnan(metrics.bootstrap_partial([1, 1, 1], [1, 2, 3], [3, 1, 2], n_resamples=20).estimate)


def test_an_interval_in_other_units_or_of_fewer_resamples():
    found = metrics.bootstrap_mean([0, 1, 1, 0, 1], n_resamples=300)
    assert found.times(100).low == pytest.approx(100 * found.low) and found.times(100).estimate == 60
    short = metrics.bootstrap_mean([0, 1, 1, 0, 1], n_resamples=100)
    assert found.of_first(100) == short and np.array_equal(found.draws[:100], short.draws)
    assert found.with_unparsed(3).unparsed == 3
