"""Merging two model folders into a third, through mergekit or our own engine (paper, section 3.4)."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from .. import artifacts, cards
from ..parallel import one_thread
from ..records import DataError, write_text_atomic
from . import checks, moe_names
from .finite import TOO_LARGE, not_finite, refuse
from .layout import INDEX, WEIGHTS, indexed_files, read_layout
from .spec import METHODS, NEEDS_BASE, SPARSE, Merge

CONFIG = "mergekit_config.yml"
DTYPES = ("float32", "bfloat16", "float16")
# What makes a judge besides weights and config.json.
COMPANIONS = (
    "tokenizer*", "special_tokens_map.json", "added_tokens.json", "vocab.*", "merges.txt", "*.model", "tekken.json",
    "chat_template*",
    "generation_config.json",
)  # fmt: skip


def mergekit_config(merge: Merge, base: str, first: str, second: str, dtype: str = "float32") -> dict[str, Any]:
    """Return mergekit's configuration: merged in float32, rounded once to `dtype`; paths are model folders.

    mergekit rescales what DARE keeps on its own, to 1/density, so `paper_8x7b_script` (density p, each
    change p/(1-p) of itself on average) is told through the weights: the same merge on average, in one step.

    >>> config = mergekit_config(Merge("m", "ties", alpha=0.25, density=0.2), "base", "direct", "pairwise")
    >>> config["merge_method"], config["models"][0]
    ('ties', {'model': 'direct', 'parameters': {'weight': 0.25, 'density': 0.2}})
    """
    if merge.method == "slerp":
        # mergekit's t runs from the base_model (t = 0) to the other model (t = 1).
        models = {"models": [{"model": first}, {"model": second}], "base_model": first}
        return {"merge_method": "slerp", **models, "parameters": {"t": 1 - merge.alpha}, **_dtypes(dtype)}
    sparse = {"density": merge.density} if merge.method in SPARSE else {}
    models = [
        {"model": model, "parameters": {"weight": weight, **sparse}}
        for model, weight in zip((first, second), merge.weights, strict=True)
    ]
    config = {"merge_method": METHODS[merge.method], "models": models, **_dtypes(dtype)}
    if merge.method in NEEDS_BASE:
        config |= {"base_model": base, "parameters": {"lambda": merge.scaling}}
    return config


def _dtypes(dtype: str) -> dict[str, str]:
    return {"dtype": "float32", "out_dtype": dtype}


def merge_experts(
    merge: Merge, base: str | Path, experts: str | Path, out: str | Path, dtype: str = "float32",
    engine: str = "mergekit",
) -> bool:  # fmt: skip
    """Merge two experts below the folder `experts`, named in the merge, into the folder `out`; see `merge_folders`.

    >>> merge_experts(Merge("m", "linear"), "base", "experts", "experts/direct")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    prometheus_lib.records.DataError: experts/direct: this model folder lacks config.json and weights ...
    """
    return merge_folders(
        merge, base, *(Path(experts) / name for name in (merge.first, merge.second)), out, dtype, engine
    )


def merge_folders(
    merge: Merge, base: str | Path, first: str | Path, second: str | Path, out: str | Path, dtype: str = "float32",
    engine: str = "mergekit",
) -> bool:  # fmt: skip
    """Merge two model folders into the folder `out`, computed in float32; return False when it is current.

    The engine "mergekit" is the paper's tool and the default; "prometheus" (`disk`) is faster and gives the same
    up to rounding, or the same in distribution for DARE. The tokenizer, chat template and generation settings of the
    first expert travel along. Raises DataError before anything is written when the models cannot be merged; warns when
    two of them are the same model.

    >>> import warnings
    >>> from prometheus_lib.training import EMBEDDED_BASE
    >>> out = Path(tempfile.mkdtemp()) / "merged"
    >>> with warnings.catch_warnings(action="ignore"):  # here both experts are the base itself
    ...     merge_folders(Merge("m", "linear"), *3 * [EMBEDDED_BASE], out, engine="prometheus")
    True
    >>> sorted(file.name for file in out.glob("*.json"))
    ['config.json', 'generation_config.json', 'stamp.json', 'tokenizer.json', 'tokenizer_config.json']
    """
    _check_choices(merge, engine, dtype)
    inputs = {"base": base, "first": first, "second": second}
    artifacts.check_output(out, inputs.values())
    parents = _parents(merge, *inputs.values())
    stamp = merge_stamp(merge, *inputs.values(), dtype, engine)
    if not artifacts.is_current(out, stamp):
        checks.check_mergeable(*parents)
        if engine == "mergekit" and merge.method in SPARSE:  # what it drops cannot be seen in what it writes
            _check_finite(*parents)

    def build(folder: Path) -> None:
        recipe = ENGINES[engine](merge, *map(str, inputs.values()), folder, dtype)
        if engine == "mergekit":  # our own engine looks while it works
            _check_result(merge, folder, dtype, parents)
        _copy_companions(parents[0], folder)
        write_text_atomic(folder / "README.md", model_card(merge, recipe, stamp, str(base)))

    return artifacts.build_folder(out, stamp, build, inputs.values())


def merge_stamp(
    merge: Merge, base: str | Path, first: str | Path, second: str | Path, dtype: str = "float32",
    engine: str = "mergekit",
) -> dict[str, Any]:  # fmt: skip
    """Describe everything that decides a merge's weights.

    >>> merge_stamp(Merge("m", "linear"), "owner/base", "owner/direct", "owner/pairwise")["settings"]["dtype"]
    'float32'
    """
    settings = {**merge.settings(), "dtype": dtype} | ({} if engine == "mergekit" else {"engine": engine})
    return artifacts.stamp_of({"base": base, "first": first, "second": second}, settings)


def _check_choices(merge: Merge, engine: str, dtype: str) -> None:
    for what, value, known in (("engine", engine, list(ENGINES)), ("dtype", dtype, list(DTYPES))):
        if value not in known:
            raise DataError(f"merge {merge.name!r}: unknown {what} {value!r}; choose one of {known}.")


def _parents(merge: Merge, base: str | Path, first: str | Path, second: str | Path) -> list[Path]:
    """Return the experts' folders, and the base's where the method needs it and it is one, all of them whole models."""
    experts = list(map(checks.check_folder, (first, second)))
    if Path(base).is_dir():
        checks.check_folder(base)
    elif merge.method in NEEDS_BASE:
        artifacts.check_base_model(base)
    return [*experts, Path(base)] if merge.method in NEEDS_BASE and Path(base).is_dir() else experts


def _check_finite(*models: Path) -> None:
    from . import disk

    for model in models:
        disk.check_finite(read_layout(model))


def _check_result(merge: Merge, folder: Path, dtype: str, parents: Iterable[Path]) -> None:
    """Raise DataError when the merge in a folder is not finite."""
    from . import disk

    layout = read_layout(folder)
    for name, stored in layout.items():
        if count := sum(map(not_finite, disk.pieces(stored))):
            _check_finite(*parents)  # first, for a parent is the more likely cause
            raise refuse(f"merge {merge.name!r}", name, count, TOO_LARGE.format(dtype=dtype))


def _run_mergekit(merge: Merge, base: str, first: str, second: str, folder: Path, dtype: str) -> dict[str, Any]:
    """Merge with mergekit and return the recipe, which is kept beside the weights."""
    import yaml
    from mergekit.config import MergeConfiguration
    from mergekit.merge import run_merge
    from mergekit.options import MergeOptions

    # One thread: the random masks of DARE depend on the number of threads.
    options = MergeOptions(copy_tokenizer=True, random_seed=merge.seed, quiet=True, write_model_card=False)
    # mergekit would ask the hub for a base, even one that is on this machine.
    needed = local_folder(base) if merge.method in NEEDS_BASE else base
    with one_thread(), _readable(needed, first, second) as models:
        config = MergeConfiguration.model_validate(mergekit_config(merge, *models, dtype))
        run_merge(config, str(folder), options)
    moe_names.split_fused_experts(folder)  # vLLM does not know the names that mergekit gives a Mixtral's experts
    recipe = _without_paths(mergekit_config(merge, base, first, second, dtype))
    (folder / CONFIG).write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
    return recipe


@contextlib.contextmanager
def _readable(*models: str) -> Iterator[list[str]]:
    """Yield the models as mergekit has to be given them: it follows an index even where the index's files are gone."""
    with tempfile.TemporaryDirectory() as views:
        yield [_view(model, Path(views) / str(number)) for number, model in enumerate(models)]


def _view(model: str, view: Path) -> str:
    if not (Path(model) / WEIGHTS).is_file() or set(indexed_files(Path(model))) <= {WEIGHTS}:
        return model
    view.mkdir()
    for file in Path(model).resolve().iterdir():
        if file.name != INDEX:
            (view / file.name).symlink_to(file)
    return str(view)


def _run_own(merge: Merge, base: str, first: str, second: str, folder: Path, dtype: str) -> dict[str, Any]:
    """Merge with our own engine and return what it was told."""
    from . import disk

    needed = local_folder(base) if merge.method in NEEDS_BASE else None
    disk.merge_to_disk(merge, needed, first, second, folder, dtype)
    return {"engine": "prometheus", **merge.settings(), "weights": list(merge.weights), "dtype": dtype}


ENGINES = {"mergekit": _run_mergekit, "prometheus": _run_own}


def local_folder(model: str) -> str:
    """Return the folder of a model: itself, or the hub's copy of it (of name@revision) on this machine.

    DataError where there is no such folder, and where the hub does not give it.

    >>> local_folder(".")
    '.'
    """
    if Path(model).is_dir():
        return model
    artifacts.check_base_model(model)
    from huggingface_hub import snapshot_download

    name, _, revision = model.partition("@")
    try:
        return snapshot_download(name, revision=revision or None, allow_patterns=["*.json", "model*.safetensors"])
    except Exception as error:  # the hub client raises many unrelated types
        raise DataError(
            f"{model}: the hub does not give this model ({type(error).__name__}); check its name, its revision and the "
            "network, and log in (`hf auth login`) for a model behind a licence."
        ) from error


def _copy_companions(first: Path, folder: Path) -> None:
    """Copy what else makes a judge from the first expert; mergekit takes it from the base, if at all."""
    for file in (file for pattern in COMPANIONS for file in first.glob(pattern)):
        shutil.copyfile(file, folder / file.name)


def _without_paths(config: dict[str, Any]) -> dict[str, Any]:
    """Replace model folders by their names, so the recipe says the same on every machine."""
    text = json.dumps(config)
    names = [m["model"] for m in config["models"]] + ([config["base_model"]] if "base_model" in config else [])
    for name in names:
        text = text.replace(json.dumps(name), json.dumps(os.path.basename(name)))
    return json.loads(text)


def model_card(merge: Merge, recipe: dict[str, Any], stamp: dict[str, Any], base: str = "") -> str:
    """Return the card of a merged model: what went in, with fingerprints and the recipe.

    >>> card = model_card(Merge("m", "linear"), {}, {"inputs": {"first": "0123abcd"}})
    >>> "- `direct`: fingerprint `0123abcd`" in card.splitlines()
    True
    """
    import yaml

    names = {"base": "base model", "first": f"`{merge.first}`", "second": f"`{merge.second}`"}
    inputs = "\n".join(f"- {names[role]}: fingerprint `{value}`" for role, value in stamp["inputs"].items())
    text = yaml.safe_dump(recipe, sort_keys=False)
    variant = ", ".join(value for key, value in merge.settings().items() if key in ("variant", "reading"))
    summary = (
        f"A merged judge: {merge.method}, weights {merge.weights} ({variant}) of the experts `{merge.first}` and "
        f"`{merge.second}`."
    )
    sections = [("Models", inputs), ("Recipe", f"```yaml\n{text}```"), ("Versions", cards.listed(cards.versions()))]
    return cards.model_card(merge.name, summary, sections, base)
