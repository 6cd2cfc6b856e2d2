"""Where and in which number format a judge computes: what this machine's GPU or processor can do."""

from __future__ import annotations

from pathlib import Path

from ..parallel import CPU_INFO, processor_has_bfloat16

DTYPES = ("bfloat16", "float32")  # what a scale may ask for, beside "auto"
AMPERE = (8, 0)  # the first compute capability with bfloat16


def best_device() -> str:
    """Return where a model computes here: on NVIDIA's or Apple's GPU where there is one, else on the CPU.

    >>> best_device() in ("cuda", "mps", "cpu")  # doctest: +SKIP
    True
    """
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def number_format(bf16: bool) -> str:
    """Return the format of a judge's weights: float32, or the 16 bits that this machine's GPU computes in.

    >>> number_format(False)
    'float32'
    """
    if not bf16:
        return "float32"
    import torch

    return sixteen_bits(torch.cuda.get_device_capability() if torch.cuda.is_available() else None)


def sixteen_bits(capability: tuple[int, int] | None) -> str:
    """Return bfloat16, on NVIDIA's cards before Ampere float16; without such a card the capability is None.

    >>> sixteen_bits((7, 5)), sixteen_bits((8, 0)), sixteen_bits(None)
    ('float16', 'bfloat16', 'bfloat16')
    """
    return "float16" if capability and capability < AMPERE else "bfloat16"


def has_bfloat16(info: Path = CPU_INFO) -> bool:
    """Tell whether 16 bits make judging faster here: on a GPU, or on a processor that says so.

    >>> has_bfloat16(Path("no/such/file"))  # doctest: +SKIP
    False
    """
    return best_device() != "cpu" or processor_has_bfloat16(info)
