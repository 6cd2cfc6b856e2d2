"""The released collections and benchmark files in small: the miniature world's texts under the real ones' fields."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from prometheus_lib import data, prompts
from prometheus_lib.data import minibench
from prometheus_lib.records import DirectItem, PairItem, Rubric, write_jsonl

Row = dict


def write_released(folder: Path, instructions: int, items: int) -> Path:
    """Write both collections and all nine benchmarks, so many instructions and items of each; return the folder."""
    (folder / "benchmarks").mkdir(parents=True)
    collection = data.feedback_rows(1, instructions)
    (folder / "feedback_collection.json").write_text(json.dumps(collection), encoding="utf-8")
    (folder / "preference_collection").mkdir()
    pairs = pd.DataFrame(data.preference_rows(1, instructions))
    pairs.to_parquet(folder / "preference_collection" / "train-00000-of-00001.parquet")
    for name, (file, make) in FILES.items():
        rows = list(make(minibench.build(f"mini_{name}", 42, 0.1)[:items]))
        path = folder / "benchmarks" / file
        if file.endswith(".jsonl"):
            write_jsonl(path, rows)
        else:
            path.write_text(json.dumps(rows), encoding="utf-8")
    return folder


def prompts_with_scores(items: Iterable[DirectItem]) -> Iterable[Row]:
    """Yield rows as of Vicuna Bench, MT-Bench and FLASK: a whole prompt, with the scores of GPT-4 and of a human."""
    for number, item in enumerate(items):
        scores = [int(draws[0]) for draws in item.scores.values()]
        yield {
            "idx": number,
            "instruction": prompts.render_direct(item, with_reference=True),
            "gpt4_score": [scores[0]] * 3,
            "human_score": [scores[-1]],
        }


def scored(items: Iterable[DirectItem]) -> Iterable[Row]:
    """Yield rows as of Feedback Bench."""
    for item in items:
        yield {
            "orig_instruction": item.instruction,
            "orig_response": item.response,
            "orig_reference_answer": item.reference_answer,
            "orig_score": str(int(next(iter(item.scores.values()))[0])),
            **rubric_fields(item.rubric, "orig_"),
        }


def rubric_fields(rubric: Rubric, prefix: str) -> Row:
    named = {f"{prefix}score{n}_description": text for n, text in enumerate(rubric.descriptions, 1)}
    return {f"{prefix}criteria": rubric.criteria, **named}


def several_raters(items: Iterable[DirectItem]) -> Iterable[Row]:
    """Yield rows as of BiGGen Bench."""
    for number, item in enumerate(items):
        score = int(next(iter(item.scores.values()))[0])
        yield {
            "id": f"task_{number}", "input": item.instruction, "response": item.response, "capability": "grounding",
            "reference_answer": item.reference_answer, "score_rubric": rubric_fields(item.rubric, ""),
            "human_score": score, "gpt4_score": score, "claude_score": score, "response_model_name": "tiny",
        }  # fmt: skip


def chosen_and_rejected(items: Iterable[PairItem]) -> Iterable[Row]:
    """Yield rows as of HHH Alignment and MT-Bench's human votes: two prompts for direct assessment."""
    for number, item in enumerate(items):
        texts = (item.response_a, item.response_b)[:: -1 if item.label == "B" else 1]
        better, worse = (
            DirectItem(item.id, item.instruction, text, item.reference_answer, item.rubric or RUBRIC) for text in texts
        )
        yield {
            "chosen_instruction": prompts.render_direct(better, bool(item.reference_answer)),
            "rejected_instruction": prompts.render_direct(worse, bool(item.reference_answer)),
            "source": ("harmless", "helpful", "honest", "other")[number % 4],
            "tie": int(item.label == "tie"),
        }


RUBRIC = Rubric("Is it right?", tuple(f"It is {how} right." for how in ("never", "hardly", "half", "nearly", "wholly")))


def labelled(items: Iterable[PairItem]) -> Iterable[Row]:
    """Yield rows as of Auto-J Eval."""
    for item in items:
        yield {
            "prompt": item.instruction, "response 1": item.response_a, "response 2": item.response_b,
            "label": ("A", "B", "tie").index(item.label), "scenario": "writing",
        }  # fmt: skip


def preferred(items: Iterable[PairItem]) -> Iterable[Row]:
    """Yield rows as of Preference Bench."""
    for item in items:
        yield {
            **rubric_fields(item.rubric or RUBRIC, "orig_"), "orig_criteria": item.criteria,
            "orig_instruction": item.instruction, "orig_response_A": item.response_a,
            "orig_response_B": item.response_b, "orig_reference_answer": item.reference_answer or "None.",
            "orig_preference": item.label,
        }  # fmt: skip


FILES = {
    "vicuna_bench": ("vicuna_eval.json", prompts_with_scores),
    "mt_bench": ("mt_bench_eval.json", prompts_with_scores),
    "flask": ("flask_eval.json", prompts_with_scores),
    "feedback_bench": ("feedback_bench.jsonl", scored),
    "hhh_alignment": ("hhh_alignment_eval.json", chosen_and_rejected),
    "mt_bench_human": ("mt_bench_human_judgement_eval.json", chosen_and_rejected),
    "autoj_eval": ("autoj_pairwise.json", labelled),
    "preference_bench": ("preference_bench.jsonl", preferred),
    "biggen_bench": ("biggen_bench.jsonl", several_raters),
}
