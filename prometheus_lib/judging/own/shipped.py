"""The small judge that comes with the package: an expert of a miniature run, in half precision.

`python -m prometheus_lib.judging.own.shipped outputs/mini/experts/joint` makes it anew from a run's model folder.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from ... import artifacts
from .named import SHIPPED

KEPT = ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


def ship(source: str | Path, target: Path = SHIPPED) -> Path:
    """Copy a model folder with its weights in float16, beside the card; DataError for what is no model."""
    from safetensors.torch import load_file, save_file

    folder = Path(source)
    artifacts.check_model_folder(folder)
    target.mkdir(parents=True, exist_ok=True)
    for name in KEPT:
        if (folder / name).is_file():
            shutil.copyfile(folder / name, target / name)
    weights = {name: tensor.half() for name, tensor in load_file(folder / "model.safetensors").items()}
    save_file(weights, target / "model.safetensors", metadata={"format": "pt"})
    return target


if __name__ == "__main__":
    print(ship(sys.argv[1]))
