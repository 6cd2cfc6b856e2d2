"""Bradley-Terry: the strengths are those of a logistic regression, intervals cover, designs hang together."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from prometheus_lib.metrics import bradley_terry, games_needed, sparse_pairs
from prometheus_lib.records import DataError

STRENGTHS = np.array([1.0, 0.4, 0.0, -0.4, -1.0])


def played(seed: int, prompts: int, strengths=STRENGTHS, ties: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    rows = []
    for prompt in range(prompts):
        for one, two in sparse_pairs(range(len(strengths))):
            wins = rng.random() < 1 / (1 + np.exp(strengths[two] - strengths[one]))
            winner = "tie" if rng.random() < ties else f"m{one if wins else two}"
            rows.append((prompt, f"m{one}", f"m{two}", winner))
    return pd.DataFrame(rows, columns=["cluster", "x", "y", "winner"])


def test_strengths_are_those_of_a_logistic_regression():
    games = played(1, 40)
    players = [f"m{n}" for n in range(5)]
    design = np.array([[(p == x) - (p == y) for p in players] for x, y in zip(games["x"], games["y"])], dtype=float)
    won = (games["winner"] == games["x"]).to_numpy()
    slow = LogisticRegression(C=1e8, fit_intercept=False, tol=1e-10, max_iter=5000).fit(design, won).coef_[0]
    found = bradley_terry(games, n_resamples=2, prior=1e-9).table.set_index("player")["strength"]
    assert np.allclose(found[players], slow - slow.mean(), atol=1e-3)


def test_two_players_have_the_odds_of_their_wins():
    games = pd.DataFrame({"x": ["a"] * 10, "y": ["b"] * 10, "winner": ["a"] * 6 + ["b"] * 2 + ["tie"] * 2})
    found = bradley_terry(games, prior=0.0).difference("a", "b")
    assert found.estimate == pytest.approx(np.log(7 / 3), abs=1e-5)
    assert np.isnan(found.low)  # one instruction: nothing can be resampled


def test_intervals_cover_the_true_strengths():
    inside = total = 0
    for seed in range(15):
        table = (
            bradley_terry(played(seed, 40), n_resamples=150).table.set_index("player").loc[[f"m{n}" for n in range(5)]]
        )
        inside += ((table["low"] <= STRENGTHS) & (table["high"] >= STRENGTHS)).sum()
        total += len(table)
    assert 0.85 <= inside / total <= 1


def test_who_wins_every_game_is_first_with_a_finite_strength():
    games = pd.DataFrame({"x": list("aab"), "y": list("bcc"), "winner": list("aab"), "cluster": list("123")})
    table = bradley_terry(games).table
    assert table["player"].tolist() == ["a", "b", "c"] and np.isfinite(table["strength"]).all()


def test_order_of_sides_and_rows_changes_nothing():
    games = played(3, 10, ties=0.3)
    turned = games.rename(columns={"x": "y", "y": "x"})[["cluster", "x", "y", "winner"]].iloc[::-1]
    one, two = (bradley_terry(each, n_resamples=2).table.set_index("player")["strength"] for each in (games, turned))
    assert np.allclose(one, two[one.index], atol=1e-5)


def test_unparsed_games_are_counted_and_not_played():
    games = played(4, 5)
    games.loc[:3, "winner"] = None
    found = bradley_terry(games, n_resamples=2)
    assert found.unparsed == 4 and found.table["n"].sum() == 2 * (len(games) - 4)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("a", "b", "a"), ("c", "d", "c")], "never compared"),
        ([("a", "b", "z")], "cannot be won by 'z'"),
        ([("a", "a", "a")], "cannot be won"),
        ([("a", "b", None)], "no game was decided"),
        ([("a", "tie", "a")], "called 'tie'"),
        ([("tie", "b", "tie")], "called 'tie'"),
    ],
)
def test_what_cannot_be_ranked_is_refused(rows, message):
    with pytest.raises(DataError, match=message):
        bradley_terry(pd.DataFrame(rows, columns=["x", "y", "winner"]))


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NA])
def test_a_game_without_its_instruction_is_refused_not_resampled_with_another(missing):
    games = pd.DataFrame(
        [("q", "a", "b", "a"), (missing, "a", "b", "b"), ("r", "a", "b", "a")], columns=["cluster", "x", "y", "winner"]
    )
    with pytest.raises(DataError, match="cluster name is missing"):
        bradley_terry(games)
    assert bradley_terry(games.dropna()).n_clusters == 2


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 12), st.integers(2, 12))
def test_a_sparse_design_leaves_nobody_out(count, opponents):
    pairs = sparse_pairs(range(count), opponents)
    met = pd.Series([each for pair in pairs for each in pair]).value_counts()
    assert len(met) == count and len(set(map(frozenset, pairs))) == len(pairs)
    assert met.min() >= min(opponents, count - 1)
    chain = pd.DataFrame([(x, y, "tie") for x, y in pairs], columns=["x", "y", "winner"])
    assert len(bradley_terry(chain, n_resamples=2).table) == count  # connected, or it were refused


def test_games_needed_has_the_power_it_promises():
    count = games_needed(0.65)
    wins = np.random.default_rng(0).binomial(count, 0.65, 20_000)
    told = np.abs(wins / count - 0.5) > 1.96 * 0.5 / np.sqrt(count)
    assert told.mean() == pytest.approx(0.8, abs=0.03)
    with pytest.raises(DataError, match="one half"):
        games_needed(0.5)
