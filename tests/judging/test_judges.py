"""Judging with a real (tiny, untrained) model: tasks, batches, order, resuming, and what is recorded."""

from __future__ import annotations

import json
import shutil
import warnings
from dataclasses import replace

import pytest

from prometheus_lib import artifacts, judging
from prometheus_lib.data import minibench
from prometheus_lib.judging import MENUS, Completion, Decoding, Judge, JudgingJob, Policy, Task, TransformersJudge
from prometheus_lib.judging.engines import transformers_judge, writing
from prometheus_lib.judging.store import JudgmentStore, load_judgments
from prometheus_lib.prompts.parsing import PARSERS
from prometheus_lib.prompts.templates import PROMETHEUS_1
from prometheus_lib.records import DataError, read_jsonl, write_jsonl
from prometheus_lib.training import EMBEDDED_BASE

SHORT = Decoding(max_new_tokens=8)


@pytest.fixture(scope="module")
def tasks():
    direct = minibench.build("mini_flask", 1, 0.2)
    pairs = minibench.build("mini_autoj_eval", 1, 0.2)
    return [
        *judging.direct_tasks("mini_flask", direct, True, 3),
        *judging.pairwise_tasks("mini_autoj_eval", pairs),
        *judging.direct_for_pairs_tasks("mini_autoj_eval", pairs[:3], 2),
    ]


def needed(tasks) -> int:
    return sum(task.draws for task in tasks)


def test_batches_hold_every_task_once_and_fit(tasks):
    cut = judging.batches(tasks, 12)
    assert sorted((t for batch in cut for t in batch), key=repr) == sorted(tasks, key=repr)
    for batch in cut:
        assert len({task.draws for task in batch}) == 1
        assert len(batch) == 1 or sum(task.draws for task in batch) <= 12


def test_direct_for_pairs_is_reference_free_and_names_both_sides(tasks):
    singles = [task for task in tasks if "#" in task.item_id]
    assert {task.item_id[-2:] for task in singles} == {"#a", "#b"} and len(singles) == 6
    assert not any("Reference Answer" in task.prompt or task.with_reference for task in singles)
    pair = replace(minibench.build("mini_autoj_eval", 1, 0.2)[0], rubric=None)
    with pytest.raises(DataError, match="no score rubric"):
        judging.split_pair(pair)


def test_references_are_shown_where_there_are_some_and_each_judgment_says_so(tmp_path):
    items = minibench.build("mini_flask", 1, 0.2)[:4]
    mixed = [items[0], replace(items[1], reference_answer=None), replace(items[2], reference_answer=""), items[3]]
    asked = judging.direct_tasks("b", mixed, "available", 1)
    assert [task.with_reference for task in asked] == [True, False, False, True]
    shown = {use: judging.direct_tasks("b", mixed[::3] if use else mixed[1:3], use, 1) for use in (True, False)}
    assert [asked[0], asked[3]] == shown[True] and asked[1:3] == shown[False]
    store = JudgmentStore(tmp_path / "j.jsonl")
    judging.collect(judging.TrivialJudge("constant"), asked, store, SHORT)
    recorded = load_judgments(tmp_path).set_index("item_id")["with_reference"]
    assert [recorded[item.id] for item in mixed] == [True, False, False, True]
    with pytest.raises(
        DataError, match=f'2 of 4 items have no reference answer: {mixed[1].id}, {mixed[2].id}; .*"avail'
    ):
        judging.direct_tasks("b", mixed, True, 1)
    with pytest.raises(DataError, match="with_reference is 'some'"):
        judging.direct_tasks("b", mixed, "some", 1)
    own = judging.tasks_for(PROMETHEUS_1, "b", mixed, "direct", with_reference="available")
    assert [(task.with_reference, task.prompt) for task in own] == [(t.with_reference, t.prompt) for t in asked]


def test_half_a_character_is_named_before_anything_is_judged(tiny_base, tasks, tmp_path):
    judge, store = TransformersJudge("base", tiny_base), JudgmentStore(tmp_path / "j.jsonl")
    odd = [replace(tasks[n], item_id=f"odd {n}", prompt=f"{tasks[n].prompt} \ud83d") for n in range(2)]
    with pytest.raises(DataError, match="2 tasks cannot be asked; task mini_flask/odd 0: prompt.*1 more: .*odd 1"):
        judging.collect(judge, [*tasks[:2], *odd], store, SHORT)
    with pytest.raises(DataError, match="1 tasks cannot be asked.*item_id holds"):
        judging.collect(judge, [replace(tasks[0], item_id="half \ude00")], store, SHORT)
    with pytest.raises(DataError, match="odd 0: prompt holds a lone surrogate"):
        judge.generate(odd[:1], SHORT, 0)
    assert not store.keys


def test_decisions_of_swapped_prompts_are_mapped_back(tiny_base):
    class Fixed(Judge):
        name, fingerprint = "fixed", "f"

    texts = [Completion("Better. [RESULT] A", 5, True)]
    for order, decision in (("ab", "A"), ("ba", "B")):
        task = Task("b", "i", "pairwise", False, order, 1, "prompt")
        assert judging.judgments(Fixed, task, ["k"], texts)[0].decision == decision


def test_unparsed_and_truncated_are_told_apart():
    class Fixed(Judge):
        name, fingerprint = "fixed", "f"

    task = Task("b", "i", "direct", True, "ab", 3, "prompt")
    texts = [Completion("no verdict", 2, True), Completion("no verdict", 2, False), Completion("[RESULT] 4", 3, True)]
    rows = judging.judgments(Fixed, task, ["a", "b", "c"], texts)
    assert [row.status for row in rows] == ["unparsed", "truncated", "ok"]
    assert [row.decision for row in rows] == [None, None, 4]


def test_collecting_resumes_and_then_generates_nothing(tiny_base, tasks, tmp_path):
    judge = TransformersJudge("base", tiny_base, batch_size=12)
    whole = JudgmentStore(tmp_path / "whole" / "base.jsonl")
    assert judging.collect(judge, tasks, whole, SHORT) == needed(tasks)
    assert judging.collect(judge, tasks, whole, SHORT) == 0

    path = tmp_path / "killed" / "base.jsonl"
    judging.collect(judge, tasks, JudgmentStore(path), SHORT)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])  # as a kill leaves it: cut inside a line
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        store = JudgmentStore(path)
    kept = len(store.keys)
    assert judging.collect(judge, tasks, store, SHORT) == needed(tasks) - kept > 0
    one, two = (
        load_judgments(tmp_path / f).sort_values(["item_id", "format", "draw"]).reset_index(drop=True)
        for f in ("whole", "killed")
    )
    assert one.equals(two)


def test_a_job_whose_judgments_are_there_loads_no_model(tiny_base, tasks, tmp_path):
    job = JudgingJob("base", str(tiny_base), tuple(tasks[:4]), str(tmp_path / "base.jsonl"), SHORT)
    progress = []
    assert judging.run_judge(job, lambda done, tokens=0: progress.append(done)) == needed(job.tasks) == sum(progress)

    def never(job):
        raise AssertionError("a judge was started")

    assert judging.run_judge(job, start=never) == 0
    with pytest.raises(DataError, match="unknown engine 'steam'; choose one of transformers, .*trivial"):
        judging.run_judge(replace(job, engine="steam"))


def test_other_weights_and_other_decoding_are_other_judgments(tiny_base, tiny_experts, tasks):
    keys = {
        judging.task_keys(tasks[0], artifacts.model_fingerprint(folder), decoding)[0]
        for folder in (tiny_base, tiny_experts / "direct")
        for decoding in (SHORT, replace(SHORT, temperature=0.5))
    }
    assert len(keys) == 4


def test_items_asked_twice_are_refused_and_any_iterable_of_tasks_will_do(tiny_base, tasks, tmp_path):
    judge, store = TransformersJudge("base", tiny_base), JudgmentStore(tmp_path / "base.jsonl")
    other = replace(tasks[0], prompt="another prompt")
    with pytest.raises(DataError, match=f"1 items are asked for more than once: {tasks[0].benchmark}/.*its own id"):
        judging.collect(judge, [tasks[0], other], store, SHORT)
    assert judging.collect(judge, (task for task in tasks[:2]), store, SHORT) == needed(tasks[:2])


def test_models_that_are_not_there_or_cannot_talk_are_named(tiny_base, tasks, tmp_path):
    with pytest.raises(DataError, match="nowhere/model: there is no such model folder"):
        TransformersJudge("judge", tmp_path / "nowhere" / "model")
    shutil.copytree(tiny_base, tmp_path / "bare")
    (tmp_path / "bare" / "chat_template.jinja").unlink()
    with pytest.raises(DataError, match="bare: this tokenizer has no chat template"):
        TransformersJudge("judge", tmp_path / "bare").check(tasks[:1], SHORT)
    with pytest.raises(DataError, match="leave no room for a prompt"):
        TransformersJudge("judge", tiny_base).check(tasks[:1], replace(SHORT, max_new_tokens=10**6))


def test_an_adapter_is_no_judge_by_itself(tiny_base, tmp_path):
    """transformers would take its base from where it was trained, and ask the hub when that is gone."""
    whole = tmp_path / "whole"
    shutil.copytree(tiny_base, whole)
    bare = tmp_path / "bare"
    bare.mkdir()
    for folder in (whole, bare):
        (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "gone/base"}))
        for judge in (TransformersJudge, judging.RewardModelJudge, judging.PairRankerJudge):
            with pytest.raises(DataError, match=f"{folder.name}: this folder holds a LoRA adapter .*merge_and_unload"):
                judge("judge", folder)


@pytest.mark.parametrize(
    ("kind", "settings", "context"),
    [
        ("Bloom", {"hidden_size": 32, "n_layer": 1, "n_head": 2}, None),
        ("Mamba", {"hidden_size": 32, "num_hidden_layers": 1, "state_size": 4}, None),
        ("Mpt", {"d_model": 32, "n_layers": 1, "n_heads": 2, "max_seq_len": 900}, 900),
        ("GPT2", {"n_embd": 32, "n_layer": 1, "n_head": 2, "n_positions": 800}, 800),
    ],
)
def test_models_say_in_many_ways_or_not_at_all_how_much_they_read(kind, settings, context, tiny_base, tasks, tmp_path):
    import transformers
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder, tokenizer = tmp_path / "model", AutoTokenizer.from_pretrained(tiny_base)
    config = getattr(transformers, f"{kind}Config")(vocab_size=len(tokenizer), **settings)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    judge, store = TransformersJudge("judge", folder), JudgmentStore(tmp_path / "j.jsonl")
    assert writing.context_of(judge.model.config) == context
    few = [tasks[0], next(task for task in tasks if task.format == "pairwise")]
    assert judging.collect(judge, few, store, SHORT, policy=Policy("finish")) == 2 * needed(few)
    long = [replace(tasks[0], item_id="long", prompt="word " * 1000)]
    if context:
        with pytest.raises(DataError, match="1 prompts are longer than"):
            judge.check(long, SHORT)
    else:
        judge.check(long, SHORT)


def test_a_model_that_also_sees_reads_what_its_language_model_reads():
    from transformers import Gemma3Config, XLNetConfig

    assert writing.context_of(Gemma3Config(text_config={"max_position_embeddings": 700})) == 700
    assert writing.context_of(XLNetConfig()) is None  # it says -1


def test_the_fingerprint_follows_everything_that_decides_an_answer(tiny_base, tmp_path):
    found = {artifacts.model_fingerprint(tiny_base)}

    def changed(file, **values):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        shutil.copytree(tiny_base, folder)
        path = folder / file
        content = json.loads(path.read_text()) if path.is_file() else {}
        path.write_text(json.dumps(content | values))
        return artifacts.model_fingerprint(folder)

    assert changed("config.json", transformers_version="0", use_cache=True) in found
    found.add(changed("config.json", rope_theta=1e6))
    found.add(changed("tokenizer_config.json", chat_template="another"))
    found.add(changed("generation_config.json", eos_token_id=[2, 7]))
    found |= {artifacts.judge_fingerprint(tiny_base, "bfloat16")}
    found |= {artifacts.judge_fingerprint(tiny_base, "float32", "fp8")}
    assert len(found) == 6
    assert artifacts.judge_fingerprint(tiny_base) == artifacts.model_fingerprint(tiny_base)


def test_prompts_that_do_not_fit_are_named(tiny_base, tasks):
    judge = TransformersJudge("base", tiny_base)
    with pytest.raises(DataError, match=r"mini_flask/.*tokens"):
        judge.generate(tasks[:2], Decoding(max_new_tokens=2040), 0)


def test_a_response_cannot_bring_a_control_token_of_the_tokenizer(tiny_base, tasks):
    judge = TransformersJudge("base", tiny_base)
    judge.tokenizer.add_special_tokens({"additional_special_tokens": ["[[ponder]]"]})
    control = judge.tokenizer.convert_tokens_to_ids("[[ponder]]")
    text = tasks[0].prompt.replace("###Response", "[[ponder]] ###Response")
    (row,) = writing.prompt_ids(judge.tokenizer, [replace(tasks[0], prompt=text)])
    assert control not in row and text != tasks[0].prompt
    assert control in judge.tokenizer(text)["input_ids"]


def test_padding_changes_no_score():
    """No prompt holds the end of a turn: padding must not bring the repetition penalty down upon it."""
    import torch

    items = minibench.build("mini_flask", 1, 1.0)[:6]
    longer = [replace(item, response=" ".join([item.response] * (2 * n + 1))) for n, item in enumerate(items)]
    judge = TransformersJudge("base", EMBEDDED_BASE)
    rows = writing.prompt_ids(judge.tokenizer, judging.direct_tasks("b", longer, True, 1))
    assert len(set(map(len, rows))) == len(rows)

    def scores(each):
        ids, mask = judge._padded(each)
        how = {"do_sample": False, "repetition_penalty": 1.3, "max_new_tokens": 1, "return_dict_in_generate": True}
        return judge.model.generate(ids, attention_mask=mask, output_scores=True, **how).scores[0]

    alone = torch.cat([scores([row]) for row in rows])
    assert torch.allclose(scores(rows), alone, atol=1e-3)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.0])
def test_the_nucleus_is_that_of_the_temperature(tiny_base, tasks, temperature):
    """As transformers and vLLM do: first the temperature, then the most likely tokens of what it makes."""
    import torch

    judge = TransformersJudge("base", tiny_base)
    ids, mask = judge._padded(writing.prompt_ids(judge.tokenizer, tasks[:4]))
    with torch.no_grad():
        judge.model.lm_head.weight.mul_(20)
    common = {"max_new_tokens": 1, "output_scores": True, "return_dict_in_generate": True, "attention_mask": mask}
    ours = transformers_judge._sampling(Decoding(temperature=temperature, top_p=0.9))
    theirs = {"do_sample": True, "temperature": temperature, "top_p": 0.9, "top_k": 0}
    found, expected = (judge.model.generate(ids, **common, **how).scores[0] for how in (ours, theirs))
    assert torch.equal(found.isfinite(), expected.isfinite()) and torch.allclose(found, expected)
    assert 1 < found.isfinite().sum(-1).float().mean() < found.shape[-1]


def test_a_models_own_generation_settings_have_no_say_but_its_ends_do(tiny_base, tasks, tmp_path):
    judge = TransformersJudge("base", tiny_base)
    greedy = Decoding(temperature=0.0, max_new_tokens=12, repetition_penalty=1.0)
    plain = judge.generate(tasks[:3], greedy, 0)
    word = judge.tokenizer(plain[0][0].text, add_special_tokens=False)["input_ids"][3]
    folder = tmp_path / "model"
    shutil.copytree(tiny_base, folder)
    config = {"num_beams": 3, "no_repeat_ngram_size": 1, "min_new_tokens": 9, "temperature": 5.0, "do_sample": True}
    (folder / "generation_config.json").write_text(json.dumps(config))
    assert TransformersJudge("base", folder).generate(tasks[:3], greedy, 0) == plain
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [2, word]}))
    ending = TransformersJudge("base", folder)
    (first,) = ending.generate(tasks[:1], greedy, 0)[0][:1]
    assert first.finished and first.tokens <= 4 and ending.fingerprint != judge.fingerprint


def test_an_answer_that_fills_the_context_is_finished(tiny_base, tasks):
    judge = TransformersJudge("base", tiny_base)
    long = "word " * judge.model.config.max_position_embeddings
    (done,) = judge.finish(tasks[:1], [long], SHORT, 0)
    assert done.text.startswith("word word") and done.text[-1] in MENUS[tasks[0].format]


def test_greedy_decoding_does_not_depend_on_the_batch(tiny_base, tasks):
    judge = TransformersJudge("base", tiny_base)
    greedy = Decoding(temperature=0.0, top_p=1.0, max_new_tokens=6)
    singles = [replace(task, draws=1) for task in tasks if task.format == "direct"][:6]
    together = judge.generate(singles, greedy, 0)
    assert [judge.generate([task], greedy, 0)[0] for task in singles] == together


def test_sharing_the_prompt_between_draws_changes_no_token(tiny_base, tasks):
    """Three greedy draws from one shared prompt equal one greedy draw from the prompt itself."""
    judge = TransformersJudge("base", tiny_base)
    greedy = Decoding(temperature=0.0, top_p=1.0, max_new_tokens=6)
    thrice = [task for task in tasks if task.draws == 3][:5]
    once = [replace(task, draws=1) for task in thrice]
    shared = judge.generate(thrice, greedy, 0)
    assert shared == [draws * 3 for draws in judge.generate(once, greedy, 0)]


def test_a_task_may_have_a_temperature_of_its_own(tiny_base, tasks, tmp_path):
    judge, store = TransformersJudge("base", tiny_base), JudgmentStore(tmp_path / "j.jsonl")
    asked = [tasks[0], replace(tasks[0], temperature=0.0)]
    judging.collect(judge, asked, store, SHORT)
    assert len(store.keys) == 6
    assert set(judging.task_keys(asked[1], judge.fingerprint, SHORT)) == set(
        judging.task_keys(tasks[0], judge.fingerprint, replace(SHORT, temperature=0.0))
    )
    texts = load_judgments(tmp_path).set_index("key")["feedback"]
    assert texts[judging.task_keys(asked[1], judge.fingerprint, SHORT)].nunique() == 1
    assert texts[judging.task_keys(asked[0], judge.fingerprint, SHORT)].nunique() == 3


@pytest.mark.parametrize("sharpness", [0.1, 1.0, 5.0, 30.0])
@pytest.mark.parametrize("top_p", [0.05, 0.5, 0.9])
def test_the_nucleus_is_that_of_transformers(sharpness, top_p):
    import torch
    from transformers import TopPLogitsWarper

    from prometheus_lib.judging.engines.transformers_judge import keep_nucleus

    scores = sharpness * torch.randn(200, 300, generator=torch.Generator().manual_seed(3))
    assert torch.equal(keep_nucleus(scores, top_p), TopPLogitsWarper(top_p)(None, scores))


# --- answers without a decision -------------------------------------------------------------------------------------


class Forgetful(TransformersJudge):
    """A real judge whose verdict is cut off in every other answer."""

    def generate(self, tasks, decoding, seed):
        found = super().generate(tasks, decoding, seed)
        return [[self._forget(c) if hash((task.prompt, n, seed)) % 2 else c for n, c in enumerate(draws)]
                for task, draws in zip(tasks, found)]  # fmt: skip

    def _forget(self, completion):
        return replace(completion, text=completion.text.partition("[RESULT]")[0])


@pytest.fixture(scope="module")
def forgetful():
    return Forgetful("forgetful", EMBEDDED_BASE, batch_size=64)


def test_policies_repair_what_failed_and_keep_the_first_answers(forgetful, tasks, tmp_path):
    store, decoding = JudgmentStore(tmp_path / "j.jsonl"), Decoding(max_new_tokens=64)
    judging.collect(forgetful, tasks, store, decoding)
    failed = len(store.failed)
    assert needed(tasks) * 0.2 < failed < needed(tasks) * 0.8
    for policy in (Policy("redraw", 8), Policy("finish")):
        assert judging.collect(forgetful, tasks, store, decoding, policy=policy) == failed
        assert judging.collect(forgetful, tasks, store, decoding, policy=policy) == 0
    first, redrawn, finished = (load_judgments(tmp_path, policy=p) for p in ("once", "redraw-8", "finish"))
    assert len(first) == len(redrawn) == len(finished) == needed(tasks)
    assert (first["status"] != "ok").sum() == failed
    assert (finished["status"] == "ok").all() and set(finished["attempts"]) == {1, 2}
    assert (redrawn["status"] != "ok").sum() <= 0.2 * failed and redrawn["attempts"].max() > 2
    whole = first["status"] == "ok"
    assert first[whole].equals(finished[whole].astype(first.dtypes))
    assert (finished["tokens"] - first["tokens"])[~whole].eq(1).all()
    repaired = finished[~whole]
    for form, menu in MENUS.items():
        assert set(repaired.loc[repaired["format"] == form, "decision"].astype(str)) <= set(menu)


def test_finishing_takes_the_verdict_the_judge_would_have_written(forgetful, tasks):
    """A feedback of the judge's own, its verdict cut off: the greedy decision must come back."""
    judge = TransformersJudge("base", EMBEDDED_BASE)
    asked = [replace(task, draws=1) for task in tasks[:12] + tasks[-20:]]
    greedy = Decoding(temperature=0.0, repetition_penalty=1.0, max_new_tokens=64)
    whole = [draws[0].text for draws in judge.generate(asked, greedy, 0)]
    finished = judge.finish(asked, [text.partition("[RESULT]")[0] for text in whole], greedy, 0)
    read = [[PARSERS[t.format](text).decision for t, text in zip(asked, texts)]
            for texts in (whole, [c.text for c in finished])]  # fmt: skip
    assert read[0] == read[1] and None not in read[0] and len(set(read[0])) > 3


def test_probabilities_are_those_of_whole_answers(tasks):
    """A slow second way: the answer with each decision, read as a whole and alone."""
    import torch

    judge = TransformersJudge("base", EMBEDDED_BASE)
    asked, texts = [tasks[0], tasks[-1]], ["It meets the request.", "Both meet it, and one of them in more points."]
    for task, text, found in zip(asked, texts, judge.probabilities(asked, texts), strict=True):
        (prompt,) = writing.prompt_ids(judge.tokenizer, [task], judge.template)
        scores = []
        for decision in MENUS[task.format]:
            answer = judge.tokenizer(f"{text} [RESULT] {decision}", add_special_tokens=False)["input_ids"]
            with torch.inference_mode():
                logits = judge.model(torch.tensor([[*prompt, *answer]])).logits[0].log_softmax(-1)
            places = range(len(prompt) - 1, len(prompt) + len(answer) - 1)
            scores.append(sum(float(logits[place, token]) for place, token in zip(places, answer)))
        assert found == pytest.approx(torch.tensor(scores).softmax(-1).tolist(), abs=1e-4) and len(set(found)) > 1
    with pytest.raises(DataError, match="does not tell how probable"):
        judging.TrivialJudge("random").probabilities(asked, texts)


def test_an_untrained_judge_stays_unparsed_after_its_redraws(tiny_base, tasks, tmp_path):
    judge, store = TransformersJudge("base", tiny_base), JudgmentStore(tmp_path / "j.jsonl")
    judging.collect(judge, tasks[:3], store, SHORT, policy=Policy("redraw", 2))
    table = load_judgments(tmp_path, policy="redraw-2")
    assert (table["status"] != "ok").all() and set(table["attempts"]) == {3}


def test_what_is_not_drawn_is_not_drawn_again(tiny_base, tasks, tmp_path):
    judge, store = TransformersJudge("base", tiny_base), JudgmentStore(tmp_path / "j.jsonl")
    few = tasks[:2]
    for decoding in (replace(SHORT, temperature=0.0), replace(SHORT, temperature=1e-7), replace(SHORT, top_p=0.0)):
        with pytest.raises(DataError, match="'base': at temperature .* a new draw is the old one"):
            judging.collect(judge, few, store, decoding, policy=Policy("redraw"))
    assert not store.keys
    # Where some tasks have a temperature of their own, the others are drawn again.
    mixed = [few[0], *(replace(task, temperature=0.0) for task in few)]
    job = JudgingJob("base", str(tiny_base), tuple(mixed), str(store.path), SHORT, policy=Policy("redraw", 2))
    with pytest.warns(UserWarning, match="2 tasks are decoded at temperature 0.* not repaired by 'redraw-2'"):
        assert judging.run_judge(job) == needed(mixed) + few[0].draws

    def never(job):
        raise AssertionError("a judge was started")

    assert judging.run_judge(job, start=never) == 0
    assert judging.collect(judge, few, store, replace(SHORT, temperature=0.0), policy=Policy("finish")) == needed(few)


def test_an_unknown_policy_and_a_judge_that_cannot_finish_are_refused(tmp_path, tasks):
    with pytest.raises(DataError, match="unknown policy"):
        Policy("again")
    with pytest.raises(DataError, match="a limit of 0 new draws"):
        Policy("redraw", 0)

    class Silent(Judge):
        name, fingerprint, batch_size = "silent", "f", 8

        def generate(self, tasks, decoding, seed):
            return [[Completion("", 0, True)] * task.draws for task in tasks]

    store = JudgmentStore(tmp_path / "j.jsonl")
    with pytest.raises(DataError, match="cannot finish"):
        judging.collect(Silent(), tasks[:2], store, SHORT, policy=Policy("finish"))
    assert not store.keys  # it says so before anything is generated
    with pytest.raises(TypeError, match="object is no judge: make it a subclass of judging.Judge"):
        judging.collect(object(), tasks[:2], store, SHORT)


def test_a_judge_that_streams_keeps_what_arrived_before_it_failed(tmp_path, tasks):
    class Breaking(Judge):
        name, fingerprint, batch_size = "breaking", "f", 8
        in_batches, stored_together = False, 32
        limit, asked = 40, 0

        def stream(self, tasks, decoding, seed):
            for place in reversed(range(len(tasks))):
                if self.asked == self.limit:
                    raise DataError("the server is gone")
                self.asked += 1
                yield [(place, [Completion("Good. [RESULT] 4", 4, True)] * tasks[place].draws)]

    judge, path = Breaking(), tmp_path / "j.jsonl"
    many = [
        replace(task, item_id=f"{task.item_id}-{n}", prompt=f"{task.prompt}{n}") for n in range(4) for task in tasks
    ]
    with pytest.raises(DataError, match="gone"):
        judging.collect(judge, many, JudgmentStore(path), SHORT)
    kept = len(JudgmentStore(path).keys)
    assert kept == sum(task.draws for task in sorted(many, key=lambda t: (t.format, t.prompt))[-40:])
    judge.limit = 10**9
    assert judging.collect(judge, many, JudgmentStore(path), SHORT) == needed(many) - kept
    assert judge.asked == len(many)


def test_all_items_that_do_not_fit_are_named_before_anything_is_generated(tiny_base, tasks, tmp_path):
    long = [replace(task, item_id=f"long-{n}", prompt=task.prompt + " word" * 3000) for n, task in enumerate(tasks[:2])]
    judge, store = TransformersJudge("base", tiny_base), JudgmentStore(tmp_path / "j.jsonl")
    with pytest.raises(DataError, match=r"2 prompts are longer.*long-0.*long-1"):
        judging.collect(judge, [*tasks, *long], store, SHORT)
    assert not store.keys


# --- verifying -------------------------------------------------------------------------------------------------------


def test_verify_finds_every_record_that_does_not_belong(tiny_base, tasks, tmp_path):
    judge, path = TransformersJudge("base", tiny_base), tmp_path / "base.jsonl"
    asked = tasks[:6]
    judging.collect(judge, asked, JudgmentStore(path), SHORT)

    def said(rows, **options) -> str:
        other = write_jsonl(tmp_path / "other.jsonl", rows)
        return " / ".join(judging.verify(other, "base", asked, SHORT, judge.fingerprint, **options))

    def wrong(menus=judging.VERIFIED_MENUS, **changes) -> str:
        rows = read_jsonl(path)
        rows[4] |= changes
        return said(rows, menus=menus)

    def removed(*names) -> str:
        rows = read_jsonl(path)
        rows[4] = {name: value for name, value in rows[4].items() if name not in names}
        return said(rows)

    def added(changes, more) -> str:
        rows = read_jsonl(path)
        rows[4] |= changes
        return said([*rows, rows[4] | more])

    assert wrong() == ""
    assert "line 5" in wrong(judge="linear") and "'linear' in the file of 'base'" in wrong(judge="linear")
    assert "another model (f2" in wrong(fingerprint="f2")
    assert "nobody asked" in wrong(item_id="new") and "nobody asked" in wrong(draw=3)
    assert "another prompt" in wrong(key="0") and "1 judgments are missing" in wrong(key="0")
    assert "does not go with status" in wrong(decision=7, status="ok")
    assert "does not go with status" in wrong(decision=3)
    row = {name: read_jsonl(path)[3][name] for name in ("key", "draw", "item_id")}
    assert "a repetition" in wrong(**row)
    repair = {"key": read_jsonl(path)[4]["key"] + ":finish", "decision": 3, "status": "ok"}
    assert "its key says 'finish' and its policy 'once'" in wrong(**repair)
    assert "the fields order, policy are missing" in removed("policy", "order")
    answered, repaired = {"decision": 3, "status": "ok"}, {**repair, "policy": "finish"}
    assert added({}, repaired) == "" and "repaired an answer that held a decision" in added(answered, repaired)
    rating = {"decision": 9, "status": "ok"}
    wide = {"direct": [str(score) for score in range(1, 11)], "pairwise": ["A", "B"]}
    assert "does not go" in wrong(**rating) and wrong(menus=wide, **rating) == ""
    changed = [replace(task, prompt=task.prompt + " ") for task in asked]
    assert len(judging.verify(path, "base", changed, SHORT, judge.fingerprint)) == needed(asked) + 1
    assert len(judging.verify(path, "base", asked[:2], SHORT, judge.fingerprint)) == needed(asked) - needed(asked[:2])
