"""Digests that stand for texts: equal on every machine, in every run, whatever the order of the rows."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import Any


def digest(*texts: str) -> bytes:
    """Return 8 bytes that stand for these texts, in this order.

    >>> digest("a", "bc") == digest("ab", "c")
    False
    """
    whole = f"{','.join(map(str, map(len, texts)))}:{''.join(texts)}"
    return blake2b(whole.encode("utf-8", "surrogatepass"), digest_size=8).digest()


@lru_cache(maxsize=64)
def repeated_digest(text: str) -> bytes:
    """Return `digest(text)` of a text that comes many times in a row, as an instruction's rows share its texts."""
    return digest(text)


def place(seed: int, *keys: bytes) -> bytes:
    """Return the place of something in the random order that a seed stands for: sort by it."""
    return blake2b(b"".join(keys), digest_size=8, key=str(seed).encode()).digest()


def instruction_key(row: Mapping[str, Any]) -> bytes:
    """Return what stands for a row's instruction; splits and limits never divide one."""
    return repeated_digest(row["orig_instruction"])


def group_key(row: Mapping[str, Any]) -> bytes:
    """Return what stands for a row's instruction, criterion and reference answer: responses to it can be compared."""
    return digest(row["orig_instruction"], row["orig_criteria"], row.get("orig_reference_answer") or "")
