"""Ranking more than two responses through pairs in both orders: `rank`."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ...data.files import Source, read_table
from ...data.own import DIRECT_COLUMNS, RUBRIC_COLUMNS
from ...data.rubrics.reading import PLAIN
from ...data.table import canonical
from ...data.values import is_blank, text_of
from ...metrics import (
    FEWEST_CLUSTERS,
    Ranking,
    bootstrap_mean,
    bradley_terry,
    games_needed,
    length_controlled_win_rate,
    more_needed,
    sparse_pairs,
    transitivity,
)
from ...records import DataError, DirectItem, Rubric
from ..engines.api_usage import Prices
from .asking import Say
from .comparing import compare
from .named import MINIATURE
from .outcome import sides, summary_row
from .reading import items_of
from .result import Result

PLAYERS = ("model", "system", "candidate", "player", "name")  # columns that say whose answer it is
ANY = Rubric("any", PLAIN)  # while rows are checked


def rank(
    answers_by_prompt: Source | Mapping[str, Any],
    rubric: Any = None,
    judge: Any = MINIATURE,
    *,
    opponents: int | None = None,
    columns: Mapping[str, str] | None = None,
    out: str | Path | None = None,
    prices: Prices | None = None,
    say: Say = print,
) -> Result:
    """Rank several responses to the same instructions by a rubric: pairs in both orders, then Bradley-Terry.

    answers_by_prompt: a dictionary from each instruction to its answers, by name ({"Greet.": {"model x": "Hi.", ...}})
    or as a list; or a file, list of dictionaries or data frame as in `score`, with one answer per row and a column
    `model` (system, candidate, player, name). With names, the ranking is of names over all instructions, with intervals
    that resample instructions, or groups of them where a column `cluster` names these; without, of the answers to each
    instruction, which can have none. Only answers to one instruction ever meet.
    `opponents`: how many others each answer meets (default all; from 2 on). With n answers, all pairs are
    n (n - 1) / 2, and k opponents only about n k / 2; each is judged twice.

    In the table: one row per pair, with `x` and `y` (who is A and who is B) and what `compare` finds. In `ranking` and
    the summary: each player's win rate against the average one, and rank; the share that it wins, and would win were
    all answers equally long (`metrics.length_controlled_win_rate`); decisions that go round in circles; the
    share of the response shown first; and how many more pairs would tell neighbours apart.

    >>> answers = {"Greet.": {"short": "Hi.", "long": "Good morning to you!", "middle": "Good morning!"}}
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     result = rank(answers, "Is it kind?", judge="longer", out=folder)
    longer: 6 judgments, of which 0 are stored already.
    >>> result.ranking.table["player"].tolist()
    ['long', 'middle', 'short']
    """
    items, players = _answers(answers_by_prompt, columns)
    rows = _pairs(items, players, opponents)
    if not rows:
        raise DataError("no instruction has two answers, so there is nothing to rank.")
    compared = compare(rows, rubric, judge, out=out, prices=prices, say=say)
    games = _games(compared.table)
    table = compared.table.drop(columns=["instruction", "id", "cluster"]).rename(columns={"item_id": "pair"})
    named = len(set(players)) < len(players) or len(set(games["prompt"])) == 1
    rankings = [bradley_terry(games)] if named else [bradley_terry(part) for _, part in games.groupby("prompt")]
    ranking = rankings[0] if len(rankings) == 1 else _beside(rankings)
    summary = pd.DataFrame([*_players(ranking), *_equal(ranking, table, games), *_circles(games), *_doubts(ranking)])
    checks = compared.summary[compared.summary["measure"].isin(["same in both orders", "shown first wins"])]
    summary = pd.concat([summary, checks], ignore_index=True)
    return replace(compared, kind="rank", table=table, summary=summary, ranking=ranking, labels={})


# --- answers to pairs ------------------------------------------------------------------------------------------------


def _answers(given: Any, columns: Mapping[str, str] | None) -> tuple[list[DirectItem], list[str]]:
    """All answers as items, and whose each is; DataError for two of one name to one instruction."""
    rows = _rows(given) if isinstance(given, Mapping) and not _is_columns(given) else given
    table = read_table(rows, set(DIRECT_COLUMNS))
    names = {raw: (columns or {}).get(raw) or canonical(raw) for raw in table.columns}
    who = next((raw for raw, name in names.items() if name in PLAYERS), None)
    if rubrics := [raw for raw, name in names.items() if name in RUBRIC_COLUMNS]:
        raise DataError(f"{table.name}: a ranking has one rubric for all; leave out {', '.join(rubrics)} and give it.")
    renamed = {raw: name for raw, name in (columns or {}).items() if raw != who}
    items = items_of(table, ANY, renamed)
    counts: Counter[tuple[str, str]] = Counter()
    players, prompts = [], list(dict.fromkeys(map(_prompt, items)))
    for place, row, item in zip(table.places, table.rows, items):
        counts[_prompt(item)] += 1
        if who is not None and is_blank(row.get(who)):
            raise DataError(f"{place}: {who} is blank; say whose answer it is.")
        prompt = f"prompt {1 + prompts.index(_prompt(item))}, " if len(prompts) > 1 else ""
        own = f"{prompt}answer {counts[_prompt(item)]}"
        players.append(own if who is None else text_of(row[who], place, who).strip())
    _check_once(table.places, items, players)
    return items, players


def _prompt(item: DirectItem) -> tuple[str, str]:
    """What answers must share to be compared: a cluster may hold several instructions."""
    return item.cluster, item.instruction


def _is_columns(given: Mapping) -> bool:
    return {"instruction", "response"} <= {canonical(str(name)) for name in given}


def _rows(given: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for instruction, answers in given.items():
        if isinstance(answers, Mapping):
            rows += [{"instruction": instruction, "model": name, "response": text} for name, text in answers.items()]
        elif isinstance(answers, Iterable) and not isinstance(answers, str):
            rows += [{"instruction": instruction, "response": text} for text in answers]
        else:
            raise DataError(f"instruction {instruction!r}: its answers are {answers!r}; give a list, or a dictionary.")
    return rows


def _check_once(places: Sequence[str], items: Sequence[DirectItem], players: Sequence[str]) -> None:
    first: dict[tuple, str] = {}
    for place, item, player in zip(places, items, players):
        if player == "tie":
            raise DataError(f"{place}: nobody can be called 'tie'; rename it.")
        if other := first.get((_prompt(item), player)):
            raise DataError(f"{place}: {player!r} has answered this instruction already ({other}); keep one answer.")
        first[_prompt(item), player] = place


def _pairs(items: Sequence[DirectItem], players: Sequence[str], opponents: int | None) -> list[dict[str, Any]]:
    """The pairs of each instruction, in an order that a hash of its text decides; it never looks at an answer."""
    rows = []
    for prompt in dict.fromkeys(map(_prompt, items)):
        here = [(player, item) for player, item in zip(players, items) if _prompt(item) == prompt]
        shuffled = sorted(here, key=lambda each: _hash(each[1].cluster, each[0]))
        for (x, one), (y, two) in sparse_pairs(shuffled, opponents) if len(here) > 1 else ():
            rows.append({
                "id": _hash(one.id, two.id, x, y)[:16], "instruction": one.instruction, "prompt": one.instruction,
                "cluster": one.cluster, "x": x, "y": y, "response_a": one.response, "response_b": two.response,
            })  # fmt: skip
    return rows


def _hash(*parts: Hashable) -> str:
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()


# --- pairs to a ranking ----------------------------------------------------------------------------------------------


def _games(table: pd.DataFrame) -> pd.DataFrame:
    """Who met whom and who won: `prompt` numbers the instructions, `cluster` names what is resampled."""
    winner = [
        {"A": x, "B": y, "tie": "tie"}.get(decision) if decision else None
        for x, y, decision in zip(table["x"], table["y"], table["decision"])
    ]
    prompt = pd.factorize(pd.MultiIndex.from_frame(table[["cluster", "prompt"]]))[0]
    games = table[["x", "y", "cluster"]].assign(winner=winner, prompt=prompt)
    games["winner"] = games["winner"].astype(object).where(games["winner"].notna(), None)
    return games


def _beside(rankings: Sequence[Ranking]) -> Ranking:
    """Rankings of different instructions in one table; a player has its rank among those of its own."""
    tables = pd.concat([each.table for each in rankings], ignore_index=True)
    return Ranking(tables, np.zeros((0, len(tables))), 1, sum(each.unparsed for each in rankings))


def _players(ranking: Ranking) -> list[dict]:
    return [
        summary_row(f"{row.rank}. {row.player}", "wins against the average", row.win_rate, row.n)
        | ({"low": row.win_rate_low, "high": row.win_rate_high} if ranking.n_clusters >= FEWEST_CLUSTERS else {})
        for row in ranking.table.itertuples()
    ]


def _equal(ranking: Ranking, table: pd.DataFrame, games: pd.DataFrame) -> list[dict]:
    """What each player wins of its pairs, and would win were both answers equally long."""
    longer = table["response_b"].str.len() - table["response_a"].str.len()
    b_wins, rows = sides(list(table["decision"].astype(object).where(table["decision"].notna(), None))), []
    for player in ranking.table["player"]:
        is_b, plays = (games["y"] == player).to_numpy(), ((games["x"] == player) | (games["y"] == player)).to_numpy()
        wins, by = np.where(is_b, b_wins, 1 - b_wins)[plays], np.where(is_b, longer, -longer)[plays]
        clusters = games.loc[plays, "cluster"].tolist()
        for measure, found in (
            ("share won", bootstrap_mean(wins, clusters=clusters)),
            ("share won were all equally long", length_controlled_win_rate(wins, by, clusters)),
        ):
            rows.append(summary_row(player, measure, found, unparsed=int(np.isnan(wins).sum())))
    return rows


def _circles(games: pd.DataFrame) -> list[dict]:
    found = transitivity(games.rename(columns={"prompt": "group"}))
    share = summary_row("threes without a tie", "decided in a circle (chance: 0.25)", found.cycle_rate, found.decisive)
    return [share | {"unparsed": found.unparsed}]


def _doubts(ranking: Ranking) -> list[dict]:
    """For each two neighbours: how sure their order is, and how many more pairs would tell."""
    names, rows = ranking.table["player"].tolist(), []
    if ranking.n_clusters < FEWEST_CLUSTERS:
        return rows
    for one, two in zip(names, names[1:]):
        gap = ranking.difference(one, two)
        rate = 1 / (1 + np.exp(-gap.estimate))
        more = more_needed(gap.estimate, gap.low, gap.high, gap.n) if not gap.low > 0 else 0
        wanted = games_needed(rate) if abs(rate - 0.5) > 1e-3 else None
        measure = "wins against the next" + (f" (about {more:,} more pairs would tell)" if more else "")
        measure += f" ({wanted:,} games between the two would)" if not gap.low > 0 and wanted and not more else ""
        ends = (1 / (1 + np.exp(-end)) for end in (gap.low, gap.high))
        rows.append(summary_row(f"{one} > {two}", measure, rate, gap.n) | dict(zip(("low", "high"), ends)))
    return rows
