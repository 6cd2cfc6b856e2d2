"""The machine at hand, and GPUs that can be rented."""

from __future__ import annotations

import platform
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..parallel import available_workers, visible_gpus
from ..records import DataError
from ..training.room import free_disk

TABLE = Path(__file__).with_name("gpus.toml")


@dataclass(frozen=True)
class GPU:
    """A kind of GPU: memory in GB, peak teraflops in bfloat16, bandwidth in GB/s, dollars an hour, and their source.

    >>> GPU("mine", 24, 165, 1008, 0.4, 0.0, "owned").memory
    24
    """

    name: str
    memory: float
    peak: float
    bandwidth: float
    training: float
    dollars: float
    source: str


@dataclass(frozen=True)
class Machine:
    """Memory and free disk in GB, cores, and its GPUs.

    >>> Machine(cores=2, memory=16, disk=100).gpus
    ()
    """

    cores: int
    memory: float
    disk: float
    gpus: tuple[GPU, ...] = ()


def gpu_table(file: Path = TABLE) -> list[GPU]:
    """Read the table of GPUs; DataError names the file and what is wrong.

    >>> [gpu.name for gpu in gpu_table()][:2]
    ['RTX 4090', 'A100 40 GB']
    """
    try:
        return [GPU(**row) for row in tomllib.loads(file.read_text(encoding="utf-8"))["gpu"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{file}: cannot be read as a table of GPUs ({error}); correct it there.") from error


def this_machine(place: Path) -> Machine:
    """Look at this machine; `place` says on which disk a run would lie.

    >>> this_machine(Path.cwd()).cores >= 1
    True
    """
    import psutil

    return Machine(
        available_workers(), psutil.virtual_memory().total / 1e9, free_disk(place.resolve())[1],
        tuple(_known(*gpu) for gpu in visible_gpus()),
    )  # fmt: skip


def describe_machine() -> dict[str, Any]:
    """Return what matters for timings: system, processor, cores and memory.

    >>> sorted(describe_machine())
    ['cores', 'memory_gib', 'processor', 'system']
    """
    import psutil

    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": available_workers(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
    }


def base_without_place(base: str) -> str:
    """Return a base model as manifests name it: a folder or a file by its name alone.

    >>> base_without_place("owner/base"), base_without_place("/somewhere/my-base")
    ('owner/base', 'my-base')
    """
    return Path(base).name if Path(base).is_absolute() else base


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _known(name: str, memory: float) -> GPU:
    """Return a GPU as the table has it: of its name, else (of two the slower) the one whose memory is nearest."""
    table = gpu_table()
    near = [gpu for gpu in table if re.sub(r" \d+ GB$", "", gpu.name) in name]
    like = min(near or table, key=lambda gpu: (abs(gpu.memory - memory), gpu.peak))
    return GPU(name, memory, like.peak, like.bandwidth, like.training, 0.0, f"taken to be like {like.name}")
