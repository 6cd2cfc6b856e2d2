"""What a judge is asked: items of a benchmark as tasks, and the decoding settings of Table 8.

A task is one prompt and the number of draws. `direct_tasks` and `pairwise_tasks` ask in the paper's words, `tasks_for`
in those of another family of judges.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from numbers import Real
from typing import Any, Literal

from .. import artifacts, prompts
from ..prompts.templates import Template
from ..records import DataError, DirectItem, PairItem, check_text, few
from .store import Asked, JudgmentStore, Place, Question, judgment_keys

MENUS = {"direct": ("1", "2", "3", "4", "5"), "pairwise": ("A", "B")}


@dataclass(frozen=True)
class Decoding:
    """Sampling settings (Table 8); `seed` makes a run repeatable. DataError for settings that no sampling can have.

    >>> Decoding().temperature, Decoding(temperature=0.0).greedy
    (1.0, True)
    """

    temperature: float = 1.0
    top_p: float = 0.9
    max_new_tokens: int = 1024
    repetition_penalty: float = 1.03
    seed: int = 42

    def __post_init__(self) -> None:
        least = {"temperature": 0.0, "top_p": 0.0, "max_new_tokens": 0, "repetition_penalty": 1e-9}
        for name, low in least.items():
            value, high = getattr(self, name), 1.0 if name == "top_p" else math.inf
            if not (isinstance(value, Real) and low <= value <= high and value < math.inf):
                to = f" to {high:g}" if high < math.inf else ""
                raise DataError(f"decoding: {name} is {value!r}; give a number from {max(low, 0):g}{to}.")

    @property
    def greedy(self) -> bool:
        """Tell whether the most likely token is always taken, so that a second draw is the first one again."""
        return min(self.temperature, self.top_p) < 1e-5


@dataclass(frozen=True)
class Task:
    """One prompt to judge `draws` times; `order` "ba" shows response B first.

    `temperature` stands in for that of the decoding settings where one study needs another.

    >>> task = Task("mine", "item 1", "direct", False, "ab", draws=3, prompt="###Task ...", temperature=0.0)
    >>> task.settings(Decoding()).temperature
    0.0
    """

    benchmark: str
    item_id: str
    format: str
    with_reference: bool
    order: str
    draws: int
    prompt: str
    item: DirectItem | PairItem | None = field(default=None, compare=False, repr=False)
    temperature: float | None = None

    def settings(self, decoding: Decoding) -> Decoding:
        """Return the decoding settings of this task in a run with `decoding`."""
        return decoding if self.temperature is None else replace(decoding, temperature=self.temperature)


References = bool | Literal["available"]


def direct_tasks(benchmark: str, items: Iterable[DirectItem], with_reference: References, draws: int) -> list[Task]:
    """One direct assessment task per item.

    `with_reference`: whether the prompts show the reference answers; "available" shows it where an item has one, and
    each judgment records whether its prompt did. DataError names the items that lack one.

    >>> from prometheus_lib.records import DirectItem, Rubric
    >>> rubric = Rubric("Is it right?", ("no", "hardly", "half", "mostly", "yes"))
    >>> items = [DirectItem(name, "2 + 2?", "4", answer, rubric) for name, answer in (("a", "4"), ("b", None))]
    >>> [(task.item_id, task.with_reference) for task in direct_tasks("sums", items, "available", draws=3)]
    [('a', True), ('b', False)]
    """
    items = list(items)
    if with_reference not in (True, False, "available"):
        raise DataError(f'with_reference is {with_reference!r}; give True, False or "available".')
    lacking = [item.id for item in items if not item.reference_answer]
    if with_reference is True and lacking:
        raise DataError(
            f"{len(lacking)} of {len(items)} items have no reference answer: {few(lacking)}; ask with "
            'with_reference="available", which shows it where there is one, or False.'
        )
    shown = [bool(item.reference_answer) if with_reference == "available" else with_reference for item in items]
    return [
        Task(benchmark, item.id, "direct", shows, "ab", draws, prompts.render_direct(item, shows), item)
        for item, shows in zip(items, shown, strict=True)
    ]


def pairwise_tasks(benchmark: str, items: Iterable[PairItem], order: str = "ab") -> list[Task]:
    """One reference-free pairwise task per item (paper, section 4).

    >>> from prometheus_lib.records import PairItem
    >>> pair = PairItem("x", "Name a prime.", "7", "8", None, "Is it right?")
    >>> [(task.order, task.prompt.find("7") < task.prompt.find("8")) for order in ("ab", "ba")
    ...  for task in pairwise_tasks("mine", [pair], order)]
    [('ab', True), ('ba', False)]
    """
    return [
        Task(benchmark, item.id, "pairwise", False, order, 1, prompts.render_pairwise(item, order=order), item)
        for item in items
    ]


def direct_for_pairs_tasks(benchmark: str, items: Iterable[PairItem], draws: int) -> list[Task]:
    """Two reference-free direct tasks per pair, "<id>#a" and "<id>#b" (Table 13's Direct2Pair).

    >>> from prometheus_lib.data import minibench
    >>> pairs = minibench.build("mini_autoj_eval", 1, 0.1)[:1]
    >>> [task.item_id.removeprefix(pairs[0].id) for task in direct_for_pairs_tasks("mine", pairs, draws=3)]
    ['#a', '#b']
    """
    singles = [single for item in items for single in split_pair(item)]
    return direct_tasks(benchmark, singles, with_reference=False, draws=draws)


def tasks_for(
    template: Template,
    benchmark: str,
    items: Iterable[DirectItem | PairItem],
    format: str,
    *,
    with_reference: References = False,
    order: str = "ab",
    draws: int = 1,
) -> list[Task]:
    """Return one task per item with the template's prompt; pairs asked for directly give two, "<id>#a" and "<id>#b".

    `with_reference` and `order` are the benchmark's setting and are recorded as such, also where a family's prompt
    shows no reference answer (Auto-J). DataError when the template does not know the format.

    >>> from prometheus_lib.data import minibench
    >>> from prometheus_lib.prompts.templates import PROMETHEUS
    >>> items = minibench.build("mini_flask", 1, 0.1)[:2]
    >>> tasks_for(PROMETHEUS, "b", items, "direct", draws=3) == direct_tasks("b", items, with_reference=False, draws=3)
    True
    """
    items = list(items)
    if format == "pairwise":
        plain = [replace(task, draws=draws) for task in pairwise_tasks(benchmark, items, order)]
    elif items and isinstance(items[0], PairItem):
        plain = direct_for_pairs_tasks(benchmark, items, draws)
    else:
        plain = direct_tasks(benchmark, items, with_reference, draws)
    return [replace(task, prompt=template.render(task.item, format, task.with_reference, task.order)) for task in plain]


def split_pair(item: PairItem) -> tuple[DirectItem, DirectItem]:
    """Return the two responses of a pair as direct items; DataError when the pair has no full rubric.

    >>> from prometheus_lib.data import minibench
    >>> pair = minibench.build("mini_autoj_eval", 1, 0.1)[0]
    >>> [single.response for single in split_pair(pair)] == [pair.response_a, pair.response_b]
    True
    """
    if item.rubric is None:
        raise DataError(f"pair {item.id!r} has no score rubric, so its responses cannot be assessed directly.")
    responses = {"a": item.response_a, "b": item.response_b}
    a, b = (
        DirectItem(f"{item.id}#{side}", item.instruction, text, item.reference_answer, item.rubric)
        for side, text in responses.items()
    )
    return a, b


def batches(tasks: Sequence[Task], batch_size: int) -> list[list[Task]]:
    """Cut tasks into batches of one benchmark and format, sorted by prompt length, of at most `batch_size` sequences.

    A batch holds at least one task, and does not depend on what else a judge is asked. Prompts of similar length waste
    little padding.

    >>> tasks = [Task("b", f"{n}", "direct", False, "ab", 3, "prompt " * n) for n in (1, 9, 2, 8)]
    >>> [[task.item_id for task in batch] for batch in batches(tasks, batch_size=6)]
    [['1', '2'], ['8', '9']]
    """
    ordered = sorted(tasks, key=lambda task: (*kind_of(task), len(task.prompt), task.item_id))
    result: list[list[Task]] = []
    for task in ordered:
        full = not result or (len(result[-1]) + 1) * task.draws > batch_size
        if full or kind_of(result[-1][0]) != kind_of(task):
            result.append([])
        result[-1].append(task)
    return result


def kind_of(task: Task) -> tuple:
    """Return what tasks must share to be generated in one batch."""
    pair_side = "#" in task.item_id
    return task.benchmark, task.format, task.with_reference, task.order, task.draws, pair_side, temperature_of(task)


def temperature_of(task: Task) -> float:
    """Return a task's own temperature, -1 where it has none, so that tasks can be sorted by it."""
    return -1.0 if task.temperature is None else task.temperature


def seed_from(*parts: Any) -> int:
    """Return a seed that follows from the parts alone."""
    return int(artifacts.text_hash(*parts), 16) % 2**31


def task_question(task: Task) -> tuple[str, str, str, bool, str]:
    """Return what a judgment says about which item it judges, and how."""
    return task.benchmark, task.item_id, task.format, task.with_reference, task.order


def task_keys(task: Task, fingerprint: str, decoding: Decoding) -> list[str]:
    """Return the store keys of a task's draws.

    >>> task = Task("b", "1", "direct", False, "ab", 3, "prompt")
    >>> len(set(task_keys(task, "a model", Decoding()) + task_keys(task, "another model", Decoding())))
    6
    """
    settings = vars(task.settings(decoding))  # as asdict, which takes longer than the hash
    return judgment_keys(fingerprint, task.prompt, settings, task.format, task.order, task.draws)


def check_texts(tasks: Iterable[Task]) -> None:
    """Raise DataError that names the items whose prompt, id or benchmark no file and no server can take.

    >>> check_texts([Task("b", "a", "direct", False, "ab", 1, "half an emoji: \\ud83d")])  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    prometheus_lib.records.DataError: 1 tasks cannot be asked; task b/a: prompt holds a lone surrogate (half of a ...
    """
    wrong = []
    for task in tasks:
        if task.prompt.isascii() and task.item_id.isascii() and task.benchmark.isascii():
            continue
        try:
            for name in ("benchmark", "item_id", "prompt"):
                check_text(f"task {task.benchmark}/{task.item_id}", name, getattr(task, name))
        except DataError as error:
            wrong.append(str(error).encode("utf-8", "replace").decode())
    if wrong:
        others = f" (and {len(wrong) - 1} more: {few([text.partition(':')[0] for text in wrong[1:]])})"
        raise DataError(f"{len(wrong)} tasks cannot be asked; {wrong[0]}{others if wrong[1:] else ''}")


def prompt_hash(prompt: str) -> str:
    """Return 8 hexadecimal digits that tell the prompts about one item apart."""
    return artifacts.text_hash(prompt)[:8]


def task_places(task: Task, fingerprint: str, decoding: Decoding) -> list[Place]:
    """Return where a task's draws stand in the store."""
    return places_of(task, task_keys(task, fingerprint, decoding))


def places_of(task: Task, keys: Iterable[str]) -> list[Place]:
    """Return where judgments of a task with these keys stand in the store."""
    return [(key, task.benchmark, task.item_id) for key in keys]


def note_asked(
    judge: str,
    fingerprint: str,
    tasks: Sequence[Task],
    store: JudgmentStore,
    decoding: Decoding,
    keys: Iterable[Sequence[str]] | None = None,
) -> None:
    """Tell the store what a judge is asked now, also when all of it has been answered before (see `reading`).

    `keys` are those of the tasks, where they are known already.
    """
    asked: dict[Question, Asked] = {}
    known = keys or (task_keys(task, fingerprint, decoding) for task in tasks)
    for task, own in zip(tasks, known, strict=True):
        question = (judge, *task_question(task))
        if stored := store.answers.get(question):
            draws = max(stored.values()) + 1
            if draws > task.draws:  # more are stored than are asked for
                own = task_keys(replace(task, draws=draws), fingerprint, decoding)
            others = asked[question].keys if question in asked else ()
            hashed = "" if stored.keys() <= set(own) else prompt_hash(task.prompt)  # what is alike is not recorded
            asked[question] = Asked(fingerprint, hashed, (*others, *own))
    store.ask(asked)
