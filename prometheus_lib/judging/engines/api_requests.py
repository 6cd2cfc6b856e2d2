"""The requests of an API judge: sent together, tried again, read, and explained when they fail.

Requests are separate and asynchronous, at most `requests_at_once` at a time, in a thread with an event loop of its
own, so it works the same in a script and in a notebook.
"""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import math
import random
import re
import sys
import threading
import time
import warnings
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import openai

from ...records import DataError, few
from ..judge import Completion, Found
from ..tasks import MENUS, Decoding, Task
from .api_settings import read_key
from .api_usage import Usage

if TYPE_CHECKING:
    from .api import APIJudge

LONGEST_PAUSE = 60.0  # seconds between two attempts that the server said nothing about
LONGEST_WAIT = 600.0  # seconds that a server may ask to wait; beyond that the user should know
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
    for place, found in _arriving(_Run(judge, decoding), questions):
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
            except _Stopped:
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


class _Stopped(Exception):
    """Another request has failed for good, so this one is not sent again."""


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
    """The requests of one call: they share a client, and what the server said about waiting."""

    def __init__(self, judge: APIJudge, decoding: Decoding):
        self.judge, self.settings, self.decoding = judge, judge.settings, decoding
        self.client = openai.AsyncOpenAI(
            api_key=read_key(judge.settings) or "none", base_url=self.settings.base_url,
            timeout=self.settings.timeout, max_retries=0,
        )  # fmt: skip
        self.not_before, self.next_begin, self.stopped = 0.0, 0.0, False

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
        except openai.APIStatusError as error:
            if verdict(error) == "too long":
                raise _TooLong from None
            self.stopped = True
            raise DataError(f"judge {self.judge.name!r}, {question}: {self._explained(error)}") from None
        except DataError:
            self.stopped = True
            raise

    async def _draws(self, question: Question, first: int) -> list[Completion]:
        """Ask for all draws that are missing, or for one where the server takes no n."""
        n = question.task.draws - first if self.judge.takes_n else 1
        try:
            return await self._patiently(question, first, n)
        except openai.APIStatusError as error:
            if n == 1 or error.status_code not in (400, 422) or verdict(error) != "never":
                raise
        found = await self._patiently(question, first, 1)
        self.judge.takes_n = False  # it was n that the server refused
        return found

    async def _patiently(self, question: Question, first: int, n: int) -> list[Completion]:
        """Send one request until it is answered, `attempts` times at most."""
        parameters = self._parameters(question, first, n)
        last: Exception | None = None
        for attempt in range(self.settings.attempts):
            await self._turn(question, attempt, last)
            try:
                answer = await self.client.chat.completions.create(**parameters)
                return completions(answer, n, self.judge.usage)
            except (openai.APIError, ValueError) as error:
                if verdict(error) == "withheld":
                    return [Completion(WITHHELD, 0, True)] * n
                if verdict(error) != "later":
                    raise
                last = error
        raise DataError(
            f"judge {self.judge.name!r}, {question}: no answer after {self.settings.attempts} attempts; the last time: "
            f"{self._explained(last)} All answers before it have been handed over; start again to go on."
        )

    async def _turn(self, question: Question, attempt: int, last: Exception | None) -> None:
        """Wait as long as the server or the back-off says, with jitter so that requests do not return together."""
        asked = retry_after(last.response.headers) if isinstance(last, openai.APIStatusError) else None
        if asked is not None and asked > LONGEST_WAIT:
            raise DataError(
                f"judge {self.judge.name!r}, {question}: the server asks to wait {asked:.0f} seconds; start again then."
            )
        if asked:
            self.not_before = max(self.not_before, time.monotonic() + asked)
        elif attempt:  # a server that asks for no wait at all is not asked again at once either
            await asyncio.sleep(back_off(attempt, self.settings.first_pause))
        while (left := self.not_before - time.monotonic()) > 0:
            await asyncio.sleep(left + random.random() * self.settings.first_pause)
        await self._paced()
        if attempt and self.stopped:
            raise _Stopped

    async def _paced(self) -> None:
        """Keep to the requests per minute: every request, sent again or not, takes the next place in the line."""
        if self.settings.requests_per_minute:
            begin = max(self.next_begin, time.monotonic())
            self.next_begin = begin + 60 / self.settings.requests_per_minute
            await asyncio.sleep(begin - time.monotonic())

    def _parameters(self, question: Question, first: int, n: int) -> dict[str, Any]:
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
        chat = self.judge.messages(question.task)
        if question.begun is not None:
            chat.append({"role": "assistant", "content": question.begun})
            extra |= _continuation(question.task)
        return {
            "model": settings.model, "messages": chat, settings.token_limit: decoding.max_new_tokens, **sent,
            "extra_body": extra,
        }  # fmt: skip

    def _explained(self, error: Exception | None) -> str:
        """Say what went wrong and what to do, without the key (servers repeat it in their messages)."""
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


def _message(error: Exception | None) -> str:
    body = getattr(error, "body", None)
    said = body.get("message") if isinstance(body, dict) else None
    cause = f" ({error.__cause__})" if isinstance(error, openai.APIConnectionError) and error.__cause__ else ""
    return str(said or error).rstrip(".") + cause


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a server asks to wait (Retry-After-Ms, Retry-After as a number or a date), or None."""
    for name, unit in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        with contextlib.suppress(KeyError, ValueError):
            seconds = float(headers[name]) * unit
            return max(0.0, seconds) if math.isfinite(seconds) else None
    date = email.utils.parsedate_tz(headers.get("retry-after", ""))
    return max(0.0, email.utils.mktime_tz(date) - time.time()) if date else None


def back_off(attempt: int, first_pause: float) -> float:
    """Return the seconds before the next attempt: doubling, bounded, and between half and the whole at random."""
    return min(LONGEST_PAUSE, first_pause * 2 ** (attempt - 1)) * random.uniform(0.5, 1.0)
