"""Ranking from pairs: Bradley-Terry strengths with ties, intervals by instruction, and designs that ask less than all.

The model says that x beats y with odds s_x / s_y (Bradley and Terry, 1952). `evalica` fits it by Newman's iteration; a
tie is half a win for each side.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import evalica
import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ..records import DataError
from .bootstrap import Interval, cluster_codes, interval_of_draws
from .columns import Floats

PRIOR = 0.1  # weight of the tie that every pair compared is given
_WINNERS = {1.0: evalica.Winner.X, -1.0: evalica.Winner.Y, 0.0: evalica.Winner.Draw}


@dataclass(frozen=True)
class Ranking:
    """Who wins: `table` has one row per player, best first; `draws` (resamples, players) are the log strengths drawn.

    Columns: rank; strength (natural log of the odds against the average player) with low and high; win_rate (against
    the average player, from 0 to 1) with its low and high; best_rank and worst_rank (95 % of the resamples); n (games).

    >>> games = pd.DataFrame([("a", "b", "a"), ("b", "c", "b"), ("a", "c", "a")], columns=["x", "y", "winner"])
    >>> bradley_terry(games).table["player"].tolist()
    ['a', 'b', 'c']
    """

    table: pd.DataFrame
    draws: Floats
    n_clusters: int
    unparsed: int

    def difference(self, one: Hashable, two: Hashable) -> Interval:
        """Return the difference in strength of two players with its interval; log odds that the first one wins."""
        place = {player: number for number, player in enumerate(self.table["player"])}
        if unknown := [each for each in (one, two) if each not in place]:
            raise DataError(f"no player {unknown[0]!r}; there are {', '.join(map(str, place))}.")
        strengths = self.table["strength"].to_numpy()
        gap = strengths[place[one]] - strengths[place[two]]
        draws = self.draws[:, place[one]] - self.draws[:, place[two]]
        return interval_of_draws(gap, draws, int(self.table["n"].sum() // 2), self.n_clusters)


def bradley_terry(
    games: pd.DataFrame, n_resamples: int = 500, seed: int = 0, prior: float = PRIOR, level: float = 0.95
) -> Ranking:
    """Return the ranking of all players, with intervals that resample whole instructions.

    games: columns x, y, winner (the row's x, the row's y, "tie", or missing where it could not be read: counted, not
    used) and, where intervals are wanted, cluster (the instruction). With fewer than two clusters they are NaN.
    `prior`: every pair that was compared gets a tie of this weight, without which a player who won every game would
    have no finite strength. DataError where a group of players was never compared with the rest: nothing then says who
    is better; where a row cannot be read, a cluster is missing, or a player is called "tie".

    >>> rows = [("q1", "a", "b", "a"), ("q1", "b", "c", "b"), ("q2", "a", "b", "a"), ("q2", "b", "c", "tie")]
    >>> found = bradley_terry(pd.DataFrame(rows, columns=["cluster", "x", "y", "winner"]))
    >>> found.table["player"].tolist(), found.n_clusters
    (['a', 'b', 'c'], 2)
    """
    played = _checked(games)
    players = pd.Index(pd.unique(pd.concat([played["x"], played["y"]])), dtype=object)
    _check_connected(played, players)
    codes, n_clusters = cluster_codes(played["cluster"], np.ones(len(played), dtype=bool))
    weights = [np.ones(len(played)), *_weights(codes, n_clusters, n_resamples, seed)]
    kinds, kind = _kinds(played)
    counts = (np.bincount(kind, weights=row, minlength=len(kinds)) for row in weights)
    fits = np.array([_fit(kinds, players, row, prior) for row in counts])
    order = np.argsort(-fits[0], kind="stable")
    table = _table(players[order], fits[0][order], fits[1:][:, order], played, level)
    return Ranking(table, fits[1:][:, order], n_clusters, int(pd.isna(games["winner"]).sum()))


def _checked(games: pd.DataFrame) -> pd.DataFrame:
    """The games that were decided, with the sign of each: 1 x wins, -1 y wins, 0 a tie."""
    if missing := [name for name in ("x", "y", "winner") if name not in games]:
        raise DataError(f"games need the columns x, y and winner; {', '.join(missing)} is missing.")
    played = games[games["winner"].notna()].reset_index(drop=True)
    if "cluster" not in played:
        played = played.assign(cluster=0)
    signs = np.select([played["winner"] == played["x"], played["winner"] == played["y"]], [1.0, -1.0], np.nan)
    signs = np.where(played["winner"] == "tie", 0.0, signs)
    wrong = np.isnan(signs) | (played["x"] == played["y"]) | played["x"].isna() | played["y"].isna()
    if wrong.any():
        row = played[wrong].iloc[0]
        raise DataError(
            f"the game of {row['x']!r} and {row['y']!r} cannot be won by {row['winner']!r}; name one of both."
        )
    if "tie" in set(played["x"]) | set(played["y"]):
        raise DataError("a player is called 'tie', which no winner could be told from a tie; rename it.")
    if played.empty:
        raise DataError("no game was decided, so there is nothing to rank.")
    return played.assign(sign=signs)


def _check_connected(played: pd.DataFrame, players: pd.Index) -> None:
    x, y = players.get_indexer(played["x"]), players.get_indexer(played["y"])
    links = coo_array((np.ones(len(x)), (x, y)), shape=(len(players), len(players)))
    count, group = connected_components(links, directed=False)
    if count > 1:
        few = [", ".join(map(str, players[group == each][:3])) for each in range(min(count, 3))]
        raise DataError(
            f"{count} groups of players were never compared with each other ({' | '.join(few)}); compare some of one "
            "with some of the other, or rank each group by itself."
        )


def _weights(codes: np.ndarray, count: int, n_resamples: int, seed: int) -> Floats:
    """How often each game counts in each resample, (resamples, games): whole clusters are drawn."""
    if count < 2:
        return np.full((0, len(codes)), math.nan)
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=n_resamples)
    return drawn[:, codes].astype(float)


def _kinds(played: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
    """The outcomes that games have had, one row each (x, y, sign) with those of the prior's ties, and each game's."""
    pairs = {frozenset(pair): pair for pair in zip(played["x"], played["y"])}
    rows = [*zip(played["x"], played["y"], played["sign"]), *((*pair, 0.0) for pair in pairs.values())]
    places = {row: number for number, row in enumerate(dict.fromkeys(rows))}
    kinds = pd.DataFrame(list(places), columns=["x", "y", "sign"])
    once = {(*pair, 0.0) for pair in pairs.values()}
    return kinds.assign(once=[row in once for row in places]), np.array([places[row] for row in rows[: len(played)]])


def _fit(kinds: pd.DataFrame, players: pd.Index, weights: Floats, prior: float) -> Floats:
    """The log strengths of all players, centred at 0; the prior's tie is added to each pair once."""
    found = evalica.bradley_terry(
        list(kinds["x"]), list(kinds["y"]), [_WINNERS[sign] for sign in kinds["sign"]], index=players,
        weights=list(weights + prior * kinds["once"].to_numpy()), tolerance=1e-8, limit=20_000,
    )  # fmt: skip
    logs = np.log(found.scores.reindex(players).to_numpy(dtype=float))
    return logs - logs.mean()


def _table(players: pd.Index, fit: Floats, draws: Floats, played: pd.DataFrame, level: float) -> pd.DataFrame:
    ends = [(1 - level) / 2, (1 + level) / 2]
    nothing = np.full((2, len(players)), math.nan)
    low, high = np.quantile(draws, ends, axis=0) if len(draws) else nothing
    ranks = 1 + (draws[:, None, :] > draws[:, :, None]).sum(axis=2)
    best, worst = np.quantile(ranks, ends, axis=0, method="nearest") if len(draws) else nothing
    counts = pd.concat([played["x"], played["y"]]).value_counts()
    return pd.DataFrame(
        {
            "rank": 1 + (fit[None, :] > fit[:, None] + 1e-9).sum(axis=1), "player": players, "strength": fit,
            "low": low, "high": high, "win_rate": _share(fit), "win_rate_low": _share(low),
            "win_rate_high": _share(high), "best_rank": best, "worst_rank": worst, "n": counts[players].to_numpy(),
        }
    )  # fmt: skip


def _share(strength: Floats) -> Floats:
    return 1 / (1 + np.exp(-strength))


# --- how much to ask -------------------------------------------------------------------------------------------------


def sparse_pairs(players: Sequence[Hashable], opponents: int | None = None) -> list[tuple]:
    """Return who meets whom: everybody (None), or a connected design in which each player meets about `opponents`.

    The players stand in a circle, in the order given (shuffle it), and each meets its next neighbours; so nobody is
    left out and no group is cut off. DataError for fewer than two opponents of more than two players.

    >>> len(sparse_pairs("abcdef")), sparse_pairs("abcd", opponents=2)
    (15, [('a', 'b'), ('b', 'c'), ('c', 'd'), ('d', 'a')])
    """
    count = len(players)
    if opponents is None or opponents >= count - 1:
        return list(itertools.combinations(players, 2))
    if opponents < 2:
        raise DataError(f"opponents={opponents}: with fewer than 2 the players fall into groups that nothing compares.")
    steps = range(1, math.ceil(opponents / 2) + 1)
    places = {frozenset((p, (p + step) % count)): (p, (p + step) % count) for step in steps for p in range(count)}
    return [(players[one], players[two]) for one, two in places.values()]


def games_needed(win_rate: float, power: float = 0.8, level: float = 0.95) -> int:
    """Return how many independent games tell a win rate from one half, with the power given; ties make it fewer.

    >>> games_needed(0.6), games_needed(0.55)
    (194, 783)
    """
    from scipy.stats import norm

    if not 0 <= win_rate <= 1 or win_rate == 0.5:
        raise DataError(f"win_rate={win_rate}: give a share from 0 to 1 other than one half, which nothing can tell.")
    wanted = norm.ppf((1 + level) / 2) * 0.5 + norm.ppf(power) * math.sqrt(win_rate * (1 - win_rate))
    return max(1, math.ceil((wanted / (win_rate - 0.5)) ** 2))
