"""The committed judgments answer what would be asked today: same models, same prompts, same keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from prometheus_lib import artifacts, judging, pipeline
from prometheus_lib.judge import stored_items
from prometheus_lib.scale import load_scale

OUTPUTS = Path(__file__).parent.parent.parent / "outputs"


@pytest.mark.skipif(not (OUTPUTS / "mini" / "judgments").is_dir(), reason="no committed run beside the tests")
def test_every_stored_judgment_of_the_base_model_belongs():
    scale = load_scale("mini", OUTPUTS)
    tasks = pipeline.judging_tasks(scale, "base", stored_items(scale, None))
    fingerprint = artifacts.judge_fingerprint(scale.base_model)
    path = scale.paths.judgments / "base.jsonl.gz"
    assert judging.verify(path, "base", tasks, scale.decoding, fingerprint) == []
    assert len(tasks) > 2000
