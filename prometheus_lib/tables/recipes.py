"""Tables 9 and 10, the recipe of training and merging, beside what a run does; and what the tables leave open.

Where the paper's tables, its released configurations and this run differ, the value has a name (`paper-text`,
`paper-code`, `corrected`) or its reason stands beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ..data.building.of_scale import FORMATS, rows_learned
from ..data.building.schema import Collection
from ..merging.spec import DARE, Merge
from ..paper import published_table
from ..records import MissingFile
from .files import load_table

if TYPE_CHECKING:
    from ..scale import Scale
    from ..training.settings import Lora, TrainingSettings
    from ..training.sizing import Shape

TABLES = {"Table 9 (7B, published)": 9, "Table 10 (8x7B, published)": 10}
NONE = "-"  # the run has no such thing
ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
# Why a row of the tables has another value in a run. A run may differ in any of them.
REASONS = {
    "Base Model": "another base model; the recipe is made for any",
    "Torch dtype": "a CPU computes in float32",
    "Epoch": "the scale's own number",
    "Train Data 1": "rows of this run's own collection",
    "Train Data 2": "rows of this run's own collection",
    "Max Seq Length": "what this run's rows need",
    "Learning Rate": "a smaller model takes larger steps",
    "Train Batch Size": "rows of one optimiser step, over all devices; the tables' number is one device's (paper-code)",
    "PEFT": "the whole model is trained",
    "Lora_r": "the scale's own number",
    "Lora_alpha": "the scale's own number",
    "Lora_Dropout": "before the adapters of the attention only: PEFT allows none on a mixture's fused experts",
    "Lora Target Module": "W proj means w1, w2 and w3; without the head, which the trainer's loss reads itself",
    "Random Seed": "the paper's seed, and further runs of the same training",
    "Merging Strategy": "section 3.4, appendix G and the two tables disagree: all of them are merged and judged",
    "Merging p": "the scale's own number; Table 10's is judged beside it where a run makes dare-linear-8x7b",
    "Merging Lambda": "the scale's own number; Table 10's is judged beside it where a run makes dare-linear-8x7b",
    "Training Method": "the scale's own method",
}


def recipe(scale: Scale) -> pd.DataFrame:
    """Return every row of Tables 9 and 10 beside a run's value, with the reason where that is another.

    A run with adapters is compared with Table 10, any other with Table 9.

    >>> from prometheus_lib.scale import load_scale
    >>> recipe(load_scale("7b")).loc["Train Batch Size"].tolist()[:3]
    ['4', '8', '32']
    """
    found = pd.DataFrame({title: published_table(n, cells="text")["Value"] for title, n in TABLES.items()})
    own, rows = found.columns[1 if scale.training.lora else 0], _in_order(found.index)
    found = found.reindex(rows).fillna("")
    here = _values(scale)
    found[f"this run ({scale.name})"] = [here[row] for row in rows]
    differs = [published and not _same(here[row], published) for row, published in found[own].items()]
    found["why another value"] = [REASONS[row] if other else "" for row, other in zip(rows, differs, strict=True)]
    return found


def _in_order(rows: pd.Index) -> list[str]:
    """Return the rows in the order of the longer table, Table 10, which has all of them."""
    order = list(published_table(10, cells="text").index)
    return [*order, *(row for row in rows if row not in order)]


def _same(one: str, other: str) -> bool:
    try:
        return float(one) == float(other)
    except ValueError:
        return one == other


def _values(scale: Scale) -> dict[str, str]:
    """Return a run's value for each row of the tables, written as there."""
    from ..training.settings import EMBEDDED_BASE

    settings, lora = scale.training, scale.training.lora
    merged = next(merge for merge in (*scale.merges, *scale.sweep) if merge.name == scale.merged_judge)
    seeds = ", ".join(dict.fromkeys(str(expert.seed) for expert in scale.experts))
    return {
        "Base Model": "embedded stand-in" if scale.base_model == str(EMBEDDED_BASE) else scale.base_model,
        "Torch dtype": _computed_in(settings), "Epoch": f"{settings.epochs:g}",
        "Train Data 1": _data(scale, "feedback"), "Train Data 2": _data(scale, "preference"),
        "Max Seq Length": str(settings.max_length), "Learning Rate": _rate(settings.learning_rate),
        "Train Batch Size": str(settings.batch_size), "PEFT": str(lora is not None), **_adapters(lora),
        "Random Seed": seeds, "Merging Strategy": _strategy(merged), **_dare(scale),
        "Training Method": "Supervised Fine-tuning",
    }  # fmt: skip


def _rate(value: float) -> str:
    digits, power = f"{value:e}".split("e")
    return f"{digits.rstrip('0').rstrip('.')}e{int(power)}"  # as the tables write it


def _data(scale: Scale, collection: str) -> str:
    count = rows_learned(scale, collection)
    name = f"{collection.upper()} COLLECTION"
    whole = "miniature " + name.lower() if scale.miniature else name
    whole = f"{whole} (or GPT-4's judgments on Vicuna's questions)" if scale.without_hub else whole
    return whole if count is None else f"{whole}, {count:,} rows"


def _adapters(lora: Lora | None) -> dict[str, str]:
    rows = ("Lora_r", "Lora_alpha", "Lora_Dropout", "Lora Target Module")
    if lora is None:
        return dict.fromkeys(rows, NONE)
    attention = set(lora.targets) <= set(ATTENTION) or not lora.dropout
    dropout = f"{lora.dropout:g}" + ("" if attention else " (attention)")
    return dict(zip(rows, (str(lora.rank), str(lora.alpha), dropout, ",".join(lora.targets)), strict=True))


def _strategy(merged: Merge) -> str:
    return f"{'Linear' if merged.method == 'linear' else merged.method} (α = {merged.alpha:g})"


def _dare(scale: Scale) -> dict[str, str]:
    """Return p (the share dropped) and lambda of the run's DARE merges, without the variants that bring their own."""
    found = [merge for merge in scale.merges if merge.method in DARE and merge.variant == "matched"]
    p, factor = (f"{1 - found[0].density:g}", f"{found[0].scaling:g}") if found else (NONE, NONE)
    return {"Merging p": p, "Merging Lambda": factor}


# --- rows of each expert ---------------------------------------------------------------------------------------------


def examples_learned(scale: Scale) -> pd.DataFrame:
    """Return how many rows of each format each expert learns, NaN for a format that it is not taught.

    All rows of a collection, or a share of them, are counted by the run's Table 1; without it they are NaN too.

    >>> from prometheus_lib.scale import load_scale
    >>> examples_learned(load_scale("mini")).loc["joint"].to_dict()
    {'direct': 4000.0, 'pairwise': 4000.0}
    """
    whole = {format: _instances(scale, collection) for collection, format in FORMATS.items()}
    learned = {
        expert.name: {format: _rows_of(expert.examples, whole[format]) for format in expert.formats}
        for expert in scale.experts
    }
    return pd.DataFrame.from_dict(learned, orient="index").reindex(columns=list(whole)).astype(float)


def _rows_of(examples: int | float | None, whole: float) -> float:
    return examples if isinstance(examples, int) else float(np.round(whole * (examples or 1)))


def _instances(scale: Scale, collection: Collection) -> float:
    """The rows of a collection as Table 1 counted them when the collection was built."""
    try:
        cells = load_table("1", scale.paths.tables)
    except MissingFile:
        return float("nan")
    counted = cells[(cells["row"] == "# Instances") & (cells["column"] == f"{collection.title()} Collection (ours)")]
    return float(counted["value"].iloc[0])


# --- what the tables leave open --------------------------------------------------------------------------------------


def left_open(scale: Scale) -> pd.DataFrame:
    """Return what the tables do not say or the released configurations say otherwise, beside what a run does.

    The column `variant` names the rule that the run follows; where it is another than the released one, `the other`
    tells how a scale's file asks for that.

    >>> from prometheus_lib.scale import load_scale
    >>> left_open(load_scale("8x7b")).loc["learning rate, 8x7B", "the other"]
    'paper-code: learning_rate = 1e-4 in [training]'
    """
    from ..training.sizing import shape_of

    shape = shape_of(scale.base_model, scale.training.lora)
    rows = [*_training_rows(scale), *_adapter_rows(scale, shape), *_merging_rows(scale)]
    columns = ["point", "tables", "released configurations", f"this run ({scale.name})", "variant", "the other"]
    return pd.DataFrame(rows, columns=columns).set_index("point")


def _computed_in(settings: TrainingSettings) -> str:
    """The number format of training, and on CPUs what becomes of bfloat16 where the processor lacks it."""
    if not settings.bf16:
        return "float32"
    return "bfloat16 (float32 on processors without it)" if settings.use_cpu else "bfloat16"


def _training_rows(scale: Scale) -> list[tuple[str, ...]]:
    settings = scale.training
    at_once = f", at most {settings.rows_at_once} at once on a device" if settings.rows_at_once else ""
    accumulated = f"{settings.batch_size} over all devices{at_once}; the rest is accumulated"
    weights = "bfloat16, frozen; adapters float32" if settings.lora else "float32"
    compute = _computed_in(settings)
    again = "activations computed again" if settings.gradient_checkpointing else "activations kept"
    step = "paper-text" if settings.batch_size == 32 else "the scale's"
    return [
        ("rows of one step", "4 (7B), 8 (8x7B)", "the same on each device, no accumulation; accelerate's file names "
         "16 processes: 64 rows (7B), with the text's eight GPUs 32", accumulated, step,
         "paper-code: batch_size = 64 (7B) or 128 (8x7B)"),
        ("learning rate, 8x7B", "1e-5", "1e-4", _rate(settings.learning_rate),
         {1e-5: "paper-text", 1e-4: "paper-code"}.get(settings.learning_rate, "the scale's"),
         "paper-code: learning_rate = 1e-4 in [training]"),
        ("schedule", "not stated", "cosine, first 10 % warm-up", f"{settings.schedule}, first {settings.warmup:.0%} "
         "warm-up", "paper-code" if (settings.schedule, settings.warmup) == ("cosine", 0.1) else "the scale's", ""),
        ("loss", "supervised fine-tuning", "on the answer only", "on the answer only", "paper-code", ""),
        ("number format", "bfloat16", "bfloat16", f"weights {weights}; computed in {compute}", "corrected",
         "at 1e-5 most updates round to nothing in bfloat16 weights"),
        ("memory", "not stated", "gradient checkpointing, DeepSpeed ZeRO-3", f"{again}; launcher {scale.launcher}",
         "how, not what", "launcher = \"zero3\""),
        ("held-out rows", "not stated", "1 % of the rows, one instruction on both sides", "none: benchmarks have "
         "instructions of their own", "corrected", ""),
    ]  # fmt: skip


def _adapter_rows(scale: Scale, shape: Shape) -> list[tuple[str, ...]]:
    lora = scale.training.lora
    targets = ", ".join(lora.targets) if lora else "no adapters"
    fused = " (w1 and w3 are one tensor, whose adapter has twice the rank)" if lora and "w1" in lora.targets else ""
    dropout = f"{lora.dropout:g} before the attention's, none before the experts'" if lora else NONE
    mixture = shape.active < shape.parameters
    router = "frozen; no balancing loss is added" if mixture else "no router"
    return [
        ("adapters on", "q, k, v, o, W proj, LM head", "q, k, v, o, w1, w2, w3, lm_head", targets,
         "corrected" if lora else NONE, "none: the trainer refuses an adapter on the head, which its loss reads"),
        ("dropout", "0.1", "0.1 on all of them", dropout, "corrected" if lora else NONE,
         "none: PEFT allows no dropout on fused experts"),
        ("trained parameters", "not stated", "3.84 billion (8x7B, w1 and w3 apart, without the head)",
         f"{shape.trained:,}{fused}", "corrected" if lora else "all weights", ""),
        ("router, 8x7B", "not stated", "not stated", router, "corrected" if mixture else NONE, ""),
    ]  # fmt: skip


def _merging_rows(scale: Scale) -> list[tuple[str, ...]]:
    every = (*scale.merges, *scale.sweep)
    of_table_10 = [merge.name for merge in every if merge.variant.startswith("paper-8x7b")]
    named = ", ".join(merge.name for merge in every if merge.name in ("linear", "dare-linear"))
    return [
        ("merging, 7B", "linear (Table 9); DARE-linear (3.4, appendix G)", "not released", f"both: {named}",
         "paper-text", ""),
        ("merging, 8x7B", "DARE, p 0.1, lambda 1.95", "the credited script keeps with p, and adds in turn",
         ", ".join(of_table_10) or "not made here", "paper-text, paper-code" if of_table_10 else NONE,
         "" if of_table_10 else "leave only_merges out"),
    ]  # fmt: skip
