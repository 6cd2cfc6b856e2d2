"""Judging merges in place, with two really trained two-layer experts, against model folders and fresh loads."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest
import torch
from transformers import MistralForCausalLM, MixtralConfig

from prometheus_lib import artifacts, judging, merging, pipeline
from prometheus_lib.data import minibench
from prometheus_lib.data.catalogue import DIRECT_BENCHMARKS, PAIR_BENCHMARKS, SEED_BENCHMARKS, UNSEEN_BENCHMARKS
from prometheus_lib.judging import Decoding, JudgingJob, TransformersJudge, sweeps
from prometheus_lib.judging.sweeps import Sweep, SweepJob
from prometheus_lib.merging.spec import Merge
from prometheus_lib.records import DataError, read_jsonl
from prometheus_lib.scale import load_scale

SHORT = Decoding(max_new_tokens=8)
LINEAR = Merge("linear-0.3", "linear", alpha=0.3)
MERGES = (
    LINEAR,
    Merge("slerp", "slerp", alpha=0.3),
    Merge.mergekit_default("task-arithmetic-default", "task-arithmetic"),
    Merge("ties", "ties", density=0.2),
)


@pytest.fixture(scope="module")
def tasks():
    direct, pairs = minibench.build("mini_flask", 1, 0.1), minibench.build("mini_autoj_eval", 1, 0.1)
    return (
        *judging.direct_tasks("mini_flask", direct[:3], True, 2),
        *judging.pairwise_tasks("mini_autoj_eval", pairs[:3]),
    )


@pytest.fixture(scope="module")
def tied(tiny_base, tiny_experts, tmp_path_factory):
    """The tiny base and experts, saved with one matrix for the input embeddings and the output head."""
    folder = tmp_path_factory.mktemp("tied")
    for name, source in (("base", tiny_base), *((e, tiny_experts / e) for e in ("direct", "pairwise"))):
        shutil.copytree(source, folder / name)
        (folder / name / "model.safetensors").unlink()
        model = MistralForCausalLM.from_pretrained(source)
        model.config.tie_word_embeddings = True
        model.tie_weights()
        model.save_pretrained(folder / name)
    return folder


@pytest.fixture(scope="module")
def sweep(tiny_base, tiny_experts):
    return Sweep(tiny_base, tiny_experts)


def answers(judge, tasks) -> list:
    return [judge.generate([task], SHORT, 1)[0] for task in tasks]


def logits(judge) -> torch.Tensor:
    ids = torch.arange(40).reshape(4, 10)
    with torch.inference_mode():
        return getattr(judge, "current", judge).model(input_ids=ids).logits


def job_for(sweep, merges, tasks, out) -> SweepJob:
    jobs = tuple(JudgingJob(m.name, "", tasks, str(out / f"{m.name}.jsonl"), SHORT, batch_size=6) for m in merges)
    return SweepJob(str(sweep.base), str(sweep.experts), tuple(merges), jobs)


# --- weights in place ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("merge", MERGES, ids=lambda merge: merge.name)
def test_a_merge_in_place_is_the_merge_from_disk(sweep, tiny_base, tiny_experts, tasks, tmp_path, merge):
    merging.merge_experts(merge, tiny_base, tiny_experts, tmp_path / "merged")
    fresh = TransformersJudge(merge.name, tmp_path / "merged")
    live = sweep.set(merge)
    assert torch.allclose(logits(live), logits(fresh), atol=1e-5)
    assert answers(live, tasks) == answers(fresh, tasks)


def test_the_order_of_a_sweep_does_not_matter(sweep):
    before = logits(sweep.set(LINEAR))
    for merge in (*MERGES[1:], Merge("dare", "dare-ties", density=0.5, seed=3)):
        assert not torch.equal(logits(sweep.set(merge)), before)
    assert torch.equal(logits(sweep.set(LINEAR)), before)


def test_the_ends_of_a_sweep_are_the_experts_bit_for_bit(sweep, tiny_experts, tasks):
    for alpha, name in ((0.0, "pairwise"), (1.0, "direct")):
        expert, live = TransformersJudge(name, tiny_experts / name), sweep.set(Merge("m", "linear", alpha=alpha))
        assert torch.equal(logits(live), logits(expert)) and answers(live, tasks) == answers(expert, tasks)


def test_tied_embeddings_stay_tied_and_change_once(tied):
    live = Sweep(tied / "base", tied).set(LINEAR).current
    assert live.model.lm_head.weight.data_ptr() == live.model.model.embed_tokens.weight.data_ptr()
    parts = [
        MistralForCausalLM.from_pretrained(tied / name).model.embed_tokens.weight for name in ("direct", "pairwise")
    ]
    assert torch.allclose(live.model.lm_head.weight, 0.3 * parts[0] + 0.7 * parts[1], atol=1e-6)


def test_bfloat16_is_rounded_once(tiny_base, tiny_experts):
    live = Sweep(tiny_base, tiny_experts, lambda folder: TransformersJudge("", folder, bf16=True)).set(LINEAR).current
    exact = Sweep(tiny_base, tiny_experts).set(LINEAR).current.model.state_dict()
    assert all(torch.equal(tensor, exact[name].bfloat16()) for name, tensor in live.model.state_dict().items())


@pytest.mark.parametrize("forgotten", ["lm_head.weight", "model.layers.1.self_attn.o_proj.weight"])
def test_a_tensor_that_was_not_replaced_is_found_out(tiny_base, tiny_experts, monkeypatch, forgotten):
    sweep = Sweep(tiny_base, tiny_experts)
    sweep.set(Merge("m", "linear", alpha=1.0))
    write = sweeps._LiveTransformers.write
    old = {forgotten: sweep._live.judge.model.state_dict()[forgotten].clone()}
    monkeypatch.setattr(sweeps._LiveTransformers, "write", lambda live, weights: write(live, {**weights, **old}))
    with pytest.raises(DataError, match="merge 'far'.* as a fresh load .* off"):
        sweep.set(Merge("far", "linear", alpha=0.0))
    monkeypatch.undo()
    assert sweep.set(LINEAR).name == "linear-0.3"  # with a new engine


def test_a_judge_whose_engine_has_become_another_merge_refuses_to_answer(tiny_base, tiny_experts, tasks, tmp_path):
    with Sweep(tiny_base, tiny_experts) as sweep:
        turns = [sweep.set(merge) for merge in MERGES[:2]]
        assert [turn.name for turn in turns] == ["linear-0.3", "slerp"] and len({t.fingerprint for t in turns}) == 2
        store = judging.JudgmentStore(tmp_path / "j.jsonl")
        for ask in (
            lambda judge: judging.collect(judge, tasks, store, SHORT),
            lambda judge: judge.generate(tasks[:1], SHORT, 0),
            lambda judge: judge.finish(tasks[:1], ["Good."], SHORT, 0),
            lambda judge: judge.check(tasks, SHORT),
            lambda judge: next(judge.stream(tasks, SHORT, 0)),
            lambda judge: judge.current,
        ):
            with pytest.raises(DataError, match="'linear-0.3': its engine has become another merge"):
                ask(turns[0])
        assert not store.keys and judging.collect(turns[1], tasks, store, SHORT) == 9
        begun = turns[1].stream(tasks, SHORT, 0)
        next(begun)
        sweep.set(MERGES[0])
        with pytest.raises(DataError, match="'slerp'"):
            next(begun)
        last = sweep.set(MERGES[1])
    with pytest.raises(DataError, match="or was closed"):
        last.generate(tasks[:1], SHORT, 0)


# --- what cannot be changed in place ---------------------------------------------------------------------------------


def never(folder):
    raise AssertionError("an engine was started")


def test_mixtures_of_experts_are_refused(tiny_base, tiny_experts, tmp_path):
    for name in ("direct", "pairwise"):
        shutil.copytree(tiny_experts / name, tmp_path / name)
        MixtralConfig(num_local_experts=4).save_pretrained(tmp_path / name)
    with pytest.raises(DataError, match="direct.*mixture of experts cannot be changed in place"):
        Sweep(tiny_base, tmp_path, never).set(LINEAR)


def test_experts_that_do_not_fit_are_refused_before_an_engine_is_started(tied, tiny_base, tiny_experts, tmp_path):
    shutil.copytree(tiny_experts / "direct", tmp_path / "direct")
    shutil.copytree(tied / "pairwise", tmp_path / "pairwise")
    with pytest.raises(DataError, match="tie_word_embeddings"):
        Sweep(tiny_base, tmp_path, never).set(LINEAR)


# --- names and fingerprints ------------------------------------------------------------------------------------------


def test_fingerprints_identify_recipe_and_experts_but_not_the_name(sweep, tiny_base, tied):
    different = [
        *MERGES, replace(LINEAR, alpha=0.4), replace(LINEAR, first="pairwise", second="direct"),
        Merge("d", "dare-linear", density=0.5), Merge("d", "dare-linear", density=0.5, seed=43),
    ]  # fmt: skip
    prints = [sweep.fingerprint(merge) for merge in different]
    assert len(set(prints)) == len(different)
    assert sweep.fingerprint(replace(LINEAR, name="another")) == prints[0] == sweep.set(LINEAR).fingerprint
    assert Sweep(tiny_base, tied).fingerprint(LINEAR) != prints[0]


# --- judging ---------------------------------------------------------------------------------------------------------


def test_a_sweep_judges_as_folders_do_and_writes_judgments_only(sweep, tiny_base, tiny_experts, tasks, tmp_path):
    done = sweeps.run_sweep(job_for(sweep, MERGES[:2], tasks, tmp_path / "in_place"))
    assert [added for added, _ in done] == [9, 9]
    files = [path.name for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".lock"]
    assert sorted(files) == ["linear-0.3.jsonl", "slerp.jsonl"]
    merging.merge_experts(LINEAR, tiny_base, tiny_experts, tmp_path / "merged")
    folder = JudgingJob(LINEAR.name, str(tmp_path / "merged"), tasks, str(tmp_path / "disk.jsonl"), SHORT, batch_size=6)
    judging.run_judge(folder)
    rows = [read_jsonl(tmp_path / name) for name in ("in_place/linear-0.3.jsonl", "disk.jsonl")]
    apart = [{k: v for k, v in row.items() if k not in ("key", "fingerprint")} for row in rows[1]]
    assert [{k: v for k, v in row.items() if k not in ("key", "fingerprint")} for row in rows[0]] == apart
    assert {row["fingerprint"] for row in rows[0]} == {sweep.fingerprint(LINEAR)}


def test_a_stopped_sweep_goes_on_and_a_finished_one_starts_no_engine(sweep, tasks, tmp_path):
    job, seen = job_for(sweep, MERGES[:3], tasks, tmp_path), []

    def stop(done, tokens=0):
        seen.append(done)
        if sum(seen) > 12:  # in the middle of the second merge
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweeps.run_sweep(job, stop)
    again = []
    assert [added for added, _ in sweeps.run_sweep(job, lambda done, tokens=0: again.append(done))][0] == 0
    assert sum(again) == 27 and all(len(read_jsonl(each.out)) == 9 for each in job.jobs)
    dead = replace(job, jobs=tuple(replace(each, engine="no engine") for each in job.jobs))
    assert [added for added, _ in sweeps.run_sweep(dead)] == [0, 0, 0]


# --- the scales' sweeps ----------------------------------------------------------------------------------------------


def minibench_items(mini=False):
    """A tenth of the miniature's items, under their own names or those of the paper's benchmarks."""
    made = {name: minibench.build(name, 1, 0.1) for name in minibench.MINIATURES}
    return made if mini else {name.removeprefix("mini_"): items for name, items in made.items()}


def test_the_alphas_of_figure_3_need_no_folder_and_workers_share_them_evenly():
    scale = load_scale("mini")
    items = minibench_items(mini=True)
    jobs = pipeline.sweep_jobs(scale, items, 2)
    swept = [merge for job in jobs for merge in job.merges]
    assert sorted(m.name for m in swept) == sorted(m.name for m in scale.sweep)
    assert not {m.name for m in swept} & {m.name for m in scale.merge_folders}
    assert {job.name for job in pipeline.judging_jobs(scale, items)} | {m.name for m in swept} == set(scale.judges)
    size = [sum(task.draws for each in job.jobs for task in each.tasks) for job in jobs]
    assert abs(size[0] - size[1]) < 0.1 * sum(size)
    assert all(merge.name == each.name for job in jobs for merge, each in zip(job.merges, job.jobs, strict=True))


def test_second_runs_are_asked_less_and_mixtures_take_folders():
    scale, mixture = load_scale("mini"), load_scale("8x7b")
    assert scale.main_benchmarks("linear-0.3") == (*DIRECT_BENCHMARKS, *PAIR_BENCHMARKS)
    for judge in ("direct-seed2", "linear-seed3", "pairwise+pairwise"):
        assert scale.main_benchmarks(judge) == UNSEEN_BENCHMARKS and judge not in scale.sampled
    for judge in ("ties-seed2", "dare-linear-mask2", "dare-linear-8x7b-script"):
        assert judge in scale.judges and scale.main_benchmarks(judge) == SEED_BENCHMARKS
    assert pipeline.sweep_jobs(mixture, {}, 2) == []
    assert [merge.name for merge in mixture.merge_folders] == ["linear"]
    passing = {job.name: job for job in pipeline.judging_jobs(mixture, minibench_items()) if job.recipe}
    assert set(passing) == {merge.name for merge in (*mixture.merges, *mixture.sweep)} - {"linear"}
    assert passing["linear-0.3"].recipe.dtype == "bfloat16" and passing["linear-0.3"].models[0].endswith("direct")
    assert not [job for job in pipeline.judging_jobs(scale, minibench_items(mini=True)) if job.recipe]


def test_experts_that_were_trained_again_are_judged_again(tiny_base, tiny_experts, tasks, tmp_path):
    shutil.copytree(tiny_experts, tmp_path / "experts")
    job = job_for(Sweep(tiny_base, tmp_path / "experts"), [LINEAR], tasks[:2], tmp_path)
    assert sweeps.run_sweep(job)[0][0] == 4
    shutil.copy(tiny_base / "model.safetensors", tmp_path / "experts" / "pairwise")
    assert sweeps.run_sweep(job)[0][0] == 4
    assert len({row["fingerprint"] for row in read_jsonl(tmp_path / "linear-0.3.jsonl")}) == 2
    assert json.loads((tmp_path / "experts" / "direct" / artifacts.STAMP).read_text())  # nothing else was touched
