"""A judge behind an OpenAI-compatible API: OpenAI's own, Claude's compatible endpoint, `vllm serve`, and others.

Each answer is handed over as soon as it is there: what has been paid for is stored, whatever happens to the others.
`api_requests` sends the requests; only there the package `openai` is loaded.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from ... import artifacts
from ...prompts.chat import joined
from ...prompts.templates import PROMETHEUS, Template
from ...records import DataError
from ..answers import Completion
from ..judge import Found, Judge
from ..tasks import Decoding, Task, check_texts
from .api_settings import NEUTRAL, APISettings, load_settings, read_key
from .api_usage import Budget, Estimate, Prices, Usage
from .writing import finished_text, task_seeds

FINISH_TOKENS = 8  # room for a decision from the menu


class APIJudge(Judge):
    """A judge behind an OpenAI-compatible API, asked and read by the template of its family.

    `batch_size` only matters for answers that are drawn again or finished. With a `budget` no request is begun that
    could go beyond its cap; the run then stops with a DataError, and goes on when it is started again.

    >>> from prometheus_lib.judging import SERVERS, Decoding, Prices, Task
    >>> judge = APIJudge("mine", replace(SERVERS["vllm"], model="my-model", base_url="http://localhost:8000/v1"))
    >>> task = Task("b", "1", "direct", False, "ab", 3, "###Task Description: ...")
    >>> judge.estimate([task], Decoding(), Prices(prompt=1.0, completion=2.0), answer_tokens=300).requests
    1
    """

    engine, writes, in_batches = "api", True, False

    def __init__(self, name: str, settings: APISettings, batch_size: int = 32, template: Template = PROMETHEUS):
        self.name, self.settings, self.batch_size, self.template = name, settings, batch_size, template
        self.parsers, self.finishes = template.parsers, settings.continues
        self.fingerprint, *former = (self._identified(each) for each in forms(settings))
        self.former = tuple(former)
        self.usage = Usage()
        self.budget: Budget | None = None
        self.takes_n, self.system_heard = "n" in settings.sends, False
        read_key(settings)

    @classmethod
    def start(cls, name: str, source: str | Path, batch_size: int, bf16: bool = False) -> Judge:
        """Make the judge that the file `source` describes (see `api_settings.load_settings`)."""
        return cls(name, load_settings(source), batch_size)

    @classmethod
    def identify(cls, source: str | Path, bf16: bool = False) -> tuple[str, ...]:
        """Return the fingerprint of the judge that the file `source` describes, without a key."""
        return tuple(each.fingerprint for each in forms(load_settings(source)))

    def _identified(self, settings: APISettings) -> str:
        """The prompt is part of every judgment's key, a system message of the family's own is not."""
        own = self.template.system
        return settings.fingerprint if own is None else artifacts.text_hash(settings.fingerprint, own)

    def settle(self, stored: Collection[str]) -> None:
        """Ask in the form in which answers are stored already: with a system message, or with one message only."""
        super().settle(stored)
        self.settings = next(each for each in forms(self.settings) if self._identified(each) == self.fingerprint)

    def join_system(self, why: str) -> None:
        """From now on the system prompt opens the user's message; the fingerprint says so. Warns the first time."""
        if not self.settings.system_role:
            return
        self.settings = replace(self.settings, system_role=False)
        self.fingerprint, self.former = self._identified(self.settings), ()
        warnings.warn(
            f"judge {self.name!r}: {self.settings.host} takes no system message ({why}); from here on the system "
            "prompt opens the user's message, as in training, and the judge's fingerprint says so.",
            stacklevel=2,
        )

    def check(self, tasks: Sequence[Task], decoding: Decoding) -> None:
        """Raise DataError when the decoding asks for what the server does not take, or a text cannot be sent."""
        check_texts(tasks)
        adapted = self.settings.adapted(decoding)
        lost = [name for name in NEUTRAL if getattr(adapted, name) != getattr(decoding, name)]
        if lost:
            raise DataError(
                f"judge {self.name!r}: its server takes no {' and no '.join(lost)}; collect with "
                "judge.settings.adapted(decoding), which sets them to 1.0, or name them in the settings' `sends`."
            )

    def generate(self, tasks: Sequence[Task], decoding: Decoding, seed: int) -> list[list[Completion]]:
        """Return every task's draws, in order; raises as `stream` does, and then returns nothing."""
        return self.in_order(self.stream(tasks, decoding, seed), len(tasks))

    def stream(self, tasks: Sequence[Task], decoding: Decoding, seed: int) -> Iterator[Found]:
        """Yield answers as they arrive, one by one: every answer is paid for, so it is stored at once.

        Raises DataError at the end, after everything that was answered: it names all prompts that do not fit into the
        model's context, or the item whose request failed for good (no request is begun after that).
        """
        from .api_requests import Question, ask

        self.check(tasks, decoding)
        yield from ask(self, [Question(*one) for one in zip(tasks, task_seeds(tasks, seed), strict=True)], decoding)

    def finish(self, tasks: Sequence[Task], texts: Sequence[str], decoding: Decoding, seed: int) -> list[Completion]:
        """Continue each feedback with "[RESULT]" and a decision from the menu, drawn at the decoding's temperature.

        Raises DataError where the server cannot go on with a text, and as `stream` does.
        """
        if not self.settings.continues:
            return super().finish(tasks, texts, decoding, seed)
        from .api_requests import Question, ask

        self.check(tasks, decoding)
        begun = [finished_text(text, "").rstrip() for text in texts]
        plain = replace(decoding, top_p=1.0, repetition_penalty=1.0, max_new_tokens=FINISH_TOKENS)
        questions = [Question(*one) for one in zip(tasks, task_seeds(tasks, seed), begun, strict=True)]
        found = self.in_order(ask(self, questions, plain), len(questions))
        return [replace(draws[0], text=text + draws[0].text) for text, draws in zip(begun, found, strict=True)]

    def estimate(
        self,
        tasks: Sequence[Task],
        decoding: Decoding,
        prices: Prices | None = None,
        answer_tokens: int | None = None,
        characters_per_token: float = 4.0,
    ) -> Estimate:
        """Estimate requests, tokens and cost before anything is sent, without failures that are tried again.

        Characters per token depend on the tokenizer (4 is a rule of thumb for English). Answers are taken to be
        `answer_tokens` long; by default as long as they may be, which gives an upper bound.
        """
        requests = [1 if self.takes_n else task.draws for task in tasks]
        lengths = [sum(len(message["content"]) for message in self.messages(task)) for task in tasks]
        characters = sum(n * length for n, length in zip(requests, lengths, strict=True))
        answers = sum(task.draws for task in tasks)
        prompt_tokens = math.ceil(characters / characters_per_token)
        tokens = answers * (answer_tokens or decoding.max_new_tokens)
        cost = prices.cost(prompt_tokens, tokens) if prices else None
        return Estimate(sum(requests), answers, characters, prompt_tokens, tokens, cost)

    def messages(self, task: Task, one: bool = False) -> list[dict[str, str]]:
        """Return the chat that asks a task; as `one` message, or without a system role, joined as in training."""
        chat = self.template.messages(task.prompt, task.format)
        return joined(chat) if one or not self.settings.system_role else chat


def forms(settings: APISettings) -> tuple[APISettings, ...]:
    """Return the settings, and those for a server that turns out to take no system message."""
    return (settings, replace(settings, system_role=False)) if settings.system_role else (settings,)
