"""Merges in place on a real vLLM engine: the same greedy answers as a fresh engine on the same merge."""

from __future__ import annotations

import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from prometheus_lib import judging, merging
from prometheus_lib.data import minibench
from prometheus_lib.judging import Decoding, sweeps
from prometheus_lib.merging.spec import Merge
from prometheus_lib.records import DataError

GREEDY = Decoding(temperature=0.0, top_p=1.0, max_new_tokens=32)
MERGES = (
    Merge("linear-0.3", "linear", alpha=0.3),
    Merge("ties", "ties", density=0.2),
    Merge.mergekit_default("dare-linear", "dare-linear", density=0.5),
)


@pytest.fixture(scope="module")
def experts(base, tmp_path_factory):
    """Two copies of the base model with weights shaken by a few percent, so that they answer differently."""
    folder = tmp_path_factory.mktemp("experts")
    for seed, name in enumerate(("direct", "pairwise")):
        shutil.copytree(base, folder / name)
        random = torch.Generator().manual_seed(seed)
        state = load_file(folder / name / "model.safetensors")
        shaken = {n: t + 0.1 * t.std() * torch.randn(t.shape, generator=random) for n, t in state.items() if t.ndim > 1}
        save_file({**state, **shaken}, folder / name / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.fixture(scope="module")
def sweep(base, experts, engine):
    made = sweeps.Sweep(base, experts, lambda folder: judging.VLLMJudge("", folder, **engine))
    yield made
    made.close()


@pytest.fixture(scope="module")
def tasks():
    return judging.direct_tasks("mini_flask", minibench.build("mini_flask", 1, 1.0)[:24], True, 1)


def test_every_merge_answers_as_in_transformers(sweep, base, experts, tasks, tmp_path):
    """The prompts are the same each time, so a prefix cache that was kept would show."""
    texts = set()
    for merge in MERGES:
        answers = sweep.set(merge).generate(tasks, GREEDY, 0)
        merging.merge_experts(merge, base, experts, tmp_path / merge.name, engine="prometheus")
        assert answers == judging.TransformersJudge("t", tmp_path / merge.name).generate(tasks, GREEDY, 0)
        texts.add(tuple(draws[0].text for draws in answers))
    assert len(texts) == len(MERGES)


def test_going_back_to_a_merge_gives_its_answers_again(sweep, tasks):
    first = sweep.set(MERGES[0]).generate(tasks, GREEDY, 0)
    assert sweep.set(MERGES[1]).generate(tasks, GREEDY, 0) != first
    assert sweep.set(MERGES[0]).generate(tasks, GREEDY, 0) == first


def test_weights_that_did_not_arrive_are_found_out(sweep, monkeypatch):
    sweep.set(Merge("m", "linear", alpha=1.0))
    monkeypatch.setattr(sweeps._LiveVLLM, "write", lambda live, weights: None)
    with pytest.raises(DataError, match="merge 'far'.* as a fresh load .* off"):
        sweep.set(Merge("far", "linear", alpha=0.0))


def test_sampled_answers_are_those_of_a_fresh_engine(sweep, base, experts, engine, tasks, tmp_path):
    merge, sampled = MERGES[1], Decoding(max_new_tokens=32)
    answers = sweep.set(merge).generate(tasks, sampled, 7)
    sweep.close()
    merging.merge_experts(merge, base, experts, tmp_path / merge.name, engine="prometheus")
    fresh = judging.VLLMJudge("v", tmp_path / merge.name, **engine)
    assert answers == fresh.generate(tasks, sampled, 7)
    fresh.close()
