"""The requests of an API judge: sent together, tried again, read, and explained when they fail.

Requests are separate and asynchronous, at most `requests_at_once` at a time, in a thread with an event loop of its
own, so it works the same in a script and in a notebook.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import sys
import threading
import time
import warnings
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import openai

from ...records import DataError, few
from ..answers import Completion
from ..judge import Found
from ..tasks import MENUS, Decoding, Task
from .api_settings import read_key
from .api_usage import Usage

if TYPE_CHECKING:
    from .api import APIJudge

_GO_ON = "All answers before it have been handed over; start again to go on."
WITHHELD = "(The server's content filter withheld this answer.)"
NAMED = 20  # items that a message names

_TOO_LONG = re.compile(
    r"context.?(length|window)|maximum model length|max_model_len|prompt is too long|too many (input )?tokens", re.I
)
_BROKEN_OFF = (None, "abort", "error")


def ask(judge: APIJudge, questions: Sequence[Question], decoding: Decoding) -> Iterator[Found]:
    """Yield answers one by one as they arrive; raises as `APIJudge.stream` says, after everything that was answered."""
    too_long: list[Task] = []
    failures: list[DataError] = []
    with contextlib.closing(_arriving(_Run(judge, decoding), questions)) as arriving:
        for place, found in arriving:
            if isinstance(found, DataError):
                failures.append(found)
            elif isinstance(found, _TooLong):
                too_long.append(questions[place].task)
            else:
                yield [(place, found)]
    _warn_of_changes(judge)
    if failures:
        raise failures[0]
    if too_long:
        raise _too_long(judge, too_long)


def _arriving(run: _Run, questions: Sequence[Question]) -> Iterator[tuple[int, list[Completion] | Exception]]:
    """Yield (place of the question, its draws, or why there are none) as the requests end."""
    waiting = deque(enumerate(questions))
    running: dict[Future, int] = {}
    with _background_loop(run.client.close) as loop:
        # Requests are begun from here, so that none is sent when nobody takes the answers any more.
        while True:
            while waiting and not run.stopped and len(running) < run.settings.requests_at_once:
                if not run.affords(waiting[0][1], running.values(), questions):
                    break
                place, question = waiting.popleft()
                running[asyncio.run_coroutine_threadsafe(run.answers(question), loop)] = place
            if not running:
                break
            done = next(iter(wait(running, return_when=FIRST_COMPLETED).done))
            place = running.pop(done)
            try:
                yield place, run.paid(questions[place], done.result())
            except CancelledError:  # another request has failed for good, so this one was not sent again
                continue
            except (_TooLong, DataError) as error:
                yield place, error
    if waiting and not run.stopped:
        yield waiting[0][0], run.beyond_cap(len(waiting))


def _too_long(judge: APIJudge, tasks: Sequence[Task]) -> DataError:
    names = few(sorted(f"{task.benchmark}/{task.item_id}" for task in tasks), NAMED)
    return DataError(
        f"judge {judge.name!r}: {len(tasks)} prompts do not fit into the model's context: {names}; "
        "leave them out or lower max_new_tokens. All other answers have been handed over."
    )


def _warn_of_changes(judge: APIJudge) -> None:
    models = sorted({model for model, _ in judge.usage.served})
    if len(models) > 1:
        warnings.warn(
            f"judge {judge.name!r}: the server answered as {' and '.join(models)}: the model behind the name "
            f"{judge.settings.model!r} has changed; use a dated name.",
            stacklevel=4,
        )


# --- one run ---------------------------------------------------------------------------------------------------------


class _TooLong(Exception):
    """The prompt does not fit into the model's context."""


@dataclass(frozen=True)
class Question:
    """A task, the seed of its first draw, and an answer to go on with, if one was begun."""

    task: Task
    seed: int
    begun: str | None = None

    def __str__(self) -> str:
        return f"{self.task.format} {self.task.benchmark}/{self.task.item_id}"


class _Run:
    """The requests of one call: they share a client and what was learned about the server.

    Requests that fail for a while are sent again by `openai`'s client, which also keeps to the waits that servers ask
    for (Retry-After).
    """

    def __init__(self, judge: APIJudge, decoding: Decoding):
        self.judge, self.settings, self.decoding = judge, judge.settings, decoding
        hooks = {"request": [self._sending], "response": [self._arrived]}
        self.client = openai.AsyncOpenAI(
            api_key=read_key(judge.settings) or "none", base_url=self.settings.base_url,
            timeout=self.settings.timeout, max_retries=self.settings.attempts - 1,
            http_client=openai.DefaultAsyncHttpxClient(event_hooks=hooks),
        )  # fmt: skip
        self.reached = self.stopped = self.told = False
        self.next_begin = 0.0

    async def _sending(self, request: Any) -> None:
        """Called before each attempt: it keeps its place in the line, and is not made after a stop.

        Nobody waits in silence for a wrong address.
        """
        await self._paced()
        again = _attempt(request) > 1
        if again and self.stopped:
            raise asyncio.CancelledError
        if again and not self.reached and not self.told:
            self.told = True
            left = self.settings.attempts - 1
            warnings.warn(
                f"judge {self.judge.name!r}: {self.settings.base_url} has not answered; {left} more attempts follow.",
                stacklevel=2,
            )

    async def _arrived(self, response: Any) -> None:
        self.reached = True

    async def _paced(self) -> None:
        """Keep to the requests per minute: every request, sent again or not, takes the next place in the line."""
        if self.settings.requests_per_minute:
            begin = max(self.next_begin, time.monotonic())
            self.next_begin = begin + 60 / self.settings.requests_per_minute
            await asyncio.sleep(begin - time.monotonic())

    def affords(self, question: Question, running: Iterable[int], questions: Sequence[Question]) -> bool:
        """Tell whether the judge's budget allows a further request, beside those under way."""
        budget = self.judge.budget
        under_way = sum(self._worst(questions[place]) for place in running) if budget else 0.0
        return budget is None or budget.allows(self.judge.usage, under_way, self._worst(question))

    def _worst(self, question: Question) -> float:
        estimate = self.judge.estimate([question.task], self.decoding)
        return self.judge.budget.worst(estimate.prompt_characters, estimate.completion_tokens)

    def paid(self, question: Question, found: list[Completion]) -> list[Completion]:
        """Return a question's answers, and note their worst cost where the server did not report any tokens."""
        if self.judge.budget and not any(completion.tokens for completion in found):
            self.judge.budget.unreported += self._worst(question)
        return found

    def beyond_cap(self, left: int) -> DataError:
        """Say that the run has stopped at its cap."""
        budget = self.judge.budget
        return DataError(
            f"judge {self.judge.name!r}: the cap of {budget.cap:.2f} is reached ({budget.spent(self.judge.usage):.4f} "
            f"spent in this run, {left:,} prompts left). All answers so far have been handed over; raise the cap and "
            "start again to go on."
        )

    async def answers(self, question: Question) -> list[Completion]:
        """Return a task's draws; a failure that would meet every other request as well stops the run."""
        try:
            found: list[Completion] = []
            while len(found) < question.task.draws:
                found += await self._draws(question, len(found))
            return found
        except openai.APIError as error:
            if verdict(error) == "too long":
                raise _TooLong from None
            self.stopped = True
            raise DataError(f"judge {self.judge.name!r}, {question}: {self._explained(error)}") from None
        except DataError:
            self.stopped = True
            raise

    async def _draws(self, question: Question, first: int) -> list[Completion]:
        """Ask for all draws that are missing, in the plainest form that the server has been found to need.

        A request that it refuses is sent again with the system prompt in the user's message, then for one draw at a
        time. What helped is remembered: the first for the judge (`APIJudge.join_system`), the second for the server.
        """
        n = question.task.draws - first if self.judge.takes_n else 1
        refused: openai.APIStatusError | None = None
        for count, joined in self._forms(n):
            role = self.judge.settings.system_role and not joined
            try:
                found = await self._whole(question, first, count, joined)
            except openai.APIStatusError as error:
                if not refuses_form(error):
                    raise
                refused = refused or error
                continue
            if role and not self.judge.settings.system_role:
                return []  # asked before another request was refused: what is stored must have been asked alike
            self.judge.system_heard = role
            if joined:
                self.judge.join_system(self._reason(refused).rstrip("."))
            if count < n:
                self.judge.takes_n = False
            return found
        assert refused is not None
        raise refused

    def _forms(self, n: int) -> list[tuple[int, bool]]:
        """Return (draws in one request, system prompt in the user's message) in the order in which they are tried."""
        known = self.judge.system_heard or not self.judge.settings.system_role
        counts, ways = dict.fromkeys((n, 1)), (False,) if known else (False, True)
        return [(count, joined) for count in counts for joined in ways]

    async def _whole(self, question: Question, first: int, n: int, joined: bool) -> list[Completion]:
        """Send a request until the answer is whole, `attempts` times at most."""
        parameters = self._parameters(question, first, n, joined)
        broken: Exception | None = None
        for attempt in range(self.settings.attempts):
            try:
                return completions(await self.client.chat.completions.create(**parameters), n, self.judge.usage)
            except (openai.APIResponseValidationError, ValueError) as error:
                broken = error
            except openai.APIError as error:
                if verdict(error) == "withheld":
                    return [Completion(WITHHELD, 0, True)] * n
                raise
            await asyncio.sleep(min(8.0, 0.5 * 2**attempt))
            if self.stopped:
                raise asyncio.CancelledError
        raise DataError(
            f"judge {self.judge.name!r}, {question}: {_tries(self.settings.attempts)} {self._reason(broken)} {_GO_ON}"
        )

    def _parameters(self, question: Question, first: int, n: int, joined: bool) -> dict[str, Any]:
        """Return what one request sends. Draw i has the seed plus i, as vLLM counts on within a request for n draws."""
        settings, decoding = self.settings, self.decoding
        known = {"temperature": decoding.temperature, "top_p": decoding.top_p, "seed": question.seed + first}
        sent = {name: value for name, value in known.items() if name in settings.sends}
        extra = dict(settings.extra_body)
        if "repetition_penalty" in settings.sends:
            extra["repetition_penalty"] = decoding.repetition_penalty
        if n > 1:
            sent["n"] = n
        if settings.stop:
            sent["stop"] = list(settings.stop)
        chat = self.judge.messages(question.task, joined)
        if question.begun is not None:
            chat.append({"role": "assistant", "content": question.begun})
            extra |= _continuation(question.task)
        return {
            "model": settings.model, "messages": chat, settings.token_limit: decoding.max_new_tokens, **sent,
            "extra_body": extra,
        }  # fmt: skip

    def _explained(self, error: openai.APIError) -> str:
        """Say that a request was refused, or how often it was tried, and what to do."""
        if verdict(error) != "later":
            return self._reason(error)
        tries = _attempt(error.request)
        wait = error.response.headers.get("retry-after") if isinstance(error, openai.APIStatusError) else None
        if wait and tries < self.settings.attempts:
            return f"the server asks to wait {wait} seconds ({self._reason(error)[:-1]}); start again then."
        return f"{_tries(tries)} {self._reason(error)} {_GO_ON}"

    def _reason(self, error: Exception | None) -> str:
        """Say what went wrong, without the key (servers repeat it in their messages)."""
        settings, status = self.settings, getattr(error, "status_code", None)
        if status in (401, 403):
            which = f"the key in {settings.key_variable}" if settings.key_variable else "requests without a key"
            return f"{settings.host} refused {which} ({status})."
        text = re.sub(r"\s+", " ", _message(error))
        if key := read_key(settings):
            text = text.replace(key, "***")
        if status == 404:
            return f"{settings.host} does not know the model {settings.model!r} or this base_url (404: {text[:300]})."
        return f"{status or settings.host}: {text[:300]}."


def _attempt(request: Any) -> int:
    """Return how often the client has sent this request, from 1."""
    return 1 + int(request.headers.get("x-stainless-retry-count", 0))


def _tries(count: int) -> str:
    return f"no answer after {count} attempts; the last time:"


@contextlib.contextmanager
def _background_loop(close: Callable[[], Awaitable[None]]) -> Iterator[asyncio.AbstractEventLoop]:
    """Run an event loop in a thread (a notebook's own is busy running the cell); at the end cancel what is left."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="api-judge", daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        if not sys.is_finalizing():  # an interpreter that ends has stopped the thread: nobody would answer
            asyncio.run_coroutine_threadsafe(_end(close), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()


async def _end(close: Callable[[], Awaitable[None]]) -> None:
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)
    await close()


# --- requests and answers --------------------------------------------------------------------------------------------


def _continuation(task: Task) -> dict[str, Any]:
    """Return vLLM's parameters for going on with the last message, with a decision from the menu."""
    choices = [f" {decision}" for decision in MENUS[task.format]]
    return {
        "add_generation_prompt": False, "continue_final_message": True, "structured_outputs": {"choice": choices},
    }  # fmt: skip


def completions(answer: Any, n: int, usage: Usage) -> list[Completion]:
    """Return at most `n` completions of a server's answer and count what it took.

    Servers report tokens per request: with several choices the total is divided by the lengths of the texts, so that
    the sum is exact and the parts are estimates. What a content filter withheld holds no decision. Raises ValueError
    when the answer is not whole.
    """
    choices = getattr(answer, "choices", None)
    if not isinstance(choices, list) or not choices or not all(map(_is_whole, choices)):
        raise ValueError("an answer that is no chat completion, or one that the server broke off")
    texts = [_text(choice) for choice in choices]
    tokens = shares(usage.add(answer), [len(text) for text in texts])
    ends = [choice.finish_reason not in ("length", "max_tokens") for choice in choices]
    return [Completion(*one) for one in zip(texts, tokens, ends, strict=True)][:n]


def _is_whole(choice: Any) -> bool:
    message = getattr(choice, "message", None)
    content = getattr(message, "content", None)
    return message and getattr(choice, "finish_reason", None) not in _BROKEN_OFF and isinstance(content, str | None)


def _text(choice: Any) -> str:
    if choice.finish_reason == "content_filter":
        return WITHHELD
    return choice.message.content or getattr(choice.message, "refusal", None) or ""


def shares(total: int, lengths: Sequence[int]) -> list[int]:
    """Divide a total by lengths; the parts are whole numbers and sum to the total."""
    bounds = list(accumulate(length + 1 for length in lengths))
    marks = [0, *(round(total * bound / bounds[-1]) for bound in bounds)]
    return [end - start for start, end in zip(marks, marks[1:])]


# --- failures --------------------------------------------------------------------------------------------------------


def verdict(error: Exception) -> str:
    """Say what a failed request means: "later" (ask again), "too long", "withheld" (by a filter) or "never"."""
    if not isinstance(error, openai.APIStatusError):
        return "later"
    code, status = str(error.code), error.status_code
    if "content_filter" in code or "content_policy" in code:
        return "withheld"
    if status in (400, 413, 422) and _TOO_LONG.search(f"{code} {_message(error)}"):
        return "too long"
    temporary = status in (408, 409, 425, 429) or status >= 500
    return "later" if temporary and code != "insufficient_quota" else "never"


def refuses_form(error: openai.APIStatusError) -> bool:
    """Tell whether a server may have refused how a request is made, not what it says.

    Servers answer 400 or 422; some let the chat template's error through as one of their own.
    """
    template = error.status_code == 500 and re.search(r"\brole|template", _message(error), re.I)
    return verdict(error) == "never" and error.status_code in (400, 422) or bool(template)


def _message(error: Exception | None) -> str:
    body = getattr(error, "body", None)
    said = body.get("message") if isinstance(body, dict) else None
    cause = f" ({error.__cause__})" if isinstance(error, openai.APIConnectionError) and error.__cause__ else ""
    return str(said or error).rstrip(".") + cause
