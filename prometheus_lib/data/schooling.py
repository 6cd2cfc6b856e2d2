"""What the embedded base model reads before it becomes anyone's judge: sheets of small questions about words and texts.

A sheet asks what words mean, whether one word fits another, what a text says on some points, whether it agrees with
another text, and how many marks a line has. No sheet shows a rubric or asks for a score or for the better response.
Nouns and styles are those of the training data and the school's own: what benchmarks use occurs nowhere.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from . import miniworld
from .miniworld import (
    ATTRIBUTES,
    GIVEN,
    IN_DOMAIN_STYLES,
    NOUNS,
    PAIR_GIVEN_A,
    PAIR_GIVEN_B,
    PAIR_VERDICTS,
    PAIR_WANTED,
    SCHOOL,
    SCHOOL_NOUNS,
    SCHOOL_STYLES,
    VAGUE,
    VALUES,
    VERDICTS,
    WANTED,
    Answer,
    Domain,
    Task,
)  # fmt: skip

PHRASES = (
    " means", " or else", " that is", " asked for", " said", " the first says", " the second says", " makes", " leads",
    "Points:", " yes", " no", " maybe", " first", " second", " both", " neither", " equal", "Words.",
    "What does it say?", "Does it agree?", "Which one agrees?", "Count.", " zero", "First:", "Second:", "Request:",
)  # fmt: skip
PLAIN = {word: value for by_value in VALUES.values() for value, words in by_value.items() for word in (value, *words)}
WHO_AGREES = {(True, True): " both", (True, False): " first", (False, True): " second", (False, False): " neither"}


@dataclass(frozen=True)
class Sheet:
    """One sheet: what is given, and the lines that follow and are learned.

    >>> words(random.Random(1), SHEETS).text[:40]
    ' oak means wood. sizeable means large. g'
    """

    given: str
    text: str


def sheet_domain(styles: Sequence[str] = SCHOOL_STYLES) -> Domain:
    """Return where the texts of sheets come from: the training data's and the school's nouns and styles.

    >>> set(sheet_domain().nouns) & set(miniworld.UNSEEN_NOUNS)
    set()
    """
    return Domain(NOUNS + SCHOOL_NOUNS, SCHOOL.combinations, (*IN_DOMAIN_STYLES, *styles), 0.3, opposing=False)


SHEETS = sheet_domain()


# --- sheets about words ----------------------------------------------------------------------------------------------


def words(rng: random.Random, domain: Domain) -> Sheet:
    """What do words mean?"""
    lines = []
    for _ in range(14):
        attribute = rng.choice(ATTRIBUTES)
        if rng.random() < 0.3:
            word = rng.choice(list(VAGUE[attribute]))
            meaning = _meaning(attribute, word)
        else:
            meaning = rng.choice(list(VALUES[attribute]))
            word = rng.choice(VALUES[attribute][meaning])
        lines.append(f" {word} means {meaning}.")
    return Sheet("Words.", "".join(lines))


def same(rng: random.Random, domain: Domain) -> Sheet:
    """Does the word that was said agree with the one that was asked for?"""
    lines = []
    for _ in range(12):
        attribute = rng.choice(ATTRIBUTES)
        value = rng.choice(list(VALUES[attribute]))
        if rng.random() < 0.25:
            asked = next(word for word, values in VAGUE[attribute].items() if value in values)
        else:
            asked = rng.choice((value, value, *VALUES[attribute][value]))
        other = value if rng.random() < 0.5 else rng.choice(list(VALUES[attribute]))
        said = rng.choice((other, other, *VALUES[attribute][other]))
        lines.append(f" asked for {asked} said {said}{_agrees(attribute, asked, said)}.")
    return Sheet("Does it agree?", "".join(lines))


def counting(rng: random.Random, domain: Domain) -> Sheet:
    """How many marks has a line, and who has more?"""
    lines = []
    for _ in range(8):
        length = rng.randint(2, 5)
        if rng.random() < 0.5:
            marks = [rng.random() < 0.5 for _ in range(length)]
            count = sum(marks)
            lines.append("".join(" yes" if mark else " no" for mark in marks) + f" makes {count or 'zero'}.")
        else:
            who = [rng.choice((" both", " first", " second", " neither")) for _ in range(length)]
            lead = who.count(" first") - who.count(" second")
            lines.append("".join(who) + f" leads{' first' if lead > 0 else ' second' if lead < 0 else ' equal'}.")
    return Sheet("Count.", "".join(lines))


def _meaning(attribute: str, word: str) -> str:
    return " or else ".join(VAGUE[attribute].get(word) or (PLAIN[word],))


def _agrees(attribute: str, asked: str, said: str) -> str:
    """Return " yes", " no", or " maybe" where the word asked for is vague and fits."""
    if asked in VAGUE[attribute]:
        return " maybe" if PLAIN[said] in VAGUE[attribute][asked] else " no"
    return " yes" if PLAIN[asked] == PLAIN[said] else " no"


# --- sheets about texts ----------------------------------------------------------------------------------------------


def reading(rng: random.Random, domain: Domain) -> Sheet:
    """What does a text, or a request, say on some points?"""
    task = _task(rng, domain)
    answer, points = _answer(rng, task, domain), _points(rng, task)
    of_request = rng.random() < 0.4
    said = task.words if of_request else answer.words
    text = miniworld.instruction_text(task) if of_request else answer.text
    lines = "".join(f" {point} {said[point]} that is {_meaning(point, said[point])}." for point in points)
    return Sheet(f"{text} Points: {', '.join(points)}. What does it say?", lines)


def checking(rng: random.Random, domain: Domain, plainly: bool = False) -> Sheet:
    """Does a text agree with a request, or with another text, point by point? `plainly` without a judge's phrases."""
    task = _task(rng, domain)
    answer, points = _answer(rng, task, domain), _points(rng, task)
    of_request = rng.random() < 0.5
    asked = task.words if of_request else task.facts
    text = miniworld.instruction_text(task) if of_request else miniworld.statement(rng, task.noun, task.facts, "plain")
    lines = []
    for point in points:
        said, agrees = answer.words[point], _agrees(point, asked[point], answer.words[point])
        if plainly:
            lines.append(f" {point} said {said} asked for {asked[point]}{agrees}.")
        else:
            wanted = PLAIN.get(asked[point], asked[point])
            lines.append(f"{GIVEN[point]} {said}{WANTED} {wanted}{VERDICTS[agrees != ' no']}")
    return Sheet(f"{text} {answer.text} Points: {', '.join(points)}. Does it agree?", "".join(lines))


def comparing(rng: random.Random, domain: Domain, plainly: bool = False) -> Sheet:
    """Which of two texts agrees with a request, point by point? `plainly` without a judge's phrases."""
    task = _task(rng, domain)
    one, two = _answer(rng, task, domain), _answer(rng, task, domain)
    points = _points(rng, task)
    lines = []
    for point in points:
        a, b, asked = one.words[point], two.words[point], task.words[point]
        agree = (_agrees(point, asked, a) != " no", _agrees(point, asked, b) != " no")
        if plainly:
            lines.append(f" {point} the first says {a} the second says {b} asked for {asked}{WHO_AGREES[agree]}.")
        else:
            told = f"{PAIR_WANTED} {PLAIN.get(asked, asked)}{PAIR_VERDICTS[agree]}"
            lines.append(f"{PAIR_GIVEN_A[point]} {a}{PAIR_GIVEN_B} {b}{told}")
    given = f"{miniworld.instruction_text(task)} First: {one.text} Second: {two.text} Points: {', '.join(points)}."
    return Sheet(f"{given} Which one agrees?", "".join(lines))


def _checking_plainly(rng: random.Random, domain: Domain) -> Sheet:
    return checking(rng, domain, plainly=True)


def _comparing_plainly(rng: random.Random, domain: Domain) -> Sheet:
    return comparing(rng, domain, plainly=True)


def _task(rng: random.Random, domain: Domain) -> Task:
    return miniworld.draw_task(rng, domain, rng.choice(domain.combinations))


def _answer(rng: random.Random, task: Task, domain: Domain) -> Answer:
    return miniworld.draw_answer(rng, task, domain, [point for point in task.facts if rng.random() < 0.5])


def _points(rng: random.Random, task: Task) -> list[str]:
    points = list(task.facts)
    rng.shuffle(points)
    return points[: rng.randint(3, 6)]


# --- many sheets -----------------------------------------------------------------------------------------------------

Maker = Callable[[random.Random, Domain], Sheet]
# How often each kind of sheet occurs: first in words of their own, then in the words of judges' feedback.
PLAIN_SHEETS: dict[Maker, int] = {
    words: 2, same: 3, reading: 3, _checking_plainly: 4, _comparing_plainly: 4, counting: 1
}  # fmt: skip
JUDGES_SHEETS: dict[Maker, int] = {words: 1, same: 2, reading: 2, checking: 5, comparing: 6, counting: 2}


def sheets(seed: int, count: int, kinds: dict[Maker, int], domain: Domain = SHEETS) -> list[Sheet]:
    """Return `count` sheets; the n-th depends on the seed and n only.

    >>> [sheet.given for sheet in sheets(1, 2, {words: 1, same: 1})]
    ['Words.', 'Does it agree?']
    """
    makers = [maker for maker, times in kinds.items() for _ in range(times)]
    found = []
    for number in range(count):
        rng = miniworld.rng_for("school", seed, number)
        found.append(rng.choice(makers)(rng, domain))
    return found
