"""What a judge is: a base class with defaults for everything but the answers themselves.

An engine is a subclass in one file of `engines`, entered once in `engines.ENGINES`. `collecting.collect` does the rest:
prompts, parsing, storing, going on after a stop.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from numbers import Real
from pathlib import Path
from typing import Any, ClassVar

from .. import artifacts
from ..prompts.parsing import PARSERS, SWAPPED, Parsed, Parser
from ..records import DataError, Judgment
from .answers import Completion, read_answer
from .formats import number_format
from .store import TOO_LONG
from .tasks import Decoding, Task, batches, prompt_hash, seed_from

Found = list[tuple[int, list[Completion]]]  # answers that are ready together: (place of the task, its draws)


class Judge:
    """A judge: it answers tasks. Only `generate` must be written; `name` and `fingerprint` are set when it is made.

    `fingerprint` identifies everything behind the answers but prompt and decoding: equal fingerprints, equal judgments.
    `batch_size` counts sequences that are generated together, `parsers` read the texts of each format, and `finishes`
    tells whether `finish` can add a verdict to a given feedback.

    A judge of your own is a few lines; everything that collects, stores and reads judgments takes it:

    >>> from prometheus_lib import judging
    >>> class Critic(judging.Judge):
    ...     name, fingerprint = "critic", "critic, version 1"
    ...     def generate(self, tasks, decoding, seed):
    ...         texts = [f"It has {len(task.item.response)} letters. [RESULT] 2" for task in tasks]
    ...         return [[judging.Completion(text, 9, True)] * task.draws for task, text in zip(tasks, texts)]
    >>> from prometheus_lib.data import minibench
    >>> tasks = judging.direct_tasks("mini_flask", minibench.build("mini_flask", 1, 0.1)[:3], True, draws=1)
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = judging.JudgmentStore(f"{folder}/critic.jsonl")
    ...     added = judging.collect(Critic(), tasks, store, judging.Decoding())
    ...     judging.judgments_of(Critic(), tasks, store, judging.Decoding())["decision"].tolist()
    [2, 2, 2]
    """

    engine: ClassVar[str] = ""  # its name in `engines.ENGINES`
    writes: ClassVar[bool] = False  # whether it writes feedback to the prompt it is given, as language models do
    isolated: ClassVar[bool] = False  # whether a job of several judges needs a process for each
    samples: ClassVar[bool] = True  # whether the same question may be answered otherwise the next time
    in_batches: ClassVar[bool] = True  # whether a sampled answer depends on what is generated beside it
    stored_together: ClassVar[int] = 1  # how many tasks are waited for before their judgments are written

    name: str
    fingerprint: str
    former: tuple[str, ...] = ()  # fingerprints under which its answers may have been stored
    batch_size: int = 32
    parsers: Mapping[str, Parser] = PARSERS
    finishes: bool = False

    @classmethod
    def start(cls, name: str, source: str | Path, batch_size: int, bf16: bool = False, **engine: Any) -> Judge:
        """Make a judge from its source: a model folder or a hub name, unless the engine says otherwise.

        `engine` are the settings that `fitted` gave.
        """
        return cls(name, source, batch_size, bf16, **engine)

    @classmethod
    def fitted(cls, source: str | Path, tasks: Sequence[Task], decoding: Decoding) -> dict[str, Any]:
        """Return settings of the engine that are made for what it will be asked; by default there are none."""
        return {}

    @classmethod
    def has_room(cls, source: str | Path, tasks: Sequence[Task], decoding: Decoding) -> bool:
        """Tell, without starting anything, whether one of these tasks, recorded as too long, would fit now.

        By default none does: where only the model says how much it reads, another limit is another fingerprint.
        """
        return False

    @classmethod
    def identify(cls, source: str | Path, bf16: bool = False) -> tuple[str, ...]:
        """Return the fingerprint that `start` would give, and former ones, without starting anything."""
        return (artifacts.judge_fingerprint(source, number_format(bf16)),)

    def settle(self, stored: Collection[str]) -> None:
        """Take the former fingerprint that answers are stored under, if they are not under the present one."""
        self.fingerprint = settled((self.fingerprint, *self.former), stored)

    def check(self, tasks: Sequence[Task], decoding: Decoding) -> None:
        """Raise DataError for tasks that this judge cannot answer, before anything is generated."""

    def too_long(self, tasks: Sequence[Task], decoding: Decoding) -> list[Task]:
        """Return the tasks whose prompts leave no room for an answer; by default any length will do."""
        return []

    def generate(self, tasks: Sequence[Task], decoding: Decoding, seed: int) -> list[list[Completion]]:
        """Return every task's draws, in the order of the tasks; all of them have the same number of draws."""
        raise NotImplementedError

    def stream(self, tasks: Sequence[Task], decoding: Decoding, seed: int) -> Iterator[Found]:
        """Yield answers as they become ready, in any order; by default batch by batch, each seeded by its prompts."""
        places = {id(task): place for place, task in enumerate(tasks)}
        for batch in batches(tasks, self.batch_size):
            found = self.generate(batch, decoding, seed_from(seed, [task.prompt for task in batch]))
            self._check_draws(batch, found)
            yield [(places[id(task)], draws) for task, draws in zip(batch, found, strict=True)]

    def finish(self, tasks: Sequence[Task], texts: Sequence[str], decoding: Decoding, seed: int) -> list[Completion]:
        """Add "[RESULT]" and a decision from the menu to each given feedback, where the judge `finishes`."""
        raise DataError(f"judge {self.name!r} cannot finish a given feedback; choose the policy once or redraw.")

    def _check_draws(self, batch: Sequence[Task], found: Sequence[Sequence[Completion]]) -> None:
        """Raise DataError when a judge returned other answers than it was asked for: they would go to other tasks."""
        wanted, given = [task.draws for task in batch], [len(draws) for draws in found]
        if wanted != given:
            raise DataError(
                f"judge {self.name!r}: generate returned {given[:5]} answers for tasks that ask for {wanted[:5]}; "
                "return each task's draws, in the order of the tasks."
            )

    def probabilities(self, tasks: Sequence[Task], texts: Sequence[str]) -> list[list[float]]:
        """Return how probable each decision of the menu is behind each given feedback, where the engine tells.

        One row per task, in the order of `MENUS`: what the tokens of the decisions have, put to a sum of one.
        """
        raise DataError(
            f"judge {self.name!r} does not tell how probable its decisions are: models that transformers runs here do."
        )

    @staticmethod
    def in_order(arriving: Iterator[Found], count: int) -> list[list[Completion]]:
        """Wait for the answers to `count` tasks and return each one's draws, in the order of the tasks."""
        found = {place: draws for ready in arriving for place, draws in ready}
        return [found[place] for place in range(count)]

    def close(self) -> None:
        """Give back an engine's memory or a connection; by default there is nothing to give back."""


def settled(fingerprints: Sequence[str], stored: Collection[str]) -> str:
    """Return the first fingerprint that is among those stored, or, where none is, the first.

    >>> settled(("new", "old"), {"old", "another"}), settled(("new", "old"), ())
    ('old', 'new')
    """
    return next((each for each in fingerprints if each in stored), fingerprints[0])


def judgments(judge: Judge, task: Task, keys: Sequence[str], completions: Sequence[Completion]) -> list[Judgment]:
    """Parse a task's completions into judgments; pairwise decisions are mapped back to the item's own A and B.

    An answer without a decision keeps its whole text.

    >>> class Critic(Judge):
    ...     name, fingerprint = "j", "f"
    >>> task = Task("b", "1", "pairwise", False, "ba", 1, "prompt")  # response B is shown as Response A
    >>> judgments(Critic(), task, ["key"], [Completion("Better. [RESULT] A", 5, True)])[0].decision
    'B'
    """
    result = []
    for draw, (key, completion) in enumerate(zip(keys, completions, strict=True)):
        read = read_answer(completion, judge.parsers[task.format])
        decision = _plain(judge, read.decision)
        decision = SWAPPED.get(decision, decision) if task.order == "ba" else decision
        result.append(_judgment(judge, task, key, draw, replace(read, decision=decision), 1, completion.tokens))
    return result


def not_asked(judge: Judge, task: Task, keys: Sequence[str]) -> list[Judgment]:
    """Return what is recorded of a task whose prompt does not fit: no decision, no answer, status "too long".

    >>> class Critic(Judge):
    ...     name, fingerprint = "j", "f"
    >>> [each.status for each in not_asked(Critic(), Task("b", "1", "direct", False, "ab", 2, "prompt"), ["k1", "k2"])]
    ['too long', 'too long']
    """
    return [_judgment(judge, task, key, draw, Parsed(None, "", TOO_LONG), 0, 0) for draw, key in enumerate(keys)]


def _judgment(judge: Judge, task: Task, key: str, draw: int, read: Parsed, attempts: int, tokens: int) -> Judgment:
    return Judgment(
        judge.name, judge.fingerprint, task.benchmark, task.item_id, task.format, task.with_reference,
        task.order, draw, read.decision, read.feedback, read.status, attempts, tokens, key,
        prompt_hash=prompt_hash(task.prompt),
    )  # fmt: skip


def _plain(judge: Judge, decision: Any) -> int | str | None:
    """A decision as files hold it: a judge of one's own may give numpy's numbers, or 4.0."""
    if decision is None or decision in ("A", "B", "tie"):
        return decision
    if isinstance(decision, Real) and not isinstance(decision, bool) and decision == int(decision):
        return int(decision)
    raise DataError(f'judge {judge.name!r}: its decision is {decision!r}; give a whole score, "A", "B", "tie" or None.')
