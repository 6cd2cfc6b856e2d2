"""The miniature world: a seeded generator of catalogue descriptions that can be judged by rubric.

A *task* asks for the description of an object with six facts, written in everyday words ("crimson"). A *response*
states the six facts, some wrongly. A *rubric* names four of the ten attributes a task can have: only these count, so
the same response gets another score under another rubric. The *reference answer* states all facts in plain words
("red"); without it a judge has to know that crimson is red, and can only guess whether "warm" meant red or yellow.
The true score is 1 plus the number of rubric facts that are right. Field names of the rows are those of the Feedback
and Preference Collections (paper, section 3.3).
"""

from __future__ import annotations

import hashlib
import itertools
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..records import Rubric

# attribute -> plain value -> everyday words for it
VALUES: dict[str, dict[str, tuple[str, ...]]] = {
    "colour": {
        "red": ("crimson", "scarlet"), "blue": ("azure", "cobalt"), "green": ("emerald", "olive"),
        "yellow": ("lemon", "amber"), "black": ("jet", "inky"), "white": ("snowy", "milky"),
    },
    "size": {
        "tiny": ("minute", "miniature"), "small": ("little", "compact"), "medium": ("middling", "average"),
        "large": ("big", "sizeable"), "huge": ("giant", "enormous"), "narrow": ("slim", "thin"),
    },
    "material": {
        "wood": ("timber", "oak"), "metal": ("steel", "iron"), "glass": ("crystal", "quartz"),
        "stone": ("granite", "marble"), "cloth": ("cotton", "linen"), "plastic": ("vinyl", "nylon"),
    },
    "origin": {
        "Peru": ("Lima", "Cusco"), "Japan": ("Tokyo", "Kyoto"), "Kenya": ("Nairobi", "Mombasa"),
        "Norway": ("Oslo", "Bergen"), "India": ("Delhi", "Mumbai"), "Canada": ("Toronto", "Ottawa"),
    },
    "price": {
        "free": ("gratis", "complimentary"), "cheap": ("inexpensive", "thrifty"), "fair": ("moderate", "reasonable"),
        "costly": ("expensive", "dear"), "reduced": ("discounted", "lowered"), "secret": ("undisclosed", "hidden"),
    },
    "age": {
        "new": ("fresh", "unused"), "recent": ("modern", "current"), "old": ("aged", "elderly"),
        "ancient": ("antique", "archaic"), "vintage": ("retro", "classic"), "worn": ("shabby", "battered"),
    },
    "shape": {
        "round": ("circular", "globular"), "square": ("boxy", "cubic"), "oval": ("elliptic", "eggy"),
        "flat": ("level", "even"), "pointed": ("sharp", "spiky"), "curved": ("bent", "arched"),
    },
    "texture": {
        "smooth": ("silky", "polished"), "rough": ("coarse", "gritty"), "soft": ("fluffy", "cushioned"),
        "hard": ("rigid", "firm"), "sticky": ("tacky", "gluey"), "damp": ("moist", "wet"),
    },
    "scent": {
        "floral": ("rosy", "jasmine"), "smoky": ("charred", "sooty"), "sweet": ("sugary", "honeyed"),
        "sour": ("tart", "vinegary"), "minty": ("menthol", "spearmint"), "earthy": ("mossy", "muddy"),
    },
    "user": {
        "cooks": ("chefs", "bakers"), "farmers": ("growers", "herders"), "teachers": ("tutors", "lecturers"),
        "sailors": ("mariners", "boatmen"), "nurses": ("carers", "medics"), "painters": ("artists", "sketchers"),
    },
}  # fmt: skip
# Vague words: each fits two plain values, and only the reference answer tells which one is meant.
VAGUE: dict[str, dict[str, tuple[str, str]]] = {
    "colour": {"warm": ("red", "yellow"), "cold": ("blue", "green"), "neutral": ("black", "white")},
    "size": {"smallish": ("tiny", "small"), "biggish": ("large", "huge"), "midsize": ("medium", "narrow")},
    "material": {"sturdy": ("metal", "stone"), "natural": ("wood", "cloth"), "transparent": ("glass", "plastic")},
    "origin": {"Asia": ("Japan", "India"), "America": ("Peru", "Canada"), "overseas": ("Kenya", "Norway")},
    "price": {"affordable": ("cheap", "reduced"), "unlisted": ("free", "secret"), "regular": ("fair", "costly")},
    "age": {"youngish": ("new", "recent"), "historic": ("ancient", "vintage"), "used": ("old", "worn")},
    "shape": {"rounded": ("round", "oval"), "angular": ("square", "pointed"), "streamlined": ("flat", "curved")},
    "texture": {"gentle": ("smooth", "soft"), "harsh": ("rough", "hard"), "clinging": ("sticky", "damp")},
    "scent": {"fragrant": ("floral", "sweet"), "pungent": ("smoky", "sour"), "outdoorsy": ("minty", "earthy")},
    "user": {
        "outdoorsmen": ("farmers", "sailors"), "creatives": ("cooks", "painters"),
        "professionals": ("teachers", "nurses"),
    },
}  # fmt: skip
VAGUE_SHARE = 0.35  # share of facts that an instruction names by a vague word
CONFUSION_SHARE = 0.5  # share of wrong statements about such a fact that fit the vague word all the same
ATTRIBUTES = tuple(VALUES)
FACTS_PER_TASK = 6
DETAILS_PER_RUBRIC = 4

_NOUNS = """
kettle lamp chair table bottle basket mirror clock drum ladder blanket hammer wallet candle pillow bucket
bracelet statue whistle lantern teapot suitcase umbrella notebook carpet guitar button mug spoon vase helmet
bench curtain puzzle ribbon saddle trumpet wagon kite anchor
"""
NOUNS = tuple(_NOUNS.split())
_UNSEEN_NOUNS = """
violin compass goblet hammock telescope rucksack cradle sundial easel tricycle banjo thimble tapestry
wheelbarrow snowglobe doormat birdcage footstool inkwell paperweight
"""
UNSEEN_NOUNS = tuple(_UNSEEN_NOUNS.split())
_SCHOOL_NOUNS = """
pencil scarf barrel trolley stool kennel locket shelf lampshade broom pitcher sandal harp drawer postcard
rocker rattle tray pouch jigsaw
"""
SCHOOL_NOUNS = tuple(_SCHOOL_NOUNS.split())  # the base model alone has judged these

# Response styles: an opening, and one lead-in per attribute. These two are the training data's.
STYLES: dict[str, tuple[str, dict[str, str]]] = {
    "plain": ("Here is the", {
        "colour": ", painted", "size": ", in size", "material": ", made of", "origin": ", from",
        "price": ", at a price",
        "age": ", in age", "shape": ", in shape", "texture": ", to the touch", "scent": ", to the nose",
        "user": ", meant for",
    }),
    "chatty": ("You will love this", {
        "colour": "; it shines in", "size": "; it is so", "material": "; it is all",
        "origin": "; it came all the way from",
        "price": "; the price is", "age": "; it looks rather", "shape": "; its outline is", "texture": "; it feels",
        "scent": "; it smells", "user": "; it is loved by",
    }),
}  # fmt: skip
# Styles that name each attribute: an opening, and what stands before and after the attribute's name.
NAMING = {
    "label": ("Label of the", ";", ""),
    "card": ("Card for the", ",", ":"),
    "tale": ("Once there was a", " whose", " was"),
    "list": ("Facts about the", "\n-", ":"),
    "formal": ("The catalogue presents one", ", with the", " called"),
    "dash": ("Once there was a", "\n*", ":"),
    "memo": ("Label of the", ".", " means"),
    "note": ("Card for the", "; the", ""),
    "line": ("Once there was a", " whose", " makes"),
}
STYLES |= {
    name: (opening, {attribute: f"{before} {attribute}{after}" for attribute in ATTRIBUTES})
    for name, (opening, before, after) in NAMING.items()
}
IN_DOMAIN_STYLES = ("plain", "chatty")
SCHOOL_STYLES = ("label", "card", "tale", "dash", "memo", "note", "line")  # the base model's own
OTHER_STYLES = ("list", "formal")  # the benchmarks' own

CRITERIA_OPENINGS = (
    "Does the response state these details correctly:",
    "Is the response accurate about the following points:",
    "Does the description match the request in its",
)
SCORE_DESCRIPTIONS = (
    (
        "None of the four details is right.",
        "One of the four details is right.",
        "Two of the four details are right.",
        "Three of the four details are right.",
        "All four details are right.",
    ),
    (
        "The response is wrong on every point that matters.",
        "The response is right on a single point and wrong on three.",
        "The response is right on half of the points.",
        "The response is right on three points and wrong on one.",
        "The response is right on every point that matters.",
    ),
    (
        "A reader would be misled about all four.",
        "A reader would be misled about three of the four.",
        "A reader would be misled about two of the four.",
        "A reader would be misled about one of the four.",
        "A reader would not be misled at all.",
    ),
)

INSTRUCTION_OPENING = "Describe for our catalogue this"
FEEDBACK_OPENING = "Detail by detail."
GIVEN = {attribute: f" The {attribute} given is" for attribute in ATTRIBUTES}
WANTED = " and the one asked for is"
VERDICTS = {True: ", which is right.", False: ", which is wrong."}
PAIR_GIVEN_A = {attribute: f" On the {attribute}, A says" for attribute in ATTRIBUTES}
PAIR_GIVEN_B = " and B says"
PAIR_WANTED = "; asked for is"
PAIR_VERDICTS = {
    (True, True): ", so both are right.",
    (True, False): ", so only A is right.",
    (False, True): ", so only B is right.",
    (False, False): ", so neither is right.",
}


@dataclass(frozen=True)
class Task:
    """An object and its six facts: plain values, and the everyday words in which the instruction names them."""

    noun: str
    facts: dict[str, str]
    words: dict[str, str]


@dataclass(frozen=True)
class Answer:
    """A response: the plain value it states for each attribute, the words it uses, and its text."""

    values: dict[str, str]
    words: dict[str, str]
    text: str


@dataclass(frozen=True)
class Domain:
    """Where tasks, rubrics and responses are drawn from.

    `synonyms` is the share of everyday words in responses. With `opposing`, the two facts outside the rubric tend to
    be right where the rubric's are wrong, so that counting right facts without reading the rubric judges badly.
    """

    nouns: tuple[str, ...] = NOUNS
    combinations: tuple[tuple[str, ...], ...] = ()
    styles: tuple[str, ...] = IN_DOMAIN_STYLES
    synonyms: float = 0.0
    opposing: bool = True


@dataclass(frozen=True)
class Noise:
    """How often a writer of judgments slips: wrong verdict on a detail, and a decision drawn at random."""

    verdict: float = 0.0
    decision: float = 0.0


def rng_for(*parts: Any) -> random.Random:
    """Return a random generator that depends on the parts only, not on the process or platform."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return random.Random(int.from_bytes(digest[:8], "big"))


def rubric_combinations(use: str) -> tuple[tuple[str, ...], ...]:
    """Return the attribute combinations kept for a use: "seen" (training data), "unseen" (benchmarks) or "school".

    >>> [len(rubric_combinations(use)) for use in ("seen", "unseen", "school")]
    [105, 70, 35]
    """
    every = list(itertools.combinations(ATTRIBUTES, DETAILS_PER_RUBRIC))
    order = sorted(every, key=lambda combination: hashlib.sha256("+".join(combination).encode()).digest())
    third, half = len(order) // 3, len(order) // 2
    # Rubrics about every other attribute only are left to the training data: experiments split attributes in two.
    others = sorted(order[:third] + order[half:], key=lambda c: len({ATTRIBUTES.index(a) % 2 for a in c}) == 1)
    return tuple({"school": order[third:half], "unseen": others[:third], "seen": others[third:]}[use])


# Three worlds that share words, and neither nouns nor rubrics nor (but for plain) styles: what the experts learn from,
# what the benchmarks ask, and what the base model has judged before.
SEEN = Domain(NOUNS, rubric_combinations("seen"), IN_DOMAIN_STYLES, synonyms=0.2)
UNSEEN = Domain(UNSEEN_NOUNS, rubric_combinations("unseen"), OTHER_STYLES, synonyms=0.3)
SCHOOL = Domain(SCHOOL_NOUNS, rubric_combinations("school"), ("plain", *SCHOOL_STYLES), synonyms=0.3, opposing=False)


def draw_task(rng: random.Random, domain: Domain, details: Sequence[str]) -> Task:
    """Draw an object whose six facts include the rubric's four details."""
    others = [attribute for attribute in ATTRIBUTES if attribute not in details]
    attributes = [*details, *rng.sample(others, FACTS_PER_TASK - len(details))]
    rng.shuffle(attributes)
    facts = {attribute: rng.choice(list(VALUES[attribute])) for attribute in attributes}
    words = {attribute: _clue(rng, attribute, value) for attribute, value in facts.items()}
    return Task(rng.choice(domain.nouns), facts, words)


def _clue(rng: random.Random, attribute: str, value: str) -> str:
    """Return the word by which an instruction names a fact: an everyday word for it, or a vague one."""
    if rng.random() < VAGUE_SHARE:
        return next(word for word, values in VAGUE[attribute].items() if value in values)
    return rng.choice(VALUES[attribute][value])


def _wrong_value(rng: random.Random, task: Task, attribute: str) -> str:
    """Return another value than the true one; where the instruction is vague, often one that fits its word too."""
    value = task.facts[attribute]
    fitting = VAGUE[attribute].get(task.words[attribute])
    if fitting and rng.random() < CONFUSION_SHARE:
        return fitting[1] if fitting[0] == value else fitting[0]
    return rng.choice([other for other in VALUES[attribute] if other != value])


def draw_rubric(rng: random.Random, details: Sequence[str]) -> Rubric:
    """Word a rubric about the given details."""
    criteria = f"{rng.choice(CRITERIA_OPENINGS)} {', '.join(details)}?"
    return Rubric(criteria, rng.choice(SCORE_DESCRIPTIONS))


def details_of(rubric_or_criteria: Rubric | str) -> tuple[str, ...]:
    """Return the attributes that a miniature rubric asks about, read from its criteria sentence."""
    criteria = getattr(rubric_or_criteria, "criteria", rubric_or_criteria)
    words = criteria.rstrip("?").replace(",", " ").split()
    return tuple(word for word in words if word in VALUES)


def draw_answer(rng: random.Random, task: Task, domain: Domain, right: Iterable[str]) -> Answer:
    """Write a response that states the attributes in `right` rightly and all others wrongly."""
    right = set(right)
    values = {a: v if a in right else _wrong_value(rng, task, a) for a, v in task.facts.items()}
    words = {a: rng.choice(VALUES[a][v]) if rng.random() < domain.synonyms else v for a, v in values.items()}
    return Answer(values, words, statement(rng, task.noun, words, rng.choice(domain.styles)))


def graded_answer(rng: random.Random, task: Task, domain: Domain, details: Sequence[str], score: int) -> Answer:
    """Write a response that earns `score` under the rubric; the facts outside the rubric follow the domain."""
    right = rng.sample(list(details), score - 1)
    others = [attribute for attribute in task.facts if attribute not in details]
    if domain.opposing:
        right += others if rng.random() < (5 - score) / 4 else []
    else:
        right += [attribute for attribute in others if rng.random() < 0.5]
    return draw_answer(rng, task, domain, right)


def statement(rng: random.Random, noun: str, words: dict[str, str], style: str) -> str:
    """Write the facts in random order in the given style."""
    opening, leads = STYLES[style]
    attributes = list(words)
    rng.shuffle(attributes)
    return f"{opening} {noun}{''.join(f'{leads[a]} {words[a]}' for a in attributes)}."


def instruction_text(task: Task) -> str:
    """Write the request: the object and its facts in everyday words."""
    return f"{INSTRUCTION_OPENING} {task.noun}: {', '.join(f'{a} {w}' for a, w in task.words.items())}."


def true_score(task: Task, answer: Answer, details: Sequence[str]) -> int:
    """Return 1 plus the number of rubric details that the response states rightly."""
    return 1 + sum(answer.values[a] == task.facts[a] for a in details)


def direct_feedback(task: Task, answer: Answer, verdicts: dict[str, bool]) -> str:
    """Write feedback that quotes, for each rubric detail, what is given, what is asked for, and the verdict."""
    parts = (f"{GIVEN[a]} {answer.words[a]}{WANTED} {task.facts[a]}{VERDICTS[ok]}" for a, ok in verdicts.items())
    return FEEDBACK_OPENING + "".join(parts)


def pair_feedback(task: Task, a: Answer, b: Answer, verdicts: dict[str, tuple[bool, bool]]) -> str:
    """Write feedback that quotes both responses on each rubric detail, what the instruction asks for, and who is right.

    It says no more than can be read without the reference answer: of a vague word, the word.
    """
    parts = (
        f"{PAIR_GIVEN_A[d]} {a.words[d]}{PAIR_GIVEN_B} {b.words[d]}{PAIR_WANTED} {told(task, d)}{PAIR_VERDICTS[ok]}"
        for d, ok in verdicts.items()
    )
    return FEEDBACK_OPENING + "".join(parts)


def told(task: Task, attribute: str) -> str:
    """Return what an instruction tells of a fact: its plain value, or the vague word itself."""
    word = task.words[attribute]
    return word if word in VAGUE[attribute] else task.facts[attribute]


def fits(task: Task, answer: Answer, attribute: str) -> bool:
    """Tell whether a stated value agrees with the instruction: a vague word fits two values."""
    fitting = VAGUE[attribute].get(task.words[attribute], (task.facts[attribute],))
    return answer.values[attribute] in fitting


def judge_direct(rng: random.Random, task: Task, answer: Answer, details: Sequence[str], noise: Noise):
    """Write feedback and a score; with noise, verdicts and scores slip. Returns (feedback, score)."""
    verdicts = {a: (answer.values[a] == task.facts[a]) ^ (rng.random() < noise.verdict) for a in details}
    score = 1 + sum(verdicts.values())
    if rng.random() < noise.decision:
        score = rng.randint(1, 5)
    return direct_feedback(task, answer, verdicts), score


def judge_pair(rng: random.Random, task: Task, a: Answer, b: Answer, details: Sequence[str], noise: Noise):
    """Write comparing feedback and a choice; equal true scores are decided by lot. Returns (feedback, "A" or "B").

    The feedback's verdicts are what the instruction tells (`fits`), the choice is by the true scores, as in the paper:
    its writer saw more than the judge will see.
    """
    verdicts = {d: tuple(fits(task, r, d) ^ (rng.random() < noise.verdict) for r in (a, b)) for d in details}
    lead = true_score(task, a, details) - true_score(task, b, details)
    if lead == 0 or rng.random() < noise.decision:
        lead = rng.choice((-1, 1))
    return pair_feedback(task, a, b, verdicts), "A" if lead > 0 else "B"


@dataclass(frozen=True)
class Family:
    """One instruction with its rubric and five graded answers, scores 1 to 5: the unit of both collections."""

    task: Task
    details: tuple[str, ...]
    rubric: Rubric
    reference: str
    answers: tuple[Answer, ...] = field(default_factory=tuple)


def draw_family(rng: random.Random, domain: Domain, details: Sequence[str] | None = None) -> Family:
    """Draw one instruction, its rubric, its reference answer and five graded responses."""
    details = tuple(details or rng.choice(domain.combinations))
    details = tuple(rng.sample(details, len(details)))
    task = draw_task(rng, domain, details)
    answers = tuple(graded_answer(rng, task, domain, details, score) for score in range(1, 6))
    reference = statement(rng, task.noun, task.facts, "plain")
    return Family(task, details, draw_rubric(rng, details), reference, answers)


def families(seed: int, count: int, domain: Domain = SEEN, details: Sequence[str] | None = None) -> Iterator[Family]:
    """Yield `count` families; the n-th depends on the seed and n only."""
    for number in range(count):
        yield draw_family(rng_for("family", seed, number), domain, details)
