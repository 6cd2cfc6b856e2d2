"""Solutions of the exercises of notebook 01; look after you have tried."""

from __future__ import annotations

import random

import pandas as pd
from scipy.stats import chisquare

warm_up = 1 + 3  # the colour is wrong; origin, scent and user are right


def build(rows: list[dict], share: float) -> tuple[list[dict], list[dict]]:
    """Split rows into a training part and a held-out part by whole instructions."""
    instructions = sorted({row["orig_instruction"] for row in rows})
    random.Random(0).shuffle(instructions)
    held = set(instructions[: max(1, round(share * len(instructions)))])
    return [r for r in rows if r["orig_instruction"] not in held], [r for r in rows if r["orig_instruction"] in held]


def project(rows: list[dict]) -> set[str]:
    """Return what is wrong with a collection: unbalanced scores, length that tells the score, rows that repeat."""
    if not rows:
        return set()
    table = pd.DataFrame(rows)
    scores, length = table["orig_score"].astype(int), table["orig_response"].str.len()
    found = {
        "scores": chisquare(scores.value_counts().reindex(range(1, 6), fill_value=0)).pvalue < 0.001,
        "length": abs(scores.corr(length)) > 0.3,
        "twice": table[["orig_instruction", "orig_criteria", "orig_response"]].duplicated().any(),
    }
    return {fault for fault, there in found.items() if there}
