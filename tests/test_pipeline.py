"""What the notebooks run at every scale, where it meets data that it cannot use."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from released_files import prompts_with_scores

from prometheus_lib import judging, pipeline
from prometheus_lib.data import minibench
from prometheus_lib.judging import Policy, run_judging
from prometheus_lib.records import DataError, write_jsonl, write_text_atomic
from prometheus_lib.scale import load_scale


@pytest.fixture
def three(tmp_path):
    """Three items of a released benchmark in a folder of real data, and a scale that judges no other benchmark."""
    items = minibench.build("mini_vicuna_bench", 42, 0.1)
    items = list({item.instruction: item for item in items}.values())[:3]
    write_text_atomic(tmp_path / "benchmarks" / "vicuna_eval.json", json.dumps(list(prompts_with_scores(items))))
    return replace(load_scale("7b", tmp_path / "out"), benchmarks=("vicuna_bench",)), items


@pytest.mark.parametrize("collection", ["feedback", "preference"])
def test_a_benchmark_of_which_nothing_stays_is_named(three, collection, tmp_path):
    scale, items = three
    trained = [{"orig_instruction": item.instruction.upper()} for item in items]
    write_jsonl(scale.paths.rows(collection), trained[:2])
    assert len(pipeline.build_benchmarks(scale, tmp_path)["vicuna_bench"]) == 1
    write_jsonl(scale.paths.rows(collection), trained)
    with pytest.raises(DataError, match="vicuna_bench: the instruction of every item is trained on"):
        pipeline.build_benchmarks(scale, tmp_path)


def test_only_who_was_readable_in_a_format_is_drawn_again_in_it(tmp_path):
    """The miniature's base model: so hot that some of its answers are lost, or stopped before any answer ends."""
    for name in ("feedback_bench", "preference_bench"):
        items = {f"mini_{name}": minibench.build(f"mini_{name}", 42, 1.0)[:6]}
        for limit, again in ((64, True), (2, False)):
            scale = load_scale("smoke", tmp_path / f"{name}{limit}")
            decoding = replace(scale.decoding, temperature=2.0, top_p=1.0, max_new_tokens=limit)
            scale = replace(scale, main_judges=("base",), benchmarks=(name,), studies=(), decoding=decoding)
            readable = said(scale, items)["status"] == "ok"
            assert readable.any() == again and not readable.all()
            policies = (Policy("redraw", 2), Policy("finish"))
            added = pipeline.repair_judgments(scale, items, policies, [name]).set_index("policy")["added"]
            assert (added["redraw-2"] > 0) == again and added["finish"] == (~readable).sum()


def said(scale, items):
    """What the base model says of items, as it is stored."""
    run_judging([job for job in pipeline.judging_jobs(scale, items) if job.name == "base"])
    return judging.current_judgments(scale.paths.judgments)
