"""Digests that stand for texts: equal on every machine, in every run, whatever the order of the rows."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any


def digest(*texts: str) -> bytes:
    """Return 8 bytes that stand for these texts, in this order.

    >>> digest("a", "bc") == digest("ab", "c")
    False
    """
    hasher = blake2b(digest_size=8)
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        hasher.update(len(data).to_bytes(8, "little") + data)
    return hasher.digest()


def place(seed: int, *keys: bytes) -> bytes:
    """Return the place of something in the random order that a seed stands for: sort by it."""
    return blake2b(b"".join(keys), digest_size=8, key=str(seed).encode()).digest()


def instruction_key(row: Mapping[str, Any]) -> bytes:
    """Return what stands for a row's instruction; splits and limits never divide one."""
    return digest(row["orig_instruction"])


def group_key(row: Mapping[str, Any]) -> bytes:
    """Return what stands for a row's instruction, criterion and reference answer: responses to it can be compared."""
    return digest(row["orig_instruction"], row["orig_criteria"], row.get("orig_reference_answer") or "")
