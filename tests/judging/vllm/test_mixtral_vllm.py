"""A merged mixture of experts on a real vLLM engine: with its keys renamed it answers as in transformers."""

from __future__ import annotations

import dataclasses
import shutil

import pytest
from safetensors.torch import save_file
from tiny_models import tiny_mixtral

from prometheus_lib import judging
from prometheus_lib.data import minibench
from prometheus_lib.judging import Decoding
from prometheus_lib.merging import moe_names

GREEDY = Decoding(temperature=0.0, top_p=1.0, max_new_tokens=16)


@pytest.fixture(scope="module")
def fused(tmp_path_factory):
    """A Mixtral folder whose weights have the fused names that a merge leaves."""
    folder = tmp_path_factory.mktemp("mixtral") / "fused"
    model = tiny_mixtral(folder, 0)
    state = {name: tensor.clone().contiguous() for name, tensor in model.state_dict().items()}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def whole(draws: list) -> list:
    """Answers without the piece of a character in which random weights may end: only transformers shows it."""
    return [dataclasses.replace(draw, text=draw.text.rstrip("\ufffd")) for draw in draws]


def test_renamed_experts_load_and_answer_as_in_transformers(fused, engine, tmp_path):
    folder = tmp_path / "split"
    shutil.copytree(fused, folder)
    assert moe_names.split_fused_experts(folder)
    tasks = judging.direct_tasks("mini_flask", minibench.build("mini_flask", 1, 1.0)[:16], True, 1)
    expected = judging.TransformersJudge("moe", fused).generate(tasks, GREEDY, 0)
    judge = judging.VLLMJudge("moe", folder, **engine)
    answers = judge.generate(tasks, GREEDY, 0)
    judge.close()
    assert [whole(draws) for draws in answers] == [whole(draws) for draws in expected]
    assert len({draws[0].text for draws in answers}) > 1
