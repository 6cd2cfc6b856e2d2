"""Colours, lines and markers of all figures: Okabe and Ito's, which stay apart for colour-blind readers.

One colour per format: what is about direct assessment is green in every figure, pairwise ranking blue, joint training
orange, merging the formats red. A judge takes the colour of what it was trained on, and the marker of its family.
"""

from __future__ import annotations

import re

BLUE, ORANGE, GREEN, PURPLE, SKY, RED, BLACK, GREY = (
    "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000", "#777777",
)  # fmt: skip
CYCLE = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY, BLACK, GREY)  # for what is no format
LINES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")

FORMAT_COLOURS = {"direct": GREEN, "pairwise": BLUE, "joint": ORANGE, "merged": RED, "base": GREY, "other": BLACK}
FAMILY_MARKERS = {
    "base": "X", "expert": "o", "joint training": "s", "merge of two formats": "D", "merge of one format": "v",
    "other judge": "P",
}  # fmt: skip
_EXPERTS = {"direct": "direct", "pairwise": "pairwise", "joint": "joint"}
_MERGE = re.compile(r"(linear|slerp|task-arithmetic|ties|dare)(-|$)")


def judge_format(judge: str) -> str:
    """Return what a judge of the experiments was trained on, a key of `FORMAT_COLOURS`; "other" for any other judge.

    >>> [judge_format(name) for name in ("direct-seed2", "pairwise+pairwise", "joint-half", "dare-linear", "gpt-4")]
    ['direct', 'pairwise', 'joint', 'merged', 'other']
    """
    if _MERGE.match(judge):
        return "merged"
    parts = {re.split(r"[-+]", part)[0] for part in judge.split("+")}
    if len(parts) > 1 and parts <= _EXPERTS.keys():
        return "merged"
    return _EXPERTS.get(judge.split("+")[0].split("-")[0], "base" if judge == "base" else "other")


def judge_family(judge: str) -> str:
    """Return how a judge was made, a key of `FAMILY_MARKERS`.

    >>> [judge_family(name) for name in ("base", "direct", "joint", "linear-0.3", "direct+direct", "somebody")]
    ['base', 'expert', 'joint training', 'merge of two formats', 'merge of one format', 'other judge']
    """
    trained = judge_format(judge)
    if trained == "merged":
        return "merge of two formats"
    if "+" in judge and trained != "other":
        return "merge of one format"
    return {"base": "base", "joint": "joint training", "other": "other judge"}.get(trained, "expert")


def judge_look(judge: str) -> dict[str, str]:
    """Return a judge's colour and marker for matplotlib.

    >>> judge_look("linear")
    {'color': '#D55E00', 'marker': 'D'}
    """
    return {"color": FORMAT_COLOURS[judge_format(judge)], "marker": FAMILY_MARKERS[judge_family(judge)]}
