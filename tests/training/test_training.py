"""Fine-tuning with TRL on a two-layer model: what is learned, on which tokens, and when nothing is done."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from prometheus_lib import artifacts, data, prompts, training
from prometheus_lib.records import DataError, write_jsonl
from prometheus_lib.training import IGNORED, ExpertJob, TrainingSettings, base_model

SETTINGS = TrainingSettings(learning_rate=1e-3, batch_size=8, max_length=512)


@pytest.fixture(scope="module")
def tokenizer():
    return base_model.build_tokenizer()


@pytest.fixture
def examples():
    rows = data.feedback_rows(1, 4)
    pairs = data.preference_rows(1, 2)
    return [*map(data.direct_example, rows), *map(data.pairwise_example, pairs)]


def test_two_files_of_one_name_are_told_apart_and_nothing_is_trained_over(tiny_base, tmp_path, monkeypatch):
    for folder, seed in (("a", 1), ("b", 2)):
        write_jsonl(tmp_path / folder / "rows.jsonl", data.feedback_rows(seed, 4))
    files = [str(tmp_path / folder / "rows.jsonl") for folder in "ab"]
    shutil.copytree(tiny_base, tmp_path / "base")
    sources = tuple(("direct", file, 4, True) for file in files)
    job = ExpertJob("m", str(tmp_path / "base"), sources, SETTINGS, 42, str(tmp_path / "out"))
    before = job.stamp()
    assert len(before["inputs"]) == 3
    assert before != replace(job, sources=sources[::-1]).stamp()
    write_jsonl(files[0], data.feedback_rows(3, 4))
    assert before != job.stamp()
    known = {"base", "rows.jsonl"}  # the roles that stamps of earlier experts hold
    assert set(replace(job, sources=sources[:1]).stamp()["inputs"]) == known
    monkeypatch.chdir(tmp_path)
    for out in ("base", "a", ".", "base/expert", "b/rows.jsonl"):
        with pytest.raises(DataError, match="input|working folder|this is a file"):
            training.train_expert(replace(job, out=out))
    assert (tmp_path / "base" / "model.safetensors").is_file() and all(map(Path.is_file, map(Path, files)))


def test_loss_falls_on_the_answer_only(tokenizer, examples):
    rows, too_long = training.tokenise(tokenizer, examples, 512)
    assert too_long == 0 and len(rows) == len(examples)
    for example, row in zip(examples, rows, strict=True):
        learned = [label for label in row["labels"] if label != IGNORED]
        assert tokenizer.decode(learned) == example.completion + tokenizer.eos_token
        assert row["input_ids"].count(tokenizer.bos_token_id) == 1
        assert row["input_ids"][-len(learned) :] == learned


def test_prompts_decode_to_the_very_text(tokenizer, examples):
    for example in examples:
        text = prompts.render_chat(tokenizer, example.prompt, example.format)
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert tokenizer.decode(ids) == text and example.prompt in text


def test_any_text_can_be_encoded(tokenizer):
    text = "Grüße \u2028\r 你好 🙂 [RESULT] 5 crimson"
    assert tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"]) == text


def test_a_doubled_bos_token_is_refused(tokenizer):
    text = prompts.render_chat(tokenizer, "Judge this.", "direct")
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    prompts.check_bos(tokenizer, text, ids)
    with pytest.raises(DataError, match="2 begin-of-sequence"):
        prompts.check_bos(tokenizer, text, [tokenizer.bos_token_id, *ids])


def test_templates_without_a_system_role_get_one_user_turn(tokenizer):
    import copy

    strict = copy.deepcopy(tokenizer)
    strict.chat_template = (
        "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
        "{{ bos_token + '[INST]' + m['content'] + '[/INST]' }}{% endfor %}"
    )
    assert prompts.render_chat(strict, "Judge.", "direct") == prompts.render_chat(tokenizer, "Judge.", "direct")


def test_rows_that_do_not_fit_are_counted(tokenizer, examples):
    lengths = [len(row["input_ids"]) for row in training.tokenise(tokenizer, examples, 512)[0]]
    rows, too_long = training.tokenise(tokenizer, examples, max(lengths) - 1)
    assert too_long == lengths.count(max(lengths)) and len(rows) + too_long == len(examples)


def test_rows_on_disk_are_the_same_rows(tokenizer, examples, tmp_path, monkeypatch):
    monkeypatch.setattr(training.experts, "TOKENISED_TOGETHER", 7)
    rows, too_long = training.tokenise(tokenizer, examples, 400)
    on_disk, also_too_long = training.tokenise_to_disk(tokenizer, examples, 400, tmp_path / "tokens.arrow")
    assert on_disk.to_list() == rows and also_too_long == too_long
    assert on_disk.cache_files and on_disk.features["labels"].feature.dtype == "int32"


def test_experts_from_disk_and_from_lists_are_equal(tiny_base, tokenizer, examples, tmp_path):
    rows, _ = training.tokenise(tokenizer, examples, 512)
    on_disk, _ = training.tokenise_to_disk(tokenizer, examples, 512, tmp_path / "tokens.arrow")
    for name, given in (("lists", rows), ("disk", on_disk)):
        model = training.load_model(str(tiny_base), SETTINGS)
        training.fine_tune(model, tokenizer, given, SETTINGS, 42, tmp_path / name, lambda done: None)
    lists, disk = (load_file(tmp_path / name / "model.safetensors") for name in ("lists", "disk"))
    assert all(torch.equal(lists[name], disk[name]) for name in lists)


def test_answer_loss_is_the_full_models_loss(tiny_base, tokenizer, examples):
    """Computing logits for the answer alone changes the cost, not the loss."""
    rows, _ = training.tokenise(tokenizer, examples[:6], 512)
    width = max(len(row["input_ids"]) for row in rows)
    ids = torch.tensor([r["input_ids"] + [0] * (width - len(r["input_ids"])) for r in rows])
    labels = torch.tensor([r["labels"] + [IGNORED] * (width - len(r["labels"])) for r in rows])
    mask = torch.tensor([[1] * len(r["input_ids"]) + [0] * (width - len(r["input_ids"])) for r in rows])
    model = AutoModelForCausalLM.from_pretrained(tiny_base).eval()
    expected = model(input_ids=ids, attention_mask=mask, labels=labels).loss
    inputs = {"input_ids": ids, "attention_mask": mask, "labels": labels.clone()}
    trainer_class = training.trainers.trainer_class(SETTINGS)
    assert torch.allclose(trainer_class.compute_loss(None, model, inputs), expected, atol=1e-5)
    assert training.answer_loss(model, rows, batch_size=4) == pytest.approx(expected.item(), abs=1e-5)


def test_training_lowers_the_loss_and_notes_it(tiny_base, tiny_experts):
    log = training.read_log(tiny_experts / "direct")
    assert log["rows"] == 40 and log["too_long"] == 0
    assert [entry["step"] for entry in log["log"]] == [1, 2, 3, 4, 5]  # a run too short for a loss every ten steps
    assert not (tiny_experts / "direct" / training.experts.TOKENS).exists()
    base, expert = (load_file(folder / "model.safetensors") for folder in (tiny_base, tiny_experts / "direct"))
    assert set(base) == set(expert) and not any(torch.equal(base[name], expert[name]) for name in base)
    tokenizer = AutoTokenizer.from_pretrained(tiny_experts / "direct")
    rows, _ = training.tokenise(tokenizer, [data.direct_example(r) for r in data.feedback_rows(1, 4)], 512)
    losses = []
    for folder in (tiny_base, tiny_experts / "direct"):
        model = AutoModelForCausalLM.from_pretrained(folder)
        row = {key: torch.tensor([value]) for key, value in rows[0].items()}
        losses.append(model(**row).loss.item())
    assert losses[1] < losses[0]


def job_in(tmp_path, base, **changes) -> ExpertJob:
    file = write_jsonl(tmp_path / "feedback.jsonl", data.feedback_rows(1, 8))
    job = ExpertJob("e", str(base), (("direct", str(file), 24, True),), SETTINGS, 42, str(tmp_path / "e"))
    return replace(job, **changes)


def test_unchanged_experts_are_skipped_and_equal_runs_are_equal(tiny_base, tmp_path):
    job = job_in(tmp_path, tiny_base)
    assert training.train_expert(job) and not training.train_expert(job)
    assert not artifacts.is_current(job.out, replace(job, seed=43).stamp())
    first = artifacts.model_fingerprint(job.out)
    again = replace(job, out=str(tmp_path / "again"))
    training.train_expert(again)
    assert artifacts.model_fingerprint(again.out) == first
    write_jsonl(tmp_path / "feedback.jsonl", data.feedback_rows(2, 8))
    assert not artifacts.is_current(job.out, job.stamp())


def test_lora_experts_keep_their_adapter_and_are_saved_whole(tiny_base, tmp_path):
    lora = training.Lora(4, 8, 0.0, ("q_proj", "v_proj"))
    job = job_in(tmp_path, tiny_base, settings=replace(SETTINGS, lora=lora))
    training.train_expert(job)
    adapter = load_file(tmp_path / "e" / "adapter" / "adapter_model.safetensors")
    assert adapter and all("lora_" in name for name in adapter)
    whole, base = (load_file(folder / "model.safetensors") for folder in (tmp_path / "e", tiny_base))
    changed = {name.split(".")[-2] for name in base if not torch.equal(whole[name], base[name])}
    assert set(whole) == set(base) and changed == {"q_proj", "v_proj"}


def test_a_failed_training_leaves_no_folder(tiny_base, tmp_path):
    job = job_in(tmp_path, tiny_base, settings=replace(SETTINGS, max_length=10))
    with pytest.raises(DataError, match="no training row fits"):
        training.train_expert(job)
    assert not (tmp_path / "e").exists() and not list(tmp_path.glob(".e.*"))


def test_a_base_model_without_tokenizer_is_named(tiny_base, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(tiny_base, broken)
    for file in broken.glob("tokenizer*"):
        file.unlink()
    with pytest.raises(DataError, match="broken.*lacks a tokenizer"):
        training.train_expert(job_in(tmp_path, broken))


def test_too_few_rows_are_named(tiny_base, tmp_path):
    job = job_in(tmp_path, tiny_base)
    job = replace(job, sources=((*job.sources[0][:2], 1000, True),))
    with pytest.raises(DataError, match=r"feedback\.jsonl: 1000 rows were asked for but the file has 40"):
        training.train_expert(job)


@pytest.fixture(scope="module")
def tiny_mixtral(tokenizer, tmp_path_factory):
    from transformers import MixtralConfig, MixtralForCausalLM

    folder = tmp_path_factory.mktemp("mixtral")
    small = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = MixtralConfig(vocab_size=len(tokenizer), num_key_value_heads=1, num_local_experts=2, **small)
    torch.manual_seed(0)
    MixtralForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_the_8x7b_recipe_trains_a_mixtral(tiny_mixtral, tmp_path):
    """Table 10's LoRA on attention and experts: dropout stands on the attention projections only."""
    from prometheus_lib.scale import load_scale

    lora = replace(load_scale("8x7b").training.lora, rank=4, alpha=8)
    settings = replace(SETTINGS, lora=lora)
    model = training.load_model(str(tiny_mixtral), settings)
    dropouts = {
        name.split(".lora_dropout")[0].split(".")[-1]
        for name, module in model.named_modules()
        if ".lora_dropout" in name and isinstance(module, torch.nn.Dropout) and module.p == 0.1
    }
    assert dropouts == {"q_proj", "k_proj", "v_proj", "o_proj"}
    training.train_expert(job_in(tmp_path, tiny_mixtral, settings=settings))
    adapter = load_file(tmp_path / "e" / "adapter" / "adapter_model.safetensors")
    assert any("experts" in name for name in adapter) and any("q_proj" in name for name in adapter)
    AutoModelForCausalLM.from_pretrained(tmp_path / "e")
