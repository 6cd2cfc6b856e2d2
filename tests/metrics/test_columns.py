"""What columns may look like, which values belong together, and which labels can be compared."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from prometheus_lib import metrics
from prometheus_lib.records import DataError

NAN = math.nan


def test_import_is_light():
    """The library's readers of judgment files must not wait for a deep-learning stack."""
    code = "import sys, prometheus_lib.metrics; print({'torch', 'transformers'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


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
        ([[1, 2], [3], [4]], r"x\[0\] is \[1, 2\]"),
        ([[1], [2], [3]], "x must be one-dimensional"),
        ({1, 2, 3}, "x is a set"),
        ({"a": 1, "b": 2, "c": 3}, "x is a dict"),
        ([1, 2], "x 2, y 3"),
    ],
)
def test_bad_scores_are_named(values, message):
    with pytest.raises(DataError, match=message):
        metrics.correlations(values, [1, 2, 3])


# --- what belongs together -------------------------------------------------------------------------------------------

ITEMS = ["1", "2", "10", "11"]
SHUFFLED = ["1", "10", "11", "2"]  # as a sort of text leaves them
X, Y = [1.0, 2.0, 4.0, 5.0], [2.0, 1.0, 5.0, 3.0]


def series(values, order=ITEMS, labels=ITEMS):
    """A column of the items, its rows in another order."""
    return pd.Series(values, index=labels).reindex(order)


def scored_apart(function):
    """A metric of two columns in one order, and of the same two with the second in another order."""
    return function(series(X), series(Y)), function(series(X), series(Y, SHUFFLED))


@pytest.mark.parametrize(
    "function",
    [
        metrics.correlations,
        metrics.cohen_kappa,
        lambda x, y: metrics.krippendorff_alpha([x, y]),
        lambda x, y: metrics.bootstrap_correlation(x, y, n_resamples=50),
        lambda x, y: metrics.bootstrap_ratio(x, y, n_resamples=50),
        lambda x, y: metrics.bootstrap_partial(x, y, x**2, n_resamples=50),
        lambda x, y: metrics.bootstrap_interval(lambda a, b: float(a @ b), x, y, n_resamples=20),
        lambda x, y: metrics.bootstrap_mean(x, y, n_resamples=50),  # the second column names clusters
        lambda x, y: metrics.bootstrap_alpha(pd.DataFrame([x, x]), y, n_resamples=50),
        lambda x, y: metrics.compare_correlations(x, y, y**2, n_resamples=50),
        lambda x, y: metrics.compare_correlations(x, x**2, series(Y), clusters=y, n_resamples=50),
        lambda x, y: metrics.compare_accuracies(x > 2, y > 2),
        lambda x, y: metrics.compare_accuracies(x > 2, x > 4, clusters=y),
        lambda x, y: metrics.compare_many_accuracies({"one": (x > 2, y > 2), "two": (y > 1, x > 2)}),
        lambda x, y: metrics.direct_to_pair(x, y).to_dict(),
        lambda x, y: metrics.text_mixture_decisions(x, x, named(y)).to_dict(),
        lambda x, y: metrics.code_label_aware_decisions(frame(x), frame(y), named(x)).to_dict(),
        lambda x, y: metrics.code_label_aware_accuracy(frame(x), frame(x[::-1]), named(y)),
        lambda x, y: metrics.item_credits(named(x), named(y)).to_dict(),
        lambda x, y: metrics.pairwise_accuracy(named(x), named(y)),
        lambda x, y: metrics.accuracy_by_tie_rule(named(x), named(y)),
        lambda x, y: metrics.both_orders_accuracy(named(x), named(y), named(x)),
        lambda x, y: metrics.both_orders_accuracy(named(x), named(x), named(y)),
        lambda x, y: metrics.combine_orders(named(x), named(y)).to_dict(),
        lambda x, y: metrics.position_consistency(named(x), named(y)),
        lambda x, y: metrics.released_code_transitivity(named(x), named(x), y),
        lambda x, y: metrics.exact_credits(x, y.round()).to_dict(),
        lambda x, y: metrics.absolute_errors(frame(x), y).to_dict(),
        lambda x, y: metrics.corrected_mean(x, y),
        lambda x, y: metrics.corrected_mean(x, x**2, clusters=y),
        lambda x, y: metrics.bootstrap_means([x, y, x], n_resamples=50),
    ],
)
def test_two_columns_are_matched_by_their_labels(function):
    straight, turned = scored_apart(function)
    assert repr(straight) == repr(turned)  # NaN equals nothing but its own name
    with pytest.raises(DataError, match="has no label|labels .*in another order"):
        function(series(X), series(Y, labels=["1", "2", "10", "12"], order=["1", "2", "10", "12"]))


def named(column):
    """Decisions that hang on the numbers."""
    return pd.Series(np.where(column > 2, "A", "B"), index=column.index)


def frame(column):
    return pd.DataFrame({0: column, 1: column % 3})


def test_sorting_ids_as_text_does_not_turn_a_perfect_judge_round():
    items = [str(number) for number in range(12)]
    human = pd.Series(range(12), index=items)
    judge = pd.DataFrame({"item_id": items, "decision": range(12)}).groupby("item_id")["decision"].mean()
    assert list(judge.index) != items
    assert metrics.correlations(judge, human).pearson == pytest.approx(1)


@pytest.mark.parametrize(
    ("one", "two", "message"),
    [
        (series(X), pd.Series(Y), r"y has no label '1', which x has .*to_numpy"),
        (series(X), pd.Series(Y, index=[1, 2, 10, 11]), "y has no label '1', which x has .y starts with 1."),
        (pd.Series(X, index=[0, 1, 2, 2]), pd.Series(Y, index=[0, 1, 2, 3]), "x repeats the label 2"),
        (pd.Series(X), pd.Series(Y, index=[0, 1, 2, 2]), "y repeats the label 2"),
        (pd.Series(X, index=list("aabb")), pd.Series(Y, index=list("aabb")), "x repeats the label 'a'"),
        (series(X), pd.Series(Y[:3], index=ITEMS[:3]), "x 4, y 3"),
    ],
)
def test_labels_that_do_not_match_are_refused(one, two, message):
    with pytest.raises(DataError, match=message):
        metrics.correlations(one, two)


def test_columns_of_one_frame_may_repeat_labels():
    table = pd.DataFrame({"x": X, "y": Y}, index=list("aabb"))
    assert metrics.correlations(table["x"], table["y"]) == metrics.correlations(X, Y)
    part = table[table["x"] > 1]
    assert metrics.correlations(part["x"], part["y"]) == metrics.correlations(X[1:], Y[1:])


def test_an_array_beside_a_series_goes_by_position_and_only_where_that_is_clear():
    assert metrics.correlations(series(X, SHUFFLED), Y) == metrics.correlations(series(X, SHUFFLED).to_numpy(), Y)
    assert metrics.bootstrap_mean(series(X), ["q", "q", "r", "s"], n_resamples=50).n_clusters == 3
    with pytest.raises(DataError, match="clusters has no labels that say which order it stands in"):
        metrics.bootstrap_correlation(series(X), series(Y, SHUFFLED), clusters=list("qqrs"), n_resamples=50)


def test_what_is_returned_per_item_keeps_its_labels():
    credits = metrics.item_credits(named(series(X, SHUFFLED)), named(series(Y)))
    assert list(credits.index) == SHUFFLED
    scores = metrics.mean_scores(frame(series(X, SHUFFLED)))
    assert metrics.correlations(scores, series(X)) == metrics.correlations(
        scores.to_numpy(), series(X, SHUFFLED).to_numpy()
    )
    assert isinstance(metrics.mean_scores([[1, 2]]), np.ndarray)


# --- labels that can be compared -------------------------------------------------------------------------------------

MIXED = [
    ([1, 2, 3], ["1", "2", "3"]),
    ([True, False, True], ["True", "False", "True"]),
    ([True, False, True], [1, 0, 1]),
    ([1, "1", 2], [1, 1, 2]),
    (np.array([1, "1", 2], dtype=object), np.array([1, 1, 2], dtype=object)),
    (pd.Categorical(["1", "2", "1"]), [1, 2, 1]),
    (pd.Series(["1", "2", None], dtype="string"), pd.Series([1, 2, None], dtype="Int64")),
    ([b"a", b"b", b"a"], ["a", "b", "a"]),
    (["Yes", "no", "no"], ["yes", "no", "no"]),
    (["a", "b", "a"], ["a ", "b", "b"]),
    (["1", "2", "2"], ["1.0", "2.0", "2.0"]),
]


@pytest.mark.parametrize(("one", "two"), MIXED)
def test_labels_that_are_never_equal_are_refused(one, two):
    for first, second in ((one, two), (two, one)):
        with pytest.raises(DataError, match="never equal|written differently"):
            metrics.cohen_kappa(first, second)
        with pytest.raises(DataError, match="never equal|written differently"):
            metrics.krippendorff_alpha(pd.DataFrame([list(first), list(second)], dtype=object), "nominal")


APART = [
    (["A", "B", "A"], ["model_a", "model_b", "model_a"], [["A", "B", "B"], ["model_a", "model_b", "B"]]),
    (["good", "bad", None], ["gut", "schlecht", "gut"], [["good", "bad", "bad"], ["good", "schlecht", "gut"]]),
]


@pytest.mark.parametrize(("one", "two", "sharing"), APART)
def test_labels_under_two_sets_of_names_are_refused(one, two, sharing):
    with pytest.raises(DataError, match="no other column does .* bring them to one set of labels"):
        metrics.cohen_kappa(one, two)
    with pytest.raises(DataError, match="no other column does"):
        metrics.krippendorff_alpha([one, two], "nominal")
    for few_labels in (sharing, [["A", "A"], ["B", "B"]], [["A", "A"], ["B", "C"]]):  # they may just never agree
        assert metrics.cohen_kappa(*few_labels) <= 0.5
    named = list(dict.fromkeys([*filter(None, one), *two]))
    assert metrics.cohen_kappa(one, two, labels=named) == 0
    assert metrics.krippendorff_alpha([one, two], "nominal", labels=named) <= 0


def test_numbers_of_any_make_are_the_same_labels():
    plain = metrics.cohen_kappa([1, 2, 3, 3], [1, 2, 3, 2])
    arrays = [np.array([1, 2, 3, 2], kind) for kind in (int, float, np.int8)]
    for other in (
        *arrays,
        [1.0, 2.0, 3.0, 2.0],
        pd.Categorical([1, 2, 3, 2]),
        pd.Series([1, 2, 3, 2], dtype="Int64"),
        [np.float32(v) for v in (1, 2, 3, 2)],
    ):
        assert metrics.cohen_kappa([1, 2, 3, 3], other) == plain
        alpha = metrics.krippendorff_alpha([[1, 2, 3, 3], list(other)])
        assert alpha == metrics.krippendorff_alpha([[1, 2, 3, 3], [1, 2, 3, 2]])


def test_missing_labels_are_of_no_kind():
    assert metrics.cohen_kappa(["a", None, "b", NAN], ["a", "b", "b", pd.NA]) == 1
    assert metrics.cohen_kappa(np.array(["a", NAN, "b"]), ["a", "b", "b"]) == 1  # numpy writes "nan"


@pytest.mark.parametrize("text", ["1", "nan", " 4 "])
def test_text_is_no_number(text):
    with pytest.raises(DataError, match=r"x\[1\] is .*pandas.to_numeric"):
        metrics.correlations([1, text, 3], [1, 2, 3])
    with pytest.raises(DataError, match="turned into numbers by pandas.to_numeric"):
        metrics.bootstrap_mean(pd.Series(["1", "2", "3"]))


def test_names_of_one_column_must_be_of_one_type():
    with pytest.raises(DataError, match=r"clusters\[0\] is 1 .a number. and clusters\[1\] is '1'"):
        metrics.bootstrap_mean([1, 0, 1], clusters=[1, "1", 2])
    rows = pd.DataFrame([("g", 1, 2, 1), ("g", "1", "2", "2")], columns=["group", "x", "y", "winner"])
    with pytest.raises(DataError, match="never equal"):
        metrics.transitivity(rows)
    with pytest.raises(DataError, match="never equal"):
        metrics.transitivity(rows.iloc[[0, 0]].assign(group=[1, "1"]))
