"""What the notebooks run at every scale, where it meets data that it cannot use."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from released_files import prompts_with_scores

from prometheus_lib import pipeline
from prometheus_lib.data import minibench
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
