"""How fast this machine, or a GPU, trains a model and lets it judge: measured where that can be, else estimated."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

from ..artifacts import notebook_seconds, read_json
from ..judging.engines.transformers_judge import keep_nucleus
from ..parallel import available_workers, one_thread
from ..records import DataError
from ..scale import Scale, committed_outputs
from ..scale.typed import record
from ..training import TrainingSettings
from ..training.sizing import Shape, config_of, idle
from .checking import JUDGES, TRAINS
from .machines import GPU, base_without_place
from .work import Work, work_of

READ, DECODE = 0.5, 0.6  # shares of a GPU's peak and of its bandwidth that reading and writing reach (estimated)
TOGETHER = 256  # sequences that vLLM writes at a time, at most
WRITTEN = 5.0  # prompt tokens that a CPU reads while it writes one, in batches
OPERATIONS = 4e9  # parameters times tokens in one step of the probe
LONGEST = 384  # tokens of its rows
ANSWERED = 1 / 4  # of a row: its loss is computed there
VOCABULARY = 1024  # tokens of its model at most
REPEATS = 3
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
        if file.is_file() and (found := _of_manifest(read_json(file), scale, machine)):
            return replace(found, source=f"measured in the run of {root.parent.name}/{root.name}")
    return None


def _of_manifest(manifest: dict[str, Any], scale: Scale, machine: dict[str, Any]) -> Speed | None:
    numbered = {name[:2]: value - STARTUP for name, value in notebook_seconds(manifest).items()}
    trained, judged = (numbered.get(number, 0.0) for number in (TRAINS, JUDGES))
    same = all(manifest.get("machine", {}).get(key) == machine.get(key) for key in ("processor", "cores"))
    run = run_of(manifest, scale)
    if run is None or not same or min(trained, judged) < STARTUP:  # of so few seconds most are not computing
        return None
    work, workers = work_of(run), min(run.workers, machine["cores"])
    writing = (work.writing + work.reading / WRITTEN) / judged / workers
    return Speed(work.training / trained / workers, WRITTEN * writing, writing, "")


def run_of(manifest: dict[str, Any], scale: Scale) -> Scale | None:
    """Return a scale with the settings that a manifest's run had; None for one of another base model or library.

    >>> from prometheus_lib.scale import load_scale
    >>> run_of({"settings": {"base_model": "owner/base"}}, load_scale("smoke")) is None
    True
    """
    settings = manifest.get("settings", {})
    if settings.get("base_model") != base_without_place(scale.base_model):
        return None
    own = {"name": scale.name, "base_model": scale.base_model, "paths": scale.paths}
    known = {field.name for field in fields(Scale)} - own.keys()
    table = {name: value for name, value in settings.items() if name in known}
    with suppress(DataError):  # it lacks a setting, or has one that there is no more
        return record(Scale, table, "manifest.json", **own)
    return None


def probe_speed(base: str, settings: TrainingSettings, work: Work, batch: int) -> Speed:
    """Measure this CPU, one thread, in a few seconds, on some layers of this shape under a small vocabulary.

    Seconds are those of the processor, so that other programs count little. The model's further layers, the rest of
    its vocabulary and the tokens of longer rows take as much as they have more to multiply; what choosing a token takes
    is measured over the whole vocabulary. Activations are computed again where training does so. Steps of the
    optimiser, a few in a hundred of the time, are left out.

    >>> speed = probe_speed("owner/base", settings, work_of(scale), batch=32)  # doctest: +SKIP
    >>> speed.source  # doctest: +SKIP
    'probed on this machine'
    """
    import torch

    config = config_of(base)
    text, length = config.get_text_config(), max(16, min(int(work.length), LONGEST))
    layer = _layer(config)
    depth = _depth(text.num_hidden_layers, layer, length)
    state = torch.random.get_rng_state()
    with one_thread():
        model = _slice(config, depth)
        train, read, write, choose = (
            _seconds(*probe) for probe in _probes(model, settings, batch, length, text.vocab_size)
        )
    torch.random.set_rng_state(state)
    held = model.config.get_text_config().vocab_size

    def whole(seconds: float, share: float) -> float:
        hidden, longer = text.hidden_size, max(length, work.length)
        probed = _multiplied(depth, layer, length, hidden, share * held)
        return seconds * _multiplied(text.num_hidden_layers, layer, longer, hidden, share * text.vocab_size) / probed

    return Speed(
        1 / whole(train, ANSWERED), 1 / whole(read, 0), 1 / (whole(write, 1) + choose), "probed on this machine"
    )


def _multiplied(layers: int, layer: int, length: float, hidden: int, head: float) -> float:
    """Return the multiplications for one token: by the parameters of layers and head, and with the tokens it sees."""
    return layers * (layer + 2 * length * hidden) + head * hidden


def _layer(config: Any) -> int:
    """Return the parameters of one layer that a token passes."""
    import torch

    with torch.device("meta"):
        one, two = (_built(config, count, config.get_text_config().vocab_size) for count in (1, 2))
    sizes = [
        sum(map(torch.numel, each.parameters())) - idle(each, each.config.get_text_config()) for each in (one, two)
    ]
    return sizes[1] - sizes[0]


def _depth(layers: int, layer: int, length: int) -> int:
    """Return how many layers the probe's model has: as many as a step of OPERATIONS pays."""
    return max(1, min(layers, int(OPERATIONS / length / layer)))


def _built(config: Any, layers: int, vocabulary: int) -> Any:
    from transformers import AutoModelForCausalLM

    config = copy.deepcopy(config)
    text = config.get_text_config()
    text.num_hidden_layers, text.vocab_size = layers, vocabulary
    for each in (config, text):
        each.pad_token_id = None  # it may lie beyond a small vocabulary
    if getattr(text, "layer_types", None):
        text.layer_types = text.layer_types[:layers]
    return AutoModelForCausalLM.from_config(config)


def _slice(config: Any, layers: int) -> Any:
    """Return a model of some layers and at most VOCABULARY tokens with quickly made weights, in float32."""
    import torch

    with torch.device("meta"):
        model = _built(config, layers, min(VOCABULARY, config.get_text_config().vocab_size)).float()
    model.to_empty(device="cpu")
    torch.manual_seed(0)
    with torch.no_grad():
        for value in model.parameters():
            value.uniform_(-0.04, 0.04)
        for value in model.buffers():  # the angles of the positions among them
            value.fill_(0.01 if value.is_floating_point() else 0)
    return model.eval()


Probe = tuple[Callable[[], None], int]  # what is measured, and the tokens of one call


def _seconds(call: Callable[[], None], tokens: int) -> float:
    """Return the processor seconds per token of the quickest of REPEATS calls, after one that is not counted."""
    call()
    taken = []
    for _ in range(REPEATS):
        start = time.process_time()
        call()
        taken.append((time.process_time() - start) / tokens)
    return min(taken)


def _probes(model: Any, settings: TrainingSettings, batch: int, length: int, vocabulary: int) -> list[Probe]:
    """Return what trains, reads a prompt, writes a token of each of a batch of answers (last: it changes how the model
    attends), and chooses these tokens from the whole vocabulary."""
    import torch

    size = sum(value.numel() for value in model.parameters())
    rows = 1 if settings.share_prompts else settings.rows_at_once or settings.batch_size
    rows, together = max(1, min(rows, int(OPERATIONS / size / length))), min(batch, 64)
    ids = torch.randint(3, model.config.get_text_config().vocab_size, (rows, length))
    return [
        (partial(_train, model, ids, settings), rows * length),
        (partial(_read, model, ids), rows * length),
        (partial(_write, model, ids[:1], together, []), together),
        (partial(_choose, torch.randn(together, vocabulary)), together),
    ]


def _train(model: Any, ids: Any, settings: TrainingSettings) -> None:
    """Compute gradients as training does; a part of a row is the answer."""
    import torch

    model.train()
    if settings.gradient_checkpointing:
        model.gradient_checkpointing_enable()
    with torch.autocast("cpu", torch.bfloat16, enabled=settings.autocast):
        logits = model(ids, use_cache=False, logits_to_keep=int(ANSWERED * ids.shape[1])).logits.float()
    logits.logsumexp(-1).sum().backward()
    model.zero_grad()
    model.gradient_checkpointing_disable()
    model.eval()


def _read(model: Any, ids: Any) -> None:
    import torch

    with torch.inference_mode():
        model(ids, logits_to_keep=1)


def _write(model: Any, ids: Any, together: int, read: list[Any]) -> None:
    """Write one token of each answer, each to a prompt of its own; the first call keeps what was read in `read`."""
    import torch

    with torch.inference_mode():
        if not read:
            read.append(_prompts_read(model, ids, together))
        model(ids[:, :1].repeat(together, 1), past_key_values=read[0])


def _choose(scores: Any) -> None:
    """Draw a token of each answer: few lie in the nucleus, since a trained judge is sure of most."""
    scores = scores.clone()
    scores[:, 0] += 100
    keep_nucleus(scores, 0.9).softmax(-1).multinomial(1)


def _prompts_read(model: Any, ids: Any, count: int) -> Any:
    """Return the keys and values of as many prompts, held as judging holds them; the model then attends to these."""
    from transformers.cache_utils import Cache

    from ..judging.engines import shared_prompt

    cache = model(ids, logits_to_keep=1, use_cache=True).past_key_values
    cache.batch_repeat_interleave(count)
    if not shared_prompt.supports(model):
        return cache
    model.set_attn_implementation(shared_prompt.ATTENTION)
    hidden = ids.new_zeros(count, ids.shape[1]).bool()
    return Cache(layers=[shared_prompt.SharedPromptLayer(each.keys, each.values, hidden) for each in cache.layers])


def workers_of(scale: Scale) -> int:
    """Return how many processes of a CPU run compute at once.

    >>> from prometheus_lib.scale import load_scale
    >>> workers_of(load_scale("mini")) in (1, 2)
    True
    """
    return available_workers(scale.workers)
