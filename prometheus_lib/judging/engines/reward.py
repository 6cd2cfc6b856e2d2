"""Judges that write no feedback: reward models, which score each response, and pair rankers, which compare two.

UltraRM's kind is a language model with one number at its last token; PairRM's kind is an encoder that reads the
instruction and both responses at once (Table 4). Neither sees a rubric or a reference answer, and neither scores from 1
to 5, so they rank pairs only. The decision is the higher number; equal numbers are no decision, and the text says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ... import artifacts
from ...prompts.injection import neutralise, special_tokens
from ...prompts.wording import shown
from ...records import DataError, few
from ..answers import Completion
from ..formats import best_device
from ..judge import Judge
from ..tasks import Decoding, Task
from .writing import check_lengths, check_whole_model, context_of

# How a reward model reads an instruction and a response. UltraRM's card gives the first; its examples are written like
# the second. "chat" is the chat template of the model's own tokenizer.
LAYOUTS = {
    "ultrarm": "Human: {instruction}\n\nAssistant: {response}",
    "ultrarm-examples": "Human: {instruction}\nAssistant: {response}",
    "chat": "",
}
TURNS = ("Human", "Assistant")  # a line of a response that opens with one would be a turn in the plain layouts


class RewardModelJudge(Judge):
    """A reward model: any sequence classification model with one logit, or UltraRM's released layout.

    Loads whatever `AutoModelForSequenceClassification` loads. DataError when the folder has no such head (it would be
    made up at random), or more than one logit.

    >>> from prometheus_lib import judging
    >>> judge = judging.RewardModelJudge("rm", "path/to/a/reward/model", layout="chat")  # doctest: +SKIP
    """

    engine, in_batches, samples = "reward", False, False

    def __init__(
        self, name: str, folder: str | Path, batch_size: int = 32, bf16: bool = False, layout: str = "ultrarm"
    ):
        if layout not in LAYOUTS:
            raise DataError(f"unknown layout {layout!r}; choose one of {', '.join(LAYOUTS)}.")
        from transformers import AutoModelForSequenceClassification

        self.name, self.batch_size, self.layout = name, batch_size, layout
        self.tokenizer = _load_tokenizer(folder)
        if layout == "chat" and self.tokenizer.chat_template is None:
            raise DataError(f"{folder}: the tokenizer has no chat template; choose another layout.")
        # UltraRM calls its head by another name; under the usual one it is a LlamaForSequenceClassification.
        names = {r"^regression_head\.": "score."}
        self.model = _load_model(AutoModelForSequenceClassification, folder, bf16, num_labels=1, key_mapping=names)
        self.pad = _padding(self.model, self.tokenizer)
        (self.fingerprint,) = self.identify(folder, bf16, layout)

    @classmethod
    def identify(cls, source: str | Path, bf16: bool = False, layout: str = "ultrarm") -> tuple[str, ...]:
        """Return the fingerprint of a model folder that is read in a layout, without loading it."""
        return (artifacts.text_hash(artifacts.model_fingerprint(source), layout, bf16, TURNS),)

    def check(self, tasks: Sequence[Task], decoding: Decoding) -> None:
        """Raise DataError for direct assessment, and for items that do not fit into the model's context (named)."""
        rows = self._tokenise([text for task in tasks for text in self._texts(task)])
        longer = [max(pair, key=len) for pair in zip(rows[::2], rows[1::2], strict=True)]
        check_lengths(tasks, longer, context_of(self.model.config))

    def generate(self, tasks: Sequence[Task], decoding: Decoding, seed: int) -> list[list[Completion]]:
        """Return a decision for every task, the same for each draw; `decoding` and `seed` change nothing."""
        self.check(tasks, decoding)
        pairs = [self._texts(task) for task in tasks]
        texts = list(dict.fromkeys(text for pair in pairs for text in pair))  # equal texts get equal rewards
        rewards = dict(zip(texts, self.rewards(texts), strict=True))
        return [[_scored(rewards[a], rewards[b])] * task.draws for task, (a, b) in zip(tasks, pairs, strict=True)]

    def rewards(self, texts: Sequence[str]) -> list[float]:
        """Return one reward per rendered text (see `LAYOUTS`)."""
        return _bucketed(self._tokenise(texts), self.batch_size, self._forward)

    def _forward(self, rows: Sequence[list[int]]) -> list[float]:
        import torch

        with torch.inference_mode():
            return self.model(**_padded(rows, self.pad, self.model.device)).logits[:, 0].float().tolist()

    def _texts(self, task: Task) -> tuple[str, str]:
        turns = () if self.layout == "chat" else TURNS
        instruction, first, second = _pair_of(task, self.tokenizer, turns)
        return self._render(instruction, first), self._render(instruction, second)

    def _render(self, instruction: str, response: str) -> str:
        if self.layout != "chat":
            return LAYOUTS[self.layout].format(instruction=instruction, response=response)
        turns = [{"role": "user", "content": instruction}, {"role": "assistant", "content": response}]
        return self.tokenizer.apply_chat_template(turns, tokenize=False)

    def _tokenise(self, texts: Sequence[str]) -> list[list[int]]:
        """A chat template writes its own special tokens; the plain layouts take those of the tokenizer."""
        return self.tokenizer(list(texts), add_special_tokens=self.layout != "chat")["input_ids"] if texts else []


# PairRM's parts, each with the token that opens it, and how many tokens its release lets them have.
MARKERS = ("<|source|>", "<|candidate1|>", "<|candidate2|>")
SOURCE_TOKENS, PAIR_TOKENS = 1224, 2048


class PairRankerJudge(Judge):
    """A pair ranker of PairRM's kind: one reading of instruction and both responses, one number in favour of the first.

    With `both_orders` (as the release compares) each pair is read in both orders and the mean counts, so position has
    no say. Items that are longer than the release reads are refused, unless `shorten` says to cut them as it does: the
    end of the instruction, and the end of each response; then the text of the judgment says so.

    >>> from prometheus_lib import judging
    >>> judge = judging.PairRankerJudge("pair-rm", "llm-blender/PairRM-hf", shorten=True)  # doctest: +SKIP
    """

    engine, in_batches, samples = "pair-ranker", False, False

    def __init__(
        self,
        name: str,
        folder: str | Path,
        batch_size: int = 32,
        bf16: bool = False,
        both_orders: bool = True,
        shorten: bool = False,
    ):
        self.name, self.batch_size, self.both_orders, self.shorten = name, batch_size, both_orders, shorten
        self.tokenizer = _load_tokenizer(folder)
        self.model = _load_model(_pair_ranker_class(), folder, bf16)
        self.markers = [self.tokenizer.convert_tokens_to_ids(marker) for marker in MARKERS]
        unknown = [m for m, i in zip(MARKERS, self.markers) if i in (None, self.tokenizer.unk_token_id)]
        if unknown:
            raise DataError(f"{folder}: the tokenizer does not know {', '.join(unknown)}; give a pair ranker's folder.")
        self.pad = _padding(self.model, self.tokenizer)
        (self.fingerprint,) = self.identify(folder, bf16, both_orders, shorten)

    @classmethod
    def identify(
        cls, source: str | Path, bf16: bool = False, both_orders: bool = True, shorten: bool = False
    ) -> tuple[str, ...]:
        """Return the fingerprint of a model folder that compares in this way, without loading it."""
        return (artifacts.text_hash(artifacts.model_fingerprint(source), both_orders, shorten, bf16),)

    def check(self, tasks: Sequence[Task], decoding: Decoding) -> None:
        """Raise DataError for direct assessment, and for items longer than the release reads (named)."""
        long = [
            f"{task.benchmark}/{task.item_id} ({sum(map(len, parts))} tokens)"
            for task, parts in zip(tasks, self._parts(tasks), strict=True)
            if _cut(parts) != parts
        ]
        if long and not self.shorten:
            raise DataError(
                f"{len(long)} pairs are longer than a pair ranker reads ({SOURCE_TOKENS} tokens of instruction, "
                f"{PAIR_TOKENS} in all): {few(long)}; leave them out, or take shorten=True."
            )

    def generate(self, tasks: Sequence[Task], decoding: Decoding, seed: int) -> list[list[Completion]]:
        """Return a decision for every task, the same for each draw; `decoding` and `seed` change nothing."""
        self.check(tasks, decoding)
        parts = self._parts(tasks)
        read = [_cut(part) for part in parts]
        favours = self.favours(read)
        notes = ["" if one == whole else " (shortened)" for one, whole in zip(read, parts, strict=True)]
        return [[_compared(*row)] * task.draws for task, *row in zip(tasks, favours, notes, strict=True)]

    def favours(self, parts: Sequence[Sequence[list[int]]]) -> list[float]:
        """Return one number per tokenised (instruction, first, second): above 0 the first response is better."""
        rows = [source + first + second for source, first, second in parts]
        if not self.both_orders:
            return _bucketed(rows, self.batch_size, self._forward)
        swapped = [source + self._as(1, second) + self._as(2, first) for source, first, second in parts]
        found = _bucketed(rows + swapped, self.batch_size, self._forward)
        return [(one - other) / 2 for one, other in zip(found[: len(rows)], found[len(rows) :], strict=True)]

    def _forward(self, rows: Sequence[list[int]]) -> list[float]:
        import torch

        with torch.inference_mode():
            return self.model(**_padded(rows, self.pad, self.model.device), markers=self.markers).float().tolist()

    def _parts(self, tasks: Sequence[Task]) -> list[list[list[int]]]:
        """Tokenise every task's instruction and two responses, each behind its marker."""
        texts = [
            marker + text
            for task in tasks
            for marker, text in zip(MARKERS, _pair_of(task, self.tokenizer), strict=True)
        ]
        rows = self.tokenizer(texts)["input_ids"] if texts else []
        return [list(rows[start : start + 3]) for start in range(0, len(rows), 3)]

    def _as(self, place: int, row: list[int]) -> list[int]:
        """Return a response's tokens with the marker of the other place."""
        return [self.markers[place] if token in self.markers else token for token in row]


def _pair_ranker_class() -> type:
    """Return PairRM's model: an encoder whose tokens at the markers are compared two by two by a small network."""
    import torch
    from torch import nn
    from transformers import DebertaV2Model, DebertaV2PreTrainedModel

    class PairRanker(DebertaV2PreTrainedModel):
        def __init__(self, config):
            super().__init__(config)
            width = config.hidden_size
            # The names under which the released weights are stored; the places 0 and 3 are dropout, for training only.
            self.pretrained_model = DebertaV2Model(config)
            layers = (nn.Identity(), nn.Linear(2 * width, width), nn.Tanh(), nn.Identity(), nn.Linear(width, 1))
            self.head_layer = nn.Sequential(*layers)
            self.post_init()

        def forward(self, input_ids, attention_mask, markers):
            hidden = self.pretrained_model(input_ids, attention_mask=attention_mask).last_hidden_state
            rows = torch.arange(len(input_ids), device=input_ids.device)
            source, first, second = (hidden[rows, (input_ids == marker).int().argmax(1)] for marker in markers)
            better, worse = (self.head_layer(torch.cat([source, one], -1)) for one in (first, second))
            return (better - worse)[:, 0]

    return PairRanker


# --- what both share -------------------------------------------------------------------------------------------------


def _load_tokenizer(folder: str | Path) -> Any:
    from transformers import AutoTokenizer

    check_whole_model(folder)
    return AutoTokenizer.from_pretrained(folder)


def _load_model(kind: Any, folder: str | Path, bf16: bool, **options: Any) -> Any:
    """Load a model for reading; DataError when its weights are not all in the folder."""
    import torch
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    dtype = torch.bfloat16 if bf16 else torch.float32
    try:
        model, found = kind.from_pretrained(folder, dtype=dtype, output_loading_info=True, **options)
    except RuntimeError as error:
        raise DataError(f"{folder}: not a judge with one number per text ({error}).") from error
    if found["missing_keys"] or found["mismatched_keys"]:
        names = sorted(map(str, [*found["missing_keys"], *found["mismatched_keys"]]))
        raise DataError(
            f"{folder}: the weights {', '.join(names[:3])} are missing or of another shape; give the folder of a "
            "reward model with one logit or of a pair ranker, not that of a plain language model."
        )
    return model.to(best_device()).eval()


def _padding(model: Any, tokenizer: Any) -> int:
    """Return the token to pad with, and tell the model, which looks for the last token that is another one."""
    candidates = (model.config.pad_token_id, tokenizer.pad_token_id, tokenizer.unk_token_id, tokenizer.eos_token_id)
    model.config.pad_token_id = next(token for token in (*candidates, 0) if token is not None)
    return model.config.pad_token_id


def _padded(rows: Sequence[list[int]], pad: int, device: Any) -> dict[str, Any]:
    """Return `input_ids` and `attention_mask` of shape (rows, longest), padded on the right."""
    import torch

    longest = max(map(len, rows))
    ids = torch.tensor([row + [pad] * (longest - len(row)) for row in rows], device=device)
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows], device=device)
    return {"input_ids": ids, "attention_mask": mask}


def _bucketed(
    rows: Sequence[list[int]], batch_size: int, forward: Callable[[Sequence[list[int]]], list[float]]
) -> list[float]:
    """Run rows of similar length together, and return the results in the order of the rows."""
    places = sorted(range(len(rows)), key=lambda place: len(rows[place]))
    result = [0.0] * len(rows)
    for start in range(0, len(places), batch_size):
        batch = places[start : start + batch_size]
        for place, value in zip(batch, forward([rows[place] for place in batch]), strict=True):
            result[place] = value
    return result


def _pair_of(task: Task, tokenizer: Any, turns: Sequence[str] = ()) -> tuple[str, str, str]:
    """Return instruction, first and second response as shown, without tokens of the model's own in them.

    A response opens no turn of one of the speakers `turns`; an instruction may, as real dialogues do (HHH), and it is
    the same for both. DataError for a task that is not a pair.
    """
    if task.format != "pairwise":
        raise DataError(
            f"{task.benchmark}/{task.item_id}: reward models and pair rankers give no score from 1 to 5; ask them for "
            "pairwise ranking only."
        )
    if task.item is None:
        raise DataError(f"task {task.benchmark}/{task.item_id} does not carry its item; make tasks with `tasks_for`.")
    own = (*special_tokens(tokenizer), *MARKERS)
    first, second = (neutralise(text, own, turns) for text in shown(task.item, task.order))
    return neutralise(task.item.instruction, own), first, second


def _cut(parts: Sequence[list[int]]) -> list[list[int]]:
    """Cut instruction and responses as PairRM's release does; the last token of each part (its end) stays."""
    source = _shortened(parts[0], SOURCE_TOKENS)
    room = (PAIR_TOKENS - len(source)) // 2
    return [source, *[_shortened(response, room) for response in parts[1:]]]


def _shortened(row: list[int], limit: int) -> list[int]:
    return row if len(row) <= limit else [*row[: limit - 1], row[-1]]


def _scored(first: float, second: float) -> Completion:
    equal = ": equal rewards, no decision" if first == second else ""
    return Completion(f"reward {first:.4f} against {second:.4f}{equal}", 0, True, _higher(first - second))


def _compared(favour: float, note: str) -> Completion:
    equal = ": equal, no decision" if favour == 0 else ""
    return Completion(f"{favour:+.4f} for the first{equal}{note}", 0, True, _higher(favour))


def _higher(difference: float) -> str | None:
    return None if difference == 0 else ("A" if difference > 0 else "B")
