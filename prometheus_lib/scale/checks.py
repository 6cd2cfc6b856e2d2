"""What the values of a scale must be, alone and together, before anything is computed from them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..data.building.of_scale import VICUNA
from ..data.catalogue import BENCHMARKS
from ..judging.engines import ENGINES
from ..judging.formats import DTYPES
from ..judging.tasks import MENUS
from ..merging.catalogue import all_merges
from ..merging.spec import EXPERTS
from ..records import DataError
from ..training.launching import LAUNCHERS
from .settings import STUDIES, Scale
from .typed import nearest

NO_LAUNCHER, AUTO = "none", "auto"
SCHEDULES = ("cosine", "linear", "constant", "constant_with_warmup")
COUNTS = {
    "": ("collection_instructions", "batch_size", "workers", "resamples", "draws", "loss_rows"),
    "training": ("batch_size", "max_length"),
    "training.lora": ("rank", "alpha"),
    "decoding": ("max_new_tokens",),
}
SHARES = {"": ("density", "benchmark_share", "sample_share"), "decoding": ("top_p",)}  # above 0, at most 1
POSITIVE = {"": ("scaling",), "training": ("learning_rate", "epochs"), "decoding": ("repetition_penalty",)}
NOT_NEGATIVE = {
    "": ("processes", "sample_draws", "benchmark_items"),
    "training": ("warmup", "weight_decay", "rows_at_once", "checkpoint_minutes"),
    "decoding": ("temperature",),
}


def check_scale(scale: Scale, where: str) -> None:
    """Raise DataError, naming the file and the key, for numbers out of range and names that there are not."""
    _check_numbers(scale, COUNTS, where, lambda value: value >= 1, "a number from 1 on")
    _check_numbers(scale, SHARES, where, lambda value: 0 < value <= 1, "a number above 0, at most 1")
    _check_numbers(scale, POSITIVE, where, lambda value: 0 < value < float("inf"), "a number above 0")
    _check_numbers(scale, NOT_NEGATIVE, where, lambda value: 0 <= value < float("inf"), "a number from 0 on")
    _check_known([scale.training.schedule], SCHEDULES, f"{where}: schedule of [training]")
    _check_known([scale.engine], ENGINES, f"{where}: engine")
    _check_known([scale.judging_dtype or AUTO], (AUTO, *DTYPES), f"{where}: judging_dtype")
    _check_known([scale.launcher], (NO_LAUNCHER, AUTO, *LAUNCHERS), f"{where}: launcher")
    if scale.training.four_bit and scale.training.lora is None:
        raise DataError(f"{where}: four_bit of [training] needs adapters; add [training.lora], or leave it out.")
    if scale.counted_feedback and not scale.miniature:
        raise DataError(f"{where}: counted_feedback is for the miniature world's own rows; leave it out.")
    _check_experts(scale, where)
    merges = [merge.name for merge in (*scale.merges, *scale.sweep)]
    _check_known([scale.merged_judge], merges, f"{where}: merged_judge")
    _check_known(scale.main_judges, scale.judges, f"{where}: main_judges")
    _check_known(scale.benchmarks, BENCHMARKS, f"{where}: benchmarks")
    _check_known(scale.studies, STUDIES, f"{where}: studies")
    _check_known([scale.without_hub] if scale.without_hub else [], [VICUNA], f"{where}: without_hub")


def _check_experts(scale: Scale, where: str) -> None:
    names = [expert.name for expert in scale.experts]
    if twice := [name for name in names if names.count(name) > 1]:
        raise DataError(f"{where}: two experts are called {twice[0]!r}; give one another name.")
    for expert in scale.experts:
        _check_known(expert.formats, MENUS, f"{where}: formats of expert {expert.name!r}")
    if lacking := [name for name in EXPERTS if name not in names]:
        raise DataError(f"{where}: merges need the experts {', '.join(lacking)}; add them to `experts`.")
    every = [merge.name for merge in all_merges(scale.density, scale.scaling, scale.seed)]
    _check_known(scale.only_merges, every, f"{where}: only_merges")


def _check_numbers(scale: Scale, keys: dict[str, tuple[str, ...]], where: str, right: Any, wanted: str) -> None:
    for table, names in keys.items():
        holder: Any = scale
        for part in filter(None, table.split(".")):
            holder = getattr(holder, part)
        for name in names if holder is not None else ():
            value = getattr(holder, name)
            if not right(value):
                place = f" of [{table}]" if table else ""
                raise DataError(f"{where}: {name}{place} is {value}; give {wanted}.")


def _check_known(names: Iterable[str], known: Iterable[str], what: str) -> None:
    known = list(known)
    for name in names:
        if name not in known:
            raise DataError(f"{what}: there is no {name!r}; {nearest(name, known)}")
