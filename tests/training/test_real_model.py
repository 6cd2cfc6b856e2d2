"""A real language model, SmolLM2-135M-Instruct from its package: trained on a few rows, then asked."""

from __future__ import annotations

from transformers import AutoConfig

from prometheus_lib import data, judging, training
from prometheus_lib.data import minibench
from prometheus_lib.records import write_jsonl
from prometheus_lib.training import ExpertJob, TrainingSettings, bases, probe

NAME = "HuggingFaceTB/SmolLM2-135M-Instruct"


def test_a_real_model_is_converted_trained_and_judges(tmp_path, monkeypatch):
    """Without the hub, with recomputed activations; float32, which every CPU computes at full speed."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr(bases, "cache_folder", lambda: tmp_path / "cache")
    base = training.local_base(NAME)
    found = probe(base, longest=2048)
    assert found.fits and found.facts["begin tokens"] == 3 and found.facts["context"] == 8192
    assert found.facts["system role"] and found.facts["end token"] == "<|im_end|>"
    rows = write_jsonl(tmp_path / "rows.jsonl", data.feedback_rows(1, 1))
    settings = TrainingSettings(
        1e-4, batch_size=2, max_length=1024, warmup=0.0, gradient_checkpointing=True, rows_at_once=1
    )
    job = ExpertJob("direct", base, (("direct", str(rows), 2, True),), settings, 42, str(tmp_path / "direct"))
    assert training.train_expert(job)
    losses = [entry["loss"] for entry in training.read_log(job.out)["log"]]
    assert 0 < losses[0] < 4  # of a model that knows English; one with random weights begins at 10.8
    assert AutoConfig.from_pretrained(job.out).num_hidden_layers == 30
    judge = judging.TransformersJudge("direct", job.out, batch_size=2)
    tasks = judging.direct_tasks("mini_flask", minibench.build("mini_flask", 1, 0.05)[:1], True, draws=1)
    answers = judge.generate(tasks, judging.Decoding(max_new_tokens=12, temperature=0.0), seed=1)
    texts = [completion.text for (completion,) in answers]
    assert all(len(text.split()) > 3 and text.isascii() for text in texts), texts
