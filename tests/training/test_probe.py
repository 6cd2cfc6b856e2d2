"""Base models of the real architectures, with chat templates in their shapes: looked at, trained for a step, asked."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
import transformers
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

from prometheus_lib import data, judging, training
from prometheus_lib.data import minibench
from prometheus_lib.records import DataError, write_jsonl
from prometheus_lib.training import ExpertJob, TrainingSettings, probe

CHATML = (
    "{% if messages[0].role != 'system' %}{{ '<|im_start|>system\\nYou are helpful.<|im_end|>\\n' }}{% endif %}"
    "{% for m in messages %}{{ '<|im_start|>' ~ m.role ~ '\\n' ~ m.content ~ '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
INST = (
    "{{ bos_token }}{% for m in messages %}"
    "{% if m.role == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    "{% if m.role == 'user' %}{{ '[INST] ' ~ m.content ~ ' [/INST]' }}{% else %}{{ m.content ~ eos_token }}{% endif %}"
    "{% endfor %}"
)
GEMMA_3 = (
    "{{ bos_token }}{% set ns = namespace(opening='') %}{% if messages[0].role == 'system' %}"
    "{% set ns.opening = messages[0].content ~ '\\n\\n' %}{% set messages = messages[1:] %}{% endif %}"
    "{% for m in messages %}{{ '<start_of_turn>' ~ ('model' if m.role == 'assistant' else m.role) ~ '\\n' ~ "
    "(ns.opening if loop.first else '') ~ m.content | trim ~ '<end_of_turn>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}"
)
PHI = (
    "{% for m in messages %}{{ '<|' ~ m.role ~ '|>' ~ m.content ~ '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
OLMO = (
    "{{ bos_token }}{% for m in messages %}{{ '<|' ~ m.role ~ '|>\\n' ~ m.content ~ '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}"
)
DATED = "{{ bos_token ~ 'Today: ' ~ strftime_now('%d %b %Y') ~ '\\n' }}" + CHATML


@dataclass(frozen=True)
class Kind:
    """A family of base models: configuration, chat template, begin and end token, and what the probe should find."""

    config: str
    template: str
    begin: str | None
    end: str
    system_role: bool
    begin_tokens: int
    dated: bool = False


KINDS = {
    "llama-chatml": Kind("LlamaConfig", CHATML, "<|im_start|>", "<|im_end|>", True, 3),
    "llama-dated": Kind("LlamaConfig", DATED, "<s>", "<|im_end|>", True, 1, dated=True),
    "qwen2": Kind("Qwen2Config", CHATML, None, "<|im_end|>", True, 0),
    "qwen3": Kind("Qwen3Config", CHATML, None, "<|im_end|>", True, 0),
    "gemma3": Kind("Gemma3TextConfig", GEMMA_3, "<bos>", "<eos>", False, 1),
    "gemma3-vision": Kind("Gemma3Config", GEMMA_3, "<bos>", "<eos>", False, 1),
    "mistral": Kind("MistralConfig", INST, "<s>", "</s>", False, 1),
    "mixtral": Kind("MixtralConfig", INST, "<s>", "</s>", False, 1),
    "phi3": Kind("Phi3Config", PHI, "<s>", "<|end|>", True, 0),
    "olmo2": Kind("Olmo2Config", OLMO, "<s>", "</s>", True, 1),
}
CONTEXT = 4096  # byte-level prompts are long
SHAPE = {
    "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
    "num_key_value_heads": 1, "max_position_embeddings": CONTEXT, "head_dim": 16,
}  # fmt: skip


def tokenizer_of(kind: Kind) -> PreTrainedTokenizerFast:
    """Return a tokenizer of bytes with the family's own tokens."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = Tokenizer(models.BPE({token: n for n, token in enumerate(alphabet)}, []))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    specials = dict.fromkeys(filter(None, [kind.begin, kind.end, "<pad>", "<end_of_turn>"]))
    inner.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in specials])
    found = PreTrainedTokenizerFast(tokenizer_object=inner, bos_token=kind.begin, eos_token=kind.end, pad_token="<pad>")
    found.chat_template = kind.template
    return found


def save(kind: Kind, folder: Path) -> Path:
    """Save a model of one layer with random weights."""
    tokenizer = tokenizer_of(kind)
    ids = {
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    shape = {**SHAPE, **ids, "vocab_size": len(tokenizer) + 8}  # some families add tokens when they are read
    if kind.config == "MixtralConfig":
        shape["num_local_experts"] = 2
    if kind.config == "Gemma3Config":
        seen = {
            "hidden_size": 32,
            "intermediate_size": 32,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "image_size": 28,
        }
        config = transformers.Gemma3Config(text_config=shape, vision_config=seen, mm_tokens_per_image=4, **ids)
    else:
        config = getattr(transformers, kind.config)(**shape)
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=KINDS)
def saved(request, tmp_path_factory):
    return KINDS[request.param], save(KINDS[request.param], tmp_path_factory.mktemp(request.param))


def test_the_probe_tells_what_each_family_does(saved):
    kind, folder = saved
    found = probe(str(folder), longest=CONTEXT)
    assert found.fits, found.problems
    assert found.facts["system role"] == kind.system_role and found.facts["begin tokens"] == kind.begin_tokens
    assert found.facts["end token"] == kind.end and found.facts["prints the date"] == kind.dated
    assert found.facts["context"] == CONTEXT
    with pytest.raises(
        DataError, match=f"context of {CONTEXT} tokens is shorter than the longest prompt.*\\({CONTEXT + 1} "
    ):
        probe(str(folder), longest=CONTEXT + 1).check()


def test_each_family_is_trained_and_judges(saved, tmp_path):
    kind, folder = saved
    rows = write_jsonl(tmp_path / "rows.jsonl", data.feedback_rows(1, 1))
    settings = TrainingSettings(learning_rate=1e-3, batch_size=2, max_length=CONTEXT, warmup=0.0)
    job = ExpertJob("e", str(folder), (("direct", str(rows), 2, True),), settings, 42, str(tmp_path / "e"))
    training.train_expert(job)
    before, after = (AutoModelForCausalLM.from_pretrained(each).state_dict() for each in (folder, tmp_path / "e"))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert set(before) == set(after) and any("q_proj" in name or "qkv_proj" in name for name in changed)
    assert AutoTokenizer.from_pretrained(tmp_path / "e").chat_template == kind.template
    judge = judging.TransformersJudge("e", tmp_path / "e", batch_size=2)
    items = minibench.build("mini_flask", 1, 0.05)[:1]
    tasks = judging.direct_tasks("mini_flask", items, True, draws=1)
    (found,) = judge.generate(tasks, judging.Decoding(max_new_tokens=3), seed=1)
    assert found[0].tokens <= 3


# --- what does not fit -----------------------------------------------------------------------------------------------


@pytest.fixture
def mistral(tmp_path):
    return save(KINDS["mistral"], tmp_path / "model")


def change(folder: Path, file: str, **values) -> None:
    path = folder / file
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_a_vocabulary_smaller_than_its_ids(mistral):
    change(mistral, "config.json", vocab_size=100)
    with pytest.raises(DataError, match=r"ids up to \d+, its embeddings only 100 rows; get the tokenizer"):
        probe(str(mistral)).check()


def test_an_encoder_and_a_model_that_translates(tmp_path):
    for config, name in (
        (transformers.BertConfig, "BertForMaskedLM"),
        (transformers.T5Config, "T5ForConditionalGeneration"),
    ):
        folder = tmp_path / name
        config(architectures=[name]).save_pretrained(folder)
        (folder / "model.safetensors").touch()
        tokenizer_of(KINDS["mistral"]).save_pretrained(folder)
        with pytest.raises(DataError, match=f"{name} is no model that writes on"):
            probe(str(folder))


def test_a_model_without_weights_without_template_and_with_code_of_its_own(mistral, tmp_path):
    (mistral / "model.safetensors").rename(tmp_path / "aside")
    with pytest.raises(DataError, match="there are no weights"):
        probe(str(mistral))
    (tmp_path / "aside").rename(mistral / "model.safetensors")
    coded = tmp_path / "coded"
    shutil.copytree(mistral, coded)
    change(coded, "config.json", model_type="their_own", auto_map={"AutoConfig": "code.TheirConfig"})
    with pytest.raises(DataError, match="brings code of its own, which is not run"):
        probe(str(coded))
    (mistral / "chat_template.jinja").unlink()
    with pytest.raises(DataError, match="no chat template"):
        probe(str(mistral))


def test_weights_that_are_not_all_there(mistral, tmp_path):
    whole = mistral / "model.safetensors"
    cut = whole.read_bytes()[:2000]
    index = {"metadata": {}, "weight_map": {"a": "model-00001-of-00002.safetensors", "b": whole.name}}
    (mistral / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(DataError, match=r"of its weights model-00001-of-00002\.safetensors is missing; get the whole"):
        probe(str(mistral))
    (mistral / "model.safetensors.index.json").unlink()
    whole.write_bytes(cut)
    with pytest.raises(DataError, match=r"model\.safetensors is damaged or not all there"):
        probe(str(mistral))
    whole.unlink()
    (mistral / "training_args.bin").touch()  # what else is called .bin is no weights
    with pytest.raises(DataError, match="there are no weights"):
        probe(str(mistral))
    (mistral / "adapter_config.json").write_text("{}")
    with pytest.raises(DataError, match="this is an adapter without its base"):
        probe(str(mistral))
    (mistral / "config.json").write_text("{")
    with pytest.raises(DataError, match="configuration or tokenizer cannot be read"):
        probe(str(mistral))


def test_a_gated_model_and_one_that_is_not_there(monkeypatch):
    from prometheus_lib.training import probing

    gated = OSError("You are trying to access a gated repo.\\nMake sure to have access to it.")
    assert "agree to it on its page on the hub and log in" in probing._advice(gated)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(DataError, match="owner/name: configuration or tokenizer cannot be read"):
        probe("owner/name")
