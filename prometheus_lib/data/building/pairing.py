"""From graded responses to pairs (paper, section 3.3): which pairs there are, and which response is shown as A.

The rules, all counted in `PairCounts`:
- responses to one instruction under one criterion and one reference answer are paired, each with each;
- a response that occurs more than once is one response, and its grade is the mean of its grades;
- two responses with equal grades are no pair;
- an instruction gives at most `most` pairs (the paper's ten), chosen by a hash where there would be more.

A and B are balanced exactly, as far as whole numbers allow: over the set, within each gap between the two grades, and
for each instruction the counts differ by one at most. Nothing is drawn: places follow from hashes of the texts and a
seed, so the same responses give the same pairs in whatever order they come.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from itertools import combinations
from typing import Any

from .hashing import digest, group_key, place
from .schema import Row

MOST = 10  # pairs for one instruction: all pairs of five responses
SHARED = ("orig_instruction", "orig_reference_answer", "orig_criteria")
PAIR_COLUMNS = (
    "id", "orig_instruction", "orig_response_A", "orig_response_B", "orig_reference_answer", "orig_criteria",
    "orig_feedback", "orig_preference", "orig_score_A", "orig_score_B", "orig_feedback_A", "orig_feedback_B",
)  # fmt: skip


@dataclass(slots=True)
class Graded:
    """One response to an instruction: its text, what stands for it, its grade and the feedback written for it."""

    text: str
    key: bytes
    grade: float
    feedback: str


@dataclass(slots=True)
class Pair:
    """Two responses with different grades; `key` is the pair's place in a random order, `gap` how far grades are apart.

    Gaps are rounded, so that those of means of several grades are equal where they should be.
    """

    better: Graded
    worse: Graded
    key: bytes
    gap: float


@dataclass
class PairCounts:
    """What pairing found: numbers of rows, instructions (under one criterion), merged responses and pairs."""

    rows: int = 0
    instructions: int = 0
    responses: Counter[int] = field(default_factory=Counter)  # distinct responses of an instruction -> instructions
    repeated: int = 0  # rows whose response had occurred before
    equal: int = 0  # pairs left out because their grades are equal
    beyond: int = 0  # pairs left out because an instruction had too many
    gaps: Counter[tuple[float, str]] = field(default_factory=Counter)  # (gap, preference) -> pairs

    @property
    def pairs(self) -> int:
        """Return the number of pairs."""
        return self.gaps.total()

    @property
    def preferences(self) -> dict[str, int]:
        """Return how many pairs prefer A and how many B."""
        return {side: sum(n for (_, which), n in self.gaps.items() if which == side) for side in "AB"}

    def describe(self) -> str:
        """Return a few lines for people."""
        sizes = ", ".join(f"{size} responses: {n:,}" for size, n in sorted(self.responses.items()))
        a, b = self.preferences.values()
        lines = (
            f"{self.rows:,} rows, {self.instructions:,} instructions ({sizes})",
            f"{self.pairs:,} pairs, A better in {a:,} and B in {b:,}",
            f"not paired: {self.equal:,} pairs of equal grades, {self.beyond:,} beyond the most for an instruction",
            f"{self.repeated:,} rows repeat a response and were merged",
        )
        return "\n".join(lines)


# --- which pairs -----------------------------------------------------------------------------------------------------


def graded_response(row: Mapping[str, Any]) -> Graded:
    """Return a row's response with its grade: the exact one where graded data had another range, else its score."""
    grade = row.get("grade")
    text = row["orig_response"]
    return Graded(text, digest(text), float(row["orig_score"] if grade is None else grade), row["orig_feedback"])


def merged(responses: Sequence[Graded], counts: PairCounts) -> list[Graded]:
    """Return the distinct responses of an instruction; a repeated one has the mean of its grades.

    Its feedback is the one whose grade is nearest to the mean; between equals a hash decides.
    """
    by_text: dict[bytes, list[Graded]] = defaultdict(list)
    for response in responses:
        by_text[response.key].append(response)
    counts.rows += len(responses)
    counts.instructions += 1
    counts.responses[len(by_text)] += 1
    counts.repeated += len(responses) - len(by_text)
    return [_merged(same) for same in by_text.values()]


def _merged(same: Sequence[Graded]) -> Graded:
    if len(same) == 1:
        return same[0]
    mean = sum(sorted(response.grade for response in same)) / len(same)
    nearest = min(same, key=lambda response: (abs(response.grade - mean), digest(response.feedback)))
    return replace(nearest, grade=mean)


def pairs_of(responses: Sequence[Graded], seed: int, most: int | None, counts: PairCounts) -> list[Pair]:
    """Return an instruction's pairs in the order of their hashes.

    >>> five = [Graded(f"text {n}", digest(f"text {n}"), n, "") for n in range(1, 6)]
    >>> len(pairs_of(five, seed=42, most=10, counts=PairCounts()))
    10
    """
    pairs = []
    for one, two in combinations(sorted(responses, key=lambda response: response.key), 2):
        gap = round(one.grade - two.grade, 6)
        if not gap:
            counts.equal += 1
        else:
            better, worse = (one, two) if gap > 0 else (two, one)
            pairs.append(Pair(better, worse, place(seed, one.key, two.key), abs(gap)))
    pairs.sort(key=lambda pair: pair.key)
    left_out = 0 if most is None else max(0, len(pairs) - most)
    counts.beyond += left_out
    return pairs[: len(pairs) - left_out]


# --- which response is A ---------------------------------------------------------------------------------------------

Sign = int  # +1: the better response is shown as A; -1: as B
OddGaps = tuple[float, ...]  # the gaps of which an instruction has an odd number of pairs


def odd_gaps(pairs: Iterable[Pair]) -> OddGaps:
    """Return the gaps with an odd number of pairs: of these, one pair each is not balanced inside its instruction."""
    numbers = Counter(pair.gap for pair in pairs)
    return tuple(sorted(gap for gap, number in numbers.items() if number % 2))


def odd_signs(odd: Mapping[bytes, OddGaps], seed: int) -> dict[bytes, dict[float, Sign]]:
    """Return the signs of the odd pairs of every instruction, so that instructions *and* gaps are balanced.

    Two instructions with the same odd gaps take opposite signs and cancel each other; a hash says who meets whom. What
    is left over, one instruction at most for each set of gaps, is balanced by `balanced_signs`.

    >>> found = odd_signs({b"x": (2.0, 4.0), b"y": (2.0, 4.0)}, seed=1)
    >>> sorted(signs[2.0] for signs in found.values()), [sum(signs.values()) for signs in found.values()]
    ([-1, 1], [0, 0])
    """
    alike: dict[OddGaps, list[bytes]] = defaultdict(list)
    for key, gaps in odd.items():
        alike[gaps].append(key)
    signs: dict[bytes, dict[float, Sign]] = {}
    alone: list[tuple[bytes, float]] = []
    for gaps, keys in sorted(alike.items()):
        keys.sort(key=lambda key: place(seed, key))
        if len(keys) % 2:
            last = keys.pop()
            signs[last] = {}
            alone += [(last, gap) for gap in gaps]
        both = [{gap: (-1) ** (turn + index) for index, gap in enumerate(gaps)} for turn in (0, 1)]
        signs.update((key, both[number % 2]) for number, key in enumerate(keys))
    for (key, gap), sign in zip(alone, balanced_signs(alone), strict=True):
        signs[key][gap] = sign
    return signs


def balanced_signs(edges: Sequence[tuple[Any, Any]]) -> list[Sign]:
    """Return a sign for each edge between two kinds of nodes, so that the signs at each node sum to 0, or to +-1.

    Nodes with an odd number of edges get one more, to a node made for that. Then every walk along unused edges ends
    where it began, after an even number of steps, because steps change sides; signs that alternate along it cancel at
    every node it passes.

    >>> balanced_signs([("x", 1), ("x", 2), ("y", 1), ("y", 2)])
    [-1, 1, 1, -1]
    """
    ends = [((0, left), (1, right)) for left, right in edges]
    ends += _even(ends)
    at: dict[Any, list[int]] = defaultdict(list)
    for number, edge in enumerate(ends):
        for node in edge:
            at[node].append(number)
    signs: dict[int, Sign] = {}
    for start in list(at):
        node, sign = start, 1
        while at[node]:
            number = at[node].pop()
            if number not in signs:
                signs[number], sign = sign, -sign
                left, right = ends[number]
                node = right if node == left else left
    return [signs[number] for number in range(len(edges))]


def _even(ends: Sequence[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """Return the edges that are missing for an even number at every node."""
    degrees = Counter(node for edge in ends for node in edge)
    spare = {0: (0, None, "spare"), 1: (1, None, "spare")}
    more = [(node, spare[1]) for node, n in degrees.items() if node[0] == 0 and n % 2]
    more_right = [(spare[0], node) for node, n in degrees.items() if node[0] == 1 and n % 2]
    return [*more, *more_right, *([(spare[0], spare[1])] if len(more) % 2 else [])]


def oriented(pairs: Sequence[Pair], signs: Mapping[float, Sign]) -> Iterator[tuple[Pair, str]]:
    """Yield (pair, preference) for an instruction's pairs: half of each gap prefer A, the odd one as `signs` say."""
    by_gap: dict[float, list[Pair]] = defaultdict(list)
    for pair in pairs:
        by_gap[pair.gap].append(pair)
    for gap, same in by_gap.items():
        for number, pair in enumerate(same):
            last = number == len(same) - 1 and len(same) % 2
            sign = signs[gap] if last else (-1) ** number
            yield pair, "A" if sign > 0 else "B"


# --- rows ------------------------------------------------------------------------------------------------------------


@dataclass
class Group:
    """The responses to one instruction under one criterion, and what they share: `texts` as in SHARED."""

    texts: tuple[str, ...]
    responses: list[Graded] = field(default_factory=list)


def shared_texts(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what the responses to an instruction share, in the order of SHARED."""
    return tuple(row.get(name) or "" for name in SHARED)


def pair_id(row: Mapping[str, Any]) -> str:
    """Return a pair's id: its own, or for a published row, which has none, the one that this project would give it."""
    if row.get("id"):
        return row["id"]
    return _pair_id(group_key(row), digest(row["orig_response_A"]), digest(row["orig_response_B"]))


def _pair_id(key: bytes, a: bytes, b: bytes) -> str:
    return blake2b(key + min(a, b) + max(a, b), digest_size=8).hexdigest()


def pair_rows(
    key: bytes, texts: Sequence[str], pairs: Sequence[Pair], signs: Mapping[float, Sign], counts: PairCounts
) -> Iterator[Row]:
    """Yield an instruction's pairs as Preference Collection rows whose `orig_feedback` is not written yet.

    Scores are texts, as published ("3"; "3.66667" for the mean of several). The `id` stands for instruction, criterion,
    reference answer (the key) and the two responses in either order.
    """
    for pair, preference in oriented(pairs, signs):
        counts.gaps[pair.gap, preference] += 1
        a, b = (pair.better, pair.worse) if preference == "A" else (pair.worse, pair.better)
        name = _pair_id(key, a.key, b.key)
        values = (
            name, texts[0], a.text, b.text, *texts[1:], "", preference, f"{a.grade:.6g}", f"{b.grade:.6g}",
            a.feedback, b.feedback,
        )  # fmt: skip
        yield dict(zip(PAIR_COLUMNS, values, strict=True))


def pair_up(rows: Iterable[Row], seed: int = 42, most: int | None = MOST) -> tuple[list[Row], PairCounts]:
    """Return the pairs of graded rows as Preference Collection rows, in the order of the instructions, and the counts.

    `rows` are Feedback Collection rows, or those of `graded.graded_rows`. For more rows than memory holds see
    `files.build_pairs`, which gives the same pairs.

    >>> row = {"orig_instruction": "Say hello.", "orig_criteria": "Is it polite?", "orig_feedback": ""}
    >>> graded = [{**row, "orig_response": "hello" + "!" * n, "orig_score": str(n)} for n in range(1, 6)]
    >>> pairs, counts = pair_up(graded)
    >>> counts.preferences, sorted(counts.responses.items())
    ({'A': 5, 'B': 5}, [(5, 1)])
    """
    counts = PairCounts()
    groups: dict[bytes, Group] = {}
    for row in rows:
        group = groups.setdefault(group_key(row), Group(shared_texts(row)))
        group.responses.append(graded_response(row))
    pairs = {key: pairs_of(merged(group.responses, counts), seed, most, counts) for key, group in groups.items()}
    signs = odd_signs({key: odd_gaps(some) for key, some in pairs.items()}, seed)
    return [
        r for key, some in pairs.items() for r in pair_rows(key, groups[key].texts, some, signs[key], counts)
    ], counts
