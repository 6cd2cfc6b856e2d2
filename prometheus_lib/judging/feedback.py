"""Writing verbal feedback for pairs with a language model behind an API (paper, section 3.3 and appendix H).

The writer is an `APIJudge` that reads the prompt of appendix H: its requests, retries, limits and cap are the judges',
and what it writes is stored as judgments are, so a run that was stopped goes on and no answer is paid for twice. Its
"decision" is the response that the text argues for, which should be the one it was told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from ..data.building import pair_id
from ..data.collections import pair_item
from ..parallel import progress_bar
from ..prompts import read_pair_feedback, render_pair_feedback
from ..prompts.pair_feedback import END, is_feedback
from ..prompts.templates import Template
from ..records import DataError, PairItem
from .collecting import collect
from .engines.api import APIJudge
from .engines.api_settings import APISettings
from .engines.api_usage import Budget, Estimate, Prices
from .policy import ONCE, Policy
from .store import JudgmentStore, load_judgments
from .tasks import Decoding, Task, task_places

BENCHMARK = "pair-feedback"
DECODING = Decoding()  # of Table 8; the paper does not say how its feedback was drawn
PAIRS_AT_ONCE = 2000  # whose prompts are in memory together
OUTCOMES = {
    "fits": "argues for the response it was told is better",
    "unclear": "argues for neither as far as can be read (kept)",
    "contradicts": "argues for the other response (left out)",
    "no feedback": "is no feedback on both responses (left out)",
    "truncated": "did not end by itself (left out)",
    "missing": "is not written yet",
}
KEPT = ("fits", "unclear")


def _prompt(item: PairItem, with_reference: bool, order: str) -> str:
    if not with_reference or order != "ab":
        raise DataError("feedback is written with the reference answer, about the responses in their own order.")
    return render_pair_feedback(item)


TEMPLATE = Template(BENCHMARK, None, _prompt, {"pairwise": read_pair_feedback}, system="")


def feedback_writer(name: str, settings: APISettings, budget: Budget | None = None) -> APIJudge:
    """Return a writer of feedback behind an API, which stops at "[END]" and, with a budget, at its cap.

    Raises DataError when the key is not in the environment.

    >>> feedback_writer("writer", APISettings("my-model", "http://localhost:8000/v1", key_variable="")).name
    'writer'
    """
    stops = tuple(dict.fromkeys((*settings.stop, END)))
    writer = APIJudge(name, replace(settings, stop=stops), template=TEMPLATE)
    writer.budget = budget
    return writer


def feedback_tasks(rows: Iterable[Mapping[str, Any]]) -> list[Task]:
    """Return one task per Preference Collection row; DataError for a row without reference answer or decision.

    >>> row = {"id": "x", "orig_instruction": "Greet.", "orig_response_A": "Hi.", "orig_response_B": "Go away."}
    >>> row |= {"orig_reference_answer": "Hello.", "orig_criteria": "Is it polite?", "orig_preference": "A"}
    >>> "explaining why Response A is better" in feedback_tasks([row])[0].prompt
    True
    """
    tasks = []
    for row in rows:
        item = pair_item(row, pair_id(row))
        prompt = TEMPLATE.render(item, "pairwise", with_reference=True)
        tasks.append(Task(BENCHMARK, item.id, "pairwise", True, "ab", 1, prompt, item))
    return tasks


def estimate_feedback(
    rows: Iterable[Mapping[str, Any]], writer: APIJudge, store: str | Path, decoding: Decoding = DECODING,
    prices: Prices | None = None, answer_tokens: int | None = 300, characters_per_token: float = 4.0,
) -> Estimate:  # fmt: skip
    """Estimate requests, tokens and cost of what the store does not hold yet, before anything is sent.

    Answers are taken to be `answer_tokens` long (the published ones are about 300); None takes the longest allowed.

    >>> from prometheus_lib.data import preference_rows
    >>> writer = feedback_writer("writer", APISettings("my-model", "http://localhost:8000/v1", key_variable=""))
    >>> estimate_feedback(preference_rows(seed=1, instructions=1), writer, "judgments.jsonl").answers
    10
    """
    held = JudgmentStore(store)
    total = Estimate(0, 0, 0, 0, 0, 0.0 if prices else None)
    for block in _blocks(rows):
        missing = [
            task for task in feedback_tasks(block)
            if not held.places.issuperset(task_places(task, writer.fingerprint, decoding))
        ]  # fmt: skip
        total = _sum(total, writer.estimate(missing, decoding, prices, answer_tokens, characters_per_token))
    return total


def _sum(one: Estimate, two: Estimate) -> Estimate:
    names = ("requests", "answers", "prompt_characters", "prompt_tokens", "completion_tokens")
    cost = None if one.cost is None or two.cost is None else one.cost + two.cost
    return Estimate(*(getattr(one, name) + getattr(two, name) for name in names), cost)


@dataclass
class Written:
    """What came of writing: the rows with feedback that can be used, how many texts ended how, and what it cost.

    >>> print(Written([{"orig_feedback": "..."}], Counter(fits=1), cost=0.02).describe())
           1 argues for the response it was told is better
    cost of this run: 0.0200
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    cost: float | None = None

    def describe(self) -> str:
        """Return a few lines for people."""
        lines = [f"{count:>8,} {OUTCOMES[name]}" for name, count in self.outcomes.most_common()]
        return "\n".join([*lines, *([f"cost of this run: {self.cost:.4f}"] if self.cost is not None else [])])


def write_feedback(
    rows: Sequence[Mapping[str, Any]], writer: APIJudge, store: str | Path, decoding: Decoding = DECODING,
    policy: Policy = ONCE,
) -> Written:  # fmt: skip
    """Have feedback written for pairs, as far as the store does not hold it, and return the rows with it.

    A bar shows what is done, how long the rest will take and what this run has cost. `policy` may have texts without a
    conclusion drawn again. Raises DataError as `APIJudge.stream` does (a key that is refused, a server that stays away,
    the cap of the budget): what was written until then is in the store, and `written_feedback` reads it.

    >>> from prometheus_lib.data import preference_rows
    >>> writer = feedback_writer("writer", APISettings("my-model", "http://localhost:8000/v1", key_variable=""))
    >>> written = write_feedback(preference_rows(1, 1), writer, "feedback.jsonl")  # doctest: +SKIP
    """
    decoding = writer.settings.adapted(decoding)
    kept = JudgmentStore(store)
    with progress_bar(total=len(rows), desc="feedback", unit="pair") as bar:

        def report(done: int, tokens: int = 0) -> None:
            if writer.budget:
                bar.set_postfix_str(f"cost {writer.budget.spent(writer.usage):.4f}", refresh=False)
            bar.update(done)

        for block in _blocks(rows):
            once = {(task.item_id, task.prompt): task for task in feedback_tasks(block)}
            report(len(block) - len(once))  # pairs that stand there twice
            collect(writer, once.values(), kept, decoding, report, policy)
    return written_feedback(rows, writer, store, decoding, policy)


def written_feedback(
    rows: Iterable[Mapping[str, Any]], writer: APIJudge, store: str | Path, decoding: Decoding = DECODING,
    policy: Policy = ONCE,
) -> Written:  # fmt: skip
    """Return the rows with the feedback that the store holds; nothing is asked."""
    decoding = writer.settings.adapted(decoding)
    found = _stored(store, writer.name, policy)
    result = Written(cost=writer.budget.spent(writer.usage) if writer.budget else None)
    for block in _blocks(rows):
        for row, task in zip(block, feedback_tasks(block), strict=True):
            status, text = found.get(task_places(task, writer.fingerprint, decoding)[0], ("missing", ""))
            parsed = read_pair_feedback(text)
            name = outcome(status, parsed.decision, parsed.feedback, row["orig_preference"])
            result.outcomes[name] += 1
            if name in KEPT:
                result.rows.append({**row, "orig_feedback": parsed.feedback})
    return result


def outcome(status: str, decision: str | None, feedback: str, preference: str) -> str:
    """Return how a written text ended, as one of OUTCOMES.

    >>> outcome("ok", "B", "Response A greets, Response B does not. So Response B is better.", "A")
    'contradicts'
    """
    if status in ("missing", "truncated"):
        return status
    if not is_feedback(feedback):
        return "no feedback"
    return "unclear" if decision is None else "fits" if decision == preference else "contradicts"


def _stored(store: str | Path, writer: str, policy: Policy) -> dict[tuple[str, str, str], tuple[str, str]]:
    if not Path(store).is_file():
        return {}
    table = load_judgments(store, [writer], policy.label)
    columns = (table[name] for name in ("key", "benchmark", "item_id", "status", "feedback"))
    return {(key.partition(":")[0], *place): (status, text) for key, *place, status, text in zip(*columns, strict=True)}


def _blocks(rows: Iterable[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    rest = iter(rows)
    while block := list(islice(rest, PAIRS_AT_ONCE)):
        yield block
