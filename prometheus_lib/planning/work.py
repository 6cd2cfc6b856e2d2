"""How much there is to train and to judge at a scale, counted from samples of rows and items."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from statistics import mean

from .. import pipeline
from ..data import direct_example, feedback_rows, minibench, pairwise_example, preference_rows
from ..data.catalogue import BENCHMARKS
from ..prompts import SYSTEM_PROMPTS
from ..scale import Expert, Scale

# Rows of the published collections, and items of the paper's benchmarks (Table 2; BiGGen Bench: rows of `human_eval`).
COLLECTIONS = {"direct": 99_952, "pairwise": 199_760}
SIZES = {
    "vicuna_bench": 320, "mt_bench": 320, "flask": 2000, "feedback_bench": 1000, "hhh_alignment": 221,
    "mt_bench_human": 3360, "autoj_eval": 1392, "preference_bench": 2000, "biggen_bench": 2780,
}  # fmt: skip
SAMPLE = 0.05  # of each benchmark, to count what is asked about an item
ROWS = 40  # of each collection
# Characters of a prompt and of a feedback where no rows are at hand: the mean of Vicuna Bench's 320 prompts and GPT-4's
# 960 feedbacks; for pairs the row of the Preference Collection that its page shows.
TYPICAL = {"direct": (4721, 698), "pairwise": (4906, 1821)}
CHARACTERS = 4.0  # per token, where the tokenizer is not at hand
MARKS = 12  # tokens of a chat template


@dataclass(frozen=True)
class Lengths:
    """Mean tokens of a prompt and of an answer, by format, and what they were counted on.

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


def work_of(scale: Scale) -> Work:
    """Return what a run of a scale has to do, estimated from samples.

    >>> from prometheus_lib.scale import load_scale
    >>> work_of(load_scale("smoke")).starts
    1
    """
    lengths = lengths_of(scale)
    training = sum(_training_tokens(expert, lengths) for expert in scale.experts) * scale.training.epochs
    prompts, draws = _asked(scale)
    reading = sum(count * lengths.prompt[format] for format, count in prompts.items())
    writing = sum(count * lengths.answer[format] for format, count in draws.items())
    judgments = sum(draws.values())
    merges = len(scale.merge_folders) + len(scale.passing)
    starts = 1 + len(scale.experts) + merges + (1 if scale.in_place and scale.sweep else 0)
    length = (reading + writing) / max(1, sum(prompts.values()))
    starts = starts if scale.engine == "vllm" else 1
    return Work(training, reading, writing, judgments, starts, length, lengths.source)


def _training_tokens(expert: Expert, lengths: Lengths) -> float:
    return sum(_rows(expert.examples, format) * lengths.row(format) for format in expert.formats)


def _rows(examples: int | float | None, format: str) -> float:
    whole = COLLECTIONS[format]
    return whole if examples is None else examples if isinstance(examples, int) else examples * whole


# --- lengths ---------------------------------------------------------------------------------------------------------


def lengths_of(scale: Scale) -> Lengths:
    """Return mean lengths in tokens: of made rows in the miniature, of a run's collected rows, or typical ones."""
    count, counted = token_counter(scale.base_model)
    sample, source = _sample(scale)
    if sample is None:
        characters = {
            format: (len(SYSTEM_PROMPTS[format]) + prompt, answer) for format, (prompt, answer) in TYPICAL.items()
        }
        tokens = {f: (prompt / CHARACTERS, answer / CHARACTERS) for f, (prompt, answer) in characters.items()}
    else:
        tokens = {
            format: (
                mean(count(SYSTEM_PROMPTS[format] + "\n\n" + e.prompt) for e in rows),
                mean(count(e.completion) for e in rows),
            )
            for format, rows in sample.items()
        }
        source = f"{source}, {counted}"
    prompts = {format: prompt + MARKS * (sample is None) for format, (prompt, _) in tokens.items()}
    return Lengths(prompts, {format: answer + 1 for format, (_, answer) in tokens.items()}, source)


def _sample(scale: Scale) -> tuple[dict | None, str]:
    if scale.miniature:
        rows = {"direct": feedback_rows(1, ROWS // 5), "pairwise": preference_rows(1, ROWS // 10)}
    else:
        files = {"direct": scale.paths.rows("feedback"), "pairwise": scale.paths.rows("preference")}
        if not all(file.is_file() for file in files.values()):
            return None, f"typical lengths, {CHARACTERS:.0f} characters per token"
        rows = {format: _first_rows(file) for format, file in files.items()}
    examples = {
        "direct": [direct_example(row) for row in rows["direct"]],
        "pairwise": [pairwise_example(row, scale.pairwise_with_reference) for row in rows["pairwise"]],
    }
    return examples, f"{len(examples['direct'])} and {len(examples['pairwise'])} rows"


def _first_rows(file: Path) -> list[dict[str, str]]:
    with open(file, encoding="utf-8") as stream:
        return [json.loads(line) for line in islice(stream, ROWS)]


def token_counter(base: str) -> tuple[Callable[[str], float], str]:
    """Return a function that counts a text's tokens, and how it does: by the model's tokenizer where it is at hand."""
    file = _tokenizer_file(base)
    if file is None:
        return lambda text: len(text) / CHARACTERS, f"{CHARACTERS:.0f} characters per token"
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(file))
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids), "the model's tokenizer"


def _tokenizer_file(base: str) -> Path | None:
    """Return a model's tokenizer.json: in its folder, or in the hub's cache on this machine; nothing is fetched."""
    if Path(base).is_dir():
        file = Path(base) / "tokenizer.json"
        return file if file.is_file() else None
    from huggingface_hub import try_to_load_from_cache

    name, _, revision = base.partition("@")
    found = (
        None if base.endswith(".gguf") else try_to_load_from_cache(name, "tokenizer.json", revision=revision or None)
    )
    return Path(found) if isinstance(found, str) else None


# --- judgments -------------------------------------------------------------------------------------------------------


def _asked(scale: Scale) -> tuple[dict[str, float], dict[str, float]]:
    """Return the number of prompts and of judgments by format, over all judges.

    A part of each benchmark's items is made (of the miniature, whatever the scale) and what is asked about it counted.
    """
    items = {name: minibench.build(f"mini_{name}", scale.seed, SAMPLE) for name in BENCHMARKS}
    weight = {scale.benchmark_name(name): _size(scale, name) / len(found) for name, found in items.items()}
    small = replace(scale, benchmark_share=SAMPLE, sample_share=1.0)
    known = {scale.benchmark_name(name): found for name, found in items.items()}
    prompts, draws = {"direct": 0.0, "pairwise": 0.0}, {"direct": 0.0, "pairwise": 0.0}
    counted: dict = {}
    for judge in scale.judges:
        kind = pipeline.asked_alike(scale, judge)
        if kind not in counted:
            counted[kind] = pipeline.judging_tasks(small, judge, known)
        share = scale.sample_share if judge in scale.sampled else 1.0
        for task in counted[kind]:
            times = share * weight.get(task.benchmark, scale.benchmark_share / SAMPLE)
            prompts[task.format] += times
            draws[task.format] += times * task.draws
    return prompts, draws


def _size(scale: Scale, name: str) -> float:
    """Return how many items a benchmark has at a scale."""
    if not scale.miniature:
        return SIZES[name]
    made = minibench.MINIATURES[f"mini_{name}"]
    return made.per_instruction * max(2, round(made.instructions * scale.benchmark_share))
