"""How much there is to train and to judge at a scale, counted on the rows and tasks that the run itself would have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from ..data import direct_example, pairwise_example
from ..data.collections import Example
from ..judging.tasks import Task
from ..prompts import SYSTEM_PROMPTS
from ..records import DataError
from ..scale import Expert, Scale
from ..scale.asked import asked_alike, judging_tasks
from ..training.bases import gguf_of, place_of
from .material import Learned, Material, material_of

SAMPLE = 30  # prompts of one benchmark in one format whose tokens are counted
# Characters of a prompt and of a feedback where no rows are at hand: the mean of Vicuna Bench's 320 prompts and GPT-4's
# 960 feedbacks; for pairs the row of the Preference Collection that its page shows.
TYPICAL = {"direct": (4721, 698), "pairwise": (4906, 1821)}
CHARACTERS = 4.0  # per token, where the tokenizer is not at hand
MARKS = 12  # tokens of a chat template

Count = Callable[[str], float]


@dataclass(frozen=True)
class Lengths:
    """Mean tokens of a training row (of its prompt and its answer) by format, and what they were counted on.

    A prompt that several rows share is computed once where the scale says so, and counts once.

    >>> Lengths({"direct": 400.0}, {"direct": 80.0}, "100 rows").row("direct")
    480.0
    """

    prompt: dict[str, float]
    answer: dict[str, float]
    source: str

    def row(self, format: str) -> float:
        """Return the tokens of a training row."""
        return self.prompt[format] + self.answer[format]


@dataclass(frozen=True)
class Work:
    """Tokens to train on, prompts' tokens to read and answers' tokens to write, judgments, and starts of an engine.

    `longest` are the tokens of the expert that has most: others do not shorten it where each is trained by one worker.

    >>> Work(1000, 10, 5, 1, 1, 100.0, "counted").training
    1000
    """

    training: float
    reading: float
    writing: float
    judgments: float
    starts: int
    length: float  # tokens of a prompt with its answer, in judging
    source: str
    longest: float = 0.0
    row: float = 0.0  # tokens of a row of each format together


def work_of(scale: Scale, look: bool = True) -> Work:
    """Return what a run of a scale has to do; without `look` real texts are taken to be nowhere at hand.

    >>> from prometheus_lib.scale import load_scale
    >>> work_of(load_scale("smoke")).starts
    1
    """
    material, (count, counted) = material_of(scale, look), token_counter(scale.base_model)
    lengths = lengths_of(scale, material, count, counted)
    training = [_training_tokens(scale, expert, lengths, material) for expert in scale.experts]
    prompts, reading, draws = _asked(scale, material, count)
    writing = sum(times * min(lengths.answer[format], scale.decoding.max_new_tokens) for format, times in draws.items())
    merges = len(scale.merge_folders) + len(scale.passing)
    starts = 1 + len(scale.experts) + merges + (1 if scale.in_place and scale.sweep else 0)
    return Work(
        sum(training), reading, writing, sum(draws.values()), starts if scale.engine == "vllm" else 1,
        (reading + writing) / max(1, prompts), lengths.source, max(training), sum(map(lengths.row, TYPICAL)),
    )  # fmt: skip


def _training_tokens(scale: Scale, expert: Expert, lengths: Lengths, material: Material) -> float:
    rows = {format: _rows(scale, expert, format, material.learned[format]) for format in expert.formats}
    return scale.training.epochs * sum(count * lengths.row(format) for format, count in rows.items())


def _rows(scale: Scale, expert: Expert, format: str, learned: Learned) -> float:
    """Return how many rows an expert learns; DataError where more are asked for than the scale will ever have."""
    examples, whole = expert.examples, learned.whole
    if isinstance(examples, int) and examples > whole and learned.made:
        raise DataError(
            f"scale {scale.name}: expert {expert.name!r} is to learn {examples} {format} rows, and there are {whole}; "
            "lower `rows`, or raise `collection_instructions` where rows are made."
        )
    return whole if examples is None else examples if isinstance(examples, int) else examples * whole


# --- lengths ---------------------------------------------------------------------------------------------------------


def lengths_of(scale: Scale, material: Material, count: Count, counted: str) -> Lengths:
    """Return mean lengths in tokens of rows to learn from; typical ones where they are not at hand.

    `count` counts a text's tokens, and `counted` says how.
    """
    if not all(each.rows for each in material.learned.values()):
        prompts = {format: _typical(format) for format in TYPICAL}
        answers = {format: answer / CHARACTERS + 1 for format, (_, answer) in TYPICAL.items()}
        return Lengths(prompts, answers, f"typical lengths, {CHARACTERS:.0f} characters per token")
    prompts, answers = {}, {}
    for format, learned in material.learned.items():
        examples = _examples(scale, format, learned)
        shown = [SYSTEM_PROMPTS[format] + "\n\n" + each.prompt for each in examples]
        computed = set(shown) if scale.training.share_prompts else shown
        prompts[format] = sum(map(count, computed)) / len(examples)
        answers[format] = mean(count(each.completion) for each in examples) + 1
    sources = " and ".join(dict.fromkeys(each.source for each in material.learned.values()))
    return Lengths(prompts, answers, f"{sources}, {counted}")


def _examples(scale: Scale, format: str, learned: Learned) -> list[Example]:
    if format == "direct":
        return [direct_example(row) for row in learned.rows]
    return [pairwise_example(row, scale.pairwise_with_reference) for row in learned.rows]


def _typical(format: str) -> float:
    return (len(SYSTEM_PROMPTS[format]) + TYPICAL[format][0]) / CHARACTERS + MARKS


def token_counter(base: str) -> tuple[Count, str]:
    """Return a function that counts a text's tokens, and how it does: by the model's tokenizer where it is at hand."""
    file = _tokenizer_file(base)
    if file is None:
        return lambda text: len(text) / CHARACTERS, f"{CHARACTERS:.0f} characters per token"
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(file))
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids), "the model's tokenizer"


def _tokenizer_file(base: str) -> Path | None:
    """Return a model's tokenizer.json where it is on this machine; nothing is fetched.

    It is in the model's folder, in the hub's cache, or where the model's GGUF file was converted to.
    """
    from huggingface_hub import try_to_load_from_cache

    name, _, revision = base.partition("@")
    gguf = gguf_of(base)
    if Path(base).is_dir():
        found = Path(base) / "tokenizer.json"
    elif gguf is not None and gguf.is_file():
        found = place_of(gguf) / "tokenizer.json"
    else:
        cached = try_to_load_from_cache(name, "tokenizer.json", revision=revision or None)
        return Path(cached) if isinstance(cached, str) else None
    return found if found.is_file() else None


# --- judgments -------------------------------------------------------------------------------------------------------


def _asked(scale: Scale, material: Material, count: Count) -> tuple[float, float, Counter[str]]:
    """Return over all judges the number of prompts, the tokens of these, and the judgments by format."""
    kinds = Counter(asked_alike(scale, judge) for judge in scale.judges)
    prompts, reading, draws = 0.0, 0.0, Counter()
    lengths: dict[tuple[str, str], float] = {}
    for judge in scale.judges:
        judges = kinds.pop(asked_alike(scale, judge), 0)  # judges that are asked the same count together
        asked = judging_tasks(scale, judge, material.items) if judges else []
        for (benchmark, format), tasks in _apart(asked).items():
            if (benchmark, format) not in lengths:
                lengths[benchmark, format] = _prompt_tokens(tasks, material, count)
            times = judges * material.stand_ins.get(benchmark, 1)
            prompts += times * len(tasks)
            reading += times * len(tasks) * lengths[benchmark, format]
            draws[format] += times * sum(task.draws for task in tasks)
    return prompts, reading, draws


def _apart(tasks: Iterable[Task]) -> dict[tuple[str, str], list[Task]]:
    """Return tasks by their benchmark and format."""
    found: dict[tuple[str, str], list[Task]] = {}
    for task in tasks:
        found.setdefault((task.benchmark, task.format), []).append(task)
    return found


def _prompt_tokens(tasks: Sequence[Task], material: Material, count: Count) -> float:
    """Return the mean tokens of a benchmark's prompts; studies take texts of several benchmarks."""
    benchmark, format = tasks[0].benchmark, tasks[0].format
    if benchmark in material.stand_ins or (benchmark not in material.items and material.stand_ins):
        return _typical(format)
    sample = tasks[:: max(1, len(tasks) // SAMPLE)]
    return mean(count(SYSTEM_PROMPTS[format] + "\n\n" + task.prompt) for task in sample)
