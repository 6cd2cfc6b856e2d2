"""A judge for tests of what comes after judging: it reads the labels, and what it says is noise around them."""

from __future__ import annotations

import hashlib

from prometheus_lib import judging
from prometheus_lib.records import DirectItem


class LabelReader(judging.Judge):
    """Says the first rater's score, or one more or less, and the label of three pairs in four; now and then nothing.

    Judges of other names make other mistakes.
    """

    engine = "labels"

    def __init__(self, name: str):
        self.name = self.fingerprint = name

    def generate(self, tasks, decoding, seed):
        """Return as many answers to each task as are wanted."""
        return [[self._answer(task, draw) for draw in range(task.draws)] for task in tasks]

    def _answer(self, task, draw):
        luck = int(hashlib.sha256(f"{self.name}{task.prompt}{draw}".encode()).hexdigest(), 16)
        said = _score(task.item, luck >> 8) if task.format == "direct" else _side(task, luck >> 9)
        text = f"So it is. [RESULT] {said}" if luck % 31 else "It depends."
        return judging.Completion(text, tokens=5, finished=True)


def _score(item, luck):
    known = isinstance(item, DirectItem) and item.scores
    score = next(iter(item.scores.values()))[0] if known else 3
    return min(5, max(1, int(score) + luck % 3 - 1))


def _side(task, luck):
    better = task.item.label if task.item.label in "AB" else "AB"[luck % 2]
    told = better if (luck >> 3) % 4 else "BA"["AB".index(better)]
    return told if task.order == "ab" else "BA"["AB".index(told)]
