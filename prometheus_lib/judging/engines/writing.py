"""What judges that write have in common: prompts as tokens, their lengths, a verdict for a given feedback, seeds."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ... import artifacts
from ...prompts.chat import chat_ids, check_chat_template, render_chat
from ...prompts.injection import escape_tokens, special_tokens, unknown_tokens
from ...prompts.parsing import MARKER, last_marker
from ...prompts.templates import PROMETHEUS, Template
from ...prompts.thoughts import answer_start, opened_thoughts, with_thoughts_closed
from ...records import DataError, few
from ..tasks import Task, check_texts, seed_from


def voice(tokenizer: Any, fingerprint: str, template: Template, chat: str | None) -> str:
    """Give a tokenizer without chat template the one in `chat`; return the fingerprint of a judge with this voice.

    Another chat template than the tokenizer's own, or a system message of the family's own, makes another fingerprint,
    because other prompts are other judgments. DataError when there is no chat template at all.
    """
    own = tokenizer.chat_template
    tokenizer.chat_template = own or chat
    check_chat_template(tokenizer)
    spoken = _spoken(tokenizer.chat_template, template)
    return fingerprint if spoken == own else artifacts.text_hash(fingerprint, spoken)


def _spoken(chat: str, template: Template) -> str:
    """Return the chat template that says a family's system message: what judgments of the family are stored under."""
    if template.system is None:
        return chat
    opening = json.dumps(template.messages("", "direct")[:-1])
    rest = "(messages | rejectattr('role', 'equalto', 'system') | list)"
    return f"{{% set messages = {opening} + {rest} %}}{chat}"


def prompt_ids(tokenizer: Any, tasks: Sequence[Task], template: Template = PROMETHEUS) -> list[list[int]]:
    """Tokenise prompts as in training, in the voice of the template.

    A judged text cannot bring control tokens of the tokenizer's own either: those that rendering does not know are
    escaped here. DataError when the tokenizer does not say how a conversation is written.
    """
    check_texts(tasks)
    own = unknown_tokens(tokenizer)
    texts = [render_chat(tokenizer, escape_tokens(task.prompt, own), task.format, template) for task in tasks]
    return chat_ids(tokenizer, texts)


def check_whole_model(folder: str | Path) -> None:
    """Raise DataError for a model folder that lacks something, or that holds a LoRA adapter.

    transformers would load such a folder's base from wherever it was trained, and not say so.
    """
    if (Path(folder) / "adapter_config.json").is_file():
        raise DataError(
            f"{folder}: this folder holds a LoRA adapter (adapter_config.json), which is a judge with its base model "
            "only; judge a folder into which both are folded (PEFT's merge_and_unload), without that file."
        )
    artifacts.check_base_model(folder)


def context_of(config: Any) -> int | None:
    """Return how many tokens a model can read, prompt and answer together; None where its configuration has no limit.

    Models that also see have the settings of their language model apart (Gemma 3); some read any length (Mamba, Bloom).
    """
    text = config.get_text_config()
    names = ("max_position_embeddings", "max_seq_len")  # the second is MPT's
    found = (getattr(text, name, None) or 0 for name in names)
    return next((most for most in found if most > 0), None)  # XLNet says -1 for any length


def begun_thoughts(tokenizer: Any, template: Template) -> str:
    """Return the mark by which the chat template opens a judge's thoughts, or "" where it opens none.

    Its texts are kept with that mark, so that a cut one shows that it was still thinking. "" also where the mark that
    closes thoughts is a control token: it would be missing from every text.
    """
    if any(answer_start(token) for token in special_tokens(tokenizer)):
        return ""
    return opened_thoughts(render_chat(tokenizer, "", "direct", template))


def longer(tasks: Sequence[Task], ids: Sequence[Sequence[int]], limit: int | None) -> list[Task]:
    """Return the tasks whose prompts have more than `limit` tokens (None: any length will do)."""
    return [task for task, row in zip(tasks, ids, strict=True) if limit is not None and len(row) > limit]


def check_lengths(tasks: Sequence[Task], ids: Sequence[Sequence[int]], limit: int | None) -> None:
    """Raise DataError that names the items whose prompts have more than `limit` tokens (None: any length will do)."""
    if limit is None:
        return
    if limit < 1:
        raise DataError("the new tokens asked for leave no room for a prompt in the model's context; ask for fewer.")
    long = [f"{task.benchmark}/{task.item_id} ({len(row)} tokens)" for task, row in zip(tasks, ids) if len(row) > limit]
    if long:
        raise DataError(
            f"{len(long)} prompts are longer than {limit} tokens: {few(long)}; "
            "leave these items out, or ask for fewer new tokens."
        )


def finished_text(text: str, decision: str) -> str:
    """Return an answer with its verdict, if it holds one, replaced by this decision; open thoughts are closed.

    >>> finished_text("Half of it is right. [RESULT] 9", "3")
    'Half of it is right. [RESULT] 3'
    """
    return f"{with_thoughts_closed(_feedback(text)).rstrip()} {MARKER} {decision}"


def _feedback(text: str) -> str:
    """Return what comes before a verdict; a verdict inside thoughts is none."""
    marker = last_marker(text)
    return text[: marker.start()] if marker else text


def candidate_ids(
    tokenizer: Any, ids: Sequence[int], text: str, menu: Sequence[str], limit: int | None, begun: str = ""
) -> tuple[list[int], list[int]]:
    """Return the tokens of prompt and feedback up to the decision, and the token of each decision on the menu.

    `begun` is what the text begins with and the prompt ends with (`begun_thoughts`).
    What is more than `limit` tokens is taken off the feedback's end (an answer that filled the model's context leaves
    no room for a verdict). DataError when two decisions begin with the same token.
    """
    answers = [finished_text(text, decision).removeprefix(begun) for decision in menu]
    rows = tokenizer(answers, add_special_tokens=False)["input_ids"]
    shared = len(os.path.commonprefix(rows))
    candidates = [row[shared] for row in rows]
    if len(set(candidates)) < len(menu):
        raise DataError(f"this tokenizer cannot tell the decisions {list(menu)} apart by one token.")
    over = 0 if limit is None else len(ids) + shared - limit
    feedback = tokenizer(_feedback(text), add_special_tokens=False)["input_ids"] if over > 0 else []
    if not feedback:
        return [*ids, *rows[0][:shared]], candidates
    return candidate_ids(tokenizer, ids, tokenizer.decode(feedback[:-over]), menu, limit, begun)


def task_seeds(tasks: Sequence[Task], seed: int) -> list[int]:
    """Return one seed per task: from its prompt and its item, and from how often both came before in this list.

    So a draw depends neither on its neighbours nor on the order nor on what was judged before a stop. Two items with
    one prompt are drawn apart, and so is an item that is asked again for several failed draws.
    """
    seen: Counter[tuple[str, ...]] = Counter()
    seeds = []
    for task in tasks:
        place = (task.prompt, task.benchmark, task.item_id, task.order)
        seeds.append(seed_from(seed, *place, seen[place]))
        seen[place] += 1
    return seeds
