"""Exercises of collecting: the order of a pair, what a stopped run lacks, how valid first attempts are."""

from __future__ import annotations

import json

import pandas as pd

from .checking import Case, Function, Value

WARM_UP = Value(
    "B",
    "the response shown first was the item's B",
    {"A": "The judge says A to what it saw first. Which response of the item was that?"},
)


def _lines(*keys: str, end: str = "\n") -> str:
    return "\n".join(json.dumps({"key": key}) for key in keys) + end


BUILD = Function(
    [
        Case((["a", "b", "c"], _lines("a", "c")), ["b"], "What has its key in the text is there."),
        Case((["a", "b"], _lines("a", "b")[:-4]), ["b"], "A killed run ends in half a line: it does not count."),
        Case((["a", "b"], ""), ["a", "b"], "An empty file lacks everything."),
        Case((["b", "a"], _lines("x")), ["b", "a"], "Keep the order of what is wanted; foreign keys do not matter."),
        Case((["a", "a", "b"], _lines("b")), ["a"], "What is wanted twice is judged once."),
        Case((["a", "b"], "no line\n" + _lines("a")), ValueError, "A broken line before the last is no killed run: "
             "the file is damaged, and nobody should go on in silence."),
    ]
)  # fmt: skip


def _frame(*rows: tuple) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["judge", "attempt", "status"])


_ROWS = _frame(
    ("x", 1, "ok"), ("x", 1, "unparsed"), ("x", 2, "ok"), ("y", 1, "ok"), ("y", 1, "truncated"), ("y", 1, "ok"),
    ("y", 1, "ok"), ("z", 1, "ok"), ("z", 1, "ok"),
)  # fmt: skip


def _close(judge: str, expected: tuple) -> Case:
    why = {
        "x": "First attempts only: what was drawn again counts in no n. (share, low, high by Wilson)",
        "y": "A truncated answer holds no decision, and it stays in n.",
        "z": "At 2 of 2 Wilson's interval does not shrink to a point.",
    }[judge]

    def right(found: dict) -> bool:
        return judge in found and all(abs(a - b) < 5e-3 for a, b in zip(found[judge], expected, strict=True))

    return Case((_ROWS,), right, f"Judge {judge}: {why}")


PROJECT = Function(
    [
        _close("x", (0.5, 0.095, 0.905)),
        _close("y", (0.75, 0.301, 0.954)),
        _close("z", (1.0, 0.342, 1.0)),
        Case((_frame(("x", 2, "ok")),), {}, "A judge without a first attempt has no share."),
    ]
)
