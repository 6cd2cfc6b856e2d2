"""The released human votes on MT-Bench's answers, and GPT-4's decisions beside them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from ..records import DataError, read_jsonl


def read_votes(folder: str | Path) -> pd.DataFrame:
    """Return the released votes on first-turn MT-Bench answers: question, pair, judge, decision ("A", "B", "tie").

    `folder` holds `mtbench_human/`. A pair is two models in alphabetical order, A the first of them; judges are
    `expert_...` and `author_...` (humans) and `gpt4_pair` (GPT-4 in both orders; where the orders differ, a tie).

    >>> import json
    >>> import tempfile
    >>> vote = {"question_id": 81, "model_a": "vicuna", "model_b": "alpaca", "winner": "model_a", "judge": "expert_1"}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Path(folder, "mtbench_human").mkdir()
    ...     for name in ("human_turn1.jsonl", "gpt4_pair_turn1.jsonl"):
    ...         written = Path(folder, "mtbench_human", name).write_text(json.dumps(vote))
    ...     read_votes(folder)["decision"].tolist()
    ['B', 'B']
    """
    found = []
    for name in ("human_turn1.jsonl", "gpt4_pair_turn1.jsonl"):
        path = Path(folder) / "mtbench_human" / name
        found += [_vote(path, number, row) for number, row in enumerate(read_jsonl(path), start=1)]
    return pd.DataFrame(found, columns=["question", "pair", "judge", "decision"])


def _vote(path: Path, number: int, row: Mapping[str, Any]) -> tuple[int, str, str, str]:
    try:
        models = sorted((row["model_a"], row["model_b"]))
        decision = "tie" if "tie" in row["winner"] else "AB"[models.index(row[row["winner"]])]
        return row["question_id"], f"{row['question_id']} {' '.join(models)}", row["judge"], decision
    except (KeyError, TypeError) as error:
        raise DataError(f"{path}, row {number}: not a vote ({error!r}); get the file again.") from error


def expert_pairs(votes: pd.DataFrame) -> pd.DataFrame:
    """Return every two expert votes on one pair of answers: question, first, second.

    >>> judges = ["expert_1", "expert_2", "gpt4_pair"]
    >>> votes = {"question": 81, "pair": "81 a b", "judge": judges, "decision": list("ABA")}
    >>> expert_pairs(pd.DataFrame(votes)).values.tolist()
    [[81, 'A', 'B']]
    """
    experts = votes[votes["judge"].str.startswith("expert")]
    rows = [
        (group["question"].iloc[0], *two)
        for _, group in experts.groupby("pair", sort=False)
        for two in _couples(group["decision"])
    ]
    return pd.DataFrame(rows, columns=["question", "first", "second"])


def _couples(decisions: pd.Series) -> Iterator[tuple[str, str]]:
    return itertools.combinations(decisions.tolist(), 2)


def gpt4_against_experts(votes: pd.DataFrame) -> pd.DataFrame:
    """Return GPT-4's decision beside each expert vote on the same pair: question, first (GPT-4), second (expert).

    >>> judges = ["expert_1", "expert_2", "gpt4_pair"]
    >>> votes = {"question": 81, "pair": "81 a b", "judge": judges, "decision": list("ABA")}
    >>> gpt4_against_experts(pd.DataFrame(votes)).values.tolist()
    [[81, 'A', 'A'], [81, 'A', 'B']]
    """
    gpt4 = votes[votes["judge"] == "gpt4_pair"].drop_duplicates("pair").set_index("pair")["decision"]
    experts = votes[votes["judge"].str.startswith("expert") & votes["pair"].isin(gpt4.index)]
    first = gpt4.loc[experts["pair"]].to_numpy()
    return pd.DataFrame({"question": experts["question"].to_numpy(), "first": first, "second": experts["decision"]})
