"""Merging two experts into one judge with mergekit (paper, sections 3.4 and 6, appendix G).

`alpha` is the share of the first expert (the direct expert in the paper's equation 3). Weights come in two variants:
`matched` gives (alpha, 1 - alpha), equations 3 to 5 as printed; `mergekit-default` gives (1, 1), the plain choice where
none is stated (mergekit 0.1.5 itself has no default and asks for a weight). With equation 5 as printed task arithmetic
*is* linear merging; with (1, 1) both changes are added in full. Linear, SLERP and TIES normalise, so for them (1, 1)
and (0.5, 0.5) are the same merge.
"""

from __future__ import annotations

import json
import os
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from . import artifacts
from .parallel import one_thread
from .records import DataError, write_text_atomic

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
VARIANTS = ("matched", "mergekit-default")
CONFIG = "mergekit_config.yml"


@dataclass(frozen=True)
class Merge:
    """One merge: `density` is the share of each change that TIES or DARE keeps (DARE's p is 1 - density)."""

    name: str
    method: str
    first: str = "direct"
    second: str = "pairwise"
    alpha: float = 0.5
    variant: str = "matched"
    density: float = 1.0
    scaling: float = 1.0
    seed: int = 42

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise DataError(f"merge {self.name!r}: unknown method {self.method!r}; choose one of {list(METHODS)}.")
        if self.variant not in VARIANTS:
            raise DataError(f"merge {self.name!r}: unknown variant {self.variant!r}; choose one of {list(VARIANTS)}.")
        if self.first == self.second:
            raise DataError(f"merge {self.name!r}: {self.first!r} is given twice; name two different experts.")
        if not 0 <= self.alpha <= 1:
            raise DataError(f"merge {self.name!r}: alpha is {self.alpha}; it must lie between 0 and 1.")

    @property
    def weights(self) -> tuple[float, float]:
        """Return the weights of the two experts."""
        return (self.alpha, 1 - self.alpha) if self.variant == "matched" else (1.0, 1.0)


def mergekit_config(merge: Merge, base: str, first: str, second: str, dtype: str = "float32") -> dict[str, Any]:
    """Return mergekit's configuration: merged in float32, rounded once to `dtype`; paths are model folders."""
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


def merge_experts(merge: Merge, base: str | Path, experts: str | Path, out: str | Path, dtype: str = "float32") -> bool:
    """Merge two experts below the folder `experts` into the folder `out`; return False when it is current.

    Raises DataError when a model folder is incomplete; warns when both experts are the same model.
    """
    first, second = (artifacts.check_model_folder(Path(experts) / name) for name in (merge.first, merge.second))
    artifacts.check_base_model(base)
    folders = [base, first, second]
    stamp = artifacts.stamp_of(folders, {**asdict(merge), "dtype": dtype})
    if not artifacts.is_current(out, stamp):
        _warn_if_equal(merge, first, second)
    config = mergekit_config(merge, *map(str, folders), dtype)
    return artifacts.build_folder(out, stamp, lambda folder: _run_mergekit(config, merge, stamp, folder))


def _warn_if_equal(merge: Merge, first: Path, second: Path) -> None:
    if artifacts.model_fingerprint(first) == artifacts.model_fingerprint(second):
        warnings.warn(f"merge {merge.name!r}: {first} and {second} are the same model.", stacklevel=3)


def _run_mergekit(config: dict[str, Any], merge: Merge, stamp: dict[str, Any], folder: Path) -> None:
    import yaml
    from mergekit.config import MergeConfiguration
    from mergekit.merge import run_merge
    from mergekit.options import MergeOptions

    # One thread: the random masks of DARE depend on the number of threads.
    options = MergeOptions(copy_tokenizer=True, random_seed=merge.seed, quiet=True, write_model_card=False)
    with one_thread():
        run_merge(MergeConfiguration.model_validate(config), str(folder), options)
    (folder / CONFIG).write_text(yaml.safe_dump(_without_paths(config), sort_keys=False), encoding="utf-8")
    write_text_atomic(folder / "README.md", model_card(merge, config, stamp))


def _without_paths(config: dict[str, Any]) -> dict[str, Any]:
    """Replace model folders by their names, so the recipe says the same on every machine."""
    text = json.dumps(config)
    names = [m["model"] for m in config["models"]] + ([config["base_model"]] if "base_model" in config else [])
    for name in names:
        text = text.replace(json.dumps(name), json.dumps(os.path.basename(name)))
    return json.loads(text)


def model_card(merge: Merge, config: dict[str, Any], stamp: dict[str, Any]) -> str:
    """Return the README of a merged model: what went in, with fingerprints and the mergekit recipe."""
    import yaml

    inputs = "\n".join(f"- `{name}`: fingerprint `{value}`" for name, value in stamp["inputs"].items())
    recipe = yaml.safe_dump(_without_paths(config), sort_keys=False)
    return (
        f"# {merge.name}\n\nA merged judge: {merge.method}, weights {merge.weights} ({merge.variant}) of the experts "
        f"`{merge.first}` and `{merge.second}`.\n\n{inputs}\n\n```yaml\n{recipe}```\n"
    )
