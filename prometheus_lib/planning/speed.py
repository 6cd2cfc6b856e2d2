"""How fast this machine, or a GPU, trains a model and lets it judge: measured where that can be, else estimated."""

from __future__ import annotations

import copy
import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..parallel import available_workers, one_thread
from ..scale import Expert, Scale, committed_outputs
from ..training import TrainingSettings
from ..training.sizing import Shape, config_of
from .machines import GPU
from .work import Work, work_of

READ, DECODE = 0.5, 0.6  # shares of a GPU's peak and of its bandwidth that reading and writing reach (estimated)
TOGETHER = 256  # sequences that vLLM writes at a time, at most
WRITTEN = 5.0  # prompt tokens that a CPU reads while it writes one, in batches
OPERATIONS = 5e9  # parameters times tokens in one step of the probe
STARTUP = 25.0  # seconds of a notebook that does nothing else


@dataclass(frozen=True)
class Speed:
    """Tokens per second of one worker or GPU in training, in reading prompts and in writing answers, and the source.

    >>> Speed(6000, 15000, 3000, "measured").training
    6000
    """

    training: float
    reading: float
    writing: float
    source: str


# --- GPUs ------------------------------------------------------------------------------------------------------------


def gpu_speed(gpu: GPU, shape: Shape, settings: TrainingSettings, work: Work, shared_by: int = 1) -> Speed:
    """Estimate a GPU's speed from its peak and bandwidth; judging with each model spread over `shared_by` GPUs.

    Training takes 6 operations per parameter and token, 8 where activations are computed again; of frozen weights the
    gradients are not computed. Writing reads all weights once for each token of all sequences.

    >>> shape = Shape("7B", 7_241_732_096, 7_241_732_096, 7_241_732_096, 32, 4096, 32000, 65536, None)
    >>> gpu = GPU("A100 40 GB", 40, 312, 1555, 0.45, 1.99, "a price list")
    >>> settings = TrainingSettings(1e-5, 32, 4096, gradient_checkpointing=True)
    >>> round(gpu_speed(gpu, shape, settings, Work(0, 0, 0, 0, 1, 1700.0, "")).training)
    2379
    """
    again = 2 if settings.gradient_checkpointing else 0
    adapters = shape.trained * shape.active / shape.parameters if settings.lora else 0
    operations = (4 + again) * shape.active + (6 + again) * adapters if settings.lora else (6 + again) * shape.active
    attention = 2 * (3 + again / 2) * shape.layers * shape.hidden * settings.max_length / 4
    weights, cached = 2 * shape.parameters, 2 * shape.cached * work.length
    room = 0.92e9 * gpu.memory * shared_by - weights
    together = max(1.0, min(TOGETHER, room / cached))
    step = (weights + together * cached) / (DECODE * 1e9 * gpu.bandwidth * shared_by)
    return Speed(
        gpu.training * gpu.peak * 1e12 / (operations + attention),
        READ * gpu.peak * 1e12 / (2 * shape.active) ,
        together / step / shared_by,
        f"estimated for {gpu.name}",
    )  # fmt: skip


# --- CPUs ------------------------------------------------------------------------------------------------------------


def earlier_speed(scale: Scale, machine: dict[str, Any]) -> Speed | None:
    """Return the speed of an earlier run with this base model on such a machine, None where there was none.

    `machine` is what a manifest says of it (`processor`, `cores`). One's own runs are looked at before committed ones.

    >>> from prometheus_lib.scale import load_scale
    >>> earlier_speed(load_scale("mini"), {"processor": "of another kind", "cores": 2}) is None
    True
    """
    for root in (scale.paths.root, committed_outputs() / scale.name.split("-")[0]):
        file = root / "manifest.json"
        if file.is_file() and (found := _of_manifest(json.loads(file.read_text(encoding="utf-8")), scale, machine)):
            return replace(found, source=f"measured in the run of {root.parent.name}/{root.name}")
    return None


def _of_manifest(manifest: dict[str, Any], scale: Scale, machine: dict[str, Any]) -> Speed | None:
    seconds, settings = manifest["seconds"], manifest["settings"]
    trained, judged = (seconds.get(name) for name in ("03_train_experts", "05_collect_judgments"))
    same = all(manifest["machine"].get(key) == machine.get(key) for key in ("processor", "cores"))
    if not (same and trained and judged and settings["base_model"] == Path(scale.base_model).name):
        return None
    work, workers = work_of(run_of(manifest, scale)), min(settings["workers"], manifest["machine"]["cores"])
    writing = (work.writing + work.reading / WRITTEN) / (judged - STARTUP) / workers
    return Speed(work.training / (trained - STARTUP) / workers, WRITTEN * writing, writing, "")


def run_of(manifest: dict[str, Any], scale: Scale) -> Scale:
    """Return a scale with the experts and shares that a manifest's run had."""
    settings = manifest["settings"]
    experts = tuple(Expert(**{**each, "formats": tuple(each["formats"])}) for each in settings["experts"])
    return replace(scale, experts=experts, benchmark_share=settings["benchmark_share"], draws=settings["draws"])


def probe_speed(base: str, settings: TrainingSettings, work: Work, batch: int) -> Speed:
    """Measure this CPU, one thread, in a few seconds: models of one and of two layers of this shape, random weights.

    Seconds are those of the processor, so that other programs count little; what one layer adds is taken for each.

    >>> speed = probe_speed("owner/base", settings, work_of(scale), batch=32)  # doctest: +SKIP
    >>> speed.source  # doctest: +SKIP
    'probed on this machine'
    """
    import torch

    config, times = config_of(base), []
    layers = config.get_text_config().num_hidden_layers
    length = max(16, min(int(work.length), 256))
    state = torch.random.get_rng_state()
    with one_thread():
        for count in (1, 2):
            model = _slice(config, count)
            affordable = int(OPERATIONS / sum(value.numel() for value in model.parameters()) / length)
            rows = max(1, min(settings.rows_at_once or settings.batch_size, affordable))
            taken = _train(model, rows, length, settings.bf16), *_generate(model, rows, min(batch, 64), length)
            times.append(taken)
    torch.random.set_rng_state(state)
    whole = [max(first, first + (layers - 1) * (second - first)) for first, second in zip(*times, strict=True)]
    return Speed(*(1 / seconds for seconds in whole), "probed on this machine")


def _slice(config: Any, layers: int) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    config = copy.deepcopy(config)
    text = config.get_text_config()
    text.num_hidden_layers = layers
    if getattr(text, "layer_types", None):
        text.layer_types = text.layer_types[:layers]
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(config, dtype=torch.float32)


def _seconds(work: Any) -> float:
    """Return the processor seconds of the quicker of two runs."""
    taken = []
    for _ in range(2):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return min(taken)


def _train(model: Any, rows: int, length: int, bf16: bool) -> float:
    """Return the seconds that training takes per token; a quarter of a row is the answer."""
    import torch

    ids = torch.randint(3, model.config.get_text_config().vocab_size, (rows, length))

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            logits = model(ids, use_cache=False, logits_to_keep=length // 4).logits.float()
        logits.logsumexp(-1).sum().backward()
        model.zero_grad()

    return _seconds(step) / rows / length


def _generate(model: Any, rows: int, batch: int, length: int) -> tuple[float, float]:
    """Return the seconds of reading one token of prompts, and of writing one in a batch of answers."""
    import torch

    ids = torch.randint(3, model.config.get_text_config().vocab_size, (rows, length))
    with torch.inference_mode():
        reading = _seconds(lambda: model(ids, logits_to_keep=1)) / rows / length
        cache = model(ids[:1], logits_to_keep=1).past_key_values
        cache.batch_repeat_interleave(batch)
        last = ids[:1, :1].repeat(batch, 1)
        writing = _seconds(lambda: model(last, past_key_values=cache).logits.softmax(-1).sort(-1)) / batch
    return reading, writing


def workers_of(scale: Scale) -> int:
    """Return how many processes of a CPU run compute at once.

    >>> from prometheus_lib.scale import load_scale
    >>> workers_of(load_scale("mini")) in (1, 2)
    True
    """
    return available_workers(scale.workers)
