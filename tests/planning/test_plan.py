"""What a run would take: counted work, memory known from elsewhere, measured seconds, and what a user reads."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModelForCausalLM, AutoTokenizer, BertConfig, MistralConfig, MixtralConfig, T5Config

from prometheus_lib import data, pipeline, planning
from prometheus_lib.__main__ import main
from prometheus_lib.data import minibench
from prometheus_lib.data.catalogue import BENCHMARKS
from prometheus_lib.judging.engines.shared_prompt import SharedPromptLayer
from prometheus_lib.judging.engines.writing import prompt_ids
from prometheus_lib.judging.running import parts
from prometheus_lib.planning import Machine, command, estimate, machines, speed, work
from prometheus_lib.prompts.templates import PROMETHEUS
from prometheus_lib.records import DataError, write_jsonl, write_text_atomic
from prometheus_lib.runner.manifest import write_manifest
from prometheus_lib.runner.notebooks import notebook_files
from prometheus_lib.scale import committed_outputs, load_scale
from prometheus_lib.training import sizing
from prometheus_lib.training.experts import tokenise_to_disk

FAST = planning.Speed(6000, 15000, 3000, "given")
LAPTOP = Machine(cores=2, memory=16, disk=100)
A100 = next(gpu for gpu in planning.gpu_table() if gpu.name == "A100 40 GB")


def node(count: int, gpu=A100) -> Machine:
    return Machine(cores=64, memory=1000, disk=8000, gpus=(gpu,) * count)


# --- sizes and memory ------------------------------------------------------------------------------------------------


def test_sizes_and_memory_of_the_papers_models():
    """Known: 116 GB in one process, 14.5 GB on each of eight cards, 23 GB for Mixtral with adapters."""
    dense = sizing.shape_of("mistralai/Mistral-7B-Instruct-v0.2")
    assert dense.parameters == dense.active == dense.trained == 7_241_732_096
    assert sizing.state_memory(dense, lora=False) == pytest.approx(115.9, abs=0.1)
    assert sizing.state_memory(dense, lora=False, devices=8) == pytest.approx(14.5, abs=0.05)
    scale = load_scale("8x7b")
    mixture = sizing.shape_of(scale.base_model, scale.training.lora)
    assert mixture.parameters == 46_702_792_704
    assert mixture.active / 1e9 == pytest.approx(12.9, abs=0.1)
    assert mixture.trained / 1e9 == pytest.approx(5.72, abs=0.01)
    assert sizing.state_memory(mixture, lora=True, devices=8) == pytest.approx(23, abs=0.5)


def test_adapters_are_counted_as_peft_makes_them(tmp_path):
    from peft import LoraConfig, get_peft_model
    from tiny_models import tiny_mixtral

    from prometheus_lib.training import Lora

    model, lora = tiny_mixtral(tmp_path / "m", seed=1), Lora(4, 8, 0.0, ("q_proj", "o_proj", "w1", "w2", "w3"))
    shape = sizing.shape_of(str(tmp_path / "m"), lora)
    made = get_peft_model(model, LoraConfig(r=4, lora_alpha=8, lora_dropout=0.0, target_modules=list(lora.targets)))
    assert shape.trained == sum(value.numel() for value in made.parameters() if value.requires_grad)
    assert (
        shape.active
        < shape.parameters
        == sum(value.numel() for name, value in made.named_parameters() if "lora" not in name)
    )


@pytest.mark.parametrize(
    ("scale", "memory", "devices", "expected"),
    [
        ("7b", 40, 8, (8, "fsdp2")),
        ("7b", 40, 7, (4, "")),
        ("7b", 80, 7, (4, "fsdp2")),  # a batch of 32 is not cut in seven
        ("7b", 24, 1, (0, "")),
        ("7b", 180, 1, (1, "single")),
        ("8x7b", 40, 8, (8, "lora")),
        ("8x7b", 80, 1, (0, "")),
        ("8x7b", 141, 1, (0, "")),  # bitsandbytes does not pack a mixture's experts
        ("8x7b", 180, 1, (0, "")),
    ],
)
def test_a_launcher_is_chosen_for_the_gpus(scale, memory, devices, expected):
    chosen = load_scale(scale)
    shape = sizing.shape_of(chosen.base_model, chosen.training.lora)
    found = sizing.choose_launcher(shape, chosen.training, memory, devices)
    assert found == (expected if expected[1] else (0, ""))


def test_a_dense_model_in_four_bits_fits_a_small_card():
    settings = replace(load_scale("8x7b").training, rows_at_once=1)
    shape = sizing.shape_of("mistralai/Mistral-7B-Instruct-v0.2", replace(settings.lora, rank=16))
    found = {memory: sizing.choose_launcher(shape, settings, memory, 1) for memory in (8, 16, 24, 40)}
    assert found[8] == (0, "") and found[40] == (1, "single") and (1, "qlora") in found.values()


# --- work ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mini", "bridge"])
def test_judgments_are_those_that_the_pipeline_asks_for(name):
    scale = replace(load_scale(name), benchmark_share=0.25)
    items = {f"mini_{n}": minibench.build(f"mini_{n}", scale.seed, scale.benchmark_share) for n in BENCHMARKS}
    found = work.work_of(scale)
    assert found.judgments == asked(scale, items) and found.starts == 1
    rows = sum(len(expert.formats) * expert.examples for expert in scale.experts)
    assert found.training == pytest.approx(rows * found.row / 2, rel=0.01)
    assert found.longest == pytest.approx(found.training * max(map(share_of(rows), scale.experts)), rel=0.2)


def asked(scale, items) -> int:
    jobs = [*pipeline.judging_jobs(scale, items), *pipeline.sweep_jobs(scale, items, 1)]
    return sum(task.draws for job in jobs for part in parts(job) for task in part.tasks)


def share_of(rows: int):
    return lambda expert: len(expert.formats) * expert.examples / rows


def test_real_rows_and_items_are_counted_as_the_run_itself_takes_them(data_dir, tmp_path, monkeypatch):
    """Training tokens as they are joined, prompts as they are rendered, with the model's own tokenizer."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    scale = pipeline.with_base(load_scale("small", tmp_path))
    found = work.work_of(scale)
    for name, rows in (("feedback", data.load_feedback_rows(scale)), ("preference", data.load_preference_rows(scale))):
        write_jsonl(scale.paths.rows(name), rows)
    items = pipeline.build_benchmarks(scale)
    assert found.judgments == asked(scale, items) > 100
    tokenizer = AutoTokenizer.from_pretrained(scale.base_model)
    trained = [
        tokenise_to_disk(tokenizer, job.examples(), scale.training.max_length, tmp_path / job.name, share_prompts=True)
        for job in pipeline.expert_jobs(scale)
    ]
    joined = [-(-len(rows) // scale.training.batch_size) for rows, _ in trained]
    assert [job.steps() for job in pipeline.expert_jobs(scale)] == joined
    tokens = [sum(map(len, rows["input_ids"])) for rows, _ in trained]
    assert found.training == pytest.approx(sum(tokens), rel=0.1) and found.longest == pytest.approx(
        max(tokens), rel=0.1
    )
    tasks = [t for job in pipeline.judging_jobs(scale, items) for t in job.tasks]
    tasks += [t for job in pipeline.sweep_jobs(scale, items, 1) for part in job.jobs for t in part.tasks]
    read = [len(ids) for ids in prompt_ids(tokenizer, tasks, PROMETHEUS)]
    assert found.reading == pytest.approx(sum(read), rel=0.2)
    again = work.work_of(scale)  # from the run's own files
    assert again.judgments == found.judgments and again.training == pytest.approx(found.training, rel=0.1)


def test_benchmarks_that_are_not_at_hand_are_counted_by_their_size(tmp_path, monkeypatch):
    monkeypatch.setenv("PROMETHEUS_DATA_DIR", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    scale = replace(load_scale("small", tmp_path), studies=(), sample_share=1.0, sample_draws=0)
    few, many = (work.work_of(replace(scale, benchmark_items=count), look=False) for count in (32, 0))
    of_each = {"direct": 3 * 320, "pairwise": 221 + 1392}
    assert few.judgments == len(scale.judges) * 5 * 32
    assert many.judgments == pytest.approx(len(scale.judges) * sum(of_each.values()))
    assert "typical lengths" in few.source


def test_the_papers_own_work_is_what_was_counted_before():
    """About 1.61 billion tokens for six experts, counted on the collections' published statistics."""
    found = work.work_of(load_scale("7b"))
    assert found.training == pytest.approx(1.61e9, rel=0.15) and found.starts == 19
    assert "typical lengths" in found.source


def test_rows_that_are_collected_are_counted_and_too_few_made_ones_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"expert 'direct' is to learn 96 direct rows, and there are 10; lower `rows`"):
        work.work_of(replace(load_scale("smoke", tmp_path), collection_instructions=2))
    scale = replace(load_scale("7b", tmp_path), base_model=load_scale("mini").base_model, benchmarks=(), studies=())
    for name, rows in (("feedback", data.feedback_rows(1, 20)), ("preference", data.preference_rows(1, 20))):
        write_jsonl(scale.paths.rows(name), rows)
    found = work.work_of(scale)
    assert found.training == pytest.approx(work.work_of(all_rows(scale, 100, 200)).training)


def all_rows(scale, direct: int, pairwise: int):
    """Replace each expert by one for each of its formats, with the numbers of rows as numbers."""
    counts = {"direct": direct, "pairwise": pairwise}
    alone = [(each, format) for each in scale.experts for format in each.formats]
    experts = [
        replace(
            each, name=f"{each.name}-{format}", formats=(format,), examples=int((each.examples or 1) * counts[format])
        )
        for each, format in alone
    ]
    return replace(scale, experts=tuple(experts))


# --- speed -----------------------------------------------------------------------------------------------------------


def committed() -> dict:
    return json.loads((committed_outputs() / "mini" / "manifest.json").read_text())


def test_the_plan_of_the_mini_run_is_what_was_measured(tmp_path):
    """By the speeds of that run itself, so that it is arithmetic over all notebooks that is checked, not this clock.

    One's own run, which `make reproduce` leaves, would be looked at before the committed one: it is elsewhere here.
    """
    manifest, scale = committed(), load_scale("mini", tmp_path)
    measured = speed.earlier_speed(scale, manifest["machine"])
    assert measured is not None and "measured in the run" in measured.source
    plan = planning.make_plan(scale, LAPTOP, measured)
    hours = {each.notebook: each.hours for each in plan.notebooks}
    for name in ("03_train_experts", "05_collect_judgments"):
        assert 1 / 1.5 < 3600 * hours[name] / manifest["longest"][name] < 1.5
    assert 1 / 1.5 < 3600 * plan.hours / sum(manifest["longest"].values()) < 1.5


def test_speeds_of_an_earlier_run_hold_for_other_rows_and_not_for_other_machines_or_models(tmp_path):
    manifest = committed()
    half, whole = load_scale("mini", tmp_path, rows=2000), load_scale("mini", tmp_path)
    found = [speed.earlier_speed(scale, manifest["machine"]) for scale in (half, whole)]
    assert found[0] == found[1]
    plans = [planning.make_plan(scale, LAPTOP, found[0]) for scale in (half, whole)]
    assert plans[0].work.training == pytest.approx(plans[1].work.training / 2, rel=0.01)
    assert speed.earlier_speed(whole, {**manifest["machine"], "processor": "another"}) is None
    assert speed.earlier_speed(load_scale("mini", tmp_path, base_model="owner/other"), manifest["machine"]) is None


def manifest_of(scale, **seconds: float) -> dict:
    """What the runner leaves of a run on the machine at hand."""
    file = write_manifest(scale, {f"{number}_notebook": value for number, value in seconds.items()})
    return json.loads(file.read_text())


def test_a_run_with_a_model_of_the_hub_is_found_again_by_its_settings(tmp_path):
    """Speeds follow from what that run had to do, not from what a scale's file says now."""
    scale = replace(load_scale("smoke", tmp_path), base_model="owner/name")
    machine = manifest_of(scale, **{"03": 125.0, "05": 225.0})["machine"]
    found = speed.earlier_speed(scale, machine)
    workers = min(scale.workers, machine["cores"])
    assert found.training == pytest.approx(work.work_of(scale).training / 100 / workers)
    fewer = replace(scale, benchmarks=("flask",), training=replace(scale.training, epochs=3.0))
    assert speed.earlier_speed(fewer, machine) == found
    assert speed.earlier_speed(replace(scale, base_model="other/name"), machine) is None


@pytest.mark.parametrize("seconds", [{"03": 20.0, "05": 30.0}, {"03": 300.0}, {}])
def test_runs_too_short_to_tell_a_speed_tell_none(seconds, tmp_path):
    scale = load_scale("smoke", tmp_path)
    manifest = manifest_of(scale, **seconds)
    assert speed.earlier_speed(scale, manifest["machine"]) is None
    old = {**manifest, "settings": {"base_model": manifest["settings"]["base_model"], "of_old": 1}}
    assert speed.run_of(old, scale) is None
    (scale.paths.root / "manifest.json").write_text("{")
    with pytest.raises(DataError, match=r"manifest\.json: not valid JSON"):
        speed.earlier_speed(scale, manifest["machine"])


def test_the_probe_measures_a_model_of_this_shape():
    scale = load_scale("mini")
    found = speed.probe_speed(scale.base_model, scale.training, work.work_of(scale), scale.batch_size)
    assert found.source == "probed on this machine" and 1000 < found.training < found.reading
    assert found.writing < found.reading


def small_config(layers: int) -> MistralConfig:
    return MistralConfig(
        vocab_size=500, hidden_size=256, intermediate_size=1024, num_hidden_layers=layers, num_attention_heads=4,
        num_key_value_heads=2, sliding_window=None,
    )  # fmt: skip


@pytest.mark.parametrize(("layers", "length"), [(1, 16), (3, 384)])
def test_multiplications_of_a_token_are_those_that_pytorch_counts(layers, length):
    config = small_config(layers)
    config._attn_implementation = "eager"
    model = AutoModelForCausalLM.from_config(config)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, length, dtype=torch.long))
    counted = counter.get_total_flops() / 2 / length  # one to multiply, one to add
    found = speed._multiplied(layers, speed._layer(config), length, config.hidden_size, config.vocab_size)
    assert found == pytest.approx(counted, rel=0.01)


def test_the_probe_is_as_deep_as_it_can_pay_and_all_of_a_small_model():
    """One layer has 0.98 million parameters: ten of a hundred layers cost 4e9 operations on a row of 384 tokens."""
    layer = speed._layer(small_config(10))
    assert layer == 256 * (256 + 128 + 128 + 256) + 3 * 256 * 1024 + 2 * 256
    assert [speed._depth(10, layer, 384), speed._depth(100, layer, 384), speed._depth(100, layer, 384 * 100)] == [
        10,
        10,
        1,
    ]


def test_a_mixture_counts_the_experts_that_a_token_passes():
    config = MixtralConfig(
        vocab_size=500, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, num_local_experts=8, num_experts_per_tok=2, sliding_window=None,
    )  # fmt: skip
    assert speed._layer(config) == 64 * (64 + 32 + 32 + 64) + 2 * 3 * 64 * 128 + 8 * 64 + 2 * 64


def test_the_probes_model_has_a_small_vocabulary_and_computes_with_real_numbers():
    config = small_config(6)
    config.vocab_size, config.pad_token_id = 100_000, 99_999
    model = speed._slice(config, 3)
    assert len(model.model.layers) == 3 and model.config.vocab_size == 1024 and config.vocab_size == 100_000
    logits = model(torch.arange(3, 40).unsqueeze(0)).logits
    assert logits.isfinite().all() and logits.std() > 0


def test_the_probe_trains_as_training_does_and_writes_as_judging_does():
    model = speed._slice(small_config(2), 2)
    calls = []
    model.model.layers[0].mlp.register_forward_pre_hook(lambda *_: calls.append(1))
    ids = torch.arange(3, 35).unsqueeze(0)
    settings = replace(load_scale("bridge").training, gradient_checkpointing=True)
    speed._train(model, ids, settings)
    assert len(calls) == 2  # forward, and again before the gradients
    speed._train(model, ids, replace(settings, gradient_checkpointing=False))
    assert len(calls) == 3
    with torch.inference_mode():
        plain = model(torch.cat([ids, ids[:, :1]], dim=1)).logits[0, -1]
        read = speed._prompts_read(model, ids, 3)
        found = model(ids[:, :1].repeat(3, 1), past_key_values=read).logits[:, -1]
    assert torch.allclose(found, plain.expand_as(found), atol=1e-4)
    assert {type(layer) for layer in read.layers} == {SharedPromptLayer}


def test_speeds_of_gpus_are_estimates_of_the_right_size():
    """195 A100 hours for 1.61 billion tokens of 7B were estimated elsewhere."""
    scale = load_scale("7b")
    shape, done = sizing.shape_of(scale.base_model), work.work_of(scale)
    found = speed.gpu_speed(A100, shape, scale.training, done)
    assert found.source == "estimated for A100 40 GB"
    assert 1.61e9 / found.training / 3600 == pytest.approx(195, rel=0.15)
    assert 500 < found.writing < 5000 < found.reading


# --- plans -----------------------------------------------------------------------------------------------------------


def test_a_node_of_gpus_runs_it_and_a_laptop_is_told_what_would():
    scale = load_scale("7b")
    plan = planning.make_plan(scale, node(8))
    assert plan.fits and plan.launcher == "fsdp2" and plan.verdict.startswith("fits this machine")
    training = next(each for each in plan.notebooks if each.notebook == "03_train_experts")
    assert 14.5 < training.gpu < 40 and training.disk > 6 * 28
    for machine, why in (
        (LAPTOP, "it has no GPU that CUDA sees"),
        (node(2), "training does not fit its 2 x 40 GB of GPU memory"),
        (replace(node(8), disk=100), "GB of disk are needed, 100 are free"),
        (replace(node(8), memory=20), "GB of memory are needed, it has 20"),
    ):
        plan = planning.make_plan(scale, machine)
        assert not plan.fits and why in plan.verdict and "what would: " in plan.verdict and plan.verdict.count(".") >= 1
    assert all(offer.count * offer.hours < estimate.PAPER_HOURS for offer in plan.offers)


def test_a_large_model_on_a_cpu_does_not_fit():
    plan = planning.make_plan(
        replace(load_scale("mini"), base_model="mistralai/Mistral-7B-Instruct-v0.2"), LAPTOP, FAST
    )
    assert not plan.fits and "of memory are needed, it has 16" in plan.verdict


def test_what_does_not_fit_a_cpu_is_not_probed_and_has_no_hours(monkeypatch):
    """The probe's own layer of a mixture would take 6 GB."""
    monkeypatch.setattr(command, "probe_speed", None)  # it would fail
    scale = load_scale("mini", base_model="mistralai/Mixtral-8x7B-Instruct-v0.1")
    plan = command.plan_of(scale)
    assert not plan.fits and math.isnan(plan.hours)
    shown = command.shown(plan)
    assert "In all ? hours" in shown and "not measured; each of" in shown and "nan" not in shown


def test_gpus_that_do_not_hold_it_are_not_what_hours_are_told_for():
    plan = planning.make_plan(load_scale("7b"), node(1, next(g for g in planning.gpu_table() if g.name == "RTX 4090")))
    assert not plan.fits and (plan.devices, plan.launcher) == (plan.offers[0].count, plan.offers[0].launcher)
    assert plan.speed.source == f"estimated for {plan.offers[0].gpu.name}"


@pytest.mark.parametrize(
    ("name", "memory", "like"),
    [
        ("NVIDIA A100-SXM4-40GB", 42.3, "A100 40 GB"),
        ("NVIDIA A100-SXM4-80GB", 85.0, "A100 80 GB"),
        ("NVIDIA H100 80GB HBM3", 85.0, "H100 80 GB"),
        ("NVIDIA L40S", 25.0, "RTX 4090"),  # its name has a 40 in it, which says nothing of its memory
        ("NVIDIA H800", 85.0, "A100 80 GB"),  # of two as large the slower
        ("NVIDIA B200", 190.0, "B200"),
    ],
)
def test_a_gpu_is_taken_for_the_nearest_of_the_table(name, memory, like, tmp_path, monkeypatch):
    """The table may hold a GPU of one's own whose name is one word."""
    own = planning.GPU("B200", 180, 2250, 8000, 0.4, 6.0, "own")
    monkeypatch.setattr(machines, "gpu_table", lambda: [*planning.gpu_table(), own])
    assert machines._known(name, memory).source == f"taken to be like {like}"


def test_an_encoder_is_refused(tmp_path):
    for config in (T5Config(), BertConfig(architectures=["BertForMaskedLM"])):
        config.save_pretrained(tmp_path)
        with pytest.raises(DataError, match="is no model that writes on after a prompt; choose a decoder"):
            sizing.shape_of(str(tmp_path))


def test_the_command_prints_a_plan_of_every_scale(capsys):
    names = [file.stem for file in notebook_files()]
    for name, marks in {
        "7b": ["A100 40 GB", "lambda.ai", "of the paper's 800"],
        "smoke": ["fits this machine"],
    }.items():
        status = main(["plan", "--scale", name])
        shown = capsys.readouterr().out
        assert all(mark in shown for mark in [*marks, *names, "engine starts"]), shown
        assert status == (0 if "The plan fits this machine" in shown else 1)


def test_a_base_that_cannot_be_read_and_a_broken_table(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(DataError, match="owner/name: its configuration cannot be read"):
        sizing.shape_of("owner/name")
    broken = write_text_atomic(tmp_path / "gpus.toml", '[[gpu]]\nname = "mine"\n')
    with pytest.raises(DataError, match=r"gpus\.toml: cannot be read as a table of GPUs .*memory"):
        planning.gpu_table(broken)


def test_a_run_says_what_is_missing_before_anything_is_downloaded():
    with pytest.raises(DataError, match="pip install -r requirements.txt -r requirements-gpu.txt"):
        planning.check_ready(load_scale("7b"), ["05"])
    with pytest.raises(DataError, match="prometheus_lib plan --scale 8x7b"):
        planning.check_ready(load_scale("8x7b"), ["03"])
    planning.check_ready(load_scale("7b"), ["06", "10"])
