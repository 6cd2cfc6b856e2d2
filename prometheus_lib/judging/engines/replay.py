"""A judge without a model: recorded answers, of this project or of anyone else, played again.

It goes through `collect` like any other, so every table and analysis that reads judgments treats it alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ... import artifacts
from ...data.decisions import MEANINGS, read_decision
from ...prompts.parsing import PARSERS, SWAPPED, Parser
from ...records import DataError, few, read_jsonl
from ..answers import Completion
from ..judge import Judge
from ..tasks import Decoding, Task


@dataclass(frozen=True)
class Answer:
    """One recorded answer: the text a judge wrote about the prompt as shown, or its decision in the item's A and B."""

    text: str
    decision: int | str | None
    tokens: int = 0
    finished: bool = True


class ReplayJudge(Judge):
    """Answers from recorded judgments or recorded texts, of this project or of anyone else.

    A row has `item_id`, `format`, and either `decision` (1 to `highest`, which is 10 for Auto-J; or "A", "B", "tie" in
    the item's *own* A and B, as in judgment files; in any spelling that `data.read_decision` knows) or `text` (what the
    judge wrote about the prompt *as shown*). It may say `order` ("ab" if it does not), `draw` (0), `benchmark` and
    `with_reference` (any). A judgment file is such a file; a CSV file is read by pandas first. `parsers` read the
    texts; the default is the paper's form.

    >>> from prometheus_lib import judging
    >>> from prometheus_lib.records import PairItem
    >>> judge = ReplayJudge("gpt-4", [{"item_id": "x", "format": "pairwise", "text": "Both greet. [RESULT] B"}])
    >>> tasks = judging.pairwise_tasks("mine", [PairItem("x", "Greet.", "Hi.", "Good morning.", None, "Is it kind?")])
    >>> judge.generate(tasks, judging.Decoding(), 0)[0][0].text
    'Both greet. [RESULT] B'
    """

    engine, in_batches, samples, batch_size = "replay", False, False, 10_000

    def __init__(
        self,
        name: str,
        rows: Iterable[Mapping[str, Any]],
        source: str = "recorded answers",
        parsers: Mapping[str, Parser] = PARSERS,
        highest: int = 5,
    ):
        self.name, self.source, self.parsers, self.highest = name, source, parsers, highest
        self.answers: dict[tuple, Answer] = {}
        for number, row in enumerate(rows, start=1):
            self._add(row, f"{source}, line {number}")
        self.fingerprint, *former = self._fingerprints()
        self.former = tuple(former)

    @classmethod
    def start(cls, name: str, source: str | Path, batch_size: int, bf16: bool = False) -> Judge:
        """Make the judge of the recorded file `source`."""
        return cls.from_file(name, source)

    @classmethod
    def identify(cls, source: str | Path, bf16: bool = False) -> tuple[str, ...]:
        """Return the fingerprint of what is recorded in the file `source`, and former ones."""
        return tuple(cls.from_file("", source)._fingerprints())

    @classmethod
    def from_file(
        cls, name: str, path: str | Path, parsers: Mapping[str, Parser] = PARSERS, highest: int = 5
    ) -> ReplayJudge:
        """Read the rows of a JSON Lines file (also .gz); DataError names the file, the line and what to do."""
        return cls(name, read_jsonl(path), str(path), parsers, highest)

    def check(self, tasks: Sequence[Task], decoding: Decoding) -> None:
        """Raise DataError that names the judgments for which nothing is recorded."""
        wanted = [(task, draw) for task in tasks for draw in range(task.draws)]
        missing = [_label(task, draw) for task, draw in wanted if self._find(task, draw) is None]
        if missing:
            raise DataError(
                f"{self.source}: no answer for {len(missing)} of {len(wanted)} judgments: {few(missing)}; "
                "add these rows, or leave their tasks out."
            )

    def generate(self, tasks: Sequence[Task], decoding: Decoding, seed: int) -> list[list[Completion]]:
        """Return the recorded answers; `decoding` and `seed` change nothing."""
        self.check(tasks, decoding)
        return [[_completion(task, self._find(task, draw)) for draw in range(task.draws)] for task in tasks]

    def _fingerprints(self) -> list[str]:
        """Return what identifies the answers and how they are read.

        How they are read is told by what is read from them; it was once told by the modules that the parsers stand in.
        """
        rows = sorted(self.answers.items(), key=repr)
        content = sorted(map(repr, self.answers.items()))
        readings = [self._read(key[2], answer) for key, answer in rows]
        ways = [readings, *(_module_names(self.parsers, room) for room in ("", "prompts."))]
        return [artifacts.text_hash("replay", content, way) for way in ways]

    def _read(self, format: str, answer: Answer) -> int | str | None:
        parse = self.parsers.get(format)
        return answer.decision if answer.decision is not None or parse is None else parse(answer.text).decision

    def _add(self, row: Mapping[str, Any], where: str) -> None:
        missing = [name for name in ("item_id", "format") if name not in row]
        if missing or not ("decision" in row or "text" in row):
            raise DataError(f"{where}: {' and '.join(missing or ['decision or text'])} missing; complete this row.")
        if row.get("policy", "once") != "once":
            return  # a repaired answer stands beside the first one, which is the judgment
        key = (
            row.get("benchmark"), str(row["item_id"]), row["format"], row.get("with_reference"), row.get("order", "ab"),
            int(row.get("draw", 0)),
        )  # fmt: skip
        answer = _answer(row, where, self.highest)
        if self.answers.setdefault(key, answer) != answer:
            raise DataError(f"{where}: another answer for {row['item_id']!r} stands further up; keep one of them.")

    def _find(self, task: Task, draw: int) -> Answer | None:
        for benchmark in (task.benchmark, None):
            for reference in (task.with_reference, None):
                key = (benchmark, task.item_id, task.format, reference, task.order, draw)
                if key in self.answers:
                    return self.answers[key]
        return None


def _module_names(parsers: Mapping[str, Parser], room: str) -> dict[str, str]:
    """Return each parser's name with its module's, as earlier versions stored it: those of ours have moved since."""
    names = {format: f"{getattr(p, '__module__', '')}.{getattr(p, '__qualname__', p)}" for format, p in parsers.items()}
    return {format: name.replace("prometheus_lib.prompts.", f"prometheus_lib.{room}") for format, name in names.items()}


def _answer(row: Mapping[str, Any], where: str, highest: int) -> Answer:
    if row["format"] not in MEANINGS:
        raise DataError(f"{where}: unknown format {row['format']!r}; write one of {', '.join(MEANINGS)}.")
    try:
        decision = read_decision(row.get("decision"), row["format"], highest=highest)
    except DataError as error:
        more = "; where scores go further, say so with highest=" if highest == 5 and row["format"] == "direct" else ""
        raise DataError(f"{where}: {str(error).rstrip('.')}{more}.") from error
    text = str(row.get("text") or row.get("feedback") or "")
    return Answer(text, decision, int(row.get("tokens") or 0), row.get("status") != "truncated")


def _completion(task: Task, answer: Answer) -> Completion:
    """Return a recorded answer in the terms of the prompt as shown, as a judge would have given it."""
    swapped = SWAPPED.get(answer.decision, answer.decision) if task.order == "ba" else answer.decision
    return Completion(answer.text, answer.tokens, answer.finished, swapped)


def _label(task: Task, draw: int) -> str:
    return f"{task.benchmark}/{task.item_id} ({task.format}, {task.order}, draw {draw})"
