"""Merging two experts into one judge (paper, sections 3.4 and 6, appendix G).

`alpha` is the share of the first expert (the direct expert in the paper's equation 3). Weights come in variants:

- `matched` gives (alpha, 1 - alpha), equations 3 to 5 as printed. With it task arithmetic *is* linear merging.
- `mergekit-default` gives (1, 1), the plain choice where none is stated (mergekit 0.1.5 itself has no default and asks
  for a weight): both changes are added in full. Linear, SLERP and TIES normalise, so for them it is alpha 0.5.
- `paper-8x7b` is Table 10 (p 0.1, lambda 1.95) for the two DARE methods, in two readings. `published` drops a tenth
  of each change, as the DARE paper does, with matched weights. `supermario-script` does what the script credited for
  the 8x7B model does: it *keeps* a tenth, divides by 1 - p all the same, and adds one expert after the other, each
  change taken from the result so far, without weights.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .. import artifacts
from ..parallel import one_thread
from ..records import DataError, write_text_atomic
from . import checks as merge_checks
from . import moe_names

# Our name -> mergekit's name. All but linear and slerp work on the changes from the base model.
METHODS = {
    "linear": "linear",
    "slerp": "slerp",
    "task-arithmetic": "task_arithmetic",
    "ties": "ties",
    "dare-ties": "dare_ties",
    "dare-linear": "dare_linear",
}
SPARSE = ("ties", "dare-ties", "dare-linear")
NEEDS_BASE = ("task-arithmetic", *SPARSE)
DARE = ("dare-ties", "dare-linear")
VARIANTS = ("matched", "mergekit-default", "paper-8x7b")
READINGS = ("published", "supermario-script")
PAPER_P, PAPER_LAMBDA = 0.1, 1.95  # Table 10
CONFIG = "mergekit_config.yml"
DTYPES = ("float32", "bfloat16", "float16")
# What makes a judge besides weights and config.json.
COMPANIONS = (
    "tokenizer*", "special_tokens_map.json", "added_tokens.json", "vocab.*", "merges.txt", "chat_template*",
    "generation_config.json",
)  # fmt: skip


@dataclass(frozen=True)
class Merge:
    """One merge: `density` is the share of each change that TIES or DARE keeps, `scaling` the paper's lambda.

    The variant `paper-8x7b` sets density and scaling itself, from Table 10 and its `reading`.
    """

    name: str
    method: str
    first: str = "direct"
    second: str = "pairwise"
    alpha: float = 0.5
    variant: str = "matched"
    density: float = 1.0
    scaling: float = 1.0
    seed: int = 42
    reading: str = "published"

    def __post_init__(self) -> None:
        choices = {"method": tuple(METHODS), "variant": VARIANTS, "reading": READINGS}
        for field, known in choices.items():
            value = getattr(self, field)
            self._want(value in known, f"unknown {field} {value!r}; choose one of {list(known)}.")
        self._want(self.first != self.second, f"{self.first!r} is given twice; name two different experts.")
        self._want(0 <= self.alpha <= 1, f"alpha is {self.alpha}; it must lie between 0 and 1.")
        if self.variant == "paper-8x7b":
            self._set_paper_8x7b()
        elif self.reading != "published":
            self._want(False, f"the reading {self.reading!r} belongs to the variant 'paper-8x7b'.")
        self._want(0 < self.density <= 1, f"density is {self.density}; it must be above 0 and at most 1.")

    def _want(self, right: bool, message: str) -> None:
        if not right:
            raise DataError(f"merge {self.name!r}: {message}")

    def _set_paper_8x7b(self) -> None:
        self._want(self.method in DARE, f"the variant 'paper-8x7b' is for {' and '.join(DARE)}, not {self.method!r}.")
        density = 1 - PAPER_P if self.reading == "published" else PAPER_P
        if self.in_turn:
            self._want(self.method == "dare-linear", "the script's reading is of dare-linear only.")
            self._want(self.alpha == 0.5, "the script has no weights, so alpha says nothing here; leave it at 0.5.")
        for field, value in (("density", density), ("scaling", PAPER_LAMBDA)):
            self._want(getattr(self, field) in (1.0, value), f"'paper-8x7b' sets {field} to {value}; leave it out.")
            object.__setattr__(self, field, value)

    @property
    def in_turn(self) -> bool:
        """Tell whether the experts are added one after the other, as the script does."""
        return self.reading == "supermario-script"

    @property
    def weights(self) -> tuple[float, float]:
        """Return the weights of the two experts; for the script's reading those that give its merge on average.

        There one expert arrives with c = lambda p / (1 - p), and what stood there before is multiplied by 1 - c.
        """
        if self.in_turn:
            share = self.density * self.rescale
            return share * (1 - self.scaling * share), share
        return (1.0, 1.0) if self.variant == "mergekit-default" else (self.alpha, 1 - self.alpha)

    @property
    def rescale(self) -> float:
        """Return the factor by which DARE multiplies what it keeps: 1/(1 - p), whatever p means."""
        return 1 / (1 - self.density) if self.in_turn else 1 / self.density

    def settings(self) -> dict[str, Any]:
        """Return the fields that decide the result; the reading only where there is a choice."""
        settings = asdict(self)
        if self.variant != "paper-8x7b":
            settings.pop("reading")
        return settings


def mergekit_config(merge: Merge, base: str, first: str, second: str, dtype: str = "float32") -> dict[str, Any]:
    """Return mergekit's configuration: merged in float32, rounded once to `dtype`; paths are model folders.

    mergekit rescales what DARE keeps on its own, to 1/density, so the script's reading of `paper-8x7b` (density p, each
    change p/(1-p) of itself on average) is told through the weights: the same merge on average, in one step.
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
    """Merge two experts below the folder `experts` into the folder `out`; see `merge_folders`."""
    return merge_folders(
        merge, base, *(Path(experts) / name for name in (merge.first, merge.second)), out, dtype, engine
    )


def merge_folders(
    merge: Merge, base: str | Path, first: str | Path, second: str | Path, out: str | Path, dtype: str = "float32",
    engine: str = "mergekit",
) -> bool:  # fmt: skip
    """Merge two model folders into the folder `out`, computed in float32; return False when it is current.

    The engine "mergekit" is the paper's tool and the default; "prometheus" (merge_disk) is faster and gives the same
    up to rounding, or the same in distribution for DARE. The tokenizer, chat template and generation settings of the
    first expert travel along. Raises DataError before anything is written when the models cannot be merged; warns when
    two of them are the same model.
    """
    for what, value, known in (("engine", engine, list(ENGINES)), ("dtype", dtype, list(DTYPES))):
        if value not in known:
            raise DataError(f"merge {merge.name!r}: unknown {what} {value!r}; choose one of {known}.")
    first, second = map(merge_checks.check_folder, (first, second))
    if Path(base).is_dir():
        merge_checks.check_folder(base)
    settings = {**merge.settings(), "dtype": dtype} | ({} if engine == "mergekit" else {"engine": engine})
    stamp = artifacts.stamp_of([base, first, second], settings)
    if not artifacts.is_current(out, stamp):
        parents = [first, second, *([Path(base)] if merge.method in NEEDS_BASE and Path(base).is_dir() else [])]
        merge_checks.check_mergeable(*parents)
        if engine == "mergekit":  # our own engine looks while it reads
            _check_finite(*parents)

    def build(folder: Path) -> None:
        recipe = ENGINES[engine](merge, str(base), str(first), str(second), folder, dtype)
        _copy_companions(first, folder)
        write_text_atomic(folder / "README.md", model_card(merge, recipe, stamp))

    return artifacts.build_folder(out, stamp, build)


def _check_finite(*models: Path) -> None:
    from . import disk as merge_disk

    for model in models:
        merge_disk.check_finite(merge_checks.read_layout(model))


def _run_mergekit(merge: Merge, base: str, first: str, second: str, folder: Path, dtype: str) -> dict[str, Any]:
    """Merge with mergekit and return the recipe, which is kept beside the weights."""
    import yaml
    from mergekit.config import MergeConfiguration
    from mergekit.merge import run_merge
    from mergekit.options import MergeOptions

    config = mergekit_config(merge, base, first, second, dtype)
    # One thread: the random masks of DARE depend on the number of threads.
    options = MergeOptions(copy_tokenizer=True, random_seed=merge.seed, quiet=True, write_model_card=False)
    with one_thread():
        run_merge(MergeConfiguration.model_validate(config), str(folder), options)
    moe_names.split_fused_experts(folder)  # vLLM does not know the names that mergekit gives a Mixtral's experts
    recipe = _without_paths(config)
    (folder / CONFIG).write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
    return recipe


def _run_own(merge: Merge, base: str, first: str, second: str, folder: Path, dtype: str) -> dict[str, Any]:
    """Merge with merge_disk and return what it was told."""
    from . import disk as merge_disk

    needed = local_folder(base) if merge.method in NEEDS_BASE else None
    merge_disk.merge_to_disk(merge, needed, first, second, folder, dtype)
    return {"engine": "prometheus", **merge.settings(), "weights": list(merge.weights), "dtype": dtype}


ENGINES = {"mergekit": _run_mergekit, "prometheus": _run_own}


def local_folder(model: str) -> str:
    """Return the folder of a model: itself, or the hub's copy of it on this machine."""
    if Path(model).is_dir():
        return model
    from huggingface_hub import snapshot_download

    return snapshot_download(model, allow_patterns=["*.json", "model*.safetensors"])


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


def model_card(merge: Merge, recipe: dict[str, Any], stamp: dict[str, Any]) -> str:
    """Return the README of a merged model: what went in, with fingerprints and the recipe."""
    import yaml

    inputs = "\n".join(f"- `{name}`: fingerprint `{value}`" for name, value in stamp["inputs"].items())
    text = yaml.safe_dump(recipe, sort_keys=False)
    variant = ", ".join(value for key, value in merge.settings().items() if key in ("variant", "reading"))
    return (
        f"# {merge.name}\n\nA merged judge: {merge.method}, weights {merge.weights} ({variant}) of the experts "
        f"`{merge.first}` and `{merge.second}`.\n\n{inputs}\n\n```yaml\n{text}```\n"
    )
