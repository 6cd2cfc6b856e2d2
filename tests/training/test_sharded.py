"""Models that two processes share (FSDP2, on CPUs): accelerate's own sharding, by the configurations that are shipped.

accelerate ignores FSDP on CPUs when it starts processes, so they are started by torchrun and the model is handed to
accelerate's sharding directly, under the environment that its launcher makes of our files.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny_models import tiny_mixtral
from transformers import AutoModelForCausalLM

from prometheus_lib import training
from prometheus_lib.training import Lora, launching

LORA = Lora(4, 8, 0.0, ("q_proj", "v_proj", "w1", "w2", "w3"))
SCRIPT = """
import json, os, sys
from pathlib import Path
from types import SimpleNamespace
import torch
import torch.distributed as dist
from accelerate.utils import FullyShardedDataParallelPlugin
from accelerate.utils.fsdp_utils import fsdp2_prepare_model
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from prometheus_lib import training

base, lora, out = sys.argv[1:]
dist.init_process_group("gloo")
rank = dist.get_rank()
lora = training.Lora(4, 8, 0.0, ("q_proj", "v_proj", "w1", "w2", "w3")) if lora else None
torch.manual_seed(0)
model = training.load_model(base, training.TrainingSettings(1e-3, 4, 512, bf16=True, lora=lora))
plugin = FullyShardedDataParallelPlugin(cpu_ram_efficient_loading=False)
assert plugin.fsdp_version == 2
plugin.set_mixed_precision("bf16")
accelerator = SimpleNamespace(
    state=SimpleNamespace(fsdp_plugin=plugin), mixed_precision="bf16", is_main_process=rank == 0,
    device=torch.device("cpu"), torch_device_mesh=None, process_index=rank, parallelism_config=None,
)
model = fsdp2_prepare_model(accelerator, model)
computed = set()
for name, module in model.named_modules():
    if name.endswith("self_attn.o_proj"):
        module.register_forward_hook(lambda module, given, made: computed.add(str(made.dtype)))
trained = [value for value in model.parameters() if value.requires_grad]
ids = torch.arange(3, 67).reshape(2, 32)[rank : rank + 1]
optimizer = torch.optim.AdamW(trained, lr=1e-2)
losses = []
for _ in range(3):
    loss = model(input_ids=ids, labels=ids).loss
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    total = loss.detach().float()
    dist.all_reduce(total)
    losses.append(total.item() / 2)
held = sum(value.to_local().numel() for value in trained) / sum(value.numel() for value in trained)
state = get_model_state_dict(model, options=StateDictOptions(full_state_dict=True, cpu_offload=True))
if rank == 0:
    model.save_pretrained(Path(out) / "saved", state_dict=state)
    masters = sorted({str(value.dtype) for value in trained})
    Path(out, "seen.json").write_text(json.dumps([losses, held, masters, sorted(computed)]))
dist.destroy_process_group()
"""


def environment(launcher: str) -> dict[str, str]:
    """Return what accelerate's launcher would set for its processes."""
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser
    from accelerate.utils.launch import prepare_multi_gpu_env

    words = launching.command(Path("job.json"), launcher, 2)
    parsed, _, _ = _validate_launch_command(launch_command_parser().parse_args(words[3:]))
    return {name: value for name, value in prepare_multi_gpu_env(parsed).items() if name.startswith("FSDP_")}


def shard(base: Path, launcher: str, lora: str, out: Path) -> tuple[list[float], float, list[str], list[str]]:
    out.mkdir()
    script = out / "train.py"
    script.write_text(SCRIPT)
    start = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    done = subprocess.run(
        [sys.executable, *start, str(script), str(base), lora, str(out)],
        env={**os.environ, **environment(launcher)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads((out / "seen.json").read_text())


def alone(base: Path, lora: Lora | None) -> list[float]:
    """Return the losses of the same steps in one process that holds the whole model."""
    torch.manual_seed(0)
    model = training.load_model(str(base), training.TrainingSettings(1e-3, 4, 512, bf16=True, lora=lora))
    ids, losses = torch.arange(3, 67).reshape(2, 32), []
    optimizer = torch.optim.AdamW([value for value in model.parameters() if value.requires_grad], lr=1e-2)
    for _ in range(3):
        with torch.autocast("cpu", torch.bfloat16):
            loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


def test_a_shared_model_keeps_float32_computes_in_bfloat16_and_is_saved_whole(tiny_base, tmp_path):
    losses, held, masters, computed = shard(tiny_base, "fsdp2", "", tmp_path / "run")
    assert losses == pytest.approx(alone(tiny_base, None), abs=0.03) and losses[-1] < losses[0]
    assert 0.4 < held < 0.6  # of the parameters, in each process
    assert masters == ["torch.float32"] and computed == ["torch.bfloat16"]
    before, after = (AutoModelForCausalLM.from_pretrained(each) for each in (tiny_base, tmp_path / "run" / "saved"))
    kept = after.state_dict()
    assert all(kept[name].shape == value.shape for name, value in before.state_dict().items())
    ids = torch.arange(3, 67).reshape(2, 32)
    assert after(input_ids=ids, labels=ids).loss < before(input_ids=ids, labels=ids).loss


def test_adapters_of_a_mixture_are_trained_while_it_is_shared(tmp_path):
    tiny_mixtral(tmp_path / "base", seed=1)
    losses, held, masters, computed = shard(tmp_path / "base", "lora", "lora", tmp_path / "run")
    assert losses == pytest.approx(alone(tmp_path / "base", LORA), abs=0.03) and losses[-1] < losses[0]
    assert 0.4 < held < 0.6 and masters == ["torch.float32"] and computed == ["torch.bfloat16"]
    from peft import PeftModel

    base = AutoModelForCausalLM.from_pretrained(tmp_path / "base", dtype=torch.float32)
    ids = torch.arange(3, 67).reshape(2, 32)
    untrained = base(input_ids=ids, labels=ids).loss
    merged = PeftModel.from_pretrained(base, tmp_path / "run" / "saved").merge_and_unload()
    assert merged(input_ids=ids, labels=ids).loss < untrained
