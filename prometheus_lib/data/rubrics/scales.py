"""Any ordered scale beside the 1 to 5 that judges are trained on.

The rule: a judge is asked for 1 to 5 in any case. Its scores are put on a straight line from the worst level of the
scale (1) to the best (5); a level is the nearest one on that line, in doubt the lower.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ...records import SCORES, DataError
from ..values import is_blank, text_of

MOST_LEVELS = 21  # of a range of whole numbers that is read level by level (0-20, -10 to 10)
_NUMBER = r"[-−+]?\d+(?:\.\d+)?"
_RANGE = re.compile(rf"({_NUMBER})\s*(?:-|–|—|\.\.+|…|to|bis)\s*({_NUMBER})", re.IGNORECASE)
_LETTERS = re.compile(r"([A-Za-z])\s*(?:-|–|to|\.\.+)\s*([A-Za-z])")
_OUT_OF = re.compile(rf"({_NUMBER})\s*(?:/|out of)\s*({_NUMBER})")
# Where one of these comes last, the levels are named from the best to the worst.
_WORST = {
    "fail", "failed", "no", "false", "bad", "poor", "low", "never", "wrong", "incorrect", "unsafe", "harmful",
    "reject", "rejected", "unacceptable", "worst", "none", "disagree", "weak", "useless",
}  # fmt: skip


@dataclass(frozen=True)
class OrderedScale:
    """An ordered scale, from the worst level to the best: names of levels, and the value of each.

    A range without single levels (0-100, 0.0-1.0) has its two ends only, and `named` is False.

    >>> scale = read_scale("1-10")
    >>> [scale.value_of(score) for score in (1, 3, 5)], scale.level_of(5.5)
    ([1.0, 5.5, 10.0], '5')
    """

    name: str
    levels: tuple[str, ...]
    values: tuple[float, ...]
    named: bool = True

    @property
    def plain(self) -> bool:
        """Tell whether this is the scale of 1 to 5 itself."""
        return self.values == SCORES

    def value_of(self, score: float) -> float:
        """Return where a judge's score (1 to 5, or a mean of such) lies on this scale."""
        place = (score - SCORES[0]) / (SCORES[-1] - SCORES[0]) * (len(self.values) - 1)
        low = min(int(place), len(self.values) - 2)
        return self.values[low] + (place - low) * (self.values[low + 1] - self.values[low])

    def level_of(self, value: float) -> str | None:
        """Return the name of the nearest level, in doubt the lower; None for nothing and where levels have no names."""
        if not self.named or not math.isfinite(value):
            return None
        return min(zip(self.values, self.levels), key=lambda each: round(abs(each[0] - value), 9))[1]

    def read(self, value: Any, where: str = "a label") -> float | None:
        """Return the value of what a person wrote: a level's name, or a number within the scale; None for nothing.

        >>> read_scale("pass/fail").read("Pass"), read_scale("1-10").read("7/10"), read_scale("A-F").read("b")
        (1.0, 7.0, 4.0)
        """
        if is_blank(value):
            return None
        text = _yes_no(value) if isinstance(value, bool) else text_of(value, where, "the label").strip()
        names = [level.casefold() for level in self.levels]
        if text.casefold() in names:
            return float(self.values[names.index(text.casefold())])
        outside = DataError(
            f"{where}: {text!r} is not on the scale {self.name}; write "
            + (f"one of {', '.join(self.levels)}." if self.named else f"a number from {self._ends()}.")
        )
        if found := _OUT_OF.fullmatch(text):
            text = found[1]
            if float(found[2]) != max(self.values):
                raise outside
        try:
            number = float(text)
        except ValueError:
            raise outside from None
        if self._numbers() and min(self.values) <= number <= max(self.values):
            return number
        raise outside

    def _numbers(self) -> bool:
        return all(re.fullmatch(_NUMBER, level) for level in self.levels)

    def _ends(self) -> str:
        return f"{self.levels[0]} to {self.levels[-1]}"


def read_scale(given: Any = None) -> OrderedScale:
    """Return an ordered scale from how people write it.

    - nothing: 1 to 5. A whole number n: 1 to n.
    - a range, its worst end first: "1-10", "0 to 4", "-2..2", "6-1", "0-100".
    - names, worst first: "poor, fair, good", "pass/fail" (words like fail, no and bad are known to be the worst, where
      they come last), or a list of them; their values are 0, 1, 2, ..., so the mean of pass/fail is the share that
      passes. Numbers keep their own value: [0, 1, 3].
    - letters, "A-F" or "A, B, C, D, F": A is best.

    DataError for fewer than two levels, a level twice, and for what cannot be told.

    >>> [read_scale(each).levels for each in ("pass/fail", "A-C", ["poor", "fair", "good"], "0-2")]
    [('fail', 'pass'), ('C', 'B', 'A'), ('poor', 'fair', 'good'), ('0', '1', '2')]
    """
    if given is None:
        return _whole(*SCORES[:: len(SCORES) - 1])
    if isinstance(given, OrderedScale):
        return given
    if isinstance(given, int) and not isinstance(given, bool):
        return _whole(1, given)
    if isinstance(given, str):
        return _of_text(given.strip())
    if isinstance(given, Iterable):
        return _of_levels([_yes_no(each) if isinstance(each, bool) else str(each).strip() for each in given])
    raise DataError(
        f"scale {given!r}: write a range like '1-10', names like 'pass/fail', or a list, worst level first."
    )


def _yes_no(value: bool) -> str:
    """YAML takes yes and no for true and false."""
    return "yes" if value else "no"


def _of_text(text: str) -> OrderedScale:
    if found := _RANGE.fullmatch(text):
        low, high = (each.replace("−", "-") for each in found.groups())
        return _whole(low, high)
    if found := _LETTERS.fullmatch(text):
        first, last = sorted(ord(each.upper()) for each in found.groups())
        return _of_levels([chr(each) for each in range(first, last + 1)], text)
    return _of_levels([part.strip() for part in re.split(r"[/,;|<\n]", text) if part.strip()], text)


def _whole(low: Any, high: Any) -> OrderedScale:
    """A range; whole numbers have a level each, unless they are many."""
    ends, name = (float(low), float(high)), f"{low}-{high}"
    if ends[0] == ends[1]:
        raise DataError(f"scale {name}: its ends are equal; write the worst end first, then the best.")
    count = abs(ends[1] - ends[0]) + 1
    if "." in f"{low}{high}" or count > MOST_LEVELS:
        return OrderedScale(name, (str(low), str(high)), ends, named=False)
    step = 1 if ends[1] > ends[0] else -1
    numbers = tuple(range(int(ends[0]), int(ends[1]) + step, step))
    return OrderedScale(name, tuple(map(str, numbers)), numbers)


def _of_levels(levels: list[str], name: str = "") -> OrderedScale:
    known = [level.casefold() for level in levels]
    if len(levels) < 2 or len(set(known)) < len(known) or not all(known):
        raise DataError(f"scale {name or levels!r}: give at least two different levels, the worst first.")
    numbers = all(re.fullmatch(_NUMBER, level) for level in levels)
    if len(levels) == 2 and numbers and all("." not in each for each in levels):
        low, high = map(int, levels)
        return _whole(low, high) if abs(high - low) > 1 else OrderedScale(f"{low}, {high}", tuple(levels), (low, high))
    if all(re.fullmatch("[a-z]", level) for level in known):
        levels = sorted(levels, key=str.casefold, reverse=True)
    elif known[-1] in _WORST and known[0] not in _WORST:
        levels = levels[::-1]
    values = tuple(float(level) for level in levels) if numbers else tuple(range(len(levels)))
    if values not in (tuple(sorted(values)), tuple(sorted(values, reverse=True))):
        raise DataError(f"scale {', '.join(levels)}: numbers are given in order, the worst first.")
    return OrderedScale(", ".join(levels), tuple(levels), values)
