"""Two processes train what one trains: the same rows in each step, the same loss, the same weights."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from prometheus_lib import data, training
from prometheus_lib.records import write_jsonl

SCRIPT = """
import json, os, sys
from pathlib import Path
from transformers import AutoTokenizer
from prometheus_lib import training
base, rows, out = sys.argv[1:]
settings = training.TrainingSettings(1e-3, batch_size=8, max_length=512, warmup=0.0)
tokenizer = AutoTokenizer.from_pretrained(base)
examples = training.read_examples("direct", rows, 40, True, seed=1)
tokenised, _ = training.tokenise(tokenizer, examples, 512)
rank = os.environ.get("RANK", "alone")
model = training.load_model(base, settings)
log = training.fine_tune(model, tokenizer, tokenised, settings, 42, Path(out, rank), lambda n: None)
Path(out, f"{rank}.json").write_text(json.dumps(log))
"""


def test_two_processes_log_and_learn_what_one_does(tiny_base, tmp_path):
    rows = write_jsonl(tmp_path / "feedback.jsonl", data.feedback_rows(1, 8))
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    for start in ([], launch):
        done = subprocess.run(
            [sys.executable, *start, str(script), str(tiny_base), str(rows), str(tmp_path)],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr[-2000:]
    alone, first = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("alone", "0"))
    assert [entry["step"] for entry in alone] == [entry["step"] for entry in first]
    assert [entry["loss"] for entry in first] == pytest.approx([entry["loss"] for entry in alone], abs=1e-3)
    weights = [load_file(tmp_path / name / "model.safetensors") for name in ("alone", "0")]
    assert all(torch.allclose(weights[0][name], weights[1][name], atol=1e-4) for name in weights[0])
    assert training.TrainingSettings(1e-3, 8, 512).shared_by(2) == (4, 1)
