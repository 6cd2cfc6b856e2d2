"""Splits that hold out whole instructions, and what training data shares with benchmarks.

The released training keeps back 1 per cent of the *rows*, and five or ten rows share one instruction: most of what is
held out has been seen. Here an instruction is on one side only. What is seen of a benchmark is counted in three ways,
from strict to loose: the same text, a run of words in common, and nearly the same set of short runs (MinHash).
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from ...records import DataError, DirectItem, PairItem
from .hashing import digest, place
from .schema import Row

GRAM = 13  # words in a row that two texts hardly share by chance
SHINGLE = 5  # words of the runs whose sets are compared
SIMILAR = 0.7  # share of runs in common (Jaccard) from which texts are near-duplicates
PERMUTATIONS, BANDS = 128, 32  # of MinHash: with these, a pair that shares SIMILAR of its runs is missed once in 5,000
_WORD = re.compile(r"\w+")


# --- splits ----------------------------------------------------------------------------------------------------------


def plain(text: str) -> str:
    """Return a text as it is compared: its words in lower case, nothing between them.

    >>> plain("  Say\\nHELLO, please! ")
    'say hello please'
    """
    return " ".join(_WORD.findall(text.lower()))


def split_by_instruction(rows: Sequence[Row], share: float, seed: int = 42) -> tuple[list[Row], list[Row]]:
    """Return training and held-out rows with no instruction in common, also none that differs in case or spacing.

    `share` is that of the instructions held out, one at least; a hash and the seed choose them, not the order of rows.
    Raises DataError when a side would be empty.

    >>> rows = [{"orig_instruction": f"Do {n // 5}."} for n in range(50)]
    >>> train, held = split_by_instruction(rows, 0.1)
    >>> len(train), len(held)
    (45, 5)
    """
    keys = [digest(plain(row["orig_instruction"])) for row in rows]
    order = sorted(set(keys), key=lambda key: place(seed, key))
    count = max(1, round(share * len(order)))
    if not 0 < share < 1 or count >= len(order):
        raise DataError(f"{len(order)} instructions cannot be split with a share of {share} held out.")
    held = set(order[:count])
    return [r for r, key in zip(rows, keys) if key not in held], [r for r, key in zip(rows, keys) if key in held]


def split_by_row(rows: Sequence[Row], share: float, seed: int = 42) -> tuple[list[Row], list[Row]]:
    """Return training and held-out rows drawn one by one, as the released training does: for comparison only."""
    order = random.Random(seed).sample(range(len(rows)), len(rows))
    count = max(1, round(share * len(rows)))
    return [rows[number] for number in order[count:]], [rows[number] for number in order[:count]]


def seen_share(train: Iterable[Row], held: Sequence[Row], field: str = "orig_instruction") -> float:
    """Return the share of held-out rows whose field stands in the training rows as well."""
    seen = {digest(plain(row[field])) for row in train}
    return sum(digest(plain(row[field])) in seen for row in held) / len(held)


def split_table(rows: Sequence[Row], share: float = 0.01, seed: int = 42) -> pd.DataFrame:
    """Return both splits and what each leaks: held-out rows, and the share whose texts training has seen."""
    fields = [name for name in ("orig_instruction", "orig_reference_answer", "orig_criteria") if name in rows[0]]
    fields += [name for name in ("orig_response", "orig_response_A", "orig_response_B") if name in rows[0]]
    lines = []
    for name, split in (("by row, as released", split_by_row), ("by instruction", split_by_instruction)):
        train, held = split(rows, share, seed)
        leaks = {f"{field.removeprefix('orig_')} seen": seen_share(train, held, field) for field in fields}
        lines.append({"split": name, "training rows": len(train), "held-out rows": len(held), **leaks})
    return pd.DataFrame(lines)


# --- overlap ---------------------------------------------------------------------------------------------------------


def runs(text: str, size: int) -> set[str]:
    """Return the runs of `size` words of a text; a shorter text is one run.

    >>> sorted(runs("a b c d", 3)), runs("a b", 3)
    (['a b c', 'b c d'], {'a b'})
    """
    words = plain(text).split()
    if not words:
        return set()
    return {" ".join(words[start : start + size]) for start in range(max(1, len(words) - size + 1))}


@dataclass
class Overlap:
    """Which of a benchmark's texts were seen, by number: as they are, by a run of words, and nearly."""

    texts: int
    same: set[int] = field(default_factory=set)
    gram: set[int] = field(default_factory=set)
    near: set[int] = field(default_factory=set)


class TextIndex:
    """A benchmark's texts, for asking which of them a stream of training texts holds; memory is the benchmark's.

    Texts without any word are not compared. For near-duplicates MinHash proposes, and the exact share of common runs
    decides.

    >>> index = TextIndex(["the quick brown fox jumps over the lazy dog", "something else"], near=False, gram=5)
    >>> found = index.overlap(["A quick brown fox jumps over it", "Something else!"])
    >>> found.same, found.gram
    ({1}, {0, 1})
    """

    def __init__(self, texts: Sequence[str], near: bool = True, gram: int = GRAM, similar: float = SIMILAR):
        self.size, self.gram, self.similar = len(texts), gram, similar
        self._same: dict[str, list[int]] = defaultdict(list)
        self._grams: dict[str, list[int]] = defaultdict(list)
        self._shingles = [runs(text, SHINGLE) for text in texts] if near else []
        for number, text in enumerate(texts):
            if words := plain(text):
                self._same[words].append(number)
            for run in runs(text, gram):
                self._grams[run].append(number)
        self._near = self._hashed() if near else None

    def _hashed(self) -> Any:
        from rensa import RMinHashLSH

        index = RMinHashLSH(self.similar, PERMUTATIONS, BANDS)
        for number, shingles in enumerate(self._shingles):
            if shingles:
                index.insert(number, _min_hash(shingles))
        return index

    def overlap(self, texts: Iterable[str]) -> Overlap:
        """Return which texts of the benchmark stand among these."""
        found = Overlap(self.size)
        for text in texts:
            found.same.update(self._same.get(plain(text), ()))
            for run in runs(text, self.gram):
                found.gram.update(self._grams.get(run, ()))
            if self._near is not None:
                found.near.update(self._nearly(text))
        return found

    def _nearly(self, text: str) -> Iterator[int]:
        shingles = runs(text, SHINGLE)
        for number in self._near.query(_min_hash(shingles)) if shingles else ():
            other = self._shingles[number]
            if len(shingles & other) >= self.similar * len(shingles | other):
                yield number


def _min_hash(shingles: Iterable[str]) -> Any:
    from rensa import RMinHash

    sketch = RMinHash(PERMUTATIONS, 42)
    sketch.update([shingle.encode("utf-8", "surrogatepass") for shingle in shingles])
    return sketch


def item_texts(items: Iterable[DirectItem | PairItem]) -> dict[str, list[str]]:
    """Return the distinct instructions and responses of benchmark items."""
    items = list(items)
    responses = [
        text
        for item in items
        for text in ([item.response_a, item.response_b] if isinstance(item, PairItem) else [item.response])
    ]
    return {
        "instructions": list(dict.fromkeys(item.instruction for item in items)),
        "responses": list(dict.fromkeys(responses)),
    }


def row_texts(rows: Iterable[Row]) -> dict[str, list[str]]:
    """Return the distinct instructions and responses of training rows of either collection."""
    texts: dict[str, dict[str, None]] = {"instructions": {}, "responses": {}}
    for row in rows:
        texts["instructions"][row["orig_instruction"]] = None
        for name in ("orig_response", "orig_response_A", "orig_response_B"):
            if name in row:
                texts["responses"][row[name]] = None
    return {part: list(found) for part, found in texts.items()}


def overlap_table(
    training: Mapping[str, Iterable[str]], benchmarks: Mapping[str, Iterable[DirectItem | PairItem]], near: bool = True
) -> pd.DataFrame:
    """Return, for every benchmark, how many of its distinct instructions and responses the training texts hold.

    `training` is `row_texts` of the training rows. Columns: benchmark, part, texts, same, in common (a run of GRAM
    words, or a shorter text as a whole), nearly the same (SIMILAR of the runs of SHINGLE words).
    """
    lines = []
    for name, items in benchmarks.items():
        for part, texts in item_texts(items).items():
            found = TextIndex(texts, near).overlap(training[part])
            counts = {"same": len(found.same), f"{GRAM} words in common": len(found.gram)}
            counts |= {"nearly the same": len(found.near)} if near else {}
            lines.append({"benchmark": name, "part": part, "texts": found.texts, **counts})
    return pd.DataFrame(lines)
